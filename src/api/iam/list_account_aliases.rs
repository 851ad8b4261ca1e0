use super::common::bad_marker;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::Account;
use serde::{Deserialize, Serialize};

/// Lists the account's aliases: it has one at most.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAccountAliases {
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAccountAliasesResponse {
    account_aliases: Vec<String>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListAccountAliases {
    type Service = Iam;
    type Response = ListAccountAliasesResponse;
    const NAME: &'static str = "ListAccountAliases";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListAccountAliasesResponse, Error> {
        let whole = call.whole_account();
        call.authorize("iam:ListAccountAliases", whole, Conditions::default())?;
        // One alias never fills a page, so no marker was ever given.
        if self.marker.is_some() {
            return Err(bad_marker());
        }
        let id = call.account().clone();
        let account = Account::load(&mut call.tx, &id).await?;
        let alias = account.and_then(|account| account.alias.clone());
        Ok(ListAccountAliasesResponse {
            account_aliases: alias.into_iter().collect(),
            is_truncated: false,
            marker: None,
        })
    }
}
