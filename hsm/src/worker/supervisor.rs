//! Starts helpers, and starts them again when they end.

use super::config::{HelperConfig, HelperStatus, MAX_THREADS};
use super::connection::{Connection, Failure, mistaken};
use super::message::{Answer, OpenRequest, Request};
use super::pins::{PinHash, PinRule};
use super::roots::Roots;
use crate::{DeviceInfo, HsmError, ResidentSpec, elapsed};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// From a helper's end to the next start, if it did not live long; doubled every time …
const BACKOFF: Duration = Duration::from_millis(50);
/// … up to this. One that lived longer than this is replaced at once.
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// What a helper said of the device that it opened.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) info: DeviceInfo,
    pub(super) specs: Option<Vec<ResidentSpec>>,
    pub(super) at_once: Option<u16>,
}

pub(super) struct Supervisor {
    config: HelperConfig,
    /// The first request of every helper.
    open: Request,
    state: Mutex<State>,
    /// The link has changed.
    changed: Condvar,
    roots: Roots,
    pins: Arc<PinRule>,
    /// Whether the token has refused a PIN since it last accepted one.
    pin_refused: AtomicBool,
}

struct State {
    link: Link,
    backoff: Duration,
    starts: u64,
    last_end: Option<String>,
    /// What the first helper opened. Every other one must open the same.
    opened: Option<Opened>,
}

enum Link {
    Up(Arc<Connection>),
    /// Some thread is starting one.
    Starting,
    /// There is none, and none is started before this time.
    Down(Instant),
}

impl Supervisor {
    /// Starts the first helper. Its error is the device's own.
    pub(super) fn start(
        mut config: HelperConfig,
        device: OpenRequest,
        pins: Arc<PinRule>,
    ) -> Result<Self, HsmError> {
        config.check()?;
        config.threads = config.threads.clamp(1, MAX_THREADS);
        let threads = u16::try_from(config.threads).unwrap_or(u16::MAX);
        let state = State {
            link: Link::Starting,
            backoff: BACKOFF,
            starts: 0,
            last_end: None,
            opened: None,
        };
        let this = Self {
            config,
            open: Request::Open { threads, device },
            state: Mutex::new(state),
            changed: Condvar::new(),
            roots: Roots::default(),
            pins,
            pin_refused: AtomicBool::new(false),
        };
        this.start_helper()?;
        Ok(this)
    }

    /// Makes a request, once more if the helper ended under it and the request bears that.
    pub(super) fn call(&self, request: &Request) -> Result<Answer, HsmError> {
        let deadline = self.config.deadline_of(request);
        let mut attempts = if request.is_idempotent() { 2 } else { 1 };
        loop {
            attempts -= 1;
            let helper = self.helper()?;
            // Of this helper: another one may have been refused another root key.
            if let Some(root) = request.root() {
                self.roots.allow(root)?;
            }
            let pin_refused = self.pin_refused.load(Ordering::Relaxed);
            let failure = match helper.request(request, deadline) {
                Ok(outcome) => {
                    self.learn_of_pins(&outcome, pin_refused);
                    match self.learn_of_roots(request, &helper, outcome) {
                        Ok(outcome) => return outcome,
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            if attempts == 0 || !matches!(failure, Failure::Ended(_)) {
                return Err(failure.into());
            }
        }
    }

    /// Ends a helper that has given an answer to another question.
    pub(super) fn distrust(&self, wanted: &str, found: &str) -> HsmError {
        let why = mistaken(wanted, found);
        if let Link::Up(helper) = &self.state().link {
            helper.end(&why);
        }
        Failure::Ended(why).into()
    }

    /// A refusal now concerns the helper after this one; this one knows of it.
    fn learn_of_pins(&self, outcome: &Result<Answer, HsmError>, was_refused: bool) {
        match outcome {
            Err(e) if PinRule::is_refusal(e) => {
                self.pins.refused(None, &self.open, e);
                self.pin_refused.store(true, Ordering::Relaxed);
            }
            // It was logged in after the refusal: the token has accepted a PIN since.
            Ok(_) if was_refused => {
                self.pins.accepted(None);
                self.pin_refused.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn learn_of_roots(
        &self,
        request: &Request,
        helper: &Connection,
        outcome: Result<Answer, HsmError>,
    ) -> Result<Result<Answer, HsmError>, Failure> {
        let deadline = self.config.deadline;
        match request {
            _ if outcome.is_err() => {}
            Request::CreateRootKey(root) => {
                // What had the name before is gone.
                self.roots.forget(root);
                self.roots.remember(root, helper, deadline);
            }
            Request::DestroyRootKey(root) => self.roots.forget(root),
            Request::CheckRootKey(root) if self.roots.knows(root) => {
                self.roots.open_witness(root, helper, deadline)?;
                if let Err(e) = self.roots.allow(root) {
                    return Ok(Err(e));
                }
            }
            Request::Wrap { root, .. }
            | Request::Unwrap { root, .. }
            | Request::CheckRootKey(root)
                if !self.roots.knows(root) =>
            {
                self.roots.remember(root, helper, deadline);
            }
            _ => {}
        }
        Ok(outcome)
    }

    /// The helper of now, if need be a new one.
    fn helper(&self) -> Result<Arc<Connection>, HsmError> {
        let mut state = self.state();
        loop {
            let now = elapsed::now();
            match &state.link {
                Link::Up(helper) => match helper.ended() {
                    None => return Ok(Arc::clone(helper)),
                    Some(why) => {
                        let lived = now.saturating_duration_since(helper.started);
                        state.went_down(why, lived, now);
                    }
                },
                Link::Starting => {
                    let patience = self.config.start_deadline;
                    let starting = |state: &mut State| matches!(state.link, Link::Starting);
                    let (waited, timeout) = self
                        .changed
                        .wait_timeout_while(state, patience, starting)
                        .unwrap_or_else(PoisonError::into_inner);
                    state = waited;
                    if timeout.timed_out() {
                        let why = "its helper process is still being started";
                        return Err(HsmError::Unavailable(why.into()));
                    }
                }
                Link::Down(until) if *until > now => {
                    return Err(HsmError::Unavailable(format!(
                        "its helper process ended and is started again in {} ms: {}",
                        (*until - now).as_millis(),
                        state.last_end.as_deref().unwrap_or("unknown")
                    )));
                }
                Link::Down(_) => {
                    state.link = Link::Starting;
                    drop(state);
                    self.start_helper()?;
                    state = self.state();
                }
            }
        }
    }

    /// Starts a helper. The link says so meanwhile, so that nobody else does.
    fn start_helper(&self) -> Result<(), HsmError> {
        let result = self.open_helper();
        let mut state = self.state();
        let result = match result {
            Ok((helper, opened)) => {
                state.opened.get_or_insert(opened);
                state.starts += 1;
                state.link = Link::Up(helper);
                Ok(())
            }
            Err(e) => {
                state.went_down(e.to_string(), Duration::ZERO, elapsed::now());
                Err(e)
            }
        };
        drop(state);
        self.changed.notify_all();
        result
    }

    fn open_helper(&self) -> Result<(Arc<Connection>, Opened), HsmError> {
        let pin = self.pins.ask(&self.open)?;
        let helper = Connection::start(&self.config).map_err(|e| {
            HsmError::Unavailable(format!(
                "its helper process {} cannot be started: {e}",
                self.config.program.display()
            ))
        })?;
        match self.open_device(&helper, pin) {
            Ok(opened) => Ok((helper, opened)),
            Err(e) => {
                helper.end("it could not open the device");
                Err(e)
            }
        }
    }

    fn open_device(&self, helper: &Connection, pin: Option<PinHash>) -> Result<Opened, HsmError> {
        let before = self.state().opened.clone();
        let opened = match helper.request(&self.open, self.config.start_deadline) {
            Ok(Ok(Answer::Opened { info, specs, at_once })) => Opened { info, specs, at_once },
            Ok(Ok(other)) => return Err(Failure::Ended(mistaken("Opened", other.name())).into()),
            Ok(Err(e)) if PinRule::is_refusal(&e) => {
                self.pins.refused(pin, &self.open, &e);
                return Err(e);
            }
            Ok(Err(e)) if before.is_none() || PinRule::concerns_pin(&e) => return Err(e),
            Ok(Err(e)) => {
                let why = format!("its helper process cannot open it again: {e}");
                return Err(HsmError::Unavailable(why));
            }
            Err(failure) => {
                if helper.tries_pin() {
                    self.pins.ended(pin, &self.open);
                }
                return Err(failure.into());
            }
        };
        self.pins.accepted(pin);
        self.pin_refused.store(false, Ordering::Relaxed);
        if let Some(before) = before {
            same_device(&before.info, &opened.info)?;
            self.roots.prove_all(helper, self.config.deadline)?;
        }
        Ok(opened)
    }

    /// What the first helper opened.
    pub(super) fn opened(&self) -> Option<Opened> {
        self.state().opened.clone()
    }

    pub(super) fn status(&self) -> HelperStatus {
        let state = self.state();
        let (pid, ended) = match &state.link {
            Link::Up(helper) => match helper.ended() {
                None => (Some(helper.pid), None),
                ended => (None, ended),
            },
            Link::Starting | Link::Down(_) => (None, None),
        };
        let last_end = ended.or_else(|| state.last_end.clone());
        HelperStatus { pid, starts: state.starts, last_end }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that could panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two tokens may have one label; the one that was in use has one serial number.
fn same_device(before: &DeviceInfo, now: &DeviceInfo) -> Result<(), HsmError> {
    let identity = |info: &DeviceInfo| {
        format!("{} {} of serial number {:?}", info.vendor, info.model, info.serial)
    };
    let (wanted, found) = (identity(before), identity(now));
    if wanted == found && before.label == now.label {
        return Ok(());
    }
    Err(HsmError::WrongToken { token: before.label.clone(), wanted, found })
}

impl State {
    fn went_down(&mut self, why: String, lived: Duration, now: Instant) {
        self.last_end = Some(why);
        if lived > LONGEST_BACKOFF {
            self.backoff = BACKOFF;
            self.link = Link::Down(now);
        } else {
            self.link = Link::Down(now + self.backoff);
            self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Link::Up(helper) = &self.state().link {
            helper.finish();
        }
    }
}
