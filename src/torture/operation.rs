//! What the load consists of: calls, the one object that each changes, and how the object looks
//! before and after. Objects have names of ours (`key/…`, `alias/…`, `user/…`, `secret/…`), so that
//! one whose making was not acknowledged can be recognised.
use super::client::Client;
use super::wire::{Done, Failed};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) const ACCOUNT: &str = "111122223333";

/// A key that all workers write to, so that they get into each other's way.
pub(super) const SHARED: &str = "shared";

/// The ids of keys by their descriptions, which are our names for them.
#[derive(Debug, Default)]
pub(super) struct Ids(Mutex<HashMap<String, String>>);

impl Ids {
    pub(super) fn all(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, name: &str) -> Option<String> {
        self.all().get(name).cloned()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) body: Value,
    /// The object and what it becomes (null: it is gone); nothing for a call that only reads.
    pub(super) effect: Option<(String, Value)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With the request's id.
    Done(String),
    Refused(String),
    /// The server said that it failed (5xx): whether the effect is there, it did not say.
    Failed(String),
    /// No answer came.
    Lost,
}

impl Outcome {
    /// Whether the effect may be there or not.
    pub(super) fn in_doubt(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Lost)
    }
}

/// An operation that was sent.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The user agent, which the event repeats: so an event is recognised without its request id.
    pub(super) agent: String,
    pub(super) operation: Operation,
    pub(super) outcome: Outcome,
    /// Whether the effect is there; known at once for an acknowledged one, else after the restart.
    pub(super) applied: bool,
}

impl Operation {
    pub(super) fn kms(name: &'static str, body: Value, effect: (String, Value)) -> Self {
        Self { service: "kms", name, body, effect: Some(effect) }
    }

    pub(super) fn iam(name: &'static str, body: Value, effect: (String, Value)) -> Self {
        Self { service: "iam", name, body, effect: Some(effect) }
    }

    pub(super) fn secrets(name: &'static str, body: Value, effect: (String, Value)) -> Self {
        Self { service: "secretsmanager", name, body, effect: Some(effect) }
    }

    pub(super) fn send(&self, client: &mut Client) -> Result<Done<Value>, Failed> {
        if self.service != "iam" {
            return client.json(self.service, self.name, &self.body);
        }
        let members = self.body.as_object().into_iter().flatten();
        let parameters: Vec<(&str, &str)> =
            members.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
        let done = client.iam(self.name, &parameters)?;
        Ok(Done { value: Value::String(done.value), request_id: done.request_id })
    }
}

/// A key policy whose statement carries a number, and lets the account's users in.
pub(super) fn key_policy(sid: u64) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": format!("n{sid}"),
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")},
            "Action": "kms:*",
            "Resource": "*"
        }]
    })
    .to_string()
}

pub(super) fn user_policy(sid: u64) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": format!("n{sid}"), "Effect": "Allow", "Action": "kms:List*", "Resource": "*"
        }]
    })
    .to_string()
}
