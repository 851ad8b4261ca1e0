//! The running digest a backend keeps for its caller, and the seal it stores with every group.
use super::backend::{Commit, Digest, Revision, StoreError, Witness};
use bytes::Bytes;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(super) struct Ledger {
    witness: Arc<dyn Witness>,
    digest: Digest,
    last: Revision,
}

impl Ledger {
    pub(super) fn new(witness: Arc<dyn Witness>, digest: Digest, last: Revision) -> Self {
        Self { witness, digest, last }
    }

    /// The ledger once `applied` is durable. The old one stays valid should that fail.
    pub(super) fn after<'a>(&self, applied: impl IntoIterator<Item = &'a Commit>) -> Self {
        let mut next = self.clone();
        for commit in applied {
            next.digest += commit.delta;
            next.last = next.last.max(commit.revision);
        }
        next
    }

    /// The ledger after a group of one of several writers: further than before, whatever the revisions in the
    /// group. Those of another writer may be ahead by far, and what came later must not look like what was before.
    pub(super) fn beyond(self, before: Revision) -> Self {
        Self { last: self.last.max(Revision(before.0.saturating_add(1))), ..self }
    }

    pub(super) fn cleared(&self) -> Self {
        Self { digest: Digest::default(), ..self.clone() }
    }

    /// What a sealed state stands for.
    pub(super) fn opened(&self, state: &[u8]) -> Result<Self, StoreError> {
        let (digest, last) = self.witness.open(state)?;
        Ok(Self { digest, last, ..self.clone() })
    }

    pub(super) fn last(&self) -> Revision {
        self.last
    }

    pub(super) fn seal(&self) -> Bytes {
        self.witness.seal(self.digest, self.last)
    }
}
