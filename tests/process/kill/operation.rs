//! What the load consists of: calls, the one object that each changes, and how the object looks
//! before and after. Objects have names of ours (`key/…`, `alias/…`, `user/…`, `secret/…`), so that
//! one whose making was not acknowledged can be recognised.
use crate::client::{Client, Done, Failed};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;

/// The ids of keys by their descriptions, which are our names for them.
pub type Ids = Mutex<HashMap<String, String>>;

/// A key that all workers write to, so that they get into each other's way.
pub const SHARED: &str = "shared";

#[derive(Clone, Debug)]
pub struct Operation {
    pub service: &'static str,
    pub name: &'static str,
    pub body: Value,
    /// The object and what it becomes (null: it is gone); nothing for a call that only reads.
    pub effect: Option<(String, Value)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With the request's id.
    Done(String),
    Refused(String),
    /// No answer came.
    Lost,
}

/// An operation that was sent.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The user agent, which the event repeats: so an event is recognised without its request id.
    pub agent: String,
    pub operation: Operation,
    pub outcome: Outcome,
    /// Whether the effect is there; known at once for an acknowledged one, else after the restart.
    pub applied: bool,
}

impl Operation {
    pub fn kms(name: &'static str, body: Value, effect: (String, Value)) -> Self {
        Self { service: "kms", name, body, effect: Some(effect) }
    }

    pub fn iam(name: &'static str, body: Value, effect: (String, Value)) -> Self {
        Self { service: "iam", name, body, effect: Some(effect) }
    }

    pub fn secrets(name: &'static str, body: Value, effect: (String, Value)) -> Self {
        Self { service: "secretsmanager", name, body, effect: Some(effect) }
    }

    pub fn send(&self, client: &mut Client) -> Result<Done<Value>, Failed> {
        if self.service != "iam" {
            return client.json(self.service, self.name, &self.body);
        }
        let members = self.body.as_object().unwrap().iter();
        let parameters: Vec<(&str, &str)> =
            members.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        let done = client.query("iam", self.name, &parameters)?;
        Ok(Done { value: Value::String(done.value), request_id: done.request_id })
    }
}

/// A key policy whose statement carries a number, and lets the account's users in.
pub fn key_policy(sid: u64) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": format!("n{sid}"),
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{}:root", crate::setup::ACCOUNT)},
            "Action": "kms:*",
            "Resource": "*"
        }]
    })
    .to_string()
}

pub fn user_policy(sid: u64) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": format!("n{sid}"), "Effect": "Allow", "Action": "kms:List*", "Resource": "*"
        }]
    })
    .to_string()
}
