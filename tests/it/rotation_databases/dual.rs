//! One user with two passwords: MariaDB's. (MySQL's statements are for MySQL 8, which Debian has not.)
use super::engine::Engine;
use super::single::nobody_is_refused;
use super::{Rotating, function_arn};
use crate::databases::mariadb;
use claviger::rotation::{BuiltIn, FailureKind, Invoke};
use claviger::secrets::rotation::Step;
use claviger::types::Arn;
use serde_json::json;
use std::sync::Arc;

const MARIADB: Engine = Engine::MariaDb;

async fn secret_of(rotating: &Rotating, name: &str) -> String {
    let mut value = MARIADB.value(name, "first");
    value["masterarn"] = json!(rotating.administrator(MARIADB).await);
    rotating.secret("s", &value).await
}

#[tokio::test]
async fn the_old_password_is_good_until_the_next_rotation() {
    let rotating = Rotating::with("dual-passwords").await;
    rotating.twice();
    let name = MARIADB.user().await;
    let secret = secret_of(&rotating, &name).await;
    let mut passwords = vec!["first".to_owned()];
    for _ in 0..3 {
        assert_eq!(rotating.rotate(&secret).await.unwrap(), Step::ALL);
        let (username, password) = rotating.login(&secret, "AWSCURRENT").await;
        assert_eq!(username, name);
        passwords.push(password);
        let good = passwords.len() - 2;
        for (n, password) in passwords.iter().enumerate() {
            assert_eq!(MARIADB.lets_in(&name, password).await, n >= good, "{n} of {good}");
        }
        assert!(!MARIADB.log().contains(passwords.last().unwrap()));
    }
}

#[tokio::test]
async fn the_old_password_can_be_taken_away_sooner() {
    let rotating = Rotating::with("dual-passwords").await;
    let name = MARIADB.user().await;
    let secret = secret_of(&rotating, &name).await;
    rotating.rotate(&secret).await.unwrap();
    let (_, password) = rotating.login(&secret, "AWSCURRENT").await;
    assert!(MARIADB.lets_in(&name, "first").await);
    let server = &rotating.world.server;
    let function = server.functions.find(&function_arn().parse().unwrap()).unwrap();
    let arn: Arn = secret.parse().unwrap();
    let described =
        rotating.world.call("secretsmanager", "DescribeSecret", json!({"SecretId": secret}));
    let described = described.await.unwrap();
    let with = |label: &str| {
        let mut versions = described["VersionIdsToStages"].as_object().unwrap().iter();
        versions.find(|(_, labels)| labels[0] == label).unwrap().0.clone()
    };
    let built_in = BuiltIn::new(server.clone());
    // For a rotation whose version is not the current one: it may be the older password that is in use.
    built_in.discard_old(function, &arn, &with("AWSPREVIOUS")).await.unwrap();
    assert!(MARIADB.lets_in(&name, "first").await);
    for _ in 0..2 {
        built_in.discard_old(function, &arn, &with("AWSCURRENT")).await.unwrap();
        assert!(!MARIADB.lets_in(&name, "first").await);
        assert!(MARIADB.lets_in(&name, &password).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reconnects_is_never_refused() {
    let rotating = Arc::new(Rotating::with("dual-passwords").await);
    let name = MARIADB.user().await;
    let secret = secret_of(&rotating, &name).await;
    nobody_is_refused(&rotating, MARIADB, &secret).await;
}

#[tokio::test]
async fn other_ways_to_log_in_are_not_taken_away() {
    let rotating = Rotating::with("dual-passwords").await;
    let name = MARIADB.user().await;
    mariadb()
        .execute(&[&format!(
            "ALTER USER '{name}'@'%' IDENTIFIED VIA mysql_native_password \
             USING PASSWORD('first') OR unix_socket"
        )])
        .await;
    let secret = secret_of(&rotating, &name).await;
    let failure = rotating.rotate(&secret).await.unwrap_err();
    assert!(failure.message.contains("otherwise than with mysql_native_password"), "{failure}");
    assert!(MARIADB.lets_in(&name, "first").await);
}

/// MariaDB lets a user set one password for itself, not two.
#[tokio::test]
async fn without_an_administrator_it_is_refused() {
    let rotating = Rotating::with("dual-passwords").await;
    let name = MARIADB.user().await;
    let secret = rotating.secret("s", &MARIADB.value(&name, "first")).await;
    let failure = rotating.rotate(&secret).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Lasting);
    assert!(failure.message.contains("error 1227 (the user may not do this)"), "{failure}");
    assert!(MARIADB.lets_in(&name, "first").await);
}
