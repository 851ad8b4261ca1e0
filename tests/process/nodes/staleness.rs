//! How long after a change on one node its old state is still answered by another.
use super::support::{BOUND, Nodes, access_key, last_success, must, told, user};
use crate::client::{Client, Failed};
use crate::harness::{Process, machine, now};
use crate::setup::{ACCOUNT, Deployment};
use serde_json::{Value, json};
use std::time::Duration;

const TRIALS: usize = 200;
/// Side by side, so that it does not take long.
const LANES: usize = 4;

/// Clients of one lane: the administrator on the node that changes things, and on the one that is asked.
struct Lane<'a> {
    asked: &'a Process,
    number: usize,
    change: Client,
    ask: Client,
}

impl Lane<'_> {
    fn asks_as(&self, (key, secret): &(String, String)) -> Client {
        self.asked.client(key, secret)
    }

    fn key(&mut self) -> String {
        let made = must(|| self.change.kms("CreateKey", json!({})));
        made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    }
}

/// Runs the trials of one kind in all lanes; each lane makes so many and answers their times.
fn in_lanes(
    name: &str,
    deployment: &Deployment,
    changing: &Process,
    asked: &Process,
    run: impl Fn(Lane<'_>, usize) -> Vec<Duration> + Sync,
) {
    let run = &run;
    let times: Vec<Duration> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|number| {
                let lane = Lane {
                    asked,
                    number,
                    change: deployment.client(changing),
                    ask: deployment.client(asked),
                };
                scope.spawn(move || run(lane, TRIALS / LANES))
            })
            .collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    assert_eq!(times.len(), TRIALS);
    let longest = told(name, times);
    assert!(longest < BOUND, "{name}: still answered after {longest:?}");
}

fn encrypt(client: &mut Client, key: &str) -> Result<Value, Failed> {
    client.kms("Encrypt", json!({ "KeyId": key, "Plaintext": "YQ==" }))
}

/// Until the other node has come to know that it is allowed again.
fn until_allowed(client: &mut Client, key: &str) {
    let began = now();
    while encrypt(client, key).is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "it stays refused");
    }
}

fn disabled_keys(mut lane: Lane<'_>, trials: usize) -> Vec<Duration> {
    let key = lane.key();
    let trial = |_| {
        until_allowed(&mut lane.ask, &key);
        must(|| lane.change.kms("DisableKey", json!({ "KeyId": key })));
        let last = last_success(now(), || encrypt(&mut lane.ask, &key).map(drop));
        must(|| lane.change.kms("EnableKey", json!({ "KeyId": key })));
        last
    };
    (0..trials).map(trial).collect()
}

fn denied_by_key_policies(mut lane: Lane<'_>, trials: usize) -> Vec<Duration> {
    let key = lane.key();
    let name = format!("denied{}", lane.number);
    let policy = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}"#;
    let mut ask = {
        let access_key = user(&mut lane.change, &name, Some(policy));
        lane.asks_as(&access_key)
    };
    let root = json!({
        "Effect": "Allow", "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:root") },
        "Action": "kms:*", "Resource": "*"
    });
    let deny = json!({
        "Effect": "Deny", "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:user/{name}") },
        "Action": "kms:Encrypt", "Resource": "*"
    });
    let allowing = json!({ "Version": "2012-10-17", "Statement": [root] }).to_string();
    let denying = json!({ "Version": "2012-10-17", "Statement": [root, deny] }).to_string();
    let put = |change: &mut Client, policy: &str| {
        let body = json!({ "KeyId": key, "PolicyName": "default", "Policy": policy });
        must(|| change.kms("PutKeyPolicy", body.clone()));
    };
    let trial = |_| {
        until_allowed(&mut ask, &key);
        put(&mut lane.change, &denying);
        let last = last_success(now(), || encrypt(&mut ask, &key).map(drop));
        put(&mut lane.change, &allowing);
        last
    };
    (0..trials).map(trial).collect()
}

fn revoked_grants(mut lane: Lane<'_>, trials: usize) -> Vec<Duration> {
    let key = lane.key();
    let name = format!("granted{}", lane.number);
    let mut ask = {
        let access_key = user(&mut lane.change, &name, None);
        lane.asks_as(&access_key)
    };
    let grantee = format!("arn:aws:iam::{ACCOUNT}:user/{name}");
    // By ARN: who may use a key by a grant alone may not in every case name it otherwise.
    let arn = lane.change.kms("DescribeKey", json!({ "KeyId": key })).unwrap();
    let arn = arn["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let trial = |_| {
        let grant = json!({ "KeyId": key, "GranteePrincipal": grantee, "Operations": ["Encrypt"] });
        let made = must(|| lane.change.kms("CreateGrant", grant.clone()));
        until_allowed(&mut ask, &arn);
        let revoke = json!({ "KeyId": key, "GrantId": made["GrantId"] });
        must(|| lane.change.kms("RevokeGrant", revoke.clone()));
        last_success(now(), || encrypt(&mut ask, &arn).map(drop))
    };
    (0..trials).map(trial).collect()
}

fn deleted_access_keys(mut lane: Lane<'_>, trials: usize) -> Vec<Duration> {
    let name = format!("keyed{}", lane.number);
    let policy = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}"#;
    let (first, _) = user(&mut lane.change, &name, Some(policy));
    let delete = |change: &mut Client, id: &str| {
        let which = [("UserName", name.as_str()), ("AccessKeyId", id)];
        change.query("iam", "DeleteAccessKey", &which).unwrap();
    };
    delete(&mut lane.change, &first);
    let trial = |_| {
        let access_key = access_key(&mut lane.change, &name);
        let mut ask = lane.asks_as(&access_key);
        let began = now();
        while ask.kms("ListKeys", json!({})).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "the new key stays unknown");
        }
        delete(&mut lane.change, &access_key.0);
        last_success(now(), || ask.kms("ListKeys", json!({})).map(drop))
    };
    (0..trials).map(trial).collect()
}

fn updated_aliases(mut lane: Lane<'_>, trials: usize) -> Vec<Duration> {
    let keys = [lane.key(), lane.key()];
    let alias = format!("alias/lane{}", lane.number);
    let made = json!({ "AliasName": alias, "TargetKeyId": keys[0] });
    must(|| lane.change.kms("CreateAlias", made.clone()));
    until_allowed(&mut lane.ask, &alias);
    let trial = |round: usize| {
        let new = &keys[(round + 1) % 2];
        let update = json!({ "AliasName": alias, "TargetKeyId": new });
        must(|| lane.change.kms("UpdateAlias", update.clone()));
        let old_is_answered = || {
            let answer = encrypt(&mut lane.ask, &alias).unwrap();
            !answer["KeyId"].as_str().unwrap().ends_with(new)
        };
        last_time(old_is_answered)
    };
    (0..trials).map(trial).collect()
}

/// Likewise for what is answered and not refused.
fn last_time(mut old_is_answered: impl FnMut() -> bool) -> Duration {
    let since = now();
    let mut last = Duration::ZERO;
    loop {
        let began = since.elapsed();
        if !old_is_answered() {
            break;
        }
        last = began;
        assert!(last < Duration::from_secs(20), "the old answer is given for ever");
    }
    for _ in 0..3 {
        assert!(!old_is_answered(), "known once, it is not unknown again");
    }
    last
}

#[test]
fn what_one_node_takes_away_the_other_gives_no_longer_than_the_bound() {
    let _machine = machine(false);
    let nodes = Nodes::new(2);
    let served = nodes.serve();
    let [one, other] = served.as_slice() else { unreachable!() };
    let first = &nodes.all[0];
    in_lanes("DisableKey", first, one, other, disabled_keys);
    in_lanes("PutKeyPolicy, a deny", first, one, other, denied_by_key_policies);
    in_lanes("RevokeGrant", first, one, other, revoked_grants);
    in_lanes("DeleteAccessKey", first, one, other, deleted_access_keys);
    in_lanes("UpdateAlias", first, one, other, updated_aliases);
}
