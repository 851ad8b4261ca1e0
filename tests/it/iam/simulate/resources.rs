//! Resources with policies: those that are here, those that are given, and those of others.
use super::{custom, decision, matched, principal};
use crate::kms::grants::grant;
use crate::support::{delegate, failed, policy, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, REGION, Someone, World, allow};
use serde_json::{Value, json};

/// Calls, and asks the simulation about the same call.
async fn agree(world: &World, who: &Someone, name: &str, key: &str, context: Value) -> bool {
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionContext": context});
    let really = world.call_as(who, "kms", "Encrypt", body).await;
    let mut entries: Vec<Value> = vec![json!({"ContextKeyName": "kms:EncryptionAlgorithm",
        "ContextKeyType": "string", "ContextKeyValues": ["SYMMETRIC_DEFAULT"]})];
    for (pair, value) in context.as_object().unwrap() {
        entries.push(json!({"ContextKeyName": format!("kms:EncryptionContext:{pair}"),
            "ContextKeyType": "string", "ContextKeyValues": [value]}));
    }
    let body = json!({"PolicySourceArn": user_arn(name), "ActionNames": ["kms:Encrypt"],
        "ResourceArns": [key], "ContextEntries": entries});
    let simulated = principal(world, body).await;
    let decision = &simulated[0]["EvalDecision"];
    match &really {
        Ok(_) => assert_eq!(decision, "allowed", "{name} {key} {context}"),
        Err(error) => {
            let explicit = error.message.contains("explicit deny");
            let word = if explicit { "explicitDeny" } else { "implicitDeny" };
            assert_eq!(decision, word, "{name} {key} {context}: {error:?}");
        }
    }
    really.is_ok()
}

#[tokio::test]
async fn keys_are_asked_with_their_policies_and_grants_and_the_answer_is_the_servers() {
    let world = World::new().await;
    let statement = |effect: &str, who: &str, condition: Value| {
        json!({"Effect": effect, "Principal": {"AWS": who}, "Action": "kms:Encrypt", "Resource": "*",
            "Condition": condition})
    };
    let all = world.user("all", allow(&["kms:*"])).await;
    let named = world.user("named", allow(&["s3:*"])).await;
    let granted = world.user("granted", allow(&["s3:*"])).await;
    let when = json!({"StringEquals": {"kms:EncryptionContext:app": "web"}});
    let plain = world.key().await;
    let own = world
        .key_with_policy(policy(&[
            delegate(),
            statement("Allow", &user_arn("named"), when.clone()),
            statement("Deny", &user_arn("all"), when),
        ]))
        .await;
    grant(&world, &own, "granted", &["Encrypt"]).await;
    let mut answers = Vec::new();
    for key in [&plain, &own] {
        for context in [json!({}), json!({"app": "web"}), json!({"app": "db"})] {
            for (who, name) in [(&all, "all"), (&named, "named"), (&granted, "granted")] {
                answers.push(agree(&world, who, name, key, context.clone()).await);
            }
        }
    }
    let expected = [
        [true, false, false],
        [true, false, false],
        [true, false, false],
        [true, false, true],
        [false, true, true],
        [true, false, true],
    ];
    assert_eq!(answers, expected.concat());
    // What decided is named: the key's own statement, and the grant.
    let ask = async |name: &str| {
        let body = json!({"PolicySourceArn": user_arn(name), "ActionNames": ["kms:Encrypt"],
            "ResourceArns": [own], "ContextEntries": [{"ContextKeyName":
            "kms:EncryptionContext:app", "ContextKeyType": "string", "ContextKeyValues": ["web"]}]});
        principal(&world, body).await.remove(0)
    };
    let statements = matched(&ask("named").await);
    assert_eq!((&statements[0][0], &statements[0][1]), (&json!(own), &json!("resource")));
    let of_grant = ask("granted").await;
    let id = of_grant["MatchedStatements"][0]["SourcePolicyId"].as_str().unwrap();
    assert!(id.starts_with("grant/"), "{of_grant}");
    // By its alias too.
    let alias = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/a");
    world.kms("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": own})).await;
    assert_eq!(decision(&world, &user_arn("granted"), "kms:Encrypt", &alias).await, "allowed");
    assert_eq!(decision(&world, &user_arn("granted"), "kms:Decrypt", &alias).await, "implicitDeny");
}

#[tokio::test]
async fn nothing_is_told_of_the_keys_of_others() {
    let world = World::new().await;
    world.user("ann", allow(&["kms:*"])).await;
    let body = json!({"Policy": policy(&[
        json!({"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": "kms:*", "Resource": "*"}),
        json!({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:*", "Resource": "*"}),
    ]).to_string()});
    let made = world.call_as(&world.other_root(), "kms", "CreateKey", body).await.unwrap();
    let theirs = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let none = format!("{}0", &theirs[..theirs.len() - 1]);
    let none = if none == theirs { format!("{}1", &theirs[..theirs.len() - 1]) } else { none };
    let ask = async |key: &str| {
        let body = json!({"PolicySourceArn": user_arn("ann"), "ActionNames": ["kms:Encrypt"],
            "ResourceArns": [key]});
        let text = json!(principal(&world, body).await).to_string();
        text.replace(key, "KEY")
    };
    assert_eq!(ask(&theirs).await, ask(&none).await);
    assert!(ask(&theirs).await.contains(r#""EvalDecision":"implicitDeny""#));
    // Nor of their users.
    let stranger = world.user_of(OTHER_ACCOUNT, "eve", allow(&["s3:*"])).await;
    let eve = format!("arn:aws:iam::{OTHER_ACCOUNT}:user/eve");
    let body = json!({"PolicySourceArn": eve, "ActionNames": ["s3:GetObject"]});
    let error = world.iam_fails("SimulatePrincipalPolicy", body.clone()).await;
    assert_eq!(error, failed("InvalidInput", format!("Invalid Entity Arn: {eve}")));
    assert_eq!(
        world.fails(&stranger, "iam", "SimulatePrincipalPolicy", body).await.code,
        "AccessDenied"
    );
    // What is not there in one's own account stands without a policy.
    let own = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000");
    assert_eq!(decision(&world, &user_arn("ann"), "kms:Encrypt", &own).await, "allowed");
    assert_eq!(decision(&world, &user_arn("ann"), "s3:GetObject", &own).await, "implicitDeny");
}

#[tokio::test]
async fn the_trust_policy_of_a_role_is_asked() {
    let world = World::new().await;
    world.user("ann", allow(&["sts:AssumeRole"])).await;
    world.user("bob", allow(&["sts:AssumeRole"])).await;
    let trust = crate::sts::trust(&user_arn("ann"));
    let role = world.role("r", trust, allow(&["kms:ListKeys"])).await;
    assert_eq!(decision(&world, &user_arn("ann"), "sts:AssumeRole", &role).await, "allowed");
    assert_eq!(decision(&world, &user_arn("bob"), "sts:AssumeRole", &role).await, "implicitDeny");
    assert_eq!(decision(&world, &user_arn("bob"), "iam:GetRole", &role).await, "implicitDeny");
    // What the role itself may.
    assert_eq!(decision(&world, &role, "kms:ListKeys", "*").await, "allowed");
    assert_eq!(decision(&world, &role, "kms:ListAliases", "*").await, "implicitDeny");
}

#[tokio::test]
async fn resource_policies_that_are_given_need_a_caller() {
    let world = World::new().await;
    world.user("ann", allow(&["s3:*"])).await;
    let bob = user_arn("bob");
    let of_bucket = policy(&[json!({"Effect": "Allow", "Principal": {"AWS": bob},
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"})])
    .to_string();
    let body = |more: Value| {
        let mut body = json!({"PolicyInputList": [allow(&["sns:*"]).to_string()],
            "ActionNames": ["s3:GetObject"], "ResourceArns": ["arn:aws:s3:::b/x"],
            "ResourcePolicy": of_bucket});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let error = world.iam_fails("SimulateCustomPolicy", body(json!({}))).await;
    assert_eq!(error.code, "InvalidInput");
    assert!(error.message.contains("CallerArn is required"));
    let mine = custom(&world, body(json!({"CallerArn": bob}))).await;
    assert_eq!(mine[0]["EvalDecision"], "allowed");
    assert_eq!(mine[0]["EvalDecisionDetails"], json!({}));
    assert_eq!(matched(&mine[0])[0][0], "ResourcePolicy");
    let other = custom(&world, body(json!({"CallerArn": user_arn("eve")}))).await;
    assert_eq!(other[0]["EvalDecision"], "implicitDeny");
    // Of another account's bucket both sides must allow, and each is told.
    let owner = format!("arn:aws:iam::{OTHER_ACCOUNT}:root");
    let both = json!({"CallerArn": bob, "ResourceOwner": owner});
    let half = custom(&world, body(both.clone())).await;
    assert_eq!(half[0]["EvalDecision"], "implicitDeny");
    let details = json!({"IAM Policy": "implicitDeny", "Resource Policy": "allowed"});
    assert_eq!(half[0]["EvalDecisionDetails"], details);
    let mut whole = body(both);
    whole["PolicyInputList"] = json!([allow(&["s3:*"]).to_string()]);
    assert_eq!(custom(&world, whole).await[0]["EvalDecision"], "allowed");
    // A key policy decides like a key's: without its word nobody may, and with it bob may.
    let key = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000");
    for (named, expected) in [(bob.as_str(), "allowed"), (&user_arn("eve"), "implicitDeny")] {
        let of_key = policy(&[json!({"Effect": "Allow", "Principal": {"AWS": named},
            "Action": "kms:Encrypt", "Resource": "*"})]);
        let body = json!({"PolicyInputList": [allow(&["kms:*"]).to_string()], "CallerArn": bob,
            "ActionNames": ["kms:Encrypt"], "ResourceArns": [key],
            "ResourcePolicy": of_key.to_string()});
        assert_eq!(custom(&world, body).await[0]["EvalDecision"], expected, "{named}");
    }
    // As bob with ann's policies.
    let body = json!({"PolicySourceArn": user_arn("ann"), "CallerArn": bob,
        "ActionNames": ["s3:PutObject"], "ResourceArns": ["arn:aws:s3:::b/x"]});
    assert_eq!(principal(&world, body).await[0]["EvalDecision"], "allowed");
}

/// A role is simulated as a session of it, whose boundary a grant to the role does not pass by.
#[tokio::test]
async fn what_a_role_may_is_what_its_sessions_may() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:AssumeRole"])).await;
    let role = world.role("r", crate::sts::trust(&user_arn("ann")), allow(&["s3:*"])).await;
    let statement =
        json!({"Effect": "Allow", "Principal": {"AWS": role}, "Action": "kms:*", "Resource": "*"});
    let (granted, named) =
        (world.key().await, world.key_with_policy(policy(&[delegate(), statement])).await);
    let body = json!({"KeyId": granted, "GranteePrincipal": role, "Operations": ["Encrypt"]});
    world.kms("CreateGrant", body).await;
    let made = world
        .iam(
            "CreatePolicy",
            json!({"PolicyName": "limit",
            "PolicyDocument": allow(&["s3:*"]).to_string()}),
        )
        .await;
    let session = world.assume(&ann, "r", json!({})).await;
    let both = async |key: &str| {
        let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
        let really = world.may_with(&session, "kms", "Encrypt", body).await;
        let simulated = decision(&world, &role, "kms:Encrypt", key).await;
        assert_eq!(simulated == "allowed", really, "{key}");
        really
    };
    assert_eq!((both(&granted).await, both(&named).await), (true, true));
    let body = json!({"RoleName": "r", "PermissionsBoundary": made["Policy"]["Arn"]});
    world.iam("PutRolePermissionsBoundary", body).await;
    assert_eq!((both(&granted).await, both(&named).await), (false, false));
}
