//! Whoever may simulate, but not read, learns nothing of the resources that it names.
use super::custom;
use crate::kms::grants::grant;
use crate::support::{delegate, policy, user_arn};
use crate::world::{ACCOUNT, REGION, Someone, World, allow};
use serde_json::{Value, json};

const SIMULATE: &str = "iam:Simulate*";

/// The answer about one action on one resource, its name left out, and that nobody was refused.
async fn ask(world: &World, who: &Someone, body: &Value, resource: &str) -> String {
    let mut body = body.clone();
    body["ResourceArns"] = json!([resource]);
    let name = if body.get("PolicySourceArn").is_some() { "Principal" } else { "Custom" };
    let name = format!("Simulate{name}Policy");
    let answer = world.call_as(who, "iam", &name, body).await.unwrap();
    let event = world.last_event();
    assert_eq!((event.event_name.as_str(), event.error_code), (name.as_str(), None));
    answer.to_string().replace(resource, "IT")
}

/// That `actions` together, and none of them alone, show what root is shown, and that without them
/// it is as if there were nothing.
async fn shown_by(world: &World, actions: &[&str], body: Value, it: &str, nothing: &str) {
    let real = ask(world, &world.root, &body, it).await;
    let absent = ask(world, &world.root, &body, nothing).await;
    assert_ne!(real, absent);
    let one = world.user("one", allow(&[&[SIMULATE], actions].concat())).await;
    assert_eq!(ask(world, &one, &body, it).await, real);
    for (n, left_out) in actions.iter().enumerate() {
        let mut less = vec![SIMULATE];
        less.extend(actions.iter().filter(|action| *action != left_out));
        let asker = world.user(&format!("without-{n}"), allow(&less)).await;
        assert_eq!(ask(world, &asker, &body, it).await, absent, "{left_out}");
    }
}

const KEY: [&str; 3] = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"];

fn no_key() -> String {
    format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000")
}

#[tokio::test]
async fn the_policy_of_a_key_is_for_those_who_may_read_it() {
    let world = World::new().await;
    world.user("ann", allow(&["s3:*"])).await;
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("ann")},
        "Action": "kms:Encrypt", "Resource": "*"});
    let key = world.key_with_policy(policy(&[delegate(), statement])).await;
    let body = json!({"PolicySourceArn": user_arn("ann"), "ActionNames": ["kms:Encrypt"]});
    shown_by(&world, &KEY, body, &key, &no_key()).await;
}

#[tokio::test]
async fn so_are_its_grants() {
    let world = World::new().await;
    world.user("ann", allow(&["s3:*"])).await;
    let key = world.key().await;
    grant(&world, &key, "ann", &["Encrypt"]).await;
    let body = json!({"PolicySourceArn": user_arn("ann"), "ActionNames": ["kms:Encrypt"]});
    shown_by(&world, &KEY, body, &key, &no_key()).await;
}

#[tokio::test]
async fn the_trust_policy_of_a_role_is_too() {
    let world = World::new().await;
    world.user("ann", allow(&["sts:AssumeRole"])).await;
    world.user("bob", allow(&["s3:*"])).await;
    let role = world.role("r", crate::sts::trust(&user_arn("bob")), allow(&["s3:*"])).await;
    let absent = format!("arn:aws:iam::{ACCOUNT}:role/absent");
    let body = json!({"PolicySourceArn": user_arn("ann"), "ActionNames": ["sts:AssumeRole"]});
    shown_by(&world, &["iam:GetRole"], body, &role, &absent).await;
}

#[tokio::test]
async fn tags_are_too() {
    let tagged = |action: &str, key: &str| {
        let document = policy(&[json!({"Effect": "Allow", "Action": action, "Resource": "*",
            "Condition": {"StringEquals": {key: "red"}}})]);
        json!({"PolicyInputList": [document.to_string()], "ActionNames": [action]})
    };
    let tags = json!([{"Key": "team", "Value": "red"}]);
    let world = World::new().await;
    world.user("ann", allow(&["s3:*"])).await;
    world.iam("TagUser", json!({"UserName": "ann", "Tags": tags})).await;
    let body = tagged("iam:DeleteUser", "aws:ResourceTag/team");
    assert_eq!(
        custom(&world, {
            let mut body = body.clone();
            body["ResourceArns"] = json!([user_arn("ann")]);
            body
        })
        .await[0]["EvalDecision"],
        "allowed"
    );
    shown_by(&world, &["iam:GetUser"], body, &user_arn("ann"), &user_arn("absent")).await;

    let world = World::new().await;
    let body = json!({"PolicyName": "p", "PolicyDocument": allow(&["s3:*"]).to_string(),
        "Tags": tags});
    let made = world.iam("CreatePolicy", body).await;
    let arn = made["Policy"]["Arn"].as_str().unwrap();
    let absent = format!("arn:aws:iam::{ACCOUNT}:policy/absent");
    let body = tagged("iam:DeletePolicy", "aws:ResourceTag/team");
    shown_by(&world, &["iam:GetPolicy"], body, arn, &absent).await;

    let world = World::new().await;
    let body = json!({"Name": "s", "SecretString": "x", "Tags": tags,
        "ClientRequestToken": "t".repeat(32)});
    let made = world.call_as(&world.root, "secretsmanager", "CreateSecret", body).await.unwrap();
    let arn = made["ARN"].as_str().unwrap();
    let absent = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:absent-AAAAAA");
    let body = tagged("secretsmanager:GetSecretValue", "aws:ResourceTag/team");
    shown_by(&world, &["secretsmanager:DescribeSecret"], body, arn, &absent).await;
}

/// The caller's own read of the key would be in the key's region, whatever the endpoint's.
#[tokio::test]
async fn a_reader_who_is_denied_elsewhere_is_denied_here() {
    let world = World::new().await;
    world.user("ann", allow(&["s3:*"])).await;
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("ann")},
        "Action": "kms:Encrypt", "Resource": "*"});
    let key = world.key_with_policy(policy(&[delegate(), statement])).await;
    let body = json!({"PolicySourceArn": user_arn("ann"), "ActionNames": ["kms:Encrypt"]});
    let reader = |condition: Value| {
        policy(&[
            json!({"Effect": "Allow", "Action": [SIMULATE, "kms:*"], "Resource": "*"}),
            json!({"Effect": "Deny", "Action": "kms:GetKeyPolicy", "Resource": "*",
                "Condition": condition}),
        ])
    };
    let here = json!({"StringEquals": {"aws:RequestedRegion": REGION}});
    let own = json!({"StringEquals": {"kms:CallerAccount": ACCOUNT}});
    for (n, condition) in [here, own].into_iter().enumerate() {
        let denied = world.user(&format!("denied-{n}"), reader(condition)).await;
        let (it, nothing) = (&key, &no_key());
        let (it, nothing) =
            (ask(&world, &denied, &body, it).await, ask(&world, &denied, &body, nothing).await);
        assert_eq!(it, nothing);
    }
}
