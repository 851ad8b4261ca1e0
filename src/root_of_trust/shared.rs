//! Where several nodes serve a deployment, they share a copy of `deployment.json`. It is numbered: a
//! change takes the next number, which only one node gets, and the newer of file and copy is what counts.
//! Whoever keeps the copy can withhold it, or put back an older one beside which nothing newer is known; it
//! can put no wrap, root or number into it (`binding.rs`).
use super::deployment::Deployment;
use super::{RootError, RootOfTrust};
use crate::store::StoreError;
use crate::store::postgres::SharedCopy;
use claviger_hsm::RootKeyId;
use std::path::Path;
use std::sync::Arc;

/// Whoever keeps the copy, and knows the nodes. All of it blocks.
pub trait Shared: std::fmt::Debug + Send + Sync {
    /// None: there is no copy yet.
    fn read(&self) -> Result<Option<SharedCopy>, StoreError>;

    /// Puts a copy in place of the one numbered `before` (0: of none). Answers whether it is there now.
    fn replace(&self, before: u64, copy: &SharedCopy) -> Result<bool, StoreError>;

    /// The deployment's other nodes.
    fn others(&self) -> Result<Vec<Other>, StoreError>;
}

/// Another node.
#[derive(Clone, Debug)]
pub struct Other {
    pub name: String,
    pub id: String,
    /// Whether it was heard of lately.
    pub is_alive: bool,
    /// The roots by which its devices open the deployment.
    pub roots: Vec<String>,
}

impl Deployment {
    /// Its number; 0 if it was never shared.
    pub(super) fn revision(&self) -> u64 {
        self.revision.unwrap_or_default()
    }

    pub(super) fn to_copy(&self) -> Result<SharedCopy, RootError> {
        let document = serde_json::to_vec_pretty(self)
            .map_err(|e| RootError::Refused(format!("deployment.json cannot be written: {e}")))?;
        Ok(SharedCopy { revision: self.revision(), document: document.into() })
    }

    /// The deployment of a copy. Whether this deployment wrote it shows when it is opened.
    pub fn of_copy(copy: &SharedCopy) -> Result<Self, RootError> {
        let path = Path::new("the database's copy of deployment.json");
        let deployment = Self::parse(path, &copy.document)?;
        if deployment.revision() != copy.revision {
            let what = "has another number than it is stored under: it was changed".into();
            return Err(RootError::Deployment { path: path.to_owned(), what });
        }
        Ok(deployment)
    }

    /// This one or the copy, whichever is newer.
    pub fn newest(self, copy: &SharedCopy) -> Result<Self, RootError> {
        let theirs = Self::of_copy(copy)?;
        if theirs.cluster != self.cluster {
            return Err(RootError::Store(StoreError::ReadOnly(
                "the database belongs to another deployment".into(),
            )));
        }
        Ok(if theirs.revision() > self.revision() { theirs } else { self })
    }
}

impl RootOfTrust {
    /// From now on there is a copy: makes file, copy and what is in memory one. Blocks.
    pub fn share(&self, shared: Arc<dyn Shared>) -> Result<(), RootError> {
        // A second one would be the same.
        let _ = self.shared.set(shared);
        if self.deployment().revision.is_none() {
            let mut first = self.deployment().clone();
            first.revision = Some(1);
            first.bind(self.oldest());
            self.put_here(first)?;
        }
        self.refresh()?;
        // It may have been opened by the copy.
        let here = self.deployment().clone();
        match Deployment::read(&self.data)? {
            Some(file) if file == here => Ok(()),
            _ => here.write(&self.data),
        }
    }

    /// Writes the file of a directory that is not ready yet, as in the making of a deployment:
    /// [`RootOfTrust::share`] says that it is.
    pub fn begin_file(&self) -> Result<(), RootError> {
        let mut unready = self.deployment().clone();
        unready.ready = false;
        unready.bind(self.oldest());
        unready.write(&self.data)
    }

    /// Learns what other nodes have changed, or tells what they cannot know. Answers whether something
    /// was learned. Blocks.
    pub fn refresh(&self) -> Result<bool, RootError> {
        let Some(shared) = self.shared.get() else { return Ok(false) };
        let copy = shared.read()?;
        let here = self.deployment().clone();
        let theirs = copy.as_ref().map_or(0, |copy| copy.revision);
        match copy {
            Some(copy) if theirs > here.revision() => {
                self.adopt(&copy)?;
                Ok(true)
            }
            Some(copy) if theirs == here.revision() => {
                match copy.document == here.to_copy()?.document {
                    true => Ok(false),
                    false => Err(foreign("is not what this node has under the same number")),
                }
            }
            // A database that was put back, or the first node's first start.
            _ => match shared.replace(theirs, &here.to_copy()?)? {
                true => Ok(false),
                false => Err(RootError::Store(StoreError::Conflict)),
            },
        }
    }

    fn adopt(&self, copy: &SharedCopy) -> Result<(), RootError> {
        let theirs = Deployment::of_copy(copy)?;
        let here = self.deployment().clone();
        if !theirs.is_bound(self.oldest()) {
            return Err(foreign("was not written by this deployment: its MAC is wrong"));
        }
        if !(theirs.covers(&here) && here.covers(&theirs)) {
            return Err(foreign("has other domain keys than are open: restart this node"));
        }
        tracing::info!(
            revision = copy.revision,
            "another node has changed the wraps of the domain keys"
        );
        self.put_here(theirs)
    }

    fn put_here(&self, next: Deployment) -> Result<(), RootError> {
        let mut here = self.deployment();
        next.write(&self.data)?;
        *here = next;
        Ok(())
    }

    /// Has the copy be this one, which follows the one numbered `before`; or refuses.
    pub(super) fn publish(&self, before: u64, next: &Deployment) -> Result<(), RootError> {
        let Some(shared) = self.shared.get() else { return Ok(()) };
        match shared.replace(before, &next.to_copy()?)? {
            true => Ok(()),
            false => Err(RootError::Refused(
                "another node has changed the wraps at the same time: nothing was changed here. Give the \
                 command again"
                    .into(),
            )),
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared.get().is_some()
    }

    /// Why a root must stay: another node can open what remains by no other. One of which no root is known
    /// may need this one. `lost`: nodes that are away do not count, as their device is gone.
    pub(super) fn needed_by_node(
        &self,
        root: &RootKeyId,
        remaining: &Deployment,
        lost: bool,
    ) -> Result<Option<String>, RootError> {
        let Some(shared) = self.shared.get() else { return Ok(None) };
        let remains = |name: &String| {
            name != root.as_str() && remaining.roots().any(|other| other.as_str() == name)
        };
        let needs = |node: &Other| {
            (node.is_alive || !lost)
                && (node.roots.is_empty() || node.roots.iter().any(|name| name == root.as_str()))
                && !node.roots.iter().any(remains)
        };
        Ok(shared.others()?.into_iter().find(needs).map(|node| {
            let why = match node.roots.is_empty() {
                true => "has opened the deployment by no device since it started",
                false => "opens the deployment by no other root",
            };
            format!("node {} ({}) {why}", node.name, node.id)
        }))
    }

    /// The roots by which devices of this node opened every domain key, and have not been away since.
    pub fn openers(&self) -> Vec<String> {
        let deployment = self.deployment().clone();
        let opens = |root: &&RootKeyId| {
            let mut keys = deployment.domain_keys.iter();
            keys.all(|key| self.proofs.holds(key.generation, root))
        };
        let mut roots: Vec<String> =
            deployment.roots().filter(opens).map(ToString::to_string).collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }
}

fn foreign(what: &str) -> RootError {
    let path = "the database's copy of deployment.json".into();
    RootError::Deployment { path, what: what.into() }
}
