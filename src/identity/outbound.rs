//! Outbound identity federation: an account vouches for its own principals with tokens that others
//! can check. Its keys are in one sealed row; their public halves are for everybody.
use super::IdentityError;
use crate::authorize::{self, Authorized};
use crate::memory::SecretBytes;
use crate::primitives::{KeySpec, MessageType, PrimitiveError, PrivateKey, SigningAlgorithm};
use crate::random::Random;
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Timestamp};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// STS API reference, GetWebIdentityToken: no token is good for longer. So long the keys of an account
/// are published after it stopped using them, and a while more for clocks that are slow.
pub const MOST_SECONDS: i64 = 3600;
const SLOW_CLOCK_SECONDS: i64 = 300;
/// Coordinates of P-384, in bytes.
const P384_BYTES: usize = 48;

/// The algorithms that a token can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenAlgorithm {
    Rs256,
    Es384,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutboundFederation {
    pub account: AccountId,
    pub enabled: bool,
    keys: Vec<TokenKey>,
}

impl Record for OutboundFederation {
    const TABLE: Table = Table::new("outbound-federation");
    const READ_BACK: bool = true;
}

/// A key pair that tokens are signed with.
#[derive(Debug, Serialize, Deserialize)]
struct TokenKey {
    id: String,
    algorithm: TokenAlgorithm,
    /// When its account stopped using it.
    retired: Option<Timestamp>,
    /// PKCS#8 in DER.
    secret: SecretBytes,
    /// Read once: an RSA key is checked when it is parsed.
    #[serde(skip)]
    parsed: OnceLock<Arc<PrivateKey>>,
}

impl Clone for TokenKey {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            algorithm: self.algorithm,
            retired: self.retired,
            secret: SecretBytes::new(self.secret.expose()),
            parsed: self.parsed.clone(),
        }
    }
}

/// New keys, one for each algorithm. Made before they belong to anybody, as that takes a while.
#[derive(Debug)]
pub struct NewKeys(Vec<TokenKey>);

impl NewKeys {
    pub fn generate(random: &dyn Random) -> Result<Self, PrimitiveError> {
        let algorithms = [TokenAlgorithm::Rs256, TokenAlgorithm::Es384];
        let made = algorithms.map(|algorithm| {
            Ok(TokenKey {
                id: random.uuid().to_string(),
                algorithm,
                retired: None,
                secret: SecretBytes::new(&PrivateKey::generate(algorithm.spec(), random)?),
                parsed: OnceLock::new(),
            })
        });
        Ok(Self(made.into_iter().collect::<Result<_, _>>()?))
    }
}

impl TokenAlgorithm {
    /// JWA's name (RFC 7518, 3.1).
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES384" => Some(Self::Es384),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es384 => "ES384",
        }
    }

    fn spec(self) -> KeySpec {
        match self {
            Self::Rs256 => KeySpec::Rsa3072,
            Self::Es384 => KeySpec::EccNistP384,
        }
    }

    fn signing(self) -> SigningAlgorithm {
        match self {
            Self::Rs256 => SigningAlgorithm::RsassaPkcs1V15Sha256,
            Self::Es384 => SigningAlgorithm::EcdsaSha384,
        }
    }
}

impl OutboundFederation {
    pub async fn load(
        tx: &mut Tx<'_>,
        account: &AccountId,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[account.as_str()]).await
    }

    /// Begins to vouch, with new keys.
    pub async fn enable(
        _allowed: &Authorized<authorize::Account>,
        tx: &mut Tx<'_>,
        account: &AccountId,
        new: NewKeys,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        let mut keys = match Self::load(tx, account).await? {
            Some(present) if present.enabled => return Err(IdentityError::FeatureEnabled),
            Some(present) => present.published(now).cloned().collect(),
            None => Vec::new(),
        };
        keys.extend(new.0);
        let enabled = Self { account: account.clone(), enabled: true, keys };
        tx.put(&[account.as_str()], enabled)?;
        Ok(())
    }

    /// Stops. What was signed stays good as long as it says.
    pub async fn disable(
        _allowed: &Authorized<authorize::Account>,
        tx: &mut Tx<'_>,
        account: &AccountId,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        let present = Self::load(tx, account).await?.filter(|present| present.enabled);
        let present = present.ok_or(IdentityError::FeatureDisabled)?;
        let mut keys: Vec<TokenKey> = present.published(now).cloned().collect();
        for key in &mut keys {
            key.retired.get_or_insert(now);
        }
        let disabled = Self { account: account.clone(), enabled: false, keys };
        tx.put(&[account.as_str()], disabled)?;
        Ok(())
    }

    /// The URL by which an account is known as an issuer.
    pub fn issuer(base: &str, account: &AccountId) -> String {
        format!("{base}/web-identity/{account}")
    }

    fn published(&self, now: Timestamp) -> impl Iterator<Item = &TokenKey> {
        let kept = MOST_SECONDS + SLOW_CLOCK_SECONDS;
        self.keys.iter().filter(move |key| key.retired.is_none_or(|at| now < at.plus_secs(kept)))
    }

    /// The public keys (RFC 7517); none, if nobody needs any.
    pub fn key_set(&self, now: Timestamp) -> Result<Option<Value>, StoreError> {
        let keys = self.published(now).map(TokenKey::public).collect::<Result<Vec<_>, _>>()?;
        Ok((!keys.is_empty()).then(|| json!({"keys": keys})))
    }

    /// What others need to check the account's tokens (OpenID Connect Discovery, 3).
    pub fn discovery(base: &str, account: &AccountId) -> Value {
        let issuer = Self::issuer(base, account);
        json!({
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "issuer": issuer,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES384"],
            "claims_supported": ["iss", "sub", "aud", "iat", "exp", "jti"],
        })
    }

    /// A token (RFC 7515, 7.1) that says `claims`.
    pub fn sign(&self, algorithm: TokenAlgorithm, claims: &Value) -> Result<String, StoreError> {
        let missing = || StoreError::Corrupt("an enabled account has no token key".into());
        let fits = |key: &&TokenKey| key.algorithm == algorithm && key.retired.is_none();
        let key = self.keys.iter().find(fits).ok_or_else(missing)?;
        let header = json!({"alg": algorithm.name(), "kid": key.id, "typ": "JWT"});
        let part = |value: &Value| B64.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let signed = key
            .private()?
            .sign(algorithm.signing(), MessageType::Raw, message.as_bytes())
            .map_err(unusable)?;
        let signature = match algorithm {
            TokenAlgorithm::Rs256 => signed,
            TokenAlgorithm::Es384 => fixed(&signed).ok_or_else(|| unusable("its signature"))?,
        };
        Ok(format!("{message}.{}", B64.encode(signature)))
    }
}

fn unusable(why: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("a token key cannot be used: {why}"))
}

impl TokenKey {
    fn private(&self) -> Result<Arc<PrivateKey>, StoreError> {
        if let Some(parsed) = self.parsed.get() {
            return Ok(parsed.clone());
        }
        let parsed = PrivateKey::parse(self.algorithm.spec(), self.secret.expose());
        let parsed = Arc::new(parsed.map_err(unusable)?);
        Ok(self.parsed.get_or_init(|| parsed).clone())
    }

    /// Its public half as a JSON Web Key.
    fn public(&self) -> Result<Value, StoreError> {
        let der = self.private()?.public_key_der().map_err(unusable)?;
        let (_, public) = SubjectPublicKeyInfo::from_der(&der).map_err(unusable)?;
        let mut key = match public.parsed().map_err(unusable)? {
            PublicKey::RSA(rsa) => {
                json!({"kty": "RSA", "n": whole(rsa.modulus), "e": whole(rsa.exponent)})
            }
            PublicKey::EC(point) => {
                // 04, x, y (SEC 1, 2.3.3).
                let coordinates = point.data().get(1..).unwrap_or_default();
                let (x, y) = coordinates
                    .split_at_checked(P384_BYTES)
                    .ok_or_else(|| unusable("its point"))?;
                json!({"kty": "EC", "crv": "P-384", "x": B64.encode(x), "y": B64.encode(y)})
            }
            _ => return Err(unusable("its kind")),
        };
        if let Value::Object(members) = &mut key {
            let more = [("kid", self.id.as_str()), ("alg", self.algorithm.name()), ("use", "sig")];
            members.extend(more.map(|(name, value)| (name.to_owned(), json!(value))));
        }
        Ok(key)
    }
}

/// A number as JWKs write it: without zeros before it (RFC 7518, 6.3.1).
fn whole(number: &[u8]) -> String {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or_default();
    B64.encode(number.get(first..).unwrap_or_default())
}

/// The two numbers of a signature in DER, each as long as a coordinate (RFC 7518, 3.4).
fn fixed(der: &[u8]) -> Option<Vec<u8>> {
    // 30 length, 02 length r, 02 length s; every length is below 128.
    let (mut rest, mut out) = (der.get(2..)?, Vec::with_capacity(2 * P384_BYTES));
    for _ in 0..2 {
        let (&[tag, length], after) = rest.split_first_chunk::<2>()?;
        let (number, after) = after.split_at_checked(usize::from(length))?;
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let number = number.get(zeros..)?;
        let missing = P384_BYTES.checked_sub(number.len()).filter(|_| tag == 2)?;
        out.extend(std::iter::repeat_n(0, missing));
        out.extend_from_slice(number);
        rest = after;
    }
    rest.is_empty().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federation::{Jwks, Token};
    use crate::random::SystemRandom;

    fn federation() -> OutboundFederation {
        let keys = NewKeys::generate(&SystemRandom).unwrap().0;
        OutboundFederation { account: "111122223333".parse().unwrap(), enabled: true, keys }
    }

    #[test]
    fn signatures_verify_with_the_published_keys() {
        let federation = federation();
        let now = Timestamp::from_secs(1_767_225_600);
        let published = federation.key_set(now).unwrap().unwrap();
        let text = published.to_string();
        for private in ["\"d\"", "\"p\"", "\"q\""] {
            assert!(!text.contains(private));
        }
        let keys = Jwks::parse(text.as_bytes()).unwrap();
        let claims = json!({"iss": "https://a.example", "sub": "s", "aud": "a",
            "iat": now.secs(), "exp": now.secs() + 60});
        for algorithm in [TokenAlgorithm::Rs256, TokenAlgorithm::Es384] {
            // ECDSA's numbers are of different lengths each time.
            for _ in 0..if algorithm == TokenAlgorithm::Es384 { 300 } else { 3 } {
                let token = federation.sign(algorithm, &claims).unwrap();
                let verified = Token::parse(&token).unwrap().verify(&keys, now.secs()).unwrap();
                assert_eq!(verified.subject, "s");
            }
        }
    }

    #[test]
    fn retired_keys_sign_no_more_and_are_published_for_a_while() {
        let mut federation = federation();
        let now = Timestamp::from_secs(1_767_225_600);
        for key in &mut federation.keys {
            key.retired = Some(now);
        }
        assert!(federation.sign(TokenAlgorithm::Es384, &json!({})).is_err());
        assert!(federation.key_set(now.plus_secs(3899)).unwrap().is_some());
        assert!(federation.key_set(now.plus_secs(3900)).unwrap().is_none());
    }

    #[test]
    fn numbers_in_der_become_fixed_and_others_are_refused() {
        let der = [0x30, 7, 2, 2, 0, 0x80, 2, 1, 5];
        let signature = fixed(&der).unwrap();
        assert_eq!((signature.len(), signature[47], signature[95]), (96, 0x80, 5));
        for bad in [
            &[][..],
            &[0x30, 0],
            &[0x30, 3, 2, 1, 5],
            &[0x30, 6, 2, 1, 5, 3, 1, 5],
            &[0x30, 6, 2, 1, 5, 2, 2, 5],
            &[0x30, 7, 2, 1, 5, 2, 1, 5, 0],
        ] {
            assert!(fixed(bad).is_none(), "{bad:?}");
        }
    }
}
