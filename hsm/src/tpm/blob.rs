//! A sealed object as bytes: what `hybrid` carries as the device's wrapping of a wrapping key.
//!
//! ```text
//! off    len
//!  0      1   1 = the auth value is needed, 0 = it is not
//!  1      2   the bank: 000b = SHA-256 (TPM_ALG_SHA256), 0000 = no PCR is bound
//!  3      3   which PCRs: PCR n is bit n mod 8 of byte n / 8
//!  6    32k   the values that the k PCRs had at sealing, by ascending number
//!  …      2   p, big endian
//!  …      p   TPMT_PUBLIC; with its length before it: TPM2B_PUBLIC
//!  …      2   q, big endian
//!  …      q   with its length before it: TPM2B_PRIVATE, encrypted by the TPM under the root key
//! ```
//!
//! Nothing follows. Of all this only the private part is secret, and the TPM opens it only with a
//! public part that is unchanged. What stands before the two is believed only as far as the public
//! part says the same (see [`SealedObject::is_consistent`]).

use super::config::Pcrs;
use super::policy::{PCR_LEN, PcrState, Policy};
use super::template;
use crate::hybrid::Hybrid;
use crate::{Mechanism, WrappedKey};

const NO_BANK: u16 = 0;
const SHA256_BANK: u16 = 0x000b;
/// Longest part that is decoded, in bytes: a sealed 32-byte secret has less than 256 in each.
const MAX_PART_LEN: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SealedObject {
    pub policy: Policy,
    /// TPMT_PUBLIC.
    pub public: Vec<u8>,
    /// The contents of a TPM2B_PRIVATE.
    pub private: Vec<u8>,
}

impl SealedObject {
    /// None if a part is longer than its length can say.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut out = vec![u8::from(self.policy.auth)];
        match &self.policy.pcrs {
            None => out.extend_from_slice(&[0; 5]),
            Some(state) => {
                out.extend_from_slice(&SHA256_BANK.to_be_bytes());
                out.extend_from_slice(&state.pcrs.bits());
                out.extend_from_slice(&state.values.concat());
            }
        }
        for part in [&self.public, &self.private] {
            let len = u16::try_from(part.len()).ok()?;
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(part);
        }
        Some(out)
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[auth, high, low, one, two, three], mut rest) = bytes.split_first_chunk()?;
        let auth = match auth {
            0 => false,
            1 => true,
            _ => return None,
        };
        let pcrs = match (u16::from_be_bytes([high, low]), Pcrs::from_bits([one, two, three])) {
            (NO_BANK, None) => None,
            (SHA256_BANK, Some(pcrs)) => {
                let (values, after) = rest.split_at_checked(PCR_LEN * pcrs.numbers().len())?;
                rest = after;
                Some(PcrState { pcrs, values: values.as_chunks().0.to_vec() })
            }
            _ => return None,
        };
        let (public, rest) = part(rest)?;
        let (private, rest) = part(rest)?;
        rest.is_empty().then_some(Self {
            policy: Policy { auth, pcrs },
            public: public.to_vec(),
            private: private.to_vec(),
        })
    }

    /// Whether the public part is that of an object that we seal, under exactly this policy. The
    /// TPM sees to it that the public part is the one it sealed.
    pub fn is_consistent(&self) -> bool {
        let Some((_, unique)) = self.public.split_last_chunk::<32>() else { return false };
        template::sealed(&self.policy, unique).is_ok_and(|wanted| wanted == self.public)
    }
}

/// To what a wrapped key was bound when it was wrapped: anybody can read it there. It stays so, whatever
/// is configured later, until the key is wrapped anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub pcrs: Option<Pcrs>,
    /// Whether the root key's auth value is needed.
    pub auth: bool,
}

impl Binding {
    /// None if no TPM wrapped it.
    pub fn of(wrapped: &WrappedKey) -> Option<Self> {
        let parts = Hybrid::decode(&wrapped.bytes).ok()?;
        let sealed = SealedObject::decode(parts.blob).filter(SealedObject::is_consistent);
        let policy = sealed.filter(|_| parts.mechanism == Mechanism::TpmSeal)?.policy;
        Some(Self { pcrs: policy.pcrs.map(|state| state.pcrs), auth: policy.auth })
    }
}

/// A part with its length before it, and what follows.
fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let len = usize::from(u16::from_be_bytes(*len));
    (1..=MAX_PART_LEN).contains(&len).then(|| rest.split_at_checked(len))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(pcrs: Option<&str>, auth: bool) -> SealedObject {
        let state = |text: &str| {
            let pcrs: Pcrs = text.parse().unwrap();
            PcrState { values: pcrs.numbers().iter().map(|n| [*n; 32]).collect(), pcrs }
        };
        let policy = Policy { auth, pcrs: pcrs.map(state) };
        let public = template::sealed(&policy, &[9; 32]).unwrap();
        SealedObject { policy, public, private: vec![7; 100] }
    }

    #[test]
    fn the_layout_is_the_one_drawn() {
        let bytes = object(None, true).encode().unwrap();
        assert_eq!(bytes[..6], [1, 0, 0, 0, 0, 0]);
        let p = usize::from(u16::from_be_bytes([bytes[6], bytes[7]]));
        assert_eq!(bytes[8 + p..8 + p + 2], [0, 100]);
        assert_eq!(bytes.len(), 8 + p + 2 + 100);
        let bytes = object(Some("sha256:1,16"), false).encode().unwrap();
        assert_eq!(bytes[..6], [0, 0, 0x0b, 2, 0, 1]);
        assert_eq!(bytes[6..70], [[1; 32], [16; 32]].concat());
    }

    #[test]
    fn what_was_encoded_is_decoded_and_nothing_else_is() {
        for (pcrs, auth) in [(None, true), (None, false), (Some("sha256:0,23"), true)] {
            let object = object(pcrs, auth);
            let bytes = object.encode().unwrap();
            assert!(object.is_consistent());
            assert_eq!(SealedObject::decode(&bytes), Some(object));
            for len in 0..bytes.len() {
                assert_eq!(SealedObject::decode(&bytes[..len]), None, "{len} bytes");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(SealedObject::decode(&longer), None);
        }
        // Eight PCRs of no bank, a bank without a PCR, another bank, another flag.
        for start in
            [[0, 0, 0, 255, 0, 0], [0, 0, 11, 0, 0, 0], [0, 0, 12, 1, 0, 0], [2, 0, 0, 0, 0, 0]]
        {
            let bytes = [&start[..], &[0; 2000]].concat();
            assert_eq!(SealedObject::decode(&bytes), None, "{start:?}");
        }
    }

    #[test]
    fn a_description_that_the_tpm_does_not_enforce_is_not_believed() {
        let honest = object(Some("sha256:7"), true);
        let lies: [fn(&mut Policy); 4] = [
            |policy| policy.auth = false,
            |policy| policy.pcrs = None,
            |policy| policy.pcrs.as_mut().unwrap().pcrs = "sha256:8".parse().unwrap(),
            |policy| policy.pcrs.as_mut().unwrap().values[0][0] ^= 1,
        ];
        for (number, lie) in lies.into_iter().enumerate() {
            let mut liar = honest.clone();
            lie(&mut liar.policy);
            assert!(!liar.is_consistent(), "lie {number}");
        }
        // Any byte of the public part but the object's own digest, which the TPM checks.
        for at in 0..honest.public.len() - 32 {
            let mut liar = honest.clone();
            liar.public[at] ^= 1;
            assert!(!liar.is_consistent(), "byte {at}");
        }
    }
}
