//! The proof: scope, time and signature.

use std::sync::LazyLock;

use http::request::Parts;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::claim::Claim;
use super::date::basic;
use super::headers::CONTENT_SHA256;
use super::key::SigningKey;
use super::text::{echo, hex};
use super::{AuthError, TERMINATOR};

/// What the server expects of a claim.
#[expect(missing_debug_implementations, reason = "holds a closure")]
pub struct Expect<'a> {
    /// Our time, in seconds since 1970.
    pub now: i64,
    /// How far the client's clock may be off, in seconds: 300, for STS and IAM 900.
    pub skew: i64,
    /// Whether a region is served. The global services take any: SDKs with a custom endpoint sign
    /// for them with the caller's region.
    pub regions: &'a dyn Fn(&str) -> bool,
    /// The signing name of the operation called, not that of the claim.
    pub service: &'a str,
}

/// Whether the claim is for us and for now.
///
/// # Errors
///
/// Kind `InvalidSignature`, with AWS's sentence for each part that is wrong.
pub fn check_scope_and_time(claim: &Claim<'_>, expect: &Expect<'_>) -> Result<(), AuthError> {
    let scope = claim.scope();
    let mut wrong = String::new();
    // Sentences and the spaces after them as recorded from AWS.
    if !(expect.regions)(scope.region) {
        wrong.push_str("Credential should be scoped to a valid region. ");
    }
    if scope.service != expect.service {
        wrong.push_str("Credential should be scoped to correct service: '");
        wrong.push_str(expect.service);
        wrong.push_str("'. ");
    }
    if scope.terminator != TERMINATOR {
        wrong.push_str("Credential should be scoped with a valid terminator: 'aws4_request'");
    }
    if !wrong.is_empty() {
        return Err(AuthError::Scope(wrong.into()));
    }
    let date = claim.date();
    if scope.date != date.day() {
        return Err(AuthError::ScopeDate {
            scope: echo(scope.date),
            day: date.day().into(),
            date: date.as_str().into(),
        });
    }
    check_time(claim, expect.now, expect.skew)
}

fn check_time(claim: &Claim<'_>, now: i64, skew: i64) -> Result<(), AuthError> {
    let date = claim.date();
    // A presigned request is good until its own end, not for the skew.
    let age = claim.expires().map_or(skew, i64::from);
    let (oldest, newest) = (now.saturating_sub(age), now.saturating_add(skew));
    if date.seconds() < oldest {
        let (date, bound, now) = (date.as_str().into(), basic(oldest), basic(now));
        return Err(AuthError::Expired { date, bound, now, window: window(age) });
    }
    if date.seconds() > newest {
        let (date, bound, now) = (date.as_str().into(), basic(newest), basic(now));
        return Err(AuthError::NotYetCurrent { date, bound, now, window: window(skew) });
    }
    Ok(())
}

/// `5 min`; seconds only for presigned requests whose life is not of whole minutes.
fn window(seconds: i64) -> Box<str> {
    let text = match seconds % 60 {
        0 => format!("{} min", seconds / 60),
        _ => format!("{seconds} sec"),
    };
    text.into()
}

/// Whether the claim's signature is the one that `key` makes for this request.
///
/// The hash of the body is always our own; a client's `x-amz-content-sha256` must agree with it.
/// The comparison takes constant time.
///
/// # Errors
///
/// Kind `InvalidSignature`.
pub fn verify(
    claim: &Claim<'_>,
    head: &Parts,
    body: &[u8],
    key: &SigningKey,
) -> Result<(), AuthError> {
    verify_hashed(claim, head, &Sha256::digest(body).into(), key)
}

/// The same for a body of which only the SHA-256 is at hand.
///
/// # Errors
///
/// Kind `InvalidSignature`.
pub fn verify_hashed(
    claim: &Claim<'_>,
    head: &Parts,
    payload_sha256: &[u8; 32],
    key: &SigningKey,
) -> Result<(), AuthError> {
    let payload_hash = hex(payload_sha256);
    let sent = head.headers.get(CONTENT_SHA256).map(|value| value.as_bytes());
    let query = claim.query_payload_hash.as_deref().map(str::as_bytes);
    if sent.into_iter().chain(query).any(|hash| hash != payload_hash) {
        return Err(AuthError::PayloadMismatch);
    }
    let when = (claim.date(), &claim.scope());
    let expected = key.sign_request(head, claim.signed_headers(), &payload_hash, when)?;
    if bool::from(expected.ct_eq(&claim.signature)) {
        Ok(())
    } else {
        Err(AuthError::SignatureMismatch)
    }
}

/// The answer for an access key that does not exist, after the same work as for one that does (with
/// its signing key cached), so that time does not tell them apart.
///
/// Whatever the signature is, the answer is no: `stand_in`, somebody's key, is no way in.
pub fn refuse_unknown(
    claim: &Claim<'_>,
    head: &Parts,
    body: &[u8],
    stand_in: Option<&SigningKey>,
) -> AuthError {
    static NOBODY: LazyLock<SigningKey> =
        LazyLock::new(|| SigningKey::derive("nobody", "19700101", "nowhere", "none"));
    // The result must not matter, and the work must not be optimised away.
    let _ = std::hint::black_box(verify(claim, head, body, stand_in.unwrap_or(&NOBODY)));
    AuthError::UnrecognizedClient
}
