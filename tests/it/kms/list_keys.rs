//! ListKeys, and with it the markers of every list.
use crate::support::{denied, failed, user_arn};
use crate::world::{OTHER_REGION, REGION, World, allow};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn invalid_marker() -> crate::world::Failed {
    failed("InvalidMarkerException", "The marker is not valid.")
}

#[tokio::test]
async fn pages_hold_every_key_once() {
    let world = World::new().await;
    let mut keys = BTreeSet::new();
    for _ in 0..7 {
        keys.insert(world.key().await);
    }
    for limit in 1..=8 {
        let (mut seen, mut marker, mut pages) = (Vec::new(), Value::Null, 0);
        loop {
            let answer = world.kms("ListKeys", json!({"Limit": limit, "Marker": marker})).await;
            let page = answer["Keys"].as_array().unwrap();
            assert!((1..=limit).contains(&page.len()), "{answer}");
            for entry in page {
                let arn = entry["KeyArn"].as_str().unwrap();
                assert!(arn.ends_with(entry["KeyId"].as_str().unwrap()));
                seen.push(arn.to_owned());
            }
            pages += 1;
            // NextMarker is there exactly when there is more.
            assert_eq!(answer["Truncated"], answer.get("NextMarker").is_some(), "{answer}");
            let Some(next) = answer.get("NextMarker") else { break };
            marker = next.clone();
        }
        assert_eq!(pages, 7usize.div_ceil(limit));
        assert_eq!(seen.len(), 7);
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), keys);
    }
}

#[tokio::test]
async fn a_marker_is_good_for_its_list_its_caller_and_its_region() {
    let world = World::new().await;
    let key = world.key().await;
    let other = world.key().await;
    for name in ["alias/a", "alias/b"] {
        world.kms("CreateAlias", json!({"AliasName": name, "TargetKeyId": key})).await;
    }
    let tags = json!([{"TagKey": "a", "TagValue": ""}, {"TagKey": "b", "TagValue": ""}]);
    for key in [&key, &other] {
        world.kms("TagResource", json!({"KeyId": key, "Tags": tags})).await;
    }
    let bodies = [
        ("ListKeys", json!({"Limit": 1})),
        ("ListAliases", json!({"Limit": 1})),
        ("ListResourceTags", json!({"KeyId": key, "Limit": 1})),
        ("ListResourceTags", json!({"KeyId": other, "Limit": 1})),
        ("ListAliases", json!({"KeyId": key, "Limit": 1})),
    ];
    let ann = world.user("ann", allow(&["kms:*"])).await;
    for (name, list) in &bodies {
        let marker = world.kms(name, list.clone()).await["NextMarker"].clone();
        assert!(marker.as_str().is_some_and(|m| !m.is_empty() && m.len() <= 1024), "{name}");
        for (other, another) in &bodies {
            let mut body = another.clone();
            body["Marker"] = marker.clone();
            if (other, another) == (name, list) {
                world.kms(other, body.clone()).await;
                let refused = world.kms_fails_as(&ann, other, body.clone()).await;
                assert_eq!(refused, invalid_marker(), "{name} as another user");
                if another.get("KeyId").is_none() {
                    let elsewhere = world.call_in(&world.root, OTHER_REGION, "kms", other, body);
                    assert_eq!(elsewhere.await, Err(invalid_marker()), "{name} in another region");
                }
            } else {
                let refused = world.kms_fails(other, body).await;
                assert_eq!(refused, invalid_marker(), "{name}'s marker in {other}");
            }
        }
        let text = marker.as_str().unwrap();
        let swap = if text.ends_with('A') { "B" } else { "A" };
        for garbage in ["x", "*", "AAAA", &text[1..], &format!("{}{swap}", &text[..8])] {
            let mut body = list.clone();
            body["Marker"] = json!(garbage);
            assert_eq!(world.kms_fails(name, body).await, invalid_marker(), "{name} {garbage}");
        }
    }
}

#[tokio::test]
async fn limits_and_owners() {
    let world = World::new().await;
    world.key().await;
    let key = world.key().await;
    let bound = |shown: &str, rule: &str| {
        let text = format!(
            "1 validation error detected: Value '{shown}' at 'limit' failed to satisfy \
             constraint: Member must have value {rule}"
        );
        failed("ValidationException", text)
    };
    for (name, body, most) in [
        ("ListKeys", json!({}), 1000),
        ("ListAliases", json!({}), 100),
        ("ListAliases", json!({"KeyId": key}), 100),
        ("ListResourceTags", json!({"KeyId": key}), 50),
    ] {
        let with = |limit: i64| {
            let mut body = body.clone();
            body["Limit"] = json!(limit);
            body
        };
        world.kms(name, with(1)).await;
        world.kms(name, with(most)).await;
        let least = bound("0", "greater than or equal to 1");
        assert_eq!(world.kms_fails(name, with(0)).await, least, "{name}");
        let above = bound(&(most + 1).to_string(), &format!("less than or equal to {most}"));
        assert_eq!(world.kms_fails(name, with(most + 1)).await, above, "{name}");
    }
    for (owners, count) in [(json!(["SELF"]), 2), (json!(["OTHER_ACCOUNTS_VIA_RAM"]), 0)] {
        let listed = world.kms("ListKeys", json!({"ResourceOwners": owners})).await;
        assert_eq!(listed["Keys"].as_array().unwrap().len(), count, "{owners}");
        assert_eq!(listed["Truncated"], false);
    }
}

#[tokio::test]
async fn only_the_own_account_and_region_and_only_with_permission() {
    let world = World::new().await;
    world.key().await;
    let other = world.call_as(&world.other_root(), "kms", "ListKeys", json!({})).await.unwrap();
    assert_eq!(other["Keys"], json!([]));
    let elsewhere = world.call_in(&world.root, OTHER_REGION, "kms", "ListKeys", json!({})).await;
    assert_eq!(elsewhere.unwrap()["Keys"], json!([]));
    let ann = world.user("ann", allow(&["kms:DescribeKey"])).await;
    let why = "resource: * because no identity-based policy allows the kms:ListKeys action";
    assert_eq!(
        world.kms_fails_as(&ann, "ListKeys", json!({})).await,
        denied(&user_arn("ann"), "kms:ListKeys", why)
    );
    assert_eq!(world.last_event().aws_region, REGION);
}
