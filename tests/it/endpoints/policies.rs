//! The policy of an endpoint: everything that comes through must be allowed by it as well, and it
//! allows nothing that nobody else does.
use super::{DENIED, VPC, Way, guarded, straight, through};
use crate::support::{policy, user_arn};
use crate::world::{ACCOUNT, Failed, OTHER_ACCOUNT, Someone, World, allow};
use claviger::call::Endpoint;
use serde_json::{Value, json};

const MISSING: &str = "because no VPC endpoint policy allows the";
const FORBIDDEN: &str = "with an explicit deny in a VPC endpoint policy";

fn let_through(principal: Value, action: &str) -> Value {
    json!({"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"})
}

async fn refused(world: &World, way: &Way, who: &Someone, name: &str, body: &Value) -> Failed {
    let outcome = world.over(way, who, "kms", name, body.clone()).await;
    let failed = outcome.expect_err(name);
    assert_eq!(failed.code, DENIED, "{failed:?}");
    failed
}

#[tokio::test]
async fn only_what_it_allows_comes_through() {
    let world = World::new().await;
    let key = world.key().await;
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let way = guarded(&[let_through(json!({"AWS": user_arn("ann")}), "kms:Encrypt")]);
    let encrypt = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    world.over(&way, &ann, "kms", "Encrypt", encrypt.clone()).await.unwrap();
    // Another action; another caller, be it the root of the account.
    let body = json!({"KeyId": key});
    let failed = refused(&world, &way, &ann, "DescribeKey", &body).await;
    let text = format!(
        "User: {} is not authorized to perform: kms:DescribeKey on resource: {key} {MISSING} \
         kms:DescribeKey action",
        user_arn("ann")
    );
    assert_eq!(failed.message, text);
    let failed = refused(&world, &way, &world.root, "Encrypt", &encrypt).await;
    assert!(failed.message.ends_with(&format!("{MISSING} kms:Encrypt action")), "{failed:?}");
    // Both of them elsewhere.
    for way in [straight("10.1.2.3"), through("vpce-open", VPC, "10.1.2.3")] {
        world.over(&way, &ann, "kms", "DescribeKey", body.clone()).await.unwrap();
        world.over(&way, &world.root, "kms", "Encrypt", encrypt.clone()).await.unwrap();
    }
}

#[tokio::test]
async fn a_deny_in_it_stands() {
    let world = World::new().await;
    let key = world.key().await;
    let deny =
        json!({"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": key});
    let way = guarded(&[let_through(json!("*"), "*"), deny]);
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    let failed = refused(&world, &way, &world.root, "Encrypt", &body).await;
    assert!(failed.message.ends_with(FORBIDDEN), "{failed:?}");
    // The nearest neighbours: another key, another action, another way.
    let other = json!({"KeyId": world.key().await, "Plaintext": "aGVsbG8="});
    world.over(&way, &world.root, "kms", "Encrypt", other).await.unwrap();
    world.over(&way, &world.root, "kms", "DescribeKey", json!({"KeyId": key})).await.unwrap();
    world.over(&straight("10.1.2.3"), &world.root, "kms", "Encrypt", body).await.unwrap();
}

#[tokio::test]
async fn it_allows_nothing_by_itself() {
    let world = World::new().await;
    let (key, nobody) = (world.key().await, world.nobody().await);
    let way = guarded(&[let_through(json!({"AWS": user_arn("nobody")}), "*")]);
    let failed = refused(&world, &way, &nobody, "DescribeKey", &json!({"KeyId": key})).await;
    assert!(failed.message.contains("because no identity-based policy allows"), "{failed:?}");
    let failed = refused(&world, &way, &nobody, "ListKeys", &json!({})).await;
    assert!(failed.message.contains("because no identity-based policy allows"), "{failed:?}");
}

#[tokio::test]
async fn neither_grants_nor_key_policies_pass_it() {
    let world = World::new().await;
    let (ann, key) = (world.user("ann", allow(&["s3:*"])).await, world.key().await);
    let grant = json!({"KeyId": key, "GranteePrincipal": user_arn("ann"),
        "Operations": ["Encrypt", "GenerateDataKey"]});
    world.kms("CreateGrant", grant).await;
    let named = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("ann")},
        "Action": "kms:*", "Resource": "*"});
    let own = world.key_with_policy(policy(&[named])).await;
    let way = guarded(&[let_through(json!("*"), "kms:GenerateDataKey")]);
    for key in [&key, &own] {
        let encrypt = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
        let failed = refused(&world, &way, &ann, "Encrypt", &encrypt).await;
        assert!(failed.message.contains(MISSING), "{failed:?}");
        world.over(&straight("10.1.2.3"), &ann, "kms", "Encrypt", encrypt).await.unwrap();
        let body = json!({"KeyId": key, "KeySpec": "AES_256"});
        world.over(&way, &ann, "kms", "GenerateDataKey", body).await.unwrap();
    }
}

/// Credentials of another account, brought into the network to carry something out of it.
#[tokio::test]
async fn it_can_keep_other_accounts_out() {
    let world = World::new().await;
    let mut ours = let_through(json!("*"), "*");
    ours["Condition"] = json!({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}});
    let way = guarded(&[ours]);
    let stranger = world.other_root();
    assert_eq!(stranger.account, OTHER_ACCOUNT);
    world.over(&way, &world.root, "kms", "ListKeys", json!({})).await.unwrap();
    let failed = refused(&world, &way, &stranger, "ListKeys", &json!({})).await;
    assert!(failed.message.contains(MISSING), "{failed:?}");
    // Nor do they learn who they are, or get sessions: what needs no permission needs the endpoint's.
    let alan = world.user_of(OTHER_ACCOUNT, "alan", allow(&["*"])).await;
    for name in ["GetCallerIdentity", "GetSessionToken"] {
        let failed = world.over(&way, &alan, "sts", name, json!({})).await.unwrap_err();
        let end = format!("on resource: * {MISSING} sts:{name} action");
        assert!(failed.code == "AccessDenied" && failed.message.ends_with(&end), "{failed:?}");
        assert_eq!(world.last_event().error_code.as_deref(), Some("AccessDenied"));
        world.over(&straight("10.1.2.3"), &alan, "sts", name, json!({})).await.unwrap();
        // Who has no permission at all needs none.
        let nobody = world.user(&format!("nobody{name}"), allow(&["s3:*"])).await;
        world.over(&way, &nobody, "sts", name, json!({})).await.unwrap();
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Resource": "*"});
        let closed = guarded(&[let_through(json!("*"), "*"), deny]);
        let failed = world.over(&closed, &nobody, "sts", name, json!({})).await.unwrap_err();
        assert!(failed.message.ends_with(FORBIDDEN), "{failed:?}");
    }
}

#[tokio::test]
async fn its_conditions_know_the_request() {
    let world = World::new().await;
    let mut by_day = let_through(json!("*"), "kms:Encrypt");
    by_day["Condition"] = json!({
        "StringEquals": {"kms:EncryptionContext:team": "a", "aws:SourceVpc": VPC},
        "IpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}});
    let (key, way) = (world.key().await, guarded(&[by_day]));
    for (team, may) in [("a", true), ("b", false)] {
        let context = json!({"team": team});
        let body = json!({"KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionContext": context});
        assert_eq!(world.may_over(&way, &world.root, "Encrypt", body.clone()).await, may);
        let outside = Way { address: "192.0.2.1", ..way.clone() };
        assert!(!world.may_over(&outside, &world.root, "Encrypt", body).await);
    }
}

#[tokio::test]
async fn what_is_no_endpoint_policy_is_refused_with_the_reason() {
    let nots = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*",
        "NotAction":"kms:*","NotResource":"arn:aws:kms:*:*:key/*"}}"#;
    let endpoint = Endpoint::new("vpce-1".into(), "vpc-1".into());
    endpoint.with_policy(nots).unwrap();
    let statement = |text: &str| format!(r#"{{"Version":"2012-10-17","Statement":[{text}]}}"#);
    let endless = " ".repeat(20_481);
    for (text, reason) in [
        ("", "not an endpoint policy"),
        ("{}", "Statement"),
        ("[]", "not an endpoint policy"),
        (&statement(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#), "Principal"),
        (&statement(r#"{"Effect":"Maybe","Principal":"*","Action":"*","Resource":"*"}"#), "Effect"),
        (
            &statement(
                r#"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Colour":"red"}"#,
            ),
            "Colour",
        ),
        // In a key policy both would be taken, and deny nothing.
        (&statement(r#"{"Effect":"Deny","Principal":"*","Action":"*"}"#), "needs an Action"),
        (&statement(r#"{"Effect":"Deny","Principal":"*","Resource":"*"}"#), "needs an Action"),
        (
            r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*"}}"#,
            "needs an Action",
        ),
        (&endless, "at most 20480 characters"),
    ] {
        let endpoint = Endpoint::new("vpce-1".into(), "vpc-1".into());
        let error = endpoint.with_policy(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}
