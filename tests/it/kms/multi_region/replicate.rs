//! ReplicateKey: what a replica has of the primary key, and what of its own.
use super::{
    THIRD, assert_opens, assert_places, at, metadata, primary, replica, sealed, there, three, world,
};
use crate::support::id_of;
use crate::world::{ACCOUNT, NOW_SECS, OTHER_REGION, REGION};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::{Builder, Region};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeyState, MultiRegionKeyType, Tag};
use claviger::keys::default_policy;
use serde_json::json;

#[tokio::test]
async fn the_sdk_encrypts_in_one_region_and_decrypts_in_the_other() {
    let world = world().await;
    let sdk = world.sdk(&world.root).await;
    let here = Client::new(&sdk);
    let elsewhere = Region::new(OTHER_REGION);
    let there = Client::from_conf(Builder::from(&sdk).region(elsewhere).build());
    let made = here.create_key().multi_region(true).send().await.unwrap();
    let key = made.key_metadata().unwrap().arn().unwrap().to_owned();
    let tag = Tag::builder().tag_key("dept").tag_value("hr").build().unwrap();
    let made = here
        .replicate_key()
        .key_id(&key)
        .replica_region(OTHER_REGION)
        .description("over there")
        .tags(tag.clone())
        .send()
        .await
        .unwrap();
    let replica = made.replica_key_metadata().unwrap();
    assert_eq!(replica.key_state(), Some(&KeyState::Creating));
    assert!(!replica.enabled());
    assert_eq!(made.replica_policy(), Some(default_policy(&ACCOUNT.parse().unwrap()).text()));
    assert_eq!(made.replica_tags(), [tag]);
    let arn = replica.arn().unwrap();
    let seen = there.describe_key().key_id(arn).send().await.unwrap();
    let seen = seen.key_metadata().unwrap();
    assert_eq!(
        (seen.key_state(), seen.description()),
        (Some(&KeyState::Enabled), Some("over there"))
    );
    let regions = seen.multi_region_configuration().unwrap();
    assert_eq!(regions.multi_region_key_type(), Some(&MultiRegionKeyType::Replica));
    assert_eq!(regions.primary_key().unwrap().arn(), Some(&*key));

    let sealed = here
        .encrypt()
        .key_id(&key)
        .plaintext(Blob::new("hello"))
        .encryption_context("a", "b")
        .send()
        .await
        .unwrap();
    let blob = sealed.ciphertext_blob().unwrap();
    let open = there.decrypt().ciphertext_blob(blob.clone()).encryption_context("a", "b");
    let opened = open.send().await.unwrap();
    assert_eq!(opened.plaintext().unwrap().as_ref(), b"hello");
    assert_eq!(opened.key_id(), Some(arn));
    // What was bound stays bound.
    let other_context = there.decrypt().ciphertext_blob(blob.clone()).encryption_context("a", "c");
    let refused = other_context.send().await.unwrap_err().into_service_error();
    assert!(refused.is_invalid_ciphertext_exception());
    // And the other way: a data key of the replica.
    let made = there.generate_data_key().key_id(arn).number_of_bytes(24).send().await.unwrap();
    let open = here.decrypt().ciphertext_blob(made.ciphertext_blob().unwrap().clone());
    let opened = open.send().await.unwrap();
    assert_eq!(opened.plaintext(), made.plaintext());
    assert_eq!(opened.key_id(), Some(&*key));
}

#[tokio::test]
async fn the_answer_is_what_aws_recorded() {
    let world = world().await;
    let key = primary(&world).await;
    let current = metadata(&world, &key).await["CurrentKeyMaterialId"].clone();
    world.clock.advance(5);
    let body = json!({"KeyId": id_of(&key), "ReplicaRegion": OTHER_REGION});
    let made = world.kms("ReplicateKey", body).await;
    let arn = there(&key, OTHER_REGION);
    let mut expected = json!({
        "AWSAccountId": ACCOUNT,
        "Arn": arn,
        "CreationDate": (NOW_SECS + 5) as f64,
        "CurrentKeyMaterialId": current,
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "Description": "",
        "Enabled": false,
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "KeyId": id_of(&key),
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": "Creating",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": true,
        "MultiRegionConfiguration": {
            "MultiRegionKeyType": "REPLICA",
            "PrimaryKey": {"Arn": key, "Region": REGION},
            "ReplicaKeys": [{"Arn": arn, "Region": OTHER_REGION}],
        },
        "Origin": "AWS_KMS",
    });
    let mut shown = made["ReplicaKeyMetadata"].clone();
    shown["CreationDate"] = json!(shown["CreationDate"].as_f64().unwrap());
    assert_eq!(shown, expected);
    assert_eq!(made["ReplicaPolicy"], default_policy(&ACCOUNT.parse().unwrap()).text());
    assert_eq!(made["ReplicaTags"], json!([]));
    assert_eq!(made.as_object().unwrap().len(), 3);
    // It is ready as soon as it is there.
    expected["KeyState"] = json!("Enabled");
    expected["Enabled"] = json!(true);
    let mut seen = metadata(&world, &arn).await;
    seen["CreationDate"] = json!(seen["CreationDate"].as_f64().unwrap());
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn every_region_knows_all_of_them_and_opens_what_any_sealed() {
    let world = world().await;
    let keys = three(&world).await;
    assert_places(&world, &keys[0], REGION, &[THIRD, OTHER_REGION]).await;
    for from in &keys {
        let blob = sealed(&world, from).await;
        for to in &keys {
            assert_opens(&world, to, &blob).await;
        }
    }
    // Each region lists its own.
    for key in &keys {
        let listed = at(&world, super::region_of(key), "ListKeys", json!({})).await;
        assert_eq!(listed["Keys"], json!([{"KeyArn": key, "KeyId": id_of(key)}]));
    }
}

#[tokio::test]
async fn re_encryption_goes_from_one_region_to_the_other() {
    let world = world().await;
    let key = primary(&world).await;
    let other = replica(&world, &key, OTHER_REGION).await;
    let local = at(&world, OTHER_REGION, "CreateKey", json!({})).await["KeyMetadata"]["Arn"].take();
    let blob = sealed(&world, &key).await;
    let body = json!({"CiphertextBlob": blob, "DestinationKeyId": local});
    let moved = at(&world, OTHER_REGION, "ReEncrypt", body).await;
    assert_eq!((&moved["SourceKeyId"], &moved["KeyId"]), (&json!(other), &local));
    let back = json!({"CiphertextBlob": moved["CiphertextBlob"], "DestinationKeyId": other});
    let back = at(&world, OTHER_REGION, "ReEncrypt", back).await;
    assert_opens(&world, &key, back["CiphertextBlob"].as_str().unwrap()).await;
}

#[tokio::test]
async fn keys_of_every_usage_have_replicas() {
    let world = world().await;
    let sign = |algorithm: &str| json!({"Message": "aGVsbG8=", "SigningAlgorithm": algorithm});
    let mac = json!({"Message": "aGVsbG8=", "MacAlgorithm": "HMAC_SHA_384"});
    let encapsulate = json!({"EncapsulationAlgorithm": "ML_KEM"});
    let wrap = json!({"Plaintext": "aGVsbG8=", "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    for (spec, usage, does, undoes, mut body) in [
        ("HMAC_384", "GENERATE_VERIFY_MAC", "GenerateMac", "VerifyMac", mac),
        ("ECC_NIST_P256", "SIGN_VERIFY", "Sign", "Verify", sign("ECDSA_SHA_256")),
        ("ML_DSA_44", "SIGN_VERIFY", "Sign", "Verify", sign("ML_DSA_SHAKE_256")),
        ("RSA_2048", "ENCRYPT_DECRYPT", "Encrypt", "Decrypt", wrap),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE", "Encapsulate", "Decapsulate", encapsulate),
    ] {
        let wish = json!({"MultiRegion": true, "KeySpec": spec, "KeyUsage": usage});
        let key = world.kms("CreateKey", wish).await["KeyMetadata"]["Arn"].take();
        let key = key.as_str().unwrap();
        let other = replica(&world, key, OTHER_REGION).await;
        let seen = metadata(&world, &other).await;
        assert_eq!((&seen["KeySpec"], &seen["KeyUsage"]), (&json!(spec), &json!(usage)));
        body["KeyId"] = json!(key);
        let mut made = at(&world, REGION, does, body.clone()).await;
        let secret = made["SharedSecret"].take();
        for member in ["Signature", "Mac", "CiphertextBlob", "SharedSecretCiphertextBlob"] {
            if let Some(value) = made.get(member) {
                body[member] = value.clone();
            }
        }
        if undoes == "Decrypt" {
            body.as_object_mut().unwrap().remove("Plaintext");
        }
        body["KeyId"] = json!(other);
        let undone = at(&world, OTHER_REGION, undoes, body).await;
        assert_eq!(undone["KeyId"], *other);
        match undoes {
            "Decrypt" => assert_eq!(undone["Plaintext"], "aGVsbG8="),
            "Verify" => assert_eq!(undone["SignatureValid"], true),
            "VerifyMac" => assert_eq!(undone["MacValid"], true),
            _ => assert_eq!(undone["SharedSecret"], secret),
        }
        if spec != "HMAC_384" {
            let one = at(&world, REGION, "GetPublicKey", json!({"KeyId": key})).await;
            let two = at(&world, OTHER_REGION, "GetPublicKey", json!({"KeyId": other})).await;
            assert_eq!(one["PublicKey"], two["PublicKey"]);
        }
    }
}

#[tokio::test]
async fn new_material_of_the_primary_key_is_everywhere_at_once() {
    let world = world().await;
    let keys = three(&world).await;
    let before = sealed(&world, &keys[1]).await;
    world.kms("RotateKeyOnDemand", json!({"KeyId": keys[0]})).await;
    let current = metadata(&world, &keys[0]).await["CurrentKeyMaterialId"].clone();
    for key in &keys {
        assert_eq!(metadata(&world, key).await["CurrentKeyMaterialId"], current);
        assert_opens(&world, key, &before).await;
    }
    let after = sealed(&world, &keys[2]).await;
    assert_opens(&world, &keys[0], &after).await;
    let opened = at(&world, OTHER_REGION, "Decrypt", json!({"CiphertextBlob": after})).await;
    assert_eq!(opened["KeyMaterialId"], current);
    // A replica that comes later has the old material too.
    let key = primary(&world).await;
    let before = sealed(&world, &key).await;
    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    let other = replica(&world, &key, OTHER_REGION).await;
    assert_opens(&world, &other, &before).await;
}
