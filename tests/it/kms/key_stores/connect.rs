//! ConnectCustomKeyStore, DisconnectCustomKeyStore, and what only a connected store does.
use super::{CLUSTER, NO_ID, cluster, invalid_state, missing, public, vpc};
use crate::support::failed;
use crate::world::{ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION, World};
use claviger::keys::KeyError;
use claviger::keys::stores::{self, Connection, KeyStoreError};
use serde_json::{Value, json};

fn named(id: &str) -> Value {
    json!({"CustomKeyStoreId": id})
}

#[tokio::test]
async fn a_cluster_is_not_active() {
    let world = World::new().await;
    let id = world.create_store(cluster("hsm", CLUSTER)).await;
    let refused = world.kms_fails("ConnectCustomKeyStore", named(&id)).await;
    let text = format!("The cluster {CLUSTER} is not active.");
    assert_eq!(refused, failed("CloudHsmClusterNotActiveException", text));
    let event = world.last_event();
    assert_eq!(event.error_code.as_deref(), Some("CloudHsmClusterNotActiveException"));
    assert_eq!(event.request_parameters, Some(json!({"customKeyStoreId": id})));
    let of_store = json!({"customKeyStoreName": "hsm", "clusterId": CLUSTER});
    assert_eq!(event.additional_event_data, Some(of_store));
    // The request was refused before anything began.
    let shown = world.store(&id).await;
    assert_eq!(shown["ConnectionState"], "DISCONNECTED");
    assert_eq!(shown.get("ConnectionErrorCode"), None);
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
    // A store that a later release connected: the server's own generator does not stand in.
    world.set_connection(&hsm, Connection::Connected).await;
    let body = body(&hsm).to_string();
    let fault = world.raw(&world.root, "kms", "GenerateRandom", body.as_bytes()).await.unwrap_err();
    assert_eq!((fault.code, fault.status), ("DependencyTimeoutException", 500));
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
