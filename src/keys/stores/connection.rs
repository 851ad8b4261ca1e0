//! Whether a custom key store is connected to what backs it, and what connecting does.
use super::{Backing, KeyStore, KeyStoreError, external};
use crate::devices::{Device, Devices};
use crate::keys::{KeyError, resident};
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
    ProxyAccessDenied,
    ProxyInvalidConfiguration,
    ProxyInvalidResponse,
    ProxyInvalidTlsConfiguration,
    ProxyTimedOut,
    // Of a device: what AWS says of a cluster.
    ClusterNotFound,
    InvalidCredentials,
    UserLockedOut,
    NetworkErrors,
    InternalError,
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
            Self::ProxyAccessDenied => "XKS_PROXY_ACCESS_DENIED",
            Self::ProxyInvalidConfiguration => "XKS_PROXY_INVALID_CONFIGURATION",
            Self::ProxyInvalidResponse => "XKS_PROXY_INVALID_RESPONSE",
            Self::ProxyInvalidTlsConfiguration => "XKS_PROXY_INVALID_TLS_CONFIGURATION",
            Self::ProxyTimedOut => "XKS_PROXY_TIMED_OUT",
            Self::ClusterNotFound => "CLUSTER_NOT_FOUND",
            Self::InvalidCredentials => "INVALID_CREDENTIALS",
            Self::UserLockedOut => "USER_LOCKED_OUT",
            Self::NetworkErrors => "NETWORK_ERRORS",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }
}

impl KeyStore {
    /// What an attempt to connect leads to.
    ///
    /// A cluster that is not active, or cannot have keys, is an error of ConnectCustomKeyStore itself,
    /// which rejects the request: such a store stays `DISCONNECTED`. A device or a proxy that cannot be
    /// reached is found out by the attempt: the request succeeds, and the store shows `FAILED` with the
    /// reason. A failed store must be disconnected before it is connected again.
    pub(super) async fn connect(
        &self,
        devices: &Devices,
        asking: &external::Asking,
    ) -> Result<Connection, KeyStoreError> {
        let attempt = match (self.connection, &self.backing) {
            (Connection::Failed(_), _) => return Err(self.invalid_state("DISCONNECTED")),
            (Connection::Connected, _) => return Ok(Connection::Connected),
            (Connection::Disconnected, Backing::Cluster { id, .. }) => {
                match devices.of_cluster_for(id, self.account.as_str()) {
                    Some(device) => resident::connect(device, id).await?,
                    // It was configured when the store was made.
                    None => Err(ConnectionError::ClusterNotFound),
                }
            }
            (Connection::Disconnected, Backing::External(proxy)) => {
                external::connect(asking, proxy, &self.region).await
            }
        };
        Ok(attempt.map_or_else(Connection::Failed, |()| Connection::Connected))
    }

    pub(super) fn disconnect(&self) -> Result<Connection, KeyStoreError> {
        match self.connection {
            Connection::Disconnected => Err(self.invalid_state("CONNECTED or FAILED")),
            Connection::Connected | Connection::Failed(_) => Ok(Connection::Disconnected),
        }
    }

    /// The device of a store that is connected to one. Keys and random bytes of the other type of store
    /// are not made in a device.
    pub fn device<'d>(&self, devices: &'d Devices) -> Result<&'d Device, KeyError> {
        let Some(cluster) = self.cluster() else {
            return Err(KeyError::Unsupported(format!("{} is an external key store.", self.id)));
        };
        let away = || KeyStoreError::ClusterAway(self.id.clone()).into();
        devices.of_cluster_for(cluster, self.account.as_str()).ok_or_else(away)
    }

    pub(super) fn invalid_state(&self, wanted: &'static str) -> KeyStoreError {
        KeyStoreError::InvalidState { id: self.id.clone(), is: self.connection, wanted }
    }
}
