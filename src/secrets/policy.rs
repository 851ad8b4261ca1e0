//! A secret's resource policy: who may do what with it, beside the policies of whoever asks. (Secrets
//! Manager user guide, "Resource-based policies".)
use super::secret::arn_of;
use super::{Edit, KIND};
use crate::authorize::{Protected, Rule};
use crate::policy::{BoundPolicy, Kind, Policy};
use crate::types::{AccountId, Arn, Region};
use std::sync::OnceLock;

impl Edit {
    /// Gives the secret another resource policy, or none.
    pub fn set_policy(&mut self, policy: Option<BoundPolicy>) {
        let secret = self.change();
        secret.policy = policy;
        // What was compiled is the one before.
        secret.compiled = OnceLock::new();
    }
}

/// Some secret of an account that would have the policy in question.
#[derive(Debug)]
pub struct UnderPolicy {
    arn: Arn,
    policy: Policy,
}

impl UnderPolicy {
    pub fn any(account: &AccountId, region: &Region, policy: &BoundPolicy) -> Self {
        Self { arn: arn_of(account, region, "*"), policy: policy.compile(Kind::Resource) }
    }
}

impl Protected for UnderPolicy {
    fn arn(&self) -> &str {
        self.arn.as_str()
    }
    fn account(&self) -> &str {
        self.arn.account()
    }
    fn rule(&self) -> Rule {
        Rule::Ordinary
    }
    fn policy(&self) -> Option<&Policy> {
        Some(&self.policy)
    }
    fn kind(&self) -> &'static str {
        KIND
    }
}
