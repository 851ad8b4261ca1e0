//! Operations that answer nothing: their events show which key they changed.
use crate::support::{delegate, id_of, policy};
use crate::world::World;
use serde_json::{Value, json};

#[tokio::test]
async fn the_event_has_the_key_arn_in_place_of_an_answer() {
    let world = World::new().await;
    let (key, other) = (world.key().await, world.key().await);
    let nobody = world.nobody().await;
    // The answer has the ARN, whatever the request said.
    let id = id_of(&key);
    let tags = json!([{"TagKey": "a", "TagValue": "b"}]);
    let text = policy(&[delegate()]).to_string();
    for (name, body, shown) in [
        ("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": id_of(&other)}), &other),
        ("UpdateAlias", json!({"AliasName": "alias/app", "TargetKeyId": id}), &key),
        ("DeleteAlias", json!({"AliasName": "alias/app"}), &key),
        ("DisableKey", json!({"KeyId": id}), &key),
        ("EnableKey", json!({"KeyId": id}), &key),
        ("EnableKeyRotation", json!({"KeyId": id}), &key),
        ("DisableKeyRotation", json!({"KeyId": id}), &key),
        ("PutKeyPolicy", json!({"KeyId": id, "Policy": text}), &key),
        ("UpdateKeyDescription", json!({"KeyId": id, "Description": "d"}), &key),
        ("TagResource", json!({"KeyId": id, "Tags": tags}), &key),
        ("UntagResource", json!({"KeyId": id, "TagKeys": ["a"]}), &key),
    ] {
        let answer = world.kms(name, body.clone()).await;
        assert_eq!(answer, Value::Null, "{name}");
        let event = world.last_event();
        assert_eq!(event.event_name, name);
        assert_eq!(event.response_elements, Some(json!({"keyId": shown})), "{name}");
        // A refusal changes no key.
        world.kms_fails_as(&nobody, name, body).await;
        let event = world.last_event();
        assert_eq!((event.event_name.as_str(), event.response_elements), (name, None));
    }
}
