//! Who is calling, as the signature proved it.
use super::{AccountId, Arn};

/// The identity behind a verified signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub account: AccountId,
    pub arn: Arn,
    /// `AIDA…` of a user; the account id of the root. Policies and keys bind to it, not to the name.
    pub unique_id: String,
    /// The user's name; none for the root.
    pub user_name: Option<String>,
}

impl Principal {
    pub fn root(account: &AccountId) -> Self {
        Self {
            account: account.clone(),
            arn: Arn::new("iam", "", account.as_str(), "root"),
            unique_id: account.to_string(),
            user_name: None,
        }
    }
    pub fn is_root(&self) -> bool {
        self.user_name.is_none()
    }
}
