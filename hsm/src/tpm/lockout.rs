//! The TPM's protection against guessing: read before every attempt that it would count.
//!
//! TPM 2.0 part 1, Dictionary Attack Protection: each wrong auth value of an object that is not noDA
//! adds one to a counter; at the maximum the TPM refuses all such objects, everybody's, until the
//! counter has gone down with time. A TPM that loses power (or a software TPM that is killed)
//! after such an object was used counts one as well.

use super::device::Device;
use super::fault::Fault;
use crate::HsmError;
use serde::Serialize;
use std::fmt;
use tss_esapi::constants::PropertyTag;

/// TPMA_PERMANENT.inLockout (TPM 2.0 part 2, 8.6).
const IN_LOCKOUT: u32 = 1 << 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lockout {
    /// No auth value is tried at all for now.
    pub locked: bool,
    /// Wrong attempts that are counted at present, of everyone who uses the TPM.
    pub counter: u32,
    /// At this many the TPM locks.
    pub max: u32,
    /// Seconds until the counter is one less; 0: only the lockout hierarchy resets it.
    pub interval_s: u32,
}

impl Lockout {
    /// Refuses an attempt that is useless, or that would lock the TPM if the auth value were wrong.
    pub(super) fn allow_attempt(&self, token: &str) -> Result<(), HsmError> {
        let (token, flags) = (token.to_owned(), self.to_string());
        if self.locked || self.counter >= self.max {
            Err(HsmError::PinLocked { token, flags })
        } else if self.counter + 1 >= self.max {
            Err(HsmError::PinFinalTry { token, flags })
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Lockout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counter, max, interval_s, .. } = self;
        let state = if self.locked { "in lockout" } else { "not in lockout" };
        write!(f, "{state}, {counter} of {max} wrong attempts, ")?;
        match interval_s {
            0 => f.write_str("never one less")?,
            _ => write!(f, "one less every {interval_s} s")?,
        }
        f.write_str(" (tpm2_dictionarylockout --clear-lockout sets them to 0)")
    }
}

impl Device {
    pub fn lockout(&mut self) -> Result<Lockout, Fault> {
        let mut property = |tag| {
            let missing = || HsmError::Refused(format!("the TPM has no property {tag:?}"));
            self.property(tag)?.ok_or_else(|| Fault::Hsm(missing()))
        };
        Ok(Lockout {
            locked: property(PropertyTag::Permanent)? & IN_LOCKOUT != 0,
            counter: property(PropertyTag::LockoutCounter)?,
            max: property(PropertyTag::MaxAuthFail)?,
            interval_s: property(PropertyTag::LockoutInterval)?,
        })
    }

    /// The state as it is now, for a message; whatever it is.
    pub fn lockout_words(&mut self) -> String {
        match self.lockout() {
            Ok(lockout) => lockout.to_string(),
            Err(fault) => format!("unreadable ({})", HsmError::from(fault)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auth_value_is_tried_only_where_a_wrong_one_would_not_lock() {
        let ask = |locked, counter, max| {
            let lockout = Lockout { locked, counter, max, interval_s: 1000 };
            lockout.allow_attempt("t")
        };
        for (counter, max) in [(0, 3), (1, 3), (30, 32), (0, 2)] {
            assert_eq!(ask(false, counter, max), Ok(()), "{counter} of {max}");
        }
        for (counter, max) in [(2, 3), (31, 32), (0, 1)] {
            let refused = ask(false, counter, max).unwrap_err();
            assert!(matches!(refused, HsmError::PinFinalTry { .. }), "{counter} of {max}");
            assert!(refused.to_string().contains(&format!("{counter} of {max} wrong attempts")));
        }
        for (locked, counter, max) in [(true, 0, 3), (false, 3, 3), (false, 0, 0)] {
            let refused = ask(locked, counter, max).unwrap_err();
            assert!(matches!(refused, HsmError::PinLocked { .. }), "{counter} of {max}");
        }
    }
}
