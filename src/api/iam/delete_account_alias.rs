use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::Account;
use serde::{Deserialize, Serialize};

/// Takes the account's name away.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteAccountAlias {
    account_alias: String,
}

impl Operation for DeleteAccountAlias {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteAccountAlias";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["AccountAlias"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let whole = call.whole_account();
        let allowed = call.authorize("iam:DeleteAccountAlias", whole, Conditions::default())?;
        let (id, now) = (call.account().clone(), call.now);
        let account = Account::ensure(&mut call.tx, &id, now).await?;
        account.remove_alias(&allowed, &mut call.tx, &self.account_alias)?;
        Ok(Empty)
    }
}
