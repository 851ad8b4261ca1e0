//! Which call a worker makes next. The mix is small on purpose: few objects, changed again and again,
//! so that most kills fall into a change of something that was acknowledged before.
#![expect(clippy::indexing_slicing, reason = "a member that JSON lacks reads as null")]
use super::operation::{Ids, Operation, SHARED, key_policy, user_policy};
use super::worker::Worker;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const KEYS: usize = 5;
const ALIASES: usize = 4;
const USERS: usize = 3;
const SECRETS: usize = 3;
/// A secret that has more than 100 versions loses the old ones; one was made with it.
const PUTS: u64 = 99;
/// AWS's limit of rotations on demand, and the key's first material.
const MATERIALS: u64 = 26;

impl Worker {
    /// The next call, if the numbers lead to one that is possible.
    pub(super) fn choose(&mut self, ids: &Ids) -> Option<Operation> {
        match self.numbers.below(18) {
            kind @ (0 | 5..=9) => self.change_key(kind, ids),
            kind @ 1..=4 => self.change_alias(kind, ids),
            kind @ 10..=13 => self.change_other(kind),
            14 => {
                let body = json!({"KeyId": ids.of(SHARED)?, "Plaintext": "YQ=="});
                Some(Operation { service: "kms", name: "Encrypt", body, effect: None })
            }
            _ => self.rotate_or_use(ids),
        }
    }

    /// A name that nothing has had yet.
    fn new_name(&self) -> String {
        format!("{}-{}", self.name.replace('/', "-"), self.serial)
    }

    /// Makes a key or changes one.
    fn change_key(&mut self, kind: u64, ids: &Ids) -> Option<Operation> {
        let n = self.serial;
        let new = self.new_name();
        let id = |key: &str| ids.of(key).unwrap_or_default();
        match kind {
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
            _ => None,
        }
    }

    /// Makes an alias, moves it to another key, or removes it.
    fn change_alias(&mut self, kind: u64, ids: &Ids) -> Option<Operation> {
        let new = self.new_name();
        let id = |key: &str| ids.of(key).unwrap_or_default();
        match kind {
            1 if self.names_of("alias/").len() < ALIASES => {
                let target = self.some_target()?;
                let body = json!({"AliasName": format!("alias/{new}"), "TargetKeyId": id(&target)});
                let effect = (format!("alias/{new}"), json!({"target": target}));
                Some(Operation::kms("CreateAlias", body, effect))
            }
            2 | 3 => {
                let (alias, target) = (self.some("alias/")?, self.some_target()?);
                let after = json!({"target": target});
                let body = json!({"AliasName": alias, "TargetKeyId": id(&target)});
                let changes = self.model.get(&alias) != Some(&after);
                changes.then(|| Operation::kms("UpdateAlias", body, (alias, after)))
            }
            4 => {
                let alias = self.some("alias/")?;
                let body = json!({"AliasName": alias});
                Some(Operation::kms("DeleteAlias", body, (alias, Value::Null)))
            }
            _ => None,
        }
    }

    /// Makes or changes a user or a secret.
    fn change_other(&mut self, kind: u64) -> Option<Operation> {
        let n = self.serial;
        let new = self.new_name();
        match kind {
            10 if self.names_of("user/").len() < USERS => {
                let effect = (format!("user/{new}"), json!({}));
                Some(Operation::iam("CreateUser", json!({"UserName": new}), effect))
            }
            11 => {
                let user = self.some("user/")?;
                let policy = format!("p{}", self.numbers.below(3));
                let mut after = self.model.get(&user)?.clone();
                after[&policy] = json!(user_policy(n));
                let name = user.trim_start_matches("user/");
                let body = json!({
                    "UserName": name, "PolicyName": policy, "PolicyDocument": user_policy(n)
                });
                Some(Operation::iam("PutUserPolicy", body, (user, after)))
            }
            12 if self.names_of("secret/").len() < SECRETS => {
                let made = json!({"current": new, "previous": null, "values": [new]});
                let effect = (format!("secret/{new}"), made);
                let body =
                    json!({"Name": new, "SecretString": new, "ClientRequestToken": token(&new)});
                Some(Operation::secrets("CreateSecret", body, effect))
            }
            13 => {
                let secret = self.some("secret/")?;
                let puts = self.puts.entry(secret.clone()).or_default();
                *puts += 1;
                if *puts > PUTS {
                    return None;
                }
                let before = self.model.get(&secret)?;
                let mut values: BTreeSet<&str> =
                    before["values"].as_array()?.iter().filter_map(Value::as_str).collect();
                values.insert(&new);
                let name = secret.trim_start_matches("secret/");
                let body = json!({"SecretId": name, "SecretString": new, "ClientRequestToken": token(&new)});
                let after =
                    json!({"current": new, "previous": before["current"], "values": values});
                Some(Operation::secrets("PutSecretValue", body, (secret, after)))
            }
            _ => None,
        }
    }

    /// Rotates an enabled key of its own, sets when it is to rotate by itself, or encrypts under it.
    fn rotate_or_use(&mut self, ids: &Ids) -> Option<Operation> {
        let (key, mut after) = self.some_live_key()?;
        let id = ids.of(&key)?;
        let materials = after["materials"].as_u64()? + 1;
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

    fn names_of(&self, kind: &str) -> Vec<String> {
        let of_kind =
            |(name, value): &(&String, &Value)| name.starts_with(kind) && !value.is_null();
        self.model.iter().filter(of_kind).map(|(name, _)| name.clone()).collect()
    }

    fn some(&mut self, kind: &str) -> Option<String> {
        let names = self.names_of(kind);
        self.pick(&names)
    }

    fn pick(&mut self, from: &[String]) -> Option<String> {
        self.numbers.one_of(from).cloned()
    }

    fn live_keys(&self) -> Vec<String> {
        let mut keys = self.names_of("key/");
        keys.retain(|key| self.model.get(key).is_some_and(|key| key["state"] != "PendingDeletion"));
        keys
    }

    fn some_live_key(&mut self) -> Option<(String, Value)> {
        let keys = self.live_keys();
        let key = self.pick(&keys)?;
        Some((key.trim_start_matches("key/").to_owned(), self.model.get(&key)?.clone()))
    }

    /// A key for an alias: the shared one or an own one.
    fn some_target(&mut self) -> Option<String> {
        if self.numbers.below(4) == 0 {
            return Some(SHARED.to_owned());
        }
        self.some_live_key().map(|(key, _)| key)
    }
}

/// The version that a call makes with this value; Secrets Manager wants 32 to 64 characters.
pub(super) fn token(text: &str) -> String {
    format!("{text:->40}")
}
