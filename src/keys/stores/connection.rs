//! Whether a custom key store is connected to what backs it, and what connecting does.
use super::{Backing, KeyStore, KeyStoreError};
use crate::keys::KeyError;
use claviger_hsm::HsmError;
use serde::{Deserialize, Serialize};

/// A store's connection. AWS's `CONNECTING` and `DISCONNECTING` are missing: here both steps are done
/// before the call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    Connected,
    Failed(ConnectionError),
    Disconnected,
}

/// Why a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectionError {
    ProxyNotReachable,
}

impl Connection {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "CONNECTED",
            Self::Failed(_) => "FAILED",
            Self::Disconnected => "DISCONNECTED",
        }
    }
    pub fn error(self) -> Option<ConnectionError> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Connected | Self::Disconnected => None,
        }
    }
}

impl ConnectionError {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProxyNotReachable => "XKS_PROXY_NOT_REACHABLE",
        }
    }
}

impl KeyStore {
    /// What an attempt to connect leads to.
    ///
    /// A cluster that is not active is an error of ConnectCustomKeyStore itself, which rejects the
    /// request before an attempt begins: such a store stays `DISCONNECTED`, as AWS has it for stores
    /// that were never connected. A proxy that cannot be reached is found out by the attempt: the
    /// request succeeds, and the store shows `FAILED` with the reason. A failed store must be
    /// disconnected before it is connected again.
    pub(super) fn connect(&self) -> Result<Connection, KeyStoreError> {
        match (self.connection, &self.backing) {
            (Connection::Failed(_), _) => Err(self.invalid_state("DISCONNECTED")),
            (Connection::Connected, _) => Ok(Connection::Connected),
            (Connection::Disconnected, Backing::Cluster { id, .. }) => {
                Err(KeyStoreError::ClusterNotActive(id.clone()))
            }
            (Connection::Disconnected, Backing::External(_)) => {
                Ok(Connection::Failed(ConnectionError::ProxyNotReachable))
            }
        }
    }

    pub(super) fn disconnect(&self) -> Result<Connection, KeyStoreError> {
        match self.connection {
            Connection::Disconnected => Err(self.invalid_state("CONNECTED or FAILED")),
            Connection::Connected | Connection::Failed(_) => Ok(Connection::Disconnected),
        }
    }

    /// What a connected store fails with. None becomes connected in this release, but the data may be
    /// of a later one.
    pub fn without_driver(&self) -> KeyError {
        HsmError::Unavailable(format!("no driver for custom key store {}", self.id)).into()
    }

    pub(super) fn invalid_state(&self, wanted: &'static str) -> KeyStoreError {
        KeyStoreError::InvalidState { id: self.id.clone(), is: self.connection, wanted }
    }
}
