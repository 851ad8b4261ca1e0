//! Which of an account's resources a simulation may look at. Its answers tell, guess by guess, what the
//! policies, tags and grants of a resource say: they are for those who may read them anyway.
use crate::authorize::{Conditions, Protected, Resource, Rule};
use crate::call::Call;
use crate::policy::{self, Policy};
use crate::simulate::Target;

/// What shows what the simulation of a key goes by.
const OF_KEYS: [&str; 3] = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"];

/// Whether the caller may read what the target would be asked about.
pub(super) fn may_read(call: &Call<'_>, target: &Target) -> bool {
    match target {
        Target::Key(key) => OF_KEYS.iter().all(|action| {
            let mut conditions = Conditions::default();
            conditions.add("kms:calleraccount", call.account().as_str());
            may(call, action, key, conditions)
        }),
        Target::Secret(secret) => {
            may(call, "secretsmanager:DescribeSecret", secret, Conditions::default())
        }
        Target::Role(role) => {
            let role = Resource::role(role.0.arn.clone(), role.0.tags.clone());
            may(call, "iam:GetRole", &role, Conditions::default())
        }
        Target::Resource(resource) => {
            let action = match resource.arn.resource().split_once('/') {
                Some(("user", _)) => "iam:GetUser",
                Some(("group", _)) => "iam:GetGroup",
                Some(("role", _)) => "iam:GetRole",
                Some(("policy", _)) => "iam:GetPolicy",
                _ => return false,
            };
            may(call, action, resource, Conditions::default())
        }
        // Nothing was looked up.
        Target::Alias(_) | Target::Account(_) | Target::Named(_) => true,
    }
}

/// The call would be made where the resource is.
fn may(call: &Call<'_>, action: &str, what: &dyn Protected, conditions: Conditions) -> bool {
    let region = what.arn().split(':').nth(3).and_then(|region| region.parse().ok());
    call.could(action, region.as_ref().unwrap_or(call.region()), Seen(what), conditions)
}

/// What is asked about, and stays with whoever asks.
struct Seen<'t>(&'t dyn Protected);

impl Protected for Seen<'_> {
    fn arn(&self) -> &str {
        self.0.arn()
    }
    fn account(&self) -> &str {
        self.0.account()
    }
    fn rule(&self) -> Rule {
        self.0.rule()
    }
    fn policy(&self) -> Option<&Policy> {
        self.0.policy()
    }
    fn kind(&self) -> &'static str {
        self.0.kind()
    }
    fn describe(&self, conditions: &mut Conditions) {
        self.0.describe(conditions);
    }
    fn grant(&self) -> Option<policy::Grant<'_>> {
        self.0.grant()
    }
}
