//! Whose signature a request has. The credentials are the operator's and nobody's in IAM.
use super::XksError;
use super::credentials::Credentials;
use crate::external::SIGNING_NAME;
use crate::sigv4::{self, AuthError, SigningKeyCache};
use crate::types::Region;
use http::request::Parts;

/// How far the clock of whoever asks may be off, in seconds ("Task 4: Match the signature").
const SKEW_SECONDS: i64 = 300;

/// The access key that signed, of those of the store with this number.
pub(super) fn authenticate(
    head: &Parts,
    body: &[u8],
    (credentials, store): (&Credentials, usize),
    signing_keys: &SigningKeyCache,
    region: &Region,
    now_secs: i64,
) -> Result<String, XksError> {
    verified(head, body, (credentials, store), signing_keys, region, now_secs).map_err(|error| {
        XksError::AuthenticationFailed(match error {
            // Which ids there are is not for strangers.
            AuthError::UnrecognizedClient => AuthError::SignatureMismatch.to_string(),
            error => error.to_string(),
        })
    })
}

fn verified(
    head: &Parts,
    body: &[u8],
    (credentials, store): (&Credentials, usize),
    signing_keys: &SigningKeyCache,
    region: &Region,
    now_secs: i64,
) -> Result<String, AuthError> {
    let claim = sigv4::parse(head)?;
    // KMS signs in the header, and has no sessions here.
    if claim.is_presigned() || claim.session_token().is_some() {
        return Err(AuthError::UnrecognizedClient);
    }
    let expect = sigv4::Expect {
        now: now_secs,
        skew: SKEW_SECONDS,
        regions: &|name| name == region.as_str(),
        service: SIGNING_NAME,
    };
    let scope = sigv4::check_scope_and_time(&claim, &expect);
    let secrets = credentials.of_stores.get(store);
    let Some(secret) = secrets.and_then(|secrets| secrets.get(claim.access_key_id())) else {
        return Err(sigv4::refuse_unknown(&claim, head, body, None));
    };
    scope?;
    let key = signing_keys.key(&claim, credentials.generation, || secret.expose(), true);
    sigv4::verify(&claim, head, body, &key)?;
    Ok(claim.access_key_id().to_owned())
}
