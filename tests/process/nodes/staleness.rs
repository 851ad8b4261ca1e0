//! How long after a change on one node its old state is still answered by another.
use super::support::{
    BOUND, Nodes, access_key, each, figure, is_allowed, last_given, must, told, user,
};
use crate::client::{Client, Failed};
use crate::harness::{Process, machine, now};
use crate::setup::{ACCOUNT, Deployment};
use serde_json::{Value, json};
use std::time::Duration;

/// Side by side, so that it does not take long.
const LANES: usize = 4;

/// Clients of one lane: the administrator on the node that changes things, and on those that are asked.
struct Lane<'a> {
    asked: &'a [Process],
    number: usize,
    change: Client,
    ask: Vec<Client>,
}

impl Lane<'_> {
    fn asks_as(&self, (key, secret): &(String, String)) -> Vec<Client> {
        self.asked.iter().map(|process| process.client(key, secret)).collect()
    }

    fn key(&mut self) -> String {
        let made = must(|| self.change.kms("CreateKey", json!({})));
        made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    }
}

/// Runs the trials of one kind in all lanes; each lane makes so many and answers their times, one of each
/// trial and node that was asked.
fn in_lanes(
    name: &str,
    deployment: &Deployment,
    served: &[Process],
    run: impl Fn(Lane<'_>, usize) -> Vec<Duration> + Sync,
) {
    let (changing, asked) = served.split_first().unwrap();
    let trials = figure("CLAVIGER_NODES_TRIALS", 20).next_multiple_of(LANES);
    let run = &run;
    let times: Vec<Duration> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|number| {
                let lane = Lane {
                    asked,
                    // One that no other run of the same deployment has.
                    number: number + LANES * asked.len(),
                    change: deployment.client(changing),
                    ask: asked.iter().map(|process| deployment.client(process)).collect(),
                };
                scope.spawn(move || run(lane, trials / LANES))
            })
            .collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    assert_eq!(times.len(), trials * asked.len());
    let longest = told(&format!("{name}, {} nodes, last success after it", served.len()), times);
    assert!(longest < BOUND, "{name}: still answered after {longest:?}");
}

fn encrypt(client: &mut Client, key: &str) -> Result<Value, Failed> {
    client.kms("Encrypt", json!({ "KeyId": key, "Plaintext": "YQ==" }))
}

/// Until the other nodes have come to know that it is allowed again.
fn until_allowed(clients: &mut [Client], key: &str) {
    each(clients, |client| {
        let began = now();
        while encrypt(client, key).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "it stays refused");
        }
    });
}

fn is_usable(client: &mut Client, key: &str) -> bool {
    is_allowed(encrypt(client, key))
}

fn disabled_keys(mut lane: Lane<'_>, trials: usize) -> Vec<Duration> {
    let key = lane.key();
    let trial = |_| {
        until_allowed(&mut lane.ask, &key);
        let disable = || drop(must(|| lane.change.kms("DisableKey", json!({ "KeyId": key }))));
        let last = last_given(&mut lane.ask, |client| is_usable(client, &key), disable);
        must(|| lane.change.kms("EnableKey", json!({ "KeyId": key })));
        last
    };
    (0..trials).flat_map(trial).collect()
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
        let deny = || put(&mut lane.change, &denying);
        let last = last_given(&mut ask, |client| is_usable(client, &key), deny);
        put(&mut lane.change, &allowing);
        last
    };
    (0..trials).flat_map(trial).collect()
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
        let revoke = || drop(must(|| lane.change.kms("RevokeGrant", revoke.clone())));
        last_given(&mut ask, |client| is_usable(client, &arn), revoke)
    };
    (0..trials).flat_map(trial).collect()
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
        each(&mut ask, |ask| {
            let began = now();
            while ask.kms("ListKeys", json!({})).is_err() {
                assert!(began.elapsed() < Duration::from_secs(10), "the new key stays unknown");
            }
        });
        let is_key = |client: &mut Client| is_allowed(client.kms("ListKeys", json!({})));
        last_given(&mut ask, is_key, || delete(&mut lane.change, &access_key.0))
    };
    (0..trials).flat_map(trial).collect()
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
        let is_old = |client: &mut Client| {
            let answer = encrypt(client, &alias).unwrap();
            !answer["KeyId"].as_str().unwrap().ends_with(new)
        };
        let update = || drop(must(|| lane.change.kms("UpdateAlias", update.clone())));
        last_given(&mut lane.ask, is_old, update)
    };
    (0..trials).flat_map(trial).collect()
}

#[test]
fn what_one_node_takes_away_the_other_gives_no_longer_than_the_bound() {
    let _machine = machine(false);
    let mut nodes = Nodes::new(2);
    let mut served = nodes.serve();
    all_kinds(&nodes.all[0], &served);
    let joined = nodes.join();
    assert!(joined.status.success(), "{joined:#?}");
    served.push(nodes.all[2].serve());
    all_kinds(&nodes.all[0], &served);
}

fn all_kinds(first: &Deployment, served: &[Process]) {
    in_lanes("DisableKey", first, served, disabled_keys);
    in_lanes("PutKeyPolicy, a deny", first, served, denied_by_key_policies);
    in_lanes("RevokeGrant", first, served, revoked_grants);
    in_lanes("DeleteAccessKey", first, served, deleted_access_keys);
    in_lanes("UpdateAlias", first, served, updated_aliases);
}
