//! DescribeCustomKeyStores: all, one by id or by name, page by page.
use super::{CLUSTER, NO_ID, cluster, missing, public};
use crate::support::failed;
use crate::world::{OTHER_REGION, World, allow};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn one_by_its_id_or_by_its_name() {
    let world = World::new().await;
    let hsm = world.create_store(cluster("hsm", CLUSTER)).await;
    let xks = world.create_store(public("xks")).await;
    for (id, name) in [(&hsm, "hsm"), (&xks, "xks")] {
        let by_name = json!({"CustomKeyStoreName": name});
        let shown = world.kms("DescribeCustomKeyStores", by_name).await;
        assert_eq!(shown["CustomKeyStores"], json!([world.store(id).await]));
        assert_eq!(shown["Truncated"], false);
    }
    let event = world.last_event();
    assert!(event.read_only);
    assert_eq!(event.request_parameters, Some(json!({"customKeyStoreId": xks})));
    assert_eq!(event.response_elements, None);

    let both = json!({"CustomKeyStoreId": hsm, "CustomKeyStoreName": "hsm"});
    let text = "Specify either CustomKeyStoreId or CustomKeyStoreName, but not both.";
    let refused = world.kms_fails("DescribeCustomKeyStores", both).await;
    assert_eq!(refused, failed("ValidationException", text));
    for (body, unknown) in [
        (json!({"CustomKeyStoreId": NO_ID}), NO_ID),
        (json!({"CustomKeyStoreId": "\u{0}"}), "\u{0}"),
        (json!({"CustomKeyStoreName": "HSM"}), "HSM"),
        (json!({"CustomKeyStoreName": hsm}), &hsm),
        (json!({"CustomKeyStoreName": "\u{0}"}), "\u{0}"),
    ] {
        let refused = world.kms_fails("DescribeCustomKeyStores", body).await;
        assert_eq!(refused, missing(unknown));
    }
}

#[tokio::test]
async fn pages_hold_every_store_once() {
    let world = World::new().await;
    let empty = world.kms("DescribeCustomKeyStores", json!({})).await;
    assert_eq!(empty, json!({"CustomKeyStores": [], "Truncated": false}));
    let mut ids = BTreeSet::new();
    for at in 0..5 {
        ids.insert(world.create_store(public(&format!("s{at}"))).await);
    }
    for limit in [1, 2, 4, 5, 1000] {
        let (mut seen, mut marker, mut pages) = (Vec::new(), Value::Null, 0);
        loop {
            let body = json!({"Limit": limit, "Marker": marker});
            let page = world.kms("DescribeCustomKeyStores", body).await;
            let stores = page["CustomKeyStores"].as_array().unwrap();
            assert!((1..=limit).contains(&stores.len()), "{page}");
            seen.extend(stores.iter().map(|s| s["CustomKeyStoreId"].as_str().unwrap().to_owned()));
            pages += 1;
            assert_eq!(page["Truncated"], page.get("NextMarker").is_some(), "{page}");
            let Some(next) = page.get("NextMarker") else { break };
            marker = next.clone();
        }
        assert_eq!(pages, 5usize.div_ceil(limit));
        assert_eq!(seen.len(), 5);
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), ids);
    }
    // Two of them are not a page of another account or Region.
    for shown in [
        world.kms_as(&world.other_root(), "DescribeCustomKeyStores", json!({})).await,
        world
            .call_in(&world.root, OTHER_REGION, "kms", "DescribeCustomKeyStores", json!({}))
            .await
            .unwrap(),
    ] {
        assert_eq!(shown["CustomKeyStores"], json!([]));
    }
}

#[tokio::test]
async fn markers_and_limits() {
    let world = World::new().await;
    let id = world.create_store(public("a")).await;
    world.create_store(public("b")).await;
    let page = world.kms("DescribeCustomKeyStores", json!({"Limit": 1})).await;
    let marker = page["NextMarker"].clone();
    world.kms("DescribeCustomKeyStores", json!({"Marker": marker})).await;
    let invalid = failed("InvalidMarkerException", "The marker is not valid.");
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let theirs = world.kms_fails_as(&ann, "DescribeCustomKeyStores", json!({"Marker": marker}));
    assert_eq!(theirs.await, invalid);
    assert_eq!(world.kms_fails("ListKeys", json!({"Marker": marker})).await, invalid);
    for body in [
        json!({"Marker": "garbage"}),
        json!({"CustomKeyStoreId": id, "Marker": marker}),
        json!({"CustomKeyStoreName": "a", "Marker": marker}),
    ] {
        assert_eq!(world.kms_fails("DescribeCustomKeyStores", body).await, invalid);
    }
    for (limit, rule) in [(0, "greater than or equal to 1"), (1001, "less than or equal to 1000")] {
        let text = format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: \
             Member must have value {rule}"
        );
        let refused = world.kms_fails("DescribeCustomKeyStores", json!({"Limit": limit})).await;
        assert_eq!(refused, failed("ValidationException", text));
    }
}
