use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::keys::{Accept, Alias, AliasName};
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Points an alias at another key. Needs permission on the alias and on both keys.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateAlias {
    alias_name: String,
    target_key_id: String,
}

impl Operation for UpdateAlias {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "UpdateAlias";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["AliasName", "TargetKeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "kms:UpdateAlias";
        let (account, region) = (call.account().clone(), call.region().clone());
        let alias = AliasName::parse(&account, &region, &self.alias_name)?;
        let alias = call.authorize(action, alias, Conditions::default())?;
        let new =
            authorized_key(call, &self.target_key_id, Accept::Key, action, Conditions::default())
                .await?;
        alias.not_reserved()?;
        own(call, &new)?;
        new.customer_managed()?;
        let old = Alias::load(&mut call.tx, &account, &region, alias.name()).await?;
        let old = old.ok_or_else(|| {
            let arn = Arn::new("kms", region.as_str(), account.as_str(), alias.name());
            Error::NotFound(format!("Alias {arn} is not found."))
        })?;
        let old =
            authorized_key(call, &old.target, Accept::Key, action, Conditions::default()).await?;
        let (now, most) = (call.now, call.resource_quotas().aliases_per_key);
        alias.retarget(&mut call.tx, &old, &new, most, now).await?;
        call.record_answer("keyId", new.arn.as_str());
        Ok(Empty)
    }
}
