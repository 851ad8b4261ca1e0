//! The public keys of an issuer (RFC 7517), and the check of a signature with one of them.
use super::jwt::InvalidToken;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::Deserialize;

/// More keys than an issuer has use for.
const MAX_KEYS: usize = 100;

/// The algorithms a token may be signed with. There is no `none`, and no algorithm for which a public
/// key could pass for a secret one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// A key set. Keys of other kinds are left out: issuers publish what they like.
#[derive(Clone, Debug, Default)]
pub struct Jwks(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    half: Half,
}

#[derive(Clone, Debug)]
enum Half {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point, or an Edwards key: each fits one algorithm.
    Curve {
        algorithm: Algorithm,
        bytes: Vec<u8>,
    },
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwks {
    /// None if it is no key set.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(text).ok()?;
        if document.keys.len() > MAX_KEYS {
            return None;
        }
        Some(Self(document.keys.into_iter().filter_map(Key::parse).collect()))
    }

    /// Whether a key of this name is there.
    pub(super) fn has(&self, id: Option<&str>) -> bool {
        id.is_none_or(|id| self.0.iter().any(|key| key.id.as_deref() == Some(id)))
    }

    /// Checks with the key that is named; without a name, with the only one that fits the algorithm.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidToken> {
        let named = |key: &&Key| id.is_none_or(|id| key.id.as_deref() == Some(id));
        let mut fitting = self.0.iter().filter(named).filter(|key| key.fits(algorithm));
        let (Some(key), None) = (fitting.next(), fitting.next()) else {
            return Err(InvalidToken::Key);
        };
        key.verify(message, signature).ok_or(InvalidToken::Signature)
    }
}

impl Key {
    fn parse(jwk: Jwk) -> Option<Self> {
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let bytes = |text: &Option<String>| B64.decode(text.as_deref()?).ok();
        let half = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => Half::Rsa { modulus: bytes(&jwk.n)?, exponent: bytes(&jwk.e)? },
            ("EC", Some("P-256")) => point(Algorithm::Es256, 32, &bytes(&jwk.x)?, &bytes(&jwk.y)?)?,
            ("EC", Some("P-384")) => point(Algorithm::Es384, 48, &bytes(&jwk.x)?, &bytes(&jwk.y)?)?,
            ("OKP", Some("Ed25519")) => {
                Half::Curve { algorithm: Algorithm::EdDsa, bytes: bytes(&jwk.x)? }
            }
            _ => return None,
        };
        let key = Self { id: jwk.kid, half };
        // What says that it is for another algorithm is for none of ours.
        let fits = |name: &String| Algorithm::parse(name).is_some_and(|one| key.fits(one));
        jwk.alg.as_ref().is_none_or(fits).then_some(key)
    }

    fn fits(&self, wanted: Algorithm) -> bool {
        match &self.half {
            Half::Rsa { .. } => wanted == Algorithm::Rs256,
            Half::Curve { algorithm, .. } => wanted == *algorithm,
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        match &self.half {
            Half::Rsa { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .ok(),
            Half::Curve { algorithm, bytes } => {
                let how: &'static dyn VerificationAlgorithm = match algorithm {
                    Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
                    Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
                    Algorithm::EdDsa => &ED25519,
                    Algorithm::Rs256 => return None,
                };
                UnparsedPublicKey::new(how, bytes).verify(message, signature).ok()
            }
        }
    }
}

/// An uncompressed point (SEC 1, 2.3.3).
fn point(algorithm: Algorithm, size: usize, x: &[u8], y: &[u8]) -> Option<Half> {
    (x.len() == size && y.len() == size)
        .then(|| Half::Curve { algorithm, bytes: [&[4], x, y].concat() })
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
