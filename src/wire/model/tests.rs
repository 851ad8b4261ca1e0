//! The check against the models themselves: AWS's wording, every bound of every member, hostile
//! bodies. The rules by themselves are tested where they are.
use super::{Kind, Model, Rejection, Shape};
use serde_json::{Value, json};
use std::sync::LazyLock;

static KMS: LazyLock<Model> =
    LazyLock::new(|| Model::parse(include_str!("../../../models/kms.json")));
static SECRETS: LazyLock<Model> =
    LazyLock::new(|| Model::parse(include_str!("../../../models/secretsmanager.json")));
static STS: LazyLock<Model> =
    LazyLock::new(|| Model::parse(include_str!("../../../models/sts.json")));
static IAM: LazyLock<Model> =
    LazyLock::new(|| Model::parse(include_str!("../../../models/iam.json")));

fn raw(model: &Model, operation: &str, body: &[u8]) -> Result<(), Rejection> {
    model.operation(operation).unwrap().check(body)
}

fn check(model: &Model, operation: &str, body: &Value) -> Result<(), Rejection> {
    raw(model, operation, body.to_string().as_bytes())
}

#[track_caller]
fn invalid(model: &Model, operation: &str, body: &Value, expected: &str) {
    assert_eq!(check(model, operation, body), Err(Rejection::Invalid(expected.to_owned())));
}

#[track_caller]
fn malformed(operation: &str, body: &str, expected: &str) {
    let expected = Err(Rejection::Malformed(expected.to_owned()));
    assert_eq!(raw(&KMS, operation, body.as_bytes()), expected, "{body}");
}

#[test]
fn every_sample_passes_its_own_check() {
    for model in [&KMS, &SECRETS, &STS, &IAM] {
        for operation in model.operations() {
            let sample = operation.sample_input().to_string();
            assert_eq!(operation.check(sample.as_bytes()), Ok(()), "{} {sample}", operation.name());
        }
    }
}

#[test]
fn outputs_have_samples_and_sensitive_ones_the_marker() {
    for model in [&KMS, &SECRETS, &STS, &IAM] {
        for operation in model.operations() {
            let sample = operation.sample_output().to_string();
            let checked = super::check::check(operation.output(), sample.as_bytes());
            assert_eq!(checked, Ok(()), "{} {sample}", operation.name());
            let secret = !operation.output().sensitive_paths().is_empty();
            assert_eq!(sample.contains(super::MARKER), secret, "{}", operation.name());
        }
    }
    let of = |model: &Model, name| model.operation(name).unwrap().output().sensitive_paths();
    assert_eq!(of(&STS, "AssumeRole"), ["Credentials.SecretAccessKey"]);
    assert_eq!(of(&KMS, "Decrypt"), ["Plaintext"]);
    assert_eq!(
        of(&SECRETS, "BatchGetSecretValue"),
        ["SecretValues.SecretBinary", "SecretValues.SecretString"]
    );
}

#[test]
fn what_the_model_says_of_the_service() {
    assert_eq!(&*KMS.metadata().target_prefix, "TrentService");
    assert_eq!(&*STS.metadata().xml_namespace, "https://sts.amazonaws.com/doc/2011-06-15/");
    assert!(STS.operation("AssumeRoleWithSAML").unwrap().is_anonymous());
    assert!(!STS.operation("AssumeRole").unwrap().is_anonymous());
    assert!(KMS.operation("encrypt").is_none());
    let error = |model: &Model, name: &str| {
        let error = model.error(name).unwrap();
        (error.code.to_string(), error.status, error.message_member.map(|m| m.name()))
    };
    let conflict = error(&IAM, "DeleteConflictException");
    assert_eq!(conflict, ("DeleteConflict".into(), 409, Some("message")));
    let internal = error(&KMS, "KMSInternalException");
    assert_eq!(internal, ("KMSInternalException".into(), 500, Some("message")));
    assert_eq!(error(&SECRETS, "InvalidRequestException").2, Some("Message"));
    for model in [&KMS, &SECRETS, &STS, &IAM] {
        for name in model.operations().flat_map(|operation| operation.errors()) {
            assert!(model.error(name).is_some(), "{name}");
        }
    }
}

#[test]
fn aws_wording_of_one_error() {
    let enumeration = "1 validation error detected: Value 'FOO' at 'keyUsage' failed to satisfy \
        constraint: Member must satisfy enum value set: [SIGN_VERIFY, ENCRYPT_DECRYPT, \
        GENERATE_VERIFY_MAC, KEY_AGREEMENT, KEY_ENCAPSULATION]";
    let found = check(&KMS, "CreateKey", &json!({"KeyUsage": "FOO"})).unwrap_err().to_string();
    let (head, _) = enumeration.split_once('[').unwrap();
    assert!(found.starts_with(head), "{found}");
    invalid(
        &KMS,
        "Decrypt",
        &json!({"CiphertextBlob": "QUJD", "KeyId": ""}),
        "1 validation error detected: Value '' at 'keyId' failed to satisfy constraint: Member must \
         have length greater than or equal to 1",
    );
    invalid(
        &KMS,
        "GenerateRandom",
        &json!({"NumberOfBytes": 1025}),
        "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: \
         Member must have value less than or equal to 1024",
    );
    invalid(
        &KMS,
        "EnableKeyRotation",
        &json!({"KeyId": "k", "RotationPeriodInDays": 89}),
        "1 validation error detected: Value '89' at 'rotationPeriodInDays' failed to satisfy \
         constraint: Member must have value greater than or equal to 90",
    );
    invalid(
        &KMS,
        "CreateAlias",
        &json!({"AliasName": "alias/ä", "TargetKeyId": "k"}),
        "1 validation error detected: Value 'alias/ä' at 'aliasName' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
    );
    for absent in [json!({}), json!({"KeyId": null})] {
        invalid(
            &KMS,
            "DescribeKey",
            &absent,
            "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: \
             Member must not be null",
        );
    }
}

#[test]
fn blobs_and_what_is_sensitive_are_not_repeated() {
    let big = "QUJD".repeat(1366);
    invalid(
        &KMS,
        "Encrypt",
        &json!({"KeyId": "k", "Plaintext": big}),
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member \
         must have length less than or equal to 4096",
    );
    invalid(
        &SECRETS,
        "PutSecretValue",
        &json!({"SecretId": "s", "RotationToken": "top secret"}),
        "2 validation errors detected: Value at 'rotationToken' failed to satisfy constraint: \
         Member must have length greater than or equal to 36; Value at 'rotationToken' failed to \
         satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9\\-]+$",
    );
    let tokens = json!({"CiphertextBlob": "QUJD", "GrantTokens": ["", "usable"]});
    let text = check(&KMS, "Decrypt", &tokens).unwrap_err().to_string();
    assert!(text.contains("Value at 'grantTokens'") && !text.contains("usable"), "{text}");
}

#[test]
fn every_error_is_in_one_answer() {
    invalid(
        &KMS,
        "CreateAlias",
        &json!({"AliasName": ""}),
        "3 validation errors detected: Value '' at 'aliasName' failed to satisfy constraint: Member \
         must have length greater than or equal to 1; Value '' at 'aliasName' failed to satisfy \
         constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$; Value null \
         at 'targetKeyId' failed to satisfy constraint: Member must not be null",
    );
    invalid(
        &KMS,
        "TagResource",
        &json!({"KeyId": "k", "Tags": [{"TagKey": "a", "TagValue": ""}, {"TagKey": ""}]}),
        "2 validation errors detected: Value '' at 'tags.2.member.tagKey' failed to satisfy \
         constraint: Member must have length greater than or equal to 1; Value null at \
         'tags.2.member.tagValue' failed to satisfy constraint: Member must not be null",
    );
    let tags: Vec<_> = (0..100).map(|_| json!({"TagKey": "", "TagValue": ""})).collect();
    let text = check(&KMS, "TagResource", &json!({"KeyId": "k", "Tags": tags})).unwrap_err();
    assert!(text.to_string().starts_with("20 validation errors detected: "));
}

#[test]
fn elements_of_a_list_are_judged_together() {
    invalid(
        &SECRETS,
        "UntagResource",
        &json!({"SecretId": "s", "TagKeys": ["a", "", null]}),
        "1 validation error detected: Value '[a, , null]' at 'tagKeys' failed to satisfy \
         constraint: Member must satisfy constraint: [Member must have length less than or equal \
         to 128, Member must have length greater than or equal to 1, Member must not be null]",
    );
    let text = check(&KMS, "CreateGrant", &json!({"KeyId": "k", "Operations": ["Decrypt", "Fly"]}));
    let text = text.unwrap_err().to_string();
    assert!(text.starts_with(
        "1 validation error detected: Value '[Decrypt, Fly]' at 'operations' failed to satisfy \
         constraint: Member must satisfy constraint: [Member must satisfy enum value set: [Decrypt, "
    ));
    invalid(
        &KMS,
        "TagResource",
        &json!({"KeyId": "k", "Tags": [null]}),
        "1 validation error detected: Value null at 'tags.1.member' failed to satisfy constraint: \
         Member must not be null",
    );
    invalid(
        &KMS,
        "Encrypt",
        &json!({"KeyId": "k", "Plaintext": "QQ==", "EncryptionContext": {"a": null}}),
        "1 validation error detected: Value at 'encryptionContext' failed to satisfy constraint: \
         Map value must satisfy constraint: [Member must not be null]",
    );
}

#[test]
fn a_long_value_is_cut() {
    let text = check(&KMS, "DescribeKey", &json!({"KeyId": "é".repeat(100_000)})).unwrap_err();
    assert!(text.to_string().contains(&format!("Value '{}...' at 'keyId'", "é".repeat(1024))));
    let stages = vec!["x".repeat(300); 30];
    let body = json!({"SecretId": "s", "SecretString": "x", "VersionStages": stages});
    assert!(check(&SECRETS, "PutSecretValue", &body).unwrap_err().to_string().len() < 4000);
}

/// Every shape below `shape` with the JSON pointer to its place in the sample.
fn places<'m>(shape: &'m Shape, at: &str, sample: &Value, out: &mut Vec<(String, &'m Shape)>) {
    out.push((at.to_owned(), shape));
    let mut go = |step: &str, inner: &'m Shape| places(inner, &format!("{at}/{step}"), sample, out);
    match shape.kind() {
        Kind::Structure(members) => members.iter().for_each(|m| go(m.name(), m.shape())),
        Kind::List(element) => go("0", element),
        Kind::Map { value, .. } => {
            let map = sample.pointer(at).and_then(Value::as_object).unwrap();
            go(map.keys().next().unwrap(), value);
        }
        _ => {}
    }
}

/// A value of this shape that measures `n`.
fn sized(shape: &Shape, sample: &Value, n: i64) -> Option<Value> {
    let len = usize::try_from(n).ok();
    Some(match shape.kind() {
        Kind::Integer | Kind::Long => n.into(),
        Kind::String { .. } => "é".repeat(len?).into(),
        Kind::Blob => {
            use base64::{Engine, engine::general_purpose::STANDARD};
            STANDARD.encode(vec![7; len?]).into()
        }
        Kind::List(_) => vec![sample.as_array()?.first()?.clone(); len?].into(),
        _ => return None,
    })
}

#[test]
fn every_bound_of_every_member() {
    let mut tried = 0;
    for operation in KMS.operations().chain(SECRETS.operations()) {
        let sample = operation.sample_input();
        let mut all = Vec::new();
        places(operation.input(), "", &sample, &mut all);
        for (at, shape) in all {
            let measure =
                if matches!(shape.kind(), Kind::Integer | Kind::Long) { "value" } else { "length" };
            let bounds = [
                (shape.min, -1, format!("Member must have {measure} greater than or equal to ")),
                (shape.max, 1, format!("Member must have {measure} less than or equal to ")),
            ];
            for (bound, beyond, text) in bounds {
                let Some(bound) = bound else { continue };
                for n in [bound, bound + beyond] {
                    let mut body = sample.clone();
                    let Some(value) = sized(shape, sample.pointer(&at).unwrap(), n) else {
                        continue;
                    };
                    *body.pointer_mut(&at).unwrap() = value;
                    let found = operation.check(body.to_string().as_bytes());
                    let found = found.err().map(|e| e.to_string()).unwrap_or_default();
                    let where_ = format!("{}{at} {n}: {found}", operation.name());
                    // Elements of lists are told all their rules at once, whichever is broken.
                    let element = at.ends_with("/0") && shape.is_scalar();
                    let told = found.contains(&format!("{text}{bound}"));
                    let patterned = matches!(shape.kind(), Kind::String { pattern: Some(_), .. });
                    let enumerated =
                        matches!(shape.kind(), Kind::String { values, .. } if !values.is_empty());
                    if n != bound {
                        assert!(told, "{where_}");
                    } else if !(element && (patterned || enumerated)) {
                        assert!(!told, "{where_}");
                        assert!(patterned || enumerated || found.is_empty(), "{where_}");
                    }
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 700, "{tried}");
}

#[test]
fn what_is_not_one_object_is_malformed() {
    assert_eq!(raw(&KMS, "ListKeys", b""), Ok(()));
    assert_eq!(raw(&KMS, "ListKeys", b" {} "), Ok(()));
    for body in ["null", " ", "{", "{}x", "{}{}", "{\"Limit\":1,}", "\u{feff}{}", "{'Limit':1}"] {
        malformed("ListKeys", body, "");
    }
    malformed("ListKeys", "[]", "Start of list found where not expected");
    malformed("ListKeys", "[10,\"m\"]", "Start of list found where not expected");
    malformed("ListKeys", "1", "NUMBER_VALUE found where not expected");
    malformed("ListKeys", "\"{}\"", "STRING_VALUE found where not expected");
    assert!(raw(&KMS, "ListKeys", b"{\"Marker\":\"\xff\"}").is_err());
    assert!(raw(&KMS, "ListKeys", b"{\"Marker\":\"\\ud800\"}").is_err());
}

#[test]
fn another_type_than_the_models_is_malformed() {
    malformed("ListKeys", r#"{"Limit":"1"}"#, "STRING_VALUE cannot be converted to Integer");
    malformed("ListKeys", r#"{"Limit":true}"#, "TRUE_VALUE cannot be converted to Integer");
    malformed("ListKeys", r#"{"Limit":[]}"#, "Start of list found where not expected");
    malformed("ListKeys", r#"{"Limit":{}}"#, "Start of structure or map found where not expected");
    for number in ["1.5", "1.0", "1e2"] {
        let body = format!(r#"{{"Limit":{number}}}"#);
        malformed("ListKeys", &body, "DECIMAL_VALUE cannot be converted to Integer");
    }
    for number in ["2147483648", "-2147483649", "18446744073709551615"] {
        let body = format!(r#"{{"Limit":{number}}}"#);
        malformed("ListKeys", &body, "NUMBER_VALUE cannot be converted to Integer");
    }
    malformed("DescribeKey", r#"{"KeyId":1}"#, "NUMBER_VALUE cannot be converted to String");
    malformed("Decrypt", r#"{"DryRun":"true"}"#, "STRING_VALUE cannot be converted to Boolean");
    malformed("Decrypt", r#"{"Recipient":[]}"#, "Start of list found where not expected");
    malformed(
        "Decrypt",
        r#"{"EncryptionContext":{"a":1}}"#,
        "NUMBER_VALUE cannot be converted to String",
    );
    let moment = |text: &str| {
        let body = format!(
            r#"{{"KeyId":"k","ImportToken":"QQ==","EncryptedKeyMaterial":"QQ==","ValidTo":{text}}}"#
        );
        raw(&KMS, "ImportKeyMaterial", body.as_bytes()).is_ok()
    };
    assert!(moment("1754000000") && moment("1754000000.123") && moment("1.754E9"));
    assert!(!moment("\"2026-01-01T00:00:00Z\"") && !moment("1e20") && !moment("253402300800"));
}

#[test]
fn base64_has_one_form() {
    for bad in ["QUI", "QUJ=", "QU I=", "QUI=\\n", "QU-_", "="] {
        malformed("Decrypt", &format!(r#"{{"CiphertextBlob":"{bad}"}}"#), "Invalid base64");
    }
}

#[test]
fn duplicates_are_malformed() {
    for body in [
        r#"{"KeyId":"a","KeyId":"a"}"#,
        r#"{"KeyId":"a","Key\u0049d":"b"}"#,
        r#"{"KeyId":null,"KeyId":"b"}"#,
        r#"{"Nope":1,"Nope":2}"#,
        r#"{"EncryptionContext":{"a":"1","b":"2","a":"1"}}"#,
        r#"{"Recipient":{"KeyEncryptionAlgorithm":"x","KeyEncryptionAlgorithm":"x"}}"#,
    ] {
        malformed("Decrypt", body, "Duplicate member");
    }
    malformed("TagResource", r#"{"Tags":[{"TagKey":"a","TagKey":"a"}]}"#, "Duplicate member");
}

#[test]
fn the_unknown_is_ignored_but_must_be_json_and_shallow() {
    let body = r#"{"keyid":1,"Nope":{"a":[1,null,true,"x",-1,1.5],"a":{}},"__type":"x"}"#;
    assert_eq!(raw(&KMS, "ListKeys", body.as_bytes()), Ok(()));
    malformed("ListKeys", r#"{"Nope":[1,}"#, "");
    for (open, depth) in [("[", 40), ("{\"a\":", 40), ("[", 100_000), ("{\"a\":", 100_000)] {
        let body = format!("{{\"Nope\":{}", open.repeat(depth));
        malformed("ListKeys", &body, "The request is nested too deeply");
    }
    let nested = |depth| format!("{{\"Nope\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(raw(&KMS, "ListKeys", nested(31).as_bytes()), Ok(()));
    malformed("ListKeys", &nested(32), "The request is nested too deeply");
    let deep = "[".repeat(100_000);
    malformed("ListKeys", &deep, "Start of list found where not expected");
}

#[test]
fn noise_never_panics() {
    let mut state = 1u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below
    };
    let operations: Vec<_> = KMS.operations().chain(SECRETS.operations()).collect();
    let mut passed = 0;
    for _ in 0..30_000 {
        let operation = operations[next(operations.len())];
        let mut body = operation.sample_input().to_string().into_bytes();
        for _ in 0..=next(3) {
            let at = next(body.len());
            match next(3) {
                0 => body[at] = u8::try_from(next(256)).unwrap(),
                1 => body.insert(at, b"[]{}\":,0\\"[next(9)]),
                _ => _ = body.remove(at),
            }
        }
        passed += usize::from(operation.check(&body).is_ok());
    }
    assert!(passed > 0);
}
