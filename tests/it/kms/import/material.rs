//! What is imported, for each key spec: that it is used, and that nothing else is taken for it.
use super::{OAEP, OVER_AES, SMALL, b64, bytes, generated, with};
use crate::support::failed;
use crate::world::{Someone, World};
use aws_lc_rs::hmac;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{
    AlgorithmSpec, ExpirationModelType, KeyState, OriginType, WrappingKeySpec,
};
use claviger::primitives::{
    EncryptionAlgorithm, KeySpec, MessageType, PrivateKey, SigningAlgorithm,
};
use serde_json::{Value, json};

#[tokio::test]
async fn an_unmodified_sdk_imports_uses_and_deletes() {
    let world = World::new().await;
    let kms = aws_sdk_kms::Client::new(&world.sdk(&world.root).await);
    let made = kms.create_key().origin(OriginType::External).send().await.unwrap();
    let metadata = made.key_metadata.unwrap();
    assert_eq!(metadata.key_state, Some(KeyState::PendingImport));
    let id = metadata.key_id;
    let given = kms
        .get_parameters_for_import()
        .key_id(&id)
        .wrapping_algorithm(AlgorithmSpec::RsaesOaepSha256)
        .wrapping_key_spec(WrappingKeySpec::Rsa2048)
        .send()
        .await
        .unwrap();
    let wrapped = super::wrap(OAEP, given.public_key.unwrap().as_ref(), &[3; 32]);
    let imported = kms
        .import_key_material()
        .key_id(&id)
        .import_token(given.import_token.unwrap())
        .encrypted_key_material(Blob::new(wrapped))
        .expiration_model(ExpirationModelType::KeyMaterialDoesNotExpire)
        .send()
        .await
        .unwrap();
    assert_eq!(imported.key_id, metadata.arn);
    let material = imported.key_material_id.unwrap();
    assert_eq!(material.len(), 64);
    let sealed = kms.encrypt().key_id(&id).plaintext(Blob::new("hello")).send().await.unwrap();
    let blob = sealed.ciphertext_blob.unwrap();
    let opened = kms.decrypt().ciphertext_blob(blob.clone()).send().await.unwrap();
    assert_eq!(opened.plaintext.unwrap().as_ref(), b"hello");
    assert_eq!(opened.key_material_id.as_ref(), Some(&material));
    let deleted = kms.delete_imported_key_material().key_id(&id).send().await.unwrap();
    assert_eq!((deleted.key_id, deleted.key_material_id), (metadata.arn, Some(material)));
    let refused = kms.decrypt().ciphertext_blob(blob).send().await.unwrap_err();
    assert!(refused.into_service_error().is_kms_invalid_state_exception());
}

#[tokio::test]
async fn a_symmetric_key_shows_what_it_has() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let before = world.metadata(&key).await;
    assert_eq!((&before["KeyState"], &before["Enabled"]), (&json!("PendingImport"), &json!(false)));
    for absent in ["ExpirationModel", "ValidTo", "CurrentKeyMaterialId"] {
        assert!(before.get(absent).is_none(), "{absent}");
    }
    let pending = failed("KMSInvalidStateException", format!("{key} is pending import."));
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    assert_eq!(world.kms_fails("Encrypt", body).await, pending);
    let imported = world.import(&key, &[1; 32]).await;
    assert_eq!(imported["KeyId"], *key);
    let after = world.metadata(&key).await;
    assert_eq!((&after["KeyState"], &after["Enabled"]), (&json!("Enabled"), &json!(true)));
    assert_eq!(after["ExpirationModel"], "KEY_MATERIAL_DOES_NOT_EXPIRE");
    assert_eq!(after["CurrentKeyMaterialId"], imported["KeyMaterialId"]);
    assert!(after.get("ValidTo").is_none());
    world.reopens(&world.hello(&key).await).await;
}

/// A key of this spec with this material.
async fn imported(world: &World, spec: KeySpec, usage: &str, material: &[u8]) -> String {
    let key = world.external(spec.as_str(), usage).await;
    let algorithm = if spec.is_rsa() || spec == KeySpec::EccNistP521 { OVER_AES } else { OAEP };
    let parameters = world.parameters(&key, algorithm, SMALL).await;
    let answer = world.kms("ImportKeyMaterial", parameters.body(&key, material)).await;
    // Only symmetric keys' materials have a name.
    assert_eq!(answer, json!({"KeyId": key}));
    assert!(world.metadata(&key).await.get("CurrentKeyMaterialId").is_none());
    key
}

#[tokio::test]
async fn an_imported_hmac_key_makes_the_macs_that_anybody_makes_with_it() {
    let world = World::new().await;
    for (spec, mac, hash, shortest) in [
        (KeySpec::Hmac224, "HMAC_SHA_224", hmac::HMAC_SHA224, 28),
        (KeySpec::Hmac256, "HMAC_SHA_256", hmac::HMAC_SHA256, 32),
        (KeySpec::Hmac384, "HMAC_SHA_384", hmac::HMAC_SHA384, 48),
        (KeySpec::Hmac512, "HMAC_SHA_512", hmac::HMAC_SHA512, 64),
    ] {
        // From as long as the spec says to 1024 bits.
        for length in [shortest, shortest + 1, 128] {
            let material: Vec<u8> = (0..length).collect();
            let key = imported(&world, spec, "GENERATE_VERIFY_MAC", &material).await;
            let body = json!({"KeyId": key, "Message": b64(b"hello"), "MacAlgorithm": mac});
            let made = bytes(&world.kms("GenerateMac", body).await["Mac"]);
            let expected = hmac::sign(&hmac::Key::new(hash, &material), b"hello");
            assert_eq!(made, expected.as_ref(), "{spec} {length}");
        }
        let key = world.external(spec.as_str(), "GENERATE_VERIFY_MAC").await;
        let parameters = world.oaep(&key).await;
        for length in [0, shortest - 1, 129] {
            let body = parameters.body(&key, &vec![9; usize::from(length)]);
            let refused = world.kms_fails("ImportKeyMaterial", body).await;
            assert_eq!(refused.code, "IncorrectKeyMaterialException", "{spec} {length}");
            assert_eq!(world.state(&key).await, "PendingImport");
        }
    }
}

#[tokio::test]
async fn an_imported_signing_key_signs_for_its_public_key() {
    use SigningAlgorithm::*;
    let world = World::new().await;
    for (spec, algorithm) in [
        (KeySpec::EccNistP256, EcdsaSha256),
        (KeySpec::EccNistP384, EcdsaSha384),
        (KeySpec::EccNistP521, EcdsaSha512),
        (KeySpec::EccSecgP256K1, EcdsaSha256),
        (KeySpec::EccNistEdwards25519, Ed25519Sha512),
        (KeySpec::Rsa2048, RsassaPssSha256),
        (KeySpec::Rsa3072, RsassaPkcs1V15Sha384),
        (KeySpec::Rsa4096, RsassaPssSha512),
    ] {
        let material = generated(spec);
        let here = PrivateKey::parse(spec, &material).unwrap();
        let key = imported(&world, spec, "SIGN_VERIFY", &material).await;
        let public = world.kms("GetPublicKey", json!({"KeyId": key})).await;
        assert_eq!(bytes(&public["PublicKey"]), here.public_key_der().unwrap(), "{spec}");
        let body = json!({
            "KeyId": key, "Message": b64(b"hello"), "SigningAlgorithm": algorithm.as_str(),
        });
        let signature = bytes(&world.kms("Sign", body).await["Signature"]);
        let verified = here.verify(algorithm, MessageType::Raw, b"hello", &signature);
        assert_eq!(verified, Ok(()), "{spec}");
    }
}

#[tokio::test]
async fn imported_keys_decrypt_and_agree() {
    let world = World::new().await;
    let material = generated(KeySpec::Rsa2048);
    let here = PrivateKey::parse(KeySpec::Rsa2048, &material).unwrap();
    let key = imported(&world, KeySpec::Rsa2048, "ENCRYPT_DECRYPT", &material).await;
    let blob = here.encrypt(EncryptionAlgorithm::RsaesOaepSha256, b"hello").unwrap();
    let body = json!({"KeyId": key, "CiphertextBlob": b64(&blob), "EncryptionAlgorithm": OAEP});
    assert_eq!(world.kms("Decrypt", body).await["Plaintext"], b64(b"hello"));

    let mine = generated(KeySpec::EccNistP384);
    let mine = PrivateKey::parse(KeySpec::EccNistP384, &mine).unwrap();
    let theirs = generated(KeySpec::EccNistP384);
    let key = imported(&world, KeySpec::EccNistP384, "KEY_AGREEMENT", &theirs).await;
    let public = mine.public_key_der().unwrap();
    let body = json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": b64(&public)});
    let shared = bytes(&world.kms("DeriveSharedSecret", body).await["SharedSecret"]);
    let answer = bytes(&world.kms("GetPublicKey", json!({"KeyId": key})).await["PublicKey"]);
    assert_eq!(shared, mine.derive(&answer).unwrap().to_vec());
}

#[tokio::test]
async fn bytes_that_are_no_key_of_the_spec_are_refused() {
    let world = World::new().await;
    let p256 = generated(KeySpec::EccNistP256);
    let rsa = generated(KeySpec::Rsa2048);
    let trailing = [&p256[..], &[0]].concat();
    let cases: &[(KeySpec, &str, &[&[u8]])] = &[
        (KeySpec::SymmetricDefault, "ENCRYPT_DECRYPT", &[&[], &[1; 16], &[1; 31], &[1; 33]]),
        (
            KeySpec::EccNistP256,
            "SIGN_VERIFY",
            &[&[1; 32], &p256[..p256.len() - 1], &trailing, b"-----BEGIN PRIVATE KEY-----"],
        ),
        (KeySpec::EccNistP384, "SIGN_VERIFY", &[&p256]),
        (KeySpec::EccSecgP256K1, "SIGN_VERIFY", &[&p256]),
        (KeySpec::EccNistEdwards25519, "SIGN_VERIFY", &[&p256, &[1; 32]]),
        (KeySpec::Rsa3072, "SIGN_VERIFY", &[&rsa, &p256]),
        (KeySpec::Rsa2048, "SIGN_VERIFY", &[&rsa[1..], &p256]),
    ];
    for (spec, usage, materials) in cases {
        let key = world.external(spec.as_str(), usage).await;
        let algorithm = if spec.is_rsa() { OVER_AES } else { OAEP };
        let parameters = world.parameters(&key, algorithm, SMALL).await;
        for material in *materials {
            let body = parameters.body(&key, material);
            let refused = world.kms_fails("ImportKeyMaterial", body).await;
            let length = material.len();
            assert_eq!(refused.code, "IncorrectKeyMaterialException", "{spec} {length}");
            assert!(!refused.message.is_empty());
        }
        assert_eq!(world.state(&key).await, "PendingImport", "{spec}");
    }
}

#[tokio::test]
async fn what_aws_does_not_import_has_no_external_keys() {
    let world = World::new().await;
    for (spec, usage) in [
        ("ML_DSA_44", "SIGN_VERIFY"),
        ("ML_DSA_65", "SIGN_VERIFY"),
        ("ML_DSA_87", "SIGN_VERIFY"),
        ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE"),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
        ("ML_KEM_1024", "ENCAPSULATE_DECAPSULATE"),
    ] {
        let body = json!({"KeySpec": spec, "KeyUsage": usage, "Origin": "EXTERNAL"});
        let text = format!("KeySpec {spec} is not supported for Origin EXTERNAL");
        let refused = world.kms_fails("CreateKey", body).await;
        assert_eq!(refused, failed("UnsupportedOperationException", text));
    }
}

/// A valid ImportKeyMaterial but for the token.
fn some_import(key: &str) -> Value {
    json!({
        "KeyId": key,
        "ImportToken": b64(b"token"),
        "EncryptedKeyMaterial": b64(&[0; 256]),
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    })
}

#[tokio::test]
async fn keys_that_aws_made_the_material_of_import_none() {
    let world = World::new().await;
    let key = world.key().await;
    let text = format!("{key} origin is AWS_KMS which is not valid for this operation.");
    let refused = failed("UnsupportedOperationException", text);
    let wrapping = json!({"KeyId": key, "WrappingAlgorithm": OAEP, "WrappingKeySpec": SMALL});
    assert_eq!(world.kms_fails("GetParametersForImport", wrapping).await, refused);
    assert_eq!(world.kms_fails("ImportKeyMaterial", some_import(&key)).await, refused);
    let body = json!({"KeyId": key});
    assert_eq!(world.kms_fails("DeleteImportedKeyMaterial", body).await, refused);
    world.reopens(&world.hello(&key).await).await;
}

#[tokio::test]
async fn the_key_must_be_named_by_id_or_arn_in_its_account() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    world.kms("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})).await;
    let stranger = world.other_root();
    let fails = async |who: &Someone, body: Value| {
        let wrapping = json!({"WrappingAlgorithm": OAEP, "WrappingKeySpec": SMALL});
        let mut codes = Vec::new();
        for (name, body) in [
            ("GetParametersForImport", with(body.clone(), wrapping)),
            ("ImportKeyMaterial", with(some_import(&key), body.clone())),
            ("DeleteImportedKeyMaterial", body),
        ] {
            codes.push(world.kms_fails_as(who, name, body).await.code);
        }
        codes
    };
    let root = world.root.clone();
    for named in ["alias/a", "nope", "1234abcd-12ab-34cd-56ef-1234567890ab"] {
        let codes = fails(&root, json!({"KeyId": named})).await;
        assert_eq!(codes, ["NotFoundException"; 3], "{named}");
    }
    let codes = fails(&stranger, json!({"KeyId": key})).await;
    assert_eq!(codes, ["AccessDeniedException"; 3]);
}

#[tokio::test]
async fn another_account_may_not_even_if_the_policy_lets_it() {
    let world = World::new().await;
    let open = json!({"Version": "2012-10-17", "Statement": [
        crate::support::delegate(),
        {"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "kms:*", "Resource": "*"},
    ]});
    let body = json!({"Origin": "EXTERNAL", "Policy": open.to_string()});
    let made = world.kms("CreateKey", body).await;
    let key = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let stranger = world.other_root();
    let wrapping = json!({"KeyId": key, "WrappingAlgorithm": OAEP, "WrappingKeySpec": SMALL});
    let absent = failed("NotFoundException", format!("Key '{key}' does not exist"));
    for (name, body) in [
        ("GetParametersForImport", wrapping),
        ("ImportKeyMaterial", some_import(key)),
        ("DeleteImportedKeyMaterial", json!({"KeyId": key})),
    ] {
        assert_eq!(world.kms_fails_as(&stranger, name, body).await, absent, "{name}");
    }
}
