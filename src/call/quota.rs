//! Counting a call against the quotas of the account that makes it.
use super::{Arrival, Call, Operation, Server, Service};
use crate::authorize::Caller;
use crate::primitives::KeySpec;
use crate::quotas::{Quota, ResourceQuotas, Throttled};
use crate::types::Region;

/// Counts what every call of an operation counts against, before anything of the request is read: to
/// be refused must be cheap. What depends on a key is counted when the key is known.
pub(super) fn count<O: Operation>(
    server: &Server,
    caller: &Caller,
    arrival: &Arrival,
) -> Result<(), Throttled> {
    if !server.quotas.limits_requests() {
        return Ok(());
    }
    let service = O::Service::table().signing_name;
    let Some(quota) = Quota::of_operation(service, O::NAME) else { return Ok(()) };
    if O::UNSIGNED {
        return server.quotas.take_unsigned(&arrival.region, quota, &*server.clock);
    }
    let account = &caller.principal.account;
    server.quotas.take(account, &arrival.region, quota, 1, &*server.clock)
}

impl<'a> Call<'a> {
    /// How much the caller's account may have.
    pub fn resource_quotas(&self) -> &'a ResourceQuotas {
        self.server.quotas.resources(self.account())
    }

    /// Counts a use of a key by a cryptographic KMS operation, also one that a service makes for the
    /// caller. An operation that uses two keys of a kind counts once.
    pub fn throttle_use(&mut self, operation: &str, spec: KeySpec) -> Result<(), Throttled> {
        if !self.server.quotas.limits_requests() {
            return Ok(());
        }
        match Quota::of_use(operation, spec) {
            Some(quota) if !self.counted.contains(&quota) => {
                self.throttle(quota)?;
                self.counted.push(quota);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Counts this call against a quota that not every call of its operation counts against.
    pub fn throttle(&self, quota: Quota) -> Result<(), Throttled> {
        self.throttle_in(self.region(), quota, 1)
    }

    /// The same for a call that counts in another region, or for several requests.
    pub fn throttle_in(
        &self,
        region: &Region,
        quota: Quota,
        requests: u32,
    ) -> Result<(), Throttled> {
        if self.again {
            return Ok(());
        }
        self.server.quotas.take(self.account(), region, quota, requests, &*self.server.clock)
    }
}
