//! How AWS names each failure of an STS operation.
use crate::call::OperationError;
use crate::quotas::Throttled;
use crate::store::StoreError;
use crate::wire::{Fault, Protocol, ServiceError};

#[derive(Debug, thiserror::Error)]
pub enum StsError {
    #[error("{0}")]
    Throttled(#[from] Throttled),
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

impl ServiceError for StsError {
    fn fault(&self) -> Fault {
        match self {
            Self::Throttled(_) => Fault::throttled(Protocol::Query),
            Self::Store(_) => Fault::internal(),
        }
    }
}

impl OperationError for StsError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}
