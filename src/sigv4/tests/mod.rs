//! Tests of the verifier, and what they share.

mod cache;
mod differential;
mod mutation;
mod presigned;
mod refusals;
mod scope;
mod suite;
mod work;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};

use super::*;

pub(super) const ID: &str = "AKIDEXAMPLE";
pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2026-01-01T00:10:00Z.
pub(super) const NOW: i64 = 1_767_226_200;
pub(super) const BODY: &[u8] = br#"{"CiphertextBlob":"AQID"}"#;

/// A signed request for KMS, Decrypt, in eu-west-1.
pub(super) fn signed() -> Parts {
    let mut head = unsigned();
    sign_again(&mut head);
    head
}

pub(super) fn unsigned() -> Parts {
    Request::builder()
        .method("POST")
        .uri("/")
        .header("host", "127.0.0.1:4566")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "TrentService.Decrypt")
        .header("user-agent", "test/1")
        .body(())
        .unwrap()
        .into_parts()
        .0
}

pub(super) fn sign_again(head: &mut Parts) {
    let credentials = Credentials { access_key_id: ID, secret: SECRET, session_token: None };
    sign(head, BODY, &credentials, ("eu-west-1", "kms"), NOW).unwrap();
}

/// Everything the server does, with the time and the body given.
pub(super) fn check_at(head: &Parts, body: &[u8], now: i64) -> Result<(), AuthError> {
    let claim = parse(head)?;
    let regions = |region: &str| region == "eu-west-1";
    check_scope_and_time(&claim, &Expect { now, skew: 300, regions: &regions, service: "kms" })?;
    let scope = claim.scope();
    let key = SigningKey::derive(SECRET, scope.date, scope.region, scope.service);
    verify(&claim, head, body, &key)
}

pub(super) fn check(head: &Parts) -> Result<(), AuthError> {
    check_at(head, BODY, NOW)
}

pub(super) fn set(head: &mut Parts, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
    head.headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
}

/// A small generator of repeatable randomness (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub(super) fn text(&mut self, alphabet: &[&str], most: usize) -> String {
        (0..self.below(most + 1)).map(|_| self.pick(alphabet)).collect()
    }
}
