//! The policies that a user, a group or a role carries: some written into it, some attached.
use super::{IdentityError, ManagedPolicy};
use crate::authorize::NamedPolicy;
use crate::policy::{Kind, Policy};
use crate::store::{StoreError, Tx};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// IAM quota: managed policies attached to one user, group or role.
pub const ATTACHED_POLICIES: usize = 10;

/// AWS counts no white space in policies. It is kept and sent all the same: with it they must not be
/// longer than so many times their quota.
const WITH_WHITE_SPACE: usize = 4;

/// Whether policies are longer than their quota allows, in characters.
pub(super) fn exceed<'t>(texts: impl Iterator<Item = &'t str>, most: usize) -> bool {
    let (mut counted, mut all) = (0_usize, 0_usize);
    for c in texts.flat_map(str::chars) {
        all += 1;
        counted += usize::from(!c.is_whitespace());
    }
    counted > most || all > most.saturating_mul(WITH_WHITE_SPACE)
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Attachments {
    /// Policy texts by name, as they were put.
    pub inline: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub attached: BTreeSet<String>,
    /// The inline policies, parsed once per revision of the record they are in.
    #[serde(skip)]
    compiled: OnceLock<Vec<NamedPolicy>>,
}

impl Attachments {
    pub fn is_empty(&self) -> bool {
        self.inline.is_empty() && self.attached.is_empty()
    }

    /// All of them, ready for evaluation. A managed policy that is gone is left out: it cannot be
    /// deleted while it is attached.
    pub async fn collect(
        &self,
        tx: &mut Tx<'_>,
        into: &mut Vec<NamedPolicy>,
    ) -> Result<(), StoreError> {
        into.extend(self.compiled().iter().cloned());
        for arn in &self.attached {
            if let Some(policy) = ManagedPolicy::by_arn(tx, arn).await? {
                into.push(policy.compiled());
            }
        }
        Ok(())
    }

    fn compiled(&self) -> &[NamedPolicy] {
        self.compiled.get_or_init(|| {
            let named = |(name, text): (&String, &String)| NamedPolicy {
                name: name.clone(),
                policy: Arc::new(Policy::parse_stored(text, Kind::Identity)),
            };
            self.inline.iter().map(named).collect()
        })
    }

    /// Writes a policy in. `most` is the quota for all of them together: characters, white space not
    /// counted. `whose` names the entity in the error: `user ann`.
    pub fn put(
        &mut self,
        name: String,
        text: String,
        most: usize,
        whose: &str,
    ) -> Result<(), IdentityError> {
        Policy::parse(&text, Kind::Identity)?;
        self.inline.insert(name, text);
        self.compiled = OnceLock::new();
        if exceed(self.inline.values().map(String::as_str), most) {
            return Err(IdentityError::LimitExceeded(format!(
                "Maximum policy size of {most} bytes exceeded for {whose}"
            )));
        }
        Ok(())
    }

    /// `kind` is `user`, `group` or `role`.
    pub fn inline(&self, kind: &str, name: &str) -> Result<&str, IdentityError> {
        self.inline.get(name).map(String::as_str).ok_or_else(|| {
            let text = format!("The {kind} policy with name {name} cannot be found.");
            IdentityError::NoSuchEntity(text)
        })
    }

    pub fn remove(&mut self, kind: &str, name: &str) -> Result<(), IdentityError> {
        self.inline(kind, name)?;
        self.inline.remove(name);
        self.compiled = OnceLock::new();
        Ok(())
    }

    /// Answers whether it is new here.
    pub fn attach(&mut self, arn: &str, whose: &str) -> Result<bool, IdentityError> {
        if self.attached.contains(arn) {
            return Ok(false);
        }
        if self.attached.len() >= ATTACHED_POLICIES {
            return Err(IdentityError::LimitExceeded(format!(
                "Cannot exceed quota for PoliciesPer{whose}: {ATTACHED_POLICIES}"
            )));
        }
        Ok(self.attached.insert(arn.to_owned()))
    }

    /// `kind` and `name` are the entity's, for the error.
    pub fn detach(&mut self, arn: &str) -> Result<(), IdentityError> {
        if self.attached.remove(arn) {
            return Ok(());
        }
        Err(IdentityError::NoSuchEntity(format!("Policy {arn} was not found.")))
    }
}
