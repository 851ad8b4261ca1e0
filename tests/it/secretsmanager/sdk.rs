//! An unmodified AWS SDK, over HTTP.
use crate::world::World;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, Tag};

#[tokio::test]
async fn a_secrets_life() {
    let world = World::new().await;
    let client = Client::new(&world.sdk(&world.root).await);
    let tag = Tag::builder().key("dept").value("hr").build();
    let made = client
        .create_secret()
        .name("prod/db")
        .description("of the database")
        .tags(tag.clone())
        .secret_string("hunter2")
        .send()
        .await
        .unwrap();
    let arn = made.arn().unwrap();
    let got = client.get_secret_value().secret_id(arn).send().await.unwrap();
    assert_eq!((got.secret_string(), got.name()), (Some("hunter2"), Some("prod/db")));
    assert_eq!(got.version_id(), made.version_id());
    assert_eq!(got.version_stages(), ["AWSCURRENT"]);

    let bytes = Blob::new([0, 1, 255]);
    let put = client.put_secret_value().secret_id(arn).secret_binary(bytes.clone()).send().await;
    assert_eq!(put.unwrap().version_stages(), ["AWSCURRENT"]);
    let got = client.get_secret_value().secret_id("prod/db").send().await.unwrap();
    assert_eq!((got.secret_binary(), got.secret_string()), (Some(&bytes), None));
    let previous =
        client.get_secret_value().secret_id(arn).version_stage("AWSPREVIOUS").send().await.unwrap();
    assert_eq!(previous.secret_string(), Some("hunter2"));

    client.update_secret().secret_id(arn).secret_string("three").send().await.unwrap();
    let versions = client.list_secret_version_ids().secret_id(arn).include_deprecated(true);
    assert_eq!(versions.send().await.unwrap().versions().len(), 3);
    client.untag_resource().secret_id(arn).tag_keys("dept").send().await.unwrap();
    let described = client.describe_secret().secret_id(arn).send().await.unwrap();
    assert_eq!((described.description(), described.tags()), (Some("of the database"), &[][..]));
    assert_eq!(described.version_ids_to_stages().unwrap().len(), 2);
    client.tag_resource().secret_id(arn).tags(tag.clone()).send().await.unwrap();

    let filter = Filter::builder().key(FilterNameStringType::TagKey).values("dept").build();
    let listed = client.list_secrets().filters(filter).send().await.unwrap();
    assert_eq!(listed.secret_list()[0].tags(), [tag]);
    let deleted = client.delete_secret().secret_id(arn).recovery_window_in_days(7).send().await;
    let end = world.server.clock.now().plus_secs(7 * 86_400).secs();
    assert_eq!(deleted.unwrap().deletion_date().unwrap().secs(), end);
    let refused = client.get_secret_value().secret_id(arn).send().await.unwrap_err();
    assert!(refused.into_service_error().is_invalid_request_exception());
    client.restore_secret().secret_id(arn).send().await.unwrap();
    let got = client.get_secret_value().secret_id(arn).send().await.unwrap();
    assert_eq!(got.secret_string(), Some("three"));
    let force = client.delete_secret().secret_id(arn).force_delete_without_recovery(true);
    force.send().await.unwrap();
    assert!(client.list_secrets().send().await.unwrap().secret_list().is_empty());
}

#[tokio::test]
async fn errors_have_their_types() {
    let world = World::new().await;
    let client = Client::new(&world.sdk(&world.root).await);
    let read = client.get_secret_value().secret_id("none").send().await.unwrap_err();
    let read = read.into_service_error();
    assert!(read.is_resource_not_found_exception(), "{read:?}");
    assert_eq!(read.meta().message(), Some("Secrets Manager can't find the specified secret."));
    let create = || client.create_secret().name("a").secret_string("v").send();
    create().await.unwrap();
    let again = create().await.unwrap_err().into_service_error();
    assert!(again.is_resource_exists_exception(), "{again:?}");
    let key = world.key().await;
    let moved = client.update_secret().secret_id("a").kms_key_id(&key).send().await;
    moved.unwrap();
    world.call("kms", "DisableKey", serde_json::json!({"KeyId": key})).await.unwrap();
    let read = client.get_secret_value().secret_id("a").send().await.unwrap_err();
    assert!(read.into_service_error().is_decryption_failure());
    let write = client.put_secret_value().secret_id("a").secret_string("w").send().await;
    assert!(write.unwrap_err().into_service_error().is_encryption_failure());
    let invalid = client.list_secrets().next_token("x").send().await.unwrap_err();
    assert!(invalid.into_service_error().is_invalid_next_token_exception());
}

#[tokio::test]
async fn pages_follow_each_other() {
    let world = World::new().await;
    let client = Client::new(&world.sdk(&world.root).await);
    for n in 0..5 {
        client.create_secret().name(format!("s{n}")).send().await.unwrap();
    }
    let mut pages = client.list_secrets().max_results(2).into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        names.extend(page.unwrap().secret_list().iter().map(|s| s.name().unwrap().to_owned()));
    }
    assert_eq!(names, ["s0", "s1", "s2", "s3", "s4"]);
}
