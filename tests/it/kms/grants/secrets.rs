//! Secrets Manager uses a key for the caller, so the caller's grant is enough there too.
use super::{body, granted, idle, with};
use crate::support::{delegate, policy, token, user_arn};
use crate::world::{World, allow};
use serde_json::json;

#[tokio::test]
async fn a_secret_can_stand_on_a_grant() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["secretsmanager:*"])).await;
    idle(&world, "bob").await;
    let key = world.key_with_policy(policy(&[delegate()])).await;
    let create = |name: &str, n: usize| json!({"Name": name, "SecretString": "v", "KmsKeyId": key, "ClientRequestToken": token(n)});
    let refused = world.fails(&ann, "secretsmanager", "CreateSecret", create("s", 1)).await;
    assert_eq!(refused.code, "AccessDeniedException");

    let made = world.call("secretsmanager", "CreateSecret", create("s", 2)).await.unwrap();
    let arn = made["ARN"].as_str().unwrap().to_owned();
    let mine = json!({"Constraints": {"EncryptionContextSubset": {"SecretARN": arn}}});
    let grant = with(body(&key, "ann", &["Decrypt", "GenerateDataKey"]), mine);
    let id = granted(&world, grant).await;
    let read = || world.call_as(&ann, "secretsmanager", "GetSecretValue", json!({"SecretId": arn}));
    assert_eq!(read().await.unwrap()["SecretString"], "v");
    let events = world.events();
    let inner = events.iter().rev().find(|event| event.event_name == "Decrypt").unwrap();
    let identity = &inner.user_identity;
    assert_eq!(identity.invoked_by.as_deref(), Some("secretsmanager.amazonaws.com"));
    assert_eq!(identity.arn.as_deref(), Some(user_arn("ann").as_str()));
    assert_eq!(inner.additional_event_data.as_ref().unwrap()["grantId"], id);
    let outer = events.iter().rev().find(|event| event.event_name == "GetSecretValue").unwrap();
    assert_eq!(outer.additional_event_data, None);
    let put = json!({"SecretId": arn, "SecretString": "w", "ClientRequestToken": token(3)});
    world.call_as(&ann, "secretsmanager", "PutSecretValue", put).await.unwrap();
    assert_eq!(read().await.unwrap()["SecretString"], "w");
    // The grant is for this secret alone.
    let made = world.call("secretsmanager", "CreateSecret", create("t", 4)).await.unwrap();
    let body = json!({"SecretId": made["ARN"]});
    let refused = world.fails(&ann, "secretsmanager", "GetSecretValue", body).await;
    assert_eq!(refused.code, "AccessDeniedException");
    super::revoke(&world, &key, &id).await;
    assert_eq!(read().await.unwrap_err().code, "AccessDeniedException");
}
