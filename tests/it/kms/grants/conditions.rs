//! The condition keys of the operations on grants, each allowed and denied.
use super::{DENIED, attempt, body, granted, idle, with};
use crate::support::{policy, user_arn};
use crate::world::World;
use serde_json::{Value, json};

const SOURCE: &str = "arn:aws:rds:eu-west-1:111122223333:db:main";

/// Tries requests as a user whose only allow has this condition.
async fn check(action: &str, condition: Value, cases: &[(Value, bool)]) {
    let world = World::new().await;
    for name in ["ann", "bob"] {
        idle(&world, name).await;
    }
    let statement = json!({"Effect": "Allow", "Action": format!("kms:{action}"), "Resource": "*",
        "Condition": condition});
    let admin = world.user("admin", policy(&[statement])).await;
    for (more, may) in cases {
        let key = world.key().await;
        let base = match action {
            "CreateGrant" => body(&key, "ann", &["Decrypt"]),
            "ListGrants" => json!({"KeyId": key}),
            _ => {
                let retired = match more.get("Constraints") {
                    Some(constraints) => json!({"Constraints": constraints}),
                    None => json!({}),
                };
                let id = granted(&world, with(body(&key, "ann", &["Decrypt"]), retired)).await;
                json!({"KeyId": key, "GrantId": id})
            }
        };
        let body = if action == "CreateGrant" { with(base, more.clone()) } else { base };
        let outcome = attempt(&world, &admin, action, body).await;
        if *may {
            assert!(outcome.is_ok(), "{action} {condition} {more}: {outcome:?}");
        } else {
            assert_eq!(outcome, Err(DENIED.into()), "{action} {condition} {more}");
        }
    }
}

fn equals(key: &str, value: &str) -> Value {
    json!({"StringEquals": {key: value}})
}

#[tokio::test]
async fn parties() {
    let (ann, bob) = (user_arn("ann"), user_arn("bob"));
    let cases =
        [(json!({"GranteePrincipal": ann}), true), (json!({"GranteePrincipal": bob}), false)];
    check("CreateGrant", equals("kms:GranteePrincipal", &ann), &cases).await;
    let cases = [
        (json!({"RetiringPrincipal": bob}), true),
        (json!({"RetiringPrincipal": ann}), false),
        (json!({}), false),
    ];
    check("CreateGrant", equals("kms:RetiringPrincipal", &bob), &cases).await;
}

#[tokio::test]
async fn services() {
    let service = |name: &str, retiring: &str| {
        json!({"GranteePrincipal": null, "GranteeServicePrincipal": name,
            "RetiringServicePrincipal": retiring, "Constraints": {"SourceArn": SOURCE}})
    };
    let (rds, ebs) = ("rds.amazonaws.com", "ebs.amazonaws.com");
    let cases = [(service(rds, ebs), true), (service(ebs, rds), false), (json!({}), false)];
    check("CreateGrant", equals("kms:GranteeServicePrincipal", rds), &cases).await;
    check("CreateGrant", equals("kms:RetiringServicePrincipal", ebs), &cases).await;
}

#[tokio::test]
async fn operations() {
    let condition =
        json!({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt", "Encrypt"]}});
    let cases = [
        (json!({"Operations": ["Decrypt"]}), true),
        (json!({"Operations": ["Encrypt", "Decrypt"]}), true),
        (json!({"Operations": ["Decrypt", "GenerateDataKey"]}), false),
        (json!({"Operations": ["DescribeKey"]}), false),
    ];
    check("CreateGrant", condition, &cases).await;
}

#[tokio::test]
async fn constraints() {
    let subset = json!({"Constraints": {"EncryptionContextSubset": {"App": "x"}}});
    let exactly = json!({"Constraints": {"EncryptionContextEquals": {"App": "x"}}});
    let other = json!({"Constraints": {"EncryptionContextSubset": {"App": "y", "b": "z"}}});
    let source = json!({"Constraints": {"SourceArn": SOURCE}});
    let nothing = json!({"Constraints": {"EncryptionContextSubset": {}}});
    let none = json!({});
    for action in ["CreateGrant", "RetireGrant"] {
        for (condition, allowed, denied) in [
            (
                equals("kms:GrantConstraintType", "EncryptionContextSubset"),
                vec![&subset, &other],
                vec![&exactly, &source, &none, &nothing],
            ),
            (
                equals("kms:GrantConstraintType", "EncryptionContextEquals"),
                vec![&exactly],
                vec![&subset, &source, &none],
            ),
            (
                equals("kms:GrantConstraintType", "SourceArn"),
                vec![&source],
                vec![&subset, &exactly, &none],
            ),
            (equals("kms:GrantConstraintSourceArn", SOURCE), vec![&source], vec![&subset, &none]),
            (
                equals("kms:EncryptionContext:aPP", "x"),
                vec![&subset, &exactly],
                vec![&other, &source, &none],
            ),
            (
                json!({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "b"}}),
                vec![&other],
                vec![&subset, &exactly, &none],
            ),
        ] {
            let cases: Vec<(Value, bool)> = (allowed.into_iter().map(|case| (case.clone(), true)))
                .chain(denied.into_iter().map(|case| (case.clone(), false)))
                .collect();
            check(action, condition, &cases).await;
        }
    }
}

/// True only while a service calls for the user; a call of its own is not.
#[tokio::test]
async fn grants_for_services_only() {
    for action in ["CreateGrant", "ListGrants", "RevokeGrant"] {
        for (value, may) in [("true", false), ("false", true)] {
            let condition = json!({"Bool": {"kms:GrantIsForAWSResource": value}});
            check(action, condition, &[(json!({}), may)]).await;
        }
        let missing = json!({"Null": {"kms:GrantIsForAWSResource": "true"}});
        check(action, missing, &[(json!({}), false)]).await;
    }
}

#[tokio::test]
async fn what_holds_for_every_key() {
    for action in ["CreateGrant", "ListGrants", "RevokeGrant", "RetireGrant"] {
        for (key, good, bad) in [
            ("kms:CallerAccount", "111122223333", "444455556666"),
            ("kms:KeySpec", "SYMMETRIC_DEFAULT", "RSA_2048"),
            ("kms:KeyUsage", "ENCRYPT_DECRYPT", "SIGN_VERIFY"),
            ("kms:KeyOrigin", "AWS_KMS", "EXTERNAL"),
            ("kms:MultiRegion", "false", "true"),
        ] {
            check(action, equals(key, good), &[(json!({}), true)]).await;
            check(action, equals(key, bad), &[(json!({}), false)]).await;
        }
    }
}
