//! Whether a proxy answers, and whether an external key is what a KMS key needs.
use super::{Asking, ExternalError};
use crate::external::{Failure, Refused};
use crate::keys::stores::{ConnectionError, Proxy};
use crate::types::Region;

/// Tries a proxy before a store is made of it or changed to it.
pub async fn check_proxy(
    asking: &Asking,
    proxy: &Proxy,
    region: &Region,
) -> Result<(), ExternalError> {
    health(asking, proxy, region).await.map_err(ExternalError::of_store)
}

/// What an attempt to connect a store to its proxy comes to.
pub async fn connect(
    asking: &Asking,
    proxy: &Proxy,
    region: &Region,
) -> Result<(), ConnectionError> {
    health(asking, proxy, region).await.map_err(|failure| match failure {
        Failure::Refused(Refused::AuthenticationFailed | Refused::AccessDenied) => {
            ConnectionError::ProxyAccessDenied
        }
        Failure::Refused(Refused::InvalidUriPath) => ConnectionError::ProxyInvalidConfiguration,
        Failure::Refused(Refused::DependencyTimeout | Refused::Throttling) | Failure::TooLate => {
            ConnectionError::ProxyTimedOut
        }
        Failure::Unreachable => ConnectionError::ProxyNotReachable,
        Failure::Tls => ConnectionError::ProxyInvalidTlsConfiguration,
        Failure::Refused(_) | Failure::Malformed(_) | Failure::Inside => {
            ConnectionError::ProxyInvalidResponse
        }
    })
}

async fn health(asking: &Asking, proxy: &Proxy, region: &Region) -> Result<(), Failure> {
    let client = asking.client(proxy, region)?;
    // Health is told of the operation and nothing else.
    let metadata = crate::external::RequestMetadata {
        kms_operation: asking.metadata.kms_operation.clone(),
        kms_request_id: asking.metadata.kms_request_id.clone(),
        ..Default::default()
    };
    match client.health(metadata).await?.serves {
        true => Ok(()),
        // AWS's word for it, both where stores are made and where they are connected
        // (XksProxyUriUnreachableException; XKS_PROXY_NOT_REACHABLE).
        false => {
            let proxy = &proxy.endpoint;
            tracing::warn!(proxy, "a proxy says that all its key managers are unavailable");
            Err(Failure::Unreachable)
        }
    }
}

/// Asks about the external key that a KMS key is to be made for.
pub async fn check_key(
    asking: &Asking,
    proxy: &Proxy,
    region: &Region,
    key_id: &str,
) -> Result<(), ExternalError> {
    let ask =
        async { asking.client(proxy, region)?.metadata(key_id, asking.metadata.clone()).await };
    let found = ask.await.map_err(ExternalError::of_key)?;
    let can = |usage: &str| found.key_usage.iter().any(|one| one == usage);
    let wrong = |what: String| Err(ExternalError::KeyInvalidConfiguration(what));
    if found.key_spec != "AES_256" {
        let spec: String = found.key_spec.chars().take(64).collect();
        return wrong(format!("The external key {key_id} is {spec}; it must be AES_256."));
    }
    if !can("ENCRYPT") || !can("DECRYPT") {
        return wrong(format!("The external key {key_id} must support ENCRYPT and DECRYPT."));
    }
    if found.key_status != "ENABLED" {
        return wrong(Failure::Refused(Refused::InvalidState).to_string());
    }
    Ok(())
}
