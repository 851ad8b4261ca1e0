//! What UpdateCustomKeyStore changes, and in which states of the connection it may.
use super::{Backing, Connection, Connectivity, Credential, KeyStore, KeyStoreError, Proxy};
use crate::devices::Devices;
use crate::keys::KeyError;
use crate::types::{AccountId, SecretText};

/// What is to be different. What is `None` stays.
#[derive(Debug, Default)]
pub struct Change {
    pub name: Option<String>,
    pub cluster: Option<String>,
    pub password: Option<SecretText>,
    pub proxy: ProxyChange,
}

#[derive(Debug, Default)]
pub struct ProxyChange {
    pub endpoint: Option<String>,
    pub path: Option<String>,
    pub credential: Option<Credential>,
    /// Whether the proxy is to be reached through a VPC endpoint service.
    pub through_vpc: Option<bool>,
    pub service: Option<String>,
    pub owner: Option<AccountId>,
}

impl Change {
    /// The changed store. A name changes in every state. A proxy's credential and path change while
    /// the store is connected or disconnected; everything else only while it is disconnected. A store
    /// whose connection failed counts as neither: it is to be disconnected first.
    pub(super) fn of(self, store: &KeyStore, devices: &Devices) -> Result<KeyStore, KeyError> {
        let foreign = match &store.backing {
            Backing::Cluster { .. } => !self.proxy.is_empty(),
            Backing::External(_) => self.cluster.is_some() || self.password.is_some(),
        };
        if foreign {
            let text =
                format!("The request has parameters of another type of store than {}.", store.id);
            return Err(KeyError::Validation(text));
        }
        self.check_state(store)?;
        let backing = match store.backing.clone() {
            Backing::Cluster { id, trust_anchor, password } => {
                // Which devices are copies of one another nobody has said: a store's own is the only
                // one known to hold its keys.
                if let Some(other) = self.cluster.filter(|other| *other != id) {
                    return Err(match devices.of_cluster_for(&other, store.account.as_str()) {
                        Some(_) => KeyStoreError::ClusterNotRelated(other),
                        None => KeyStoreError::ClusterNotFound(other),
                    }
                    .into());
                }
                let password = self.password.unwrap_or(password);
                Backing::Cluster { id, trust_anchor, password }
            }
            Backing::External(proxy) => Backing::External(
                self.proxy.of(proxy, &store.account).map_err(KeyError::Validation)?,
            ),
        };
        let name = self.name.unwrap_or_else(|| store.name.clone());
        Ok(KeyStore { name, backing, ..store.clone() })
    }

    fn check_state(&self, store: &KeyStore) -> Result<(), KeyStoreError> {
        let at_rest =
            self.cluster.is_some() || self.password.is_some() || self.proxy.changes_the_way();
        let in_use = self.proxy.path.is_some() || self.proxy.credential.is_some();
        match store.connection {
            Connection::Disconnected => Ok(()),
            Connection::Connected if !at_rest => Ok(()),
            Connection::Failed(_) if !at_rest && !in_use => Ok(()),
            Connection::Connected | Connection::Failed(_) => {
                Err(store.invalid_state("DISCONNECTED"))
            }
        }
    }
}

impl ProxyChange {
    fn is_empty(&self) -> bool {
        self.path.is_none() && self.credential.is_none() && !self.changes_the_way()
    }

    /// Whether it changes how the proxy is reached.
    fn changes_the_way(&self) -> bool {
        self.endpoint.is_some()
            || self.through_vpc.is_some()
            || self.service.is_some()
            || self.owner.is_some()
    }

    /// The changed proxy, or what is wrong. Another connectivity needs another endpoint with it (AWS
    /// KMS API reference, UpdateCustomKeyStore).
    fn of(self, proxy: Proxy, account: &AccountId) -> Result<Proxy, String> {
        let was_vpc = proxy.service().is_some();
        let is_vpc = self.through_vpc.unwrap_or(was_vpc);
        if is_vpc != was_vpc && self.endpoint.is_none() {
            return Err("XksProxyUriEndpoint is required to change XksProxyConnectivity.".into());
        }
        let connectivity = match (is_vpc, proxy.connectivity) {
            (false, _) if self.service.is_some() || self.owner.is_some() => {
                return Err(
                    "XksProxyVpcEndpointServiceName and XksProxyVpcEndpointServiceOwner are \
                            only valid when XksProxyConnectivity is VPC_ENDPOINT_SERVICE."
                        .into(),
                );
            }
            (false, _) => Connectivity::PublicEndpoint,
            (true, Connectivity::VpcEndpointService { name, owner }) => {
                Connectivity::VpcEndpointService {
                    name: self.service.unwrap_or(name),
                    owner: self.owner.unwrap_or(owner),
                }
            }
            (true, Connectivity::PublicEndpoint) => Connectivity::VpcEndpointService {
                name: self.service.ok_or(
                    "XksProxyVpcEndpointServiceName is required when XksProxyConnectivity is \
                     VPC_ENDPOINT_SERVICE.",
                )?,
                owner: self.owner.unwrap_or_else(|| account.clone()),
            },
        };
        Ok(Proxy {
            endpoint: self.endpoint.unwrap_or(proxy.endpoint),
            path: self.path.unwrap_or(proxy.path),
            credential: self.credential.unwrap_or(proxy.credential),
            connectivity,
        })
    }
}
