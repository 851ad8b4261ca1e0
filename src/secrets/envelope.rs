//! How a value is sealed: under a data key of its own, which KMS keeps encrypted.
//!
//! ```text
//! off len
//!  0   4  "CLVS"
//!  4   1  01            format version
//!  5   1  01            suite: HKDF-SHA-256 / AES-256-GCM / 32-byte commitment
//!  6   n  N ‖ Com ‖ IV ‖ ciphertext ‖ tag    (see `seal::scheme`)
//! ```
//!
//! Label `claviger/v1/secret-value`; associated data = length-prefixed (ARN, version id, kind). A
//! value moved to another secret or version does not open there, and text does not open as bytes.
use super::{SecretError, SecretValue, ValueKind, Version};
use crate::random::Random;
use crate::seal::{self, Key32, Label};
use crate::types::{Arn, Blob, Plaintext, Timestamp};

const HEADER: &[u8; 6] = b"CLVS\x01\x01";

/// The key that seals one value, open.
#[derive(Debug)]
pub struct DataKey(Key32);

impl DataKey {
    pub fn generate(random: &dyn Random) -> Self {
        Self(Key32::generate(random))
    }

    /// The data key that KMS decrypted.
    pub fn opened(plaintext: &Plaintext) -> Result<Self, SecretError> {
        let bytes = plaintext.expose().try_into().map_err(|_| SecretError::Decryption(None))?;
        Ok(Self(Key32::new(bytes)))
    }

    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// A version's value, ready for the store.
#[derive(Debug)]
pub struct SealedValue {
    pub(super) version: Version,
    /// The KMS key that encrypted the data key; none for `aws/secretsmanager`.
    pub(super) key: Option<Arn>,
}

/// What a sealed value is bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub arn: &'a Arn,
    pub version_id: &'a str,
    pub kind: ValueKind,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let parts = [self.arn.as_str(), self.version_id, self.kind.name()];
        seal::length_prefixed(&parts.map(str::as_bytes))
    }
}

impl SealedValue {
    /// Seals a value under a data key. `wrapped` is that key as KMS encrypted it under `key`.
    pub fn seal(
        value: &SecretValue,
        secret: &Arn,
        version_id: &str,
        data_key: &DataKey,
        (wrapped, key): (Blob, Option<Arn>),
        random: &dyn Random,
        now: Timestamp,
    ) -> Self {
        let kind = value.kind();
        let place = Place { arn: secret, version_id, kind };
        let sealed = seal_bytes(value.bytes(), data_key, place, random);
        let version = Version { kind, data_key: wrapped, value: Blob(sealed), created: now };
        Self { version, key }
    }
}

impl Version {
    /// The value, given the data key that KMS decrypted for it.
    pub fn open(
        &self,
        secret: &Arn,
        version_id: &str,
        data_key: &DataKey,
    ) -> Result<SecretValue, SecretError> {
        let place = Place { arn: secret, version_id, kind: self.kind };
        let opened = seal::open(
            data_key.expose(),
            HEADER,
            Label::SECRET_VALUE,
            &place.associated_data(),
            &self.value.0,
        );
        let value = opened.ok().and_then(|bytes| SecretValue::opened(self.kind, bytes));
        value.ok_or(SecretError::Decryption(None))
    }
}

fn seal_bytes(value: &[u8], data_key: &DataKey, place: Place<'_>, random: &dyn Random) -> Vec<u8> {
    let aad = place.associated_data();
    seal::seal(data_key.expose(), HEADER, Label::SECRET_VALUE, &aad, random, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;
    use crate::types::SecretText;

    const ID: &str = "11111111-1111-4111-8111-111111111111";

    fn arn(name: &str) -> Arn {
        format!("arn:aws:secretsmanager:eu-west-1:111122223333:secret:{name}").parse().unwrap()
    }

    fn sealed(random: &SeededRandom, key: &DataKey) -> Version {
        let value = SecretValue::String(SecretText::new("hunter2".into()));
        let wrapped = (Blob(b"wrapped".to_vec()), None);
        SealedValue::seal(&value, &arn("a-Ab12Cd"), ID, key, wrapped, random, Timestamp(0)).version
    }

    #[test]
    fn opens_in_its_place_only() {
        let random = SeededRandom::new(1);
        let key = DataKey::generate(&random);
        let version = sealed(&random, &key);
        let SecretValue::String(text) = version.open(&arn("a-Ab12Cd"), ID, &key).unwrap() else {
            panic!("a string went in");
        };
        assert_eq!(text.expose(), "hunter2");
        assert!(version.open(&arn("b-Ab12Cd"), ID, &key).is_err());
        assert!(version.open(&arn("a-Ab12Cd"), "another", &key).is_err());
        assert!(version.open(&arn("a-Ab12Cd"), ID, &DataKey::generate(&random)).is_err());
        let as_binary = Version { kind: ValueKind::Binary, ..version };
        assert!(as_binary.open(&arn("a-Ab12Cd"), ID, &key).is_err());
    }

    #[test]
    fn every_bit_counts() {
        let random = SeededRandom::new(1);
        let key = DataKey::generate(&random);
        let version = sealed(&random, &key);
        for bit in 0..version.value.0.len() * 8 {
            let mut changed = version.clone();
            changed.value.0[bit / 8] ^= 1 << (bit % 8);
            assert!(changed.open(&arn("a-Ab12Cd"), ID, &key).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_data_key_has_32_bytes_and_does_not_print() {
        assert!(DataKey::opened(&Plaintext::new(vec![7; 31])).is_err());
        let key = DataKey::opened(&Plaintext::new(vec![0xab; 32])).unwrap();
        assert_eq!(key.expose(), &[0xab; 32]);
        assert_eq!(format!("{key:?}"), "DataKey(Key32(..))");
    }
}
