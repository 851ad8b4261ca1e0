//! A signature is good once, and what ends a service's session before its time.
use super::{REGISTERED, Temporary, services};
use crate::support::policy;
use crate::world::{ACCOUNT, NOW_SECS, World, allow};
use claviger::quotas::Settings;
use claviger::services::{Services, accept};
use claviger::store::{Backend, Memory, Store};
use claviger_hsm::SoftwareHsm;
use serde_json::json;
use std::sync::Arc;

/// A world whose store can be looked at, and opened again.
async fn on_a_store() -> (World, Arc<Memory>) {
    let backend = Arc::new(Memory::default());
    let hsm = Arc::new(SoftwareHsm::seeded([7; 32]));
    (World::on(hsm, backend.clone(), 1, Settings::default()).await, backend)
}

/// How many signatures are remembered.
async fn remembered(backend: &Memory) -> usize {
    let range = b"handed-over\0"[..].to_vec().into()..b"handed-over\x01"[..].to_vec().into();
    backend.scan(range, usize::MAX).await.unwrap().len()
}

fn configure(world: &mut World, services: Services) {
    Arc::get_mut(&mut world.server).unwrap().services = services;
}

async fn is_alive(world: &World, session: &Temporary) -> bool {
    world.caller_of(session).await.is_some()
}

#[tokio::test]
async fn a_signature_is_good_once_also_after_a_restart() {
    let (mut world, backend) = on_a_store().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    let request = world.sent(&ann, None, "payroll");
    let again = async |world: &World| {
        let error = world.hand_over(&payroll, &request).await.unwrap_err();
        assert_eq!(error.code, "ExpiredTradeInTokenException", "{error:?}");
        error.message
    };
    world.hand_over(&payroll, &request).await.unwrap();
    assert!(again(&world).await.contains("handed over before"));
    assert_eq!(remembered(&backend).await, 1);
    // The same signature in other clothes.
    let mut other = request.clone();
    other.headers.reverse();
    for (name, value) in &mut other.headers {
        if name == "x-amz-target" {
            *value = format!("  {value} ");
        }
        *name = name.to_uppercase();
    }
    let error = world.hand_over(&payroll, &other).await.unwrap_err();
    assert!(error.message.contains("handed over before"), "{error:?}");

    let (keys, random) = (world.server.root.row_keys().unwrap(), world.server.random.clone());
    let store = Store::open(backend.clone(), Arc::new(keys), random, false).await.unwrap();
    Arc::get_mut(&mut world.server).unwrap().store = store;
    assert!(again(&world).await.contains("handed over before"));
    world.advance(300).await;
    assert!(again(&world).await.contains("handed over before"));
    world.advance(1).await;
    assert!(again(&world).await.contains("Signature expired"));
    // Another one is another one.
    world.through(&payroll, &ann, "payroll").await;
    assert_eq!(remembered(&backend).await, 2);
    world.advance(3599).await;
    assert_eq!(remembered(&backend).await, 2);
    world.advance(1).await;
    assert_eq!(remembered(&backend).await, 1);
    world.advance(3600).await;
    assert_eq!(remembered(&backend).await, 0);
}

#[tokio::test]
async fn all_that_is_too_old_is_forgotten_at_once() {
    let (world, backend) = on_a_store().await;
    let now = world.server.clock.wall().secs();
    let mut tx = world.server.store.begin();
    for n in 0..250 {
        assert!(accept(&mut tx, now, &format!("old-{n}")).await.unwrap());
    }
    assert!(accept(&mut tx, now + 1, "young").await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(remembered(&backend).await, 251);
    world.advance(3901).await;
    assert_eq!(remembered(&backend).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_is_accepted() {
    let world = Arc::new(World::new().await);
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    for _ in 0..10 {
        let request = world.sent(&ann, None, "payroll");
        let rivals: Vec<_> = (0..8)
            .map(|_| {
                let (world, payroll, request) = (world.clone(), payroll.clone(), request.clone());
                tokio::spawn(async move { world.hand_over(&payroll, &request).await })
            })
            .collect();
        let mut accepted = 0;
        for rival in rivals {
            match rival.await.unwrap() {
                Ok(_) => accepted += 1,
                Err(error) => assert_eq!(error.code, "ExpiredTradeInTokenException", "{error:?}"),
            }
        }
        assert_eq!(accepted, 1);
    }
}

#[tokio::test]
async fn a_session_lasts_a_quarter_of_an_hour_and_never_longer_than_the_users() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    let session = world.through(&payroll, &ann, "payroll").await;
    let body = json!({"DurationSeconds": 900});
    let own = Temporary::of(&world.call_as(&ann, "sts", "GetSessionToken", body).await.unwrap());
    world.advance(600).await;
    let request = world.sent(&own.who, Some(&own.token), "payroll");
    let answer = world.hand_over(&payroll, &request).await.unwrap();
    assert_eq!(answer["Credentials"]["Expiration"], NOW_SECS + 900);
    let short = Temporary::of(&answer);
    world.advance(299).await;
    assert!(is_alive(&world, &session).await && is_alive(&world, &short).await);
    world.advance(1).await;
    assert!(!is_alive(&world, &session).await && !is_alive(&world, &short).await);
}

#[tokio::test]
async fn it_ends_at_once_with_either_key() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    let session = world.through(&payroll, &ann, "payroll").await;
    for (name, who) in [("ann", &ann), ("payroll", &payroll)] {
        let key = |status: &str| json!({"UserName": name, "AccessKeyId": who.access_key_id, "Status": status});
        world.iam("UpdateAccessKey", key("Inactive")).await;
        assert!(!is_alive(&world, &session).await, "{name}");
        world.iam("UpdateAccessKey", key("Active")).await;
        assert!(is_alive(&world, &session).await, "{name}");
    }
    // A user made anew under the name is somebody else.
    let gone = json!({"UserName": "ann", "AccessKeyId": ann.access_key_id});
    world.iam("DeleteAccessKey", gone).await;
    assert!(!is_alive(&world, &session).await);
}

#[tokio::test]
async fn a_policy_that_ends_the_users_sessions_ends_what_came_of_them() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    let moment = "2026-01-01T00:05:00Z";
    let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": moment}}});
    let allowed = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"});
    world.role("r", super::super::trust(ACCOUNT), policy(&[allowed, deny])).await;
    let key = world.key().await;
    let body = json!({"KeyId": key, "KeySpec": "AES_256"});
    let old = world.assume(&ann, "r", json!({})).await;
    world.advance(600).await;
    let new = world.assume(&ann, "r", json!({})).await;
    for (role, may) in [(&old, false), (&new, true)] {
        // Handed over after the moment, both of them.
        let request = world.sent(&role.who, Some(&role.token), "payroll");
        let session = Temporary::of(&world.hand_over(&payroll, &request).await.unwrap());
        assert_eq!(world.may_with(&session, "kms", "GenerateDataKey", body.clone()).await, may);
    }
}

#[tokio::test]
async fn it_ends_with_the_registration_and_shrinks_with_it() {
    let mut world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    let key = world.key().await;
    let body = json!({"KeyId": key, "KeySpec": "AES_256"});
    let session = world.through(&payroll, &ann, "payroll").await;
    assert!(world.may_with(&session, "kms", "GenerateDataKey", body.clone()).await);
    let payroll_only = REGISTERED.split("[[service]]").nth(1).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(payroll_only.contains(from));
        services(&format!("[[service]]{}", payroll_only.replacen(from, to, 1)))
    };
    // Fewer actions hold at once.
    configure(&mut world, changed("\"kms:GenerateDataKey*\", ", ""));
    let error = world.with(&session, "kms", "GenerateDataKey", body.clone()).await.unwrap_err();
    assert!(error.message.contains("because no session policy allows"), "{error:?}");
    // More do not reach the sessions that are there.
    configure(&mut world, changed("\"kms:Decrypt\"", "\"kms:*\""));
    assert!(world.may_with(&session, "kms", "GenerateDataKey", body.clone()).await);
    assert!(!world.may_with(&session, "kms", "DescribeKey", json!({"KeyId": key})).await);
    for (what, services) in [
        ("removed", Services::default()),
        ("another name", changed("payroll.example", "payroll.test")),
        ("another principal", changed("user/payroll", "user/somebody")),
        ("other accounts", changed("actions", "accounts = [\"444455556666\"]\nactions")),
    ] {
        configure(&mut world, services);
        assert!(!is_alive(&world, &session).await, "{what}");
    }
    configure(&mut world, changed("user/payroll", "user/payroll"));
    assert!(is_alive(&world, &session).await);
}
