use super::common::{Credentials, issuer_key, own_session_seconds, proved_mfa};
use super::{Error, Sts};
use crate::call::{Call, Operation};
use crate::identity::{Actor, Session};
use crate::types::Principal;
use serde::{Deserialize, Serialize};

/// Gives temporary credentials to whoever has long-term ones; with a second factor, credentials that
/// say so. Needs no permission, and only the policy of a VPC endpoint can refuse it (STS API
/// reference).
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetSessionToken {
    duration_seconds: Option<i64>,
    serial_number: Option<String>,
    token_code: Option<String>,
    minimum_session_token_size: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetSessionTokenResponse {
    credentials: Credentials,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token_size: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token_utilization: Option<i64>,
}

impl Operation for GetSessionToken {
    type Service = Sts;
    type Response = GetSessionTokenResponse;
    const NAME: &'static str = "GetSessionToken";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["DurationSeconds", "SerialNumber"];
    const ANSWER_RECORDED: &'static [&'static str] =
        &["Credentials.AccessKeyId", "Credentials.Expiration"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetSessionTokenResponse, Error> {
        call.pass("sts:GetSessionToken")?;
        let (serial, code) = (self.serial_number.as_deref(), self.token_code.as_deref());
        let mfa = proved_mfa(call, serial, code).await?;
        let seconds = own_session_seconds(call, self.duration_seconds);
        let expires = call.now.plus_secs(seconds).whole_secs();
        let session = Session {
            mfa,
            issuer_key: issuer_key(call),
            ..Session::new(actor(call.principal()), &*call.random(), call.now, expires)
        };
        let issued = session.issue(&call.server.root, &*call.random())?;
        let credentials = Credentials::from(issued);
        let size = credentials.token_size(self.minimum_session_token_size)?;
        Ok(GetSessionTokenResponse {
            credentials,
            session_token_size: Some(size),
            session_token_utilization: None,
        })
    }
}

/// Only users and roots come here: sessions were turned away before (`call::temporary`).
fn actor(principal: &Principal) -> Actor {
    let account = principal.account.clone();
    match &principal.user_name {
        Some(name) => Actor::User { account, name: name.clone(), id: principal.unique_id.clone() },
        None => Actor::Root { account },
    }
}
