//! Quotas: how often an account may call in a region (off unless configured), and how much it may
//! have (AWS's figures unless configured otherwise). Every account is counted for itself, in every
//! region; a call counts for the account that makes it, whoever owns what it touches.
mod bucket;
mod figures;
mod guesses;
mod quota;
mod resources;
mod settings;
#[cfg(test)]
mod tests;

pub use figures::{FIGURES, Figure};
pub use guesses::{Guesses, Secret};
pub use quota::{MAX_PER_SECOND, MIN_PER_SECOND, Quota, Rate};
pub use resources::{ResourceQuotas, ResourceSettings};
pub use settings::{AccountSettings, InvalidQuota, Rates, Requests, Settings};

use crate::clock::Clock;
use crate::types::{AccountId, Region};
use bucket::{Buckets, Key};
use std::collections::BTreeMap;

/// A call came too soon after those before it. Each service has its own words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Rate exceeded")]
pub struct Throttled;

/// The quotas of a deployment, and what of the request rates is used up at the moment. That is
/// forgotten at a restart.
#[derive(Debug, Default)]
pub struct Quotas {
    /// None while no request rate is limited: then a check costs one comparison.
    rates: Option<Limited>,
    resources: ResourceQuotas,
    resources_of: BTreeMap<AccountId, ResourceQuotas>,
}

#[derive(Debug)]
struct Limited {
    settings: Settings,
    buckets: Buckets,
}

impl Quotas {
    pub fn new(settings: Settings) -> Self {
        let resources = ResourceQuotas::default().with(&settings.resources);
        let of = |own: &AccountSettings| resources.with(&own.resources);
        let resources_of =
            settings.accounts.iter().map(|(account, own)| (account.clone(), of(own))).collect();
        let rates =
            settings.limits_requests().then(|| Limited { settings, buckets: Buckets::default() });
        Self { rates, resources, resources_of }
    }

    /// Whether any request rate is limited.
    pub fn limits_requests(&self) -> bool {
        self.rates.is_some()
    }

    /// Counts `requests` of an account against a quota, or refuses all of them.
    pub fn take(
        &self,
        account: &AccountId,
        region: &Region,
        quota: Quota,
        requests: u32,
        clock: &dyn Clock,
    ) -> Result<(), Throttled> {
        self.take_for(Some(account), region, quota, requests, clock)
    }

    /// Counts a request that nobody signed. All of them share a bucket: whichever account they name,
    /// they neither use up its quota nor get one more by naming another.
    pub fn take_unsigned(
        &self,
        region: &Region,
        quota: Quota,
        clock: &dyn Clock,
    ) -> Result<(), Throttled> {
        self.take_for(None, region, quota, 1, clock)
    }

    fn take_for(
        &self,
        account: Option<&AccountId>,
        region: &Region,
        quota: Quota,
        requests: u32,
        clock: &dyn Clock,
    ) -> Result<(), Throttled> {
        let Some(Limited { settings, buckets }) = &self.rates else { return Ok(()) };
        let Some(rate) = settings.rate(account, region, quota) else { return Ok(()) };
        let key = Key { account: account.cloned(), region: region.clone(), quota };
        if buckets.take(key, rate, requests, clock) { Ok(()) } else { Err(Throttled) }
    }

    /// How much an account may have.
    pub fn resources(&self, account: &AccountId) -> &ResourceQuotas {
        self.resources_of.get(account).unwrap_or(&self.resources)
    }
}
