//! One of those who write: it keeps its own objects, one call after the other, so that after a kill
//! exactly its last call may be in doubt.
use super::check;
use super::operation::{Attempt, Ids, Operation, Outcome, SHARED, key_policy, user_policy};
use crate::client::{Client, Failed};
use crate::harness::Numbers;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

const KEYS: usize = 5;
const ALIASES: usize = 4;
const USERS: usize = 3;
const SECRETS: usize = 3;
/// How many objects are looked at again that the last round left alone.
const OTHERS: usize = 3;
/// AWS's limit of rotations on demand, and the key's first material.
const MATERIALS: u64 = 26;

#[derive(Debug)]
pub struct Worker {
    name: String,
    numbers: Numbers,
    serial: u64,
    /// Every object as it was last acknowledged.
    model: BTreeMap<String, Value>,
    attempts: Vec<Attempt>,
    /// Ciphertexts, with the ids of their keys.
    blobs: Vec<(String, Value)>,
}

impl Worker {
    pub fn new(name: String, seed: u64) -> Self {
        let (model, attempts, blobs) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { name, numbers: Numbers(seed), serial: 0, model, attempts, blobs }
    }

    /// Compares what is there with what must be; answers what was attempted since the last time,
    /// with the doubts removed. `all`: every object instead of those that were touched.
    pub fn check(&mut self, client: &mut Client, ids: &Ids, all: bool) -> Vec<Attempt> {
        let mut attempts = std::mem::take(&mut self.attempts);
        let effects = attempts.iter().filter_map(|a| a.operation.effect.as_ref());
        let mut objects: BTreeSet<String> = effects.map(|(object, _)| object.clone()).collect();
        let mut others: Vec<&String> = self.model.keys().collect();
        while !others.is_empty() && (all || objects.len() < OTHERS) {
            let other = self.numbers.below(others.len() as u64);
            objects.insert(others.swap_remove(usize::try_from(other).unwrap()).clone());
        }
        for object in objects {
            let found = check::observe(client, ids, &object);
            let known = self.model.get(&object).cloned().unwrap_or_default();
            let doubt = attempts.last_mut().filter(|last| last.outcome == Outcome::Lost);
            match doubt {
                Some(Attempt {
                    operation: Operation { effect: Some((at, after)), .. },
                    applied,
                    ..
                }) if *at == object && found == *after => {
                    *applied = true;
                    self.model.insert(object, found);
                }
                doubt => assert_eq!(found, known, "{}: {object}, in doubt: {doubt:#?}", self.name),
            }
        }
        self.model.retain(|_, value| !value.is_null());
        let names: HashMap<String, String> =
            ids.lock().unwrap().iter().map(|(name, id)| (id.clone(), name.clone())).collect();
        for (id, blob) in &self.blobs {
            let key = format!("key/{}", names[id]);
            if self.model.get(&key).is_none_or(|key| key["state"] == "Enabled") {
                check::opens(client, blob);
            }
        }
        attempts
    }

    /// Writes until the server is gone; counts what is acknowledged.
    pub fn load(&mut self, client: &mut Client, ids: &Ids, written: &AtomicU64) {
        loop {
            self.serial += 1;
            let Some(operation) = self.choose(ids) else { continue };
            let agent = format!("kill/{}/{}", self.name, self.serial);
            client.user_agent.clone_from(&agent);
            let outcome = match operation.send(client) {
                Ok(done) => {
                    if operation.name == "CreateKey" {
                        let text = |value: &Value| value.as_str().unwrap().to_owned();
                        let made = &done.value["KeyMetadata"];
                        let name = text(&operation.body["Description"]);
                        ids.lock().unwrap().insert(name, text(&made["KeyId"]));
                    }
                    if operation.name == "Encrypt" {
                        let id = operation.body["KeyId"].as_str().unwrap().to_owned();
                        self.blobs.push((id, done.value["CiphertextBlob"].clone()));
                    }
                    Outcome::Done(done.request_id)
                }
                // Too many rivals for the shared key.
                Err(Failed::Fault { code, request_id, .. }) if code.starts_with("Throttling") => {
                    Outcome::Refused(request_id)
                }
                Err(Failed::Lost(_)) => Outcome::Lost,
                Err(failed) => panic!("{operation:?}: {failed}"),
            };
            let applied = matches!(outcome, Outcome::Done(_));
            if let (true, Some((object, after))) = (applied, &operation.effect) {
                self.model.insert(object.clone(), after.clone());
                written.fetch_add(1, Ordering::Relaxed);
            }
            let lost = outcome == Outcome::Lost;
            self.attempts.push(Attempt { agent, operation, outcome, applied });
            if lost {
                return;
            }
        }
    }

    fn choose(&mut self, ids: &Ids) -> Option<Operation> {
        let n = self.serial;
        let new = format!("{}-{n}", self.name.replace('/', "-"));
        let id = |key: &str| ids.lock().unwrap()[key].clone();
        match self.numbers.below(18) {
            0 if self.live_keys().len() < KEYS => {
                let tags = json!([{"TagKey": "made", "TagValue": new}]);
                let policy = key_policy(n);
                let key = json!({
                    "state": "Enabled", "policy": policy, "tags": {"made": new},
                    "period": null, "materials": 1,
                });
                let body = json!({"Description": new, "Policy": policy, "Tags": tags});
                Some(Operation::kms("CreateKey", body, (format!("key/{new}"), key)))
            }
            1 if self.names("alias/").len() < ALIASES => {
                let target = self.some_target()?;
                let body = json!({"AliasName": format!("alias/{new}"), "TargetKeyId": id(&target)});
                let effect = (format!("alias/{new}"), json!({"target": target}));
                Some(Operation::kms("CreateAlias", body, effect))
            }
            2 | 3 => {
                let (alias, target) = (self.some("alias/")?, self.some_target()?);
                let after = json!({"target": target});
                let body = json!({"AliasName": alias, "TargetKeyId": id(&target)});
                let changes = self.model[&alias] != after;
                changes.then(|| Operation::kms("UpdateAlias", body, (alias, after)))
            }
            4 => {
                let alias = self.some("alias/")?;
                let body = json!({"AliasName": alias});
                Some(Operation::kms("DeleteAlias", body, (alias, Value::Null)))
            }
            5 => {
                let (key, mut after) = self.some_live_key()?;
                after["tags"]["n"] = json!(n.to_string());
                let tags = json!([{"TagKey": "n", "TagValue": n.to_string()}]);
                let body = json!({"KeyId": id(&key), "Tags": tags});
                Some(Operation::kms("TagResource", body, (format!("key/{key}"), after)))
            }
            6 => {
                let tag = self.name.replace('/', "-");
                let tags = json!([{"TagKey": tag, "TagValue": n.to_string()}]);
                let body = json!({"KeyId": id(SHARED), "Tags": tags});
                let effect = (format!("tag/{tag}"), json!(n.to_string()));
                Some(Operation::kms("TagResource", body, effect))
            }
            7 => {
                let (key, mut after) = self.some_live_key()?;
                after["policy"] = json!(key_policy(n));
                let body =
                    json!({"KeyId": id(&key), "PolicyName": "default", "Policy": key_policy(n)});
                Some(Operation::kms("PutKeyPolicy", body, (format!("key/{key}"), after)))
            }
            8 => {
                let (key, mut after) = self.some_live_key()?;
                let enabled = after["state"] == "Enabled";
                let name = if enabled { "DisableKey" } else { "EnableKey" };
                after["state"] = json!(if enabled { "Disabled" } else { "Enabled" });
                let body = json!({"KeyId": id(&key)});
                Some(Operation::kms(name, body, (format!("key/{key}"), after)))
            }
            9 if self.live_keys().len() == KEYS => {
                let (key, mut after) = self.some_live_key()?;
                after["state"] = json!("PendingDeletion");
                after["period"] = Value::Null;
                let body = json!({"KeyId": id(&key), "PendingWindowInDays": 7});
                Some(Operation::kms("ScheduleKeyDeletion", body, (format!("key/{key}"), after)))
            }
            10 if self.names("user/").len() < USERS => {
                let effect = (format!("user/{new}"), json!({}));
                Some(Operation::iam("CreateUser", json!({"UserName": new}), effect))
            }
            11 => {
                let user = self.some("user/")?;
                let policy = format!("p{}", self.numbers.below(3));
                let mut after = self.model[&user].clone();
                after[&policy] = json!(user_policy(n));
                let name = user.trim_start_matches("user/");
                let body = json!({
                    "UserName": name, "PolicyName": policy, "PolicyDocument": user_policy(n)
                });
                Some(Operation::iam("PutUserPolicy", body, (user, after)))
            }
            12 if self.names("secret/").len() < SECRETS => {
                let effect = (format!("secret/{new}"), json!({"current": new, "previous": null}));
                let body =
                    json!({"Name": new, "SecretString": new, "ClientRequestToken": token(&new)});
                Some(Operation::secrets("CreateSecret", body, effect))
            }
            13 => {
                let secret = self.some("secret/")?;
                let before = self.model[&secret]["current"].clone();
                let name = secret.trim_start_matches("secret/");
                let body = json!({"SecretId": name, "SecretString": new, "ClientRequestToken": token(&new)});
                let after = json!({"current": new, "previous": before});
                Some(Operation::secrets("PutSecretValue", body, (secret, after)))
            }
            14 => {
                let body = json!({"KeyId": id(SHARED), "Plaintext": "YQ=="});
                Some(Operation { service: "kms", name: "Encrypt", body, effect: None })
            }
            15..=17 => self.rotate_or_use(ids),
            _ => None,
        }
    }

    /// Rotates an enabled key of its own, sets when it is to rotate by itself, or encrypts under it.
    fn rotate_or_use(&mut self, ids: &Ids) -> Option<Operation> {
        let (key, mut after) = self.some_live_key()?;
        let id = ids.lock().unwrap()[&key].clone();
        let materials = after["materials"].as_u64().unwrap() + 1;
        if after["state"] != "Enabled" || materials > MATERIALS {
            return None;
        }
        let days = 90 + self.numbers.below(2471);
        let (name, body) = match self.numbers.below(3) {
            0 => {
                after["materials"] = json!(materials);
                ("RotateKeyOnDemand", json!({"KeyId": id}))
            }
            // A lost call that would change nothing could not be told from one that was carried out.
            1 if after["period"] == json!(days) => return None,
            1 => {
                after["period"] = json!(days);
                ("EnableKeyRotation", json!({"KeyId": id, "RotationPeriodInDays": days}))
            }
            _ => {
                let body = json!({"KeyId": id, "Plaintext": "YQ=="});
                return Some(Operation { service: "kms", name: "Encrypt", body, effect: None });
            }
        };
        Some(Operation::kms(name, body, (format!("key/{key}"), after)))
    }

    fn names(&self, kind: &str) -> Vec<String> {
        let of_kind =
            |(name, value): &(&String, &Value)| name.starts_with(kind) && !value.is_null();
        self.model.iter().filter(of_kind).map(|(name, _)| name.clone()).collect()
    }

    fn some(&mut self, kind: &str) -> Option<String> {
        let names = self.names(kind);
        self.pick(&names)
    }

    fn pick(&mut self, from: &[String]) -> Option<String> {
        let n = self.numbers.below(from.len().max(1) as u64);
        from.get(usize::try_from(n).unwrap()).cloned()
    }

    fn live_keys(&self) -> Vec<String> {
        let mut keys = self.names("key/");
        keys.retain(|key| self.model[key]["state"] != "PendingDeletion");
        keys
    }

    fn some_live_key(&mut self) -> Option<(String, Value)> {
        let keys = self.live_keys();
        let key = self.pick(&keys)?;
        Some((key.trim_start_matches("key/").to_owned(), self.model[&key].clone()))
    }

    /// A key for an alias: the shared one or an own one.
    fn some_target(&mut self) -> Option<String> {
        if self.numbers.below(4) == 0 {
            return Some(SHARED.to_owned());
        }
        self.some_live_key().map(|(key, _)| key)
    }
}

/// Secrets Manager wants 32 to 64 characters.
fn token(text: &str) -> String {
    format!("{text:->40}")
}
