//! What a connection is doing, and when that must have ended.
//!
//! Shared by the socket (`stream`), the requests (`exchange`) and the task that drives the
//! connection. Everything is an atomic without ordering: the parts of an HTTP/1 connection run in
//! one task; those of an HTTP/2 connection only count streams, and a moment's lateness is harmless.
//!
//! ```text
//! HTTP/1   Head ─► Serving ─► Writing ─► Idle ─► Head …        (any) ─► Closing
//! HTTP/2   Head ─► Idle ◄─► Serving (streams > 0)
//! ```
//!
//! In `Serving` the deadline is that of the handler of an HTTP/1 request; its body's, and those of
//! HTTP/2 streams, are the request's own (`exchange`).

use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::{Limits, framing::BodyLength};

/// No deadline, or nothing told.
const NONE: u64 = u64::MAX;
/// A body of unknown length; no body is as long as this.
const UNKNOWN_LENGTH: u64 = u64::MAX - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    Head,
    Serving,
    Writing,
    Idle,
    Closing,
}

/// Times are milliseconds since the connection began.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    head_ms: u64,
    handling_ms: u64,
    write_ms: u64,
    idle_ms: u64,
    http2_idle_ms: u64,
    linger_ms: u64,
    phase: AtomicU8,
    due: AtomicU64,
    /// The end of patience with a socket that takes nothing.
    write_due: AtomicU64,
    streams: AtomicU32,
    /// The last head's body, on its way from hyper to `framing`.
    body_length: AtomicU64,
    /// What it must be, as a part of it has been handed over.
    given: AtomicU64,
    http2: AtomicBool,
    inexact: AtomicBool,
    ending: AtomicBool,
    /// The handler has had its time.
    overdue: AtomicBool,
    cut: AtomicBool,
}

impl Progress {
    pub(super) fn new(limits: &Limits) -> Self {
        let head_ms = millis(limits.head);
        Progress {
            began: Instant::now(),
            head_ms,
            handling_ms: millis(limits.handling),
            write_ms: millis(limits.write),
            idle_ms: millis(limits.idle),
            http2_idle_ms: millis(limits.http2_idle),
            linger_ms: millis(limits.linger),
            phase: AtomicU8::new(Phase::Head as u8),
            due: AtomicU64::new(head_ms),
            write_due: AtomicU64::new(NONE),
            streams: AtomicU32::new(0),
            body_length: AtomicU64::new(NONE),
            given: AtomicU64::new(NONE),
            http2: AtomicBool::new(false),
            inexact: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            overdue: AtomicBool::new(false),
            cut: AtomicBool::new(false),
        }
    }

    pub(super) fn now(&self) -> u64 {
        millis(self.began.elapsed())
    }

    pub(super) fn at(&self, millis: u64) -> Instant {
        self.began + Duration::from_millis(millis)
    }

    /// The next deadline, or the latest time to ask again: another task may set a nearer one.
    pub(super) fn due(&self, now: u64) -> u64 {
        let look_again = if self.http2.load(Relaxed) { self.http2_idle_ms } else { self.idle_ms };
        self.deadline().min(now.saturating_add(look_again))
    }

    pub(super) fn deadline(&self) -> u64 {
        self.due.load(Relaxed).min(self.write_due.load(Relaxed))
    }

    pub(super) fn is(&self, phase: Phase) -> bool {
        self.phase.load(Relaxed) == phase as u8
    }

    fn enter(&self, phase: Phase, limit_ms: u64) {
        let due = if limit_ms == NONE { NONE } else { self.now().saturating_add(limit_ms) };
        self.due.store(due, Relaxed);
        self.phase.store(phase as u8, Relaxed);
    }

    // The socket tells:

    /// The first byte of a head came.
    pub(super) fn head_began(&self) {
        if self.is(Phase::Idle) {
            self.enter(Phase::Head, self.head_ms);
        }
    }

    pub(super) fn http2_began(&self) {
        self.http2.store(true, Relaxed);
        self.enter(Phase::Idle, self.http2_idle_ms);
    }

    /// How long the body must be of which a part was handed over with its head.
    pub(super) fn body_given(&self, length: Option<u64>) {
        self.given.store(length.unwrap_or(NONE), Relaxed);
    }

    pub(super) fn take_body_length(&self) -> Option<BodyLength> {
        match self.body_length.swap(NONE, Relaxed) {
            NONE => None,
            UNKNOWN_LENGTH => Some(BodyLength::Unknown),
            length => Some(BodyLength::Exactly(length)),
        }
    }

    /// Whether the next request's first byte can be told from this one's last.
    pub(super) fn framing_lost(&self) {
        self.inexact.store(true, Relaxed);
    }

    pub(super) fn write_blocked(&self) {
        if self.write_due.load(Relaxed) == NONE {
            self.write_due.store(self.now().saturating_add(self.write_ms), Relaxed);
        }
    }

    pub(super) fn write_went_on(&self) {
        if self.write_due.load(Relaxed) != NONE {
            self.write_due.store(NONE, Relaxed);
        }
    }

    /// All that was to be written has been handed to the kernel.
    pub(super) fn flushed(&self, next_began: bool) {
        if self.is(Phase::Writing) {
            if next_began {
                self.enter(Phase::Head, self.head_ms);
            } else {
                self.enter(Phase::Idle, self.idle_ms);
            }
        }
    }

    /// Our last byte is sent; what the client still sends is thrown away for a while.
    pub(super) fn lingers(&self) {
        if !self.is(Phase::Closing) {
            self.enter(Phase::Closing, self.linger_ms);
        }
    }

    // The requests tell:

    pub(super) fn request_began(&self, body_length: Option<u64>) {
        let given = self.given.swap(NONE, Relaxed);
        if given != NONE && body_length != Some(given) {
            self.framing_lost();
        }
        self.body_length.store(body_length.unwrap_or(UNKNOWN_LENGTH), Relaxed);
        self.enter(Phase::Serving, NONE);
    }

    /// The request is whole and its handler is asked. A timer of the request's own would cost a lock.
    pub(super) fn handling_began(&self) {
        self.overdue.store(false, Relaxed);
        self.enter(Phase::Serving, self.handling_ms);
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.overdue.load(Relaxed)
    }

    pub(super) fn response_ready(&self) {
        self.enter(Phase::Writing, self.write_ms);
    }

    pub(super) fn is_framed(&self) -> bool {
        !self.inexact.load(Relaxed)
    }

    pub(super) fn stream_began(&self) {
        if self.streams.fetch_add(1, Relaxed) == 0 {
            self.enter(Phase::Serving, NONE);
        }
    }

    pub(super) fn stream_ended(&self) {
        if self.streams.fetch_sub(1, Relaxed) == 1 {
            let ending = self.ending.load(Relaxed);
            self.enter(Phase::Idle, if ending { self.linger_ms } else { self.http2_idle_ms });
        }
    }

    // The driver tells:

    /// No more requests: an idle connection has a moment to say goodbye.
    pub(super) fn ends(&self) {
        self.ending.store(true, Relaxed);
        if self.is(Phase::Idle) {
            self.enter(Phase::Idle, self.linger_ms);
        }
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Relaxed)
    }

    /// Tells a handler whose time is over, once; it has to be polled then.
    pub(super) fn ends_handling(&self, now: u64) -> bool {
        let is_over = self.is(Phase::Serving) && now >= self.due.load(Relaxed);
        if is_over {
            self.due.store(NONE, Relaxed);
            self.overdue.store(true, Relaxed);
        }
        is_over
    }

    pub(super) fn cut(&self) {
        self.cut.store(true, Relaxed);
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NONE - 1)
}
