//! One of those who write: it keeps its own objects, one call after the other, so that after a kill
//! exactly its last call may be in doubt. What it was told is what must be there.
use super::client::Client;
use super::numbers::Numbers;
use super::operation::{Attempt, Ids, Operation, Outcome};
use super::wire::Failed;
use super::{Trouble, observe, promise, text_of};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many objects are looked at again that the last round left alone.
const OTHERS: usize = 3;

/// Whether a fault was planned after which a server may say that it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MayFail {
    #[default]
    No,
    /// Then it goes on.
    Passing,
    /// Then it takes no write any more.
    ForGood,
}

/// What all workers of a load go by.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pub(super) may_fail: MayFail,
    /// The server that may; without it all of them.
    pub(super) victim: Option<usize>,
    /// Set before the fault is planned: nothing fails sooner.
    pub(super) may_begin: AtomicBool,
    /// Of every server how many writes were acknowledged.
    pub(super) written: Vec<AtomicU64>,
    /// Of every server whether it was killed, or may end itself.
    pub(super) may_be_dead: Vec<Arc<AtomicBool>>,
    /// How many workers were told that the server failed.
    pub(super) failed: AtomicU64,
    /// Set: every worker comes to an end after its current call.
    pub(super) over: AtomicBool,
}

impl Pace {
    fn may_fail(&self, server: usize) -> MayFail {
        let may = self.may_begin.load(Ordering::SeqCst)
            && self.victim.is_none_or(|victim| victim == server);
        if may { self.may_fail } else { MayFail::No }
    }

    /// Whether the end of a call is none that the fault or the server's death accounts for. A server that
    /// nobody killed answers.
    pub(super) fn is_foul(&self, server: usize, failed: &Failed) -> bool {
        let may_fail = self.may_fail(server) != MayFail::No;
        let may_be_dead = || {
            let server = self.may_be_dead.get(server);
            server.is_some_and(|may_be_dead| may_be_dead.load(Ordering::SeqCst))
        };
        match failed {
            Failed::Lost(_) => !may_fail && !may_be_dead(),
            Failed::Fault { status, .. } => !may_fail || *status < 500,
        }
    }

    /// How many writes every server has acknowledged.
    pub(super) fn counts(&self) -> Vec<u64> {
        self.written.iter().map(|written| written.load(Ordering::Relaxed)).collect()
    }
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) numbers: Numbers,
    pub(super) serial: u64,
    /// Every object as it was last acknowledged.
    pub(super) model: BTreeMap<String, Value>,
    /// How often each secret was put, answered or not.
    pub(super) puts: HashMap<String, u64>,
    attempts: Vec<Attempt>,
    /// Ciphertexts, with the ids of their keys.
    blobs: Vec<(String, Value)>,
}

impl Worker {
    pub(super) fn new(name: String, seed: u64) -> Self {
        Self {
            name,
            numbers: Numbers(seed),
            serial: 0,
            model: BTreeMap::new(),
            puts: HashMap::new(),
            attempts: Vec::new(),
            blobs: Vec::new(),
        }
    }

    /// Compares what is there with what must be; answers what was attempted since the last time,
    /// with the doubts removed. `all`: every object instead of those that were touched.
    pub(super) fn check(
        &mut self,
        client: &mut Client,
        ids: &Ids,
        all: bool,
    ) -> Result<Vec<Attempt>, Trouble> {
        let mut attempts = std::mem::take(&mut self.attempts);
        for object in self.objects(&attempts, all) {
            let found = observe::object(client, ids, &object)?;
            let known = self.model.get(&object).cloned().unwrap_or_default();
            let doubt = attempts.last_mut().filter(|last| last.outcome.in_doubt());
            let effect = doubt.as_ref().and_then(|last| last.operation.effect.clone());
            let came = effect.is_some_and(|(at, after)| at == object && found == after);
            match doubt {
                Some(last) if came => {
                    last.applied = true;
                    self.model.insert(object, found);
                }
                doubt => promise(found == known, || {
                    format!(
                        "worker {}: {object} is {found}, acknowledged was {known}; in doubt: \
                         {doubt:?}",
                        self.name
                    )
                })?,
            }
        }
        self.model.retain(|_, value| !value.is_null());
        self.check_blobs(client, ids)?;
        Ok(attempts)
    }

    /// What has a name and is there, keys aside, whose names are descriptions.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.model
            .keys()
            .filter(|name| !name.starts_with("key/") && !name.starts_with("tag/"))
            .cloned()
    }

    /// What was touched, and some others.
    fn objects(&mut self, attempts: &[Attempt], all: bool) -> BTreeSet<String> {
        let effects = attempts.iter().filter_map(|a| a.operation.effect.as_ref());
        let mut objects: BTreeSet<String> = effects.map(|(object, _)| object.clone()).collect();
        let mut others: Vec<&String> = self.model.keys().collect();
        while !others.is_empty() && (all || objects.len() < OTHERS) {
            let other = self.numbers.below(others.len() as u64);
            objects.insert(others.swap_remove(usize::try_from(other).unwrap_or(0)).clone());
        }
        objects
    }

    /// What was encrypted and acknowledged decrypts, whatever became of its key's material since.
    fn check_blobs(&self, client: &mut Client, ids: &Ids) -> Result<(), Trouble> {
        let names: HashMap<String, String> =
            ids.all().iter().map(|(name, id)| (id.clone(), name.clone())).collect();
        for (id, blob) in &self.blobs {
            let name = names.get(id);
            promise(name.is_some(), || format!("the key {id} is gone"))?;
            let key = format!("key/{}", name.map_or("", String::as_str));
            if self.model.get(&key).is_none_or(|key| key["state"] == "Enabled") {
                observe::opens(client, blob)?;
            }
        }
        Ok(())
    }

    /// Writes to a server until it is gone, says that it failed, or the load is over.
    pub(super) fn load(
        &mut self,
        client: &mut Client,
        ids: &Ids,
        pace: &Pace,
        server: usize,
    ) -> Result<(), Trouble> {
        while !pace.over.load(Ordering::Relaxed) {
            self.serial += 1;
            let Some(operation) = self.choose(ids) else { continue };
            let agent = format!("torture/{}/{}", self.name, self.serial);
            client.user_agent.clone_from(&agent);
            let has_failed = pace.failed.load(Ordering::Relaxed) > 0;
            let outcome = match operation.send(client) {
                Ok(done) => {
                    self.learn(&operation, &done.value, ids)?;
                    Outcome::Done(done.request_id)
                }
                // Too many rivals for the shared key.
                Err(Failed::Fault { code, request_id, .. }) if code.starts_with("Throttling") => {
                    Outcome::Refused(request_id)
                }
                Err(failed) if pace.is_foul(server, &failed) => {
                    return Err(Trouble::Violation(format!("{operation:?}: {failed}")));
                }
                Err(Failed::Fault { request_id, .. }) => {
                    pace.failed.fetch_add(1, Ordering::Relaxed);
                    Outcome::Failed(request_id)
                }
                Err(Failed::Lost(_)) => Outcome::Lost,
            };
            let applied = matches!(outcome, Outcome::Done(_));
            if let (true, Some((object, after))) = (applied, &operation.effect) {
                promise(!has_failed || pace.may_fail(server) != MayFail::ForGood, || {
                    format!(
                        "acknowledged after another call was told of a failure for good: {operation:?}"
                    )
                })?;
                self.model.insert(object.clone(), after.clone());
                if let Some(written) = pace.written.get(server) {
                    written.fetch_add(1, Ordering::Relaxed);
                }
            }
            let ends = outcome.in_doubt();
            self.attempts.push(Attempt { agent, operation, outcome, applied });
            if ends {
                break;
            }
        }
        Ok(())
    }

    /// Remembers what an answer told.
    fn learn(&mut self, operation: &Operation, answer: &Value, ids: &Ids) -> Result<(), Trouble> {
        if operation.name == "CreateKey" {
            let id = text_of(&answer["KeyMetadata"], "KeyId")?;
            ids.all().insert(text_of(&operation.body, "Description")?, id);
        }
        if operation.name == "Encrypt" {
            let blob = answer["CiphertextBlob"].clone();
            self.blobs.push((text_of(&operation.body, "KeyId")?, blob));
        }
        Ok(())
    }
}
