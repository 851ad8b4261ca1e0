//! GenerateRandom.
use crate::support::{denied, failed, user_arn};
use crate::world::{World, allow};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::json;

#[tokio::test]
async fn as_many_bytes_as_asked_for_and_never_the_same() {
    let world = World::new().await;
    let draw = async |n: usize| {
        let answer = world.kms("GenerateRandom", json!({"NumberOfBytes": n})).await;
        B64.decode(answer["Plaintext"].as_str().unwrap()).unwrap()
    };
    for n in [1, 16, 1024] {
        assert_eq!(draw(n).await.len(), n);
    }
    assert_ne!(draw(32).await, draw(32).await);
    let all = serde_json::to_string(&world.events()).unwrap();
    assert!(!all.contains(&B64.encode(draw(32).await)));
    assert_eq!(world.last_event().request_parameters, Some(json!({"numberOfBytes": 32})));
}

#[tokio::test]
async fn other_counts_are_refused() {
    let world = World::new().await;
    for (n, rule) in [(0, "greater than or equal to 1"), (1025, "less than or equal to 1024")] {
        let text = format!(
            "1 validation error detected: Value '{n}' at 'numberOfBytes' failed to satisfy \
             constraint: Member must have value {rule}"
        );
        let refused = world.kms_fails("GenerateRandom", json!({"NumberOfBytes": n})).await;
        assert_eq!(refused, failed("ValidationException", text));
    }
    let missing = failed("ValidationException", "NumberOfBytes is required.");
    assert_eq!(world.kms_fails("GenerateRandom", json!({})).await, missing);
    let body = json!({"NumberOfBytes": 8, "CustomKeyStoreId": "cks-1234567890abcdef0"});
    let code = world.kms_fails("GenerateRandom", body).await.code;
    assert_eq!(code, "CustomKeyStoreNotFoundException");
}

#[tokio::test]
async fn it_needs_permission() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["kms:GenerateDataKey"])).await;
    let why = "resource: * because no identity-based policy allows the kms:GenerateRandom action";
    let refused = world.kms_fails_as(&ann, "GenerateRandom", json!({"NumberOfBytes": 8})).await;
    assert_eq!(refused, denied(&user_arn("ann"), "kms:GenerateRandom", why));
    let bob = world.user("bob", allow(&["kms:GenerateRandom"])).await;
    world.kms_as(&bob, "GenerateRandom", json!({"NumberOfBytes": 8})).await;
}
