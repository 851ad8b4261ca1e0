//! What a request claims about itself, parsed but not proved.

use std::borrow::Cow;
use std::fmt;

use http::header::AUTHORIZATION;
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::date::RequestDate;
use super::text::{echo, hex};
use super::{ALGORITHM, AuthError};

/// The longest access key id taken. AWS's own have 16 to 128 characters (IAM `AccessKeyIdType`).
pub(crate) const MAX_ACCESS_KEY_ID: usize = 128;

/// The credential scope without its access key: what the signing key is derived for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope<'a> {
    /// `YYYYMMDD`.
    pub date: &'a str,
    /// As sent, for example `eu-west-1`.
    pub region: &'a str,
    /// The signing name, for example `kms`.
    pub service: &'a str,
    /// `aws4_request`, if the client did it right.
    pub terminator: &'a str,
}

/// What the request claims. Borrows from the request; only presigned requests need copies.
pub struct Claim<'a> {
    /// `keyid/date/region/service/term` as sent; known to have five parts.
    pub(super) credential: Cow<'a, str>,
    /// As sent: lower case, sorted, unique, containing what must be signed.
    pub(super) signed_headers: Cow<'a, str>,
    pub(super) signature: [u8; 32],
    pub(super) date: RequestDate,
    pub(super) session_token: Option<Cow<'a, str>>,
    pub(super) expires: Option<u32>,
    /// A payload hash given in the query of a presigned request, beside the header of that name.
    pub(super) query_payload_hash: Option<String>,
}

impl Claim<'_> {
    /// The access key said to have signed.
    pub fn access_key_id(&self) -> &str {
        self.credential.split('/').next().unwrap_or_default()
    }

    /// `keyid/date/region/service/aws4_request`, as it was sent.
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// The credential scope.
    pub fn scope(&self) -> Scope<'_> {
        let mut parts = self.credential.split('/').skip(1);
        let mut next = || parts.next().unwrap_or_default();
        Scope { date: next(), region: next(), service: next(), terminator: next() }
    }

    /// The names of the signed headers, separated by semicolons.
    pub fn signed_headers(&self) -> &str {
        &self.signed_headers
    }

    /// When the client says it signed.
    pub fn date(&self) -> &RequestDate {
        &self.date
    }

    /// The session token, which is covered by the signature but means nothing before it is opened.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// The SHA-256 of the signature, in hex: tells signatures apart, and signs nothing.
    pub fn fingerprint(&self) -> String {
        String::from_utf8_lossy(&hex(&Sha256::digest(self.signature).into())).into_owned()
    }

    /// For a presigned request: for how many seconds it is good.
    pub fn expires(&self) -> Option<u32> {
        self.expires
    }

    /// Whether the signature came in the query.
    pub fn is_presigned(&self) -> bool {
        self.expires.is_some()
    }
}

/// Shows neither the signature nor the token: both let whoever reads the log send the request again.
impl fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("credential", &self.credential)
            .field("signed_headers", &self.signed_headers)
            .field("date", &self.date)
            .field("session_token", &self.session_token.as_ref().map(|_| "…"))
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// The access key id that a request names even where its claim cannot be read as a whole. For the
/// audit log only: nothing of it is checked but that it looks like an id.
pub fn claimed_access_key_id(head: &Parts) -> Option<&str> {
    let header = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let header = header.and_then(|value| value.strip_prefix(ALGORITHM)?.split_once("Credential="));
    let query = head
        .uri
        .query()
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Credential=")));
    let credential = header.map(|(_, rest)| rest).or(query)?;
    let id = credential.split(['/', '%']).next()?;
    let fits = (1..=MAX_ACCESS_KEY_ID).contains(&id.len());
    (fits && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then_some(id)
}

/// Exactly five parts, none empty, an access key id of reasonable length.
pub(super) fn check_credential(credential: &str) -> Result<(), AuthError> {
    let mut parts = credential.as_bytes().split(|byte| *byte == b'/');
    let key_fits = parts.next().is_some_and(|id| (1..=MAX_ACCESS_KEY_ID).contains(&id.len()));
    let (mut rest, mut whole) = (0, key_fits);
    for part in parts {
        rest += 1;
        whole &= !part.is_empty();
    }
    let graphic = credential.bytes().all(|byte| byte.is_ascii_graphic());
    if whole && graphic && rest == 4 {
        return Ok(());
    }
    Err(AuthError::CredentialShape(echo(credential)))
}

/// The signature as bytes: exactly 64 lower-case hex digits. Anything else, upper case too, cannot
/// be what we would calculate.
pub(super) fn check_signature(text: &str) -> Result<[u8; 32], AuthError> {
    super::text::unhex(text).ok_or(AuthError::SignatureMismatch)
}
