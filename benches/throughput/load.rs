//! The load generator: keep-alive connections in a closed loop on one thread, each sending its next
//! request when the answer to the last one is whole.
use crate::Outcome;
use crate::operations::now;
use crate::server::Child;
use crate::wire::{Connection, Target};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much load, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub connections: usize,
    /// Not measured: caches fill, keys are derived.
    pub warm_up: Duration,
    pub measured: Duration,
    /// Whether the server may send requests away, to come again later.
    pub overloads: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub rate: f64,
    pub p50: Duration,
    pub p99: Duration,
    /// The server's processor time for one request, all its threads.
    pub cpu: Duration,
    pub errors: usize,
    pub first_error: Option<String>,
    /// Requests that were sent away, to come again later: neither errors nor part of the rate.
    pub throttled: usize,
}

/// One connection's part.
#[derive(Debug, Default)]
struct Tally {
    nanos: Vec<u32>,
    throttled: usize,
    errors: usize,
    first_error: Option<String>,
}

impl Load {
    /// Loads `server` with `requests`, over and over.
    pub async fn run(
        &self,
        server: &Child,
        target: &Target,
        requests: &Arc<[Bytes]>,
    ) -> Outcome<Measured> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(Connection::open(target).await?);
        }
        let begin = now() + self.warm_up;
        let end = begin + self.measured;
        let spread = requests.len() / self.connections.max(1);
        let overloads = self.overloads;
        let tasks: Vec<_> = connections
            .into_iter()
            .enumerate()
            .map(|(n, connection)| {
                let (requests, span) = (requests.clone(), (begin, end));
                tokio::spawn(drive(connection, requests, n * spread, span, overloads))
            })
            .collect();
        tokio::time::sleep_until(begin.into()).await;
        let cpu_before = server.cpu()?;
        tokio::time::sleep_until(end.into()).await;
        let cpu = server.cpu()?.saturating_sub(cpu_before);
        let (mut nanos, mut errors, mut first_error, mut throttled) = (Vec::new(), 0, None, 0);
        for task in tasks {
            let tally = task.await??;
            nanos.extend(tally.nanos);
            errors += tally.errors;
            throttled += tally.throttled;
            first_error = first_error.or(tally.first_error);
        }
        nanos.sort_unstable();
        let at = |part: f64| {
            let index = (nanos.len() as f64 * part) as usize;
            Duration::from_nanos(nanos.get(index).copied().unwrap_or_default().into())
        };
        Ok(Measured {
            rate: nanos.len() as f64 / self.measured.as_secs_f64(),
            p50: at(0.50),
            p99: at(0.99),
            cpu: cpu.checked_div(u32::try_from(nanos.len())?).unwrap_or_default(),
            errors,
            first_error,
            throttled,
        })
    }
}

async fn drive(
    mut connection: Connection,
    requests: Arc<[Bytes]>,
    first: usize,
    (begin, end): (Instant, Instant),
    overloads: bool,
) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let mut sent = now();
    for request in requests.iter().cycle().skip(first) {
        let answer = connection.exchange(request).await?;
        let done = now();
        let throttled = overloads
            && answer.status == 400
            && memchr::memmem::find(answer.body, b"ThrottlingException").is_some();
        if answer.status != 200 && !throttled {
            let text = || format!("{}: {}", answer.status, String::from_utf8_lossy(answer.body));
            tally.errors += 1;
            tally.first_error.get_or_insert_with(text);
        }
        if done >= end {
            break;
        }
        if done >= begin && throttled {
            tally.throttled += 1;
        } else if done >= begin {
            let nanos = (done - sent).as_nanos();
            tally.nanos.push(u32::try_from(nanos).unwrap_or(u32::MAX));
        }
        sent = done;
    }
    Ok(tally)
}
