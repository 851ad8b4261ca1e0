//! Functions in Python, run on this machine with Lambda's contract: each in a process of its own that
//! serves one invocation after the other, with the credentials of the function's role, limits, and an
//! end when its time is over.
mod family;
mod remains;
mod request;
mod worker;

use super::{Event, Failure, Invoke, credentials};
use crate::call::Server;
use crate::functions::{Code, Function, Python};
use crate::types::Arn;
use request::Request;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use worker::Worker;

/// Processes at once, those that wait for work among them.
const MAX_WORKERS: usize = 16;
const MAX_IDLE: usize = 8;
/// What a function leaves behind in its process ends with it now and then.
const MAX_USES: u32 = 100;

/// Invokes Python functions.
#[derive(Debug)]
pub struct Runner {
    server: Arc<Server>,
    /// The server's own address, for `SECRETS_MANAGER_ENDPOINT`.
    own: Option<String>,
    idle: Mutex<Vec<Worker>>,
    places: Semaphore,
}

/// What a worker was started for. Whatever of it changes, another one is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    function: Arn,
    role: Arn,
    python: Python,
    /// Device, number, size and time of change of the file.
    file: (u64, u64, u64, i64, i64),
}

impl Runner {
    /// `own`: where functions reach this server. Without TLS its loopback address; with it there is
    /// none that a certificate names, and each function needs an `endpoint`.
    pub fn new(server: Arc<Server>, own: Option<String>) -> Self {
        let places = Semaphore::new(MAX_WORKERS);
        Self { server, own, idle: Mutex::default(), places }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        // A worker is in it or not.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker that waits for work of this function, or a new one.
    async fn worker(&self, function: &Function, made: Made) -> Result<Worker, Failure> {
        loop {
            let found = {
                let mut idle = self.idle();
                let at = idle.iter().position(|worker| worker.made.function == made.function);
                at.map(|at| idle.swap_remove(at))
            };
            let Some(mut worker) = found else { break };
            if worker.made == made && self.lasts(&worker, function) && worker.is_ready() {
                return Ok(worker);
            }
            worker.end().await;
        }
        // As Lambda's: what AWS's SDK reads once stays as it is for the process.
        let credentials = credentials::assume(&self.server, function).await?.issued;
        Worker::start(made, credentials)
    }

    /// Whether its credentials do, for another step.
    fn lasts(&self, worker: &Worker, function: &Function) -> bool {
        let seconds = i64::try_from(function.timeout.as_secs()).unwrap_or(i64::MAX);
        worker.uses < MAX_USES
            && self.server.clock.now().plus_secs(seconds) < worker.credentials.expires
    }

    /// Keeps a worker that did well for the next step.
    async fn keep(&self, worker: Worker) {
        let now = self.server.clock.now();
        let surplus: Vec<Worker> = {
            let mut idle = self.idle();
            idle.push(worker);
            let most = idle.len().saturating_sub(MAX_IDLE);
            let (old, good): (Vec<_>, Vec<_>) = std::mem::take(&mut *idle)
                .into_iter()
                .enumerate()
                .partition(|(at, worker)| *at < most || worker.credentials.expires <= now);
            idle.extend(good.into_iter().map(|(_, worker)| worker));
            old.into_iter().map(|(_, worker)| worker).collect()
        };
        for worker in surplus {
            worker.end().await;
        }
    }
}

#[async_trait::async_trait]
impl Invoke for Runner {
    async fn invoke(&self, function: &Function, event: &Event) -> Result<Option<String>, Failure> {
        let Code::Python(python) = &function.code else {
            return Err(Failure::lasting("the function is not in Python"));
        };
        let deadline = Instant::now() + function.timeout;
        let place = tokio::time::timeout_at(deadline, self.places.acquire()).await;
        let _place = match place {
            Ok(Ok(place)) => place,
            _ => return Err(Failure::passing("no process was free for the function in time")),
        };
        let endpoint = function.endpoint.as_deref().or(self.own.as_deref());
        let endpoint = endpoint.ok_or_else(|| {
            Failure::lasting("endpoint: wanted, as the certificate of the server names it")
        })?;
        let mut worker = self.worker(function, made(function, python)?).await?;
        let id = self.server.random.uuid().to_string();
        let request = Request::new(&id, function, python, endpoint, &worker, event);
        let request = request.line(deadline)?;
        let outcome = worker.step(&request, &id, function.timeout, deadline).await;
        match &outcome {
            Ok(_) => self.keep(worker).await,
            // Who knows what it is in the middle of.
            Err(_) => worker.end().await,
        }
        outcome
    }
}

/// What a worker for this function has to be, if its file may be run at all.
fn made(function: &Function, python: &Python) -> Result<Made, Failure> {
    let file = &python.file;
    let bad = |what: String| Failure::lasting(format!("python: {}: {what}", file.display()));
    let metadata = std::fs::metadata(file).map_err(|error| bad(error.to_string()))?;
    if !metadata.is_file() {
        return Err(bad("is no file".into()));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(bad("can be written by others than its owner".into()));
    }
    Ok(Made {
        function: function.arn.clone(),
        role: function.role.clone(),
        python: Python { file: absolute(file), ..python.clone() },
        file: (
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            metadata.mtime(),
            metadata.mtime_nsec(),
        ),
    })
}

fn absolute(path: &PathBuf) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.clone())
}
