//! Encryption at rest. Every row is sealed under a key of the domain, bound to its table, key and
//! revision; and the sum of a keyed function of all rows' keys and revisions is kept beside them.
//! So an edited or swapped row does not open, and a row that was put back, removed or added does
//! not match the sum: it is detected, never believed.
use super::backend::{Backend, Commit, Digest, Revision, StoreError, Sum, Witness};
use super::export::Exported;
use super::numbers::Numbers;
use crate::memory::LockedKey;
use crate::random::Random;
use crate::seal::row::{self, Place, Row};
use crate::seal::{self, Label, Table};
use bytes::Bytes;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use zeroize::Zeroizing;

/// Half of what a database can hold. So many commits are never made.
const HIGHEST: Revision = Revision(1 << 62);

/// The table of the one row that is none: the running sum.
const STATE: Table = Table::new("state");

/// When an opened store's rows are compared with what it says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// Before anything is answered from them. It takes seconds for every million rows.
    #[default]
    BeforeServing,
    /// Meanwhile, by [`Store::check_rows`](super::Store::check_rows).
    WhileServing,
}

/// What seals rows: the cluster they belong to and the domain keys by generation.
#[derive(Debug)]
pub struct RowKeys {
    cluster: [u8; 16],
    domain_keys: BTreeMap<u32, Arc<LockedKey>>,
    newest: u32,
    /// Of the oldest generation, for good: it only marks which rows exist.
    chain: LockedKey,
    /// Derived on first use, one a table and generation.
    rows: RwLock<BTreeMap<(u32, &'static str), Arc<LockedKey>>>,
}

impl RowKeys {
    /// `domain_keys`: every live generation's key; there is at least one.
    pub fn new(
        cluster: [u8; 16],
        domain_keys: BTreeMap<u32, Arc<LockedKey>>,
    ) -> Result<Self, StoreError> {
        let none = || StoreError::Unavailable("no domain key is open".into());
        let (_, oldest) = domain_keys.first_key_value().ok_or_else(none)?;
        let (newest, _) = domain_keys.last_key_value().ok_or_else(none)?;
        let chain = seal::derive(oldest.expose(), Label::CHAIN, &cluster);
        let (newest, chain) = (*newest, LockedKey::new(chain.expose()));
        Ok(Self { cluster, domain_keys, newest, chain, rows: RwLock::default() })
    }

    fn row_key(&self, generation: u32, table: Table) -> Result<Arc<LockedKey>, StoreError> {
        let at = (generation, table.name());
        if let Some(key) = self.rows.read().unwrap_or_else(PoisonError::into_inner).get(&at) {
            return Ok(key.clone());
        }
        let domain_key = self.domain_keys.get(&generation).ok_or_else(|| {
            StoreError::Corrupt(format!("no domain key of generation {generation} is open"))
        })?;
        let key = Arc::new(LockedKey::new(row::sub_key(domain_key.expose(), table).expose()));
        self.rows.write().unwrap_or_else(PoisonError::into_inner).insert(at, key.clone());
        Ok(key)
    }

    fn seal(
        &self,
        table: Table,
        key: &[u8],
        revision: Revision,
        random: &dyn Random,
        value: &[u8],
    ) -> Result<Bytes, StoreError> {
        let place = Place { cluster: &self.cluster, table, key, revision: revision.0 };
        let row_key = self.row_key(self.newest, table)?;
        Ok(row::seal(row_key.expose(), self.newest, &place, random, value).into())
    }

    pub(super) fn open(
        &self,
        table: Table,
        key: &[u8],
        revision: Revision,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let broken = || {
            let key = String::from_utf8_lossy(key).replace('\0', "/");
            StoreError::Corrupt(format!(
                "row {key} of revision {} does not authenticate",
                revision.0
            ))
        };
        let row = Row::parse(sealed).map_err(|_| broken())?;
        let place = Place { cluster: &self.cluster, table, key, revision: revision.0 };
        let row_key = self.row_key(row.generation(), table)?;
        row.open(row_key.expose(), &place).map_err(|_| broken())
    }

    /// A row's share of the running sum.
    pub(super) fn mark(&self, key: &[u8], revision: Revision) -> Digest {
        if revision == Revision(0) {
            return Digest::default();
        }
        let revision = revision.0.to_be_bytes();
        let mac = seal::mac(self.chain.expose(), Label::CHAIN, &[key, &revision]);
        let mut lanes = [0; 4];
        for (lane, bytes) in lanes.iter_mut().zip(mac.as_chunks::<8>().0) {
            *lane = u64::from_be_bytes(*bytes);
        }
        Digest(lanes)
    }
}

/// Seals the running sum, so that the backend can neither read nor forge it.
#[derive(Debug)]
struct StateSeal {
    keys: Arc<RowKeys>,
    random: Arc<dyn Random>,
}

impl Witness for StateSeal {
    fn seal(&self, digest: Digest, last: Revision) -> Bytes {
        let mut state: Vec<u8> = digest.0.iter().flat_map(|lane| lane.to_be_bytes()).collect();
        state.extend_from_slice(&last.0.to_be_bytes());
        // Only an absent generation could make this fail, and the newest is present. A state that
        // does not open is refused at the next start, which is the safe way to be wrong.
        self.keys.seal(STATE, b"", Revision(0), &*self.random, &state).unwrap_or_default()
    }

    fn open(&self, state: &[u8]) -> Result<(Digest, Revision), StoreError> {
        read_state(&self.keys, state)
    }
}

pub(super) fn read_state(keys: &RowKeys, sealed: &[u8]) -> Result<(Digest, Revision), StoreError> {
    let state = keys.open(STATE, b"", Revision(0), sealed)?;
    let mut words = state.as_chunks::<8>().0.iter().map(|bytes| u64::from_be_bytes(*bytes));
    let mut next = || words.next().unwrap_or_default();
    Ok((Digest([next(), next(), next(), next()]), Revision(next())))
}

/// A row on its way to the backend, still open; without a value it is deleted.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) table: Table,
    pub(super) value: Option<Zeroizing<Vec<u8>>>,
}

/// What a row must hold once it is committed.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) table: Table,
    pub(super) key: Bytes,
    pub(super) value: Zeroizing<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct Sealed {
    backend: Arc<dyn Backend>,
    keys: Arc<RowKeys>,
    random: Arc<dyn Random>,
    numbers: Numbers,
    /// How far the store was with what was acknowledged: its highest revision, or where others write too more.
    acknowledged: AtomicU64,
    /// The rows are still to be compared with the state.
    unchecked: AtomicBool,
    /// What was found then: nothing is answered from these rows any more.
    distrusted: OnceLock<StoreError>,
}

/// The running sum and the highest revision, if the rows are those that the state tells of.
async fn checked(
    backend: &dyn Backend,
    keys: &Arc<RowKeys>,
    new: bool,
) -> Result<(Digest, Revision), StoreError> {
    let marks = keys.clone();
    let mark = Arc::new(move |key: &[u8], revision| marks.mark(key, revision));
    let Sum { digest: found, rows, state } = backend.sum(mark).await?;
    let (digest, last) = match state {
        Some(state) => read_state(keys, &state)?,
        None if new && rows == 0 => (Digest::default(), Revision(0)),
        None => {
            return Err(StoreError::Corrupt(format!(
                "the store has {rows} rows and no state: it was emptied or replaced"
            )));
        }
    };
    if found != digest {
        return Err(StoreError::Corrupt(format!(
            "the {rows} rows are not those last acknowledged (revision {}): rows were put back, \
             removed or added",
            last.0
        )));
    }
    Ok((digest, last))
}

impl Sealed {
    pub(super) async fn open(
        backend: Arc<dyn Backend>,
        keys: Arc<RowKeys>,
        random: Arc<dyn Random>,
        new: bool,
        check: Verify,
    ) -> Result<Self, StoreError> {
        // A store without a state is new, or refused at once.
        let state = match check {
            Verify::WhileServing => backend.state().await?,
            Verify::BeforeServing => None,
        };
        let unchecked = AtomicBool::new(state.is_some());
        let (digest, last) = match state {
            Some(state) => read_state(&keys, &state)?,
            None => checked(&*backend, &keys, new).await?,
        };
        // Not simply the next one: a commit that a crash undid had revisions too, and its rows must
        // not pass for those of another commit.
        let skip = u32::from_be_bytes((&*random as &dyn Random).bytes());
        let numbers = Numbers::new(backend.slot(), last, skip);
        let seal = StateSeal { keys: keys.clone(), random: random.clone() };
        backend.install(Arc::new(seal), digest, last);
        let acknowledged = AtomicU64::new(last.0);
        let distrusted = OnceLock::new();
        Ok(Self { backend, keys, random, numbers, acknowledged, unchecked, distrusted })
    }

    /// Compares the rows with the state if that is still to be done. They are of one moment, whatever is
    /// committed meanwhile: a row that is not the one it should be is missed by every later sum, too. Answers
    /// whether it was still to be done.
    pub(super) async fn check(&self) -> Result<bool, StoreError> {
        if !self.unchecked.load(Ordering::SeqCst) {
            return Ok(false);
        }
        checked(&*self.backend, &self.keys, false).await?;
        self.unchecked.store(false, Ordering::SeqCst);
        Ok(true)
    }

    /// Whether the rows have been compared with the state.
    pub(super) fn is_verified(&self) -> bool {
        !self.unchecked.load(Ordering::SeqCst)
    }

    /// From now on everything fails, with this. The first reason stands.
    pub(super) fn distrust(&self, why: StoreError) {
        let _ = self.distrusted.set(why);
    }

    /// Fails if the rows are not those that the state tells of, or nobody could find out.
    pub(super) fn trusted(&self) -> Result<(), StoreError> {
        self.distrusted.get().map_or(Ok(()), |found| Err(found.clone()))
    }

    pub(super) async fn get(
        &self,
        table: Table,
        key: &Bytes,
    ) -> Result<Option<(Revision, Zeroizing<Vec<u8>>)>, StoreError> {
        self.trusted()?;
        match self.backend.get(key).await? {
            None => Ok(None),
            Some((revision, sealed)) => {
                let value = self.keys.open(table, key, revision, &sealed)?;
                // Not before: anybody can write a number into a database.
                self.numbers.saw(revision);
                Ok(Some((revision, value)))
            }
        }
    }

    /// What the store has now, in the order of the keys.
    pub(super) async fn revisions(&self, keys: &[&[u8]]) -> Result<Vec<Revision>, StoreError> {
        self.backend.revisions(keys).await
    }

    pub(super) async fn scan(
        &self,
        table: Table,
        range: Range<Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Zeroizing<Vec<u8>>)>, StoreError> {
        self.trusted()?;
        let rows = self.backend.scan(range, limit).await?;
        rows.into_iter()
            .map(|(key, revision, sealed)| {
                let value = self.keys.open(table, &key, revision, &sealed)?;
                Ok((key, value))
            })
            .collect()
    }

    /// `read` holds every key of `rows`: the sum needs to know what a write replaces.
    pub(super) async fn commit(
        &self,
        read: BTreeMap<Bytes, Revision>,
        rows: BTreeMap<Bytes, Written>,
    ) -> Result<Revision, StoreError> {
        self.trusted()?;
        for revision in read.values() {
            // Those of rows that were not opened are only the database's word.
            if *revision > HIGHEST {
                let text = format!("a row's revision is {}, which nobody has reached", revision.0);
                return Err(StoreError::Corrupt(text));
            }
            self.numbers.saw(*revision);
        }
        let revision = self.numbers.next();
        if revision > HIGHEST {
            // From a row that was only deleted. Other nodes would take it over.
            return Err(StoreError::Corrupt("the revisions have come to their end".into()));
        }
        let (mut delta, mut write) = (Digest::default(), BTreeMap::new());
        for (key, Written { table, value }) in rows {
            delta -= self.keys.mark(&key, read.get(&key).copied().unwrap_or_default());
            let sealed = match value {
                None => None,
                Some(value) => {
                    delta += self.keys.mark(&key, revision);
                    Some(self.keys.seal(table, &key, revision, &*self.random, &value)?)
                }
            };
            write.insert(key, sealed);
        }
        self.backend.commit(Commit { revision, read, write, delta }).await?;
        // Whoever is behind catches up.
        let reached = self.backend.reached().max(revision);
        self.numbers.saw(reached);
        self.acknowledged.fetch_max(reached.0, Ordering::SeqCst);
        Ok(revision)
    }

    pub(super) fn acknowledged(&self) -> u64 {
        // Also with a commit of which nobody was told, and that was found out later.
        self.acknowledged.load(Ordering::SeqCst).max(self.backend.reached().0)
    }

    pub(super) async fn newest(&self) -> Result<u64, StoreError> {
        let others = match self.backend.slot() {
            Some(_) => self.last().await?.0,
            None => 0,
        };
        Ok(self.acknowledged().max(others))
    }

    /// Reads rows of a commit back, opens and compares them. One that has moved on since is proved
    /// by whoever moved it; where others write too, one that seems to lag may have been deleted and made anew, if
    /// anything at all came later.
    pub(super) async fn prove(
        &self,
        revision: Revision,
        proofs: Vec<Proof>,
    ) -> Result<(), StoreError> {
        for proof in proofs {
            let holds = match self.get(proof.table, &proof.key).await? {
                Some((found, value)) if found == revision => *value == *proof.value,
                Some((found, _)) if found > revision => true,
                // A later commit may have deleted it, and one of another writer made it anew that knew
                // nothing of either. A single writer's revisions only grow: an earlier state is back.
                Some(_) => self.backend.slot().is_some() && self.last().await? > revision,
                None => self.acknowledged() > revision.0 || self.last().await? > revision,
            };
            if !holds {
                let table = proof.table.name();
                let text = format!("a {table} row does not read back as it was written");
                return Err(StoreError::Corrupt(text));
            }
        }
        Ok(())
    }

    pub(super) fn export(&self) -> Result<Exported, StoreError> {
        let rows = self.backend.export()?;
        let state = rows.state().cloned().ok_or_else(|| {
            StoreError::Unavailable("nothing was ever written to the store".into())
        })?;
        let (_, revision) = read_state(&self.keys, &state)?;
        Ok(Exported { rows, state, revision })
    }

    /// The highest revision of any writer.
    async fn last(&self) -> Result<Revision, StoreError> {
        match self.backend.state().await? {
            Some(state) => Ok(read_state(&self.keys, &state)?.1),
            None => Ok(Revision(0)),
        }
    }

    pub(super) fn check_writable(&self) -> Result<(), StoreError> {
        self.trusted()?;
        self.backend.check_writable()
    }

    pub(super) async fn clear(&self) -> Result<(), StoreError> {
        self.backend.clear().await
    }
}
