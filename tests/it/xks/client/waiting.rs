//! A proxy that takes its time: what others do meanwhile does not have it asked again.
use super::liar::Liar;
use super::lies;
use crate::xks::b64;
use bytes::Bytes;
use claviger::external::{Proxies, Transport, Way};
use claviger::keys::stores::{Backing, KeyStore};
use claviger::outgoing::{Answer, OutgoingError};
use http::Request;
use http_body_util::Full;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[derive(Debug, Default)]
struct Slow {
    honest: Arc<Liar>,
    asked: AtomicUsize,
}

#[async_trait::async_trait]
impl Transport for Slow {
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, OutgoingError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(80)).await;
        self.honest.send(request).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_that_are_made_at_the_same_time_are_asked_for_once_each() {
    let mut world = crate::world::World::new().await;
    let slow = Arc::new(Slow::default());
    let way = Way::over("https://liar.example.com", slow.clone());
    Arc::get_mut(&mut world.server).unwrap().proxies = Arc::new(Proxies::of(vec![way]));
    let (store, key) = lies::store_and_key(&world).await;
    slow.asked.store(0, Ordering::SeqCst);
    let world = Arc::new(world);
    // Each of them changes the row of the store, and has the others begin anew.
    let made = (0..12).map(|n| {
        let (world, body) = (world.clone(), super::key_body(&store, &format!("key-{n}")));
        tokio::spawn(async move { world.call("kms", "CreateKey", body).await })
    });
    let used = (0..24).map(|_| {
        let (world, key) = (world.clone(), key.clone());
        let body = json!({"KeyId": key, "Plaintext": b64(b"attack")});
        tokio::spawn(async move { world.call("kms", "Encrypt", body).await })
    });
    let all: Vec<_> = made.chain(used).collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(slow.asked.load(Ordering::SeqCst), 36);
    let shown = world.kms("ListKeys", json!({})).await;
    assert_eq!(shown["Keys"].as_array().unwrap().len(), 13);
}

/// The store gets another proxy while the first one is asked about a key.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_is_made_for_the_proxy_that_was_asked() {
    let mut world = crate::world::World::new().await;
    let slow = Arc::new(Slow::default());
    let way = Way::over("https://liar.example.com", slow.clone());
    Arc::get_mut(&mut world.server).unwrap().proxies = Arc::new(Proxies::of(vec![way]));
    let (store, _) = lies::store_and_key(&world).await;
    let world = Arc::new(world);
    slow.asked.store(0, Ordering::SeqCst);
    let making = {
        let (world, body) = (world.clone(), super::key_body(&store, "late"));
        tokio::spawn(async move { world.call("kms", "CreateKey", body).await })
    };
    while slow.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // Asked, and not answered yet. What a change asks of the proxy takes as long, so it is made in the
    // store itself.
    let elsewhere = |store: &mut KeyStore| {
        let Backing::External(proxy) = &mut store.backing else { panic!("a cluster") };
        proxy.path = "/elsewhere/kms/xks/v1".into();
    };
    world.set_store(&store, elsewhere).await;
    making.await.unwrap().unwrap();
    // It was asked a second time, at the other place.
    assert_eq!(slow.asked.load(Ordering::SeqCst), 2);
}
