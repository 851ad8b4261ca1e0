//! Connections to one host that are kept from one request to the next. A handshake takes more time than
//! what is asked, and who is asked for each use of a key has little of it.
//!
//! How many there are at once has an end, and so has how long one is kept, so that a name that points
//! elsewhere or a certificate that changed is noticed. A kept one that turns out to be closed is replaced
//! by a new one, once, and only if no answer had come: its head was not whole. So it is for requests only
//! that may be made twice.
use super::{Answer, Connection, Outgoing, OutgoingError, checked, relative};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Requests under way at once. Beyond it a request waits, within its deadline: a host that does not answer
/// is not to take all file descriptors.
const MOST_OPEN: usize = 256;
/// Connections that wait for a request.
const MOST_IDLE: usize = 32;
/// How long one waits. Servers close theirs after some seconds, or a minute.
const LONGEST_IDLE: Duration = Duration::from_secs(20);
/// How long one is used.
const LONGEST_LIFE: Duration = Duration::from_secs(300);

/// Sends requests to one host.
#[derive(Debug)]
pub struct Kept {
    host: Uri,
    outgoing: Outgoing,
    places: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    opened: Instant,
    since: Instant,
}

/// How a request over a kept connection fails.
enum Failed {
    /// Before an answer came.
    Unanswered,
    For(OutgoingError),
}

#[expect(clippy::disallowed_methods, reason = "elapsed time is meant; no decision rests on a date")]
fn now() -> Instant {
    Instant::now()
}

impl Kept {
    /// `host`: the only one that is asked, as the URL of its root.
    pub fn new(host: Uri, outgoing: Outgoing) -> Self {
        Self { host, outgoing, places: Semaphore::new(MOST_OPEN), idle: Mutex::default() }
    }

    /// As [`Outgoing::send`].
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, OutgoingError> {
        let sent = tokio::time::timeout(self.outgoing.deadline, self.send_whole(request)).await;
        // The connection is gone with it. Others stay: one slow answer is not to cost them a handshake each.
        sent.map_err(|_| OutgoingError::TooLate)?
    }

    /// Closes what waits: later requests make connections anew.
    pub fn forget(&self) {
        self.idle().clear();
    }

    async fn send_whole(&self, request: Request<Full<Bytes>>) -> Result<Answer, OutgoingError> {
        let url = checked(request.uri())?;
        let same = url.scheme() == self.host.scheme() && url.authority() == self.host.authority();
        if !same {
            return Err(OutgoingError::Refused("another host than these connections are to"));
        }
        let request = relative(request)?;
        let closed = |_| OutgoingError::Refused("no more connections are made");
        let _place = self.places.acquire().await.map_err(closed)?;
        if let Some(idle) = self.take().await {
            match self.over(idle, request.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::For(error)) => return Err(error),
                Err(Failed::Unanswered) => {}
            }
        }
        let (connection, opened) = (self.outgoing.connect(&self.host).await?, now());
        let mut fresh = Idle { connection, opened, since: opened };
        let sent = fresh.connection.send(request).await?;
        let answer = self.outgoing.whole(sent).await?;
        self.keep(fresh);
        Ok(answer)
    }

    async fn over(&self, mut idle: Idle, request: Request<Full<Bytes>>) -> Result<Answer, Failed> {
        let sent = idle.connection.send(request).await.map_err(|error| match error {
            OutgoingError::Http(ref cause) if !cause.is_parse() => Failed::Unanswered,
            error => Failed::For(error),
        })?;
        let answer = self.outgoing.whole(sent).await.map_err(Failed::For)?;
        self.keep(idle);
        Ok(answer)
    }

    /// One that waits and is open, as far as can be told. The last one that was used is the first.
    async fn take(&self) -> Option<Idle> {
        loop {
            let mut idle = self.idle().pop()?;
            let young = idle.since.elapsed() < LONGEST_IDLE && idle.opened.elapsed() < LONGEST_LIFE;
            if young && idle.connection.sender.ready().await.is_ok() {
                return Some(idle);
            }
        }
    }

    fn keep(&self, idle: Idle) {
        let mut all = self.idle();
        all.retain(|one| one.since.elapsed() < LONGEST_IDLE && !one.connection.sender.is_closed());
        if all.len() < MOST_IDLE && !idle.connection.sender.is_closed() {
            all.push(Idle { since: now(), ..idle });
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        // Whoever died holding it left a list of connections all the same.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
