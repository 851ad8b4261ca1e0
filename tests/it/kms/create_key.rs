//! CreateKey: what a key is when nothing is asked, what may be asked, and what is refused.
use crate::support::{denied, failed, id_of, policy, user_arn};
use crate::world::{ACCOUNT, NOW_SECS, OTHER_ACCOUNT, REGION, World, allow};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_key_without_wishes_is_what_aws_recorded() {
    let world = World::new().await;
    let made = world.kms("CreateKey", json!({})).await;
    let key = &made["KeyMetadata"];
    let id = key["KeyId"].as_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().to_string(), id);
    let material = key["CurrentKeyMaterialId"].as_str().unwrap();
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    assert!(material.len() == 64 && material.chars().all(hex), "{material}");
    assert_eq!(key["CreationDate"].as_f64(), Some(NOW_SECS as f64));
    let expected = json!({
        "AWSAccountId": ACCOUNT,
        "Arn": format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{id}"),
        "CreationDate": key["CreationDate"],
        "CurrentKeyMaterialId": material,
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "Description": "",
        "Enabled": true,
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "KeyId": id,
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": false,
        "Origin": "AWS_KMS",
    });
    assert_eq!(made, json!({"KeyMetadata": expected}));
    assert_eq!(world.kms("DescribeKey", json!({"KeyId": id})).await, made);
}

#[tokio::test]
async fn the_defaults_may_be_said_aloud() {
    let world = World::new().await;
    let body = json!({
        "Description": "for tests", "KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT",
        "Origin": "AWS_KMS", "MultiRegion": false,
        "Tags": [{"TagKey": "Dept", "TagValue": "hr"}, {"TagKey": "empty", "TagValue": ""}],
    });
    let made = world.kms("CreateKey", body).await;
    assert_eq!(made["KeyMetadata"]["Description"], "for tests");
    let tags = world.kms("ListResourceTags", json!({"KeyId": made["KeyMetadata"]["KeyId"]})).await;
    let expected = json!({"Tags": [{"TagKey": "Dept", "TagValue": "hr"},
        {"TagKey": "empty", "TagValue": ""}], "Truncated": false});
    assert_eq!(tags, expected);
    let old = json!({"CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"});
    let old = world.kms("CreateKey", old).await;
    assert_eq!(old["KeyMetadata"]["KeySpec"], "SYMMETRIC_DEFAULT");
}

#[tokio::test]
async fn what_is_not_served_is_refused_by_its_name() {
    let world = World::new().await;
    let usage =
        "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.";
    for (body, code, text) in [
        (json!({"KeySpec": "RSA_2048"}), "ValidationException", usage),
        (json!({"CustomerMasterKeySpec": "HMAC_256"}), "ValidationException", usage),
        (
            json!({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}),
            "UnsupportedOperationException",
            "KeySpec SM2 is not supported.",
        ),
        (
            json!({"KeySpec": "RSA_2048", "KeyUsage": "KEY_AGREEMENT"}),
            "ValidationException",
            "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048",
        ),
        (
            json!({"KeyUsage": "SIGN_VERIFY"}),
            "ValidationException",
            "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
        ),
        (
            json!({"KeyUsage": "KEY_AGREEMENT", "KeySpec": "SYMMETRIC_DEFAULT"}),
            "ValidationException",
            "KeyUsage KEY_AGREEMENT is not compatible with KeySpec SYMMETRIC_DEFAULT",
        ),
        (
            json!({"Origin": "EXTERNAL_KEY_STORE", "XksKeyId": "x"}),
            "ValidationException",
            "Origin EXTERNAL_KEY_STORE needs a CustomKeyStoreId.",
        ),
        (
            json!({"Origin": "EXTERNAL", "XksKeyId": "x"}),
            "ValidationException",
            "XksKeyId is only for keys in an external key store.",
        ),
        (
            json!({"CustomKeyStoreId": "cks-1234567890abcdef0"}),
            "ValidationException",
            "A key in a custom key store has the Origin AWS_CLOUDHSM or EXTERNAL_KEY_STORE.",
        ),
        (
            json!({"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1234567890abcdef0"}),
            "CustomKeyStoreNotFoundException",
            "The custom key store cks-1234567890abcdef0 was not found.",
        ),
        (
            json!({"KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"}),
            "ValidationException",
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request.",
        ),
    ] {
        assert_eq!(world.kms_fails("CreateKey", body.clone()).await, failed(code, text), "{body}");
    }
    let refused = world.kms_fails("CreateKey", json!({"KeyUsage": "FOO"})).await;
    assert_eq!(
        refused,
        failed(
            "ValidationException",
            "1 validation error detected: Value 'FOO' at 'keyUsage' failed to satisfy constraint: \
             Member must satisfy enum value set: [SIGN_VERIFY, ENCRYPT_DECRYPT, \
             GENERATE_VERIFY_MAC, KEY_AGREEMENT, ENCAPSULATE_DECAPSULATE]"
        )
    );
    assert_eq!(world.kms("ListKeys", json!({})).await["Keys"], json!([]));
}

#[tokio::test]
async fn a_policy_that_locks_its_writer_out_needs_the_bypass() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let statement = |who: &str, actions: &[&str]| json!({"Effect": "Allow", "Principal": {"AWS": who}, "Action": actions, "Resource": "*"});
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let lockout = failed(
        "MalformedPolicyDocumentException",
        "The new key policy will not allow you to update the key policy in the future.",
    );
    for statements in [
        vec![statement(&user_arn("ann"), &["kms:Encrypt"])],
        vec![statement(&root, &["kms:GetKeyPolicy"])],
        vec![statement(OTHER_ACCOUNT, &["kms:*"])],
    ] {
        let body = json!({"Policy": policy(&statements).to_string()});
        assert_eq!(world.kms_fails_as(&ann, "CreateKey", body.clone()).await, lockout, "{body}");
        assert_eq!(world.kms_fails("CreateKey", body.clone()).await, lockout, "{body}");
        let mut bypassed = body;
        bypassed["BypassPolicyLockoutSafetyCheck"] = json!(true);
        world.kms_as(&ann, "CreateKey", bypassed).await;
    }
    for statements in [
        vec![statement(&user_arn("ann"), &["kms:PutKeyPolicy"])],
        vec![statement(&root, &["kms:*"])],
    ] {
        world.kms_as(&ann, "CreateKey", json!({"Policy": policy(&statements).to_string()})).await;
    }
}

#[tokio::test]
async fn malformed_policies_and_strange_principals_are_refused() {
    let world = World::new().await;
    world.user("ann", allow(&["kms:*"])).await;
    let naming = |who: Value| {
        let root = format!("arn:aws:iam::{ACCOUNT}:root");
        policy(&[
            json!({"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*",
                "Resource": "*"}),
            json!({"Effect": "Allow", "Principal": {"AWS": who}, "Action": "kms:Encrypt",
                "Resource": "*"}),
        ])
        .to_string()
    };
    world.kms("CreateKey", json!({"Policy": naming(json!(user_arn("ann")))})).await;
    for who in [
        user_arn("bob"),
        user_arn("path/ann"),
        "arn:aws:iam::999999999999:root".to_owned(),
        "999999999999".to_owned(),
        format!("arn:aws:iam::{OTHER_ACCOUNT}:user/ann"),
        format!("arn:aws:iam::{ACCOUNT}:role/worker"),
    ] {
        let refused = world.kms_fails("CreateKey", json!({"Policy": naming(json!(who))})).await;
        let text = "Policy contains a statement with one or more invalid principals.";
        assert_eq!(refused, failed("MalformedPolicyDocumentException", text), "{who}");
    }
    let all = json!({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"});
    let open = policy(std::slice::from_ref(&all)).to_string();
    let broken = [
        "nothing".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        policy(&[]).to_string(),
        policy(&[json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"})]).to_string(),
        open.replace("Allow", "allow"),
        open.replace("2012-10-17", "2012-10-18"),
        open.replace("kms:*", "kms"),
        open.replace("Resource", "Resourse"),
        format!("{open}x"),
    ];
    for text in broken {
        let refused = world.kms_fails("CreateKey", json!({"Policy": text})).await;
        assert_eq!(refused.code, "MalformedPolicyDocumentException", "{text}: {refused:?}");
    }
    let long = open + &" ".repeat(32_768);
    let refused = world.kms_fails("CreateKey", json!({"Policy": long})).await;
    assert_eq!(refused.code, "LimitExceededException");
    assert_eq!(world.kms("ListKeys", json!({})).await["Keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn creating_and_tagging_are_two_permissions() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["kms:CreateKey"])).await;
    world.kms_as(&ann, "CreateKey", json!({})).await;
    let tagged = json!({"Tags": [{"TagKey": "a", "TagValue": "b"}]});
    let why = "resource: * because no identity-based policy allows the kms:TagResource action";
    assert_eq!(
        world.kms_fails_as(&ann, "CreateKey", tagged.clone()).await,
        denied(&user_arn("ann"), "kms:TagResource", why)
    );
    let bob = world.user("bob", allow(&["kms:TagResource"])).await;
    let why = "resource: * because no identity-based policy allows the kms:CreateKey action";
    for body in [json!({}), tagged] {
        assert_eq!(
            world.kms_fails_as(&bob, "CreateKey", body).await,
            denied(&user_arn("bob"), "kms:CreateKey", why)
        );
    }
}

#[tokio::test]
async fn key_ids_and_materials_are_unique_and_the_seed_decides_them() {
    let (one, two) = (World::seeded(7).await, World::seeded(7).await);
    let (mut ids, mut materials) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..100 {
        let made = one.kms("CreateKey", json!({})).await;
        assert_eq!(two.kms("CreateKey", json!({})).await, made);
        assert!(ids.insert(id_of(made["KeyMetadata"]["Arn"].as_str().unwrap()).to_owned()));
        assert!(materials.insert(made["KeyMetadata"]["CurrentKeyMaterialId"].to_string()));
    }
    let other = World::seeded(8).await;
    assert!(!ids.contains(id_of(&other.key().await)));
}
