//! A session lent to one thread.

use super::super::gate::{Epoch, Pass};
use super::SessionPool;
use cryptoki::session::Session;
use std::ops::Deref;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    /// To make and destroy token objects.
    Write,
}

/// A session lent. Its holder is inside the module: sessions and object handles stay what they
/// are. It is given back or closed, not just dropped.
pub(in crate::pkcs11) struct Lent<'a> {
    pub(super) session: Session,
    pub(super) loan: Loan<'a>,
}

impl Lent<'_> {
    /// What object handles are remembered under.
    pub(in crate::pkcs11) fn epoch(&self) -> Epoch {
        self.loan.pass.epoch
    }

    pub(super) fn give_back(self) {
        if self.loan.access == Access::Write {
            return self.close();
        }
        self.loan.pool.state().idle.push(self.session);
    }

    pub(super) fn close(self) {
        // One that cannot be closed is gone already.
        let _ = self.session.close();
    }
}

impl Deref for Lent<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

/// That a session is lent.
pub(super) struct Loan<'a> {
    pub(super) pool: &'a SessionPool,
    /// How often the pool had been healed when it was lent.
    pub(super) healed: u64,
    pub(super) access: Access,
    pub(super) pass: Pass<'a>,
    pub(super) _place: Place<'a>,
}

/// One of the sessions that may be lent at once; had before anyone enters the module, so that who
/// waits for it holds up no restart.
pub(super) struct Place<'a>(pub(super) &'a SessionPool);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.lent = state.lent.saturating_sub(1);
        drop(state);
        self.0.returned.notify_all();
    }
}
