//! Too many requests, and a device that is too slow for them: who cannot be served in time is told so in
//! time, and nobody else waits.
#![expect(clippy::disallowed_methods, reason = "these tests are about elapsed time")]

use super::slow::Slow;
use super::{Place, Plan, device, encrypt_body, named};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What a busy machine adds to a budget.
const SLACK: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn a_store_has_so_many_requests_a_second() {
    let place = Place::with(Plan { rate: 5, ..Plan::default() }).await;
    let body = encrypt_body(b"a");
    for _ in 0..5 {
        place.ok("/keys/kms/encrypt", &body).await;
    }
    let before = place.world.events().len();
    for _ in 0..20 {
        assert_eq!(place.refused("/keys/kms/encrypt", &body).await, "ThrottlingException");
    }
    // Their log would be the load.
    assert_eq!(place.world.events().len(), before);
    place.world.clock.advance(1);
    place.ok("/keys/kms/encrypt", &body).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_that_hangs_costs_the_budget_and_nobody_else_anything() {
    let slow = Arc::new(Slow::new(device()));
    let plan = Plan { budget_ms: 200, device: slow.clone(), ..Plan::default() };
    let place = Arc::new(Place::with(plan).await);
    slow.takes(4000);
    let body = encrypt_body(b"a");
    let began = Instant::now();
    let asked: Vec<_> = (0..160)
        .map(|_| {
            let (place, body) = (place.clone(), body.clone());
            tokio::spawn(async move {
                let began = Instant::now();
                let answer = named(place.post("/keys/device/encrypt", &body).await);
                (answer, began.elapsed())
            })
        })
        .collect();
    let mut names = std::collections::BTreeMap::new();
    for one in asked {
        let (name, took) = one.await.unwrap();
        assert!(took < Duration::from_millis(200) + SLACK, "{name}: {took:?}");
        *names.entry(name).or_insert(0) += 1;
    }
    let late = names.get("DependencyTimeoutException").copied().unwrap_or_default();
    let busy = names.get("ThrottlingException").copied().unwrap_or_default();
    assert!(late > 0 && late + busy == 160, "{names:?}");
    // 128 places; who came later was not let in, so that the device is not asked for nobody.
    assert!(slow.calls.load(Ordering::SeqCst) <= 128);
    assert!(began.elapsed() < Duration::from_millis(400) + SLACK);
    // All places are taken, and what is at work is known to take long: refused at once.
    let began = Instant::now();
    assert_eq!(place.refused("/keys/device/encrypt", &body).await, "ThrottlingException");
    assert!(began.elapsed() < SLACK);
    // Each key has places of its own.
    let began = Instant::now();
    let (status, _) = place.post("/keys/kms/encrypt", &body).await;
    assert!([200, 503].contains(&status) && began.elapsed() < SLACK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_device_comes_back() {
    let slow = Arc::new(Slow::new(device()));
    let plan = Plan { budget_ms: 250, device: slow.clone(), ..Plan::default() };
    let place = Place::with(plan).await;
    slow.takes(600);
    let body = encrypt_body(b"a");
    let refused = place.refused("/keys/device/encrypt", &body).await;
    assert_eq!(refused, "DependencyTimeoutException");
    slow.takes(0);
    let mut served = 0;
    for _ in 0..20 {
        served += usize::from(place.post("/keys/device/encrypt", &body).await.0 == 200);
    }
    assert!(served >= 10, "{served} of 20");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn health_says_what_does_not_answer() {
    let slow = Arc::new(Slow::new(device()));
    let place = Place::with(Plan { device: slow.clone(), ..Plan::default() }).await;
    slow.takes(3000);
    let body = json!({"requestMetadata": {"kmsOperation": "KmsHealthCheck", "kmsRequestId": "r"}});
    let status = |answer: &serde_json::Value, id: &str| {
        let members = answer["ekmFleetDetails"].as_array().unwrap();
        members.iter().find(|one| one["id"] == id).unwrap()["healthStatus"].clone()
    };
    let began = Instant::now();
    let answer = place.ok("/health", &body).await;
    assert!(began.elapsed() < Duration::from_millis(250) + SLACK);
    assert_eq!(status(&answer, "hsm"), "UNAVAILABLE");
    assert_eq!(status(&answer, "store"), "ACTIVE");
    // Many who ask are one probe.
    for _ in 0..10 {
        place.ok("/health", &body).await;
    }
    assert_eq!(slow.calls.load(Ordering::SeqCst), 1);
}
