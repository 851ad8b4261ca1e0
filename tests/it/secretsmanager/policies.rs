//! Resource policies of secrets: put, shown, checked, and what they allow.
use super::{creation, scheduled, token, version};
use crate::sts::{role_arn, trust};
use crate::support::{denied, failed, policy, unknown_to, user_arn};
use crate::world::{ACCOUNT, Failed, OTHER_ACCOUNT, Someone, World, allow};
use serde_json::{Value, json};

const READ: &str = "secretsmanager:GetSecretValue";

fn malformed(text: &str) -> Failed {
    failed("MalformedPolicyDocumentException", text)
}

fn statement(effect: &str, principal: Value, actions: &[&str]) -> Value {
    json!({"Effect": effect, "Principal": principal, "Action": actions, "Resource": "*"})
}

/// A policy with one statement that lets these ARNs do this.
fn letting(named: &[&str], actions: &[&str]) -> Value {
    policy(&[statement("Allow", json!({"AWS": named}), actions)])
}

fn put(id: &str, policy: &Value) -> Value {
    json!({"SecretId": id, "ResourcePolicy": policy.to_string()})
}

fn read(id: &str) -> Value {
    json!({"SecretId": id})
}

/// An ARN of a user of the other account.
fn far_arn(name: &str) -> String {
    format!("arn:aws:iam::{OTHER_ACCOUNT}:user/{name}")
}

impl World {
    async fn may_read(&self, who: &Someone, id: &str) -> bool {
        let outcome = self.call_as(who, "secretsmanager", "GetSecretValue", read(id)).await;
        let expected = "AccessDeniedException".to_owned();
        assert!(outcome.as_ref().err().is_none_or(|e| e.code == expected), "{outcome:?}");
        outcome.is_ok()
    }

    /// What ValidateResourcePolicy finds, by the names of the checks.
    async fn finds(&self, who: &Someone, body: Value) -> Vec<String> {
        let answer = self.sm_as(who, "ValidateResourcePolicy", body).await;
        let errors = answer["ValidationErrors"].as_array().unwrap();
        let name = |error: &Value| {
            assert!(!error["ErrorMessage"].as_str().unwrap().is_empty());
            error["CheckName"].as_str().unwrap().to_owned()
        };
        let names: Vec<String> = errors.iter().map(name).collect();
        assert_eq!(answer["PolicyValidationPassed"], names.is_empty(), "{answer}");
        names
    }
}

/// A key whose policy lets the other account use it through Secrets Manager, beside its own.
async fn shared_key(world: &World) -> String {
    let own = format!("arn:aws:iam::{ACCOUNT}:root");
    let other = format!("arn:aws:iam::{OTHER_ACCOUNT}:root");
    let statement = |who: &str, actions: &[&str]| json!({"Effect": "Allow", "Principal": {"AWS": who}, "Action": actions, "Resource": "*"});
    let statements =
        [statement(&own, &["kms:*"]), statement(&other, &["kms:Decrypt", "kms:GenerateDataKey"])];
    world.key_with_policy(policy(&statements)).await
}

#[tokio::test]
async fn put_shown_listed_and_deleted() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    let named = json!({"ARN": arn, "Name": "a"});
    assert_eq!(world.sm("GetResourcePolicy", read("a")).await, named);
    let listed = world.sm("ListResourcePolicies", read("a")).await;
    assert_eq!(listed, json!({"ResourcePolicies": []}));
    let before = world.describe("a").await["LastChangedDate"].clone();

    world.user("ann", allow(&["s3:*"])).await;
    world.advance(60).await;
    // Byte for byte.
    let text = letting(&[&user_arn("ann")], &[READ]).to_string().replace(':', " :\n ");
    let text = text.replace(" :\n ", ":").replace(",\"", ", \"");
    let body = json!({"SecretId": "a", "ResourcePolicy": text});
    let answer = world.sm("PutResourcePolicy", body).await;
    assert_eq!(answer, json!({"ARN": arn, "Name": "a", "PolicyName": "default"}));
    for body in [read("a"), json!({"SecretId": arn, "PolicyName": "default"})] {
        let shown = world.sm("GetResourcePolicy", body).await;
        let expected = json!({"ARN": arn, "Name": "a", "PolicyName": "default",
            "ResourcePolicy": text});
        assert_eq!(shown, expected);
    }
    let listed = world.sm("ListResourcePolicies", json!({"SecretId": "a", "MaxResults": 1})).await;
    assert_eq!(listed, json!({"ResourcePolicies": [{"PolicyName": "default"}]}));
    assert_ne!(world.describe("a").await["LastChangedDate"], before);

    let gone = world.sm("DeleteResourcePolicy", read("a")).await;
    assert_eq!(gone, json!({"ARN": arn, "Name": "a", "PolicyName": "default"}));
    assert_eq!(world.sm("GetResourcePolicy", read("a")).await, named);
    // There is none: that is no error.
    world.sm("DeleteResourcePolicy", read("a")).await;
}

#[tokio::test]
async fn there_is_one_name() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let other = |mut body: Value| {
        body["PolicyName"] = json!("mine");
        body
    };
    let refused = failed("InvalidParameterException", "The policy name must be default.");
    let text = letting(&[ACCOUNT], &[READ]);
    let fails = world.sm_fails("PutResourcePolicy", other(put("a", &text))).await;
    assert_eq!(fails, refused);
    assert_eq!(world.sm_fails("DeleteResourcePolicy", other(read("a"))).await, refused);
    let unknown = "Secrets Manager can't find the specified resource policy.";
    let unknown = failed("ResourceNotFoundException", unknown);
    assert_eq!(world.sm_fails("GetResourcePolicy", other(read("a"))).await, unknown);
    let body = json!({"SecretId": "a", "NextToken": "AAAA"});
    let refused = world.sm_fails("ListResourcePolicies", body).await;
    assert_eq!(refused, failed("InvalidNextTokenException", "The NextToken value is invalid."));
}

#[tokio::test]
async fn what_is_no_policy_is_refused() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let good = letting(&[ACCOUNT], &[READ]);
    world.sm("PutResourcePolicy", put("a", &good)).await;
    let mut without_principal = good.clone();
    without_principal["Statement"][0].as_object_mut().unwrap().remove("Principal");
    let mut effect = good.clone();
    effect["Statement"][0]["Effect"] = json!("AllowSomething");
    let syntax = malformed("This resource policy contains a syntax error.");
    for text in [
        "{".into(),
        "null".into(),
        json!({"Version": "2012-10-17"}).to_string(),
        without_principal.to_string(),
        effect.to_string(),
        allow(&[READ]).to_string(),
    ] {
        let body = json!({"SecretId": "a", "ResourcePolicy": text});
        assert_eq!(world.sm_fails("PutResourcePolicy", body).await, syntax, "{text}");
    }
    let principal = malformed("This resource policy contains an unsupported principal.");
    let far = far_arn("gone");
    for named in [&user_arn("gone"), &role_arn("gone"), "AIDAAAAAAAAAAAAAAAAAA", &far] {
        let body = put("a", &letting(&[named], &[READ]));
        assert_eq!(world.sm_fails("PutResourcePolicy", body).await, principal, "{named}");
    }
    let body = json!({"SecretId": "a", "ResourcePolicy": "x".repeat(20_481)});
    let long = world.sm_fails("PutResourcePolicy", body).await;
    assert_eq!(long.code, "ValidationException");
    let kept = world.sm("GetResourcePolicy", read("a")).await;
    assert_eq!(kept["ResourcePolicy"], good.to_string());
}

#[tokio::test]
async fn everybody_is_let_in_only_by_whoever_means_it() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let open = policy(&[statement("Allow", json!("*"), &[READ])]);
    let mut narrow = open.clone();
    narrow["Statement"][0]["Condition"] =
        json!({"StringEquals": {"aws:PrincipalAccount": OTHER_ACCOUNT}});
    let blocked = |policy: &Value| {
        let mut body = put("a", policy);
        body["BlockPublicPolicy"] = json!(true);
        body
    };
    let text = "You can't attach a resource-based policy that allows broad access to the secret.";
    let refused = world.sm_fails("PutResourcePolicy", blocked(&open)).await;
    assert_eq!(refused, failed("PublicPolicyException", text));
    assert!(world.sm("GetResourcePolicy", read("a")).await["ResourcePolicy"].is_null());
    world.sm("PutResourcePolicy", blocked(&narrow)).await;
    // By default public policies are not blocked.
    world.sm("PutResourcePolicy", put("a", &open)).await;
    let anyone = world.user("anyone", allow(&["s3:*"])).await;
    assert!(world.may_read(&anyone, "a").await);
}

#[tokio::test]
async fn a_policy_is_checked_before_it_is_put() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let ask = |policy: &Value| put("a", policy);
    let root = &world.root;
    let good = letting(&[ACCOUNT], &[READ]);
    assert!(world.finds(root, ask(&good)).await.is_empty());
    assert!(world.finds(root, json!({"ResourcePolicy": good.to_string()})).await.is_empty());
    let open = policy(&[statement("Allow", json!("*"), &[READ])]);
    assert_eq!(world.finds(root, ask(&open)).await, ["public-access"]);
    let mut effect = good.clone();
    effect["Statement"][0]["Effect"] = json!("AllowSomething");
    assert_eq!(world.finds(root, ask(&effect)).await, ["syntax"]);
    let gone = letting(&[&user_arn("gone")], &[READ]);
    assert_eq!(world.finds(root, ask(&gone)).await, ["unsupported-principal"]);
    // Who could put no other policy afterwards, with a secret and without one.
    let shut = policy(&[statement("Deny", json!("*"), &["secretsmanager:*"])]);
    assert_eq!(world.finds(root, ask(&shut)).await, ["lock-out"]);
    let body = json!({"ResourcePolicy": shut.to_string()});
    assert_eq!(world.finds(root, body).await, ["lock-out"]);
    let answer = world.sm("ValidateResourcePolicy", ask(&shut)).await;
    let text = "Your requested changes will not allow you to manage this secret in the future.";
    assert_eq!(answer["ValidationErrors"][0]["ErrorMessage"], text);
    let syntax = malformed("This resource policy contains a syntax error.");
    for text in ["{", "[]", "{\"Version\":\"2012-10-17\"}"] {
        let body = json!({"SecretId": "a", "ResourcePolicy": text});
        assert_eq!(world.sm_fails("ValidateResourcePolicy", body).await, syntax);
    }
    // Whoever lives by the policy that there is, and would lose it.
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let may = letting(&[&user_arn("ann")], &["secretsmanager:*"]);
    world.sm("PutResourcePolicy", ask(&may)).await;
    assert!(world.finds(&ann, ask(&may)).await.is_empty());
    assert_eq!(world.finds(&ann, ask(&good)).await, ["lock-out"]);
    // Both are asked for: to validate, and to put.
    let only = world.user("only", allow(&["secretsmanager:ValidateResourcePolicy"])).await;
    for body in [ask(&good), json!({"ResourcePolicy": good.to_string()})] {
        let refused = world.sm_fails_as(&only, "ValidateResourcePolicy", body).await;
        assert_eq!(refused.code, "AccessDeniedException");
        assert!(refused.message.contains("secretsmanager:PutResourcePolicy"), "{refused:?}");
    }
    // Nothing came of all that.
    let kept = world.sm("GetResourcePolicy", read("a")).await;
    assert_eq!(kept["ResourcePolicy"], may.to_string());
}

/// AWS recommends to let policies be put with `BlockPublicPolicy` only.
#[tokio::test]
async fn who_must_block_public_policies_may_validate() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let put_it = "secretsmanager:PutResourcePolicy";
    let with = |name: &str, block: &str| {
        let mut allowed = allow(&["secretsmanager:ValidateResourcePolicy"]);
        let may = json!({"Effect": "Allow", "Action": put_it, "Resource": "*",
            "Condition": {"Bool": {"secretsmanager:BlockPublicPolicy": block},
                "StringEquals": {"secretsmanager:PolicyName": name}}});
        allowed["Statement"].as_array_mut().unwrap().push(may);
        allowed
    };
    let good = letting(&[ACCOUNT], &[READ]);
    let bodies = || [put("a", &good), json!({"ResourcePolicy": good.to_string()})];
    let ann = world.user("ann", with("default", "true")).await;
    for body in bodies() {
        assert!(world.finds(&ann, body).await.is_empty());
    }
    // Conditions that hold for no such request stay what they were.
    for (name, rights) in [("ben", with("default", "false")), ("cy", with("mine", "true"))] {
        let who = world.user(name, rights).await;
        for body in bodies() {
            let refused = world.sm_fails_as(&who, "ValidateResourcePolicy", body).await;
            assert_eq!(refused.code, "AccessDeniedException", "{name}");
        }
    }
    // Nor is anybody locked out who may put policies that are blocked when public.
    let mut deny = statement("Deny", json!("*"), &[put_it]);
    let is = |value: &str| json!({"Bool": {"secretsmanager:BlockPublicPolicy": value}});
    deny["Condition"] = is("false");
    let root = &world.root;
    for secret in [Some("a"), None] {
        let ask = |deny: &Value| {
            let text = policy(std::slice::from_ref(deny)).to_string();
            json!({"SecretId": secret, "ResourcePolicy": text})
        };
        assert!(world.finds(root, ask(&deny)).await.is_empty());
        let mut shut = deny.clone();
        shut["Condition"] = is("true");
        assert_eq!(world.finds(root, ask(&shut)).await, ["lock-out"]);
    }
}

#[tokio::test]
async fn within_an_account_either_side_is_enough_and_a_deny_wins() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let ben = world.user("ben", allow(&["secretsmanager:*"])).await;
    assert!(!world.may_read(&ann, "a").await);
    let mut text = letting(&[&user_arn("ann")], &[READ]);
    world.sm("PutResourcePolicy", put("a", &text)).await;
    assert!(world.may_read(&ann, "a").await);
    // That, and no more.
    let refused = world.sm_fails_as(&ann, "DescribeSecret", read("a")).await;
    assert_eq!(refused.code, "AccessDeniedException");
    assert!(world.may_read(&ben, "a").await);

    let deny = statement("Deny", json!({"AWS": [user_arn("ann"), user_arn("ben")]}), &[READ]);
    text["Statement"].as_array_mut().unwrap().push(deny);
    world.sm("PutResourcePolicy", put("a", &text)).await;
    for (who, name) in [(&ann, "ann"), (&ben, "ben")] {
        let refused = world.sm_fails_as(who, "GetSecretValue", read("a")).await;
        let because = "resource: a with an explicit deny in a resource-based policy";
        assert_eq!(refused, denied(&user_arn(name), READ, because));
    }
    assert!(world.may_read(&world.root.clone(), "a").await);
    world.sm("DeleteResourcePolicy", read("a")).await;
    assert!(world.may_read(&ben, "a").await);
    assert!(!world.may_read(&ann, "a").await);
    // Whoever denies everybody denies the root too: the policy stays as it is.
    let shut = policy(&[statement("Deny", json!("*"), &["secretsmanager:*"])]);
    world.sm("PutResourcePolicy", put("a", &shut)).await;
    for name in ["GetResourcePolicy", "DeleteResourcePolicy", "GetSecretValue"] {
        assert_eq!(world.sm_fails(name, read("a")).await.code, "AccessDeniedException");
    }
}

#[tokio::test]
async fn another_account_needs_both_sides_and_the_key() {
    let world = World::new().await;
    let key = shared_key(&world).await;
    let arn = world.secret_under("a", "one", &key).await;
    let open = world.secret("b", "two").await;
    let far = world.user_of(OTHER_ACCOUNT, "far", allow(&["secretsmanager:*", "kms:*"])).await;
    let idle = world.user_of(OTHER_ACCOUNT, "idle", allow(&["s3:*"])).await;
    let stranger =
        |name: &str, arn: &str| unknown_to(&far_arn(name), READ, &format!("resource: {arn}"));
    let refused = world.sm_fails_as(&far, "GetSecretValue", read(&arn)).await;
    assert_eq!(refused, stranger("far", &arn));
    let text = letting(&[OTHER_ACCOUNT], &[READ, "secretsmanager:PutSecretValue"]);
    world.sm("PutResourcePolicy", put("a", &text)).await;
    world.sm("PutResourcePolicy", put("b", &text)).await;
    let got = world.sm_as(&far, "GetSecretValue", read(&arn)).await;
    assert_eq!((&got["SecretString"], &got["ARN"]), (&json!("one"), &json!(arn)));
    // By its name it would be one of their own.
    let own = world.sm_fails_as(&far, "GetSecretValue", read("a")).await;
    assert_eq!(own.code, "ResourceNotFoundException");
    // The account alone was meant: its own policies decide who in it.
    let refused = world.sm_fails_as(&idle, "GetSecretValue", read(&arn)).await;
    assert_eq!(refused, stranger("idle", &arn));
    // Named in person, the account's own policies are still needed.
    let text = letting(&[&far_arn("idle")], &[READ]);
    world.sm("PutResourcePolicy", put("a", &text)).await;
    assert!(!world.may_read(&idle, &arn).await);
    assert!(!world.may_read(&far, &arn).await);
    // What is under aws/secretsmanager leaves its account in no case.
    let refused = world.sm_fails_as(&far, "GetSecretValue", read(&open)).await;
    assert_eq!(refused, super::kms_denied());
    let refused = world.sm_fails_as(&far, "PutSecretValue", version(&open, 2, "x")).await;
    assert_eq!(refused, super::kms_denied());
    // Nor what is under a key that does not admit them.
    let closed = world.key().await;
    let arn = world.secret_under("c", "three", &closed).await;
    let text = letting(&[OTHER_ACCOUNT], &["secretsmanager:*"]);
    world.sm("PutResourcePolicy", put("c", &text)).await;
    world.sm_as(&far, "DescribeSecret", read(&arn)).await;
    let refused = world.sm_fails_as(&far, "GetSecretValue", read(&arn)).await;
    assert_eq!(refused, super::kms_denied());
}

/// Keys are named as the secret's account names them, whoever writes.
#[tokio::test]
async fn a_strangers_alias_is_not_taken_for_the_secrets_key() {
    let world = World::new().await;
    let key = shared_key(&world).await;
    let alias = |key: &str| json!({"AliasName": "alias/k", "TargetKeyId": key});
    world.kms("CreateAlias", alias(&key)).await;
    let arn = world.secret_under("a", "one", "alias/k").await;
    let text = letting(&[OTHER_ACCOUNT], &["secretsmanager:*"]);
    world.sm("PutResourcePolicy", put("a", &text)).await;
    // Theirs, under the same alias.
    let other = world.other_root();
    let made = world.kms_as(&other, "CreateKey", json!({})).await;
    world.kms_as(&other, "CreateAlias", alias(made["KeyMetadata"]["Arn"].as_str().unwrap())).await;
    let far = world.user_of(OTHER_ACCOUNT, "far", allow(&["secretsmanager:*", "kms:*"])).await;
    world.sm_as(&far, "PutSecretValue", version(&arn, 2, "two")).await;
    assert_eq!(world.value("a").await, "two");
    let versions = world.versions("a").await;
    assert!(versions.iter().all(|version| version["KmsKeyIds"] == json!([key])), "{versions:?}");
    // Nor can they say which key is meant in words that mean another one to its owner.
    for named in ["alias/k", "alias/aws/secretsmanager", ""] {
        let body = json!({"SecretId": arn, "KmsKeyId": named, "ClientRequestToken": token(7)});
        let outcome = world.call_as(&far, "secretsmanager", "UpdateSecret", body).await;
        let code = outcome.unwrap_err().code;
        assert!(["InvalidParameterException", "ValidationException"].contains(&&*code), "{code}");
    }
    assert_eq!(world.describe("a").await["KmsKeyId"], "alias/k");
}

#[tokio::test]
async fn whoever_is_made_anew_is_not_meant() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let id = world.user_id("ann").await;
    let text = letting(&[&user_arn("ann")], &[READ]);
    world.sm("PutResourcePolicy", put("a", &text)).await;
    assert!(world.may_read(&ann, "a").await);
    world.delete_user(&ann, "ann").await;
    let new = world.user("ann", allow(&["s3:*"])).await;
    assert!(!world.may_read(&new, "a").await);
    let shown = world.sm("GetResourcePolicy", read("a")).await;
    assert_eq!(shown["ResourcePolicy"], letting(&[&id], &[READ]).to_string());
    world.sm("PutResourcePolicy", put("a", &text)).await;
    assert!(world.may_read(&new, "a").await);
}

#[tokio::test]
async fn sessions_and_boundaries() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    let role = world.role("r", trust(ACCOUNT), allow(&["s3:*"])).await;
    let session = world.assume(&ann, "r", json!({})).await;
    let may =
        async || world.may_with(&session, "secretsmanager", "GetSecretValue", read("a")).await;
    assert!(!may().await);
    world.sm("PutResourcePolicy", put("a", &letting(&[&role], &[READ]))).await;
    assert!(may().await);
    let this = format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s1");
    world.sm("PutResourcePolicy", put("a", &letting(&[&this], &[READ]))).await;
    assert!(may().await);
    let other = world.assume(&ann, "r", json!({"RoleSessionName": "s2"})).await;
    assert!(!world.may_with(&other, "secretsmanager", "GetSecretValue", read("a")).await);

    // A boundary limits what a policy gives the role, not what it gives the session itself (IAM user
    // guide, "Permissions boundaries", "Resource-based policies"). The key's policy gives to anyone of
    // the account, so that the boundary must let the key be used.
    let text = json!({"PolicyName": "limit", "PolicyDocument": allow(&["kms:*"]).to_string()});
    let limit = world.iam("CreatePolicy", text).await["Policy"]["Arn"].clone();
    let body = json!({"RoleName": "r", "PermissionsBoundary": limit});
    world.iam("PutRolePermissionsBoundary", body).await;
    assert!(may().await);
    world.sm("PutResourcePolicy", put("a", &letting(&[&role], &[READ]))).await;
    assert!(!may().await);
    // A session policy does as much.
    world.iam("DeleteRolePermissionsBoundary", json!({"RoleName": "r"})).await;
    assert!(may().await);
    let narrow = json!({"Policy": allow(&["kms:*"]).to_string()});
    let narrow = world.assume(&ann, "r", narrow).await;
    assert!(!world.may_with(&narrow, "secretsmanager", "GetSecretValue", read(&arn)).await);
}

#[tokio::test]
async fn while_scheduled_policies_rest() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    let text = letting(&[ACCOUNT], &[READ]);
    world.sm("PutResourcePolicy", put("a", &text)).await;
    world.sm("DeleteSecret", read("a")).await;
    for (name, body) in [
        ("PutResourcePolicy", put("a", &text)),
        ("GetResourcePolicy", read("a")),
        ("DeleteResourcePolicy", read("a")),
        ("ListResourcePolicies", read("a")),
        ("ValidateResourcePolicy", put("a", &text)),
    ] {
        assert_eq!(world.sm_fails(name, body).await, scheduled(), "{name}");
    }
    world.sm("RestoreSecret", read("a")).await;
    let kept = world.sm("GetResourcePolicy", read("a")).await;
    assert_eq!(kept["ResourcePolicy"], text.to_string());
    // Its successor under the name begins without.
    let gone = json!({"SecretId": "a", "ForceDeleteWithoutRecovery": true});
    world.sm("DeleteSecret", gone).await;
    let made = world.sm("CreateSecret", creation("a", "two")).await;
    assert_ne!(made["ARN"], arn);
    let none = world.sm("GetResourcePolicy", read("a")).await;
    assert!(none["ResourcePolicy"].is_null());
}

#[tokio::test]
async fn events_have_the_policy() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    let text = letting(&[ACCOUNT], &[READ]);
    world.sm("PutResourcePolicy", put("a", &text)).await;
    let event = world.last_event();
    assert_eq!(event.event_name, "PutResourcePolicy");
    let asked = json!({"secretId": "a", "resourcePolicy": text.to_string()});
    assert_eq!(event.request_parameters, Some(asked));
    let answer = json!({"aRN": arn, "name": "a", "policyName": "default"});
    let got = event.response_elements.unwrap();
    assert_eq!(got["name"], answer["name"]);
    assert_eq!(got["policyName"], answer["policyName"]);
    world.sm("DeleteResourcePolicy", read("a")).await;
    assert_eq!(world.last_event().request_parameters, Some(json!({"secretId": "a"})));
}
