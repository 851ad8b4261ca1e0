//! GenerateDataKey and GenerateDataKeyWithoutPlaintext.
use crate::support::{denied, failed, user_arn};
use crate::world::{World, allow};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn bytes(value: &Value) -> Vec<u8> {
    B64.decode(value.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn data_keys_have_the_length_asked_for_and_decrypt_back() {
    let world = World::new().await;
    let key = world.key().await;
    let mut seen = BTreeSet::new();
    for (wish, length) in [
        (json!({"KeySpec": "AES_256"}), 32),
        (json!({"KeySpec": "AES_128"}), 16),
        (json!({"NumberOfBytes": 1}), 1),
        (json!({"NumberOfBytes": 64}), 64),
        (json!({"NumberOfBytes": 1024}), 1024),
    ] {
        let mut body = wish.clone();
        body["KeyId"] = json!(key);
        body["EncryptionContext"] = json!({"a": "1"});
        let made = world.kms("GenerateDataKey", body.clone()).await;
        assert_eq!(bytes(&made["Plaintext"]).len(), length, "{wish}");
        assert_eq!(made["KeyId"], *key);
        assert_eq!(made["KeyMaterialId"].as_str().unwrap().len(), 64);
        let open = json!({"CiphertextBlob": made["CiphertextBlob"],
            "EncryptionContext": {"a": "1"}});
        assert_eq!(world.kms("Decrypt", open).await["Plaintext"], made["Plaintext"]);
        let open = json!({"CiphertextBlob": made["CiphertextBlob"]});
        assert_eq!(world.kms_fails("Decrypt", open).await.code, "InvalidCiphertextException");

        let hidden = world.kms("GenerateDataKeyWithoutPlaintext", body).await;
        assert!(hidden.get("Plaintext").is_none(), "{hidden}");
        let open = json!({"CiphertextBlob": hidden["CiphertextBlob"],
            "EncryptionContext": {"a": "1"}});
        let opened = world.kms("Decrypt", open).await;
        assert_eq!(bytes(&opened["Plaintext"]).len(), length, "{wish}");
        if length > 1 {
            assert!(seen.insert(bytes(&made["Plaintext"])));
            assert!(seen.insert(bytes(&opened["Plaintext"])));
        }
    }
}

#[tokio::test]
async fn exactly_one_wish_for_the_length() {
    let world = World::new().await;
    let key = world.key().await;
    let either = "Please specify either number of bytes or key spec.";
    let one = "1 validation error detected: ";
    let range = |n: i64, rule: &str| {
        format!(
            "{one}Value '{n}' at 'numberOfBytes' failed to satisfy constraint: Member must have \
             value {rule}"
        )
    };
    for name in ["GenerateDataKey", "GenerateDataKeyWithoutPlaintext"] {
        for (wish, text) in [
            (json!({}), either.to_owned()),
            (json!({"KeySpec": "AES_256", "NumberOfBytes": 32}), either.to_owned()),
            (json!({"NumberOfBytes": 0}), range(0, "greater than or equal to 1")),
            (json!({"NumberOfBytes": 1025}), range(1025, "less than or equal to 1024")),
            (
                json!({"KeySpec": "AES_512"}),
                format!(
                    "{one}Value 'AES_512' at 'keySpec' failed to satisfy constraint: Member must \
                     satisfy enum value set: [AES_256, AES_128]"
                ),
            ),
        ] {
            let mut body = wish.clone();
            body["KeyId"] = json!(key);
            let refused = world.kms_fails(name, body).await;
            assert_eq!(refused, failed("ValidationException", text), "{name} {wish}");
        }
    }
}

#[tokio::test]
async fn each_needs_its_own_permission() {
    let world = World::new().await;
    let key = world.key().await;
    let (plain, hidden) = ("GenerateDataKey", "GenerateDataKeyWithoutPlaintext");
    let ann = world.user("ann", allow(&["kms:GenerateDataKey"])).await;
    let bob = world.user("bob", allow(&["kms:GenerateDataKeyWithoutPlaintext"])).await;
    let body = json!({"KeyId": key, "KeySpec": "AES_256"});
    for (who, name, may, not) in [(&ann, "ann", plain, hidden), (&bob, "bob", hidden, plain)] {
        world.kms_as(who, may, body.clone()).await;
        let action = format!("kms:{not}");
        let why =
            format!("resource: {key} because no identity-based policy allows the {action} action");
        let refused = world.kms_fails_as(who, not, body.clone()).await;
        assert_eq!(refused, denied(&user_arn(name), &action, &why));
    }
}
