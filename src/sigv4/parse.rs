//! Reading the claim out of a request: from the Authorization header or, presigned, the query.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::claim::{Claim, check_credential, check_signature};
use super::date::RequestDate;
use super::error::Sentences;
use super::headers::{Known, check_payload_hash, check_signed, known};
use super::text::echo;
use super::{ALGORITHM, AuthError, presign};

/// Reads what the request claims. Proves nothing, but what it returns has all that must be signed
/// among the signed headers.
///
/// # Errors
///
/// [`AuthError::MissingAuthenticationToken`] if the request is not signed at all; otherwise kinds
/// `IncompleteSignature` and `InvalidSignature`.
pub fn parse(head: &Parts) -> Result<Claim<'_>, AuthError> {
    let known = known(head)?;
    if let Some(value) = known.payload_hash {
        check_payload_hash(value)?;
    }
    let query = match head.uri.query() {
        Some(query) => presign::parameters(query)?,
        None => None,
    };
    let claim = match (known.authorization, query) {
        (None, None) => return Err(AuthError::MissingAuthenticationToken),
        (Some(_), Some(_)) => return Err(AuthError::TwoMechanisms),
        (Some(value), None) => from_header(&known, value)?,
        (None, Some(parameters)) => presign::claim(&known, parameters)?,
    };
    check_signed(&head.headers, &claim.signed_headers)?;
    Ok(claim)
}

/// The pairs of an Authorization header; an empty value counts as a missing one.
#[derive(Default)]
struct Pairs<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

fn from_header<'a>(known: &Known<'a>, value: &'a str) -> Result<Claim<'a>, AuthError> {
    let (algorithm, rest) = value.split_once(' ').unwrap_or((value, ""));
    if algorithm != ALGORITHM {
        // Another scheme's value may be a secret: only what names an algorithm is repeated.
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let name = algorithm.starts_with("AWS4-") && algorithm.bytes().all(word);
        return Err(if name && algorithm.len() <= 64 {
            AuthError::Algorithm(echo(algorithm))
        } else {
            AuthError::NotPairs(hash(value))
        });
    }
    let pairs = pairs(rest).ok_or_else(|| AuthError::NotPairs(hash(value)))?;
    check_complete(&pairs, known.amz_date.or(known.date).is_some(), value)?;
    let date = match known.amz_date {
        Some(text) => RequestDate::from_basic(text)?,
        None => RequestDate::from_http(known.date.unwrap_or_default())?,
    };
    check_credential(pairs.credential)?;
    Ok(Claim {
        credential: Cow::Borrowed(pairs.credential),
        signed_headers: Cow::Borrowed(pairs.signed_headers),
        signature: check_signature(pairs.signature)?,
        date,
        session_token: known.security_token.map(Cow::Borrowed),
        expires: None,
        query_payload_hash: None,
    })
}

/// None if a piece is not a pair, of an unknown name, or there twice.
fn pairs(list: &str) -> Option<Pairs<'_>> {
    let mut pairs = Pairs::default();
    let list = list.trim_matches(' ');
    if list.is_empty() {
        return Some(pairs);
    }
    for piece in list.split(',') {
        let (name, value) = piece.trim_matches(' ').split_once('=')?;
        let place = match name {
            "Credential" => &mut pairs.credential,
            "SignedHeaders" => &mut pairs.signed_headers,
            "Signature" => &mut pairs.signature,
            _ => return None,
        };
        if !place.is_empty() {
            return None;
        }
        *place = value;
    }
    Some(pairs)
}

fn check_complete(pairs: &Pairs<'_>, dated: bool, value: &str) -> Result<(), AuthError> {
    let mut missing = Sentences::default();
    for (name, found) in [
        ("Credential", pairs.credential),
        ("Signature", pairs.signature),
        ("SignedHeaders", pairs.signed_headers),
    ] {
        if found.is_empty() {
            missing.add(format_args!("Authorization header requires '{name}' parameter."));
        }
    }
    if !dated {
        missing.add(format_args!(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        ));
    }
    match missing.finish() {
        Some(missing) => Err(AuthError::MissingParts { missing, hash: hash(value) }),
        None => Ok(()),
    }
}

/// How AWS speaks of an Authorization value without repeating it.
fn hash(value: &str) -> Box<str> {
    BASE64_STANDARD.encode(Sha256::digest(value.as_bytes())).into()
}
