//! The policies of the listeners that are VPC endpoints, read before anything listens.
use super::StartError;
use crate::call::Endpoint;
use crate::config::VpcEndpoint;
use crate::http::{Entrance, Proxies};
use std::sync::Arc;

/// A policy that cannot be read ends the start: without it the endpoint would let through what its
/// operator meant to stop.
pub(super) fn entrance(configured: &VpcEndpoint) -> Result<Entrance, StartError> {
    let mut endpoint = Endpoint::new(configured.id.clone(), configured.vpc.clone());
    if let Some(path) = &configured.policy {
        let refused = |why: String| StartError::Setup(format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| refused(e.to_string()))?;
        endpoint = endpoint.with_policy(&text).map_err(|e| refused(e.to_string()))?;
    }
    let proxies = Proxies::new(configured.trusted_proxies.clone());
    Ok(Entrance { endpoint: Some(Arc::new(endpoint)), proxies })
}
