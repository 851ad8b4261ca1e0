//! Why a deployment does not open, or its wraps do not change.
use super::recovery::RecoveryError;
use crate::devices;
use crate::store::StoreError;
use claviger_hsm::HsmError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("{0}")]
    Device(#[from] HsmError),
    #[error("{path}: {what}")]
    Deployment { path: PathBuf, what: String },
    #[error(
        "this is not the token that protects {path}: its domain keys are wrapped by root key \
         {wanted:?} of {device}; the token that was opened ({found}) has {present}. Nothing was \
         changed. Open the token that the deployment was made with."
    )]
    OtherDevice { path: PathBuf, wanted: String, device: String, found: String, present: String },
    #[error(
        "root key {root:?} of {device} does not open domain key {generation} of {path}: the token's \
         key is another one than it was, or the file was changed. Nothing was changed."
    )]
    WrongKey { path: PathBuf, root: String, device: String, generation: u32 },
    /// Several devices, and none that can be asked opens this domain key.
    #[error(
        "no device that can be reached opens domain key {generation} of {path}, which is wrapped by \
         {wanted}. {tried}. Nothing was changed."
    )]
    Unreachable {
        path: PathBuf,
        generation: u32,
        wanted: String,
        tried: String,
        away: bool,
        operator: bool,
    },
    /// The copy that nodes share.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Recovery(#[from] RecoveryError),
    /// A command that must not be followed.
    #[error("{0}")]
    Refused(String),
}

impl RootError {
    /// Whether the deployment opens as soon as a device is back: nothing is wrong with it, as far as
    /// one can see.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Device(error) => devices::is_away(error),
            Self::Unreachable { away, .. } => *away,
            _ => false,
        }
    }

    /// Whether waiting will not do: an operator must put something right.
    pub fn needs_operator(&self) -> bool {
        match self {
            // PCRs stay as they are until the next boot.
            Self::Device(HsmError::PcrMismatch { .. }) => true,
            Self::Device(error) => devices::needs_operator(error),
            Self::Unreachable { operator, .. } => *operator,
            _ => false,
        }
    }
}
