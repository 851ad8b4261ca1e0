//! Every way an operation on a custom key store fails that no other KMS operation knows.
use super::Connection;

#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    #[error("The custom key store {id} is {} and must be {wanted} for this request.", is.as_str())]
    InvalidState { id: String, is: Connection, wanted: &'static str },
    #[error("The custom key store name {0} is already in use in this account and Region.")]
    NameInUse(String),
    #[error("The custom key store {0} contains KMS keys.")]
    HasKeys(String),
    #[error("The cluster {0} is already associated with a custom key store in this account.")]
    ClusterInUse(String),
    #[error("The cluster {0} was not found.")]
    ClusterNotFound(String),
    #[error("The cluster {0} keeps no keys that encrypt and decrypt.")]
    ClusterInvalidConfiguration(String),
    /// It is in no state of its own: the store is connected, but its device does not do what it is
    /// asked now.
    #[error("The cluster of the custom key store {0} does not answer.")]
    ClusterAway(String),
    #[error("The cluster {0} is not active.")]
    ClusterNotActive(String),
    #[error("The cluster {0} is not related to the cluster of the custom key store.")]
    ClusterNotRelated(String),
    #[error("The proxy URI {0} is already associated with another external key store.")]
    UriInUse(String),
    #[error("The proxy URI endpoint {0} is already associated with another external key store.")]
    EndpointInUse(String),
    #[error("The VPC endpoint service {0} is already associated with another external key store.")]
    VpcEndpointServiceInUse(String),
}
