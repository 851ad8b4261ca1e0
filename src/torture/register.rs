//! Secrets that several clients put and get at the same time, through all servers: each is a register. What
//! the clients were told, and when, is written down for a linearizability checker.
use super::client::{Client, ok};
use super::numbers::Numbers;
use super::wire::Failed;
use super::worker::Pace;
use super::{Trouble, now, text_of};
use crate::failpoints::POLL;
use serde::Serialize;
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many clients there are for each server.
pub(super) const CLIENTS: usize = 4;
/// So many secrets in turn: fewer than there are clients, so that these meet, and more than one, so that
/// they do not only wait for each other.
const SECRETS: u64 = 4;
/// After so many operations come other secrets: half of them put, and a secret has 150 versions at most.
const GENERATION: u64 = SECRETS * 200;
/// A round has at most so many times the operations that it was to have.
const MOST: u64 = 3;

/// An operation on a secret, a line of JSON in the history. A get that came to nothing, and a put that
/// was refused, are left out: they say nothing.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Operation {
    secret: String,
    /// Does one operation after the other. One that has no answer is the last of its client.
    client: u64,
    /// Whether it writes the value; else it has read it.
    put: bool,
    /// Every put has another one; a secret is made with 0.
    value: u64,
    /// In nanoseconds since the era began.
    called_ns: u64,
    /// Nothing for a put without an answer: it may take effect at any time after it was called, or never.
    returned_ns: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Registers {
    began: Instant,
    /// Before all names of secrets, so that eras do not share any.
    prefix: String,
    /// So many operations a round is to have.
    enough: u64,
    history: Mutex<Vec<Operation>>,
    round: u64,
    /// Operations that were begun in this round.
    begun: AtomicU64,
    next_value: AtomicU64,
    next_client: AtomicU64,
}

impl Registers {
    pub(super) fn new(era: u64, enough: u64) -> Self {
        Self {
            began: now(),
            prefix: format!("register-{era}"),
            enough,
            history: Mutex::default(),
            round: 0,
            begun: AtomicU64::new(0),
            next_value: AtomicU64::new(1),
            next_client: AtomicU64::new(0),
        }
    }

    pub(super) fn history(&self) -> MutexGuard<'_, Vec<Operation>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn secret(&self, number: u64) -> String {
        format!("{}-{}-{number}", self.prefix, self.round)
    }

    fn most(&self) -> u64 {
        self.enough.saturating_mul(MOST)
    }

    fn secrets(&self) -> u64 {
        self.most().div_ceil(GENERATION) * SECRETS
    }

    /// Whether there are secrets.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed) > 0
    }

    /// Whether this round had the operations that it was to have.
    pub(super) fn has_enough(&self) -> bool {
        self.begun.load(Ordering::Relaxed) >= self.enough
    }

    /// Makes the secrets of a round.
    pub(super) fn begin(&mut self, round: u64, client: &mut Client) -> Result<(), Trouble> {
        self.round = round;
        self.begun = AtomicU64::new(0);
        for number in 0..self.secrets() {
            let name = self.secret(number);
            let token = format!("{name:->40}");
            let body = json!({"Name": name, "SecretString": "0", "ClientRequestToken": token});
            ok("CreateSecret", client.secrets("CreateSecret", &body))?;
        }
        Ok(())
    }

    /// Puts and gets until the load is over, the server is gone, or there were enough.
    pub(super) fn load(
        &self,
        client: &mut Client,
        mut numbers: Numbers,
        pace: &Pace,
        server: usize,
    ) -> Result<(), Trouble> {
        let mut number = self.next_client.fetch_add(1, Ordering::Relaxed);
        while !pace.over.load(Ordering::Relaxed) {
            let begun = self.begun.fetch_add(1, Ordering::Relaxed);
            if begun >= self.most() {
                break;
            }
            let secret = self.secret(begun / GENERATION * SECRETS + begun % SECRETS);
            let outcome = match numbers.below(2) {
                0 => self.put(client, number, secret, numbers.next()),
                _ => self.get(client, number, secret),
            };
            match outcome? {
                Ok(()) => {}
                Err(Failed::Fault { code, .. }) if code.starts_with("Throttling") => {}
                Err(failed) if pace.is_foul(server, &failed) => {
                    return Err(Trouble::Violation(format!("a register: {failed}")));
                }
                Err(Failed::Lost(_)) => break,
                Err(Failed::Fault { .. }) => {
                    // What was answered so may still be carried out.
                    number = self.next_client.fetch_add(1, Ordering::Relaxed);
                    // A server that cannot do anything says so quickly.
                    std::thread::sleep(POLL);
                }
            }
        }
        Ok(())
    }

    /// Reads what became of the round's secrets.
    pub(super) fn end(&self, client: &mut Client) -> Result<(), Trouble> {
        let number = self.next_client.fetch_add(1, Ordering::Relaxed);
        for secret in 0..self.secrets() {
            let read = self.get(client, number, self.secret(secret))?;
            ok("GetSecretValue", read)?;
        }
        Ok(())
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn put(
        &self,
        client: &mut Client,
        number: u64,
        secret: String,
        token: u64,
    ) -> Result<Result<(), Failed>, Trouble> {
        let value = self.next_value.fetch_add(1, Ordering::Relaxed);
        let body = json!({
            "SecretId": secret,
            "SecretString": value.to_string(),
            "ClientRequestToken": format!("{value:016}{token:020}"),
        });
        let called_ns = self.elapsed();
        let answer = client.secrets("PutSecretValue", &body).map(drop);
        let returned_ns = match &answer {
            Ok(()) => Some(self.elapsed()),
            Err(Failed::Fault { status, .. }) if *status < 500 => return Ok(answer),
            Err(_) => None,
        };
        let operation =
            Operation { secret, client: number, put: true, value, called_ns, returned_ns };
        self.history().push(operation);
        Ok(answer)
    }

    fn get(
        &self,
        client: &mut Client,
        number: u64,
        secret: String,
    ) -> Result<Result<(), Failed>, Trouble> {
        let called_ns = self.elapsed();
        let answer = match client.secrets("GetSecretValue", &json!({"SecretId": secret})) {
            Ok(answer) => answer,
            Err(failed) => return Ok(Err(failed)),
        };
        let returned_ns = Some(self.elapsed());
        let text = text_of(&answer, "SecretString")?;
        let foreign = |_| Trouble::Violation(format!("{secret} holds {text:?}"));
        let value = text.parse().map_err(foreign)?;
        let operation =
            Operation { secret, client: number, put: false, value, called_ns, returned_ns };
        self.history().push(operation);
        Ok(Ok(()))
    }
}
