//! What a backup needs of a store: all rows of one moment on their way out, still sealed; the same check
//! of them that a start makes, without a store; and their way into a new store.
use super::backend::{Digest, Revision, StoreError};
use super::engine::{self, Engine, Options, ROWS, STATE};
use super::record;
use super::sealed::{RowKeys, read_state};
use crate::seal::Table;
use bytes::Bytes;
use std::collections::HashMap;
use std::fmt::Debug;
use std::path::Path;

/// A row as the backend keeps it: key, revision, sealed value.
pub type SealedRow = (Bytes, Revision, Bytes);

/// All rows and the state, of one moment. Reads block.
pub trait Export: Debug + Send {
    /// The sealed digest of these very rows; none in a store that never had one.
    fn state(&self) -> Option<&Bytes>;

    /// The next rows in key order, until their values have about `bytes` bytes; none at the end.
    fn next(&mut self, bytes: usize) -> Result<Vec<SealedRow>, StoreError>;
}

/// The rows of a store and what their state says of them.
#[derive(Debug)]
pub struct Exported {
    pub rows: Box<dyn Export>,
    pub state: Bytes,
    /// The highest revision that had been acknowledged.
    pub revision: Revision,
}

/// Opens rows that lie in no store, and sums them up as a start does.
#[derive(Debug)]
pub struct RowCheck<'k> {
    keys: &'k RowKeys,
    found: Digest,
    rows: u64,
    tables: HashMap<String, Table>,
}

impl<'k> RowCheck<'k> {
    pub fn new(keys: &'k RowKeys) -> Self {
        Self { keys, found: Digest::default(), rows: 0, tables: HashMap::new() }
    }

    /// `Corrupt` if it is not a row of this deployment, of this key and revision.
    pub fn row(&mut self, (key, revision, sealed): &SealedRow) -> Result<(), StoreError> {
        let name = record::parts(key).next().unwrap_or_default();
        let table = match self.tables.get(name) {
            Some(table) => *table,
            None => {
                let table = Table::of_name(name).ok_or_else(|| {
                    StoreError::Corrupt(format!("a row is of no table: {name:?}"))
                })?;
                *self.tables.entry(name.to_owned()).or_insert(table)
            }
        };
        self.keys.open(table, key, *revision, sealed)?;
        self.found += self.keys.mark(key, *revision);
        self.rows += 1;
        Ok(())
    }

    /// Whether these were all rows and no others. Answers the revision that the state names.
    pub fn end(self, state: &[u8]) -> Result<Revision, StoreError> {
        let (digest, last) = read_state(self.keys, state)?;
        if digest != self.found {
            return Err(StoreError::Corrupt(format!(
                "the {} rows are not those that the state of revision {} was made over",
                self.rows, last.0
            )));
        }
        Ok(last)
    }
}

/// Fills a new store with rows that have their revisions already. Blocks.
#[derive(Debug)]
pub struct Loader {
    engine: Engine,
}

impl Loader {
    /// `dir` is there and holds no store.
    pub fn new(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { engine: Engine::open(dir, Options::default())? })
    }

    /// Durable when it returns.
    pub fn load(&self, rows: &[SealedRow]) -> Result<(), StoreError> {
        self.engine.write(|transaction| {
            let mut table = transaction.open_table(ROWS)?;
            for (key, revision, value) in rows {
                table.insert(&**key, &*engine::encode(*revision, value))?;
            }
            Ok(true)
        })
    }

    /// The state, last: without it no start takes the rows for a store.
    pub fn finish(self, state: &[u8]) -> Result<(), StoreError> {
        self.engine.write(|transaction| {
            transaction.open_table(STATE)?.insert((), state)?;
            Ok(true)
        })?;
        self.engine.close();
        Ok(())
    }
}
