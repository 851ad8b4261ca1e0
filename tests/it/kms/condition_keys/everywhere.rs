//! What is known of every key and every caller is a condition of every operation on keys.
use super::DENIED;
use crate::kms::subject::{Kind, Subject};
use crate::support::policy;
use crate::world::{ACCOUNT, OTHER_ACCOUNT, Someone, World, table};
use serde_json::{Value, json};

/// ListAliases asks the account, RetireGrant the grant.
fn asks_the_key(operation: &str) -> bool {
    Kind::of(operation).is_some() && !["ListAliases", "RetireGrant"].contains(&operation)
}

/// The key's conditions as they are, and as they are not.
fn conditions(kind: Kind) -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    let (spec, usage) = match kind {
        Kind::Signer => ("ECC_NIST_P256", "SIGN_VERIFY"),
        Kind::Mac => ("HMAC_256", "GENERATE_VERIFY_MAC"),
        Kind::Agreement => ("ECC_NIST_P256", "KEY_AGREEMENT"),
        Kind::Capsule => ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
        _ => ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    };
    let origin = if kind == Kind::Imported { "EXTERNAL" } else { "AWS_KMS" };
    let (several, not) = match kind {
        Kind::Primary | Kind::Replicated => ("true", "false"),
        _ => ("false", "true"),
    };
    let is = "StringEquals";
    vec![
        ("kms:CallerAccount", is, ACCOUNT, OTHER_ACCOUNT),
        ("kms:KeySpec", is, spec, "RSA_4096"),
        ("kms:CustomerMasterKeySpec", is, spec, "RSA_4096"),
        ("kms:KeyUsage", is, usage, "none"),
        ("kms:CustomerMasterKeyUsage", is, usage, "none"),
        ("kms:KeyOrigin", is, origin, "AWS_CLOUDHSM"),
        ("kms:MultiRegion", "Bool", several, not),
        ("kms:ResourceAliases", "ForAnyValue:StringLike", "alias/*", "alias/other/*"),
    ]
}

/// Someone who may do everything with keys under this condition, and the rest of what operations ask
/// without one.
async fn conditioned(world: &World, name: &str, condition: Value) -> Someone {
    let statements = [
        json!({"Effect": "Allow", "Action": "kms:*", "Resource": "arn:aws:kms:*:*:key/*",
            "Condition": condition}),
        json!({"Effect": "Allow", "Action": "kms:*Alias", "Resource": "arn:aws:kms:*:*:alias/*"}),
        // In the replica's region.
        json!({"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*"}),
    ];
    world.user(name, policy(&statements)).await
}

#[tokio::test]
async fn every_operation_on_keys_knows_them() {
    let world = World::new().await;
    let (mut count, mut users) = (0, 0);
    for entry in table("kms").operations {
        let operation = entry.name;
        let Some(kind) = Kind::of(operation).filter(|_| asks_the_key(operation)) else { continue };
        let subject = Subject::used(&world, operation, json!({})).await;
        if operation == "CancelKeyDeletion" {
            world.kms("ScheduleKeyDeletion", json!({"KeyId": subject.key})).await;
        }
        let replica = format!("alias/{}", kind as u8);
        if kind == Kind::Replicated {
            // Both keys of the operation are asked.
            let key = subject.key.replace("eu-west-1", "us-east-1");
            let body = json!({"AliasName": replica, "TargetKeyId": key});
            let there = world.call_in(&world.root, "us-east-1", "kms", "CreateAlias", body).await;
            assert!(there.is_ok(), "{there:?}");
        }
        let body = subject.body(operation);
        let mut all = json!({"StringEquals": {}, "Bool": {}, "ForAnyValue:StringLike": {}});
        for (key, operator, is, is_not) in conditions(kind) {
            users += 1;
            let condition = json!({operator: {key: is_not}});
            let who = conditioned(&world, &format!("u{users}"), condition).await;
            let refused = world.kms_fails_as(&who, operation, body.clone()).await;
            assert_eq!(refused.code, DENIED, "{operation} with {key} {is_not}: {refused:?}");
            all[operator][key] = json!(is);
            count += 1;
        }
        users += 1;
        let who = conditioned(&world, &format!("u{users}"), all).await;
        world.kms_as(&who, operation, body).await;
    }
    assert_eq!(count, 44 * 8);
}

#[tokio::test]
async fn operations_on_key_stores_know_the_caller() {
    let world = World::new().await;
    let mut users = 0;
    for operation in [
        "ConnectCustomKeyStore",
        "CreateCustomKeyStore",
        "CreateKey",
        "DeleteCustomKeyStore",
        "DescribeCustomKeyStores",
        "DisconnectCustomKeyStore",
        "UpdateCustomKeyStore",
    ] {
        let name = format!("store{users}");
        let store = world.create_store(crate::kms::key_stores::public(&name)).await;
        if operation == "DisconnectCustomKeyStore" {
            world.kms("ConnectCustomKeyStore", json!({"CustomKeyStoreId": store})).await;
        }
        let body = match operation {
            "CreateCustomKeyStore" => crate::kms::key_stores::public("new"),
            "CreateKey" => json!({}),
            _ => json!({"CustomKeyStoreId": store}),
        };
        for (account, allowed) in [(OTHER_ACCOUNT, false), (ACCOUNT, true)] {
            users += 1;
            let condition = json!({"StringEquals": {"kms:CallerAccount": account}});
            let statement = json!({"Effect": "Allow", "Action": format!("kms:{operation}"),
                "Resource": "*", "Condition": condition});
            let who = world.user(&format!("u{users}"), policy(&[statement])).await;
            let outcome = world.call_as(&who, "kms", operation, body.clone()).await;
            let code = outcome.err().map(|error| error.code);
            assert_eq!(code.as_deref(), (!allowed).then_some(DENIED), "{operation}");
        }
    }
}
