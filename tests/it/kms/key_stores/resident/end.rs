//! What is left in the device when something fails in between: nothing, in the end.
use super::super::CLUSTER;
use crate::support::{failed, id_of};
use crate::world::{ACCOUNT, REGION, World};
use claviger::keys::resident::{NewResident, Place, Wanted, make};
use claviger::primitives::{KeySpec, KeyUsage};
use serde_json::json;
use std::sync::atomic::Ordering;

const KEY_ID: &str = "11111111-2222-4333-8444-555555555555";
const DAY: i64 = 86_400;
/// Longer than a key may be in the making.
const GRACE: i64 = 901;

/// What CreateKey does up to the moment in which it is killed.
async fn begin(world: &World) -> NewResident {
    let devices = world.server.devices.clone();
    let place = Place {
        store: &world.server.store,
        device: devices.of_cluster(CLUSTER).unwrap(),
        cluster: CLUSTER,
        key_store: "cks-1234567890abcdef0",
        deployment: world.server.root.cluster(),
    };
    let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
    let wanted = Wanted {
        key_id: KEY_ID,
        account: &account,
        region: &region,
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
    };
    let (random, now) = (world.server.random.clone(), world.server.clock.now());
    make(&place, &wanted, &*random, now).await.unwrap()
}

#[tokio::test]
async fn an_object_that_became_no_key_is_destroyed() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let key = world.key_in(&store).await;
    begin(&world).await;
    assert_eq!(world.cluster.objects().len(), 2);
    // It may still be in the making.
    world.advance(GRACE - 2).await;
    assert_eq!(world.cluster.objects().len(), 2);
    // While the device is away nothing is given up.
    world.cluster.take_away();
    world.advance(2).await;
    world.advance(3600).await;
    assert_eq!(world.cluster.objects().len(), 2);
    world.cluster.bring_back();
    world.advance(61).await;
    let objects = world.cluster.objects();
    assert!(objects.len() == 1 && objects[0].contains(id_of(&key)), "{objects:?}");
    let event = world.last_event();
    assert_eq!(event.event_name, "DeleteUnfinishedKey");
    let details = json!({"keyId": KEY_ID, "clusterId": CLUSTER});
    assert_eq!(event.service_event_details, Some(details));
    // Once.
    let events = world.events().len();
    world.advance(3600).await;
    assert_eq!(world.events().len(), events);
    world.hello(&key).await;
}

/// An object that nobody here knows is somebody's: of a state of the store that a backup undid, or of
/// another deployment.
#[tokio::test]
async fn an_object_of_others_stays() {
    let world = World::new().await;
    let store = world.connected_store().await;
    world.key_in(&store).await;
    let deployment = uuid::Uuid::from_bytes(world.server.root.cluster());
    use claviger_hsm::{ResidentId, ResidentKeys, ResidentSpec};
    for name in [format!("claviger/{deployment}/key/{KEY_ID}/1"), "another".into()] {
        world.cluster.device.generate(&ResidentId::new(name), ResidentSpec::Aes256).unwrap();
    }
    for _ in 0..5 {
        world.advance(DAY).await;
    }
    assert_eq!(world.cluster.objects().len(), 3);
}

#[tokio::test]
async fn a_key_whose_device_is_away_waits_for_its_end() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let key = world.key_in(&store).await;
    let here = world.key().await;
    for key in [&key, &here] {
        world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    }
    world.cluster.take_away();
    world.advance(7 * DAY).await;
    // Others have their turn meanwhile.
    assert_eq!(
        world.kms_fails("DescribeKey", json!({"KeyId": here})).await.code,
        "NotFoundException"
    );
    assert_eq!(world.state(&key).await, "PendingDeletion");
    let pending = failed("KMSInvalidStateException", format!("{key} is pending deletion."));
    assert_eq!(world.kms_fails("CancelKeyDeletion", json!({"KeyId": key})).await, pending);
    // Not every second, but again and again.
    let calls = world.cluster.calls();
    world.advance(1).await;
    assert_eq!(world.cluster.calls(), calls);
    world.advance(60).await;
    assert!(world.cluster.calls() > calls);
    assert_eq!(world.state(&key).await, "PendingDeletion");
    world.cluster.bring_back();
    world.advance(60).await;
    assert_eq!(world.cluster.objects().len(), 0);
    assert_eq!(
        world.kms_fails("DescribeKey", json!({"KeyId": key})).await.code,
        "NotFoundException"
    );
}

/// Its word is not taken: what it has is looked at.
#[tokio::test]
async fn a_device_that_lies_about_destroying_is_found_out() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let key = world.key_in(&store).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    world.cluster.keeps.store(true, Ordering::SeqCst);
    world.advance(7 * DAY).await;
    assert_eq!(world.state(&key).await, "PendingDeletion");
    assert_eq!(world.cluster.objects().len(), 1);
    world.cluster.keeps.store(false, Ordering::SeqCst);
    world.advance(60).await;
    assert_eq!(world.cluster.objects().len(), 0);
    assert!(world.events().iter().any(|e| e.event_name == "DeleteKey"));
}
