//! Versions that nobody needs go: beyond a hundred, those without labels that are older than a day.
use super::{DAY, no_version, token, version};
use crate::support::failed;
use crate::world::{ACCOUNT, REGION, World};
use claviger::secrets::{Secret, Version};
use serde_json::json;

/// How many versions the secret has, in its own row and as rows of values.
async fn counts(world: &World) -> (usize, usize) {
    let mut tx = world.server.store.begin();
    let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
    let secret = Secret::load(&mut tx, &account, &region, "a").await.unwrap().unwrap();
    let values = tx.list_all::<Version>(1000).await.unwrap();
    (secret.versions.iter().count(), values.len())
}

async fn read(world: &World, n: usize) -> Result<(), crate::world::Failed> {
    let body = json!({"SecretId": "a", "VersionId": token(n)});
    world.call("secretsmanager", "GetSecretValue", body).await.map(drop)
}

#[tokio::test]
async fn the_oldest_without_labels_go() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let mut labelled = version("a", 2, "two");
    labelled["VersionStages"] = json!(["keep"]);
    world.sm("PutSecretValue", labelled).await;
    for n in 3..=120 {
        world.clock.advance(60);
        world.put("a", n, "x").await;
    }
    assert_eq!(counts(&world).await, (120, 120), "none of them is a day old");
    // The fifteenth is a day old now, the fourteen before it are older; the one with a label stays.
    world.clock.advance(DAY - 105 * 60);
    world.put("a", 121, "x").await;
    assert_eq!(counts(&world).await, (108, 108));
    for n in 1..=20 {
        let expected = match n {
            2 | 15.. => Ok(()),
            _ => Err(no_version(&format!("VersionId: {}", token(n)))),
        };
        assert_eq!(read(&world, n).await, expected, "{n}");
    }
    // A day later a hundred stay, the youngest.
    world.clock.advance(DAY);
    world.put("a", 122, "x").await;
    assert_eq!(counts(&world).await, (100, 100));
    let versions = world.versions("a").await;
    assert_eq!(versions[0]["VersionId"], token(2), "it has a label");
    assert_eq!(versions[1]["VersionId"], token(24));
    assert_eq!(world.value("a").await, "x");
}

#[tokio::test]
async fn a_hundred_stay_however_old() {
    let world = World::new().await;
    world.secret("a", "one").await;
    for n in 2..=99 {
        world.put("a", n, "x").await;
    }
    world.clock.advance(365 * DAY);
    world.put("a", 100, "x").await;
    assert_eq!(counts(&world).await, (100, 100));
    world.put("a", 101, "x").await;
    assert_eq!(counts(&world).await, (100, 100));
    let gone = read(&world, 1).await;
    assert_eq!(gone, Err(no_version(&format!("VersionId: {}", token(1)))));
}

#[tokio::test]
async fn too_many_in_a_day_are_refused() {
    let world = World::new().await;
    world.secret("a", "one").await;
    for n in 2..=150 {
        world.put("a", n, "x").await;
    }
    let text = "A secret can have at most 150 versions. Versions without staging labels are \
        removed once they are 24 hours old.";
    let refused = failed("LimitExceededException", text);
    assert_eq!(world.sm_fails("PutSecretValue", version("a", 151, "x")).await, refused);
    let body = json!({"SecretId": "a", "ClientRequestToken": token(151), "SecretString": "x"});
    assert_eq!(world.sm_fails("UpdateSecret", body).await, refused);
    assert_eq!(counts(&world).await, (150, 150));
    assert_eq!(world.value_at("a", 1).await, "one");
    // Nor do they come back: a token that was used for a version that is gone makes a new one.
    world.clock.advance(DAY + 1);
    world.put("a", 151, "x").await;
    assert_eq!(counts(&world).await, (100, 100));
    world.put("a", 1, "another").await;
    assert_eq!(world.value("a").await, "another");
}
