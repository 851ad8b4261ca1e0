//! Resource quotas: how much an account may have. (KMS developer guide, "Resource quotas".)
use super::InvalidQuota;
use serde::Deserialize;

/// What `[quotas.resources]` may say; what it leaves out is as AWS has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceSettings {
    /// Customer managed KMS keys of an account in a region, whatever their state. AWS: 100,000.
    /// Without it they are not counted, which costs less.
    pub keys: Option<usize>,
    /// Aliases of a key. AWS: 50.
    pub aliases_per_key: Option<usize>,
    /// Grants of a key. AWS: 50,000.
    pub grants_per_key: Option<usize>,
    /// The length of a key policy. AWS: 32,768.
    pub key_policy_bytes: Option<usize>,
    /// Custom key stores of an account in a region. AWS: 10.
    pub custom_key_stores: Option<usize>,
    /// On-demand rotations of a key. AWS: 25.
    pub on_demand_rotations: Option<usize>,
}

impl ResourceSettings {
    /// The most that each may be: what the store's records are made for, or, for a policy, what
    /// AWS's model lets through.
    const MOST: [(&'static str, usize); 6] = [
        ("keys", 10_000_000),
        ("aliases_per_key", 1000),
        ("grants_per_key", 50_000),
        ("key_policy_bytes", 131_072),
        ("custom_key_stores", 1000),
        ("on_demand_rotations", 1000),
    ];

    pub(super) fn check(&self) -> Result<(), InvalidQuota> {
        let values = [
            self.keys,
            self.aliases_per_key,
            self.grants_per_key,
            self.key_policy_bytes,
            self.custom_key_stores,
            self.on_demand_rotations,
        ];
        for ((name, most), value) in Self::MOST.into_iter().zip(values) {
            if value.is_some_and(|value| value > most) {
                return Err(InvalidQuota::TooMuch { name, most });
            }
        }
        Ok(())
    }
}

/// The resource quotas that hold for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceQuotas {
    /// None if keys are not counted.
    pub keys: Option<usize>,
    pub aliases_per_key: usize,
    pub grants_per_key: usize,
    pub key_policy_bytes: usize,
    pub custom_key_stores: usize,
    pub on_demand_rotations: usize,
}

impl Default for ResourceQuotas {
    /// AWS's.
    fn default() -> Self {
        Self {
            keys: None,
            aliases_per_key: 50,
            grants_per_key: 50_000,
            key_policy_bytes: 32_768,
            custom_key_stores: 10,
            on_demand_rotations: 25,
        }
    }
}

impl ResourceQuotas {
    /// These, with what the settings say in place of them.
    pub(super) fn with(&self, settings: &ResourceSettings) -> Self {
        let or = |said: Option<usize>, usual: usize| said.unwrap_or(usual);
        Self {
            keys: settings.keys.or(self.keys),
            aliases_per_key: or(settings.aliases_per_key, self.aliases_per_key),
            grants_per_key: or(settings.grants_per_key, self.grants_per_key),
            key_policy_bytes: or(settings.key_policy_bytes, self.key_policy_bytes),
            custom_key_stores: or(settings.custom_key_stores, self.custom_key_stores),
            on_demand_rotations: or(settings.on_demand_rotations, self.on_demand_rotations),
        }
    }
}
