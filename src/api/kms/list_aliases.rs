use super::common::page_size;
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::{self, Accept, Alias, Missing, SECRETS_MANAGER_ALIAS};
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};

/// Lists the account's aliases in the region, or those of one key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAliases {
    key_id: Option<String>,
    limit: Option<i64>,
    marker: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAliasesResponse {
    aliases: Vec<AliasListEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AliasListEntry {
    alias_name: String,
    alias_arn: Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_date: Option<Timestamp>,
}

impl AliasListEntry {
    fn without_key(name: &str, arn: Arn) -> Self {
        Self {
            alias_name: name.to_owned(),
            alias_arn: arn,
            target_key_id: None,
            creation_date: None,
            last_updated_date: None,
        }
    }
}

impl From<&Alias> for AliasListEntry {
    fn from(alias: &Alias) -> Self {
        Self {
            alias_name: alias.name.clone(),
            alias_arn: alias.arn.clone(),
            target_key_id: Some(alias.target.clone()),
            creation_date: Some(alias.created),
            last_updated_date: Some(alias.updated),
        }
    }
}

impl Operation for ListAliases {
    type Service = Kms;
    type Response = ListAliasesResponse;
    const NAME: &'static str = "ListAliases";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId", "Limit", "Marker"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListAliasesResponse, Error> {
        call.authorize("kms:ListAliases", call.whole_account(), Conditions::default())?;
        let size = page_size(self.limit, 50, 100)?;
        if let Some(key_id) = &self.key_id {
            return of_key(call, key_id, size, self.marker.as_deref()).await;
        }
        let after =
            call.resume("ListAliases", self.marker.as_deref()).ok_or(Error::InvalidMarker)?;
        let (account, region) = (call.account().as_str(), call.region().as_str());
        let page = call.tx.list::<Alias>(&[account, region], after.as_deref(), size).await?;
        let mut more = page.more;
        let mut aliases: Vec<AliasListEntry> =
            page.records.iter().map(|(_, alias)| (&**alias).into()).collect();
        if let Some(at) = predefined(after.as_deref(), &aliases, more) {
            let arn = Arn::new("kms", region, account, SECRETS_MANAGER_ALIAS);
            aliases.insert(at, AliasListEntry::without_key(SECRETS_MANAGER_ALIAS, arn));
            more |= aliases.len() > size;
            aliases.truncate(size);
        }
        let last = aliases.last().filter(|_| more);
        let next_marker = last.map(|last| call.marker_after("ListAliases", &last.alias_name));
        Ok(ListAliasesResponse { aliases, truncated: next_marker.is_some(), next_marker })
    }
}

/// Where on a page the alias of Secrets Manager's key belongs, if it is not there because nobody has
/// used the key yet: AWS lists it from the beginning, without a key.
fn predefined(after: Option<&str>, page: &[AliasListEntry], more: bool) -> Option<usize> {
    if after.is_some_and(|after| after >= SECRETS_MANAGER_ALIAS) {
        return None;
    }
    let at = page.partition_point(|alias| alias.alias_name.as_str() < SECRETS_MANAGER_ALIAS);
    match page.get(at) {
        Some(next) => (next.alias_name != SECRETS_MANAGER_ALIAS).then_some(at),
        // It comes on a later page.
        None => (!more).then_some(at),
    }
}

/// Permission is the account's affair, not the key's (AWS KMS developer guide, "ListAliases").
async fn of_key(
    call: &mut Call<'_>,
    key_id: &str,
    size: usize,
    marker: Option<&str>,
) -> Result<ListAliasesResponse, Error> {
    let (account, region) = (call.account().clone(), call.region().clone());
    let key = match keys::find(&mut call.tx, &account, &region, key_id, Accept::Key).await {
        Ok(key) if key.account == account => key,
        Err(Missing::Own(error)) => return Err(error),
        // Somebody else's aliases are not for this operation to list.
        Ok(_) | Err(Missing::Foreign(_)) => {
            return Err(Error::NotFound(format!("Key '{key_id}' does not exist")));
        }
    };
    let list = format!("ListAliases {}", key.arn);
    let after = call.resume(&list, marker).ok_or(Error::InvalidMarker)?;
    let follows = |name: &&String| after.as_ref().is_none_or(|after| *name > after);
    let mut rest = key.aliases.iter().filter(follows).peekable();
    let (mut aliases, mut last) = (Vec::new(), None);
    for name in rest.by_ref().take(size) {
        if let Some(alias) = Alias::load(&mut call.tx, &key.account, &key.region, name).await? {
            aliases.push((&*alias).into());
        }
        last = Some(name);
    }
    let last = last.filter(|_| rest.peek().is_some());
    let next_marker = last.map(|last| call.marker_after(&list, last));
    Ok(ListAliasesResponse { aliases, truncated: next_marker.is_some(), next_marker })
}
