//! Secrets Manager under a key in a device: the envelope is as ever, only the data key's seal is not.
use crate::support::token;
use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn a_secret_needs_the_device_each_time_it_is_read() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let key = world.key_in(&store).await;
    let body = json!({"Name": "s", "SecretString": "one", "KmsKeyId": key,
        "ClientRequestToken": token(1)});
    world.call("secretsmanager", "CreateSecret", body).await.unwrap();
    let read =
        async || world.call("secretsmanager", "GetSecretValue", json!({"SecretId": "s"})).await;
    let calls = world.cluster.calls();
    assert_eq!(read().await.unwrap()["SecretString"], "one");
    assert!(world.cluster.calls() > calls);
    world.cluster.take_away();
    assert_eq!(read().await.unwrap_err().code, "DecryptionFailure");
    world.cluster.bring_back();
    let body = json!({"SecretId": "s", "SecretString": "two", "ClientRequestToken": token(2)});
    world.call("secretsmanager", "PutSecretValue", body).await.unwrap();
    assert_eq!(read().await.unwrap()["SecretString"], "two");
    world.kms("DisconnectCustomKeyStore", json!({"CustomKeyStoreId": store})).await;
    assert_eq!(read().await.unwrap_err().code, "DecryptionFailure");
}
