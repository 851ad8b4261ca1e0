//! How far the database was when this node last saw it: what the head says must go on from there.
use super::attempt::Head;
use crate::store::ledger::Ledger;
use crate::store::{Revision, StoreError};

/// What vouches for the rows, from `install` on.
#[derive(Clone, Debug)]
pub(super) struct Installed {
    pub(super) ledger: Ledger,
    /// Whether there was a sealed state when all rows were verified.
    pub(super) is_sealed: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) sequence: i64,
    pub(super) last: Revision,
    pub(super) is_sealed: bool,
    /// The last group that this node has committed, by its number.
    pub(super) own: Option<(i64, Vec<u8>)>,
}

impl Known {
    /// The ledger that the head's state stands for.
    pub(super) fn open(
        &self,
        head: &Head,
        installed: Option<Installed>,
    ) -> Result<Option<Ledger>, StoreError> {
        let corrupt = |what: &str| Err(StoreError::Corrupt(what.into()));
        if head.sequence < self.sequence {
            return corrupt("the database went back: it lacks commits that were acknowledged");
        }
        if let (Some((_, own)), Some(found)) = (&self.own, &head.own)
            && own != found
        {
            return corrupt("the database went back: others have committed in place of this node");
        }
        let Some(Installed { ledger, is_sealed }) = installed else {
            let nobody = "the database has a sealed state, and nothing to open it with";
            return if head.state.is_none() { Ok(None) } else { corrupt(nobody) };
        };
        match &head.state {
            None if self.is_sealed || is_sealed => corrupt("the database's sealed state is gone"),
            None => Ok(Some(ledger)),
            Some(state) => {
                let found = ledger.opened(state)?;
                if found.last() < self.last.max(ledger.last()) {
                    return corrupt("the database's sealed state is older than one seen before");
                }
                Ok(Some(found))
            }
        }
    }
}
