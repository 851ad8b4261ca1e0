//! Grants in the store: made, found, listed and deleted, always with all of their rows.
use super::{GrantOperation, Terms};
use crate::authorize::Authorized;
use crate::keys::{Found, Key, KeyError};
use crate::random::Random;
use crate::seal::Table;
use crate::store::{Page, Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Principal, Region, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const ID_DIGITS: usize = 64;
const HEX: &[u8] = b"0123456789abcdef";
/// Grants that one transaction deletes when their key is destroyed.
const AT_ONCE: usize = 200;

/// Who gets, or may retire, a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Party {
    Principal {
        arn: Arn,
        id: String,
    },
    /// `rds.amazonaws.com`.
    Service(String),
}

impl Party {
    /// What the store knows it by.
    pub fn id(&self) -> &str {
        match self {
            Self::Principal { id, .. } => id,
            Self::Service(name) => name,
        }
    }
}

impl From<Principal> for Party {
    fn from(principal: Principal) -> Self {
        Self::Principal { arn: principal.arn, id: principal.unique_id }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grant {
    pub id: String,
    pub key: Arn,
    pub key_id: String,
    pub region: Region,
    pub created: Timestamp,
    /// The account whose principal created it.
    pub issuer: AccountId,
    pub name: Option<String>,
    pub grantee: Party,
    pub retiring: Option<Party>,
    pub terms: Terms,
}
impl Record for Grant {
    const TABLE: Table = Table::new("grant");
}

/// A grant as its grantee's.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GrantOfGrantee {
    pub operations: Vec<GrantOperation>,
    /// Whether it holds only for calls that say for which resource they are made. No, of rows that do
    /// not say: then a look at the grant tells.
    #[serde(default)]
    pub source: bool,
}
impl Record for GrantOfGrantee {
    const TABLE: Table = Table::new("grant-of-grantee");
    const CACHED: bool = false;
}

#[derive(Debug, Serialize, Deserialize)]
struct RetirableGrant {
    key_id: String,
}
impl Record for RetirableGrant {
    const TABLE: Table = Table::new("retirable-grant");
    const CACHED: bool = false;
}

/// The grant of a name and everything else that its request said.
#[derive(Debug, Serialize, Deserialize)]
struct GrantName {
    grant_id: String,
}
impl Record for GrantName {
    const TABLE: Table = Table::new("grant-name");
    const CACHED: bool = false;
}

#[derive(Debug, Serialize, Deserialize)]
struct GrantCount {
    grants: usize,
}
impl Record for GrantCount {
    const TABLE: Table = Table::new("grant-count");
    const CACHED: bool = false;
}

/// What a new grant is made from.
#[derive(Clone, Debug, Serialize)]
pub struct NewGrant {
    pub issuer: AccountId,
    pub name: Option<String>,
    pub grantee: Party,
    pub retiring: Option<Party>,
    pub terms: Terms,
}

impl NewGrant {
    /// The same for requests that say the same, in whatever order they name the operations. None
    /// without a name: then every request means another grant.
    fn digest(&self) -> Result<Option<String>, StoreError> {
        if self.name.is_none() {
            return Ok(None);
        }
        let mut said = self.clone();
        said.terms.operations.sort();
        let said = serde_json::to_vec(&said)
            .map_err(|e| StoreError::Corrupt(format!("cannot encode a grant: {e}")))?;
        Ok(Some(hex::encode(Sha256::digest(said))))
    }
}

/// Refuses what is no grant's id.
pub fn check_id(id: &str) -> Result<(), KeyError> {
    let fits = id.len() == ID_DIGITS && id.bytes().all(|b| HEX.contains(&b));
    if fits { Ok(()) } else { Err(KeyError::InvalidGrantId) }
}

impl Key {
    /// The grant on the key that has this id.
    pub async fn grant(&self, tx: &mut Tx<'_>, id: &str) -> Result<Arc<Grant>, KeyError> {
        check_id(id)?;
        let found = Grant::load(tx, self, id).await?;
        found.ok_or_else(|| KeyError::NotFound(format!("Grant ID {id} not found")))
    }
}

impl Authorized<Found> {
    /// Refuses a grant that cannot be. Answers the grant of an earlier request that said the same.
    pub async fn check_grant(
        &self,
        tx: &mut Tx<'_>,
        new: &NewGrant,
        most: usize,
    ) -> Result<Option<Arc<Grant>>, KeyError> {
        if let Some(digest) = new.digest()? {
            let key = [self.region.as_str(), &self.id, &digest];
            if let Some(name) = tx.get::<GrantName>(&key).await? {
                return Ok(Grant::load(tx, self, &name.grant_id).await?);
            }
        }
        // Grants that are made at the same moment do not see each other here; the next one does.
        let scope = [self.region.as_str(), &self.id];
        let counts = tx.list::<GrantCount>(&scope, None, HEX.len()).await?;
        let grants: usize = counts.records.iter().map(|(_, count)| count.grants).sum();
        if grants >= most {
            let text = format!("{} has {most} grants, which is the limit.", self.arn);
            return Err(KeyError::LimitExceeded(text));
        }
        Ok(None)
    }

    pub async fn create_grant(
        &self,
        tx: &mut Tx<'_>,
        random: &dyn Random,
        new: NewGrant,
        now: Timestamp,
    ) -> Result<Arc<Grant>, KeyError> {
        self.permits("CreateGrant")?;
        new.terms.check(self)?;
        let digest = new.digest()?;
        let grant = Grant {
            id: random.text(ID_DIGITS, HEX),
            key: self.arn.clone(),
            key_id: self.id.clone(),
            region: self.region.clone(),
            created: now,
            issuer: new.issuer,
            name: new.name,
            grantee: new.grantee,
            retiring: new.retiring,
            terms: new.terms,
        };
        if let Some(digest) = digest {
            let name = GrantName { grant_id: grant.id.clone() };
            tx.put(&[self.region.as_str(), &self.id, &digest], name)?;
        }
        let grant = grant.insert(tx).await?;
        if !self.granted {
            Key { granted: true, ..Key::clone(self) }.save(tx)?;
        }
        Ok(grant)
    }

    pub async fn revoke_grant(&self, tx: &mut Tx<'_>, grant: &Grant) -> Result<(), KeyError> {
        self.permits("RevokeGrant")?;
        Ok(grant.remove(tx).await?)
    }
}

impl Grant {
    pub(super) async fn load(
        tx: &mut Tx<'_>,
        key: &Key,
        id: &str,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[key.region.as_str(), &key.id, id]).await
    }

    async fn insert(self, tx: &mut Tx<'_>) -> Result<Arc<Self>, StoreError> {
        let row = GrantOfGrantee {
            operations: self.terms.operations.clone(),
            source: self.terms.constraints.source_arn.is_some(),
        };
        let (tag, region) = (self.terms.constraints.tag(), self.region.clone());
        let (region, key_id, id) = (region.as_str(), self.key_id.clone(), self.id.clone());
        tx.put(&[region, &key_id, self.grantee.id(), &tag, &id], row)?;
        if let Some(party) = &self.retiring {
            let row = RetirableGrant { key_id: key_id.clone() };
            tx.put(&[region, party.id(), &id], row)?;
        }
        self.count(tx, |grants| grants.saturating_add(1)).await?;
        tx.put(&[region, &key_id, &id], self)
    }

    pub(super) async fn remove(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let (tag, region) = (self.terms.constraints.tag(), self.region.as_str());
        let grantee = [region, &self.key_id, self.grantee.id(), &tag, &self.id];
        tx.delete::<GrantOfGrantee>(&grantee)?;
        if let Some(party) = &self.retiring {
            tx.delete::<RetirableGrant>(&[region, party.id(), &self.id])?;
        }
        if let Some(digest) = self.as_new().digest()? {
            tx.delete::<GrantName>(&[region, &self.key_id, &digest])?;
        }
        self.count(tx, |grants| grants.saturating_sub(1)).await?;
        tx.delete::<Self>(&[region, &self.key_id, &self.id])
    }

    fn as_new(&self) -> NewGrant {
        NewGrant {
            issuer: self.issuer.clone(),
            name: self.name.clone(),
            grantee: self.grantee.clone(),
            retiring: self.retiring.clone(),
            terms: self.terms.clone(),
        }
    }

    async fn count(
        &self,
        tx: &mut Tx<'_>,
        change: impl FnOnce(usize) -> usize,
    ) -> Result<(), StoreError> {
        let part: String = self.id.chars().take(1).collect();
        let key = [self.region.as_str(), &self.key_id, &part];
        let before = tx.get::<GrantCount>(&key).await?.map_or(0, |count| count.grants);
        tx.put(&key, GrantCount { grants: change(before) })?;
        Ok(())
    }
}

/// A page of a key's grants, in the order of their ids.
pub async fn list(
    tx: &Tx<'_>,
    key: &Key,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<Grant>, StoreError> {
    tx.list::<Grant>(&[key.region.as_str(), &key.id], after, limit).await
}

/// A page of the grants in a region that a principal may retire.
pub async fn retirable(
    tx: &mut Tx<'_>,
    region: &Region,
    principal: &Principal,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<Grant>, StoreError> {
    let scope = [region.as_str(), principal.unique_id.as_str()];
    let mut after = after.map(str::to_owned);
    loop {
        let rows = tx.list::<RetirableGrant>(&scope, after.as_deref(), limit).await?;
        let mut records = Vec::new();
        after = rows.records.last().map(|(id, _)| id.clone());
        for (id, row) in rows.records {
            let grant = tx.get::<Grant>(&[region.as_str(), &row.key_id, &id]).await?;
            records.extend(grant.map(|grant| (id, grant)));
        }
        // A page of grants that ended since they were listed would look like the last one.
        if !records.is_empty() || !rows.more {
            return Ok(Page { records, more: rows.more });
        }
    }
}

/// Deletes some grants of a key whose waiting period is over, if it has more than one transaction
/// should hold; answers whether it did. The key cannot be used any more, so nobody misses them.
pub async fn thin_out(
    tx: &mut Tx<'_>,
    region: &Region,
    id: &str,
    now: Timestamp,
) -> Result<bool, KeyError> {
    let Some(key) = Key::load(tx, region, id).await? else { return Ok(false) };
    if !key.granted || key.deletion.is_none_or(|end| end > now) {
        return Ok(false);
    }
    let page = list(tx, &key, None, AT_ONCE).await?;
    if page.more {
        for (_, grant) in &page.records {
            grant.remove(tx).await?;
        }
    }
    Ok(page.more)
}

/// Deletes the grants that `thin_out` left, and their count.
pub(in crate::keys) async fn delete_all(tx: &mut Tx<'_>, key: &Key) -> Result<(), StoreError> {
    if !key.granted {
        return Ok(());
    }
    for (_, grant) in list(tx, key, None, usize::MAX).await?.records {
        grant.remove(tx).await?;
    }
    for digit in HEX {
        let part = char::from(*digit).to_string();
        tx.delete::<GrantCount>(&[key.region.as_str(), &key.id, &part])?;
    }
    Ok(())
}
