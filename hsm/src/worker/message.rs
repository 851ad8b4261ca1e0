//! What server and helper say to each other: one request per method of a device, one answer each.
//!
//! Key bytes and PINs are encoded only here: their types cannot be serialised otherwise. Whoever
//! changes this file, or a type that it names, changes the version in `frame.rs`.

use crate::pkcs11::{Pin, PinSource, Pkcs11Config, Report, Watcher};
use crate::{
    BrokenKey, DeviceInfo, Hash, KeyBytes, Mechanism, ResidentId, ResidentReport, ResidentSpec,
    RootKeyId, SignatureScheme, WrappedKey,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which device a helper opens.
#[derive(Serialize, Deserialize)]
pub enum OpenRequest {
    Pkcs11(#[serde(with = "Pkcs11ConfigWire")] Pkcs11Config),
    /// A [`SoftwareHsm`](crate::SoftwareHsm), which forgets its root keys when its helper ends.
    /// For tests.
    Software {
        /// 32 bytes.
        #[serde(with = "secret")]
        seed: KeyBytes,
    },
}

impl std::fmt::Debug for OpenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pkcs11(config) => f.debug_tuple("Pkcs11").field(config).finish(),
            Self::Software { .. } => f.write_str("Software { .. }"),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Pkcs11Config")]
struct Pkcs11ConfigWire {
    module: PathBuf,
    token_label: String,
    #[serde(with = "PinSourceWire")]
    pin: PinSource,
    profile: Option<String>,
    wrap: Option<Mechanism>,
    accept_weak_token: bool,
    parameters: Option<String>,
    sessions: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PinSource")]
enum PinSourceWire {
    Fixed(#[serde(with = "pin")] Pin),
    File(PathBuf),
    /// Only within a process.
    #[serde(skip)]
    Watched(Box<PinSource>, Watcher),
}

/// From the server to the helper. No `Debug`: some hold plaintext.
#[derive(Serialize, Deserialize)]
pub(super) enum Request {
    /// The first, once.
    Open {
        threads: u16,
        device: OpenRequest,
    },
    Probe,
    Report,
    Random(u32),
    CreateRootKey(RootKeyId),
    DestroyRootKey(RootKeyId),
    RootKeys,
    CheckRootKey(RootKeyId),
    RootKeyClaims(RootKeyId),
    Wrap {
        root: RootKeyId,
        #[serde(with = "secret")]
        key: KeyBytes,
        #[serde(with = "bytes")]
        aad: Vec<u8>,
    },
    Unwrap {
        root: RootKeyId,
        #[serde(with = "bytes")]
        wrapped: Vec<u8>,
        #[serde(with = "bytes")]
        aad: Vec<u8>,
    },
    Generate(ResidentId, ResidentSpec),
    CheckResident(ResidentId, Option<Vec<u8>>),
    Destroy(ResidentId),
    ResidentKeys,
    Broken,
    Encrypt {
        id: ResidentId,
        #[serde(with = "secret")]
        plaintext: KeyBytes,
        #[serde(with = "bytes")]
        aad: Vec<u8>,
    },
    Decrypt {
        id: ResidentId,
        #[serde(with = "bytes")]
        sealed: Vec<u8>,
        #[serde(with = "bytes")]
        aad: Vec<u8>,
    },
    Sign {
        id: ResidentId,
        scheme: SignatureScheme,
        #[serde(with = "bytes")]
        digest: Vec<u8>,
    },
    Mac {
        id: ResidentId,
        hash: Hash,
        #[serde(with = "secret")]
        message: KeyBytes,
    },
    DecryptOaep {
        id: ResidentId,
        hash: Hash,
        #[serde(with = "bytes")]
        ciphertext: Vec<u8>,
    },
    Agree {
        id: ResidentId,
        #[serde(with = "bytes")]
        peer: Vec<u8>,
    },
}

impl Request {
    /// Whether making it twice does no more than making it once.
    pub(super) fn is_idempotent(&self) -> bool {
        !matches!(
            self,
            Self::Open { .. } | Self::CreateRootKey(_) | Self::Generate(..) | Self::Destroy(_)
        )
    }

    /// Whether it makes, destroys, tries or goes over keys, which devices take their time for.
    pub(super) fn is_slow(&self) -> bool {
        matches!(
            self,
            Self::CreateRootKey(_)
                | Self::DestroyRootKey(_)
                | Self::Generate(..)
                | Self::Destroy(_)
                | Self::Broken
                | Self::Report
                | Self::RootKeyClaims(_)
        )
    }

    /// The root key that it uses.
    pub(super) fn root(&self) -> Option<&RootKeyId> {
        match self {
            Self::Wrap { root, .. } | Self::Unwrap { root, .. } => Some(root),
            _ => None,
        }
    }
}

/// The number of an answer that no request was made for.
pub(super) const NOTICE: u64 = u64::MAX;

/// From the helper to the server: what the device gave, or its error.
#[derive(Serialize, Deserialize)]
pub(super) enum Answer {
    Opened {
        info: DeviceInfo,
        /// None if the device has no resident keys.
        specs: Option<Vec<ResidentSpec>>,
        /// [`Hsm::calls_at_once`](crate::Hsm::calls_at_once).
        at_once: Option<u16>,
    },
    Done,
    RootKeys(Vec<RootKeyId>),
    Wrapped(WrappedKey),
    /// Key bytes, plaintext or random bytes.
    Secret(#[serde(with = "secret")] KeyBytes),
    /// A ciphertext, a signature or a MAC.
    Bytes(#[serde(with = "bytes")] Vec<u8>),
    PublicKey(Option<Vec<u8>>),
    ResidentKeys(Vec<ResidentId>),
    Checked(ResidentReport),
    Claims(Vec<(String, String)>),
    Broken(Vec<BrokenKey>),
    Report(Option<Box<Report>>),
    /// To nobody's request ([`NOTICE`]): a PIN is about to be tried.
    TriesPin,
}

impl Answer {
    /// Its name, for the error that says that it was the wrong one.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "Opened",
            Self::Done => "Done",
            Self::RootKeys(_) => "RootKeys",
            Self::Wrapped(_) => "Wrapped",
            Self::Secret(_) => "Secret",
            Self::Bytes(_) => "Bytes",
            Self::PublicKey(_) => "PublicKey",
            Self::ResidentKeys(_) => "ResidentKeys",
            Self::Checked(_) => "Checked",
            Self::Claims(_) => "Claims",
            Self::Broken(_) => "Broken",
            Self::Report(_) => "Report",
            Self::TriesPin => "TriesPin",
        }
    }
}

/// Bytes in one piece rather than one by one.
mod bytes {
    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;
    use std::fmt;

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_bytes(Bytes)
    }
}

/// The same for bytes that are wiped: copied once, into a buffer of their size.
mod secret {
    use super::{KeyBytes, bytes};
    use serde::de::Deserializer;
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(key: &KeyBytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(key.expose())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<KeyBytes, D::Error> {
        bytes::deserialize(from).map(KeyBytes::new)
    }
}

mod pin {
    use super::Pin;
    use serde::de::{Deserialize, Deserializer};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(pin: &Pin, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(pin.expose())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Pin, D::Error> {
        // Borrowed from the frame, which is wiped; copied once.
        <&str>::deserialize(from).map(|pin| Pin::new(pin.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame;
    use super::*;
    use crate::HsmError;

    fn sent<T: Serialize + serde::de::DeserializeOwned>(message: &T) -> T {
        let bytes = frame::encode(1, message).unwrap();
        frame::read(&mut &bytes[..]).unwrap().unwrap().message().unwrap()
    }

    #[test]
    fn every_error_arrives_as_it_was() {
        let id = RootKeyId::new("claviger/test/rk-d/1");
        let errors = [
            HsmError::Authentication,
            HsmError::Unavailable("gone".into()),
            HsmError::NoSuchKey { wanted: id.clone(), found: vec!["a".into(), "b".into()] },
            HsmError::WrongPin { token: "t".into(), flags: "USER_PIN_COUNT_LOW".into() },
            HsmError::ModuleMissing { path: "/no".into(), reason: "none".into() },
            HsmError::NoSuchToken {
                wanted: "t".into(),
                found: vec![crate::TokenSeen { slot: 3, state: crate::TokenState::NotInitialised }],
            },
            HsmError::SelfTest { id, reason: "why".into() },
        ];
        for error in errors {
            let sent_error: Result<Answer, HsmError> = Err(error.clone());
            let arrived: Result<Answer, HsmError> = sent(&sent_error);
            assert_eq!(arrived.err(), Some(error));
        }
    }

    #[test]
    fn a_pin_arrives_and_is_not_printed() {
        let pin = Pin::new("correct-horse-7".into());
        let request = OpenRequest::Pkcs11(Pkcs11Config::new("/lib/module.so", "t", pin));
        assert!(!format!("{request:?}").contains("horse"));
        let OpenRequest::Pkcs11(config) = sent(&request) else { panic!("another device") };
        let PinSource::Fixed(pin) = config.pin else { panic!("another source") };
        assert_eq!(pin.expose(), "correct-horse-7");
        let seed = OpenRequest::Software { seed: KeyBytes::new(vec![0xab; 32]) };
        assert_eq!(format!("{seed:?}"), "Software { .. }");
    }

    #[test]
    fn changed_bytes_are_an_error_or_a_message_and_never_a_panic() {
        let found = (0..20).map(|n| format!("claviger/test/{n}")).collect();
        let wanted = RootKeyId::new("claviger/test/rk-d/1");
        let answers: [Result<Answer, HsmError>; 3] = [
            Ok(Answer::RootKeys(vec![wanted.clone(); 20])),
            Ok(Answer::Secret(KeyBytes::new(vec![7; 64]))),
            Err(HsmError::NoSuchKey { wanted, found }),
        ];
        let mut state = 1_u64;
        let mut random = || {
            // Any sequence will do, if it is the same every time.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap()
        };
        for answer in &answers {
            let good = frame::encode(1, answer).unwrap();
            for _ in 0..5_000 {
                let mut bad = good.to_vec();
                for _ in 0..1 + random() % 4 {
                    // Not the length: that is the frame's.
                    let at = 12 + random() % (bad.len() - 12);
                    bad[at] = random().to_le_bytes()[0];
                }
                let frame = frame::read(&mut &bad[..]).unwrap().unwrap();
                let _ = frame.message::<Result<Answer, HsmError>>();
            }
        }
    }

    #[test]
    fn only_what_makes_or_destroys_is_not_made_twice() {
        let root = RootKeyId::new("a");
        let id = ResidentId::new("a");
        for (request, twice) in [
            (Request::Probe, true),
            (Request::Random(16), true),
            (Request::Unwrap { root: root.clone(), wrapped: vec![], aad: vec![] }, true),
            (Request::CreateRootKey(root), false),
            (Request::Generate(id.clone(), ResidentSpec::Aes256), false),
            (Request::Destroy(id), false),
        ] {
            assert_eq!(request.is_idempotent(), twice);
            assert_eq!(request.is_slow(), !twice);
        }
        let request = Request::DestroyRootKey(RootKeyId::new("a"));
        assert!(request.is_idempotent() && request.is_slow());
    }
}
