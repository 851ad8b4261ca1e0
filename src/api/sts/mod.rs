//! AWS STS. To add an operation: write its file, declare it, add its line to the table.
mod assume_role;
mod assume_role_with_web_identity;
mod common;
mod decode_authorization_message;
mod fault;
mod get_access_key_info;
mod get_caller_identity;
mod get_delegated_access_token;
mod get_federation_token;
mod get_session_token;
mod get_web_identity_token;

pub use fault::StsError as Error;

crate::operations! {
    assume_role::AssumeRole,
    assume_role_with_web_identity::AssumeRoleWithWebIdentity,
    decode_authorization_message::DecodeAuthorizationMessage,
    get_access_key_info::GetAccessKeyInfo,
    get_caller_identity::GetCallerIdentity,
    get_delegated_access_token::GetDelegatedAccessToken,
    get_federation_token::GetFederationToken,
    get_session_token::GetSessionToken,
    get_web_identity_token::GetWebIdentityToken,
}

crate::service! {
    /// AWS Security Token Service.
    Sts {
        error: Error,
        source: "sts.amazonaws.com",
        signing_name: "sts",
        protocol: Query { version: "2011-06-15" },
        model: "sts.json",
    }
}
