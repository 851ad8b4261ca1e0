//! Imported key material: GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial, and
//! what expires. The wrapping is done here as a client does it.
mod again;
mod expiry;
mod material;
mod multi_region;
mod new_material;
mod permissions;
mod states;
mod tokens;
mod wrapping;

use crate::support::id_of;
use crate::world::{Failed, NOW_SECS, REGION, World};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey,
};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use claviger::primitives::{KeySpec, PrivateKey};
use claviger::random::SeededRandom;
use claviger::seal::Table;
use claviger::store::Record;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const DAY: i64 = 86_400;
const OAEP: &str = "RSAES_OAEP_SHA_256";
const OVER_AES: &str = "RSA_AES_KEY_WRAP_SHA_256";
const SMALL: &str = "RSA_2048";

fn b64(bytes: &[u8]) -> String {
    B64.encode(bytes)
}

fn bytes(value: &Value) -> Vec<u8> {
    B64.decode(value.as_str().expect("a blob")).unwrap()
}

/// A time as requests carry it.
fn after(seconds: i64) -> i64 {
    NOW_SECS + seconds
}

/// Wraps material as the documents of AWS say, for a public key that was asked for.
fn wrap(algorithm: &str, public: &[u8], material: &[u8]) -> Vec<u8> {
    let key = PublicEncryptingKey::from_der(public).unwrap();
    let key = OaepPublicEncryptingKey::new(key).unwrap();
    let hash =
        if algorithm.ends_with("SHA_256") { &OAEP_SHA256_MGF1SHA256 } else { &OAEP_SHA1_MGF1SHA1 };
    let oaep = |plaintext: &[u8]| {
        let mut out = vec![0; key.ciphertext_size()];
        key.encrypt(hash, plaintext, &mut out, None).unwrap().to_vec()
    };
    if !algorithm.starts_with("RSA_AES") {
        return oaep(material);
    }
    let between = [0x5a; 32];
    let mut out = vec![0; material.len() + 16];
    let kek = AesKek::new(&AES_256, &between).unwrap();
    let wrapped = kek.wrap_with_padding(material, &mut out).unwrap();
    [oaep(&between), wrapped.to_vec()].concat()
}

/// A private key of a spec, PKCS#8, or an HMAC key.
fn generated(spec: KeySpec) -> Vec<u8> {
    PrivateKey::generate(spec, &SeededRandom::new(7)).unwrap().to_vec()
}

/// A row of any table: only that it is there matters.
#[derive(Debug, Serialize, Deserialize)]
struct Row<const NAME: usize> {}

const TABLES: [&str; 4] = ["material", "import-key", "import-keys", "due-import"];

impl<const NAME: usize> Record for Row<NAME> {
    const TABLE: Table = Table::new(TABLES[NAME]);
    const CACHED: bool = false;
}

/// What GetParametersForImport gave.
struct Parameters {
    algorithm: String,
    token: Value,
    public: Vec<u8>,
}

impl Parameters {
    /// An ImportKeyMaterial of this, for ever.
    fn body(&self, key: &str, material: &[u8]) -> Value {
        json!({
            "KeyId": key,
            "ImportToken": self.token,
            "EncryptedKeyMaterial": b64(&wrap(&self.algorithm, &self.public, material)),
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        })
    }
}

/// `body` with more members, or others.
fn with(mut body: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// `body`, but the material expires so many seconds after the world's beginning.
fn expiring(body: Value, seconds: i64) -> Value {
    let more = json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": after(seconds)});
    with(body, more)
}

impl World {
    /// A key without material.
    async fn external(&self, spec: &str, usage: &str) -> String {
        let body = json!({"KeySpec": spec, "KeyUsage": usage, "Origin": "EXTERNAL"});
        self.kms("CreateKey", body).await["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    async fn external_symmetric(&self) -> String {
        self.external("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").await
    }

    async fn parameters(&self, key: &str, algorithm: &str, spec: &str) -> Parameters {
        self.parameters_in(REGION, key, algorithm, spec).await
    }

    async fn parameters_in(
        &self,
        region: &str,
        key: &str,
        algorithm: &str,
        spec: &str,
    ) -> Parameters {
        let body = json!({"KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": spec});
        let name = "GetParametersForImport";
        let given = self.call_in(&self.root, region, "kms", name, body).await.unwrap();
        Parameters {
            algorithm: algorithm.into(),
            token: given["ImportToken"].clone(),
            public: bytes(&given["PublicKey"]),
        }
    }

    /// Parameters that symmetric, HMAC and elliptic keys take.
    async fn oaep(&self, key: &str) -> Parameters {
        self.parameters(key, OAEP, SMALL).await
    }

    async fn import(&self, key: &str, material: &[u8]) -> Value {
        let parameters = self.oaep(key).await;
        self.kms("ImportKeyMaterial", parameters.body(key, material)).await
    }

    async fn import_fails(&self, key: &str, material: &[u8], more: Value) -> Failed {
        let body = self.oaep(key).await.body(key, material);
        self.kms_fails("ImportKeyMaterial", with(body, more)).await
    }

    /// How many rows of a table speak of a key.
    async fn rows(&self, table: &str, key: &str) -> usize {
        match TABLES.iter().position(|name| *name == table).unwrap() {
            0 => self.count::<0>(key).await,
            1 => self.count::<1>(key).await,
            2 => self.count::<2>(key).await,
            _ => self.count::<3>(key).await,
        }
    }

    async fn count<const NAME: usize>(&self, key: &str) -> usize {
        let rows = self.server.store.begin().list_all::<Row<NAME>>(1000).await.unwrap();
        rows.iter().filter(|(parts, _)| parts.iter().any(|part| part == id_of(key))).count()
    }

    async fn metadata(&self, key: &str) -> Value {
        self.kms("DescribeKey", json!({"KeyId": key})).await["KeyMetadata"].clone()
    }

    async fn reopens(&self, blob: &str) {
        let opened = self.kms("Decrypt", json!({"CiphertextBlob": blob})).await;
        assert_eq!(opened["Plaintext"], "aGVsbG8=");
    }
}
