//! One helper process, seen from the server: requests in, answers out, until it ends.
//!
//! Whatever is not as it must be ends it: it is killed, and all that wait for it are told why.

use super::calls::{Calls, Silence};
use super::config::HelperConfig;
use super::frame;
use super::message::{Answer, NOTICE, Request};
use crate::{HsmError, elapsed};
use rustix::process::{Pid, Signal};
use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a helper whose socket has closed may take to end: calls wait to be told how it did.
const END_PATIENCE: Duration = Duration::from_millis(250);
/// The same if we closed it: longer than it lets calls take that are still in the device.
const FINISH_PATIENCE: Duration = Duration::from_secs(4);
const END_POLL: Duration = Duration::from_millis(1);

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The helper ended, for another reason than this request's silence.
    Ended(String),
    /// It did not answer this one, and was killed.
    Hung(String),
    /// It did not come to this one in time.
    Busy(String),
    /// The request could not be encoded: it was never made.
    Refused(String),
}

impl From<Failure> for HsmError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Ended(why) => Self::Unavailable(format!("its helper process failed: {why}")),
            Failure::Hung(why) => {
                Self::Unavailable(format!("{why}; its helper process was killed"))
            }
            Failure::Busy(why) => {
                Self::Unavailable(format!("{why}; its helper process is busy with other calls"))
            }
            Failure::Refused(why) => Self::Refused(why),
        }
    }
}

pub(super) struct Connection {
    pub(super) pid: u32,
    pub(super) started: Instant,
    socket: Mutex<UnixStream>,
    calls: Calls,
    /// It was asked to end.
    finishing: AtomicBool,
    /// It has said that it tries a PIN.
    tries_pin: AtomicBool,
    process: Mutex<Child>,
    reader: Mutex<Option<JoinHandle<()>>>,
}

impl Connection {
    /// Starts a helper that has not opened anything yet.
    pub(super) fn start(config: &HelperConfig) -> io::Result<Arc<Self>> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(config.deadline))?;
        let answers = ours.try_clone()?;
        let process = Command::new(&config.program)
            .args(&config.args)
            .env_clear()
            .envs(config.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What a terminal sends to the server's group is not for it: it ends with its socket.
            .process_group(0)
            .spawn()?;
        let connection = Arc::new(Self {
            pid: process.id(),
            started: elapsed::now(),
            socket: Mutex::new(ours),
            calls: Calls::new(config.threads),
            finishing: AtomicBool::new(false),
            tries_pin: AtomicBool::new(false),
            process: Mutex::new(process),
            reader: Mutex::new(None),
        });
        let reads = Arc::clone(&connection);
        let reader = thread::Builder::new()
            .name("device-helper".into())
            .spawn(move || reads.read_answers(answers));
        match reader {
            Ok(reader) => *lock(&connection.reader) = Some(reader),
            Err(e) => {
                connection.end("no thread to read its answers");
                connection.reap();
                return Err(e);
            }
        }
        // An error means that it has ended; the reader knows how.
        let _ = frame::write_preamble(&mut *lock(&connection.socket));
        Ok(connection)
    }

    /// Makes a request and waits for its answer, no longer than `deadline`.
    pub(super) fn request(
        &self,
        request: &Request,
        deadline: Duration,
    ) -> Result<Result<Answer, HsmError>, Failure> {
        let entered = self.calls.enter(deadline).map_err(|silence| {
            match self.failure(silence, deadline) {
                // This request was not in it, and may be made of the next helper.
                Failure::Hung(why) => Failure::Ended(format!("it hung and was killed: {why}")),
                other => other,
            }
        })?;
        let frame = match frame::encode(entered.number, request) {
            Ok(frame) => frame,
            Err(e) => {
                self.calls.withdraw(entered.number);
                return Err(Failure::Refused(e.to_string()));
            }
        };
        let written = lock(&self.socket).write_all(&frame);
        if let Err(e) = written {
            // Half a frame may have gone out. If the helper has ended, the reader knows how.
            self.close();
            if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                self.end("it did not read its requests, and was killed");
            }
        }
        match entered.answer.recv_timeout(deadline) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => {
                Err(self.failure(self.calls.give_up(&entered), deadline))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let why = self.ended().unwrap_or_else(|| "it has ended".into());
                Err(Failure::Ended(why))
            }
        }
    }

    /// What silence means for the caller, and for the helper.
    fn failure(&self, silence: Silence, deadline: Duration) -> Failure {
        let why = format!("no answer within {:.1} s", deadline.as_secs_f64());
        match silence {
            Silence::Ended(why) => Failure::Ended(why),
            Silence::Busy => Failure::Busy(why),
            Silence::Hangs => {
                self.end(&format!("it hung and was killed: {why}"));
                Failure::Hung(why)
            }
        }
    }

    /// Why it has ended, if it has.
    pub(super) fn ended(&self) -> Option<String> {
        self.calls.ended()
    }

    /// Whether it has tried a PIN, or was about to.
    pub(super) fn tries_pin(&self) -> bool {
        self.tries_pin.load(Ordering::Relaxed)
    }

    /// Kills it, and tells all that wait. Only the first reason counts.
    pub(super) fn end(&self, why: &str) {
        let Some(told) = self.calls.end(why) else { return };
        // With all that the module has started: it is not reaped yet, so the number is still its.
        // An error means that it has ended already.
        if let Some(group) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        self.close();
        told.into_iter().for_each(|caller| caller.tell(why));
    }

    /// Asks it to end by itself, and waits until it has; it is killed if it does not.
    pub(super) fn finish(&self) {
        self.finishing.store(true, Ordering::Relaxed);
        self.close();
        if let Some(reader) = lock(&self.reader).take() {
            // It ends: after the socket's end it waits for the process no longer than it must.
            let _ = reader.join();
        }
    }

    fn close(&self) {
        // Not by way of the lock: someone may be writing, and is meant to be interrupted. An
        // error means that it is closed already.
        if let Ok(socket) = self.socket.try_lock() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// The life of the thread that reads the answers.
    fn read_answers(&self, mut answers: UnixStream) {
        let why = match frame::read_preamble(&mut answers).and_then(|()| self.deliver(&mut answers))
        {
            Ok(()) => None,
            Err(e) if e.kind() == ErrorKind::InvalidData => Some(e.to_string()),
            // The end of a socket is not what happened; how the process ended is.
            Err(_) => None,
        };
        let why = match why {
            Some(garbage) => format!("it sent {garbage}, and was killed"),
            None => self.how_it_ended(),
        };
        self.end(&why);
        self.reap();
    }

    /// Hands answers to those who wait for them, until there are no more.
    fn deliver(&self, answers: &mut UnixStream) -> io::Result<()> {
        while let Some(frame) = frame::read(answers)? {
            let outcome: Result<Answer, HsmError> = frame.message()?;
            if let (NOTICE, Ok(Answer::TriesPin)) = (frame.number, &outcome) {
                self.tries_pin.store(true, Ordering::Relaxed);
                continue;
            }
            if !self.calls.answer(frame.number, outcome) {
                let what = format!("an answer to request {}, which nobody made", frame.number);
                return Err(io::Error::new(ErrorKind::InvalidData, what));
            }
        }
        Ok(())
    }

    /// After its socket has ended: waits a little for the process to end too.
    fn how_it_ended(&self) -> String {
        let finishing = self.finishing.load(Ordering::Relaxed);
        let until = elapsed::now() + if finishing { FINISH_PATIENCE } else { END_PATIENCE };
        loop {
            match lock(&self.process).try_wait() {
                Ok(Some(status)) => return describe(status),
                Ok(None) if elapsed::now() < until => {}
                Ok(None) => return "it closed its socket, and was killed".into(),
                Err(e) => return format!("it closed its socket; how it ended is unknown: {e}"),
            }
            thread::sleep(END_POLL);
        }
    }

    fn reap(&self) {
        // It was killed, or has ended: this waits for the system only.
        let _ = lock(&self.process).wait();
    }
}

/// An answer that is not the one to the request. The helper is not to be trusted any more.
pub(super) fn mistaken(wanted: &str, found: &str) -> String {
    format!("it answered with {found}, wanted {wanted}, and was killed")
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("it was ended by signal {signal}"),
        (None, Some(code)) => format!("it exited with status {code}"),
        (None, None) => "it ended".into(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that could panic runs under any of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
