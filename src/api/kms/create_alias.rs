use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::keys::{Accept, AliasName};
use serde::{Deserialize, Serialize};

/// Gives a key a name. Needs permission on the alias and on the key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateAlias {
    alias_name: String,
    target_key_id: String,
}

impl Operation for CreateAlias {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "CreateAlias";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["AliasName", "TargetKeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "kms:CreateAlias";
        let alias = AliasName::parse(call.account(), call.region(), &self.alias_name)?;
        alias.not_empty()?;
        let alias = call.authorize(action, alias, Conditions::default())?;
        let key =
            authorized_key(call, &self.target_key_id, Accept::Key, action, Conditions::default())
                .await?;
        alias.not_reserved()?;
        own(call, &key)?;
        key.customer_managed()?;
        let (now, most) = (call.now, call.resource_quotas().aliases_per_key);
        alias.create(&mut call.tx, &key, most, now).await?;
        call.record_answer("keyId", key.arn.as_str());
        Ok(Empty)
    }
}
