//! What the server's cryptography alone costs: a key that is parsed already, and no call around it.
use super::{Case, MESSAGE_BYTES, Outcome, Work};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey,
};
use claviger::keys::ciphertext::{self, Blob, KeyIdBytes};
use claviger::primitives::{EncryptionAlgorithm, MessageType, PrivateKey};
use claviger::random::{Random, SystemRandom};
use std::collections::BTreeMap;

/// Of the two algorithms of RSA keys, the one to choose.
pub(super) const OAEP: EncryptionAlgorithm = EncryptionAlgorithm::RsaesOaepSha256;

const MESSAGE: [u8; MESSAGE_BYTES] = [0x5a; MESSAGE_BYTES];
const SYMMETRIC: [u8; 32] = [7; 32];
const KEY_ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

/// A piece of work that says whether it succeeded.
pub struct Bare(Box<dyn Fn() -> bool + Send + Sync>);

impl Bare {
    /// Refuses work that fails: nobody wants to know how long that takes.
    pub fn new(work: impl Fn() -> bool + Send + Sync + 'static) -> Outcome<Self> {
        if work() { Ok(Self(Box::new(work))) } else { Err("the bare call fails".into()) }
    }

    pub fn run(&self) -> bool {
        (self.0)()
    }
}

/// A decryption by the library itself, as its documentation has it.
pub fn raw_rsa_2048_decrypt() -> Outcome<Bare> {
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048)?;
    let public = OaepPublicEncryptingKey::new(key.public_key())?;
    let key = OaepPrivateDecryptingKey::new(key)?;
    let mut ciphertext = vec![0; public.ciphertext_size()];
    public.encrypt(&OAEP_SHA256_MGF1SHA256, &MESSAGE, &mut ciphertext, None)?;
    Bare::new(move || {
        let mut plaintext = vec![0; key.min_output_size()];
        key.decrypt(&OAEP_SHA256_MGF1SHA256, &ciphertext, &mut plaintext, None).is_ok()
    })
}

impl Case {
    /// The same work without a server. Reading a public key has none.
    pub fn bare(&self) -> Outcome<Option<Bare>> {
        let spec = self.spec;
        match self.work {
            Work::GetPublicKey => return Ok(None),
            // Both halves: the private one alone may be no more than random bytes.
            Work::GenerateDataKeyPair => {
                let pair = move || {
                    let made = PrivateKey::generate(spec, &SystemRandom)?;
                    PrivateKey::parse(spec, &made)?.public_key_der()
                };
                return Bare::new(move || pair().is_ok()).map(Some);
            }
            _ if spec.is_symmetric() => return symmetric(self.work).map(Some),
            _ => {}
        }
        let key = PrivateKey::parse(spec, &PrivateKey::generate(spec, &SystemRandom)?)?;
        let bare = match self.work {
            Work::Encrypt => Bare::new(move || key.encrypt(OAEP, &MESSAGE).is_ok()),
            Work::Decrypt => {
                let blob = key.encrypt(OAEP, &MESSAGE)?;
                Bare::new(move || key.decrypt(OAEP, &blob).is_ok())
            }
            Work::Sign => {
                let algorithm = self.signing()?;
                Bare::new(move || key.sign(algorithm, MessageType::Raw, &MESSAGE).is_ok())
            }
            Work::Verify => {
                let (algorithm, raw) = (self.signing()?, MessageType::Raw);
                let signature = key.sign(algorithm, raw, &MESSAGE)?;
                Bare::new(move || key.verify(algorithm, raw, &MESSAGE, &signature).is_ok())
            }
            Work::GenerateMac => Bare::new(move || key.mac(&MESSAGE).is_ok()),
            Work::VerifyMac => {
                let mac = key.mac(&MESSAGE)?;
                Bare::new(move || key.verify_mac(&MESSAGE, &mac).is_ok())
            }
            Work::DeriveSharedSecret => {
                let peer = PrivateKey::parse(spec, &PrivateKey::generate(spec, &SystemRandom)?)?;
                let peer = peer.public_key_der()?;
                Bare::new(move || key.derive(&peer).is_ok())
            }
            Work::Encapsulate => Bare::new(move || key.encapsulate().is_ok()),
            Work::Decapsulate => {
                let (_, ciphertext) = key.encapsulate()?;
                Bare::new(move || key.decapsulate(&ciphertext).is_ok())
            }
            Work::GenerateDataKey | Work::GenerateDataKeyPair | Work::GetPublicKey => {
                Err("this is not asked of such a key".into())
            }
        };
        bare.map(Some)
    }
}

/// Ciphertexts of symmetric keys: header, keys derived for each, AES-256-GCM.
fn symmetric(work: Work) -> Outcome<Bare> {
    let id: KeyIdBytes = KEY_ID.parse()?;
    let pairs = [("service", "billing"), ("tenant", "tenant-0001")];
    let context: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let seal = move |context: &_, plaintext: &[u8]| {
        ciphertext::seal(&SYMMETRIC, id, [1; 16], context, &SystemRandom, plaintext)
    };
    match work {
        Work::Encrypt => Bare::new(move || seal(&context, &MESSAGE).is_ok()),
        Work::GenerateDataKey => Bare::new(move || {
            let mut data_key = [0; 32];
            SystemRandom.fill(&mut data_key);
            seal(&context, &data_key).is_ok()
        }),
        Work::Decrypt => {
            let blob = seal(&context, &MESSAGE)?;
            Bare::new(move || {
                Blob::parse(&blob).is_ok_and(|blob| blob.open(&SYMMETRIC, &context).is_ok())
            })
        }
        _ => Err("this is not asked of a symmetric key".into()),
    }
}
