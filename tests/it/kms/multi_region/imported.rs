//! Multi-Region keys with imported material: the same in every region, imported in each.
use super::{
    THIRD, assert_opens, at, end, fails_at, metadata, primary, region_of, replica, sealed, state,
    world,
};
use crate::support::failed;
use crate::world::{OTHER_REGION, REGION, World};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

async fn import(world: &World, key: &str, material: &[u8; 32]) -> Result<(), String> {
    let region = region_of(key);
    let body = json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
        "WrappingKeySpec": "RSA_2048"});
    let parameters = at(world, region, "GetParametersForImport", body).await;
    let public = STANDARD.decode(parameters["PublicKey"].as_str().unwrap()).unwrap();
    let public = PublicEncryptingKey::from_der(&public).unwrap();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut wrapped = vec![0; public.ciphertext_size()];
    let wrapped = public.encrypt(&OAEP_SHA256_MGF1SHA256, material, &mut wrapped, None).unwrap();
    let body = json!({"KeyId": key, "ImportToken": parameters["ImportToken"],
        "EncryptedKeyMaterial": STANDARD.encode(wrapped),
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"});
    let outcome = world.call_in(&world.root, region, "kms", "ImportKeyMaterial", body).await;
    outcome.map(drop).map_err(|error| error.code)
}

async fn imported(world: &World) -> String {
    let wish = json!({"MultiRegion": true, "Origin": "EXTERNAL"});
    let made = world.kms("CreateKey", wish).await;
    let key = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    import(world, &key, &[7; 32]).await.unwrap();
    assert_eq!(state(world, &key).await, "Enabled");
    key
}

#[tokio::test]
async fn a_replica_waits_for_the_same_material() {
    let world = world().await;
    let key = imported(&world).await;
    let blob = sealed(&world, &key).await;
    let body = json!({"KeyId": key, "ReplicaRegion": OTHER_REGION});
    let made = world.kms("ReplicateKey", body).await["ReplicaKeyMetadata"].take();
    assert_eq!((&made["KeyState"], &made["Origin"]), (&json!("Creating"), &json!("EXTERNAL")));
    let other = made["Arn"].as_str().unwrap();
    let shown = metadata(&world, other).await;
    assert_eq!((&shown["KeyState"], &shown["Enabled"]), (&json!("PendingImport"), &json!(false)));
    assert!(shown.get("ExpirationModel").is_none(), "{shown}");
    let pending = failed("KMSInvalidStateException", format!("{other} is pending import."));
    let body = json!({"CiphertextBlob": blob});
    assert_eq!(fails_at(&world, OTHER_REGION, "Decrypt", body).await, pending);
    let body = json!({"KeyId": key, "PrimaryRegion": OTHER_REGION});
    assert_eq!(world.kms_fails("UpdatePrimaryRegion", body.clone()).await, pending);

    let refused = import(&world, other, &[8; 32]).await;
    assert_eq!(refused, Err("IncorrectKeyMaterialException".into()));
    import(&world, other, &[7; 32]).await.unwrap();
    assert_eq!(state(&world, other).await, "Enabled");
    assert_opens(&world, other, &blob).await;
    world.kms("UpdatePrimaryRegion", body).await;
    // A replica of the new primary key waits as well.
    let third = json!({"KeyId": other, "ReplicaRegion": THIRD});
    let third = at(&world, OTHER_REGION, "ReplicateKey", third).await;
    let third = third["ReplicaKeyMetadata"]["Arn"].as_str().unwrap();
    assert_eq!(state(&world, third).await, "PendingImport");
}

#[tokio::test]
async fn a_region_loses_its_material_alone() {
    let world = world().await;
    let key = imported(&world).await;
    let other = replica(&world, &key, OTHER_REGION).await;
    import(&world, &other, &[7; 32]).await.unwrap();
    let blob = sealed(&world, &other).await;
    world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
    assert_eq!(state(&world, &key).await, "PendingImport");
    assert_eq!(state(&world, &other).await, "Enabled");
    assert_opens(&world, &other, &blob).await;
    // The last region that has it takes it along.
    assert_eq!(super::deletion::materials(&world, &key).await, 1);
    end(&world, &other).await;
    assert_eq!(super::deletion::materials(&world, &key).await, 0);
    assert_eq!(state(&world, &key).await, "PendingImport");
    // The key goes on: who has the material brings it back.
    import(&world, &key, &[7; 32]).await.unwrap();
    assert_opens(&world, &key, &blob).await;
}

#[tokio::test]
async fn a_region_without_material_takes_none_along() {
    let world = world().await;
    let key = imported(&world).await;
    let blob = sealed(&world, &key).await;
    let other = replica(&world, &key, OTHER_REGION).await;
    end(&world, &other).await;
    assert_opens(&world, &key, &blob).await;
    assert_eq!(state(&world, &key).await, "Enabled");
    let body = json!({"KeyId": key, "PendingWindowInDays": 7});
    assert_eq!(
        at(&world, REGION, "ScheduleKeyDeletion", body).await["KeyState"],
        "PendingDeletion"
    );
    // Another key with such bytes has another material.
    let made = primary(&world).await;
    assert_ne!(
        metadata(&world, &made).await["CurrentKeyMaterialId"],
        metadata(&world, &key).await["CurrentKeyMaterialId"]
    );
}
