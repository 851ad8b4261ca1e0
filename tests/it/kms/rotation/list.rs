//! ListKeyRotations of keys with material of ours.
use super::DAY;
use crate::support::{failed, id_of};
use crate::world::{NOW_SECS, World};
use serde_json::{Value, json};

#[tokio::test]
async fn rotations_only_or_all_material() {
    let world = World::new().await;
    let key = world.key().await;
    let id = id_of(&key);
    let first = world.material(&key).await;
    let list = async |mode: Value| {
        let body = json!({"KeyId": id, "IncludeKeyMaterial": mode});
        world.kms("ListKeyRotations", body).await
    };
    let initial = json!({"KeyId": id, "KeyMaterialId": first, "KeyMaterialState": "CURRENT"});
    for mode in [json!(null), json!("ROTATIONS_ONLY")] {
        assert_eq!(list(mode).await, json!({"Rotations": [], "Truncated": false}));
    }
    let all = json!({"Rotations": [initial], "Truncated": false});
    assert_eq!(list(json!("ALL_KEY_MATERIAL")).await, all);
    let event = world.last_event();
    assert_eq!(event.event_name, "ListKeyRotations");
    let parameters = json!({"keyId": id, "includeKeyMaterial": "ALL_KEY_MATERIAL"});
    assert_eq!(event.request_parameters, Some(parameters));
    assert_eq!((event.read_only, event.response_elements), (true, None));

    world.rotate_every(&key, 100).await;
    world.advance(100 * DAY).await;
    let second = world.material(&key).await;
    world.advance(DAY).await;
    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    let third = world.material(&key).await;
    let entry = |material: &str, state: &str, date: i64, kind: &str| {
        json!({"KeyId": id, "KeyMaterialId": material, "KeyMaterialState": state,
            "RotationDate": date, "RotationType": kind})
    };
    let rotations = [
        entry(&second, "NON_CURRENT", NOW_SECS + 100 * DAY, "AUTOMATIC"),
        entry(&third, "CURRENT", NOW_SECS + 101 * DAY, "ON_DEMAND"),
    ];
    for mode in [json!(null), json!("ROTATIONS_ONLY")] {
        assert_eq!(list(mode).await, json!({"Rotations": rotations, "Truncated": false}));
    }
    let initial = json!({"KeyId": id, "KeyMaterialId": first, "KeyMaterialState": "NON_CURRENT"});
    let [two, three] = rotations;
    let all = json!({"Rotations": [initial, two, three], "Truncated": false});
    assert_eq!(list(json!("ALL_KEY_MATERIAL")).await, all);
    let body = json!({"KeyId": key, "IncludeKeyMaterial": "SOME"});
    assert_eq!(world.kms_fails("ListKeyRotations", body).await.code, "ValidationException");
}

#[tokio::test]
async fn pages_hold_each_once() {
    let world = World::new().await;
    let key = world.key().await;
    for _ in 0..11 {
        world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    }
    for (mode, count) in [("ROTATIONS_ONLY", 11), ("ALL_KEY_MATERIAL", 12)] {
        let body = json!({"KeyId": key, "IncludeKeyMaterial": mode});
        let whole = world.kms("ListKeyRotations", body.clone()).await;
        let whole = whole["Rotations"].as_array().unwrap();
        assert_eq!(whole.len(), count);
        for limit in [1, 2, 3, 4, 6, 10, 11, 12, 13, 1000] {
            let mut body = body.clone();
            body["Limit"] = json!(limit);
            let mut found = Vec::new();
            loop {
                let page = world.kms("ListKeyRotations", body.clone()).await;
                let entries = page["Rotations"].as_array().unwrap();
                assert!(!entries.is_empty() && entries.len() <= limit);
                found.extend(entries.iter().cloned());
                assert_eq!(page["Truncated"], json!(page.get("NextMarker").is_some()));
                let Some(marker) = page.get("NextMarker") else { break };
                assert_eq!(entries.len(), limit);
                body["Marker"] = marker.clone();
            }
            assert_eq!(&found, whole, "{mode} by {limit}");
        }
    }
    for limit in [0, 1001] {
        let body = json!({"KeyId": key, "Limit": limit});
        assert_eq!(world.kms_fails("ListKeyRotations", body).await.code, "ValidationException");
    }
}

#[tokio::test]
async fn a_page_has_100_unless_said() {
    let world = World::with_quotas("[resources]\non_demand_rotations = 1000").await;
    let key = world.key().await;
    for _ in 0..101 {
        world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    }
    let page = world.kms("ListKeyRotations", json!({"KeyId": key})).await;
    assert_eq!(page["Rotations"].as_array().unwrap().len(), 100);
    assert_eq!(page["Truncated"], true);
    let body = json!({"KeyId": key, "Marker": page["NextMarker"]});
    let rest = world.kms("ListKeyRotations", body).await;
    assert_eq!(rest["Rotations"].as_array().unwrap().len(), 1);
    assert_eq!(rest["Truncated"], false);
}

#[tokio::test]
async fn a_marker_is_good_for_its_own_list() {
    let world = World::new().await;
    let (key, other) = (world.key().await, world.key().await);
    for key in [&key, &key, &other, &other] {
        world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    }
    let marker = world.kms("ListKeyRotations", json!({"KeyId": key, "Limit": 1})).await;
    let marker = marker["NextMarker"].as_str().unwrap();
    // Whichever way the key is named.
    let body = json!({"KeyId": id_of(&key), "Marker": marker});
    world.kms("ListKeyRotations", body).await;
    let bad = failed("InvalidMarkerException", "The marker is not valid.");
    let changed = format!("A{}", &marker[1..]);
    let changed = if changed == marker { format!("B{}", &marker[1..]) } else { changed };
    for body in [
        json!({"KeyId": other, "Marker": marker}),
        json!({"KeyId": key, "Marker": marker, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"}),
        json!({"KeyId": key, "Marker": changed}),
        json!({"KeyId": key, "Marker": "x"}),
    ] {
        assert_eq!(world.kms_fails("ListKeyRotations", body).await, bad);
    }
    let of_keys = world.kms("ListKeys", json!({"Limit": 1})).await["NextMarker"].clone();
    let body = json!({"KeyId": key, "Marker": of_keys});
    assert_eq!(world.kms_fails("ListKeyRotations", body).await, bad);
}
