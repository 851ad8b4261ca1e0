//! The signing key: what a secret becomes for one day, region and service.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use smallvec::SmallVec;
use zeroize::{Zeroize as _, Zeroizing};

use super::canonical;
use super::claim::Scope;
use super::date::RequestDate;
use super::{ALGORITHM, AuthError, TERMINATOR};

type HmacSha256 = Hmac<Sha256>;

#[cfg(test)]
thread_local! {
    /// How many signatures were calculated: for the test that it is as many for every refusal.
    pub(super) static SIGNED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A signing key, kept as an HMAC that has already taken in its key, which saves two of SHA-256's
/// blocks per request. Wiped on drop (the `zeroize` feature of `sha2`).
#[derive(Clone)]
pub struct SigningKey(HmacSha256);

impl SigningKey {
    /// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")`.
    pub fn derive(secret: &str, date: &str, region: &str, service: &str) -> Self {
        let mut seed = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
        seed.extend_from_slice(b"AWS4");
        seed.extend_from_slice(secret.as_bytes());
        let mut mac = keyed(&seed);
        for part in [date, region, service, TERMINATOR] {
            mac.update(part.as_bytes());
            let mut bytes: [u8; 32] = mac.finalize().into_bytes().into();
            mac = keyed(&bytes);
            bytes.zeroize();
        }
        Self(mac)
    }

    /// The signature over a canonical request's hash.
    pub(super) fn sign(&self, date: &RequestDate, scope: &Scope<'_>, hash: &[u8; 64]) -> [u8; 32] {
        #[cfg(test)]
        SIGNED.set(SIGNED.get() + 1);
        let mut mac = self.0.clone();
        // One piece: each costs more than its bytes.
        let mut text: SmallVec<[u8; 256]> = SmallVec::new();
        for part in [ALGORITHM, "\n", date.as_str(), "\n", scope.date, "/", scope.region, "/"] {
            text.extend_from_slice(part.as_bytes());
        }
        for part in [scope.service, "/", scope.terminator, "\n"] {
            text.extend_from_slice(part.as_bytes());
        }
        text.extend_from_slice(hash);
        mac.update(&text);
        mac.finalize().into_bytes().into()
    }

    /// The signature of a request.
    pub(super) fn sign_request(
        &self,
        head: &http::request::Parts,
        signed_headers: &str,
        payload_hash: &[u8; 64],
        (date, scope): (&RequestDate, &Scope<'_>),
    ) -> Result<[u8; 32], AuthError> {
        Ok(self.sign(date, scope, &canonical::hash(head, signed_headers, payload_hash)?))
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
fn keyed(key: &[u8]) -> HmacSha256 {
    HmacSha256::new_from_slice(key).expect("HMAC takes keys of any length")
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to compile if sha2's feature `zeroize` is off. An `Hmac` is two states of SHA-256 and a
    /// buffer; all three wipe themselves, though hmac 0.13 does not say so by the trait.
    #[test]
    fn keys_are_wiped_on_drop() {
        fn wiped<T: zeroize::ZeroizeOnDrop>() {}
        wiped::<Sha256>();
    }
}
