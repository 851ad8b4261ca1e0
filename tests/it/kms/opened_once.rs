//! A key that many need at once is opened once, and not kept when nobody needs it any more.
use crate::counting::Counting;
use crate::front::Client;
use crate::world::World;
use claviger::quotas::Settings;
use claviger_hsm::SoftwareHsm;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

#[tokio::test]
async fn many_calls_open_a_key_once() {
    let backend = Arc::new(Counting::default());
    let hsm = Arc::new(SoftwareHsm::seeded([1; 32]));
    let world = World::on(hsm, backend.clone(), 1, Settings::default()).await;
    let client = Arc::new(Client::new(&world).await);
    let key = world.key().await;
    let encrypt = json!({"KeyId": key, "Plaintext": "YQ=="});
    let opened = || backend.tables.lock().unwrap().get(b"material".as_slice()).copied();
    let before = opened().unwrap_or_default();

    *backend.takes.lock().unwrap() = Duration::from_millis(20);
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let (client, root, encrypt) = (client.clone(), world.root.clone(), encrypt.clone());
        calls.spawn(async move { client.kms(&root, "Encrypt", encrypt).await.status });
    }
    assert_eq!(calls.join_all().await, [200; 64]);
    assert_eq!(opened(), Some(before + 1));

    // It is used now and then, and stays.
    for _ in 0..3 {
        world.advance(300).await;
        world.hello(&key).await;
    }
    assert_eq!(opened(), Some(before + 1));
    for _ in 0..2 {
        world.advance(300).await;
    }
    world.hello(&key).await;
    assert_eq!(opened(), Some(before + 2));
}
