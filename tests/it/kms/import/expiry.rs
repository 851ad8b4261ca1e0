//! Material that is imported for a time.
use super::{DAY, after, expiring, with};
use crate::support::{failed, id_of};
use crate::world::World;
use claviger::audit::EventType;
use serde_json::json;

#[tokio::test]
async fn an_end_is_asked_for_unless_there_is_to_be_none() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let mut body = world.oaep(&key).await.body(&key, &[1; 32]);
    // Without a model it expires.
    body.as_object_mut().unwrap().remove("ExpirationModel");
    let text = "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES";
    let unsaid = failed("ValidationException", text);
    assert_eq!(world.kms_fails("ImportKeyMaterial", body.clone()).await, unsaid);
    let expires = with(body.clone(), json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES"}));
    assert_eq!(world.kms_fails("ImportKeyMaterial", expires).await, unsaid);
    let both = json!({"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", "ValidTo": after(60)});
    let text =
        "A validTo date cannot be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE";
    let refused = world.kms_fails("ImportKeyMaterial", with(body.clone(), both)).await;
    assert_eq!(refused, failed("ValidationException", text));
    for (seconds, text) in [
        (-60, "ValidTo must be in the future."),
        (0, "ValidTo must be in the future."),
        (365 * DAY + 1, "ValidTo must not be later than 365 days from now."),
        (4000 * DAY, "ValidTo must not be later than 365 days from now."),
    ] {
        let refused = world.kms_fails("ImportKeyMaterial", expiring(body.clone(), seconds)).await;
        assert_eq!(refused, failed("ValidationException", text), "{seconds}");
    }
    assert_eq!(world.state(&key).await, "PendingImport");
    for seconds in [1, 365 * DAY] {
        let said = with(body.clone(), json!({"ValidTo": after(seconds)}));
        world.kms("ImportKeyMaterial", said).await;
        let metadata = world.metadata(&key).await;
        assert_eq!(metadata["ExpirationModel"], "KEY_MATERIAL_EXPIRES");
        assert_eq!(metadata["ValidTo"], after(seconds));
    }
}

#[tokio::test]
async fn what_expires_is_gone_with_an_event_and_comes_back() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let body = world.oaep(&key).await.body(&key, &[1; 32]);
    let imported = world.kms("ImportKeyMaterial", expiring(body, 3600)).await;
    let blob = world.hello(&key).await;
    world.advance(3599).await;
    world.reopens(&blob).await;
    world.advance(1).await;
    let event = world.events().into_iter().find(|e| e.event_name == "DeleteExpiredKeyMaterial");
    let event = event.expect("an event");
    assert_eq!(event.event_type, EventType::AwsServiceEvent);
    assert_eq!(event.event_source, "kms.amazonaws.com");
    assert_eq!((&event.request_parameters, &event.response_elements), (&None, &None));
    assert_eq!(event.resources[0].arn, key);
    let details = json!({"keyId": id_of(&key), "keyMaterialId": imported["KeyMaterialId"]});
    assert_eq!(event.service_event_details, Some(details));
    let metadata = world.metadata(&key).await;
    assert_eq!(metadata["KeyState"], "PendingImport");
    assert!(metadata.get("ValidTo").is_none() && metadata.get("ExpirationModel").is_none());
    let pending = failed("KMSInvalidStateException", format!("{key} is pending import."));
    assert_eq!(world.kms_fails("Decrypt", json!({"CiphertextBlob": blob})).await, pending);
    // Once is enough.
    world.advance(DAY).await;
    let count =
        world.events().iter().filter(|e| e.event_name == "DeleteExpiredKeyMaterial").count();
    assert_eq!(count, 1);
    world.import(&key, &[1; 32]).await;
    world.reopens(&blob).await;
    world.advance(400 * DAY).await;
    world.reopens(&blob).await;
}

#[tokio::test]
async fn nothing_is_done_with_expired_material_even_before_it_is_swept() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let body = world.oaep(&key).await.body(&key, &[1; 32]);
    world.kms("ImportKeyMaterial", expiring(body, 60)).await;
    let blob = world.hello(&key).await;
    world.clock.advance(60);
    let pending = failed("KMSInvalidStateException", format!("{key} is pending import."));
    for (name, body) in [
        ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": key})),
    ] {
        assert_eq!(world.kms_fails(name, body).await, pending, "{name}");
    }
    let hmac = world.external("HMAC_256", "GENERATE_VERIFY_MAC").await;
    let body = world.oaep(&hmac).await.body(&hmac, &[1; 32]);
    world.kms("ImportKeyMaterial", expiring(body, 120)).await;
    world.clock.advance(60);
    let body = json!({"KeyId": hmac, "Message": "aGVsbG8=", "MacAlgorithm": "HMAC_SHA_256"});
    let pending = failed("KMSInvalidStateException", format!("{hmac} is pending import."));
    assert_eq!(world.kms_fails("GenerateMac", body).await, pending);
    world.advance(0).await;
    let events = world.events();
    let swept: Vec<_> =
        events.iter().filter(|e| e.event_name == "DeleteExpiredKeyMaterial").collect();
    assert_eq!(swept.len(), 2);
    // A key with one material for ever does not name it.
    let details = swept.iter().find(|e| e.resources[0].arn == hmac).unwrap();
    assert_eq!(details.service_event_details, Some(json!({"keyId": id_of(&hmac)})));
}

#[tokio::test]
async fn an_import_moves_the_end_or_takes_it_away() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let body = world.oaep(&key).await.body(&key, &[1; 32]);
    for seconds in [100, 100, 500, 200] {
        world.kms("ImportKeyMaterial", expiring(body.clone(), seconds)).await;
        assert_eq!(world.metadata(&key).await["ValidTo"], after(seconds));
        // One for the material, one for the wrapping key.
        assert_eq!(world.rows("due-import", &key).await, 2);
    }
    world.advance(150).await;
    assert_eq!(world.state(&key).await, "Enabled");
    world.kms("ImportKeyMaterial", body.clone()).await;
    assert_eq!(world.metadata(&key).await["ExpirationModel"], "KEY_MATERIAL_DOES_NOT_EXPIRE");
    world.advance(1000).await;
    assert_eq!(world.state(&key).await, "Enabled");
    assert!(world.events().iter().all(|e| e.event_name != "DeleteExpiredKeyMaterial"));
    // What was deleted by hand does not expire.
    world.kms("ImportKeyMaterial", expiring(body, 2000)).await;
    world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
    world.advance(2000).await;
    assert!(world.events().iter().all(|e| e.event_name != "DeleteExpiredKeyMaterial"));
}

#[tokio::test]
async fn what_waits_for_a_rotation_expires_without_harm() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    world.import(&key, &[1; 32]).await;
    let body = world.oaep(&key).await.body(&key, &[2; 32]);
    let body = with(expiring(body, 60), json!({"ImportType": "NEW_KEY_MATERIAL"}));
    world.kms("ImportKeyMaterial", body).await;
    world.clock.advance(60);
    world.reopens(&world.hello(&key).await).await;
    world.advance(0).await;
    assert_eq!(world.state(&key).await, "Enabled");
    assert_eq!(world.last_event().event_name, "DescribeKey");
    let rotate = world.kms_fails("RotateKeyOnDemand", json!({"KeyId": key})).await;
    let text = format!("No available key material pending rotation for the key: {key}.");
    assert_eq!(rotate.message, text);
}

#[tokio::test]
async fn an_older_material_takes_the_key_with_it() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let body = world.oaep(&key).await.body(&key, &[1; 32]);
    world.kms("ImportKeyMaterial", expiring(body, 3600)).await;
    let body = world.oaep(&key).await.body(&key, &[2; 32]);
    let body = with(body, json!({"ImportType": "NEW_KEY_MATERIAL"}));
    world.kms("ImportKeyMaterial", body).await;
    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    let blob = world.hello(&key).await;
    world.advance(3600).await;
    assert_eq!(world.state(&key).await, "PendingImport");
    world.import(&key, &[1; 32]).await;
    world.reopens(&blob).await;
}

#[tokio::test]
async fn a_disabled_key_and_a_dying_one_lose_their_material_too() {
    let world = World::new().await;
    let (disabled, dying) = (world.external_symmetric().await, world.external_symmetric().await);
    for key in [&disabled, &dying] {
        let body = world.oaep(key).await.body(key, &[1; 32]);
        world.kms("ImportKeyMaterial", expiring(body, 60)).await;
    }
    world.kms("DisableKey", json!({"KeyId": disabled})).await;
    let body = json!({"KeyId": dying, "PendingWindowInDays": 7});
    world.kms("ScheduleKeyDeletion", body).await;
    world.advance(60).await;
    assert_eq!(world.state(&disabled).await, "PendingImport");
    assert_eq!(world.state(&dying).await, "PendingDeletion");
    world.advance(8 * DAY).await;
    let names: Vec<_> = world.events().iter().map(|e| e.event_name.clone()).collect();
    let count = |name: &str| names.iter().filter(|n| *n == name).count();
    assert_eq!((count("DeleteExpiredKeyMaterial"), count("DeleteKey")), (2, 1));
}

#[tokio::test]
async fn the_end_of_a_key_comes_before_that_of_its_material() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let body = world.oaep(&key).await.body(&key, &[1; 32]);
    world.kms("ImportKeyMaterial", expiring(body, 20 * DAY)).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    world.advance(7 * DAY).await;
    assert_eq!(world.last_event().event_name, "DeleteKey");
    for table in ["material", "import-key", "import-keys", "due-import"] {
        assert_eq!(world.rows(table, &key).await, 0, "{table}");
    }
    let events = world.events().len();
    world.advance(20 * DAY).await;
    assert_eq!(world.events().len(), events, "something of the key was left");
}
