//! Key policies: the default one, and replacing one.
use super::{Found, Key, KeyError};
use crate::authorize::Authorized;
use crate::policy::BoundPolicy;
use crate::store::Tx;
use crate::types::AccountId;

/// What a key gets when its creator gives no policy: the account decides by IAM policies. The text
/// is AWS's own, white space included.
pub fn default_policy(account: &AccountId) -> BoundPolicy {
    BoundPolicy::of_nobody(format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "arn:aws:iam::{account}:root"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#
    ))
}

impl Authorized<Found> {
    /// Replaces the policy by one that was checked.
    pub fn set_policy(&self, tx: &mut Tx<'_>, policy: BoundPolicy) -> Result<(), KeyError> {
        self.customer_managed()?;
        Key { policy, ..Key::clone(self) }.save(tx)?;
        Ok(())
    }
}
