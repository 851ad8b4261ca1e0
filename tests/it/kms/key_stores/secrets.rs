//! A cluster's password and a proxy's secret never come out: not in answers, not in events, not in
//! messages, not in what is printed.
use super::{CLUSTER, PASSWORD, PROXY_KEY_ID, PROXY_SECRET, cluster, public, vpc, with};
use crate::world::{ACCOUNT, REGION, World};
use claviger::keys::stores;
use serde_json::{Value, json};

const NEW_PASSWORD: &str = "newer-pass-8";
const NEW_SECRET: &str = "abcdefghijklmnopqrstuvwxyz0123456789+/ABCDEF=";

#[tokio::test]
async fn they_never_come_out() {
    let world = World::new().await;
    let credential =
        |secret: &str| json!({"AccessKeyId": PROXY_KEY_ID, "RawSecretAccessKey": secret});
    let mut answers = Vec::new();
    let mut ids = Vec::new();
    for body in [cluster("hsm", CLUSTER), public("xks"), vpc("vpc")] {
        let answer = world.kms("CreateCustomKeyStore", body).await;
        ids.push(answer["CustomKeyStoreId"].as_str().unwrap().to_owned());
        answers.push(answer);
    }
    let hsm = json!({"CustomKeyStoreId": ids[0], "KeyStorePassword": NEW_PASSWORD});
    let xks = json!({"CustomKeyStoreId": ids[1],
        "XksProxyAuthenticationCredential": credential(NEW_SECRET)});
    for body in [&hsm, &xks] {
        answers.push(world.kms("UpdateCustomKeyStore", body.clone()).await);
    }
    answers.push(world.kms("DescribeCustomKeyStores", json!({})).await);

    // Refusals of every kind: by the model, by the operation, by the policies.
    let mut refusals = Vec::new();
    let nobody = world.nobody().await;
    let short = "p-s-s";
    let odd = format!("{NEW_SECRET} !");
    for (name, body) in [
        ("CreateCustomKeyStore", cluster("hsm", CLUSTER)),
        ("CreateCustomKeyStore", public("xks")),
        ("CreateCustomKeyStore", with(cluster("n", CLUSTER), json!({"KeyStorePassword": short}))),
        (
            "CreateCustomKeyStore",
            with(public("n"), json!({"XksProxyAuthenticationCredential": credential(&odd)})),
        ),
        (
            "CreateCustomKeyStore",
            with(public("n"), json!({"XksProxyAuthenticationCredential": PROXY_SECRET})),
        ),
        ("UpdateCustomKeyStore", with(hsm, json!({"CustomKeyStoreId": ids[1]}))),
        ("UpdateCustomKeyStore", with(xks, json!({"CustomKeyStoreId": ids[0]}))),
    ] {
        refusals.push(world.kms_fails(name, body.clone()).await);
        refusals.push(world.kms_fails_as(&nobody, name, body).await);
    }

    let events = serde_json::to_string(&world.events()).unwrap();
    let answers = Value::from(answers).to_string();
    let refusals = format!("{refusals:?}");
    for secret in [PASSWORD, NEW_PASSWORD, PROXY_SECRET, NEW_SECRET, short] {
        for (what, text) in [("events", &events), ("answers", &answers), ("refusals", &refusals)] {
            assert!(!text.contains(secret), "{secret} in {what}: {text}");
        }
    }
    // The id of the proxy's secret is for those who may describe the store, and not for the log.
    assert!(answers.contains(PROXY_KEY_ID));
    assert!(!events.contains(PROXY_KEY_ID) && !refusals.contains(PROXY_KEY_ID));
}

#[tokio::test]
async fn records_do_not_print_them() {
    let world = World::new().await;
    let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
    for body in [cluster("hsm", CLUSTER), public("xks")] {
        let id = world.create_store(body).await;
        let mut tx = world.server.store.begin();
        let store = stores::find(&mut tx, &account, &region, &id).await.unwrap();
        let printed = format!("{store:?} {tx:?}");
        for secret in [PASSWORD, PROXY_SECRET, PROXY_KEY_ID] {
            assert!(!printed.contains(secret), "{printed}");
        }
        assert!(printed.contains("SecretText(..)"), "{printed}");
    }
}
