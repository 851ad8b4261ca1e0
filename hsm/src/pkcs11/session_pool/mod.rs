//! Sessions: one anchor that stays logged in and is never worked with, and a few to work with.
//! The pool heals itself: what can be had anew is, and the call that met the fault is made again.
//!
//! The anchor keeps the login: closing a process's last session logs it out. Sessions are lent
//! to one thread at a time; one that saw an error is closed rather than lent again, because an
//! operation may still be open in it.
//!
//! Sessions belong to a start of the module. One of an earlier start is forgotten, not closed:
//! session handles are numbered anew, and closing its number would close another's session.

mod heal;
mod lent;

pub(super) use lent::Lent;

use super::backoff::Backoff;
use super::cipher;
use super::fault::{Class, Fault, words};
use super::gate::Pass;
use super::pin::PinSource;
use super::token::{Token, is_logged_in};
use crate::HsmError;
use crate::elapsed::now;
use cryptoki::session::Session;
use heal::Tried;
use lent::{Access, Loan, Place};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Sessions to work with if nobody says how many. Calls of a device are short: more would only
/// queue inside it.
const MAX_SESSIONS: u64 = 16;
/// One that keeps the login, and one to work with.
const MIN_SESSIONS: u64 = 2;
/// How long a call waits for one of our sessions before it says that the device is busy. A guard
/// lets in no more calls than there are sessions.
const WAIT: Duration = Duration::from_secs(10);
/// Between restarts for what is missing, at most: they disturb all that the module does.
const LONGEST_ANEW: Duration = Duration::from_secs(300);
/// How long it waits for a session of the token's, of which others have all: shorter than a guard's
/// deadline, so that whoever called learns why.
const TOKEN_WAIT: Duration = Duration::from_secs(3);
/// How often a session is asked for again meanwhile, when the token says that it has none left.
const ASK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct SessionPool {
    token: Token,
    pin: PinSource,
    limit: u64,
    state: Mutex<State>,
    returned: Condvar,
    backoff: Backoff,
    /// Of restarts for what is missing.
    anew: Backoff,
}

#[derive(Default)]
struct State {
    /// None until the token is logged in, and while a lost anchor could not be replaced.
    anchor: Option<Session>,
    idle: Vec<Session>,
    lent: u64,
    /// Those who wait for a session, by their tickets: who came first is served first. Else one
    /// who gives a session back and asks for the next would always be before those who sleep.
    waiting: VecDeque<u64>,
    next_ticket: u64,
    /// The start of the module that these sessions are of.
    start: u64,
    /// How often this pool was healed: who finds it healed meanwhile need not heal it again.
    healed: u64,
}

impl SessionPool {
    /// Logs in to a token: one C_Login or none. `most` = how many sessions to work with at most,
    /// [`MAX_SESSIONS`] if it is not said.
    pub(super) fn open(token: Token, pin: PinSource, most: Option<u64>) -> Result<Self, HsmError> {
        let most = most.unwrap_or(MAX_SESSIONS).max(1);
        // Room for the anchor, and for one that makes keys, which takes the place of an idle one
        // where there is no more room.
        if let Some(max) = token.info.max_sessions.filter(|max| *max < MIN_SESSIONS) {
            return Err(HsmError::Refused(format!(
                "token {:?} has {max} sessions at most: wanted {MIN_SESSIONS} or more",
                token.info.label
            )));
        }
        let allowed = token.info.max_sessions.map_or(most, |max| max.saturating_sub(2).max(1));
        let limit = most.min(allowed);
        let pool = Self {
            token,
            pin,
            limit,
            state: Mutex::default(),
            returned: Condvar::new(),
            backoff: Backoff::default(),
            anew: Backoff::up_to(LONGEST_ANEW),
        };
        let alone = pool.token.module.enter_alone()?;
        pool.connect(&alone)?;
        drop(alone);
        Ok(pool)
    }

    /// Calls that have a session each, at once.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Runs `op` in a session of its own; again if what it met could be healed. `op` must bear
    /// being run several times.
    pub(super) fn with<T>(&self, op: impl Fn(&Lent<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut tried = Tried::default();
        loop {
            let lent = self.lend(Access::Read, &mut tried)?;
            let fault = match op(&lent) {
                Ok(done) => {
                    lent.give_back();
                    self.backoff.succeeded();
                    return Ok(done);
                }
                Err(fault) => fault,
            };
            let healed = lent.loan.healed;
            match self.class(lent, &fault) {
                Class::Request | Class::Pin | Class::Busy => return Err(fault),
                // The token is well, and has answered the same twice: it means the request.
                Class::Suspect if tried.suspect => return Err(fault),
                Class::Suspect => tried.suspect = true,
                class @ (Class::Session | Class::Login | Class::Restart) => {
                    self.heal(class, healed, &mut tried, || match &fault {
                        Fault::Device(error) => words(error),
                        // What is not found by who is not logged in may well be there.
                        Fault::Hsm(_) => "it does not know our sessions or our login".into(),
                    })?;
                }
            }
        }
    }

    /// Runs `op` once, in a session that may make and destroy token objects. It is not repeated:
    /// what failed may have been done all the same.
    pub(super) fn once<T>(
        &self,
        op: impl FnOnce(&Lent<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let lent = self.lend(Access::Write, &mut Tried::default())?;
        let result = op(&lent);
        lent.close();
        result
    }

    /// Whether the token works: a fresh session that is logged in and gives random bytes.
    pub(super) fn is_healthy(&self) -> bool {
        self.ailment().is_none()
    }

    /// What the token ails from; none if it works.
    fn ailment(&self) -> Option<Class> {
        let Ok(_pass) = self.token.module.enter() else { return Some(Class::Restart) };
        if self.token.module.raw.token_info(self.token.slot()).is_err() {
            return Some(Class::Restart);
        }
        let session = match self.token.open_ro() {
            Ok(session) => session,
            // All are in use: by calls that go well.
            Err(fault) if fault.class() == Class::Busy => return None,
            Err(_) => return Some(Class::Restart),
        };
        let works = || -> Result<bool, Fault> {
            Ok(is_logged_in(&session)? && cipher::random(&session, 16)?.len() == 16)
        };
        let ailment = match works() {
            Ok(true) => None,
            Ok(false) => Some(Class::Login),
            // Lost just now.
            Err(fault) if fault.class() == Class::Session => Some(Class::Session),
            Err(_) => Some(Class::Restart),
        };
        // One that cannot be closed is gone already.
        let _ = session.close();
        ailment
    }

    /// The class of a fault, by what the token says now. Ends the loan. `Suspect` is left only if
    /// the token is well.
    fn class(&self, lent: Lent<'_>, fault: &Fault) -> Class {
        // Asked of every call that failed: of a session that was logged out underneath, the token
        // answers nearly anything, "no such object" first of all.
        let class = match is_logged_in(&lent) {
            Ok(true) => fault.class(),
            Ok(false) => Class::Login,
            Err(other) => other.class().max(Class::Session),
        };
        lent.close();
        if class == Class::Suspect { self.ailment().unwrap_or(class) } else { class }
    }

    /// A session that is logged in, and leave to be in the module.
    fn lend(&self, access: Access, tried: &mut Tried) -> Result<Lent<'_>, Fault> {
        loop {
            let place = self.place()?;
            let pass = self.token.module.enter()?;
            let (is_current, healed) = {
                let state = self.state();
                (state.anchor.is_some() && state.start == pass.epoch.start, state.healed)
            };
            let (class, why) = if is_current {
                match self.take(place, pass, healed, access) {
                    Ok(Some(lent)) => return Ok(lent),
                    Ok(None) => (Class::Login, "it has logged us out".into()),
                    Err(fault) => match fault.class() {
                        Class::Request | Class::Pin | Class::Busy => return Err(fault),
                        class => (class.max(Class::Login), HsmError::from(fault).to_string()),
                    },
                }
            } else {
                drop((pass, place));
                (Class::Login, "it was restarted".into())
            };
            self.heal(class, healed, tried, || why)?;
        }
    }

    /// An idle session or a new one; none if it is not logged in.
    fn take<'a>(
        &'a self,
        _place: Place<'a>,
        pass: Pass<'a>,
        healed: u64,
        access: Access,
    ) -> Result<Option<Lent<'a>>, Fault> {
        let idle = if access == Access::Read { self.state().idle.pop() } else { None };
        let loan = Loan { pool: self, healed, access, pass, _place };
        let session = match idle {
            Some(session) => session,
            None => self.open_session(access, now() + TOKEN_WAIT)?,
        };
        let lent = Lent { session, loan };
        match is_logged_in(&lent) {
            Ok(true) => Ok(Some(lent)),
            Ok(false) => {
                lent.give_back();
                Ok(None)
            }
            // Gone most likely, and with it perhaps the anchor.
            Err(fault) => {
                lent.close();
                Err(fault)
            }
        }
    }

    /// Opens a session; waits while other users of the token have all it allows.
    fn open_session(&self, access: Access, deadline: Instant) -> Result<Session, Fault> {
        loop {
            let opened = match access {
                Access::Read => self.token.open_ro(),
                Access::Write => self.token.open_rw(),
            };
            match opened {
                Err(fault) if fault.class() == Class::Busy && now() < deadline => {}
                other => return other,
            }
            let waited = self.returned.wait_timeout(self.state(), ASK_AGAIN);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let idle = state.idle.pop();
            drop(state);
            match (idle, access) {
                (Some(session), Access::Read) => return Ok(session),
                // Makes room.
                (Some(session), Access::Write) => drop(session.close()),
                (None, _) => {}
            }
        }
    }

    /// Waits until fewer sessions are lent than may be.
    fn place(&self) -> Result<Place<'_>, HsmError> {
        let mut state = self.state();
        let mine = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(mine);
        let must_wait =
            |state: &mut State| state.lent >= self.limit || state.waiting.front() != Some(&mine);
        let waited = self.returned.wait_timeout_while(state, WAIT, must_wait);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting.retain(|ticket| *ticket != mine);
        // For whoever is first now there may be room, too.
        self.returned.notify_all();
        if waited.timed_out() {
            return Err(HsmError::Unavailable(format!(
                "all {} sessions were busy for {} s",
                self.limit,
                WAIT.as_secs()
            )));
        }
        state.lent += 1;
        drop(state);
        Ok(Place(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts and sessions are changed together, with nothing between that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SessionPool {
    /// Closes what is ours and alive. The last session of a process takes the login with it.
    fn drop(&mut self) {
        let Ok(pass) = self.token.module.enter() else { return };
        let state = std::mem::take(&mut *self.state());
        if state.start == pass.epoch.start {
            for session in state.idle.into_iter().chain(state.anchor) {
                let _ = session.close();
            }
        }
    }
}
