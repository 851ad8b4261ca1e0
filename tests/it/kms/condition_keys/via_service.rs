//! `kms:ViaService`: a request is through a service only if the service makes it.
use super::DENIED;
use crate::support::{policy, token};
use crate::world::{REGION, World, allow};
use serde_json::json;

#[tokio::test]
async fn through_the_service_and_not_otherwise() {
    let world = World::new().await;
    let key = world.key().await;
    let secrets = json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"});
    for (at, (service, through)) in [
        (format!("secretsmanager.{REGION}.amazonaws.com"), true),
        (format!("ssm.{REGION}.amazonaws.com"), false),
    ]
    .into_iter()
    .enumerate()
    {
        let condition = json!({"StringEquals": {"kms:ViaService": service}});
        let keys = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*",
            "Condition": condition});
        let who = world.user(&format!("u{at}"), policy(&[secrets.clone(), keys])).await;
        let body = json!({"Name": format!("s{at}"), "SecretString": "v", "KmsKeyId": key,
            "ClientRequestToken": token(at)});
        let made = world.call_as(&who, "secretsmanager", "CreateSecret", body).await;
        assert_eq!(made.is_ok(), through, "{made:?}");
        let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
        assert_eq!(world.kms_fails_as(&who, "Encrypt", body).await.code, DENIED);
        let body = json!({"KeyId": key, "KeySpec": "AES_256"});
        assert_eq!(world.kms_fails_as(&who, "GenerateDataKey", body).await.code, DENIED);
    }
    // Who denies the way through the service still has the straight one.
    let condition = json!({"Null": {"kms:ViaService": "true"}});
    let keys = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*",
        "Condition": condition});
    let direct = world.user("direct", policy(&[secrets, keys])).await;
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    world.kms_as(&direct, "Encrypt", body).await;
    let body = json!({"Name": "direct", "SecretString": "v", "KmsKeyId": key,
        "ClientRequestToken": token(7)});
    let refused = world.fails(&direct, "secretsmanager", "CreateSecret", body.clone()).await;
    assert_eq!(refused.code, DENIED);
    let free = world.user("free", allow(&["*"])).await;
    world.call_as(&free, "secretsmanager", "CreateSecret", body).await.unwrap();
}
