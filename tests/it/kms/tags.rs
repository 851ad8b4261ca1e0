//! TagResource, UntagResource and ListResourceTags.
use crate::support::{denied, failed, user_arn};
use crate::world::{World, allow};
use serde_json::{Value, json};

fn tag(key: &str, value: &str) -> Value {
    json!({"TagKey": key, "TagValue": value})
}

async fn tags(world: &World, key: &str) -> Value {
    world.kms("ListResourceTags", json!({"KeyId": key})).await["Tags"].clone()
}

#[tokio::test]
async fn tags_are_added_replaced_and_removed() {
    let world = World::new().await;
    let key = world.key().await;
    assert_eq!(tags(&world, &key).await, json!([]));
    let body = json!({"KeyId": key, "Tags": [tag("b", "1"), tag("a", "2"), tag("B", "3")]});
    world.kms("TagResource", body).await;
    let body = json!({"KeyId": key, "Tags": [tag("b", "")]});
    world.kms("TagResource", body).await;
    let expected = json!([tag("B", "3"), tag("a", "2"), tag("b", "")]);
    assert_eq!(tags(&world, &key).await, expected);
    let body = json!({"KeyId": key, "TagKeys": ["a", "A", "never"]});
    world.kms("UntagResource", body).await;
    assert_eq!(tags(&world, &key).await, json!([tag("B", "3"), tag("b", "")]));
}

#[tokio::test]
async fn the_rules_for_tags_hold_in_both_places() {
    let world = World::new().await;
    let key = world.key().await;
    let many = |n: usize| (0..n).map(|at| tag(&format!("k{at}"), "v")).collect::<Vec<_>>();
    for (bad, text) in [
        (vec![tag("a", "1"), tag("a", "1")], "Duplicate tag keys"),
        (vec![tag("aws:x", "1")], "Tags beginning with aws: are reserved"),
        (many(51), "Too many tags"),
    ] {
        let refused = world.kms_fails("TagResource", json!({"KeyId": key, "Tags": bad})).await;
        assert_eq!(refused, failed("TagException", text));
        let refused = world.kms_fails("CreateKey", json!({"Tags": bad})).await;
        assert_eq!(refused, failed("TagException", text));
    }
    for bad in [tag("", "v"), tag(&"k".repeat(129), "v"), tag("k", &"v".repeat(257))] {
        let body = json!({"KeyId": key, "Tags": [bad]});
        assert_eq!(world.kms_fails("TagResource", body).await.code, "ValidationException");
    }
    world.kms("TagResource", json!({"KeyId": key, "Tags": many(50)})).await;
    // Fifty are there: new values are fine, a new name is not.
    world.kms("TagResource", json!({"KeyId": key, "Tags": [tag("k7", "new")]})).await;
    let body = json!({"KeyId": key, "Tags": [tag("one more", "v")]});
    assert_eq!(world.kms_fails("TagResource", body).await.code, "LimitExceededException");
    let (mut all, mut marker) = (Vec::new(), Value::Null);
    loop {
        let body = json!({"KeyId": key, "Limit": 7, "Marker": marker});
        let page = world.kms("ListResourceTags", body).await;
        all.extend(page["Tags"].as_array().unwrap().clone());
        assert_eq!(page["Truncated"], page.get("NextMarker").is_some());
        let Some(next) = page.get("NextMarker") else { break };
        marker = next.clone();
    }
    assert_eq!(json!(all), tags(&world, &key).await);
    assert_eq!(all.len(), 50);
}

#[tokio::test]
async fn each_needs_its_permission() {
    let world = World::new().await;
    let key = world.key().await;
    for (user, own, others) in [
        ("ann", "TagResource", ["UntagResource", "ListResourceTags"]),
        ("bob", "UntagResource", ["TagResource", "ListResourceTags"]),
        ("eve", "ListResourceTags", ["TagResource", "UntagResource"]),
    ] {
        let who = world.user(user, allow(&[&format!("kms:{own}")])).await;
        let body = |name: &str| match name {
            "TagResource" => json!({"KeyId": key, "Tags": [tag("a", "b")]}),
            "UntagResource" => json!({"KeyId": key, "TagKeys": ["a"]}),
            _ => json!({"KeyId": key}),
        };
        world.kms_as(&who, own, body(own)).await;
        for other in others {
            let action = format!("kms:{other}");
            let why = format!(
                "resource: {key} because no identity-based policy allows the {action} action"
            );
            let refused = world.kms_fails_as(&who, other, body(other)).await;
            assert_eq!(refused, denied(&user_arn(user), &action, &why));
        }
    }
}
