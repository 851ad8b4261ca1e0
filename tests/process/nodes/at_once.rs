//! What is given once, asked for at two nodes at the same moment: one gets it, the other one AWS's error.
use super::support::{Nodes, figure};
use crate::client::{Client, Failed};
use crate::harness::{Process, machine};
use crate::setup::Deployment;
use serde_json::{Value, json};
use std::sync::Barrier;

const LANES: usize = 4;

/// How often each is done.
fn rounds() -> usize {
    figure("CLAVIGER_WINNERS", 100)
}

type Asked = Result<Value, Failed>;

/// Asks both nodes at once, so many times, in lanes side by side. `asks` makes the call of a round and a
/// node, `check` sees both answers.
fn at_once(
    deployment: &Deployment,
    served: &[Process],
    asks: impl Fn(&mut Client, usize, usize) -> Asked + Sync,
    check: impl Fn(&mut Client, usize, [Asked; 2]) + Sync,
) {
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let (asks, check) = (&asks, &check);
            scope.spawn(move || {
                let mut one = deployment.client(&served[0]);
                let mut other = deployment.client(&served[1]);
                let start = Barrier::new(2);
                for round in (lane..rounds()).step_by(LANES) {
                    let both = std::thread::scope(|pair| {
                        let second = pair.spawn(|| {
                            start.wait();
                            asks(&mut other, round, 1)
                        });
                        start.wait();
                        [asks(&mut one, round, 0), second.join().unwrap()]
                    });
                    check(&mut one, round, both);
                }
            });
        }
    });
}

/// The winner's number. The other one must have this error.
fn one_winner(round: usize, both: &[Asked; 2], code: &str) -> usize {
    let (winner, loser) = match both {
        [Ok(_), Err(loser)] => (0, loser),
        [Err(loser), Ok(_)] => (1, loser),
        other => panic!("round {round}: {other:?}"),
    };
    assert_eq!(loser.code(), code, "round {round}: {loser}");
    winner
}

#[test]
fn of_two_that_want_the_same_one_wins() {
    let _machine = machine(false);
    let nodes = Nodes::new(2);
    let served = nodes.serve();
    let first = &nodes.all[0];
    let mut admin = first.client(&served[0]);
    let mut keys = Vec::new();
    // No key may have more than 50 aliases.
    for _ in 0..rounds().div_ceil(25).max(2) {
        let made = admin.kms("CreateKey", json!({})).unwrap();
        keys.push(made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned());
    }

    at_once(
        first,
        &served,
        |client, round, node| {
            let body = json!({
                "Name": format!("name-{round}"), "SecretString": node.to_string(),
                "ClientRequestToken": format!("{round:030}-{node}"),
            });
            client.secrets("CreateSecret", body)
        },
        |client, round, both| {
            let winner = one_winner(round, &both, "ResourceExistsException");
            let got =
                client.secrets("GetSecretValue", json!({ "SecretId": format!("name-{round}") }));
            assert_eq!(got.unwrap()["SecretString"], winner.to_string(), "round {round}");
        },
    );

    let alias = |round: usize| format!("alias/name-{round}");
    let target = |round: usize, node: usize| &keys[(round / 25 + node) % keys.len()];
    at_once(
        first,
        &served,
        |client, round, node| {
            let body = json!({ "AliasName": alias(round), "TargetKeyId": target(round, node) });
            client.kms("CreateAlias", body)
        },
        |client, round, both| {
            let winner = one_winner(round, &both, "AlreadyExistsException");
            let key = client.kms("DescribeKey", json!({ "KeyId": alias(round) })).unwrap();
            assert_eq!(key["KeyMetadata"]["KeyId"], *target(round, winner), "round {round}");
        },
    );

    // If the values are the same, both are told that it is done.
    for same in [false, true] {
        let value = |node: usize| if same { "same".into() } else { node.to_string() };
        let token = |round: usize| format!("{}-{round:032}", u8::from(same));
        let put = |client: &mut Client, round: usize, node: usize| {
            let body = json!({
                "SecretId": format!("name-{round}"), "SecretString": value(node),
                "ClientRequestToken": token(round), "VersionStages": ["AWSCURRENT"],
            });
            client.secrets("PutSecretValue", body)
        };
        at_once(first, &served, put, |client, round, both| {
            let winner = match (same, &both) {
                (true, [Ok(one), Ok(other)]) => {
                    assert_eq!(one["VersionId"], other["VersionId"]);
                    0
                }
                (true, other) => panic!("round {round}: {other:?}"),
                (false, both) => one_winner(round, both, "ResourceExistsException"),
            };
            let name = format!("name-{round}");
            let got = client.secrets("GetSecretValue", json!({ "SecretId": name })).unwrap();
            assert_eq!(got["SecretString"], value(winner), "round {round}");
            assert_eq!(got["VersionId"], token(round));
            let all = json!({ "SecretId": name, "IncludeDeprecated": true });
            let all = client.secrets("ListSecretVersionIds", all).unwrap();
            let versions = 2 + usize::from(same);
            assert_eq!(all["Versions"].as_array().unwrap().len(), versions, "round {round}: {all}");
        });
    }
    let rounds = rounds();
    eprintln!("one winner {rounds} times each: secret name, alias name, ClientRequestToken");
}
