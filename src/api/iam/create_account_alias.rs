use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::Account;
use serde::{Deserialize, Serialize};

/// Gives the account a name beside its number, in place of the one it has.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateAccountAlias {
    account_alias: String,
}

impl Operation for CreateAccountAlias {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "CreateAccountAlias";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["AccountAlias"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let whole = call.whole_account();
        let allowed = call.authorize("iam:CreateAccountAlias", whole, Conditions::default())?;
        let (id, now) = (call.account().clone(), call.now);
        let account = Account::ensure(&mut call.tx, &id, now).await?;
        account.set_alias(&allowed, &mut call.tx, self.account_alias).await?;
        Ok(Empty)
    }
}
