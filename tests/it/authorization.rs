//! What key policies and IAM policies mean for keys: each condition with what it lets through and
//! the nearest thing that it does not.
use crate::support::{delegate, id_of, policy, token, user_arn};
use crate::world::{ACCOUNT, REGION, Someone, World, allow};
use serde_json::{Value, json};

fn statement(effect: &str, who: &str, action: &str) -> Value {
    json!({"Effect": effect, "Principal": {"AWS": who}, "Action": action, "Resource": "*"})
}

fn when(mut statement: Value, condition: Value) -> Value {
    statement["Condition"] = condition;
    statement
}

async fn may(world: &World, who: &Someone, name: &str, body: Value) -> bool {
    match world.call_as(who, "kms", name, body).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code, "AccessDeniedException", "{name}: {error:?}");
            false
        }
    }
}

fn encrypt(key: &str, context: Value) -> Value {
    json!({"KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionContext": context})
}

#[tokio::test]
async fn the_key_policy_decides_alone_or_delegates() {
    let world = World::new().await;
    let full = world.user("full", allow(&["kms:*"])).await;
    let none = world.user("none", allow(&["s3:*"])).await;
    let describes = world.user("describes", allow(&["kms:DescribeKey"])).await;
    // The key policy's statements, and who may then encrypt: root, full, none, describes.
    for (statements, expected) in [
        (vec![delegate()], [true, true, false, false]),
        (vec![statement("Allow", ACCOUNT, "kms:*")], [true, true, false, false]),
        (vec![statement("Allow", &user_arn("none"), "kms:*")], [false, false, true, false]),
        (
            vec![delegate(), statement("Allow", &user_arn("none"), "kms:Encrypt")],
            [true, true, true, false],
        ),
        (
            vec![delegate(), statement("Allow", &user_arn("none"), "kms:Decrypt")],
            [true, true, false, false],
        ),
        (
            vec![delegate(), statement("Deny", &user_arn("full"), "kms:Encrypt")],
            [true, false, false, false],
        ),
        (vec![delegate(), statement("Deny", "*", "kms:Encrypt")], [false; 4]),
        (vec![statement("Allow", "*", "kms:*")], [true; 4]),
        (vec![statement("Allow", ACCOUNT, "kms:Decrypt")], [false; 4]),
    ] {
        let key = world.key_with_policy(policy(&statements)).await;
        for (who, expected) in [&world.root, &full, &none, &describes].into_iter().zip(expected) {
            let got = may(&world, who, "Encrypt", encrypt(&key, json!({}))).await;
            assert_eq!(got, expected, "{} with {statements:?}", who.access_key_id);
        }
    }
}

#[tokio::test]
async fn a_deny_of_the_users_own_beats_the_key_policy() {
    let world = World::new().await;
    let deny = json!({"Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*"});
    let ann = world.user("ann", policy(&[deny])).await;
    let statements = [delegate(), statement("Allow", &user_arn("ann"), "kms:*")];
    let key = world.key_with_policy(policy(&statements)).await;
    assert!(!may(&world, &ann, "Encrypt", encrypt(&key, json!({}))).await);
    let body = json!({"KeyId": key, "KeySpec": "AES_256"});
    assert!(may(&world, &ann, "GenerateDataKey", body).await);
}

#[tokio::test]
async fn an_iam_policy_can_name_the_key() {
    let world = World::new().await;
    let (one, two) = (world.key().await, world.key().await);
    let on = |resource: String| {
        policy(&[json!({"Effect": "Allow", "Action": "kms:Encrypt", "Resource": resource})])
    };
    for (at, (resource, expected)) in [
        (one.clone(), [true, false]),
        (format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/*"), [true, true]),
        (format!("arn:aws:kms:*:{ACCOUNT}:key/{}", id_of(&two)), [false, true]),
        (format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/*"), [false, false]),
        (one.to_uppercase().replacen("ARN:AWS:KMS", "arn:aws:kms", 1), [false, false]),
        ("arn:aws:kms:us-east-1:*:key/*".to_owned(), [false, false]),
    ]
    .into_iter()
    .enumerate()
    {
        let who = world.user(&format!("u{at}"), on(resource.clone())).await;
        for (key, expected) in [&one, &two].into_iter().zip(expected) {
            let got = may(&world, &who, "Encrypt", encrypt(key, json!({}))).await;
            assert_eq!(got, expected, "{resource}");
        }
    }
}

/// Asks with each context whether a key policy with this condition lets `ann` encrypt.
async fn contexts(condition: Value, cases: &[(Value, bool)]) {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let theirs = when(statement("Allow", &user_arn("ann"), "kms:*"), condition.clone());
    let key = world.key_with_policy(policy(&[delegate(), theirs])).await;
    for (context, expected) in cases {
        let got = may(&world, &ann, "Encrypt", encrypt(&key, context.clone())).await;
        assert_eq!(got, *expected, "{condition} {context}");
        // The same for the way back, where the ciphertext exists in any case.
        let sealed = world.kms("Encrypt", encrypt(&key, context.clone())).await;
        let body =
            json!({"CiphertextBlob": sealed["CiphertextBlob"], "EncryptionContext": context});
        assert_eq!(may(&world, &ann, "Decrypt", body).await, *expected, "{condition} {context}");
        let body = json!({"KeyId": key, "KeySpec": "AES_128", "EncryptionContext": context});
        assert_eq!(may(&world, &ann, "GenerateDataKey", body).await, *expected);
    }
}

#[tokio::test]
async fn encryption_context_values() {
    contexts(
        json!({"StringEquals": {"kms:EncryptionContext:Dept": "hr"}}),
        &[
            (json!({"Dept": "hr"}), true),
            // The name of a condition key has no case, its value has.
            (json!({"dept": "hr"}), true),
            (json!({"Dept": "hr", "more": "x"}), true),
            (json!({"Dept": "HR"}), false),
            (json!({"Dept": "hr "}), false),
            (json!({"Dept": ""}), false),
            (json!({}), false),
            (json!({"Department": "hr"}), false),
            (json!({"hr": "Dept"}), false),
        ],
    )
    .await;
    contexts(
        json!({"StringLike": {"kms:EncryptionContext:app": ["web-*", "db"]}}),
        &[
            (json!({"app": "web-1"}), true),
            (json!({"app": "db"}), true),
            (json!({"app": "db2"}), false),
            (json!({"app": "web"}), false),
            (json!({"app": "web-*"}), true),
        ],
    )
    .await;
}

#[tokio::test]
async fn encryption_context_keys() {
    contexts(
        json!({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["a", "b"]},
            "Null": {"kms:EncryptionContextKeys": "false"}}),
        &[
            (json!({"a": "1"}), true),
            (json!({"a": "1", "b": "2"}), true),
            (json!({"a": "1", "c": "2"}), false),
            (json!({"A": "1"}), false),
            (json!({}), false),
        ],
    )
    .await;
    contexts(
        json!({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "a"}}),
        &[
            (json!({"a": "1"}), true),
            (json!({"b": "1", "a": ""}), true),
            (json!({"b": "a"}), false),
            (json!({}), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_callers_account() {
    let world = World::new().await;
    let statement = |account: &str| {
        when(
            json!({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}),
            json!({"StringEquals": {"kms:CallerAccount": account}}),
        )
    };
    let (ours, theirs) = (world.root.clone(), world.other_root());
    for (account, expected) in
        [(ACCOUNT, [true, false]), (&theirs.account, [false, true]), ("111122223334", [false; 2])]
    {
        let key = world.key_with_policy(policy(&[statement(account)])).await;
        for (who, expected) in [&ours, &theirs].into_iter().zip(expected) {
            let got = may(&world, who, "Encrypt", encrypt(&key, json!({}))).await;
            assert_eq!(got, expected, "{account}");
        }
    }
}

#[tokio::test]
async fn a_key_only_for_secrets_manager() {
    let world = World::new().await;
    let key = world.key().await;
    let via = |service: &str| {
        policy(&[
            json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*",
                "Condition": {"StringEquals": {"kms:ViaService": service}}}),
        ])
    };
    let right = world.user("right", via("secretsmanager.eu-west-1.amazonaws.com")).await;
    let wrong = world.user("wrong", via("secretsmanager.us-east-1.amazonaws.com")).await;
    let create = |name: &str| {
        json!({"Name": name, "SecretString": "v", "KmsKeyId": key,
            "ClientRequestToken": token(name.len())})
    };
    let outcome = world.call_as(&wrong, "secretsmanager", "CreateSecret", create("w")).await;
    assert!(outcome.is_err());
    world.call_as(&right, "secretsmanager", "CreateSecret", create("r")).await.unwrap();
    let read = json!({"SecretId": "r"});
    let answer = world.call_as(&right, "secretsmanager", "GetSecretValue", read.clone()).await;
    assert_eq!(answer.unwrap()["SecretString"], "v");
    assert!(world.call_as(&wrong, "secretsmanager", "GetSecretValue", read).await.is_err());
    let events = world.events();
    let inner = events.iter().rfind(|e| e.event_name == "Decrypt" && e.error_code.is_none());
    let inner = inner.expect("the call that Secrets Manager made");
    let service = Some("secretsmanager.amazonaws.com");
    assert_eq!(inner.user_identity.invoked_by.as_deref(), service);
    assert_eq!(inner.user_identity.arn.as_deref(), Some(user_arn("right").as_str()));
    // Directly, neither may touch the key.
    for who in [&right, &wrong] {
        assert!(!may(&world, who, "Encrypt", encrypt(&key, json!({}))).await);
        let body = json!({"KeyId": key, "KeySpec": "AES_256"});
        assert!(!may(&world, who, "GenerateDataKey", body).await);
    }
}

#[tokio::test]
async fn the_alias_that_was_asked_for_and_those_there_are() {
    let world = World::new().await;
    let (key, bare) = (world.key().await, world.key().await);
    for name in ["alias/app", "alias/other"] {
        world.kms("CreateAlias", json!({"AliasName": name, "TargetKeyId": key})).await;
    }
    let on = |condition: Value| {
        policy(&[when(json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"}), condition)])
    };
    let request = json!({"StringEquals": {"kms:RequestAlias": "alias/app"}});
    let by_request = world.user("by-request", on(request)).await;
    let resource = json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/app"}});
    let by_resource = world.user("by-resource", on(resource)).await;
    let alias_arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/app");
    for (name, request, resource) in [
        ("alias/app", true, true),
        (alias_arn.as_str(), true, true),
        ("alias/other", false, true),
        (key.as_str(), false, true),
        (id_of(&key), false, true),
        (bare.as_str(), false, false),
    ] {
        let body = encrypt(name, json!({}));
        assert_eq!(may(&world, &by_request, "Encrypt", body.clone()).await, request, "{name}");
        assert_eq!(may(&world, &by_resource, "Encrypt", body).await, resource, "{name}");
    }
    // The ciphertext names the key, not the alias.
    let blob = world.hello("alias/app").await;
    let body = json!({"CiphertextBlob": blob});
    assert!(!may(&world, &by_request, "Decrypt", body.clone()).await);
    assert!(may(&world, &by_resource, "Decrypt", body).await);
    // Whoever takes the alias away takes the permission away.
    world.kms("DeleteAlias", json!({"AliasName": "alias/app"})).await;
    assert!(!may(&world, &by_resource, "Encrypt", encrypt(&key, json!({}))).await);
}

#[tokio::test]
async fn tags_of_the_key_and_of_the_request() {
    let world = World::new().await;
    let tag = |key: &str, value: &str| json!({"TagKey": key, "TagValue": value});
    let make = async |tags: Value| {
        let made = world.kms("CreateKey", json!({"Tags": tags})).await;
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    };
    let blue = make(json!([tag("team", "blue"), tag("x", "y")])).await;
    let red = make(json!([tag("team", "red")])).await;
    let shout = make(json!([tag("team", "BLUE")])).await;
    let plain = make(json!([])).await;
    let on = |condition: Value| {
        policy(&[when(json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"}), condition)])
    };
    let team = json!({"StringEquals": {"aws:ResourceTag/team": "blue"}});
    let ann = world.user("ann", on(team)).await;
    for (key, expected) in [(&blue, true), (&red, false), (&shout, false), (&plain, false)] {
        let got = may(&world, &ann, "Encrypt", encrypt(key, json!({}))).await;
        assert_eq!(got, expected, "{key}");
    }
    let untag = json!({"KeyId": blue, "TagKeys": ["team"]});
    assert!(may(&world, &ann, "UntagResource", untag.clone()).await);
    assert!(!may(&world, &ann, "Encrypt", encrypt(&blue, json!({}))).await);

    let rule = json!({"StringEquals": {"aws:RequestTag/team": "blue"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost"]}});
    let bob = world.user("bob", on(rule)).await;
    for (tags, expected) in [
        (json!([tag("team", "blue")]), true),
        (json!([tag("team", "blue"), tag("cost", "1")]), true),
        (json!([tag("team", "red")]), false),
        (json!([tag("cost", "1")]), false),
        (json!([tag("team", "blue"), tag("owner", "me")]), false),
    ] {
        let body = json!({"KeyId": plain, "Tags": tags});
        assert_eq!(may(&world, &bob, "TagResource", body).await, expected, "{tags}");
        assert_eq!(may(&world, &bob, "CreateKey", json!({"Tags": tags})).await, expected, "{tags}");
    }
    assert!(!may(&world, &bob, "CreateKey", json!({})).await);
    let keys = json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["cost"]},
        "Null": {"aws:TagKeys": "false"}});
    let eve = world.user("eve", on(keys)).await;
    for (names, expected) in [(json!(["cost"]), true), (json!(["cost", "team"]), false)] {
        let body = json!({"KeyId": plain, "TagKeys": names});
        assert_eq!(may(&world, &eve, "UntagResource", body).await, expected, "{names}");
    }
}

#[tokio::test]
async fn properties_of_the_key_and_the_request() {
    let world = World::new().await;
    let key = world.key().await;
    let on = |condition: Value| {
        policy(&[when(json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"}), condition)])
    };
    let encrypt = encrypt(&key, json!({}));
    let days = |n: i64| json!({"KeyId": key, "PendingWindowInDays": n});
    let least = json!({"NumericGreaterThanEquals":
        {"kms:ScheduleKeyDeletionPendingWindowInDays": "14"}});
    for (at, (condition, name, body, expected)) in [
        (json!({"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}), "Encrypt", &encrypt, true),
        (json!({"StringEquals": {"kms:KeySpec": "RSA_2048"}}), "Encrypt", &encrypt, false),
        (
            json!({"StringEquals": {"kms:KeyUsage": "ENCRYPT_DECRYPT"}}),
            "CreateKey",
            &json!({}),
            true,
        ),
        (json!({"StringEquals": {"kms:KeyUsage": "SIGN_VERIFY"}}), "CreateKey", &json!({}), false),
        (json!({"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}}), "Encrypt", &encrypt, true),
        (json!({"StringEquals": {"kms:KeyOrigin": "EXTERNAL"}}), "Encrypt", &encrypt, false),
        (json!({"Bool": {"kms:MultiRegion": "false"}}), "Encrypt", &encrypt, true),
        (json!({"Bool": {"kms:MultiRegion": "true"}}), "Encrypt", &encrypt, false),
        (
            json!({"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}),
            "Encrypt",
            &encrypt,
            true,
        ),
        (
            json!({"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}),
            "DescribeKey",
            &json!({"KeyId": key}),
            false,
        ),
        (json!({"StringEquals": {"aws:RequestedRegion": REGION}}), "Encrypt", &encrypt, true),
        (json!({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}), "Encrypt", &encrypt, false),
        (
            json!({"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:01Z"}}),
            "Encrypt",
            &encrypt,
            true,
        ),
        (
            json!({"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}),
            "Encrypt",
            &encrypt,
            false,
        ),
        (json!({"StringEquals": {"aws:ResourceAccount": ACCOUNT}}), "Encrypt", &encrypt, true),
        (least.clone(), "ScheduleKeyDeletion", &days(13), false),
        (least, "ScheduleKeyDeletion", &days(14), true),
    ]
    .into_iter()
    .enumerate()
    {
        let who = world.user(&format!("u{at}"), on(condition.clone())).await;
        assert_eq!(may(&world, &who, name, body.clone()).await, expected, "{name} {condition}");
    }
}

/// Condition keys have no case, the names of an encryption context have: of two that differ in case
/// only, neither covers for the other.
#[tokio::test]
async fn names_that_differ_in_case_must_both_fit() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let theirs = |effect: &str, operator: &str| {
        let condition = json!({operator: {"kms:EncryptionContext:Dept": "hr"}});
        when(statement(effect, &user_arn("ann"), "kms:*"), condition)
    };
    let all = statement("Allow", &user_arn("ann"), "kms:*");
    let (same, mixed, other) = (
        json!({"Dept": "hr", "dept": "hr"}),
        json!({"Dept": "it", "dept": "hr"}),
        json!({"Dept": "it", "dept": "it"}),
    );
    for (statements, expected) in [
        (vec![theirs("Allow", "StringEquals")], [true, false, false]),
        (vec![theirs("Allow", "StringNotEquals")], [false, false, true]),
        (vec![all.clone(), theirs("Deny", "StringEquals")], [false, false, true]),
        (vec![all, theirs("Deny", "StringNotEquals")], [true, false, false]),
    ] {
        let key = world.key_with_policy(policy(&statements)).await;
        for (context, expected) in [&same, &mixed, &other].into_iter().zip(expected) {
            let got = may(&world, &ann, "Encrypt", encrypt(&key, context.clone())).await;
            assert_eq!(got, expected, "{context} {statements:?}");
        }
    }
}

/// Tags whose names differ in case only are one condition key with two values: neither may speak for
/// the other.
#[tokio::test]
async fn a_second_spelling_of_a_tag_gets_past_no_condition() {
    let world = World::new().await;
    let only_dev = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["kms:CreateKey", "kms:TagResource", "kms:PutKeyPolicy"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestTag/Env": "dev"}}
        }]
    });
    let who = world.user("ann", only_dev).await;
    let tags = |pairs: &[(&str, &str)]| -> Value {
        let tags = pairs.iter().map(|(k, v)| json!({"TagKey": k, "TagValue": v}));
        json!({"Tags": tags.collect::<Vec<_>>(), "BypassPolicyLockoutSafetyCheck": true})
    };
    world.call_as(&who, "kms", "CreateKey", tags(&[("Env", "dev")])).await.unwrap();
    for pairs in [[("Env", "prod"), ("env", "dev")], [("Env", "dev"), ("env", "prod")]] {
        let refused = world.call_as(&who, "kms", "CreateKey", tags(&pairs)).await.unwrap_err();
        assert_eq!(refused.code, "AccessDeniedException", "{pairs:?}");
    }
}

/// A Deny for whoever does not come through a service holds for a direct call.
#[tokio::test]
async fn a_direct_call_is_known_as_one() {
    let world = World::new().await;
    let key = world.key().await;
    for condition in ["aws:ViaAWSService", "aws:PrincipalIsAWSService"] {
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {
                    "Effect": "Deny", "Action": "kms:*", "Resource": "*",
                    "Condition": {"Bool": {condition: "false"}}
                }
            ]
        });
        let name = condition.rsplit(':').next().unwrap();
        let who = world.user(name, policy).await;
        let refused = world.call_as(&who, "kms", "DescribeKey", json!({"KeyId": key})).await;
        assert_eq!(refused.unwrap_err().code, "AccessDeniedException", "{condition}");
    }
}

/// Who guards tagged users guards them from taking over.
#[tokio::test]
async fn the_tags_of_users_count() {
    let world = World::new().await;
    let tagged = json!({"UserName": "boss", "Tags": [{"Key": "tier", "Value": "admin"}]});
    world.call("iam", "CreateUser", tagged.clone()).await.unwrap();
    world.call("iam", "CreateUser", json!({"UserName": "bob"})).await.unwrap();
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "iam:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "iam:TagUser", "Resource": "*"},
            {
                "Effect": "Deny", "Action": "iam:CreateAccessKey", "Resource": "*",
                "Condition": {"StringEquals": {"aws:ResourceTag/tier": "admin"}}
            }
        ]
    });
    let helper = world.user("helper", policy).await;
    let key_for = |name: &str| json!({"UserName": name});
    world.call_as(&helper, "iam", "CreateAccessKey", key_for("bob")).await.unwrap();
    let refused = world.call_as(&helper, "iam", "CreateAccessKey", key_for("boss")).await;
    assert_eq!(refused.unwrap_err().code, "AccessDenied");
    let refused = world.call_as(&helper, "iam", "CreateUser", tagged).await;
    assert_eq!(refused.unwrap_err().code, "AccessDenied");
}
