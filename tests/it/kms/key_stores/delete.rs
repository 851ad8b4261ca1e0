//! DeleteCustomKeyStore, and the count of a store's keys.
use super::{CLUSTER, cluster, invalid_state, missing, public};
use crate::support::failed;
use crate::world::{ACCOUNT, REGION, World};
use claviger::keys::stores::{self, Connection, ConnectionError};
use claviger::store::StoreError;
use serde_json::{Value, json};

fn named(id: &str) -> Value {
    json!({"CustomKeyStoreId": id})
}

#[tokio::test]
async fn a_disconnected_store_goes() {
    let world = World::new().await;
    let id = world.create_store(cluster("hsm", CLUSTER)).await;
    for connection in
        [Connection::Connected, Connection::Failed(ConnectionError::ProxyNotReachable)]
    {
        world.set_connection(&id, connection).await;
        let refused = world.kms_fails("DeleteCustomKeyStore", named(&id)).await;
        assert_eq!(refused, invalid_state(&id, connection.as_str(), "DISCONNECTED"));
    }
    world.set_connection(&id, Connection::Disconnected).await;
    assert_eq!(world.kms("DeleteCustomKeyStore", named(&id)).await, Value::Null);
    let event = world.last_event();
    assert_eq!(event.request_parameters, Some(json!({"customKeyStoreId": id})));
    let of_store = json!({"customKeyStoreName": "hsm", "clusterId": CLUSTER});
    assert_eq!(event.additional_event_data, Some(of_store));
    for name in ["DeleteCustomKeyStore", "DescribeCustomKeyStores", "UpdateCustomKeyStore"] {
        assert_eq!(world.kms_fails(name, named(&id)).await, missing(&id), "{name}");
    }
    // Its name and its cluster are free.
    world.create_store(cluster("hsm", CLUSTER)).await;
}

#[tokio::test]
async fn not_with_keys_in_it() {
    let world = World::new().await;
    let id = world.create_store(cluster("hsm", CLUSTER)).await;
    let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
    // None comes into a store that is not connected.
    let mut tx = world.server.store.begin();
    stores::add_key(&mut tx, &account, &region, &id).await.unwrap_err();
    world.set_connection(&id, Connection::Connected).await;
    for _ in 0..2 {
        let mut tx = world.server.store.begin();
        stores::add_key(&mut tx, &account, &region, &id).await.unwrap();
        tx.commit().await.unwrap();
    }
    world.kms("DisconnectCustomKeyStore", named(&id)).await;
    let holds = failed(
        "CustomKeyStoreHasCMKsException",
        format!("The custom key store {id} contains KMS keys."),
    );
    // Keys may be destroyed while their store is disconnected.
    for _ in 0..2 {
        assert_eq!(world.kms_fails("DeleteCustomKeyStore", named(&id)).await, holds);
        let mut tx = world.server.store.begin();
        stores::remove_key(&mut tx, &account, &region, &id).await.unwrap();
        tx.commit().await.unwrap();
    }
    world.kms("DeleteCustomKeyStore", named(&id)).await;
    let mut tx = world.server.store.begin();
    stores::remove_key(&mut tx, &account, &region, &id).await.unwrap();
    assert!(tx.is_read_only());
}

/// A key that is made while its store is deleted: one of the two does not commit.
#[tokio::test]
async fn a_key_and_the_end_of_its_store_conflict() {
    let world = World::new().await;
    let id = world.create_store(public("xks")).await;
    world.set_connection(&id, Connection::Connected).await;
    let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
    let mut tx = world.server.store.begin();
    stores::add_key(&mut tx, &account, &region, &id).await.unwrap();
    world.kms("DisconnectCustomKeyStore", named(&id)).await;
    world.kms("DeleteCustomKeyStore", named(&id)).await;
    assert!(matches!(tx.commit().await, Err(StoreError::Conflict)));
    assert_eq!(world.kms_fails("DescribeCustomKeyStores", named(&id)).await, missing(&id));
}
