//! ConnectCustomKeyStore, DisconnectCustomKeyStore, and what only a connected store does.
use super::{BARE_CLUSTER, CLUSTER, NO_ID, cluster, invalid_state, missing, public, vpc};
use crate::support::failed;
use crate::world::{ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION, World};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use claviger::keys::KeyError;
use claviger::keys::stores::{self, Connection, KeyStoreError};
use claviger_hsm::HsmError;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn named(id: &str) -> Value {
    json!({"CustomKeyStoreId": id})
}

#[tokio::test]
async fn a_device_that_answers_is_connected() {
    let world = World::new().await;
    let id = world.create_store(cluster("hsm", CLUSTER)).await;
    // Nothing was asked of it so far.
    assert_eq!(world.cluster.calls(), 0);
    assert_eq!(world.kms("ConnectCustomKeyStore", named(&id)).await, Value::Null);
    assert!(world.cluster.calls() > 0);
    let event = world.last_event();
    assert_eq!(event.request_parameters, Some(json!({"customKeyStoreId": id})));
    let of_store = json!({"customKeyStoreName": "hsm", "clusterId": CLUSTER});
    assert_eq!(event.additional_event_data, Some(of_store));
    let shown = world.store(&id).await;
    assert_eq!(shown["ConnectionState"], "CONNECTED");
    assert_eq!(shown.get("ConnectionErrorCode"), None);
    // Again is no error, and asks nothing.
    let calls = world.cluster.calls();
    world.kms("ConnectCustomKeyStore", named(&id)).await;
    assert_eq!(world.cluster.calls(), calls);
}

#[tokio::test]
async fn a_device_that_fails_is_told_in_awss_words() {
    let world = World::new().await;
    let id = world.create_store(cluster("hsm", CLUSTER)).await;
    let (token, flags) = (String::from("t"), String::from("none"));
    let blank = || HsmError::TokenNotInitialised { wanted: "t".into(), found: Vec::new() };
    for (error, code) in [
        (HsmError::Unavailable("away".into()), "NETWORK_ERRORS"),
        (HsmError::WrongPin { token: token.clone(), flags: flags.clone() }, "INVALID_CREDENTIALS"),
        (
            HsmError::PinFinalTry { token: token.clone(), flags: flags.clone() },
            "INVALID_CREDENTIALS",
        ),
        (HsmError::PinLocked { token: token.clone(), flags }, "USER_LOCKED_OUT"),
        (HsmError::NoSuchToken { wanted: token, found: Vec::new() }, "CLUSTER_NOT_FOUND"),
        (HsmError::Refused("sector 7".into()), "INTERNAL_ERROR"),
    ] {
        world.cluster.fail(error);
        let calls = world.cluster.calls();
        world.kms("ConnectCustomKeyStore", named(&id)).await;
        // One attempt: a second one with a wrong PIN could lock the token.
        assert_eq!(world.cluster.calls(), calls + 1, "{code}");
        let shown = world.store(&id).await;
        assert_eq!(shown["ConnectionState"], "FAILED");
        assert_eq!(shown["ConnectionErrorCode"], code);
        let refused = world.kms_fails("ConnectCustomKeyStore", named(&id)).await;
        assert_eq!(refused, invalid_state(&id, "FAILED", "DISCONNECTED"));
        world.kms("DisconnectCustomKeyStore", named(&id)).await;
    }
    // A token that nobody has initialised is no attempt at all.
    world.cluster.fail(blank());
    let refused = world.kms_fails("ConnectCustomKeyStore", named(&id)).await;
    let text = format!("The cluster {CLUSTER} is not active.");
    assert_eq!(refused, failed("CloudHsmClusterNotActiveException", text));
    assert_eq!(world.store(&id).await["ConnectionState"], "DISCONNECTED");
    world.cluster.bring_back();
    world.kms("ConnectCustomKeyStore", named(&id)).await;
    assert_eq!(world.store(&id).await["ConnectionState"], "CONNECTED");
}

#[tokio::test]
async fn a_device_without_such_keys_is_refused() {
    let world = World::new().await;
    let id = world.create_store(cluster("bare", BARE_CLUSTER)).await;
    let refused = world.kms_fails("ConnectCustomKeyStore", named(&id)).await;
    let text = format!("The cluster {BARE_CLUSTER} keeps no keys that encrypt and decrypt.");
    assert_eq!(refused, failed("CloudHsmClusterInvalidConfigurationException", text));
    assert_eq!(world.store(&id).await["ConnectionState"], "DISCONNECTED");
}

/// The operator took it out of the configuration.
#[tokio::test]
async fn a_device_that_is_none_any_more() {
    let mut world = World::new().await;
    let id = world.create_store(cluster("hsm", CLUSTER)).await;
    let server = Arc::get_mut(&mut world.server).expect("nobody else has it yet");
    server.devices = Arc::default();
    world.kms("ConnectCustomKeyStore", named(&id)).await;
    assert_eq!(world.store(&id).await["ConnectionErrorCode"], "CLUSTER_NOT_FOUND");
}

#[tokio::test]
async fn a_proxy_is_not_reachable() {
    let world = World::new().await;
    for body in [public("xks"), vpc("vpc")] {
        let id = world.create_store(body).await;
        assert_eq!(world.kms("ConnectCustomKeyStore", named(&id)).await, Value::Null);
        let shown = world.store(&id).await;
        assert_eq!(shown["ConnectionState"], "FAILED");
        assert_eq!(shown["ConnectionErrorCode"], "XKS_PROXY_NOT_REACHABLE");
        // It is to be disconnected before the next attempt.
        let refused = world.kms_fails("ConnectCustomKeyStore", named(&id)).await;
        assert_eq!(refused, invalid_state(&id, "FAILED", "DISCONNECTED"));
        assert_eq!(world.kms("DisconnectCustomKeyStore", named(&id)).await, Value::Null);
        let shown = world.store(&id).await;
        assert_eq!(shown["ConnectionState"], "DISCONNECTED");
        assert_eq!(shown.get("ConnectionErrorCode"), None);
        world.kms("ConnectCustomKeyStore", named(&id)).await;
    }
}

#[tokio::test]
async fn connected_and_disconnected_stores() {
    let world = World::new().await;
    for body in [cluster("hsm", CLUSTER), public("xks")] {
        let id = world.create_store(body).await;
        let refused = world.kms_fails("DisconnectCustomKeyStore", named(&id)).await;
        assert_eq!(refused, invalid_state(&id, "DISCONNECTED", "CONNECTED or FAILED"));
        world.set_connection(&id, Connection::Connected).await;
        world.kms("ConnectCustomKeyStore", named(&id)).await;
        assert_eq!(world.store(&id).await["ConnectionState"], "CONNECTED");
        world.kms("DisconnectCustomKeyStore", named(&id)).await;
        assert_eq!(world.store(&id).await["ConnectionState"], "DISCONNECTED");
    }
}

#[tokio::test]
async fn stores_that_are_not_there() {
    let world = World::new().await;
    let id = world.create_store(public("xks")).await;
    let longer = format!("{id}0");
    for name in ["ConnectCustomKeyStore", "DisconnectCustomKeyStore", "DeleteCustomKeyStore"] {
        for other in [NO_ID, "xks", "cks-", "cks-1234567890ABCDEF0", "\u{0}", "cks-\u{0}", &longer]
        {
            assert_eq!(world.kms_fails(name, named(other)).await, missing(other), "{name}");
        }
        let foreign = world.kms_fails_as(&world.other_root(), name, named(&id)).await;
        assert_eq!(foreign, missing(&id));
        let elsewhere = world.call_in(&world.root, OTHER_REGION, "kms", name, named(&id)).await;
        assert_eq!(elsewhere, Err(missing(&id)));
    }
    assert_eq!(world.store(&id).await["ConnectionState"], "DISCONNECTED");
}

#[tokio::test]
async fn random_bytes_come_from_a_connected_cluster_only() {
    let world = World::new().await;
    let hsm = world.create_store(cluster("hsm", CLUSTER)).await;
    let xks = world.create_store(public("xks")).await;
    let body = |id: &str| json!({"NumberOfBytes": 8, "CustomKeyStoreId": id});
    assert_eq!(world.kms_fails("GenerateRandom", body(NO_ID)).await, missing(NO_ID));
    assert_eq!(
        world.kms_fails("GenerateRandom", body(&hsm)).await,
        invalid_state(&hsm, "DISCONNECTED", "CONNECTED")
    );
    let text = format!("{xks} is an external key store, which makes no random bytes.");
    let unsupported = failed("UnsupportedOperationException", text);
    for connection in [Connection::Disconnected, Connection::Connected] {
        world.set_connection(&xks, connection).await;
        assert_eq!(world.kms_fails("GenerateRandom", body(&xks)).await, unsupported);
    }
    world.kms("ConnectCustomKeyStore", named(&hsm)).await;
    let draw = async |count: usize| {
        let body = json!({"NumberOfBytes": count, "CustomKeyStoreId": hsm});
        let answer = world.kms("GenerateRandom", body).await;
        B64.decode(answer["Plaintext"].as_str().unwrap()).unwrap()
    };
    for count in [1, 32, 1024] {
        let calls = world.cluster.calls();
        assert_eq!(draw(count).await.len(), count);
        assert!(world.cluster.calls() > calls, "the device was not asked");
    }
    assert_ne!(draw(32).await, draw(32).await);
    // A device that makes nothing but zeros does no harm: what is given is mixed with ours.
    world.cluster.zeros.store(true, Ordering::SeqCst);
    let (one, two) = (draw(1024).await, draw(1024).await);
    assert_ne!(one, two);
    assert!(one.iter().filter(|byte| **byte == 0).count() < 64);
    world.cluster.zeros.store(false, Ordering::SeqCst);
    // And where it is away, the server's own generator does not stand in.
    world.cluster.take_away();
    let text = format!("The cluster of the custom key store {hsm} does not answer.");
    let away = failed("CustomKeyStoreInvalidStateException", text);
    assert_eq!(world.kms_fails("GenerateRandom", body(&hsm)).await, away);
    world.kms("GenerateRandom", json!({"NumberOfBytes": 8})).await;
}

/// What CreateKey asks before it makes a key in a store.
#[tokio::test]
async fn whether_a_store_is_connected() {
    let world = World::new().await;
    let id = world.create_store(cluster("hsm", CLUSTER)).await;
    let ask = async |account: &str, region: &str, id: &str| {
        let (account, region) = (account.parse().unwrap(), region.parse().unwrap());
        let mut tx = world.server.store.begin();
        stores::connected(&mut tx, &account, &region, id).await
    };
    let refused = ask(ACCOUNT, REGION, &id).await.unwrap_err();
    assert!(matches!(refused, KeyError::KeyStore(KeyStoreError::InvalidState { .. })), "{refused}");
    world.set_connection(&id, Connection::Connected).await;
    assert_eq!(ask(ACCOUNT, REGION, &id).await.unwrap().cluster(), Some(CLUSTER));
    for (account, region, id) in [
        (OTHER_ACCOUNT, REGION, id.as_str()),
        (ACCOUNT, OTHER_REGION, &id),
        (ACCOUNT, REGION, NO_ID),
    ] {
        let refused = ask(account, region, id).await.unwrap_err();
        assert!(matches!(refused, KeyError::CustomKeyStoreNotFound(_)), "{refused}");
    }
}
