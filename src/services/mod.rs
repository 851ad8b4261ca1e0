//! Services that are not ours and act for their users. The operator registers them in the
//! configuration; one then hands over a signed request that a user sent it, and gets a session that
//! acts as that user, for a while, through that service only and doing only what is registered.
mod handover;
mod settings;
mod used;

pub use handover::{Handover, Malformed};
pub use settings::{InvalidService, Settings};
pub use used::{SKEW_SECONDS, accept, forget_old};

use crate::authorize::NamedPolicy;
use crate::policy::{Kind, Policy};
use crate::types::{AccountId, Arn, Principal, PrincipalKind, Region};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A registered service.
#[derive(Clone, Debug)]
pub struct Service {
    /// `payroll.example`
    pub name: String,
    /// The service in the credential scopes of requests to it. No two have the same.
    pub signing_name: String,
    /// The user or the role that hands requests over.
    pub principal: Arn,
    /// All that it may do for anybody.
    pub actions: Vec<String>,
    /// The same as a policy.
    pub limit: NamedPolicy,
    /// Whose users it may act for.
    accounts: BTreeSet<AccountId>,
}

impl Service {
    pub fn acts_for(&self, account: &AccountId) -> bool {
        self.accounts.contains(account)
    }

    /// Whether this is its user, or a session of its role.
    pub fn is_run_by(&self, principal: &Principal) -> bool {
        match &principal.kind {
            PrincipalKind::User => principal.arn == self.principal,
            PrincipalKind::AssumedRole { role, .. } => *role == self.principal,
            _ => false,
        }
    }
}

/// The registered services.
#[derive(Clone, Debug, Default)]
pub struct Services(Vec<Service>);

impl Services {
    pub fn named(&self, name: &str) -> Option<&Service> {
        self.0.iter().find(|service| service.name == name)
    }

    /// The services that hand over by this principal.
    pub fn run_by(&self, principal: &Principal) -> Vec<&Service> {
        self.0.iter().filter(|service| service.is_run_by(principal)).collect()
    }
}

/// What `kms:ViaService` calls a service: its name with the region behind the first label, as AWS's
/// have it.
pub fn via(name: &str, region: &Region) -> String {
    match name.split_once('.') {
        Some((first, rest)) => format!("{first}.{region}.{rest}"),
        None => format!("{name}.{region}"),
    }
}

/// The policy that allows these actions and nothing else. One that cannot be read denies everything.
pub fn limit(actions: &[String]) -> NamedPolicy {
    let policy = Policy::parse_stored(&limit_text(actions), Kind::Identity);
    NamedPolicy { name: "registered service".into(), policy: Arc::new(policy) }
}

fn limit_text(actions: &[String]) -> String {
    let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}
