//! Sessions: one anchor that stays logged in and is never worked with, and a few to work with.
//!
//! The anchor keeps the login: closing a process's last session logs it out. Sessions are lent
//! to one thread at a time; one that saw an error is closed rather than lent again, because an
//! operation may still be open in it.

use super::cipher;
use super::fault::Fault;
use super::token::{Token, is_logged_in};
use crate::HsmError;
use cryptoki::session::Session;
use cryptoki::slot::Limit;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Sessions to work with, at most. Device calls are short; more would only queue in the device.
const MAX_SESSIONS: u64 = 16;
/// How long a call waits for a session before it says that the device is busy.
const WAIT: Duration = Duration::from_secs(10);

pub(super) struct SessionPool {
    token: Token,
    limit: u64,
    state: Mutex<State>,
    returned: Condvar,
}

struct State {
    /// None only while a lost anchor could not be replaced.
    anchor: Option<Session>,
    idle: Vec<Session>,
    lent: u64,
}

impl SessionPool {
    pub(super) fn new(token: Token, anchor: Session) -> Self {
        let limit = match token.info.max_session_count() {
            // Room for the anchor, for the one that makes keys, and for a health probe beside
            // each that is lent.
            Limit::Max(max) => (max.saturating_sub(2) / 2).clamp(1, MAX_SESSIONS),
            Limit::Unavailable | Limit::Infinite => MAX_SESSIONS,
        };
        let state = State { anchor: Some(anchor), idle: Vec::new(), lent: 0 };
        Self { token, limit, state: Mutex::new(state), returned: Condvar::new() }
    }

    /// Runs `op` in a session of its own.
    pub(super) fn with<T>(
        &self,
        op: impl FnOnce(&Session) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let (mut loan, session) = self.borrow()?;
        let session = match session {
            Some(session) => session,
            None => self.token.open_ro()?,
        };
        // Asked every time: to a session that is logged out, private objects are not there, and
        // "no such key" would be a lie that invites making a new one.
        if !is_logged_in(&session)? {
            return Err(self.logged_out().into());
        }
        let result = op(&session);
        if result.is_ok() {
            loan.give_back = Some(session);
        }
        result
    }

    /// Waits until a session may be used; the session itself is there if one is idle.
    fn borrow(&self) -> Result<(Loan<'_>, Option<Session>), HsmError> {
        let state = self.state();
        let (mut state, waited) = self
            .returned
            .wait_timeout_while(state, WAIT, |state| state.lent >= self.limit)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(HsmError::Unavailable(format!(
                "all {} sessions were busy for {} s",
                self.limit,
                WAIT.as_secs()
            )));
        }
        state.lent += 1;
        let session = state.idle.pop();
        Ok((Loan { pool: self, give_back: None }, session))
    }

    /// After the token has lost sessions: drops the idle ones and sees that the anchor lives.
    /// Does not log in again; a token that has logged us out needs an operator.
    pub(super) fn reopen(&self) -> Result<(), HsmError> {
        let mut state = self.state();
        state.idle.clear();
        let alive = state.anchor.as_ref().is_some_and(|anchor| is_logged_in(anchor).is_ok());
        if !alive {
            // The old one is dropped first: its handle may be given out again, and closing it
            // later would close the new one.
            state.anchor = None;
            state.anchor = Some(self.token.open_ro()?);
        }
        match state.anchor.as_ref().map(is_logged_in) {
            Some(Ok(true)) => Ok(()),
            Some(Err(fault)) => Err(fault.into()),
            Some(Ok(false)) | None => Err(self.logged_out()),
        }
    }

    pub(super) fn logged_out(&self) -> HsmError {
        HsmError::Unavailable(format!(
            "token {:?} has logged this process out; the PIN is tried only at start",
            self.token.info.label()
        ))
    }

    /// Whether the token works: a fresh session that is logged in and gives random bytes.
    pub(super) fn is_healthy(&self) -> bool {
        let probe = || -> Result<bool, Fault> {
            let session = self.token.open_ro()?;
            Ok(is_logged_in(&session)? && cipher::random(&session, 16)?.len() == 16)
        };
        probe().unwrap_or(false)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts and sessions are changed together, with nothing between that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session lent: given back, or at least counted as gone, when dropped.
struct Loan<'a> {
    pool: &'a SessionPool,
    give_back: Option<Session>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.lent = state.lent.saturating_sub(1);
        state.idle.extend(self.give_back.take());
        drop(state);
        self.pool.returned.notify_one();
    }
}
