//! The cryptographic operations by kind of key: what is asked of the server, and the same work without
//! the server. Both benches measure them, one in its own process, the other over HTTP.
mod bare;
mod timing;

pub use bare::{Bare, raw_rsa_2048_decrypt};
pub use timing::{Sampler, now};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use claviger::primitives::{ECDH, KeySpec, KeyUsage, ML_KEM, PrivateKey, SigningAlgorithm};
use claviger::random::SystemRandom;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What is encrypted, signed and authenticated.
pub const MESSAGE_BYTES: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Encrypt,
    Decrypt,
    GenerateDataKey,
    Sign,
    Verify,
    GenerateMac,
    VerifyMac,
    DeriveSharedSecret,
    Encapsulate,
    Decapsulate,
    GenerateDataKeyPair,
    GetPublicKey,
}

impl Work {
    fn usage(self) -> KeyUsage {
        match self {
            Self::Encrypt | Self::Decrypt | Self::GenerateDataKey | Self::GenerateDataKeyPair => {
                KeyUsage::EncryptDecrypt
            }
            Self::Sign | Self::Verify | Self::GetPublicKey => KeyUsage::SignVerify,
            Self::GenerateMac | Self::VerifyMac => KeyUsage::GenerateVerifyMac,
            Self::DeriveSharedSecret => KeyUsage::KeyAgreement,
            Self::Encapsulate | Self::Decapsulate => KeyUsage::EncapsulateDecapsulate,
        }
    }

    /// All that a key of a usage does.
    fn of(usage: KeyUsage) -> &'static [Self] {
        match usage {
            KeyUsage::EncryptDecrypt => &[Self::Encrypt, Self::Decrypt],
            KeyUsage::SignVerify => &[Self::Sign, Self::Verify],
            KeyUsage::GenerateVerifyMac => &[Self::GenerateMac, Self::VerifyMac],
            KeyUsage::KeyAgreement => &[Self::DeriveSharedSecret],
            KeyUsage::EncapsulateDecapsulate => &[Self::Encapsulate, Self::Decapsulate],
        }
    }
}

/// An operation with a key of one spec, by one algorithm. Of GenerateDataKeyPair it is the pair's spec,
/// and the key is a symmetric one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub work: Work,
    pub spec: KeySpec,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.work, self.spec)
    }
}

impl Case {
    /// Every operation with every spec that it takes.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for usage in KeyUsage::ALL {
            for spec in KeySpec::ALL.iter().filter(|spec| spec.usages().contains(usage)) {
                all.extend(Work::of(*usage).iter().map(|work| Self { work: *work, spec: *spec }));
            }
        }
        all.push(Self { work: Work::GenerateDataKey, spec: KeySpec::SymmetricDefault });
        let pairs = KeySpec::ALL.iter().filter(|spec| spec.pair_spec());
        all.extend(pairs.map(|spec| Self { work: Work::GenerateDataKeyPair, spec: *spec }));
        // The answer is a copy of what lies there, whatever the key: one short and one long.
        let read = [KeySpec::Rsa2048, KeySpec::MlDsa87];
        all.extend(read.map(|spec| Self { work: Work::GetPublicKey, spec }));
        all
    }

    /// The operation's name.
    pub fn operation(&self) -> String {
        format!("{:?}", self.work)
    }

    /// Whether key pairs are made.
    pub fn makes_pairs(&self) -> bool {
        self.work == Work::GenerateDataKeyPair
    }

    /// How long a new RSA key takes is luck: two means of a few tries have no meaningful ratio.
    pub fn is_luck(&self) -> bool {
        self.makes_pairs() && self.spec.is_rsa()
    }

    fn signing(&self) -> Outcome<SigningAlgorithm> {
        if self.spec.is_rsa() {
            return Ok(SigningAlgorithm::RsassaPssSha256);
        }
        Ok(*self.spec.signing_algorithms().first().ok_or("the spec does not sign")?)
    }
}

/// The keys that the cases ask of, each made when it is first asked for.
#[derive(Debug, Default)]
pub struct Keys(HashMap<(KeySpec, KeyUsage), Value>);

impl Keys {
    /// The body of a request of this case, one of many: `n` makes it another. What it needs first, `call`
    /// asks the server for: a key, a ciphertext, a signature.
    pub async fn body(
        &mut self,
        case: Case,
        n: u8,
        call: &mut impl AsyncFnMut(&'static str, Value) -> Outcome<Value>,
    ) -> Outcome<Value> {
        let key = self.key(case, call).await?;
        let message = BASE64.encode([n; MESSAGE_BYTES]);
        let spec = case.spec;
        let context = json!({"service": "billing", "tenant": format!("tenant-{n:04}")});
        Ok(match case.work {
            Work::Encrypt if spec.is_symmetric() => {
                json!({"KeyId": key, "Plaintext": message, "EncryptionContext": context})
            }
            Work::Encrypt => {
                let algorithm = bare::OAEP.as_str();
                json!({"KeyId": key, "Plaintext": message, "EncryptionAlgorithm": algorithm})
            }
            Work::Decrypt if spec.is_symmetric() => {
                let body =
                    json!({"KeyId": key, "Plaintext": message, "EncryptionContext": context});
                let blob = member(call("Encrypt", body).await?, "CiphertextBlob")?;
                json!({"CiphertextBlob": blob, "EncryptionContext": context})
            }
            Work::Decrypt => {
                let algorithm = bare::OAEP.as_str();
                let body =
                    json!({"KeyId": key, "Plaintext": message, "EncryptionAlgorithm": algorithm});
                let blob = member(call("Encrypt", body).await?, "CiphertextBlob")?;
                json!({"KeyId": key, "CiphertextBlob": blob, "EncryptionAlgorithm": algorithm})
            }
            Work::GenerateDataKey => {
                json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context})
            }
            Work::Sign | Work::Verify => {
                let algorithm = case.signing()?.as_str();
                let body = json!({"KeyId": key, "Message": message, "SigningAlgorithm": algorithm});
                after(case.work == Work::Verify, "Sign", body, "Signature", call).await?
            }
            Work::GenerateMac | Work::VerifyMac => {
                let algorithm = spec.mac_algorithms().first().ok_or("the spec makes no MACs")?;
                let body = json!({"KeyId": key, "Message": message, "MacAlgorithm": algorithm});
                after(case.work == Work::VerifyMac, "GenerateMac", body, "Mac", call).await?
            }
            Work::DeriveSharedSecret => {
                let peer = PrivateKey::generate(spec, &SystemRandom)?;
                let peer = PrivateKey::parse(spec, &peer)?.public_key_der()?;
                let peer = BASE64.encode(peer);
                json!({"KeyId": key, "KeyAgreementAlgorithm": ECDH, "PublicKey": peer})
            }
            Work::Encapsulate => json!({"KeyId": key, "EncapsulationAlgorithm": ML_KEM}),
            Work::Decapsulate => {
                let body = json!({"KeyId": key, "EncapsulationAlgorithm": ML_KEM});
                after(true, "Encapsulate", body, "SharedSecretCiphertextBlob", call).await?
            }
            Work::GenerateDataKeyPair => {
                json!({"KeyId": key, "KeyPairSpec": spec, "EncryptionContext": context})
            }
            Work::GetPublicKey => json!({"KeyId": key}),
        })
    }

    async fn key(
        &mut self,
        case: Case,
        call: &mut impl AsyncFnMut(&'static str, Value) -> Outcome<Value>,
    ) -> Outcome<Value> {
        let pair = case.work == Work::GenerateDataKeyPair;
        let spec = if pair { KeySpec::SymmetricDefault } else { case.spec };
        let usage = case.work.usage();
        if let Some(key) = self.0.get(&(spec, usage)) {
            return Ok(key.clone());
        }
        let made = call("CreateKey", json!({"KeySpec": spec, "KeyUsage": usage})).await?;
        let key = made.pointer("/KeyMetadata/Arn").cloned().ok_or("no ARN")?;
        self.0.insert((spec, usage), key.clone());
        Ok(key)
    }
}

/// `body`; with what `operation` answers to it put in, if the case comes after that.
async fn after(
    comes_after: bool,
    operation: &'static str,
    mut body: Value,
    name: &str,
    call: &mut impl AsyncFnMut(&'static str, Value) -> Outcome<Value>,
) -> Outcome<Value> {
    if comes_after {
        let made = member(call(operation, body.clone()).await?, name)?;
        let members = body.as_object_mut().ok_or("the body is no object")?;
        members.insert(name.to_owned(), made);
    }
    Ok(body)
}

fn member(mut answer: Value, name: &str) -> Outcome<Value> {
    Ok(answer.get_mut(name).map(Value::take).ok_or_else(|| format!("no {name}"))?)
}
