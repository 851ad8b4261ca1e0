//! Who calls: an identity whose signature was verified, with the policies that came with it.
use super::{Conditions, NamedPolicy};
use crate::types::{AccountId, Arn, Principal, PrincipalKind, Tags, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who calls, and the policies that came with the verified identity.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Principal,
    /// The access key that signed.
    pub access_key_id: String,
    /// The caller's own and its groups'; of a session, its role's.
    pub policies: Vec<NamedPolicy>,
    /// The permissions boundary.
    pub boundary: Option<NamedPolicy>,
    /// `aws:PrincipalTag/…`
    pub tags: Tags,
    /// Of temporary credentials.
    pub session: Option<Arc<SessionFacts>>,
}

impl Caller {
    /// Whoever sends an unsigned request.
    pub fn of(principal: Principal) -> Self {
        Self {
            principal,
            access_key_id: String::new(),
            policies: Vec::new(),
            boundary: None,
            tags: Tags::default(),
            session: None,
        }
    }

    /// Whether the request was signed, so that it is certain whose it is.
    pub fn has_signed(&self) -> bool {
        !self.access_key_id.is_empty()
    }

    /// A service that does something by itself for an account.
    pub fn service(name: &'static str, arn: Arn, account: AccountId) -> Self {
        Self::of(Principal {
            arn,
            account,
            unique_id: name.to_owned(),
            user_name: None,
            kind: PrincipalKind::Service { name },
        })
    }

    /// The registered service that acts for the caller.
    pub fn door(&self) -> Option<&Door> {
        self.session.as_ref().and_then(|session| session.door.as_ref())
    }
}

/// What temporary credentials say beside who acts.
#[derive(Debug)]
pub struct SessionFacts {
    /// None: made without policies of its own. An empty list allows nothing.
    pub policies: Option<Vec<NamedPolicy>>,
    pub issued: Timestamp,
    pub expires: Timestamp,
    pub mfa: Option<Timestamp>,
    pub source_identity: Option<String>,
    /// Names of the session tags that sessions made from this one keep.
    pub transitive: BTreeSet<String>,
    pub provider: Option<String>,
    pub issuer_key: Option<String>,
    pub chained: bool,
    /// Whether a registered service acts for the caller.
    pub door: Option<Door>,
}

/// A registered service that acts for the caller.
#[derive(Debug)]
pub struct Door {
    /// `payroll.example`
    pub service: String,
    /// What the session was made for, and what the service may do now. Each must allow whatever is
    /// done, also where a resource's policy names the caller itself.
    pub limits: [NamedPolicy; 2],
}

impl SessionFacts {
    pub(super) fn describe(&self, conditions: &mut Conditions) {
        conditions.add("aws:tokenissuetime", self.issued.whole_secs().to_string());
        // A code that came with the request itself says more.
        if conditions.is_absent("aws:multifactorauthpresent") {
            let mfa = if self.mfa.is_some() { "true" } else { "false" };
            conditions.add("aws:multifactorauthpresent", mfa);
        }
        if let Some(identity) = &self.source_identity {
            conditions.add("aws:sourceidentity", identity.as_str());
        }
        if let Some(provider) = &self.provider {
            conditions.add("aws:federatedprovider", provider.as_str());
        }
    }
}
