//! Making and listing the accounts of a deployment.
use super::ControlError;
use crate::call::{ReplayError, Server, service_event};
use crate::identity::{Account, IdentityError, Role, User, administrator};
use crate::keys::KeyOfAccount;
use crate::secrets::Secret;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Principal, Region, SecretText, Timestamp};
use serde::{Deserialize, Serialize};

/// Conflicts that one command outlives.
const MAX_ATTEMPTS: u32 = 16;
const PAGE: usize = 1000;

/// An account as `claviger account list` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct AccountEntry {
    pub id: AccountId,
    pub alias: Option<String>,
    pub created: String,
    pub users: usize,
    pub roles: usize,
    /// In all regions.
    pub keys: usize,
    pub secrets: usize,
}

pub(super) async fn create(
    server: &Server,
    id: &AccountId,
    alias: Option<String>,
    key: (String, SecretText),
) -> Result<(), ControlError> {
    let region = region(server)?;
    for _ in 0..MAX_ATTEMPTS {
        let (now, random) = (server.clock.now(), &*server.random);
        let mut tx = server.store.begin();
        let account = Account::create(&mut tx, id, alias.clone(), now).await?;
        let made = administrator::insert(&mut tx, &account, Some(key.clone()), random, now).await;
        let (user, key) = match made {
            // Somebody made the account since it was read: the next attempt says so.
            Err(IdentityError::AlreadyExists(_)) => continue,
            made => made?,
        };
        let root = Principal::root(id).arn;
        let resource = ("AWS::Account", &root);
        let mut event = service_event(server, "claviger", "CreateAccount", id, region, resource);
        event.service_event_details = Some(serde_json::json!({
            "accountAlias": account.alias,
            "userName": user.name,
            "accessKeyId": key.id,
        }));
        match server.commit_service_events(tx, vec![event]).await {
            Err(ReplayError::Store(StoreError::Conflict)) => {}
            outcome => return Ok(outcome?),
        }
    }
    Err(StoreError::Conflict.into())
}

/// Where what belongs to no region is said to have happened.
fn region(server: &Server) -> Result<&Region, ControlError> {
    let none = || ControlError::Refused("the deployment serves no region".into());
    server.regions.first().ok_or_else(none)
}

pub(super) async fn list(server: &Server) -> Result<Vec<AccountEntry>, ControlError> {
    let tx = server.store.begin();
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let page = Account::list(&tx, after.as_deref(), PAGE).await?;
        after = page.records.last().map(|(id, _)| id.clone());
        for (_, account) in &page.records {
            entries.push(entry(server, &tx, account).await?);
        }
        if !page.more {
            return Ok(entries);
        }
    }
}

async fn entry(
    server: &Server,
    tx: &Tx<'_>,
    account: &Account,
) -> Result<AccountEntry, StoreError> {
    let id = account.id.as_str();
    let (mut keys, mut secrets) = (0, 0);
    for region in &server.regions {
        keys += count::<KeyOfAccount>(tx, &[id, region.as_str()]).await?;
        secrets += count::<Secret>(tx, &[id, region.as_str()]).await?;
    }
    Ok(AccountEntry {
        id: account.id.clone(),
        alias: account.alias.clone(),
        created: Timestamp::whole_secs(account.created).to_string(),
        users: count::<User>(tx, &[id]).await?,
        roles: count::<Role>(tx, &[id]).await?,
        keys,
        secrets,
    })
}

/// How many records' keys begin so.
async fn count<R: Record>(tx: &Tx<'_>, scope: &[&str]) -> Result<usize, StoreError> {
    let (mut found, mut after) = (0, None::<String>);
    loop {
        let page = tx.list::<R>(scope, after.as_deref(), PAGE).await?;
        found += page.records.len();
        after = page.records.last().map(|(name, _)| name.clone());
        if !page.more {
            return Ok(found);
        }
        // Other requests must not wait for the last of very many.
        tokio::task::yield_now().await;
    }
}
