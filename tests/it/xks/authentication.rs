//! Whose signature a request has.
use super::{ID, PATH, Place, SECRET, THEIRS, credential, encrypt_body, named, signed, unsigned};
use bytes::Bytes;
use claviger::xks::Proxy;
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const FAILED: &str = "AuthenticationFailedException";
const OTHER_ID: &str = "XKSPROXYACCESSKEYIDB";
const OTHER_SECRET: &str = "c2Vjb25kIHNlY3JldCBvZiB0aGUgcHJveHksIDMyIGJ5dGU=";

fn request(place: &Place) -> Request<Full<Bytes>> {
    let body = encrypt_body(b"a").to_string();
    unsigned(&place.address, Method::POST, &format!("{PATH}/keys/kms/encrypt"), body.into())
}

#[tokio::test]
async fn five_minutes_and_no_more() {
    let place = Place::new().await;
    let sent = async |off: i64| {
        let now = place.now() + off;
        place.send(signed(request(&place), (ID, SECRET), THEIRS, "kms-xks-proxy", now)).await
    };
    for off in [0, -300, 300] {
        assert_eq!(sent(off).await.0, 200, "{off} s");
    }
    for off in [-301, 301, -86_400, 86_400] {
        assert_eq!(named(sent(off).await), FAILED, "{off} s");
    }
}

#[tokio::test]
async fn the_scope_is_this_regions_and_this_services() {
    let place = Place::new().await;
    for (region, service) in
        [("us-west-1", "kms-xks-proxy"), ("eu-west-1", "kms-xks-proxy"), (THEIRS, "kms")]
    {
        let sent = signed(request(&place), (ID, SECRET), region, service, place.now());
        assert_eq!(named(place.send(sent).await), FAILED, "{region} {service}");
    }
    // What is somebody in IAM is nobody here.
    let root = place.world.root.clone();
    let who = (root.access_key_id.as_str(), root.secret.as_str());
    let sent = signed(request(&place), who, THEIRS, "kms-xks-proxy", place.now());
    assert_eq!(named(place.send(sent).await), FAILED);
}

#[tokio::test]
async fn what_is_changed_or_not_signed_is_refused() {
    let place = Place::new().await;
    let good = || signed(request(&place), (ID, SECRET), THEIRS, "kms-xks-proxy", place.now());
    assert_eq!(place.send(good()).await.0, 200);

    assert_eq!(named(place.send(request(&place)).await), FAILED);
    let (head, _) = good().into_parts();
    let other = Bytes::from(encrypt_body(b"b").to_string());
    let changed = Request::from_parts(head, Full::new(other));
    assert_eq!(named(place.send(changed).await), FAILED);

    let mut path = good();
    *path.uri_mut() =
        format!("http://{}{PATH}/keys/device/encrypt", place.address).parse().unwrap();
    assert_eq!(named(place.send(path).await), FAILED);

    let mut later = good();
    let date = HeaderValue::from_static("20260101T000001Z");
    later.headers_mut().insert("x-amz-date", date);
    assert_eq!(named(place.send(later).await), FAILED);

    let mut token = good();
    token.headers_mut().insert("x-amz-security-token", HeaderValue::from_static("t"));
    assert_eq!(named(place.send(token).await), FAILED);

    let mut unsigned = good();
    let hash = HeaderValue::from_static("UNSIGNED-PAYLOAD");
    unsigned.headers_mut().insert("x-amz-content-sha256", hash);
    assert_eq!(named(place.send(unsigned).await), FAILED);
}

/// Nothing of a path's meaning is in a query, and a signature is not there either.
#[tokio::test]
async fn a_query_leads_nowhere() {
    let place = Place::new().await;
    for query in ["?a=b", "?", "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a"] {
        let path = format!("{PATH}/keys/kms/encrypt{query}");
        let sent = place.request(&path, encrypt_body(b"a").to_string().into());
        assert_eq!(named(place.send(sent).await), "InvalidUriPathException", "{query}");
    }
}

#[tokio::test]
async fn credentials_are_exchanged_while_it_runs() {
    let place = Place::new().await;
    let sent = async |id: &str, secret: &str| {
        let now = place.now();
        place.send(signed(request(&place), (id, secret), THEIRS, "kms-xks-proxy", now)).await
    };
    assert_eq!(sent(ID, SECRET).await.0, 200);
    assert_eq!(named(sent(OTHER_ID, OTHER_SECRET).await), FAILED);

    // Another secret under the same id: what was derived from the old one is good no more.
    credential(place.files.path(), "one.json", ID, OTHER_SECRET);
    assert_eq!(sent(ID, SECRET).await.0, 200);
    place.proxy.reload().unwrap();
    assert_eq!(named(sent(ID, SECRET).await), FAILED);
    assert_eq!(sent(ID, OTHER_SECRET).await.0, 200);

    credential(place.files.path(), "one.json", OTHER_ID, OTHER_SECRET);
    place.proxy.reload().unwrap();
    assert_eq!(named(sent(ID, OTHER_SECRET).await), FAILED);
    assert_eq!(sent(OTHER_ID, OTHER_SECRET).await.0, 200);

    // A file that is bad leaves everything as it was.
    std::fs::write(place.files.path().join("one.json"), json!({}).to_string()).unwrap();
    assert!(place.proxy.reload().is_err());
    assert_eq!(sent(OTHER_ID, OTHER_SECRET).await.0, 200);
}

/// Two key stores at one listener: the credential of one is nobody's at the other, whatever key is asked.
#[tokio::test]
async fn a_credential_is_good_at_its_own_store_only() {
    let mut place = Place::new().await;
    let other = credential(place.files.path(), "two.json", OTHER_ID, OTHER_SECRET);
    let first = place.files.path().join("one.json");
    let store = |prefix: &str, file: &std::path::Path| {
        serde_json::from_value(json!({
            "prefix": prefix, "account": crate::world::ACCOUNT, "region": THEIRS,
            "credentials": [file], "key": [{"id": "k", "kms_key": place.key}],
        }))
        .unwrap()
    };
    let stores = vec![store("/one", &first), store("/two", &other)];
    let proxy = Proxy::new(place.world.server.clone(), stores, Duration::from_secs(10)).unwrap();
    place.proxy = Arc::new(proxy);
    place.address = super::listen(&place.world, &place.proxy, None).await;
    let sent = async |prefix: &str, credential: (&str, &str)| {
        let path = format!("/{prefix}/kms/xks/v1/keys/k/encrypt");
        let body = encrypt_body(b"a").to_string().into();
        let request = unsigned(&place.address, Method::POST, &path, body);
        place.send(signed(request, credential, THEIRS, "kms-xks-proxy", place.now())).await
    };
    let (one, two) = ((ID, SECRET), (OTHER_ID, OTHER_SECRET));
    assert_eq!(sent("one", one).await.0, 200);
    assert_eq!(sent("two", two).await.0, 200);
    for (prefix, credential) in [("one", two), ("two", one), ("one", (ID, OTHER_SECRET))] {
        assert_eq!(named(sent(prefix, credential).await), FAILED, "{prefix}");
    }
}

/// Whoever reaches the listener and has no credential fills neither the log nor its time.
#[tokio::test]
async fn so_many_strangers_are_logged_and_no_more() {
    let place = Place::new().await;
    let strangers = async |n: usize| {
        let before = place.world.events().len();
        for _ in 0..n {
            let now = place.now();
            let sent = signed(request(&place), (ID, OTHER_SECRET), THEIRS, "kms-xks-proxy", now);
            assert_eq!(named(place.send(sent).await), FAILED);
        }
        place.world.events().len() - before
    };
    assert_eq!(strangers(50).await, 20);
    assert_eq!(strangers(5).await, 0);
    // Who signs is served and logged meanwhile.
    place.encrypt("kms", b"a", None).await;
    assert_eq!(place.world.last_event().event_name, "Encrypt");
    place.world.clock.advance(1);
    assert_eq!(strangers(50).await, 20);
}
