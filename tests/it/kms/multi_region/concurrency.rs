//! Changes of the same key in several regions at once.
use super::{THIRD, assert_opens, assert_places, at, places, primary, sealed, there, three, world};
use crate::support::failed;
use crate::world::{OTHER_REGION, REGION, World};
use serde_json::json;

/// As many as find most ways for two calls to run into each other.
const ROUNDS: usize = 20;

fn replicate(key: &str, region: &str) -> serde_json::Value {
    json!({"KeyId": key, "ReplicaRegion": region})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_replicas_in_one_region_one_comes_to_be() {
    let world = world().await;
    for _ in 0..ROUNDS {
        let key = primary(&world).await;
        let make = || world.call("kms", "ReplicateKey", replicate(&key, OTHER_REGION));
        let outcomes: [_; 2] = tokio::join!(make(), make()).into();
        let [Some(failure)] =
            outcomes.iter().filter_map(|o| o.as_ref().err()).map(Some).collect::<Vec<_>>()[..]
        else {
            panic!("{outcomes:?}")
        };
        let text = format!("Key {} already exists", there(&key, OTHER_REGION));
        assert_eq!(*failure, failed("AlreadyExistsException", text));
        assert_places(&world, &key, REGION, &[OTHER_REGION]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_in_two_regions_know_each_other() {
    let world = world().await;
    for _ in 0..ROUNDS {
        let key = primary(&world).await;
        let blob = sealed(&world, &key).await;
        let make = |region| world.call("kms", "ReplicateKey", replicate(&key, region));
        let (one, two) = tokio::join!(make(OTHER_REGION), make(THIRD));
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
        assert_places(&world, &key, REGION, &[THIRD, OTHER_REGION]).await;
        assert_opens(&world, &there(&key, THIRD), &blob).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn there_is_one_primary_key_whoever_moves_it() {
    let world = world().await;
    for _ in 0..ROUNDS {
        let [key, ..] = three(&world).await;
        let hand_over = |region: &str| {
            let body = json!({"KeyId": key, "PrimaryRegion": region});
            world.call("kms", "UpdatePrimaryRegion", body)
        };
        let (one, two) = tokio::join!(hand_over(OTHER_REGION), hand_over(THIRD));
        let (winner, loser, refused) = match (one, two) {
            (Ok(_), Err(error)) => (OTHER_REGION, THIRD, error),
            (Err(error), Ok(_)) => (THIRD, OTHER_REGION, error),
            other => panic!("{other:?}"),
        };
        let text = format!("{key} is not a multi-region primary key.");
        assert_eq!(refused, failed("UnsupportedOperationException", text));
        let mut replicas = [REGION, loser];
        replicas.sort_unstable();
        assert_places(&world, &key, winner, &replicas).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_is_not_moved_to_a_replica_that_ends() {
    let world = world().await;
    for _ in 0..ROUNDS {
        let [key, other, _] = three(&world).await;
        let body = json!({"KeyId": key, "PrimaryRegion": OTHER_REGION});
        let hand_over = world.call("kms", "UpdatePrimaryRegion", body);
        let body = json!({"KeyId": other, "PendingWindowInDays": 7});
        let schedule = world.call_in(&world.root, OTHER_REGION, "kms", "ScheduleKeyDeletion", body);
        let (moved, scheduled) = tokio::join!(hand_over, schedule);
        let waits = scheduled.unwrap()["KeyState"].take();
        match moved {
            // Then it was the primary key by the time its end was asked for.
            Ok(_) => assert_eq!(waits, "PendingReplicaDeletion"),
            Err(error) => {
                assert_eq!(error.code, "KMSInvalidStateException");
                assert_eq!(waits, "PendingDeletion");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ends_and_beginnings_of_replicas_do_not_lose_each_other() {
    let world = world().await;
    for _ in 0..ROUNDS {
        let key = primary(&world).await;
        at(&world, REGION, "ReplicateKey", replicate(&key, OTHER_REGION)).await;
        let body = json!({"KeyId": there(&key, OTHER_REGION), "PendingWindowInDays": 7});
        at(&world, OTHER_REGION, "ScheduleKeyDeletion", body).await;
        let make = world.call("kms", "ReplicateKey", replicate(&key, THIRD));
        let ((), made) = tokio::join!(ended(&world), make);
        made.unwrap();
        // Whoever lost the race tries again; a background that lost does so at its next look.
        world.advance(1).await;
        assert_places(&world, &key, REGION, &[THIRD]).await;
        let (part, ..) = places(&world, &there(&key, THIRD)).await;
        assert_eq!(part, "REPLICA");
    }
}

async fn ended(world: &World) {
    world.advance(7 * 86_400).await;
}
