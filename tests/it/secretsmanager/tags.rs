//! TagResource and UntagResource.
use super::{NOW_SECS, creation, not_found};
use crate::support::failed;
use crate::world::{World, allow};
use serde_json::{Value, json};

fn tag(key: &str, value: &str) -> Value {
    json!({"Key": key, "Value": value})
}

#[tokio::test]
async fn tags_are_added_replaced_and_removed() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    world.clock.advance(60);
    let body = json!({"SecretId": arn, "Tags": [tag("b", "1"), tag("a", "2"), tag("B", "")]});
    assert_eq!(world.sm("TagResource", body).await, Value::Null);
    world.sm("TagResource", json!({"SecretId": "a", "Tags": [tag("b", "3"), {"Key": "c"}]})).await;
    let described = world.describe("a").await;
    assert_eq!(
        described["Tags"],
        json!([tag("B", ""), tag("a", "2"), tag("b", "3"), tag("c", "")])
    );
    assert_eq!(described["LastChangedDate"], NOW_SECS + 60);
    let body = json!({"SecretId": "a", "TagKeys": ["a", "A", "c", "never"]});
    assert_eq!(world.sm("UntagResource", body).await, Value::Null);
    assert_eq!(world.describe("a").await["Tags"], json!([tag("B", ""), tag("b", "3")]));
    world.sm("UntagResource", json!({"SecretId": "a", "TagKeys": ["B", "b"]})).await;
    assert_eq!(world.describe("a").await.get("Tags"), None);
}

#[tokio::test]
async fn the_rules_for_tags() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let many = |n: usize| (0..n).map(|n| tag(&format!("k{n}"), "v")).collect::<Vec<_>>();
    let body = |tags: Value| json!({"SecretId": "a", "Tags": tags});
    for (tags, code) in [
        (json!([tag("aws:x", "v")]), "InvalidParameterException"),
        (json!([tag("AWS:x", "v")]), "InvalidParameterException"),
        (json!([tag("x", "1"), tag("x", "2")]), "InvalidParameterException"),
        (json!([{"Value": "v"}]), "InvalidParameterException"),
        (json!(many(51)), "InvalidParameterException"),
        (json!([tag("", "v")]), "ValidationException"),
        (json!([tag(&"k".repeat(129), "v")]), "ValidationException"),
        (json!([tag("k", &"v".repeat(257))]), "ValidationException"),
    ] {
        let refused = world.sm_fails("TagResource", body(tags)).await;
        assert_eq!(refused.code, code, "{refused:?}");
    }
    assert_eq!(world.describe("a").await.get("Tags"), None);
    world.sm("TagResource", body(json!(many(50)))).await;
    let refused = world.sm_fails("TagResource", body(json!([tag("new", "v")]))).await;
    let text = "A secret can have at most 50 tags.";
    assert_eq!(refused, failed("InvalidParameterException", text));
    world.sm("TagResource", body(json!([tag("k0", "other")]))).await;
    let mut missing = body(json!([tag("k", "v")]));
    missing["SecretId"] = json!("b");
    assert_eq!(world.sm_fails("TagResource", missing).await, not_found());
    let missing = json!({"SecretId": "b", "TagKeys": ["k"]});
    assert_eq!(world.sm_fails("UntagResource", missing).await, not_found());
}

#[tokio::test]
async fn to_create_with_tags_takes_both_permissions() {
    let world = World::new().await;
    let create = "secretsmanager:CreateSecret";
    let tagged = |name: &str| {
        let mut body = creation(name, "v");
        body["Tags"] = json!([tag("k", "v")]);
        body
    };
    let who = world.user("creator", allow(&[create])).await;
    let refused = world.sm_fails_as(&who, "CreateSecret", tagged("a")).await;
    assert!(refused.message.contains("secretsmanager:TagResource"), "{refused:?}");
    world.sm_as(&who, "CreateSecret", creation("a", "v")).await;
    let who = world.user("both", allow(&[create, "secretsmanager:TagResource"])).await;
    world.sm_as(&who, "CreateSecret", tagged("b")).await;
}

#[tokio::test]
async fn events_say_which_tags() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    world.sm("TagResource", json!({"SecretId": "a", "Tags": [tag("Dept", "HR")]})).await;
    let event = world.last_event();
    assert_eq!(
        event.request_parameters,
        Some(json!({"secretId": "a", "tags": [{"key": "Dept", "value": "HR"}]}))
    );
    assert_eq!((event.resources[0].arn.as_str(), event.read_only), (arn.as_str(), false));
    world.sm("UntagResource", json!({"SecretId": "a", "TagKeys": ["Dept"]})).await;
    let expected = json!({"secretId": "a", "tagKeys": ["Dept"]});
    assert_eq!(world.last_event().request_parameters, Some(expected));
}
