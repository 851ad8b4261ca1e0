//! Errors that one operation has, or a few.
use super::refused;
use crate::kms::subject::{HELLO, Kind, Subject, with, wrap};
use crate::support::{delegate, policy};
use crate::world::{Failed, OTHER_REGION, World};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::{Value, json};

const DAY: i64 = 86_400;

pub async fn produce(operation: &str, error: &str) -> Option<Failed> {
    let named = ["CreateGrant", "ListGrants", "ListRetirableGrants"].contains(&operation);
    // Nothing makes the first; the second is about principals here.
    if error == "KeyUnavailableException" || error == "InvalidArnException" && !named {
        return None;
    }
    let world = match (operation, error) {
        ("CreateGrant", "LimitExceededException") => {
            World::with_quotas("[resources]\ngrants_per_key = 1").await
        }
        _ => World::new().await,
    };
    let Some(kind) = Kind::of(operation) else {
        let body = without_key(operation, error)?;
        return Some(refused(&world, operation, body).await);
    };
    let subject = Subject::used(&world, operation, json!({})).await;
    let more = match error {
        "UnsupportedOperationException" => unsupported(&world, operation, kind).await?,
        "LimitExceededException" => too_many(&world, operation, &subject).await?,
        "TagException" if operation != "UntagResource" => {
            json!({"Tags": [{"TagKey": "aws:a", "TagValue": "b"}]})
        }
        "MalformedPolicyDocumentException" => json!({"Policy": "{}"}),
        "InvalidArnException" => json!({"GranteePrincipal": "nobody"}),
        "InvalidCiphertextException" | "IncorrectKeyException" => {
            wrong_blob(&world, operation, error).await?
        }
        _ => special(&world, operation, error, &subject).await?,
    };
    Some(refused(&world, operation, with(subject.body(operation), more)).await)
}

fn without_key(operation: &str, error: &str) -> Option<Value> {
    Some(match (operation, error) {
        ("CreateKey", "MalformedPolicyDocumentException") => json!({"Policy": "{}"}),
        ("CreateKey", "TagException") => {
            let tag = json!({"TagKey": "a", "TagValue": "b"});
            json!({"Tags": [tag, tag]})
        }
        ("CreateKey", "UnsupportedOperationException") => {
            json!({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"})
        }
        ("CreateKey", "LimitExceededException") => json!({"Policy": long_policy()}),
        ("ListRetirableGrants", "InvalidArnException") => {
            json!({"RetiringPrincipal": "arn:aws:iam::111122223333:user/absent"})
        }
        _ => return None,
    })
}

/// Good in every other way. AWS: a key policy has at most 32 KiB.
fn long_policy() -> String {
    format!("{}{}", policy(&[delegate()]), " ".repeat(32 * 1024))
}

async fn unsupported(world: &World, operation: &str, kind: Kind) -> Option<Value> {
    let key = match (operation, kind) {
        ("GenerateDataKeyPair" | "GenerateDataKeyPairWithoutPlaintext", _) => {
            return Some(json!({"KeyPairSpec": "SM2"}));
        }
        // Keys of services: their policies let nobody put another.
        ("PutKeyPolicy", _) => return None,
        // Rotation is for symmetric keys.
        (_, Kind::Symmetric) => world.key_of("HMAC_256", "GENERATE_VERIFY_MAC").await,
        // No public key, no imported material, one region.
        _ => world.key().await,
    };
    Some(json!({"KeyId": key}))
}

async fn too_many(world: &World, operation: &str, subject: &Subject) -> Option<Value> {
    let key = &subject.key;
    match operation {
        "CreateGrant" => drop(world.kms(operation, subject.body(operation)).await),
        "CreateAlias" | "UpdateAlias" => {
            // It has one.
            for n in 1..50 {
                let body = json!({"AliasName": format!("alias/a{n}"), "TargetKeyId": key});
                world.kms("CreateAlias", body).await;
            }
        }
        "PutKeyPolicy" | "ReplicateKey" => return Some(json!({"Policy": long_policy()})),
        "RotateKeyOnDemand" => {
            for _ in 0..25 {
                world.kms(operation, json!({"KeyId": key})).await;
            }
        }
        "TagResource" => {
            let tag = |n: usize| json!({"TagKey": format!("k{n}"), "TagValue": ""});
            let tags: Vec<Value> = (0..50).map(tag).collect();
            world.kms(operation, json!({"KeyId": key, "Tags": tags})).await;
        }
        _ => return None,
    }
    Some(json!({}))
}

async fn wrong_blob(world: &World, operation: &str, error: &str) -> Option<Value> {
    let elsewhere = world.key().await;
    Some(match (operation, error) {
        ("Decrypt", "IncorrectKeyException") => json!({"KeyId": elsewhere}),
        ("ReEncrypt", "IncorrectKeyException") => json!({"SourceKeyId": elsewhere}),
        ("Decrypt", _) => json!({"EncryptionContext": {"another": "context"}}),
        ("ReEncrypt", _) => json!({"SourceEncryptionContext": {"another": "context"}}),
        ("Decapsulate", _) => json!({"SharedSecretCiphertextBlob": B64.encode([7; 1087])}),
        ("ImportKeyMaterial", _) => json!({"EncryptedKeyMaterial": B64.encode([7; 256])}),
        _ => return None,
    })
}

async fn special(world: &World, operation: &str, error: &str, subject: &Subject) -> Option<Value> {
    Some(match (operation, error) {
        ("CreateAlias", "AlreadyExistsException") => json!({"AliasName": subject.alias}),
        ("CreateAlias", "InvalidAliasNameException") => json!({"AliasName": "alias/"}),
        ("ReplicateKey", "AlreadyExistsException") => {
            subject.replicate(world).await;
            json!({"ReplicaRegion": OTHER_REGION})
        }
        ("Verify", "KMSInvalidSignatureException") => json!({"Signature": HELLO}),
        ("VerifyMac", "KMSInvalidMacException") => json!({"Mac": HELLO}),
        ("RotateKeyOnDemand", "ConflictException") => {
            world.rotate_every(&subject.key, 90).await;
            world.advance(90 * DAY - 600).await;
            json!({})
        }
        ("ImportKeyMaterial", "InvalidImportTokenException") => json!({"ImportToken": HELLO}),
        ("ImportKeyMaterial", "ExpiredImportTokenException") => {
            world.advance(DAY).await;
            json!({})
        }
        ("ImportKeyMaterial", "IncorrectKeyMaterialException") => {
            other_material(world, subject).await
        }
        _ => return None,
    })
}

/// Not the material that the key had before.
async fn other_material(world: &World, subject: &Subject) -> Value {
    let body = subject.body("GetParametersForImport");
    let given = world.kms("GetParametersForImport", body).await;
    let public = B64.decode(given["PublicKey"].as_str().unwrap()).unwrap();
    let wrapped = B64.encode(wrap(&public, &[8; 32]));
    json!({"ImportToken": given["ImportToken"], "EncryptedKeyMaterial": wrapped})
}
