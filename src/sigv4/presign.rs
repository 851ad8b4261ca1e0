//! Presigned requests: the signature in the query (`X-Amz-Algorithm=…&X-Amz-Signature=…`).

use std::borrow::Cow;

use super::claim::{Claim, check_credential, check_signature};
use super::date::RequestDate;
use super::error::Sentences;
use super::headers::{Known, check_payload_hash};
use super::text::{decode, echo};
use super::{ALGORITHM, AuthError};

/// The longest life of a presigned request: a week.
const MAX_EXPIRES: u32 = 604_800;

/// The parameters that make up the signature. Names match exactly, as AWS's do.
const NAMES: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    SIGNATURE,
    "X-Amz-Security-Token",
];

/// The one parameter that is not itself signed.
pub(super) const SIGNATURE: &str = "X-Amz-Signature";

/// JavaScript signers move headers into the query, this one too.
const PAYLOAD_HASH: &str = "X-Amz-Content-Sha256";

/// The signature's parameters of a query, in the order of [`NAMES`].
pub(super) struct Parameters {
    values: [Option<String>; 7],
    payload_hash: Option<String>,
}

/// The signature's parameters, or none if the query has not one of them.
pub(super) fn parameters(query: &str) -> Result<Option<Parameters>, AuthError> {
    let mut found = Parameters { values: Default::default(), payload_hash: None };
    for piece in query.split('&') {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        // Signed queries are canonical anyway, but an escaped name must not slip past.
        let name = decode(name)?;
        let (name, place) = if name == PAYLOAD_HASH.as_bytes() {
            (PAYLOAD_HASH, &mut found.payload_hash)
        } else {
            let mut places = NAMES.into_iter().zip(&mut found.values);
            match places.find(|(known, _)| known.as_bytes() == name) {
                Some(place) => place,
                None => continue,
            }
        };
        let value = String::from_utf8(decode(value)?).ok();
        if place.is_some() || value.is_none() {
            return Err(AuthError::BadParameter(name));
        }
        *place = value;
    }
    Ok(found.values.iter().any(Option::is_some).then_some(found))
}

/// Reads the claim of a presigned request.
pub(super) fn claim<'a>(known: &Known<'a>, found: Parameters) -> Result<Claim<'a>, AuthError> {
    let mut missing = Sentences::default();
    // All but the last, the session token, must be there.
    for (name, value) in NAMES.iter().zip(&found.values).take(6) {
        if value.as_ref().is_none_or(String::is_empty) {
            missing.add(format_args!("AWS query-string parameters must include '{name}'."));
        }
    }
    if let Some(missing) = missing.finish() {
        return Err(AuthError::MissingParameters(missing));
    }
    let [algorithm, credential, date, expires, signed_headers, signature, session_token] =
        found.values;
    let algorithm = algorithm.unwrap_or_default();
    if algorithm != ALGORITHM {
        return Err(AuthError::Algorithm(echo(&algorithm)));
    }
    // A token beside the query's would be two answers to one question.
    if known.security_token.is_some() {
        return Err(AuthError::TwoMechanisms);
    }
    if let Some(value) = &found.payload_hash {
        check_payload_hash(value)?;
    }
    let date = RequestDate::from_basic(&date.unwrap_or_default())?;
    let expires = lifetime(&expires.unwrap_or_default())?;
    let credential = credential.unwrap_or_default();
    check_credential(&credential)?;
    Ok(Claim {
        credential: Cow::Owned(credential),
        signed_headers: Cow::Owned(signed_headers.unwrap_or_default()),
        signature: check_signature(&signature.unwrap_or_default())?,
        date,
        session_token: session_token.map(Cow::Owned),
        expires: Some(expires),
        query_payload_hash: found.payload_hash,
    })
}

fn lifetime(text: &str) -> Result<u32, AuthError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AuthError::Expires("X-Amz-Expires should be a number"));
    }
    match text.parse() {
        Ok(0) => Err(AuthError::Expires("X-Amz-Expires must be greater than 0")),
        Ok(seconds @ 1..=MAX_EXPIRES) => Ok(seconds),
        // Too many digits for a u32 are too many seconds, too.
        _ => Err(AuthError::Expires(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires \
             must be less than 604800 seconds",
        )),
    }
}
