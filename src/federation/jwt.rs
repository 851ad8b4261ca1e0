//! JSON web tokens (RFC 7519, RFC 7515) as OpenID Connect issuers sign them. Nothing that a token says
//! is believed before its signature is checked, but for the issuer's name, by which the key is found.
use super::jwks::{Algorithm, Jwks};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::Deserialize;
use serde_json::Value;

/// How far an issuer's clock may be ahead of ours, in seconds.
const SKEW_SECONDS: i64 = 300;
/// OpenID Connect Core, "ID Token": 255 characters.
const MAX_SUBJECT_CHARS: usize = 255;

/// Why a token is not good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    #[error(
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access \
         Token)"
    )]
    Malformed,
    #[error("The algorithm of the token is not supported")]
    Algorithm,
    #[error("Missing a required claim: {0}")]
    Missing(&'static str),
    /// No key of the issuer is the one, or more than one could be.
    #[error(
        "Couldn't retrieve verification key from your identity provider, please reference \
         AssumeRoleWithWebIdentity documentation for requirements"
    )]
    Key,
    #[error("The signature of the token is not valid")]
    Signature,
    #[error("Incorrect token audience")]
    Audience,
    #[error("Token expired: current date/time {now} must be before the expiration date/time {at}")]
    Expired { now: i64, at: i64 },
    #[error("The token is not valid yet")]
    TooEarly,
    #[error("The subject of the token is empty or too long")]
    Subject,
}

/// A token that was read, and not checked.
#[derive(Debug)]
pub struct Token<'t> {
    algorithm: Algorithm,
    key_id: Option<String>,
    signed: &'t str,
    signature: Vec<u8>,
    claims: Claims,
}

/// What the issuer says.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    pub issuer: String,
    pub subject: String,
    pub audiences: Vec<String>,
    /// To whom the token was given, if that is another than whom it is for.
    pub authorized_party: Option<String>,
    pub methods: Vec<String>,
    expires: i64,
    issued: i64,
    not_before: Option<i64>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Payload {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<OneOrMany>,
    azp: Option<String>,
    amr: Option<Vec<String>>,
    // Seconds; some issuers write fractions.
    exp: Option<f64>,
    iat: Option<f64>,
    nbf: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl<'t> Token<'t> {
    pub fn parse(text: &'t str) -> Result<Self, InvalidToken> {
        let malformed = || InvalidToken::Malformed;
        let (signed, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
        let header: Header = object(header)?;
        // An extension that must be understood is one that we do not know.
        if header.crit.is_some() {
            return Err(InvalidToken::Malformed);
        }
        let algorithm = Algorithm::parse(&header.alg).ok_or(InvalidToken::Algorithm)?;
        let claims = Claims::of(object(payload)?)?;
        let signature = B64.decode(signature).map_err(|_| malformed())?;
        Ok(Self { algorithm, key_id: header.kid, signed, signature, claims })
    }

    /// What the token claims to come from.
    pub fn issuer(&self) -> &str {
        &self.claims.issuer
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The claims of a token that the issuer signed and that is good now.
    pub fn verify(self, keys: &Jwks, now_secs: i64) -> Result<Claims, InvalidToken> {
        let message = self.signed.as_bytes();
        keys.verify(self.algorithm, self.key_id.as_deref(), message, &self.signature)?;
        let claims = self.claims;
        if claims.expires <= now_secs {
            return Err(InvalidToken::Expired { now: now_secs, at: claims.expires });
        }
        let latest = now_secs.saturating_add(SKEW_SECONDS);
        if claims.issued > latest || claims.not_before.is_some_and(|at| at > latest) {
            return Err(InvalidToken::TooEarly);
        }
        let length = claims.subject.chars().count();
        if length == 0 || length > MAX_SUBJECT_CHARS {
            return Err(InvalidToken::Subject);
        }
        Ok(claims)
    }
}

/// One of a token's parts. Serde would also take a list for it.
fn object<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, InvalidToken> {
    let text = B64.decode(part).map_err(|_| InvalidToken::Malformed)?;
    if text.first() != Some(&b'{') {
        return Err(InvalidToken::Malformed);
    }
    serde_json::from_slice(&text).map_err(|_| InvalidToken::Malformed)
}

impl Claims {
    fn of(payload: Payload) -> Result<Self, InvalidToken> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it saturates, which is what is wanted"
        )]
        let seconds = |at: f64| at as i64;
        let missing = InvalidToken::Missing;
        Ok(Self {
            issuer: payload.iss.ok_or(missing("iss"))?,
            subject: payload.sub.ok_or(missing("sub"))?,
            audiences: match payload.aud.ok_or(missing("aud"))? {
                OneOrMany::One(one) => vec![one],
                OneOrMany::Many(many) => many,
            },
            authorized_party: payload.azp,
            methods: payload.amr.unwrap_or_default(),
            expires: payload.exp.map(seconds).ok_or(missing("exp"))?,
            issued: payload.iat.map(seconds).ok_or(missing("iat"))?,
            not_before: payload.nbf.map(seconds),
        })
    }

    /// The one audience of the token that is registered, to whom it was also given. More than one
    /// would leave open which a policy means.
    pub fn audience(&self, registered: &[String]) -> Result<String, InvalidToken> {
        let mut known = self.audiences.iter().filter(|audience| registered.contains(audience));
        let (Some(audience), None) = (known.next(), known.next()) else {
            return Err(InvalidToken::Audience);
        };
        match &self.authorized_party {
            Some(party) if !registered.contains(party) => Err(InvalidToken::Audience),
            Some(party) => Ok(party.clone()),
            None => Ok(audience.clone()),
        }
    }
}
