//! A proxy in the test's hand: it keeps to the protocol, or tells the lie that it is told to tell.
use bytes::Bytes;
use claviger::external::{Proxies, Transport, Way};
use claviger::outgoing::{Answer, OutgoingError};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex};

use crate::xks::{b64, unb64};

/// What becomes of an answer of Encrypt or Decrypt.
#[expect(clippy::type_complexity, reason = "it is said once, here")]
pub struct Lie(Box<dyn Fn(&mut u16, &mut Value) + Send + Sync>);

impl Lie {
    pub fn of(lie: impl Fn(&mut u16, &mut Value) + Send + Sync + 'static) -> Self {
        Self(Box::new(lie))
    }
}

#[derive(Default)]
pub struct Liar {
    lie: Mutex<Option<Lie>>,
    /// The plaintexts that it was given: the insides of blobs.
    pub seen: Mutex<Vec<Value>>,
}

impl std::fmt::Debug for Liar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Liar")
    }
}

impl Liar {
    pub fn tells(&self, lie: impl Fn(&mut u16, &mut Value) + Send + Sync + 'static) {
        self.tell(Lie::of(lie));
    }

    pub fn tell(&self, lie: Lie) {
        *self.lie.lock().unwrap() = Some(lie);
    }

    pub fn honest(&self) {
        *self.lie.lock().unwrap() = None;
    }

    pub fn proxies(self: &Arc<Self>) -> Proxies {
        Proxies::of(vec![Way::over("https://liar.example.com", self.clone())])
    }

    fn answer(&self, path: &str, body: &Value) -> (u16, Value) {
        let mask = |value: &Value| unb64(value).iter().map(|b| b ^ 0x5a).collect::<Vec<u8>>();
        let aad = unb64(body.get("additionalAuthenticatedData").unwrap_or(&json!("")));
        let tag = |ciphertext: &[u8]| {
            let hash = Sha256::new().chain_update(&aad).chain_update(ciphertext).finalize();
            hash[..16].to_vec()
        };
        match path.rsplit('/').next().unwrap() {
            "health" => (
                200,
                json!({
                    "xksProxyFleetSize": 1, "xksProxyVendor": "v", "xksProxyModel": "m",
                    "ekmVendor": "v",
                    "ekmFleetDetails": [{"id": "1", "model": "m", "healthStatus": "ACTIVE"}],
                }),
            ),
            "metadata" => (
                200,
                json!({
                    "keySpec": "AES_256", "keyUsage": ["ENCRYPT", "DECRYPT"], "keyStatus": "ENABLED",
                }),
            ),
            "encrypt" => {
                self.seen.lock().unwrap().push(body["plaintext"].clone());
                let (iv, ciphertext) = (vec![7; 12], mask(&body["plaintext"]));
                let tag = tag(&ciphertext);
                (200, vouched(&aad, b"", &iv, &ciphertext, &tag))
            }
            _ if unb64(&body["authenticationTag"]) != tag(&unb64(&body["ciphertext"])) => {
                (400, json!({"errorName": "InvalidCiphertextException"}))
            }
            _ => (200, json!({"plaintext": b64(&mask(&body["ciphertext"]))})),
        }
    }
}

/// An answer of Encrypt with its integrity value.
pub fn vouched(aad: &[u8], metadata: &[u8], iv: &[u8], ciphertext: &[u8], tag: &[u8]) -> Value {
    let mut hash = Sha256::new();
    for part in [aad, metadata, iv, ciphertext, tag] {
        hash.update(part);
    }
    let mut answer = json!({
        "ciphertext": b64(ciphertext),
        "initializationVector": b64(iv),
        "authenticationTag": b64(tag),
        "ciphertextDataIntegrityValue": b64(&hash.finalize()),
    });
    if !metadata.is_empty() {
        answer["ciphertextMetadata"] = json!(b64(metadata));
    }
    answer
}

#[async_trait::async_trait]
impl Transport for Liar {
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, OutgoingError> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let (mut status, mut answer) = self.answer(&path, &body);
        if let Some(Lie(lie)) = &*self.lie.lock().unwrap() {
            // The lie may need what was bound.
            answer["aad"] = body.get("additionalAuthenticatedData").cloned().unwrap_or_default();
            lie(&mut status, &mut answer);
        }
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Answer { status, headers: HeaderMap::new(), body: answer.to_string().into() })
    }
}
