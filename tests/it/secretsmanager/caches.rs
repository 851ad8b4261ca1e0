//! AWS's caching client for Rust, unmodified, over HTTP.
use crate::rotation::Stage;
use crate::world::World;
use aws_sdk_secretsmanager::config::Builder;
use aws_secretsmanager_caching::SecretsManagerCachingClient;
use std::num::NonZeroUsize;
use std::time::Duration;

async fn cache(world: &World, ttl: Duration) -> SecretsManagerCachingClient {
    let builder = Builder::from(&world.sdk(&world.root).await);
    let size = NonZeroUsize::new(10).unwrap();
    SecretsManagerCachingClient::from_builder(builder, size, ttl, false).await.unwrap()
}

async fn value(cache: &SecretsManagerCachingClient, stage: Option<&str>, now: bool) -> String {
    let value = cache.get_secret_value("db", None, stage, now).await.unwrap();
    value.secret_string.unwrap()
}

/// How often the value was really read.
fn reads(world: &World) -> usize {
    world.events().iter().filter(|event| event.event_name == "GetSecretValue").count()
}

#[tokio::test]
async fn a_cache_answers_until_it_is_refreshed() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    let cache = cache(&stage.world, Duration::from_secs(3600)).await;
    for _ in 0..3 {
        assert_eq!(value(&cache, None, false).await, "first");
    }
    assert_eq!(reads(&stage.world), 1);

    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    stage.assert_rotated(&secret, 1).await;
    let rotated = stage.function.password(&secret);
    assert_ne!(rotated, "first");
    assert_eq!(value(&cache, None, false).await, "first", "from the cache");
    assert_eq!(value(&cache, None, true).await, rotated, "refreshed");
    assert_eq!(value(&cache, None, false).await, rotated);
    assert_eq!(value(&cache, Some("AWSPREVIOUS"), false).await, "first");
}

#[tokio::test]
async fn one_that_looks_each_time_sees_a_rotation_at_once() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    let cache = cache(&stage.world, Duration::ZERO).await;
    for n in 1..4 {
        let before = stage.function.password(&secret);
        assert_eq!(value(&cache, None, false).await, before);
        stage.rotate(&secret, n).await;
        stage.scheduler.sweep().await;
        assert_ne!(stage.function.password(&secret), before);
        assert_eq!(value(&cache, None, false).await, stage.function.password(&secret));
    }
}

#[tokio::test]
async fn a_stale_entry_is_looked_at_again() {
    let world = World::new().await;
    let arn = world.secret("db", "one").await;
    let cache = cache(&world, Duration::ZERO).await;
    assert_eq!(value(&cache, None, false).await, "one");
    world.put(&arn, 2, "two").await;
    assert_eq!(value(&cache, None, false).await, "two");
    assert!(cache.get_secret_value("none", None, None, false).await.is_err());
}

#[tokio::test]
async fn many_are_fetched_at_once() {
    let world = World::new().await;
    for name in ["db", "api", "mail"] {
        world.secret(name, &format!("of {name}")).await;
    }
    let cache = cache(&world, Duration::from_secs(3600)).await;
    let ids = ["db", "api", "mail", "none"].map(str::to_owned).to_vec();
    let got = cache.batch_get_secret_value(Some(ids), None, None, None).await.unwrap().unwrap();
    assert_eq!(got.secret_values().len(), 3);
    assert_eq!(got.errors()[0].error_code(), Some("ResourceNotFoundException"));
    let before = reads(&world);
    assert_eq!(value(&cache, None, false).await, "of db");
    assert_eq!(reads(&world), before, "the batch filled the cache");
}
