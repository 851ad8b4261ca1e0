//! The table: a condition key, an operation, and two requests or two policies that differ in it.
use crate::world::{ACCOUNT, NOW_SECS, OTHER_ACCOUNT, OTHER_REGION, REGION};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::{Value, json};

/// First what is allowed, then what is denied.
#[derive(Debug)]
pub struct Row {
    pub key: &'static str,
    pub operation: &'static str,
    pub policy: [Value; 2],
    /// How the key is made.
    pub creation: [Value; 2],
    /// What the request has besides.
    pub more: [Value; 2],
    /// The error of the request that is allowed, if it has one.
    pub answer: Option<&'static str>,
}

const SOURCE: &str = "arn:aws:rds:eu-west-1:111122223333:db:main";

fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

/// One policy, two requests.
fn request(
    (key, operator, value): (&'static str, &str, Value),
    operation: &'static str,
    more: [Value; 2],
) -> Row {
    let policy = json!({operator: {key: value}});
    let creation = [json!({}), json!({})];
    Row { key, operation, policy: [policy.clone(), policy], creation, more, answer: None }
}

/// One policy, two keys.
fn key(condition: (&'static str, &str, Value), creation: [Value; 2]) -> Row {
    let row = request(condition, "DescribeKey", [json!({}), json!({})]);
    Row { creation, ..row }
}

/// One request, two policies.
fn policy(
    key: &'static str,
    operator: &str,
    operation: &'static str,
    values: [&str; 2],
    more: Value,
) -> Row {
    let policy = values.map(|value| json!({operator: {key: value}}));
    let creation = [json!({}), json!({})];
    Row { key, operation, policy, creation, more: [more.clone(), more], answer: None }
}

pub fn rows() -> Vec<Row> {
    let mut rows = of_keys();
    rows.extend(of_cryptography());
    rows.extend(of_contexts());
    rows.extend(of_grants());
    rows.extend(of_management());
    rows.extend(of_tags());
    rows
}

/// What CreateKey asks for and other operations find.
fn of_keys() -> Vec<Row> {
    let mac = json!({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"});
    let plain = json!({});
    let mut rows = Vec::new();
    for (name, operator, value, one, other) in [
        ("kms:KeySpec", "StringEquals", "HMAC_256", &mac, &plain),
        ("kms:KeyUsage", "StringEquals", "GENERATE_VERIFY_MAC", &mac, &plain),
        ("kms:CustomerMasterKeySpec", "StringEquals", "HMAC_256", &mac, &plain),
        ("kms:CustomerMasterKeyUsage", "StringEquals", "ENCRYPT_DECRYPT", &plain, &mac),
        ("kms:KeyOrigin", "StringEquals", "EXTERNAL", &json!({"Origin": "EXTERNAL"}), &plain),
        ("kms:MultiRegion", "Bool", "true", &json!({"MultiRegion": true}), &plain),
        ("kms:MultiRegion", "Bool", "false", &plain, &json!({"MultiRegion": true})),
        (
            "kms:MultiRegionKeyType",
            "StringEquals",
            "PRIMARY",
            &json!({"MultiRegion": true}),
            &plain,
        ),
    ] {
        let both = || [one.clone(), other.clone()];
        rows.push(request((name, operator, json!(value)), "CreateKey", both()));
        rows.push(key((name, operator, json!(value)), both()));
    }
    let accounts = [ACCOUNT, OTHER_ACCOUNT];
    for operation in ["CreateKey", "DescribeKey", "DescribeCustomKeyStores"] {
        let name = "kms:CallerAccount";
        rows.push(policy(name, "StringEquals", operation, accounts, json!({})));
    }
    // Every key of these tests has one alias.
    for operation in ["DescribeKey", "Encrypt", "Sign", "DisableKey"] {
        let (name, operator) = ("kms:ResourceAliases", "ForAnyValue:StringLike");
        rows.push(policy(name, operator, operation, ["alias/*", "alias/other/*"], json!({})));
    }
    rows
}

fn of_cryptography() -> Vec<Row> {
    let is = "StringEquals";
    let symmetric = ["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_256"];
    let mut rows = Vec::new();
    for operation in [
        "Decrypt",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncrypt",
    ] {
        rows.push(policy("kms:EncryptionAlgorithm", is, operation, symmetric, json!({})));
    }
    for operation in ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"] {
        let specs = ["ECC_NIST_P256", "ECC_NIST_P384"];
        rows.push(policy("kms:DataKeyPairSpec", is, operation, specs, json!({})));
    }
    let digest = json!({"MessageType": "DIGEST", "Message": B64.encode([7; 32])});
    for operation in ["Sign", "Verify"] {
        let algorithms = ["ECDSA_SHA_256", "ECDSA_SHA_384"];
        rows.push(policy("kms:SigningAlgorithm", is, operation, algorithms, json!({})));
        let raw = ("kms:MessageType", is, json!("RAW"));
        rows.push(request(raw, operation, [json!({}), digest.clone()]));
    }
    for operation in ["GenerateMac", "VerifyMac"] {
        let algorithms = ["HMAC_SHA_256", "HMAC_SHA_512"];
        rows.push(policy("kms:MacAlgorithm", is, operation, algorithms, json!({})));
    }
    let agreement = ["ECDH", "X25519"];
    rows.push(policy("kms:KeyAgreementAlgorithm", is, "DeriveSharedSecret", agreement, json!({})));
    for operation in ["Encapsulate", "Decapsulate"] {
        let algorithms = ["ML_KEM", "RSA_KEM"];
        rows.push(policy("kms:EncapsulationAlgorithm", is, operation, algorithms, json!({})));
    }
    let name = "kms:ReEncryptOnSameKey";
    rows.push(policy(name, "Bool", "ReEncrypt", ["true", "false"], json!({})));
    for operation in [
        "Decapsulate",
        "Decrypt",
        "DeriveSharedSecret",
        "DescribeKey",
        "Encapsulate",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateMac",
        "GetPublicKey",
        "ReEncrypt",
        "Sign",
        "Verify",
        "VerifyMac",
    ] {
        let by_alias = match operation {
            "ReEncrypt" => json!({"SourceKeyId": "$alias", "DestinationKeyId": "$alias"}),
            _ => json!({"KeyId": "$alias"}),
        };
        let condition = ("kms:RequestAlias", "StringLike", json!("alias/*"));
        rows.push(request(condition, operation, [by_alias, json!({})]));
    }
    rows
}

fn of_contexts() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, operator, value, other) in [
        // The name without regard to case, the value with.
        ("kms:EncryptionContext:sTAGE", "StringEquals", "live", json!({"Stage": "Live"})),
        (
            "kms:EncryptionContextKeys",
            "ForAnyValue:StringEquals",
            "Stage",
            json!({"stage": "live"}),
        ),
    ] {
        let context = json!({"Stage": "live"});
        let condition = || (name, operator, json!(value));
        for operation in [
            "Decrypt",
            "Encrypt",
            "GenerateDataKey",
            "GenerateDataKeyPair",
            "GenerateDataKeyPairWithoutPlaintext",
            "GenerateDataKeyWithoutPlaintext",
            "ReEncrypt",
        ] {
            let more = |context: &Value| match operation {
                "ReEncrypt" => json!({"SourceEncryptionContext": context,
                    "DestinationEncryptionContext": context}),
                _ => json!({"EncryptionContext": context}),
            };
            // These ciphertexts were made without a context.
            let opens = ["Decrypt", "ReEncrypt"].contains(&operation);
            let answer = opens.then_some("InvalidCiphertextException");
            for denied in [more(&other), json!({})] {
                let row = request(condition(), operation, [more(&context), denied]);
                rows.push(Row { answer, ..row });
            }
        }
        let more = |context: &Value| {
            json!({"Operations": ["Decrypt"],
            "Constraints": {"EncryptionContextSubset": context}})
        };
        rows.push(request(condition(), "CreateGrant", [more(&context), more(&other)]));
    }
    rows
}

fn of_grants() -> Vec<Row> {
    let is = "StringEquals";
    let (own, other) = (root(ACCOUNT), root(OTHER_ACCOUNT));
    let service = |grantee: &str, retiring: &str| {
        json!({"GranteePrincipal": null, "GranteeServicePrincipal": grantee,
            "RetiringServicePrincipal": retiring, "Constraints": {"SourceArn": SOURCE},
            "Operations": ["Decrypt"]})
    };
    let (rds, ebs) = ("rds.amazonaws.com", "ebs.amazonaws.com");
    let constrained =
        |what: &str| json!({"Operations": ["Decrypt"], "Constraints": {what: {"a": "b"}}});
    let source = |arn: &str| json!({"Operations": ["Decrypt"], "Constraints": {"SourceArn": arn}});
    let another = "arn:aws:rds:eu-west-1:111122223333:db:other";
    let cases = [
        ("kms:GranteePrincipal", json!(own), json!({}), json!({"GranteePrincipal": other})),
        ("kms:RetiringPrincipal", json!(own), json!({"RetiringPrincipal": own}), json!({})),
        ("kms:GranteeServicePrincipal", json!(rds), service(rds, ebs), service(ebs, rds)),
        ("kms:RetiringServicePrincipal", json!(ebs), service(rds, ebs), service(ebs, rds)),
        (
            "kms:GrantConstraintType",
            json!("EncryptionContextSubset"),
            constrained("EncryptionContextSubset"),
            constrained("EncryptionContextEquals"),
        ),
        ("kms:GrantConstraintType", json!("SourceArn"), source(SOURCE), json!({})),
        ("kms:GrantConstraintSourceArn", json!(SOURCE), source(SOURCE), source(another)),
    ];
    let mut rows: Vec<Row> = cases
        .into_iter()
        .map(|(name, value, good, bad)| request((name, is, value), "CreateGrant", [good, bad]))
        .collect();
    let operations = ("kms:GrantOperations", "ForAllValues:StringEquals", json!(["DescribeKey"]));
    let more = json!({"Operations": ["DescribeKey", "Encrypt"]});
    rows.push(request(operations, "CreateGrant", [json!({}), more]));
    for operation in ["CreateGrant", "ListGrants", "RevokeGrant"] {
        let name = "kms:GrantIsForAWSResource";
        rows.push(policy(name, "Bool", operation, ["false", "true"], json!({})));
    }
    rows
}

fn of_management() -> Vec<Row> {
    let is = "StringEquals";
    let bypass = json!({"BypassPolicyLockoutSafetyCheck": true});
    let mut rows = Vec::new();
    for operation in ["CreateKey", "PutKeyPolicy"] {
        let condition = ("kms:BypassPolicyLockoutSafetyCheck", "Bool", json!("true"));
        rows.push(request(condition, operation, [bypass.clone(), json!({})]));
    }
    // That they could not put another is not what these rows are about.
    for operation in ["GetKeyPolicy", "PutKeyPolicy"] {
        rows.push(policy("kms:PolicyName", is, operation, ["default", "AWS_RAM"], bypass.clone()));
    }
    rows.push(request(
        ("kms:ExpirationModel", is, json!("KEY_MATERIAL_DOES_NOT_EXPIRE")),
        "ImportKeyMaterial",
        [json!({}), json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": NOW_SECS + 60})],
    ));
    let until = |seconds: i64| json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": NOW_SECS + seconds});
    rows.push(request(
        ("kms:ValidTo", "DateLessThan", json!("2026-01-02T00:00:00Z")),
        "ImportKeyMaterial",
        [until(86_399), until(86_400)],
    ));
    let operation = "GetParametersForImport";
    let sha1 = json!({"WrappingAlgorithm": "RSAES_OAEP_SHA_1"});
    let condition = ("kms:WrappingAlgorithm", is, json!("RSAES_OAEP_SHA_256"));
    rows.push(request(condition, operation, [json!({}), sha1]));
    let larger = json!({"WrappingKeySpec": "RSA_3072"});
    let condition = ("kms:WrappingKeySpec", is, json!("RSA_2048"));
    rows.push(request(condition, operation, [json!({}), larger]));
    let regions = [OTHER_REGION, REGION];
    rows.push(policy("kms:PrimaryRegion", is, "UpdatePrimaryRegion", regions, json!({})));
    rows.push(policy("kms:ReplicaRegion", is, "ReplicateKey", regions, json!({})));
    rows.push(request(
        ("kms:RotationPeriodInDays", "NumericLessThanEquals", json!("180")),
        "EnableKeyRotation",
        [json!({"RotationPeriodInDays": 180}), json!({})],
    ));
    rows.push(request(
        ("kms:ScheduleKeyDeletionPendingWindowInDays", "NumericGreaterThan", json!("7")),
        "ScheduleKeyDeletion",
        [json!({}), json!({"PendingWindowInDays": 7})],
    ));
    for operation in ["DisableKey", "ScheduleKeyDeletion"] {
        let (name, days) = ("kms:TrailingDaysWithoutKeyUsage", ["0", "1"]);
        rows.push(policy(name, "NumericGreaterThanEquals", operation, days, json!({})));
    }
    rows
}

fn of_tags() -> Vec<Row> {
    let is = "StringEquals";
    let tags = |name: &str, value: &str| json!({"Tags": [{"TagKey": name, "TagValue": value}]});
    let (good, bad) = (tags("Team", "blue"), tags("Team", "red"));
    let named = "ForAllValues:StringEquals";
    vec![
        request(("aws:RequestTag/Team", is, json!("blue")), "TagResource", [good.clone(), bad]),
        key(("aws:ResourceTag/Team", is, json!("blue")), [good, json!({})]),
        request(
            ("aws:TagKeys", named, json!(["Team"])),
            "TagResource",
            [tags("Team", "x"), tags("Other", "x")],
        ),
        request(
            ("aws:TagKeys", named, json!(["Team"])),
            "UntagResource",
            [json!({"TagKeys": ["Team"]}), json!({"TagKeys": ["Team", "Other"]})],
        ),
    ]
}
