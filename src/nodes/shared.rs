//! The root of trust's way to the copy of `deployment.json` in the database. The root of trust blocks, the
//! database does not.
use super::{ALIVE_SECONDS, ThisNode};
use crate::root_of_trust::{Other, Shared};
use crate::store::StoreError;
use crate::store::postgres::{Nodes, SharedCopy};
use std::sync::Arc;
use tokio::runtime::Handle;

#[derive(Debug)]
struct InDatabase {
    nodes: Arc<Nodes>,
    runtime: Handle,
}

/// For threads that may block. To be called within a runtime.
pub fn shared(node: &ThisNode) -> Arc<dyn Shared> {
    Arc::new(InDatabase { nodes: node.nodes.clone(), runtime: Handle::current() })
}

impl Shared for InDatabase {
    fn read(&self) -> Result<Option<SharedCopy>, StoreError> {
        self.runtime.block_on(self.nodes.copy())
    }

    fn replace(&self, before: u64, copy: &SharedCopy) -> Result<bool, StoreError> {
        self.runtime.block_on(self.nodes.replace_copy(before, copy))
    }

    fn others(&self) -> Result<Vec<Other>, StoreError> {
        let all = self.runtime.block_on(self.nodes.list())?;
        let others = all.into_iter().filter(|node| node.id != self.nodes.id());
        let other = others.map(|node| Other {
            is_alive: node.seconds_ago < ALIVE_SECONDS,
            name: node.name,
            id: node.id,
            roots: node.roots,
        });
        Ok(other.collect())
    }
}
