//! What Secrets Manager asks of KMS does not come the caller's way: neither the caller's address nor
//! the endpoint is known of it, and the endpoint's policy is not asked.
use super::{DENIED, HERE, VPC, guarded, if_so, straight, through};
use crate::support::{policy, token};
use crate::world::World;
use serde_json::{Value, json};

fn secrets() -> Value {
    json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
}

#[tokio::test]
async fn the_callers_way_is_not_the_services() {
    let world = World::new().await;
    let key = world.key().await;
    let here = through(HERE, VPC, "10.1.2.3");
    for (at, (condition, way, may)) in [
        // Each holds for the caller, who may use the key on that way.
        (json!({"StringEquals": {"aws:SourceVpce": HERE}}), &here, false),
        (json!({"StringEquals": {"aws:SourceVpc": VPC}}), &here, false),
        (json!({"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}}), &here, false),
        (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), &straight("10.1.2.3"), false),
        // What AWS's guides have policies say beside it.
        (json!({"Bool": {"aws:ViaAWSService": "true"}}), &here, true),
        (json!({"StringEqualsIfExists": {"aws:SourceVpce": HERE}}), &here, true),
        (json!({"Null": {"aws:SourceVpce": "true", "aws:SourceIp": "true"}}), &here, true),
        (json!({"Null": {"aws:SourceIp": "true"}}), &straight("10.1.2.3"), true),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("u{at}");
        let who = world.user(&name, policy(&[secrets(), if_so(&condition)])).await;
        let body = json!({"Name": name, "SecretString": "v", "KmsKeyId": key,
            "ClientRequestToken": token(at)});
        let made = world.over(way, &who, "secretsmanager", "CreateSecret", body).await;
        assert_eq!(made.is_ok(), may, "{condition}: {made:?}");
        if let Err(error) = made {
            assert_eq!(error.code, DENIED);
            let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
            assert!(world.may_over(way, &who, "Encrypt", body).await, "{condition}");
        }
    }
}

#[tokio::test]
async fn the_endpoint_guards_what_comes_through_it_only() {
    let world = World::new().await;
    let key = world.key().await;
    let secrets_only = json!({"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:*",
        "Resource": "*"});
    let way = guarded(&[secrets_only]);
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    assert!(!world.may_over(&way, &world.root, "Encrypt", body).await);
    let before = world.events().len();
    let body = json!({"Name": "s", "SecretString": "v", "KmsKeyId": key,
        "ClientRequestToken": token(1)});
    world.over(&way, &world.root, "secretsmanager", "CreateSecret", body).await.unwrap();
    let events = &world.events()[before..];
    let of = |name: &str| events.iter().find(|event| event.event_name == name).unwrap();
    let (outer, inner) = (of("CreateSecret"), of("GenerateDataKey"));
    assert_eq!(outer.vpc_endpoint_id.as_deref(), Some(HERE));
    assert_eq!(outer.source_ip_address, "10.1.2.3");
    assert_eq!(inner.vpc_endpoint_id, None);
    assert_eq!(inner.source_ip_address, "secretsmanager.amazonaws.com");
    // After it the call is the caller's again: its own part is still guarded.
    let body = json!({"SecretId": "s"});
    world.over(&way, &world.root, "secretsmanager", "GetSecretValue", body.clone()).await.unwrap();
    let closed = guarded(&[json!({"Effect": "Allow", "Principal": "*", "Action": "kms:*",
        "Resource": "*"})]);
    let failed = world.over(&closed, &world.root, "secretsmanager", "GetSecretValue", body).await;
    let failed = failed.unwrap_err();
    let end = "because no VPC endpoint policy allows the secretsmanager:GetSecretValue action";
    assert!(failed.message.ends_with(end), "{failed:?}");
}
