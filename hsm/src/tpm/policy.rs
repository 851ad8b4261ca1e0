//! To what a sealed object is bound, and the policy digest that says so to the TPM.
//!
//! The digest is computed here and compared with the one in the object: a description of a policy
//! is believed only if the TPM enforces that very policy.

use super::config::Pcrs;
use sha2::{Digest as _, Sha256};

const CC_POLICY_PCR: u32 = 0x0000_017f;
const CC_POLICY_AUTH_VALUE: u32 = 0x0000_016b;
const ALG_SHA256: u16 = 0x000b;

/// Length of the value of a PCR in the SHA-256 bank, in bytes.
pub(super) const PCR_LEN: usize = 32;

/// What opens a sealed object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// The auth value of the root key is needed.
    pub auth: bool,
    pub pcrs: Option<PcrState>,
}

/// Some PCRs and the values they had when an object was sealed, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PcrState {
    pub pcrs: Pcrs,
    pub values: Vec<[u8; PCR_LEN]>,
}

impl PcrState {
    /// SHA-256 of the values, one after the other (TPM 2.0 part 3, 23.7).
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.values.concat()).into()
    }

    /// The numbers of the PCRs that have another value in `now`.
    pub fn changed(&self, now: &Self) -> Vec<u8> {
        let pairs = self.pcrs.numbers().into_iter().zip(self.values.iter().zip(&now.values));
        pairs.filter(|(_, (then, now))| then != now).map(|(number, _)| number).collect()
    }
}

impl Policy {
    /// TPM2_PolicyPCR, then TPM2_PolicyAuthValue (TPM 2.0 part 3, 23.7 and 23.17). None where no
    /// PCR is bound: then the auth value alone opens the object, without a policy.
    pub fn digest(&self) -> Option<[u8; 32]> {
        let state = self.pcrs.as_ref()?;
        let mut digest = Sha256::new()
            .chain_update([0; 32])
            .chain_update(CC_POLICY_PCR.to_be_bytes())
            .chain_update(1_u32.to_be_bytes())
            .chain_update(ALG_SHA256.to_be_bytes())
            .chain_update([3])
            .chain_update(state.pcrs.bits())
            .chain_update(state.digest())
            .finalize();
        if self.auth {
            let bytes = CC_POLICY_AUTH_VALUE.to_be_bytes();
            digest = Sha256::new().chain_update(digest).chain_update(bytes).finalize();
        }
        Some(digest.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_depends_on_everything_that_is_bound() {
        let state = |text: &str, values: &[u8]| {
            let values = values.iter().map(|byte| [*byte; 32]).collect();
            Some(PcrState { pcrs: text.parse().unwrap(), values })
        };
        let all = [
            Policy { auth: false, pcrs: state("sha256:7", &[0]) },
            Policy { auth: true, pcrs: state("sha256:7", &[0]) },
            Policy { auth: false, pcrs: state("sha256:8", &[0]) },
            Policy { auth: false, pcrs: state("sha256:7", &[1]) },
            Policy { auth: false, pcrs: state("sha256:7,8", &[0, 0]) },
        ];
        let digests: std::collections::BTreeSet<_> = all.iter().map(Policy::digest).collect();
        assert_eq!(digests.len(), all.len());
        assert_eq!(Policy { auth: true, pcrs: None }.digest(), None);
    }

    #[test]
    fn a_change_is_named() {
        let state = |values: [u8; 3]| PcrState {
            pcrs: "sha256:1,7,16".parse().unwrap(),
            values: values.map(|byte| [byte; 32]).to_vec(),
        };
        assert_eq!(state([1, 2, 3]).changed(&state([1, 0, 4])), [7, 16]);
        assert_eq!(state([1, 2, 3]).changed(&state([1, 2, 3])), [0; 0]);
    }
}
