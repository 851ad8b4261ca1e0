//! A local OpenID Connect issuer: its keys, as a file for the server, and tokens signed with them.
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use claviger::federation::{Issuers, Settings};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, LazyLock};

pub const ISSUER: &str = "https://oidc.example.com/cluster";

pub struct Keys {
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    edwards: Ed25519KeyPair,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
    edwards: Ed25519KeyPair::generate().unwrap(),
});

fn curve(name: &str, id: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    json!({"kty": "EC", "crv": name, "kid": id, "use": "sig", "x": B64.encode(x),
        "y": B64.encode(y)})
}

/// What the issuer publishes.
pub fn jwks() -> String {
    let edwards = B64.encode(KEYS.edwards.public_key().as_ref());
    json!({"keys": [
        curve("P-256", "p256", KEYS.p256.public_key().as_ref()),
        curve("P-384", "p384", KEYS.p384.public_key().as_ref()),
        {"kty": "OKP", "crv": "Ed25519", "kid": "edwards", "alg": "EdDSA", "x": edwards},
        {"kty": "oct", "kid": "secret", "k": "AAAA"},
        {"kty": "EC", "crv": "P-256", "kid": "for-encryption", "use": "enc", "x": "AA", "y": "AA"},
    ]})
    .to_string()
}

/// The issuers of a world: this one.
pub fn issuers(dir: &Path) -> Arc<Issuers> {
    let path = dir.join("jwks.json");
    std::fs::write(&path, jwks()).unwrap();
    let settings = Settings {
        issuer: ISSUER.into(),
        jwks_file: Some(path),
        ca_file: None,
        address: None,
        jwks_url: None,
    };
    Arc::new(Issuers::new(&[settings]).unwrap())
}

/// A token with this header, signed with the key that `kid` names.
pub fn signed(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| B64.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let (random, bytes) = (SystemRandom::new(), message.as_bytes());
    let signature = match header["kid"].as_str() {
        Some("p384") => KEYS.p384.sign(&random, bytes).unwrap().as_ref().to_vec(),
        Some("edwards") => KEYS.edwards.sign(bytes).as_ref().to_vec(),
        _ => KEYS.p256.sign(&random, bytes).unwrap().as_ref().to_vec(),
    };
    format!("{message}.{}", B64.encode(signature))
}

pub fn token(claims: &Value) -> String {
    signed(&json!({"alg": "ES256", "kid": "p256"}), claims)
}

/// Claims of a Kubernetes service account, good now.
pub fn claims(now: i64) -> Value {
    json!({"iss": ISSUER, "aud": ["sts.amazonaws.com"], "iat": now, "nbf": now, "exp": now + 600,
        "sub": "system:serviceaccount:shop:payments",
        "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "payments"}}})
}
