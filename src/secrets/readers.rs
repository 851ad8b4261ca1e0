//! Who still reads an old version of a secret. AWS cannot tell; whoever takes an old password away has
//! to know.
//!
//! A row holds all readers of one version, so that it goes with the version and needs no search. With it the secret
//! learns on which day it was last read: no read waits for a write.
use super::find::id_in;
use super::stages::{CURRENT, PREVIOUS};
use super::{CrossAccountState, Secret, VersionMeta};
use crate::last_use::{MOST_READERS, Noted, Reader, Reads};
use crate::seal::Table;
use crate::store::{Record, Store, StoreError, Tx};
use crate::types::{Arn, Region, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The caching clients of AWS ask again after an hour; who did not ask for two is gone.
pub const IDLE_SECONDS: i64 = 2 * 60 * 60;
/// Versions whose readers one transaction writes.
const BATCH: usize = 50;

/// The readers of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readers {
    /// By their unique ids.
    pub named: BTreeMap<String, Reader>,
    /// When any of those read it last for whom there was no place.
    pub others: Option<Timestamp>,
}

impl Record for Readers {
    const TABLE: Table = Table::new("secret-readers");
    const CACHED: bool = false;
}

impl Readers {
    fn add(&mut self, noted: &Noted) {
        for (id, reader) in &noted.readers {
            let known = self.named.entry(id.clone()).or_insert_with(|| reader.clone());
            if known.last < reader.last {
                *known = reader.clone();
            }
        }
        self.others = self.others.max(noted.others);
        // Who has not been here for the longest time makes room.
        let surplus = self.named.len().saturating_sub(MOST_READERS);
        let mut oldest: Vec<_> = match surplus {
            0 => return,
            _ => self.named.iter().map(|(id, reader)| (reader.last, id.clone())).collect(),
        };
        oldest.sort();
        for (last, id) in oldest.into_iter().take(surplus) {
            self.named.remove(&id);
            self.others = self.others.max(Some(last));
        }
    }

    /// Those of a version, written or not yet.
    pub async fn of(
        tx: &mut Tx<'_>,
        reads: &Reads,
        secret: &Arn,
        version: &str,
    ) -> Result<Self, StoreError> {
        let noted = reads.of(secret, version);
        let Some(row) = row(secret, version) else { return Ok(Self::default()) };
        let stored = tx.get::<Self>(&row).await?;
        let mut all = stored.map(|stored| Self::clone(&stored)).unwrap_or_default();
        all.add(&noted);
        Ok(all)
    }

    pub(super) fn forget(tx: &mut Tx<'_>, secret: &Arn, version: &str) -> Result<(), StoreError> {
        row(secret, version).map_or(Ok(()), |row| tx.delete::<Self>(&row))
    }
}

fn row<'a>(secret: &'a Arn, version: &'a str) -> Option<[&'a str; 4]> {
    Some([secret.account(), secret.region(), id_in(secret)?, version])
}

/// Writes down what is due.
pub async fn write(store: &Store, reads: &Reads, now: Timestamp) -> Result<(), StoreError> {
    for batch in reads.due(now).chunks(BATCH) {
        match write_some(store, reads, batch, now).await {
            // A secret changed meanwhile: the next look finds these again.
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(StoreError::Corrupt(_)) => write_each(store, reads, batch, now).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// One at a time, since one of them is damaged: that one keeps no other from being written. What is
/// noted of it rests in memory as if it were written, and is tried again with its next turn.
async fn write_each(
    store: &Store,
    reads: &Reads,
    batch: &[(String, String)],
    now: Timestamp,
) -> Result<(), StoreError> {
    for one in batch {
        match write_some(store, reads, std::slice::from_ref(one), now).await {
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(error @ StoreError::Corrupt(_)) => {
                let (secret, version) = one;
                tracing::error!(secret, version, %error, "cannot write who read a secret");
                if let Ok(secret) = secret.parse() {
                    reads.written(&secret, version, &Noted::default(), now);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn write_some(
    store: &Store,
    reads: &Reads,
    batch: &[(String, String)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = store.begin();
    let mut done = Vec::new();
    for (secret, version) in batch {
        // Read by this transaction: what is deleted meanwhile makes it conflict.
        let Some(secret) = existing(&mut tx, secret, version).await? else {
            reads.drop_notes(secret, version);
            continue;
        };
        let arn = secret.arn.clone();
        let Some(row) = row(&arn, version) else { continue };
        let noted = reads.of(&arn, version);
        let stored = tx.get::<Readers>(&row).await?;
        let before = stored.map(|stored| Readers::clone(&stored)).unwrap_or_default();
        let mut all = before.clone();
        all.add(&noted);
        if all != before {
            tx.put(&row, all)?;
        }
        if let Some(read) = noted.last().and_then(|at| secret.accessed(version, at)) {
            read.save(&mut tx)?;
        }
        done.push((arn, version, noted));
    }
    tx.commit().await?;
    for (secret, version, noted) in done {
        reads.written(&secret, version, &noted, now);
    }
    Ok(())
}

/// The secret of this ARN, if it is still there and has the version.
async fn existing(
    tx: &mut Tx<'_>,
    secret: &str,
    version: &str,
) -> Result<Option<Arc<Secret>>, StoreError> {
    let Ok(arn) = secret.parse::<Arn>() else { return Ok(None) };
    let found = Secret::by_arn(tx, &arn).await?;
    Ok(found.filter(|found| found.versions.contains(version)))
}

/// What a reader of a version does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Reads a version that is no old one.
    Fine,
    /// Has read the current version since.
    Moved,
    /// Has read nothing for so long that nobody waits for it.
    Idle,
    /// Works for the rotation itself.
    Rotation,
    /// Read the old version, and not the current one since.
    Behind,
}

/// Somebody who read a version, and how that is to be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// None for those who are too many to be named.
    pub arn: Option<Arn>,
    pub unique_id: Option<String>,
    /// Where: replicas are read too.
    pub region: Region,
    pub last: Timestamp,
    pub standing: Standing,
    /// Whether it is the replica in another account that was read: who does that is that account's own
    /// business.
    pub elsewhere: bool,
}

/// What it takes to judge readers.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    pub reads: &'a Reads,
    /// Reads before this are of no interest.
    pub since: Timestamp,
    /// The role of the secret's rotation function, whose sessions read old versions and mean nothing by
    /// it.
    pub rotator: Option<&'a Arn>,
}

impl Judge<'_> {
    /// Who read this version, wherever the secret is. The last one to read stands first.
    pub async fn readers(
        &self,
        tx: &mut Tx<'_>,
        secret: &Secret,
        version: &str,
    ) -> Result<Vec<Judged>, StoreError> {
        let current = secret.versions.iter().find(|(_, meta)| meta.stages.contains(CURRENT));
        let old = secret.versions.get(version).is_none_or(is_old);
        let mut judged = Vec::new();
        for (arn, region, elsewhere) in places(secret) {
            let of_current = match current {
                Some((id, _)) => Readers::of(tx, self.reads, &arn, id).await?,
                None => Readers::default(),
            };
            let readers = Readers::of(tx, self.reads, &arn, version).await?;
            for (id, reader) in readers.named {
                let since = of_current.named.get(&id).is_some_and(|r| r.last > reader.last);
                judged.push(Judged {
                    standing: self.standing(Some(&reader.arn), reader.last, old, since),
                    arn: Some(reader.arn),
                    unique_id: Some(id),
                    region: region.clone(),
                    last: reader.last,
                    elsewhere,
                });
            }
            judged.extend(readers.others.map(|last| Judged {
                standing: self.standing(None, last, old, false),
                arn: None,
                unique_id: None,
                region: region.clone(),
                last,
                elsewhere,
            }));
        }
        judged.sort_by_key(|reader| std::cmp::Reverse(reader.last));
        Ok(judged)
    }

    /// Who has read this old version and not the current one since.
    pub async fn undrained(
        &self,
        tx: &mut Tx<'_>,
        secret: &Secret,
        version: &str,
    ) -> Result<Vec<Judged>, StoreError> {
        let mut readers = self.readers(tx, secret, version).await?;
        readers.retain(|reader| reader.standing == Standing::Behind);
        Ok(readers)
    }

    fn standing(&self, who: Option<&Arn>, last: Timestamp, old: bool, moved: bool) -> Standing {
        match who {
            Some(who) if self.rotator.is_some_and(|role| is_session(who, role)) => {
                Standing::Rotation
            }
            _ if !old => Standing::Fine,
            _ if moved => Standing::Moved,
            _ if last < self.since => Standing::Idle,
            _ => Standing::Behind,
        }
    }
}

/// Where a secret is read: in each of its regions, and as the replica in another account.
fn places(secret: &Secret) -> impl Iterator<Item = (Arn, &Region, bool)> {
    let replicas = secret.replication.replicas().map(|(region, _)| region);
    let own = std::iter::once(&secret.region).chain(replicas);
    let other = secret.replica_elsewhere().map(|(link, _)| link);
    let other = other.filter(|link| link.state != CrossAccountState::Detached);
    own.map(|region| (secret.arn_in(region), region, false))
        .chain(other.map(|link| (link.other.clone(), &secret.region, true)))
}

/// Whether nobody should read a version any more. Who gave it a label of their own wants it read.
pub fn is_old(version: &VersionMeta) -> bool {
    version.stages.iter().all(|label| label == PREVIOUS)
}

/// `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION` is a session of `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
fn is_session(who: &Arn, role: &Arn) -> bool {
    let name = role.resource().rsplit('/').next();
    let session = who.resource().strip_prefix("assumed-role/");
    who.account() == role.account() && session.and_then(|session| session.split('/').next()) == name
}

impl Secret {
    /// The function that rotates it.
    pub fn rotator(&self) -> Option<&Arn> {
        self.rotation.as_ref().and_then(|rotation| rotation.function.as_ref())
    }

    /// The id of the version that was current before.
    pub fn previous(&self) -> Option<&str> {
        self.versions.holder(PREVIOUS).map(|(id, _)| id)
    }
}
