//! What a refusal says, for each kind of policy that can be the reason: AWS's sentences (IAM user guide,
//! "Troubleshoot access denied error messages").
use super::{assuming, trust};
use crate::endpoints::{guarded, straight};
use crate::support::{delegate, denied, failed, policy, unknown_to, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, World, allow};
use serde_json::{Value, json};

fn refused(who: &str, key: &str, because: &str) -> crate::world::Failed {
    denied(who, "kms:DescribeKey", &format!("resource: {key} {because}"))
}

/// Allows all of KMS, and denies DescribeKey.
fn but_describe() -> Value {
    policy(&[
        json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"}),
        json!({"Effect": "Deny", "Action": "kms:DescribeKey", "Resource": "*"}),
    ])
}

fn no(kind: &str) -> String {
    format!("because no {kind} allows the kms:DescribeKey action")
}

fn explicit(kind: &str) -> String {
    format!("with an explicit deny in {kind}")
}

#[tokio::test]
async fn by_policies_of_the_caller_and_of_the_resource() {
    let world = World::new().await;
    let key = world.key().await;
    let named = |effect: &str, who: &str, action: &str| json!({"Effect": effect, "Principal": {"AWS": who}, "Action": action, "Resource": "*"});
    let for_others = world.key_with_policy(policy(&[named("Allow", ACCOUNT, "kms:P*")])).await;
    let against =
        world.key_with_policy(policy(&[delegate(), named("Deny", "*", "kms:DescribeKey")])).await;
    let rows = [
        ("none", allow(&["kms:Encrypt"]), &key, no("identity-based policy")),
        ("not", but_describe(), &key, explicit("an identity-based policy")),
        ("all", allow(&["kms:*"]), &for_others, no("resource-based policy")),
        ("every", allow(&["kms:*"]), &against, explicit("a resource-based policy")),
    ];
    for (name, document, key, because) in rows {
        let who = world.user(name, document).await;
        let error = world.kms_fails_as(&who, "DescribeKey", json!({"KeyId": key})).await;
        assert_eq!(error, refused(&user_arn(name), key, &because), "{name}");
    }
    // A key of somebody else, whatever the reason: one sentence, and nothing of what there is.
    let stranger = world.other_root();
    let error = world.kms_fails_as(&stranger, "DescribeKey", json!({"KeyId": key})).await;
    let root = format!("arn:aws:iam::{OTHER_ACCOUNT}:root");
    assert_eq!(error, unknown_to(&root, "kms:DescribeKey", "this resource"));
}

#[tokio::test]
async fn by_boundaries() {
    let world = World::new().await;
    let key = world.key().await;
    let ann = world.user("ann", allow(&["kms:*"])).await;
    for (name, document, because) in [
        ("less", allow(&["kms:Encrypt"]), no("permissions boundary")),
        ("not", but_describe(), explicit("a permissions boundary")),
    ] {
        let body = json!({"PolicyName": name, "PolicyDocument": document.to_string()});
        let made = world.iam("CreatePolicy", body).await;
        let body = json!({"UserName": "ann", "PermissionsBoundary": made["Policy"]["Arn"]});
        world.iam("PutUserPermissionsBoundary", body).await;
        let error = world.kms_fails_as(&ann, "DescribeKey", json!({"KeyId": key})).await;
        assert_eq!(error, refused(&user_arn("ann"), &key, &because), "{name}");
    }
}

#[tokio::test]
async fn by_session_policies() {
    let world = World::new().await;
    let key = world.key().await;
    let ann = world.user("ann", allow(&["sts:AssumeRole"])).await;
    world.role("r", trust(&user_arn("ann")), allow(&["kms:*"])).await;
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s1");
    for (document, because) in [
        (allow(&["kms:Encrypt"]), no("session policy")),
        (but_describe(), explicit("a session policy")),
    ] {
        let more = json!({"Policy": document.to_string()});
        let temporary = world.assume(&ann, "r", more).await;
        let body = json!({"KeyId": key});
        let error = world.with(&temporary, "kms", "DescribeKey", body).await.unwrap_err();
        assert_eq!(error, refused(&session, &key, &because));
    }
}

#[tokio::test]
async fn by_endpoint_policies() {
    let world = World::new().await;
    let key = world.key().await;
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let statement = |effect: &str, action: &str| json!({"Effect": effect, "Principal": "*", "Action": action, "Resource": "*"});
    let less = guarded(&[statement("Allow", "kms:Encrypt")]);
    let not = guarded(&[statement("Allow", "*"), statement("Deny", "kms:DescribeKey")]);
    for (way, because) in
        [(less, no("VPC endpoint policy")), (not, explicit("a VPC endpoint policy"))]
    {
        let body = json!({"KeyId": key});
        let error = world.over(&way, &ann, "kms", "DescribeKey", body).await.unwrap_err();
        assert_eq!(error, refused(&user_arn("ann"), &key, &because));
    }
    let body = json!({"KeyId": key});
    assert!(world.over(&straight("10.1.2.3"), &ann, "kms", "DescribeKey", body).await.is_ok());
}

/// A role says nothing of its reasons, whether it exists or not.
#[tokio::test]
async fn by_trust_policies() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:AssumeRole"])).await;
    world.user("bob", allow(&["s3:*"])).await;
    world.role("r", trust(&user_arn("bob")), allow(&["kms:*"])).await;
    for name in ["r", "absent"] {
        let error = world.call_as(&ann, "sts", "AssumeRole", assuming(name, json!({}))).await;
        let text = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {}",
            user_arn("ann"),
            super::role_arn(name)
        );
        assert_eq!(error, Err(failed("AccessDenied", text)));
    }
}
