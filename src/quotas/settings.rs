//! The `[quotas]` section of the configuration file.
use super::{FIGURES, MAX_PER_SECOND, MIN_PER_SECOND, Quota, Rate, ResourceSettings};
use crate::types::{AccountId, Region};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Which request rates are limited.
    pub requests: Requests,
    /// Requests per second by quota, such as `kms.CreateKey = 50`, in place of AWS's figures. They
    /// hold also if `requests` is `off`.
    pub rates: Rates,
    pub resources: ResourceSettings,
    /// What is otherwise for some accounts. What a section leaves out is as for all.
    pub accounts: BTreeMap<AccountId, AccountSettings>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requests {
    /// Only those with a rate of their own.
    #[default]
    Off,
    /// All, by AWS's figures.
    Aws,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    pub requests: Option<Requests>,
    pub rates: Rates,
    pub resources: ResourceSettings,
}

/// Rates by quota.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, BTreeMap<String, f64>>")]
pub struct Rates(BTreeMap<Quota, Rate>);

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidQuota {
    #[error("{service}.{name} is no request quota; those of {service} are: {}", known(.service))]
    UnknownName { service: String, name: String },
    #[error("{0} has no request quotas; the services that have are: {all}", all = services())]
    UnknownService(String),
    #[error("{quota} = {rate}: a rate is from {MIN_PER_SECOND} to {MAX_PER_SECOND} per second")]
    Rate { quota: Quota, rate: f64 },
    #[error("quotas: {name} can be at most {most}")]
    TooMuch { name: &'static str, most: usize },
}

fn services() -> String {
    let mut all: Vec<_> = FIGURES.iter().map(|figure| figure.quota.service).collect();
    all.dedup();
    all.join(", ")
}

fn known(service: &str) -> String {
    let of_service = FIGURES.iter().filter(|figure| figure.quota.service == service);
    let names: Vec<_> = of_service.map(|figure| figure.quota.name).collect();
    names.join(", ")
}

impl TryFrom<BTreeMap<String, BTreeMap<String, f64>>> for Rates {
    type Error = InvalidQuota;

    fn try_from(named: BTreeMap<String, BTreeMap<String, f64>>) -> Result<Self, InvalidQuota> {
        let mut rates = BTreeMap::new();
        for (service, named) in named {
            if FIGURES.iter().all(|figure| figure.quota.service != service) {
                return Err(InvalidQuota::UnknownService(service));
            }
            for (name, rate) in named {
                let mut all = FIGURES.iter().map(|figure| figure.quota);
                let Some(quota) = all.find(|q| q.service == service && q.name == name) else {
                    return Err(InvalidQuota::UnknownName { service, name });
                };
                let allowed = Rate::per_second(rate).ok_or(InvalidQuota::Rate { quota, rate })?;
                rates.insert(quota, allowed);
            }
        }
        Ok(Self(rates))
    }
}

impl Settings {
    /// What the types alone do not refuse.
    pub fn check(&self) -> Result<(), InvalidQuota> {
        self.resources.check()?;
        self.accounts.values().try_for_each(|own| own.resources.check())
    }

    /// Whether any request can be refused for its rate.
    pub(super) fn limits_requests(&self) -> bool {
        let limits =
            |requests: Requests, rates: &Rates| requests == Requests::Aws || !rates.0.is_empty();
        let of_account =
            |own: &AccountSettings| limits(own.requests.unwrap_or_default(), &own.rates);
        limits(self.requests, &self.rates) || self.accounts.values().any(of_account)
    }

    /// How fast an account may call, or all the unsigned requests may come. None if that is not limited.
    pub(super) fn rate(
        &self,
        account: Option<&AccountId>,
        region: &Region,
        quota: Quota,
    ) -> Option<Rate> {
        let own = account.and_then(|account| self.accounts.get(account));
        let named = own.and_then(|own| own.rates.0.get(&quota));
        if let Some(rate) = named.or_else(|| self.rates.0.get(&quota)) {
            return Some(*rate);
        }
        match own.and_then(|own| own.requests).unwrap_or(self.requests) {
            Requests::Off => None,
            Requests::Aws => quota.figure(region),
        }
    }
}
