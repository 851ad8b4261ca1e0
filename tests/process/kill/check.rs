//! What is there, read through the API and in the audit log.
use super::operation::{Attempt, Ids, Outcome, SHARED};
use crate::client::{Client, Failed, elements};
use crate::events::Tail;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

fn ok(name: &str, outcome: Result<Value, Failed>) -> Value {
    outcome.unwrap_or_else(|failed| panic!("{name}: {failed}"))
}

/// None if the object is not there; any other failure is one.
fn found(name: &str, outcome: Result<Value, Failed>) -> Option<Value> {
    let missing = ["NotFoundException", "NoSuchEntity", "ResourceNotFoundException"];
    match outcome {
        Err(failed) if missing.contains(&failed.code()) => None,
        outcome => Some(ok(name, outcome)),
    }
}

/// All pages of a KMS list.
fn pages(client: &mut Client, name: &str, member: &str, mut body: Value) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let page = ok(name, client.kms(name, body.clone()));
        all.extend(page[member].as_array().unwrap().iter().cloned());
        if page["Truncated"] != json!(true) {
            return all;
        }
        body["Marker"] = page["NextMarker"].clone();
    }
}

/// Learns the ids of keys whose making was not acknowledged.
pub fn adopt(client: &mut Client, ids: &Ids) {
    let mut ids = ids.lock().unwrap();
    let known: HashSet<String> = ids.values().cloned().collect();
    for key in pages(client, "ListKeys", "Keys", json!({})) {
        let id = key["KeyId"].as_str().unwrap();
        if !known.contains(id) {
            let key = ok("DescribeKey", client.kms("DescribeKey", json!({"KeyId": id})));
            let name = key["KeyMetadata"]["Description"].as_str().unwrap().to_owned();
            assert!(ids.insert(name, id.to_owned()).is_none(), "two keys of one call: {key}");
        }
    }
}

/// An object as the API shows it; null if it is not there.
pub fn observe(client: &mut Client, ids: &Ids, object: &str) -> Value {
    let (kind, name) = object.split_once('/').unwrap();
    let id = |name: &str| ids.lock().unwrap().get(name).cloned();
    match kind {
        "key" => id(name).map_or(Value::Null, |id| key(client, &id)),
        "alias" => alias(client, object),
        "tag" => tags(client, &id(SHARED).unwrap()).get(name).cloned().unwrap_or_default(),
        "user" => user(client, name),
        "secret" => secret(client, name),
        _ => unreachable!("{object}"),
    }
}

fn key(client: &mut Client, id: &str) -> Value {
    let key = ok("DescribeKey", client.kms("DescribeKey", this(id)));
    let state = key["KeyMetadata"]["KeyState"].clone();
    assert_eq!(state == "PendingDeletion", key["KeyMetadata"]["DeletionDate"].is_number(), "{key}");
    let policy = ok("GetKeyPolicy", client.kms("GetKeyPolicy", json!({"KeyId": id})));
    if state == "Enabled" {
        // Its material came with it.
        let sealed = client.kms("Encrypt", json!({"KeyId": id, "Plaintext": "YQ=="}));
        let sealed = ok("Encrypt", sealed)["CiphertextBlob"].clone();
        let opened = client.kms("Decrypt", json!({"CiphertextBlob": sealed}));
        assert_eq!(ok("Decrypt", opened)["Plaintext"], "YQ==");
    }
    let rotation = ok("GetKeyRotationStatus", client.kms("GetKeyRotationStatus", this(id)));
    json!({
        "state": state,
        "policy": policy["Policy"],
        "tags": tags(client, id),
        // Not said of a key that is to be deleted; which rotations it had is said of every key.
        "period": rotation["RotationPeriodInDays"],
        "materials": materials(client, id),
    })
}

fn this(id: &str) -> Value {
    json!({"KeyId": id})
}

/// How many materials a key has: one more than it had rotations.
fn materials(client: &mut Client, id: &str) -> usize {
    let body = json!({"KeyId": id, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    pages(client, "ListKeyRotations", "Rotations", body).len()
}

/// What was encrypted and acknowledged decrypts, whatever happened to its key's material since.
pub fn opens(client: &mut Client, blob: &Value) {
    let opened = client.kms("Decrypt", json!({"CiphertextBlob": blob}));
    assert_eq!(ok("Decrypt", opened)["Plaintext"], "YQ==");
}

fn tags(client: &mut Client, id: &str) -> Map<String, Value> {
    let tags = pages(client, "ListResourceTags", "Tags", json!({"KeyId": id}));
    let pair = |tag: &Value| (tag["TagKey"].as_str().unwrap().to_owned(), tag["TagValue"].clone());
    tags.iter().map(pair).collect()
}

fn alias(client: &mut Client, name: &str) -> Value {
    let key = found("DescribeKey", client.kms("DescribeKey", json!({"KeyId": name})));
    key.map_or(Value::Null, |key| json!({"target": key["KeyMetadata"]["Description"]}))
}

fn user(client: &mut Client, name: &str) -> Value {
    let mut call = |operation: &str, more: &[(&str, &str)]| {
        let parameters = [&[("UserName", name)], more].concat();
        let done = client.query("iam", operation, &parameters);
        found(operation, done.map(|done| Value::String(done.value)))
    };
    if call("GetUser", &[]).is_none() {
        return Value::Null;
    }
    let listed = call("ListUserPolicies", &[]).unwrap();
    let mut policies = Map::new();
    for policy in elements(listed.as_str().unwrap(), "member") {
        let xml = call("GetUserPolicy", &[("PolicyName", policy.as_str())]).unwrap();
        let text = elements(xml.as_str().unwrap(), "PolicyDocument").remove(0);
        let text = percent_encoding::percent_decode_str(&text).decode_utf8().unwrap();
        policies.insert(policy, json!(text));
    }
    Value::Object(policies)
}

fn secret(client: &mut Client, name: &str) -> Value {
    let mut value = |stage: &str| {
        let body = json!({"SecretId": name, "VersionStage": stage});
        found("GetSecretValue", client.secrets("GetSecretValue", body))
    };
    let (current, previous) = (value("AWSCURRENT"), value("AWSPREVIOUS"));
    let Some(current) = current else {
        let described = client.secrets("DescribeSecret", json!({"SecretId": name}));
        assert_eq!(found("DescribeSecret", described), None, "half a secret");
        return Value::Null;
    };
    let text = |value: Value| value["SecretString"].clone();
    json!({"current": text(current), "previous": previous.map(text)})
}

/// The lists show the same as the single objects, and a key's list of aliases the same as the
/// aliases do.
pub fn lists(client: &mut Client, ids: &Ids) {
    let known: BTreeSet<String> = ids.lock().unwrap().values().cloned().collect();
    let listed: Vec<String> = pages(client, "ListKeys", "Keys", json!({"Limit": 30}))
        .iter()
        .map(|key| key["KeyId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(listed.len(), known.len(), "a key is listed twice or missing");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), known);
    let mut of_keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for alias in pages(client, "ListAliases", "Aliases", json!({"Limit": 10})) {
        // Nobody has used the key of Secrets Manager yet.
        if alias["AliasName"] == "alias/aws/secretsmanager" && alias.get("TargetKeyId").is_none() {
            continue;
        }
        let text = |name: &str| alias[name].as_str().unwrap().to_owned();
        of_keys.entry(text("TargetKeyId")).or_default().insert(text("AliasName"));
    }
    of_keys.entry(ids.lock().unwrap()[SHARED].clone()).or_default();
    for (key, aliases) in of_keys {
        let listed = pages(client, "ListAliases", "Aliases", json!({"KeyId": key}));
        let names = listed.iter().map(|alias| alias["AliasName"].as_str().unwrap().to_owned());
        assert_eq!(names.collect::<BTreeSet<_>>(), aliases, "aliases of {key}");
    }
}

/// The events of the load, by user agent.
#[derive(Debug, Default)]
pub struct Log {
    tail: Tail,
    /// Each event's id must be there once in the whole log.
    ids: HashSet<String>,
    /// What was not looked at yet.
    events: HashMap<String, Vec<Value>>,
    /// By key id, the events of the service that tell of a rotation.
    rotations: HashMap<String, usize>,
}

impl Log {
    /// Every attempt has the events that it must have.
    pub fn check(&mut self, audit: &Path, attempts: &[Attempt]) {
        for event in self.tail.read(audit) {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            assert!(self.ids.insert(text("eventID")), "twice in the log: {event}");
            if event["eventName"] == "RotateKey" {
                let key = event["serviceEventDetails"]["keyId"].as_str().unwrap();
                *self.rotations.entry(key.to_owned()).or_default() += 1;
            }
            let agent = text("userAgent");
            if agent.starts_with("kill/") {
                self.events.entry(agent).or_default().push(event);
            }
        }
        for attempt in attempts {
            let mut events = self.events.remove(&attempt.agent).unwrap_or_default();
            events.retain(|event| event["eventName"] == attempt.operation.name);
            let wanted = |id: &str, failed: bool| match events.as_slice() {
                [event] => event["requestID"] == id && event["errorCode"].is_string() == failed,
                _ => false,
            };
            let good = match &attempt.outcome {
                Outcome::Done(id) => wanted(id, false),
                Outcome::Refused(id) => wanted(id, true),
                Outcome::Lost if attempt.applied => {
                    events.len() == 1 && events.iter().all(|event| event["errorCode"].is_null())
                }
                // What changed nothing may have been refused, and what only reads may be recorded.
                Outcome::Lost if attempt.operation.effect.is_some() => {
                    events.iter().all(|event| event["errorCode"].is_string())
                }
                Outcome::Lost => events.len() <= 1,
            };
            assert!(good, "{attempt:#?} has the events {events:#?}");
        }
        // Nobody's events are left: what is in the log was attempted.
        assert!(self.events.is_empty(), "{:#?}", self.events);
    }

    /// Every key has as many rotations as the log tells of; answers how many these are.
    pub fn check_rotations(&self, client: &mut Client, ids: &Ids) -> usize {
        for id in ids.lock().unwrap().values() {
            let told = self.rotations.get(id).copied().unwrap_or_default();
            assert_eq!(materials(client, id), told + 1, "rotations of {id}");
        }
        self.rotations.values().sum()
    }
}
