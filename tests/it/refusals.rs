//! What holds for every operation of every service: whoever may do nothing is refused, and no body
//! whatever brings the server down.
use crate::support::{delegate, policy, token, user_arn};
use crate::world::{OTHER_REGION, Someone, World, allow};
use base64::{Engine, engine::general_purpose::STANDARD};
use claviger::api::SERVICES;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Somebody's public key, DER in base64.
const P256_PUBLIC: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9\
                           KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==";

/// Things for the operations to act on.
struct Things {
    key: String,
    blob: String,
    access_key: String,
    store: String,
    signer: String,
    mac_key: String,
    agreement: String,
    capsule: String,
    /// Of several regions: alone yet, and with a replica.
    primary: String,
    replicated: String,
    grant: String,
    /// Without material.
    external: String,
}

/// A request for an external key store with this name.
fn key_store(name: &str) -> Value {
    json!({
        "CustomKeyStoreName": name,
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyUriEndpoint": "https://proxy.example.com",
        "XksProxyUriPath": format!("/{name}/kms/xks/v1"),
        "XksProxyAuthenticationCredential":
            {"AccessKeyId": "A".repeat(20), "RawSecretAccessKey": "s".repeat(43)},
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
    })
}

async fn things(world: &World) -> Things {
    let key = world.key().await;
    let signer = world.key_of("ECC_NIST_P256", "SIGN_VERIFY").await;
    let mac_key = world.key_of("HMAC_256", "GENERATE_VERIFY_MAC").await;
    let agreement = world.key_of("ECC_NIST_P256", "KEY_AGREEMENT").await;
    let capsule = world.key_of("ML_KEM_768", "ENCAPSULATE_DECAPSULATE").await;
    let (primary, replicated) = (multi_region(world).await, multi_region(world).await);
    let body = json!({"KeyId": replicated, "ReplicaRegion": OTHER_REGION});
    world.kms("ReplicateKey", body).await;
    world.kms("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key})).await;
    let blob = world.hello(&key).await;
    for (at, name) in ["s", "deleted"].into_iter().enumerate() {
        let body = json!({"Name": name, "SecretString": "v", "ClientRequestToken": token(at)});
        world.call("secretsmanager", "CreateSecret", body).await.unwrap();
    }
    let body = json!({"SecretId": "deleted"});
    world.call("secretsmanager", "DeleteSecret", body).await.unwrap();
    let victim = world.user("victim", allow(&["s3:*"])).await;
    let store = world.kms("CreateCustomKeyStore", key_store("store")).await;
    let store = store["CustomKeyStoreId"].as_str().unwrap().to_owned();
    let access_key = victim.access_key_id;
    let body = json!({"KeyId": key, "GranteePrincipal": user_arn("victim"),
        "Operations": ["Decrypt"]});
    let grant = world.kms("CreateGrant", body).await["GrantId"].as_str().unwrap().to_owned();
    let external = world.kms("CreateKey", json!({"Origin": "EXTERNAL"})).await;
    let external = external["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    Things {
        key,
        blob,
        access_key,
        store,
        signer,
        mac_key,
        agreement,
        capsule,
        primary,
        replicated,
        grant,
        external,
    }
}

async fn multi_region(world: &World) -> String {
    let made = world.kms("CreateKey", json!({"MultiRegion": true})).await;
    made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

/// A request that root could make with success, or nearly so.
fn valid(service: &str, name: &str, things: &Things) -> Value {
    let Things { key, blob, access_key, store, signer, mac_key, agreement, capsule, .. } = things;
    let tags = json!([{"TagKey": "a", "TagValue": "b"}]);
    match (service, name) {
        ("kms", "CreateAlias") => json!({"AliasName": "alias/new", "TargetKeyId": key}),
        ("kms", "CreateCustomKeyStore") => key_store("new"),
        ("kms", "CreateGrant") => {
            json!({"KeyId": key, "GranteePrincipal": user_arn("victim"),
                "Operations": ["Encrypt"]})
        }
        ("kms", "CreateKey") => json!({"Tags": tags}),
        ("kms", "Decrypt") => json!({"CiphertextBlob": blob}),
        ("kms", "DeleteAlias") => json!({"AliasName": "alias/app"}),
        ("kms", "DeleteImportedKeyMaterial") => json!({"KeyId": things.external}),
        ("kms", "DescribeCustomKeyStores") => json!({}),
        ("kms", "Encrypt") => json!({"KeyId": key, "Plaintext": "aGVsbG8="}),
        ("kms", "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext") => {
            json!({"KeyId": key, "KeySpec": "AES_256"})
        }
        ("kms", "Decapsulate") => {
            let blob = STANDARD.encode([7; 1088]);
            json!({"KeyId": capsule, "SharedSecretCiphertextBlob": blob,
                "EncapsulationAlgorithm": "ML_KEM"})
        }
        ("kms", "DeriveSharedSecret") => {
            json!({"KeyId": agreement, "KeyAgreementAlgorithm": "ECDH", "PublicKey": P256_PUBLIC})
        }
        ("kms", "Encapsulate") => {
            json!({"KeyId": capsule, "EncapsulationAlgorithm": "ML_KEM"})
        }
        ("kms", "GenerateDataKeyPair" | "GenerateDataKeyPairWithoutPlaintext") => {
            json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"})
        }
        ("kms", "GenerateMac") => {
            json!({"KeyId": mac_key, "Message": "aGVsbG8=", "MacAlgorithm": "HMAC_SHA_256"})
        }
        ("kms", "GetPublicKey") => json!({"KeyId": signer}),
        ("kms", "Sign") => {
            json!({"KeyId": signer, "Message": "aGVsbG8=", "SigningAlgorithm": "ECDSA_SHA_256"})
        }
        ("kms", "UpdateKeyDescription") => json!({"KeyId": key, "Description": "d"}),
        ("kms", "Verify") => {
            json!({"KeyId": signer, "Message": "aGVsbG8=", "Signature": "aGVsbG8=",
                "SigningAlgorithm": "ECDSA_SHA_256"})
        }
        ("kms", "VerifyMac") => {
            json!({"KeyId": mac_key, "Message": "aGVsbG8=", "Mac": "aGVsbG8=",
                "MacAlgorithm": "HMAC_SHA_256"})
        }
        ("kms", "GenerateRandom") => json!({"NumberOfBytes": 8}),
        ("kms", "GetParametersForImport") => {
            json!({"KeyId": things.external, "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
                "WrappingKeySpec": "RSA_2048"})
        }
        ("kms", "ImportKeyMaterial") => {
            json!({"KeyId": things.external, "ImportToken": "dG9rZW4=",
                "EncryptedKeyMaterial": STANDARD.encode([7; 256]),
                "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"})
        }
        ("kms", "ListAliases" | "ListKeys") => json!({}),
        ("kms", "ListRetirableGrants") => json!({"RetiringPrincipal": user_arn("victim")}),
        ("kms", "RetireGrant" | "RevokeGrant") => json!({"KeyId": key, "GrantId": things.grant}),
        ("kms", "PutKeyPolicy") => {
            json!({"KeyId": key, "Policy": policy(&[delegate()]).to_string()})
        }
        ("kms", "ReEncrypt") => json!({"CiphertextBlob": blob, "DestinationKeyId": key}),
        ("kms", "ReplicateKey") => {
            json!({"KeyId": things.primary, "ReplicaRegion": OTHER_REGION, "Tags": tags})
        }
        ("kms", "UpdatePrimaryRegion") => {
            json!({"KeyId": things.replicated, "PrimaryRegion": OTHER_REGION})
        }
        ("kms", "TagResource") => json!({"KeyId": key, "Tags": tags}),
        ("kms", "UntagResource") => json!({"KeyId": key, "TagKeys": ["a"]}),
        (
            "kms",
            "ConnectCustomKeyStore" | "DeleteCustomKeyStore" | "DisconnectCustomKeyStore"
            | "UpdateCustomKeyStore",
        ) => json!({"CustomKeyStoreId": store}),
        ("kms", "UpdateAlias") => json!({"AliasName": "alias/app", "TargetKeyId": key}),
        ("kms", _) => json!({"KeyId": key}),
        ("secretsmanager", "CreateSecret") => {
            json!({"Name": "new", "SecretString": "v", "ClientRequestToken": token(7)})
        }
        ("secretsmanager", "ListSecrets") => json!({}),
        ("secretsmanager", "PutSecretValue") => {
            json!({"SecretId": "s", "SecretString": "w", "ClientRequestToken": token(8)})
        }
        ("secretsmanager", "RestoreSecret") => json!({"SecretId": "deleted"}),
        ("secretsmanager", "TagResource") => {
            json!({"SecretId": "s", "Tags": [{"Key": "a", "Value": "b"}]})
        }
        ("secretsmanager", "UntagResource") => json!({"SecretId": "s", "TagKeys": ["a"]}),
        ("secretsmanager", "UpdateSecret") => {
            json!({"SecretId": "s", "SecretString": "x", "ClientRequestToken": token(9)})
        }
        ("secretsmanager", _) => json!({"SecretId": "s"}),
        ("iam", "CreateUser") => json!({"UserName": "new"}),
        ("iam", "DeleteAccessKey") => json!({"UserName": "victim", "AccessKeyId": access_key}),
        ("iam", "UpdateAccessKey") => {
            json!({"UserName": "victim", "AccessKeyId": access_key, "Status": "Inactive"})
        }
        ("iam", "GetUserPolicy" | "DeleteUserPolicy") => {
            json!({"UserName": "victim", "PolicyName": "policy"})
        }
        ("iam", "PutUserPolicy") => {
            json!({"UserName": "victim", "PolicyName": "p",
                "PolicyDocument": allow(&["s3:*"]).to_string()})
        }
        ("iam", "ListUsers") => json!({}),
        ("iam", _) => json!({"UserName": "victim"}),
        _ => json!({}),
    }
}

#[tokio::test]
async fn whoever_may_do_nothing_is_refused_everywhere() {
    let world = World::new().await;
    let things = things(&world).await;
    let nobody = world.nobody().await;
    let before = world.events().len();
    let mut calls = 0;
    for service in SERVICES {
        for entry in service.operations {
            let body = valid(service.signing_name, entry.name, &things);
            let outcome =
                world.call_as(&nobody, service.signing_name, entry.name, body.clone()).await;
            calls += 1;
            if entry.name == "GetCallerIdentity" {
                assert!(outcome.is_ok());
                continue;
            }
            let error = outcome.expect_err(entry.name);
            assert!(
                ["AccessDenied", "AccessDeniedException"].contains(&error.code.as_str()),
                "{} {body}: {error:?}",
                entry.name
            );
            let event = world.last_event();
            assert_eq!(event.event_name, entry.name);
            assert_eq!(event.error_code, Some(error.code));
            assert_eq!(event.response_elements, None);
        }
    }
    // Each call left one event; a refused secret may also leave that of its key.
    assert!(world.events().len() - before >= calls);
    // Nothing changed: root can still do every one of them that the body is good for.
    assert_eq!(world.state(&things.key).await, "Enabled");
    let kept = world.kms("DescribeKey", json!({"KeyId": "alias/app"})).await;
    assert_eq!(kept["KeyMetadata"]["Arn"], things.key);
}

#[tokio::test]
async fn the_same_bodies_are_good_for_root() {
    for service in SERVICES {
        for entry in service.operations {
            let world = World::new().await;
            let things = things(&world).await;
            let body = valid(service.signing_name, entry.name, &things);
            let outcome = world.call(service.signing_name, entry.name, body.clone()).await;
            let Err(error) = outcome else { continue };
            let expected = match entry.name {
                "Verify" => "KMSInvalidSignatureException",
                "VerifyMac" => "KMSInvalidMacException",
                "CancelKeyDeletion" => "KMSInvalidStateException",
                "DeleteUser" => "DeleteConflict",
                "DisconnectCustomKeyStore" => "CustomKeyStoreInvalidStateException",
                "ImportKeyMaterial" => "InvalidImportTokenException",
                _ => panic!("{} {body}: {error:?}", entry.name),
            };
            assert_eq!(error.code, expected, "{}", entry.name);
        }
    }
}

/// Sends a body as root and as nobody. Whatever it is, the fault is the sender's.
async fn survive(world: &World, who: &[&Someone], service: &str, name: &str, body: &[u8]) {
    for who in who {
        if let Err(fault) = world.raw(who, service, name, body).await {
            let text = String::from_utf8_lossy(body);
            assert!(fault.status < 500, "{name} {text}: {fault:?}");
        }
    }
}

#[tokio::test]
async fn bodies_that_are_no_requests_are_refused() {
    let world = World::new().await;
    let nobody = world.nobody().await;
    let deep = "[".repeat(200) + &"]".repeat(200);
    let deep_object = "{\"a\":".repeat(200) + "1" + &"}".repeat(200);
    for service in SERVICES {
        for entry in service.operations {
            for body in [
                "{",
                "}",
                "[]",
                "null",
                "1",
                "\"x\"",
                "{}{}",
                "{\"a\"}",
                "{\"a\":}",
                "{'a':1}",
                "{\"a\":1,}",
                "\u{feff}{}",
                "{\"a\":\"\\ud800\"}",
                "{\"a\":1e999}",
                "NaN",
                deep.as_str(),
                deep_object.as_str(),
            ] {
                let outcome =
                    world.raw(&world.root, service.signing_name, entry.name, body.as_bytes()).await;
                let fault = outcome.expect_err(entry.name);
                let code = fault.code;
                assert!(
                    ["SerializationException", "MalformedInput"].contains(&code),
                    "{} {body}: {code}",
                    entry.name
                );
            }
            for body in [&b"\xff\xfe"[..], b"{\"a\":\"\xc3\x28\"}", b"\0", b"{\"\0\":0}", b" "] {
                let both = [&world.root, &nobody];
                survive(&world, &both, service.signing_name, entry.name, body).await;
            }
        }
    }
}

/// Values of every JSON type, in the place of each member.
fn strange() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("x"),
        json!("é\u{1f980}"),
        json!("a".repeat(70_000)),
        json!("../../etc"),
        json!("arn:"),
        json!("alias/"),
        json!([]),
        json!([null]),
        json!([[]]),
        json!([1]),
        json!(["", ""]),
        json!({}),
        json!({"": null}),
        json!({"a": {"b": []}}),
    ]
}

#[tokio::test]
async fn members_of_other_types_do_no_harm() {
    let world = World::new().await;
    let things = things(&world).await;
    let nobody = world.nobody().await;
    let both = [&world.root, &nobody];
    for service in SERVICES {
        let model = (service.model)();
        for entry in service.operations {
            let operation = model.operation(entry.name).unwrap();
            let sample = operation.sample_input();
            let (service, name) = (service.signing_name, entry.name);
            survive(&world, &both, service, name, sample.to_string().as_bytes()).await;
            for base in [sample.clone(), valid(service, name, &things)] {
                for member in operation.input().members() {
                    for value in strange() {
                        let mut body = base.clone();
                        body[member.name()] = value;
                        survive(&world, &both, service, name, body.to_string().as_bytes()).await;
                    }
                }
            }
        }
    }
    // Whatever root's requests did meanwhile, the server still serves.
    world.key().await;
}

/// The model as a file: its bounds are not part of the crate's interface.
fn model_file(service: &str) -> Value {
    let text = match service {
        "iam" => include_str!("../../models/iam.json"),
        "kms" => include_str!("../../models/kms.json"),
        "secretsmanager" => include_str!("../../models/secretsmanager.json"),
        "sts" => include_str!("../../models/sts.json"),
        other => panic!("no model of {other}"),
    };
    serde_json::from_str(text).unwrap()
}

/// A value of a shape with this length, or this number.
fn sized(shape: &Value, sample: &Value, n: i64) -> Option<Value> {
    let length = usize::try_from(n).ok();
    Some(match shape["type"].as_str()? {
        "string" => "a".repeat(length?).into(),
        "blob" => {
            use base64::{Engine, engine::general_purpose::STANDARD};
            STANDARD.encode(vec![b'a'; length?]).into()
        }
        "list" => Value::Array(vec![sample.get(0).cloned().unwrap_or(json!("a")); length?]),
        "map" => {
            let entry = sample.as_object()?.values().next()?.clone();
            let entries = (0..length?).map(|at| {
                let mut key = String::new();
                write!(key, "k{at}").unwrap();
                (key, entry.clone())
            });
            Value::Object(Map::from_iter(entries))
        }
        "integer" | "long" => n.into(),
        _ => return None,
    })
}

#[tokio::test]
async fn one_less_and_one_more_than_every_bound_of_the_models() {
    let world = World::new().await;
    let nobody = world.nobody().await;
    let mut bounds = 0;
    for service in SERVICES {
        let (model, file) = ((service.model)(), model_file(service.signing_name));
        for entry in service.operations {
            let sample = model.operation(entry.name).unwrap().sample_input();
            let members = file["operations"][entry.name]["input"].as_object().unwrap().clone();
            for (member, shape) in &members {
                for (bound, beyond) in [("min", -1), ("max", 1)] {
                    let Some(at) = shape.get(bound).and_then(Value::as_i64) else { continue };
                    for (n, breaks) in [(at, false), (at + beyond, true)] {
                        let Some(value) = sized(shape, &sample[member], n) else { continue };
                        let mut body = sample.clone();
                        body[member] = value;
                        let bytes = body.to_string();
                        let (service, name) = (service.signing_name, entry.name);
                        let who = [&world.root, &nobody];
                        survive(&world, &who, service, name, bytes.as_bytes()).await;
                        if breaks {
                            let outcome = world.raw(&nobody, service, name, bytes.as_bytes()).await;
                            let fault = outcome.expect_err(name);
                            let code = fault.code;
                            assert!(
                                code.starts_with("Validation"),
                                "{name} {member} {bound}: {fault:?}"
                            );
                            bounds += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(bounds > 150, "{bounds}");
}
