//! This process as one of several that serve a deployment out of one database: who it is to the others, and
//! which of the work that somebody must do is its own at the moment.
mod shared;
mod silence;
mod turn;

pub use shared::shared;
pub use turn::{Turn, Work, turn};

use crate::root_of_trust::RootOfTrust;
use crate::store::postgres::{Node, Nodes};
use crate::store::{Store, StoreError};
use crate::types::Timestamp;
use silence::Silence;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What holds a rotation where there is one node only. What it finds under this name is what it, or its
/// predecessor, left behind.
const ALONE: &str = "local";

/// A node that was not heard of for so long has gone for good, as far as what it left undone goes. By the
/// database's clock.
const GONE_SECONDS: u64 = 600;
/// One that was heard of within this time is there.
const ALIVE_SECONDS: u64 = 60;
/// A clock that is further from the database's is wrong, or the database's is.
const CLOCK_TOLERANCE_SECONDS: i64 = 60;

/// This node among the others.
#[derive(Clone, Debug)]
pub struct ThisNode {
    nodes: Arc<Nodes>,
    /// Whether it was told that it is none any more.
    fenced: Arc<AtomicBool>,
    /// Whether its clock was wrong when it was last compared.
    astray: Arc<AtomicBool>,
    silence: Arc<Mutex<Silence>>,
}

impl ThisNode {
    pub fn new(nodes: Arc<Nodes>) -> Self {
        let (fenced, astray, silence) = Default::default();
        Self { nodes, fenced, astray, silence }
    }

    pub fn id(&self) -> &str {
        self.nodes.id()
    }

    pub(crate) fn incarnation(&self) -> i64 {
        self.nodes.lease().incarnation
    }

    pub async fn list(&self) -> Result<Vec<Node>, StoreError> {
        self.nodes.list().await
    }

    /// Takes another node out for good. Answers whether there was one of this id.
    pub async fn remove(&self, id: &str) -> Result<bool, StoreError> {
        self.nodes.remove(id).await
    }

    /// Says that this node is there, and how it is. It is fenced if it is told that it is none any more.
    pub async fn report(&self, root: &RootOfTrust, store: &Store) -> Result<(), StoreError> {
        let told = self.nodes.report(&root.openers(), store.knowledge_age()).await;
        if !told? {
            self.fenced.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Whether it was told that it is no node any more: it has nothing to say then.
    pub fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::SeqCst)
    }

    /// Whether the database's clock agrees with `now`.
    async fn keeps_time(&self, now: Timestamp) -> Result<bool, StoreError> {
        let database = self.nodes.clock().await?.unwrap_or_default();
        let seconds = now.0.saturating_sub(database).saturating_div(1000);
        let is_astray = seconds.saturating_abs() > CLOCK_TOLERANCE_SECONDS;
        // Once, not at every comparison.
        if self.astray.swap(is_astray, Ordering::SeqCst) != is_astray {
            match is_astray {
                true => tracing::error!(
                    seconds,
                    "this node's clock is so far ahead of the database's, or behind it: nothing that is \
                     due is rotated, ended or destroyed here"
                ),
                false => tracing::warn!("this node's clock and the database's agree again"),
            }
        }
        Ok(!is_astray)
    }

    /// Of nodes that left something behind: those that do not come back for it. To be asked every second.
    pub async fn gone(&self, ids: Vec<String>) -> Result<Vec<String>, StoreError> {
        let all = if ids.is_empty() { Vec::new() } else { self.list().await? };
        let (mut gone, mut silent) = (Vec::new(), Vec::new());
        for id in ids.into_iter().filter(|id| id != self.id()) {
            match all.iter().find(|node| node.id == id) {
                Some(node) if node.seconds_ago < GONE_SECONDS => {}
                // Nobody could say anything while the database was away.
                Some(_) => silent.push(id),
                // Removed, or its slot is another's.
                None => gone.push(id),
            }
        }
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        gone.extend(silence.look(silent, silence::now()));
        Ok(gone)
    }
}

/// What this process is called in what it leaves to be found.
pub fn name(node: Option<&ThisNode>) -> &str {
    node.map_or(ALONE, ThisNode::id)
}

/// Whether this process's clock, which shows `now`, can be gone by for what cannot be undone. Where there is
/// no other to compare it with, it is.
pub async fn keeps_time(node: Option<&ThisNode>, now: Timestamp) -> Result<bool, StoreError> {
    match node {
        Some(node) => node.keeps_time(now).await,
        None => Ok(true),
    }
}
