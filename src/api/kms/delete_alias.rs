use super::common::authorized_key;
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::keys::{Accept, Alias, AliasName};
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Takes a name from a key. Needs permission on the alias and on the key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteAlias {
    alias_name: String,
}

impl Operation for DeleteAlias {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "DeleteAlias";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["AliasName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "kms:DeleteAlias";
        let (account, region) = (call.account().clone(), call.region().clone());
        let alias = AliasName::parse(&account, &region, &self.alias_name)?;
        let alias = call.authorize(action, alias, Conditions::default())?;
        alias.not_reserved()?;
        let found = Alias::load(&mut call.tx, &account, &region, alias.name()).await?;
        let found = found.ok_or_else(|| {
            let arn = Arn::new("kms", region.as_str(), account.as_str(), alias.name());
            Error::NotFound(format!("Alias {arn} is not found."))
        })?;
        let key =
            authorized_key(call, &found.target, Accept::Key, action, Conditions::default()).await?;
        alias.delete(&mut call.tx, &key).await?;
        call.record_answer("keyId", key.arn.as_str());
        Ok(Empty)
    }
}
