//! An unmodified AWS SDK, over HTTP.
use crate::world::World;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyState, OriginType};

#[tokio::test]
async fn a_key_in_a_device() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let client = Client::new(&world.sdk(&world.root).await);
    let made = client
        .create_key()
        .origin(OriginType::AwsCloudhsm)
        .custom_key_store_id(&store)
        .send()
        .await
        .unwrap();
    let key = made.key_metadata().unwrap();
    assert_eq!(key.origin(), Some(&OriginType::AwsCloudhsm));
    assert_eq!(key.cloud_hsm_cluster_id(), Some(super::super::CLUSTER));
    let sealed = client
        .encrypt()
        .key_id(key.key_id())
        .plaintext(Blob::new("hello"))
        .encryption_context("a", "b")
        .send()
        .await
        .unwrap();
    let open = client
        .decrypt()
        .ciphertext_blob(sealed.ciphertext_blob().unwrap().clone())
        .encryption_context("a", "b");
    let opened = open.clone().send().await.unwrap();
    assert_eq!(opened.plaintext().unwrap().as_ref(), b"hello");
    let data = client.generate_data_key().key_id(key.key_id()).key_spec(DataKeySpec::Aes256);
    assert_eq!(data.send().await.unwrap().plaintext().unwrap().as_ref().len(), 32);
    let random = client.generate_random().number_of_bytes(16).custom_key_store_id(&store);
    assert_eq!(random.send().await.unwrap().plaintext().unwrap().as_ref().len(), 16);

    // Many at once, while the device goes and comes back.
    world.cluster.take_away();
    let refused = open.clone().send().await.unwrap_err().into_service_error();
    assert!(refused.is_kms_invalid_state_exception(), "{refused}");
    world.cluster.bring_back();
    let calls = (0..32).map(|_| tokio::spawn(open.clone().send()));
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap().plaintext().unwrap().as_ref(), b"hello");
    }

    client.disconnect_custom_key_store().custom_key_store_id(&store).send().await.unwrap();
    let shown = client.describe_key().key_id(key.key_id()).send().await.unwrap();
    assert_eq!(shown.key_metadata().unwrap().key_state(), Some(&KeyState::Unavailable));
}
