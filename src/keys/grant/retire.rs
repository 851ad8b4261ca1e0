//! Who may retire a grant: the grant itself says so, more than any policy.
use super::covering::names;
use super::{Grant, GrantOperation};
use crate::authorize::{Authorized, Conditions, Protected, Rule};
use crate::keys::{Found, KeyError};
use crate::policy::{self, How, Policy};
use crate::store::Tx;
use crate::types::Principal;
use std::sync::Arc;

/// A grant that somebody wants to retire.
///
/// The retiring principal may, and the grantee if RetireGrant is among the grant's operations. So may
/// the account in which the grant was created, the one that owns the key, and an account that is
/// itself one of the two principals: its root, and whom its policies let (AWS KMS developer guide,
/// "Retiring and revoking grants"). What the key policy allows does not count, so it is not asked
/// here; for what it denies, the key itself is to be asked.
#[derive(Debug)]
pub struct Retiring {
    key: Found,
    grant: Arc<Grant>,
    how: Option<How>,
}

impl Retiring {
    pub fn new(key: Found, grant: Arc<Grant>, caller: &Principal) -> Self {
        let how = {
            let may_itself = grant.terms.allow(GrantOperation::RetireGrant);
            let grantee = Some(&grant.grantee).filter(|_| may_itself);
            let parties = || grant.retiring.iter().chain(grantee);
            let named = |id: &str| parties().any(|party| party.id() == id);
            let account = &caller.account;
            let theirs = grant.issuer == *account || key.account == *account;
            let closest = names(caller).into_iter().find(|(id, _)| named(id)).map(|(_, how)| how);
            closest.or(theirs.then_some(How::Account))
        };
        Self { key, grant, how }
    }
}

impl Protected for Retiring {
    fn arn(&self) -> &str {
        Protected::arn(&self.key)
    }
    fn account(&self) -> &str {
        Protected::account(&self.key)
    }
    fn rule(&self) -> Rule {
        Rule::KeyPolicy
    }
    fn policy(&self) -> Option<&Policy> {
        None
    }
    fn kind(&self) -> &'static str {
        Protected::kind(&self.key)
    }
    fn describe(&self, conditions: &mut Conditions) {
        Protected::describe(&self.key, conditions);
    }
    fn grant(&self) -> Option<policy::Grant<'_>> {
        self.how.map(|how| policy::Grant { id: &self.grant.id, how })
    }
}

impl Authorized<Retiring> {
    pub async fn retire(&self, tx: &mut Tx<'_>) -> Result<(), KeyError> {
        self.key.permits_in(self.key.state, "RetireGrant")?;
        Ok(self.grant.remove(tx).await?)
    }
}
