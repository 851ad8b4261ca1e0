//! Who is calling, as the signature proved it.
use super::{AccountId, Arn};

/// The identity behind a verified signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub account: AccountId,
    /// Of the user, the session or the root.
    pub arn: Arn,
    /// `AIDA…` of a user, `AROA…:session` of a role session, `ACCOUNT:name` of a federated user; the
    /// account id of the root. Policies and keys bind to it, not to the name.
    pub unique_id: String,
    /// The user's name; none for the others.
    pub user_name: Option<String>,
    pub kind: PrincipalKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    Root,
    User,
    AssumedRole {
        role: Arn,
        role_id: String,
        role_name: String,
    },
    /// A session of GetFederationToken, by the user who asked for it, or by the root.
    FederatedUser {
        by: Arn,
        by_id: String,
    },
    /// Whom a web identity provider vouches for, asking for a role; nobody, while the provider is
    /// none.
    WebIdentity {
        provider: Option<Arn>,
    },
    /// A service that asks in the name of somebody whom it knows: policies see the service.
    Service {
        /// `rolesanywhere.amazonaws.com`
        name: &'static str,
    },
}

impl Principal {
    pub fn root(account: &AccountId) -> Self {
        Self {
            account: account.clone(),
            arn: Arn::new("iam", "", account.as_str(), "root"),
            unique_id: account.to_string(),
            user_name: None,
            kind: PrincipalKind::Root,
        }
    }
    /// Who sends an unsigned request, as far as it is known before its token is read.
    pub fn nobody(account: &AccountId) -> Self {
        Self {
            account: account.clone(),
            arn: Arn::new("sts", "", account.as_str(), "anonymous"),
            unique_id: String::new(),
            user_name: None,
            kind: PrincipalKind::WebIdentity { provider: None },
        }
    }
    pub fn is_root(&self) -> bool {
        self.kind == PrincipalKind::Root
    }
}
