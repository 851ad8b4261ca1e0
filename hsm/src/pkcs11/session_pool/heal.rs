//! What helps against what: another session, a new login, a restart of the module; and no more
//! often than it helps.

use super::super::fault::{Class, Fault};
use super::super::gate::Alone;
use super::super::token::is_helped_by_restart;
use super::SessionPool;
use crate::elapsed::now;
use crate::{HsmError, TokenState};
use cryptoki::error::RvError;
use std::time::Duration;

/// What helps, from weak to strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Remedy {
    /// Another session.
    Again,
    Login,
    Restart,
}

/// What one call has tried already. A remedy that does not help is followed by a stronger one; but
/// what is lost again right after it was healed is not yet a remedy that does not help.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// That a token which is well has answered what a broken one answers.
    pub(super) suspect: bool,
    again: u32,
    logins: u32,
    restarts: u32,
}

impl Tried {
    /// What to do now about a fault of this class; none if all was tried.
    fn next(&mut self, class: Class) -> Option<Remedy> {
        // How often at most, and what it can help against.
        let remedies = [
            (Remedy::Again, &mut self.again, 3, Class::Session),
            (Remedy::Login, &mut self.logins, 3, Class::Login),
            (Remedy::Restart, &mut self.restarts, 2, Class::Restart),
        ];
        for (remedy, count, most, worst) in remedies {
            if class <= worst && *count < most {
                *count += 1;
                return Some(remedy);
            }
        }
        None
    }
}

impl SessionPool {
    /// Does what helps against a fault of this class, unless another thread has since `healed` was
    /// read. An error when it was tried often enough.
    pub(super) fn heal(
        &self,
        class: Class,
        healed: u64,
        tried: &mut Tried,
        why: impl FnOnce() -> String,
    ) -> Result<(), HsmError> {
        let Some(remedy) = tried.next(class) else {
            let error = HsmError::Unavailable(format!("the token does not heal: {}", why()));
            // Nor is it tried again too soon.
            self.backoff.failed(error.clone(), Duration::ZERO);
            return Err(error);
        };
        if remedy == Remedy::Again {
            return Ok(());
        }
        self.backoff.check()?;
        let begun = now();
        let alone = self.token.module.enter_alone()?;
        let is_healed = {
            let state = self.state();
            state.healed != healed && state.start == alone.epoch().start
        };
        if is_healed {
            return Ok(());
        }
        // Who waited here may have waited for one who failed.
        self.backoff.check()?;
        let result = self.heal_alone(remedy, &alone);
        if let Err(error) = &result {
            self.backoff.failed(error.clone(), now() - begun);
        }
        result
    }

    /// Restarts the module of a token that is well but has not what it had, and asks `again`. Within
    /// the pause after the last time the answer is what was found `missing`.
    pub(in super::super) fn start_anew<T>(
        &self,
        missing: Fault,
        again: impl Fn() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.anew.check().is_err() {
            return Err(missing);
        }
        let begun = now();
        let restarted = self.token.module.enter_alone().and_then(|alone| {
            // Who waited here may have waited for one who did it.
            if self.anew.check().is_err() {
                Ok(())
            } else {
                self.heal_alone(Remedy::Restart, &alone)
            }
        });
        let why = "the token was started anew for a key that it had before".to_owned();
        self.anew.failed(HsmError::Unavailable(why), now() - begun);
        restarted?;
        let found = again()?;
        self.anew.end();
        Ok(found)
    }

    fn heal_alone(&self, remedy: Remedy, alone: &Alone<'_>) -> Result<(), HsmError> {
        if remedy < Remedy::Restart {
            match self.log_in_again(alone) {
                Ok(()) => return Ok(()),
                Err(fault) if is_helped_by_restart(&fault) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        let restart = || {
            self.token.module.restart(alone)?;
            self.connect(alone)
        };
        let restarted = match restart() {
            Err(fault) if is_lost_again(&fault) => restart(),
            other => other,
        };
        restarted.map_err(|fault| gone(fault.into()))
    }

    /// Sees that the anchor lives and is logged in.
    fn log_in_again(&self, alone: &Alone<'_>) -> Result<(), Fault> {
        let (anchor, start) = {
            let mut state = self.state();
            (state.anchor.take(), state.start)
        };
        // Of an earlier start of the module, the anchor is not even asked.
        let Some(anchor) = anchor.filter(|_| start == alone.epoch().start) else {
            return self.connect(alone);
        };
        match anchor.get_session_info() {
            Ok(info) if info.slot_id() == self.token.slot() => {}
            Ok(_) => return self.connect(alone),
            Err(error) => {
                let fault = Fault::from(error);
                if fault.class() == Class::Session {
                    return self.connect(alone);
                }
                self.state().anchor = Some(anchor);
                return Err(fault);
            }
        }
        let logged_in = self.token.log_in(&anchor, &self.pin);
        let mut state = self.state();
        state.anchor = Some(anchor);
        logged_in?;
        state.healed += 1;
        drop(state);
        alone.objects_are_void();
        Ok(())
    }

    /// All from the beginning: the token by its label, an anchor, the login.
    pub(super) fn connect(&self, alone: &Alone<'_>) -> Result<(), Fault> {
        let start = alone.epoch().start;
        let idle = {
            let mut state = self.state();
            state.anchor = None;
            let idle = std::mem::take(&mut state.idle);
            if state.start == start { idle } else { Vec::new() }
        };
        for session in idle {
            // Most are gone already.
            let _ = session.close();
        }
        self.token.find_again()?;
        let anchor = self.token.open_ro()?;
        if let Err(fault) = self.token.log_in(&anchor, &self.pin) {
            let _ = anchor.close();
            return Err(fault);
        }
        alone.objects_are_void();
        let mut state = self.state();
        state.anchor = Some(anchor);
        state.start = start;
        state.healed += 1;
        Ok(())
    }
}

/// Whether what was healed was lost again before it was whole.
fn is_lost_again(fault: &Fault) -> bool {
    match fault {
        Fault::Hsm(HsmError::NoSuchToken { found, .. }) => {
            // One of them may be ours.
            found.iter().any(|token| matches!(token.state, TokenState::Unreadable(_)))
        }
        Fault::Hsm(_) => false,
        Fault::Device(_) => {
            matches!(fault.class(), Class::Session | Class::Login)
                || fault.rv() == Some(RvError::CryptokiNotInitialized)
        }
    }
}

/// A token that was there and is not any more may come back.
fn gone(error: HsmError) -> HsmError {
    match error {
        HsmError::NoSuchToken { .. }
        | HsmError::TokenNotInitialised { .. }
        | HsmError::ModuleInitialize { .. } => HsmError::Unavailable(error.to_string()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done about a fault that nothing helps against.
    fn remedies(class: Class) -> Vec<Remedy> {
        let mut tried = Tried::default();
        std::iter::from_fn(|| tried.next(class)).collect()
    }

    #[test]
    fn what_does_not_help_is_followed_by_what_is_stronger_and_ends() {
        let (again, login, restart) =
            ([Remedy::Again; 3], [Remedy::Login; 3], [Remedy::Restart; 2]);
        assert_eq!(remedies(Class::Session), [&again[..], &login, &restart].concat());
        assert_eq!(remedies(Class::Login), [&login[..], &restart].concat());
        assert_eq!(remedies(Class::Restart), restart);
    }
}
