//! A key in a device as an external key of another KMS (`keys/proxied.rs`): the device does the AES-GCM
//! with the key itself, bound as the protocol binds it. The metadata is one byte, 02, the format.
//!
//! The device's own format is `u8(len IV) ‖ IV ‖ ciphertext ‖ tag` (crate `claviger-hsm`,
//! `resident/sealed.rs`); here it is taken apart and put together.
use super::InDevice;
use super::calls::Failed;
use crate::keys::KeyError;
use crate::keys::proxied::bound;
use crate::types::{Plaintext, Sealed};
use claviger_hsm::{HsmError, KeyBytes};

/// The metadata of what a device has encrypted.
const DEVICE_FORMAT: [u8; 1] = [0x02];

impl InDevice<'_> {
    pub async fn seal_for_proxy(&self, plaintext: &[u8], aad: &[u8]) -> Result<Sealed, KeyError> {
        let (bound, plaintext) = (bound(aad, &DEVICE_FORMAT)?, KeyBytes::new(plaintext.to_vec()));
        let sealed = self
            .ask(move |keys, key| keys.encrypt(&key.object, &plaintext, &bound))
            .await
            .map_err(|error| self.failed(error))?;
        let other = || HsmError::Refused("a ciphertext that is not of its format".into());
        taken_apart(&sealed).ok_or_else(|| self.failed(Failed::Device(other())))
    }

    pub async fn open_for_proxy(&self, sealed: &Sealed, aad: &[u8]) -> Result<Plaintext, KeyError> {
        let bound = bound(aad, &sealed.metadata)?;
        let bytes = put_together(sealed).ok_or(KeyError::InvalidCiphertext)?;
        let opened = self
            .ask(move |keys, key| keys.decrypt(&key.object, &bytes, &bound))
            .await
            .map_err(|error| self.failed(error))?;
        Ok(Plaintext::new(opened.expose().to_vec()))
    }
}

/// What a device answered, in parts. The protocol knows IVs of 12 and 16 bytes only.
fn taken_apart(bytes: &[u8]) -> Option<Sealed> {
    let (iv_len, rest) = bytes.split_first()?;
    let (iv, rest) = rest.split_at_checked(usize::from(*iv_len))?;
    let (ciphertext, tag) = rest.split_last_chunk()?;
    is_iv(iv).then(|| Sealed {
        metadata: DEVICE_FORMAT.to_vec(),
        iv: iv.to_vec(),
        ciphertext: ciphertext.to_vec(),
        tag: *tag,
    })
}

/// What a device opens; none of what it did not make.
fn put_together(sealed: &Sealed) -> Option<Vec<u8>> {
    let ours = sealed.metadata == DEVICE_FORMAT && is_iv(&sealed.iv);
    let iv_len = u8::try_from(sealed.iv.len()).ok().filter(|_| ours)?;
    Some([&[iv_len], &sealed.iv[..], &sealed.ciphertext, &sealed.tag].concat())
}

fn is_iv(iv: &[u8]) -> bool {
    matches!(iv.len(), 12 | 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_apart_is_put_together_again() {
        for (iv, text) in [(12, 0), (12, 100), (16, 4300)] {
            let bytes = [vec![iv], vec![7; usize::from(iv)], vec![8; text], vec![9; 16]].concat();
            let sealed = taken_apart(&bytes).unwrap();
            assert_eq!((sealed.ciphertext.len(), sealed.tag), (text, [9; 16]));
            assert_eq!(put_together(&sealed), Some(bytes));
            let other = Sealed { metadata: vec![1], ..sealed.clone() };
            assert_eq!(put_together(&other), None);
            let other = Sealed { iv: vec![7; 13], ..sealed };
            assert_eq!(put_together(&other), None);
        }
        for bad in [&[][..], &[12], &[13; 40], &[12; 28]] {
            assert_eq!(taken_apart(bad), None, "{bad:?}");
        }
    }
}
