//! Which KMS key a secret is under, whose permission that takes, and what its states do.
use super::{ALIAS, kms_denied, token};
use crate::support::{delegate, id_of, policy};
use crate::world::{ACCOUNT, OTHER_REGION, REGION, Someone, World, allow};
use serde_json::{Value, json};

#[tokio::test]
async fn the_default_key_is_made_on_first_use() {
    let world = World::new().await;
    world.sm("CreateSecret", json!({"Name": "none", "ClientRequestToken": token(1)})).await;
    assert_eq!(world.kms("ListKeys", json!({})).await["Keys"], json!([]));
    world.secret("a", "v").await;
    world.secret("b", "v").await;
    let keys = world.kms("ListKeys", json!({})).await;
    assert_eq!(keys["Keys"].as_array().unwrap().len(), 1);
    let key = world.kms("DescribeKey", json!({"KeyId": ALIAS})).await["KeyMetadata"].clone();
    assert_eq!((&key["KeyManager"], &key["Arn"]), (&json!("AWS"), &keys["Keys"][0]["KeyArn"]));
    let text = world.kms("GetKeyPolicy", json!({"KeyId": key["Arn"]})).await["Policy"].clone();
    let document: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    let expected = json!({"StringEquals": {
        "kms:ViaService": format!("secretsmanager.{REGION}.amazonaws.com"),
        "kms:CallerAccount": ACCOUNT,
    }});
    assert_eq!(document["Statement"][0]["Condition"], expected);
    // It has no name in a secret, and one of its own among the versions.
    assert_eq!(world.describe("a").await.get("KmsKeyId"), None);
    assert_eq!(world.versions("a").await[0]["KmsKeyIds"], json!(["DefaultEncryptionKey"]));
}

#[tokio::test]
async fn a_customer_key_by_any_of_its_names() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms("CreateAlias", json!({"AliasName": "alias/mine", "TargetKeyId": key})).await;
    let alias = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/mine");
    for (n, named) in [id_of(&key), &key, "alias/mine", &alias].into_iter().enumerate() {
        let from = world.events().len();
        let name = format!("s{n}");
        let arn = world.secret_under(&name, "v", named).await;
        assert_eq!(world.value(&name).await, "v");
        assert_eq!(world.describe(&name).await["KmsKeyId"], named);
        assert_eq!(world.versions(&name).await[0]["KmsKeyIds"], json!([key]));
        // The key is tried out both ways before it is used.
        let events = &world.events()[from..][..4];
        let seen: Vec<_> = events.iter().map(|event| event.event_name.as_str()).collect();
        assert_eq!(seen, ["GenerateDataKey", "Decrypt", "GenerateDataKey", "CreateSecret"]);
        for (event, version) in events.iter().zip(["RequestToValidateKeyAccess"; 2]) {
            let context = &event.request_parameters.as_ref().unwrap()["encryptionContext"];
            assert_eq!(*context, json!({"SecretARN": arn, "SecretVersionId": version}));
        }
    }
    let keys = world.kms("ListKeys", json!({})).await;
    assert_eq!(keys["Keys"].as_array().unwrap().len(), 1, "no default key was needed");
    // The default key's own names mean that there is no customer key.
    let default = format!("arn:aws:kms:{REGION}:{ACCOUNT}:{ALIAS}");
    for (n, named) in ["", ALIAS, &default].into_iter().enumerate() {
        let name = format!("d{n}");
        world.secret_under(&name, "v", named).await;
        assert_eq!(world.describe(&name).await.get("KmsKeyId"), None);
        assert_eq!(world.value(&name).await, "v");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_used_makes_no_secret() {
    let world = World::new().await;
    let (disabled, dying) = (world.key().await, world.key().await);
    world.kms("DisableKey", json!({"KeyId": disabled})).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": dying})).await;
    let there = world.call_in(&world.root, OTHER_REGION, "kms", "CreateKey", json!({})).await;
    let there = there.unwrap()["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let theirs = world.kms_as(&world.other_root(), "CreateKey", json!({})).await;
    let theirs = theirs["KeyMetadata"]["Arn"].as_str().unwrap();
    for (key, code) in [
        ("alias/none", "EncryptionFailure"),
        ("not a key", "EncryptionFailure"),
        (&disabled, "EncryptionFailure"),
        (&dying, "EncryptionFailure"),
        (&there, "EncryptionFailure"),
        (theirs, "AccessDeniedException"),
    ] {
        for value in [None, Some("hunter2")] {
            let mut body = json!({"Name": "a", "ClientRequestToken": token(1), "KmsKeyId": key});
            if let Some(value) = value {
                body["SecretString"] = json!(value);
            }
            let refused = world.sm_fails("CreateSecret", body).await;
            assert_eq!(refused.code, code, "{key}: {refused:?}");
            assert!(!refused.message.contains("hunter2"));
        }
    }
    assert_eq!(world.sm("ListSecrets", json!({})).await["SecretList"], json!([]));
}

#[tokio::test]
async fn a_secret_stands_and_falls_with_its_key() {
    let world = World::new().await;
    let key = world.key().await;
    world.secret_under("a", "v", &key).await;
    for (stop, go) in [("DisableKey", "EnableKey"), ("ScheduleKeyDeletion", "CancelKeyDeletion")] {
        world.kms(stop, json!({"KeyId": key})).await;
        let refused = world.sm_fails("GetSecretValue", json!({"SecretId": "a"})).await;
        assert_eq!(refused.code, "DecryptionFailure", "{stop}");
        assert!(refused.message.starts_with("Secrets Manager can't decrypt the secret value: "));
        let refused = world.sm_fails("PutSecretValue", super::version("a", 2, "w")).await;
        assert_eq!(refused.code, "EncryptionFailure", "{stop}");
        assert!(refused.message.starts_with("Secrets Manager can't encrypt the secret value: "));
        // What needs no value needs no key.
        assert_eq!(world.labels("a").await, "1:AWSCURRENT");
        world.kms(go, json!({"KeyId": key})).await;
        world.call("kms", "EnableKey", json!({"KeyId": key})).await.unwrap();
        assert_eq!(world.value("a").await, "v");
    }
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    world.advance(8 * super::DAY).await;
    let refused = world.sm_fails("GetSecretValue", json!({"SecretId": "a"})).await;
    // KMS does not say that a ciphertext's key once existed.
    assert_eq!(refused, kms_denied());
    world.sm("DeleteSecret", json!({"SecretId": "a", "ForceDeleteWithoutRecovery": true})).await;
}

/// What each of a secret's uses says of the caller's permission: read, write, create.
async fn uses(world: &World, who: &Someone, key: &str) -> [Result<(), crate::world::Failed>; 3] {
    let n = world.events().len();
    let name = format!("new{n}");
    let mut create = super::creation(&name, "v");
    create["KmsKeyId"] = json!(key);
    let mut outcomes = Vec::new();
    for (name, body) in [
        ("GetSecretValue", json!({"SecretId": "a"})),
        ("PutSecretValue", super::version("a", n + 10, "w")),
        ("CreateSecret", create),
    ] {
        outcomes.push(world.call_as(who, "secretsmanager", name, body).await.map(drop));
    }
    outcomes.try_into().unwrap()
}

#[tokio::test]
async fn a_customer_key_asks_for_the_callers_own_permission() {
    let world = World::new().await;
    let key = world.key().await;
    world.secret_under("a", "v", &key).await;
    let no = || Err(kms_denied());
    let via = |service: &str| {
        let name = format!("{service}.amazonaws.com");
        json!({"StringEquals": {"kms:ViaService": name}})
    };
    let here = format!("secretsmanager.{REGION}");
    let there = format!("secretsmanager.{OTHER_REGION}");
    let (read, write) = ("kms:Decrypt", "kms:GenerateDataKey");
    for (name, actions, condition, expected) in [
        ("none", vec![], json!({}), [no(), no(), no()]),
        ("reader", vec![read], json!({}), [Ok(()), no(), no()]),
        // Making a secret tries the key both ways.
        ("writer", vec![write], json!({}), [no(), Ok(()), no()]),
        ("both", vec![read, write], json!({}), [Ok(()), Ok(()), Ok(())]),
        ("here", vec![read, write], via(&here), [Ok(()), Ok(()), Ok(())]),
        ("there", vec![read, write], via(&there), [no(), no(), no()]),
        ("rds", vec![read, write], via(&format!("rds.{REGION}")), [no(), no(), no()]),
    ] {
        let mut statements =
            vec![json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})];
        if !actions.is_empty() {
            statements.push(json!({"Effect": "Allow", "Action": actions, "Resource": key,
                "Condition": condition}));
        }
        let who = world.user(name, policy(&statements)).await;
        assert_eq!(uses(&world, &who, &key).await, expected, "{name}");
        // Through Secrets Manager only means not directly.
        if name == "here" {
            let body = json!({"KeyId": key, "KeySpec": "AES_256"});
            let refused = world.kms_fails_as(&who, "GenerateDataKey", body).await;
            assert_eq!(refused.code, "AccessDeniedException");
        }
    }
    // The secret's permission comes first.
    let who = world.user("keysonly", allow(&["kms:*"])).await;
    let refused = world.sm_fails_as(&who, "GetSecretValue", json!({"SecretId": "a"})).await;
    assert!(refused.message.contains("secretsmanager:GetSecretValue"), "{refused:?}");
}

#[tokio::test]
async fn a_key_policy_may_ask_for_the_secret() {
    let world = World::new().await;
    let context = "arn:aws:secretsmanager:*:*:secret:good-??????";
    let only = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:GenerateDataKey",
        "Resource": "*",
        "Condition": {"StringNotLike": {"kms:EncryptionContext:SecretARN": context}}});
    let key = world.key_with_policy(policy(&[delegate(), only])).await;
    world.secret_under("good", "v", &key).await;
    assert_eq!(world.value("good").await, "v");
    let mut body = super::creation("bad", "v");
    body["KmsKeyId"] = json!(key);
    assert_eq!(world.sm_fails("CreateSecret", body).await, kms_denied());
}
