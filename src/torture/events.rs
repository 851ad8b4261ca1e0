//! What the audit log must say of each call: an acknowledged one has its event exactly once, one that
//! was not acknowledged has it exactly if its effect is there.
#![expect(clippy::indexing_slicing, reason = "a member that JSON lacks reads as null")]
use super::client::Client;
use super::operation::{Attempt, Ids, Outcome};
use super::tail::Tail;
use super::{Trouble, now, observe, promise, text_of};
use crate::failpoints::POLL;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

/// The events of the load, by user agent.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// By log: every server has its own.
    tails: HashMap<PathBuf, Tail>,
    /// Each event's id must be there once in all logs.
    ids: HashSet<String>,
    /// What was not looked at yet.
    waiting: HashMap<String, Vec<Value>>,
    /// By key id, the events of the service that tell of a rotation.
    rotations: HashMap<String, usize>,
}

impl Events {
    /// Every attempt has the events that it must have, at the latest when the patience is at its end.
    pub(super) fn check(
        &mut self,
        audits: &[PathBuf],
        attempts: &[Attempt],
        patience: Duration,
    ) -> Result<(), Trouble> {
        let began = now();
        loop {
            for audit in audits {
                for event in self.tails.entry(audit.clone()).or_default().read(audit)? {
                    self.take(event)?;
                }
            }
            let wrong = attempts.iter().find(|attempt| !fit(attempt, &self.of(attempt)));
            let Some(wrong) = wrong else { break };
            promise(began.elapsed() < patience, || {
                format!("{wrong:?} has the events {:?}", self.of(wrong))
            })?;
            std::thread::sleep(POLL);
        }
        for attempt in attempts {
            self.waiting.remove(&attempt.agent);
        }
        // Nobody's events are left: what is in the log was attempted.
        promise(self.waiting.is_empty(), || format!("events of no call: {:?}", self.waiting))
    }

    fn of(&self, attempt: &Attempt) -> Vec<&Value> {
        self.waiting.get(&attempt.agent).into_iter().flatten().collect()
    }

    fn take(&mut self, event: Value) -> Result<(), Trouble> {
        let id = text_of(&event, "eventID")?;
        promise(self.ids.insert(id), || format!("twice in the log: {event}"))?;
        if event["eventName"] == "RotateKey" {
            let key = text_of(&event["serviceEventDetails"], "keyId")?;
            *self.rotations.entry(key).or_default() += 1;
        }
        let agent = text_of(&event, "userAgent")?;
        if agent.starts_with("torture/") {
            self.waiting.entry(agent).or_default().push(event);
        }
        Ok(())
    }

    /// Every key has as many rotations as the log tells of; answers how many these are.
    pub(super) fn check_rotations(&self, client: &mut Client, ids: &Ids) -> Result<u64, Trouble> {
        let keys: Vec<String> = ids.all().values().cloned().collect();
        for id in keys {
            let told = self.rotations.get(&id).copied().unwrap_or_default();
            let materials = observe::materials(client, &id)?;
            promise(materials == told + 1, || {
                format!("the key {id} has {materials} materials, the log tells of {told} rotations")
            })?;
        }
        Ok(self.rotations.values().map(|count| *count as u64).sum())
    }
}

/// Whether these are the events that an attempt must have.
fn fit(attempt: &Attempt, events: &[&Value]) -> bool {
    // What a service does for the caller has the service's agent.
    if events.iter().any(|event| event["eventName"] != attempt.operation.name) {
        return false;
    }
    let failed = |event: &&&Value| event["errorCode"].is_string();
    let errors = events.iter().filter(failed).count();
    let wanted = |id: &str, failed: bool| match events {
        [event] => event["requestID"] == id && event["errorCode"].is_string() == failed,
        _ => false,
    };
    match &attempt.outcome {
        Outcome::Done(id) => wanted(id, false),
        Outcome::Refused(id) => wanted(id, true),
        Outcome::Lost if attempt.applied => events.len() == 1 && errors == 0,
        // One of what was done, and perhaps one of what the caller was told.
        Outcome::Failed(_) if attempt.applied => events.len() == errors + 1 && errors <= 1,
        // What changed nothing may have been refused, and what only reads may be recorded.
        _ if attempt.operation.effect.is_some() => errors == events.len() && errors <= 1,
        _ => events.len() <= 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::operation::Operation;
    use serde_json::json;

    fn attempt(outcome: Outcome, applied: bool) -> Attempt {
        let operation = Operation::kms("EnableKey", json!({}), ("key/a".into(), Value::Null));
        Attempt { agent: String::new(), operation, outcome, applied }
    }

    #[test]
    fn what_is_missing_twice_or_wrong_is_noticed() {
        let event =
            |name: &str, error| json!({"eventName": name, "requestID": "r", "errorCode": error});
        let (good, bad) = (&event("EnableKey", Value::Null), &event("EnableKey", "X".into()));
        let other = &event("DisableKey", Value::Null);
        let done = attempt(Outcome::Done("r".into()), true);
        assert!(fit(&done, &[good]));
        for wrong in [vec![], vec![bad], vec![good, good], vec![other], vec![good, other]] {
            assert!(!fit(&done, &wrong), "{wrong:?}");
        }
        let applied = attempt(Outcome::Lost, true);
        assert!(fit(&applied, &[good]));
        assert!(!fit(&applied, &[]) && !fit(&applied, &[bad]));
        let undone = attempt(Outcome::Lost, false);
        assert!(fit(&undone, &[]) && fit(&undone, &[bad]));
        assert!(!fit(&undone, &[good]));
        let failed = attempt(Outcome::Failed("r".into()), true);
        assert!(fit(&failed, &[bad, good]) && fit(&failed, &[good]));
        assert!(!fit(&failed, &[bad]) && !fit(&failed, &[good, good]));
    }
}
