//! Who may import, under which conditions, and what the audit log says of it.
use super::{DAY, OAEP, OVER_AES, SMALL, after, b64, expiring, with};
use crate::support::{denied, id_of, policy, user_arn};
use crate::world::{NOW_SECS, Someone, World, allow};
use claviger::types::Timestamp;
use serde_json::{Value, json};

/// Someone who may do this to every key under this condition.
async fn under(world: &World, name: &str, action: &str, condition: Value) -> Someone {
    let statement = json!({
        "Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition,
    });
    world.user(name, policy(&[statement])).await
}

#[tokio::test]
async fn each_needs_its_own_permission() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let wrapping = json!({"KeyId": key, "WrappingAlgorithm": OAEP, "WrappingKeySpec": SMALL});
    let import = world.oaep(&key).await.body(&key, &[1; 32]);
    let calls = [
        ("GetParametersForImport", wrapping),
        ("ImportKeyMaterial", import),
        ("DeleteImportedKeyMaterial", json!({"KeyId": key})),
    ];
    for (name, body) in &calls {
        let action = format!("kms:{name}");
        let user = name.to_lowercase();
        let may = world.user(&user, allow(&[&action])).await;
        world.kms_as(&may, name, body.clone()).await;
        for (other, body) in calls.iter().filter(|(other, _)| other != name) {
            let action = format!("kms:{other}");
            let why = format!("because no identity-based policy allows the {action} action");
            let refused = world.kms_fails_as(&may, other, body.clone()).await;
            let rest = format!("resource: {key} {why}");
            assert_eq!(refused, denied(&user_arn(&user), &action, &rest));
        }
    }
}

#[tokio::test]
async fn wrapping_can_be_prescribed() {
    let world = World::new().await;
    let key = world.external("ECC_NIST_P256", "SIGN_VERIFY").await;
    let action = "kms:GetParametersForImport";
    let by_algorithm = json!({"StringEquals": {"kms:WrappingAlgorithm": OVER_AES}});
    let by_size = json!({"StringEquals": {"kms:WrappingKeySpec": "RSA_3072"}});
    let ann = under(&world, "ann", action, by_algorithm).await;
    let bob = under(&world, "bob", action, by_size).await;
    let asked = |algorithm: &str, size: &str| json!({"KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": size});
    let name = "GetParametersForImport";
    world.kms_as(&ann, name, asked(OVER_AES, SMALL)).await;
    world.kms_as(&bob, name, asked(OAEP, "RSA_3072")).await;
    for (who, algorithm, size) in [
        (&ann, OAEP, SMALL),
        (&ann, "RSA_AES_KEY_WRAP_SHA_1", SMALL),
        (&bob, OAEP, SMALL),
        (&bob, OVER_AES, "RSA_4096"),
    ] {
        let refused = world.kms_fails_as(who, name, asked(algorithm, size)).await;
        assert_eq!(refused.code, "AccessDeniedException", "{algorithm} {size}");
    }
}

#[tokio::test]
async fn an_end_can_be_prescribed() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let body = world.oaep(&key).await.body(&key, &[1; 32]);
    let action = "kms:ImportKeyMaterial";
    let model = json!({"StringEquals": {"kms:ExpirationModel": "KEY_MATERIAL_EXPIRES"}});
    let ann = under(&world, "ann", action, model).await;
    let refused = world.kms_fails_as(&ann, "ImportKeyMaterial", body.clone()).await;
    assert_eq!(refused.code, "AccessDeniedException");
    world.kms_as(&ann, "ImportKeyMaterial", expiring(body.clone(), DAY)).await;
    // The model that is not named is the one that expires.
    let mut unsaid = with(body.clone(), json!({"ValidTo": after(DAY)}));
    unsaid.as_object_mut().unwrap().remove("ExpirationModel");
    world.kms_as(&ann, "ImportKeyMaterial", unsaid).await;

    let latest = Timestamp::from_secs(NOW_SECS + 30 * DAY).to_string();
    let bound = json!({"DateLessThanEquals": {"kms:ValidTo": latest}});
    let bob = under(&world, "bob", action, bound).await;
    world.kms_as(&bob, "ImportKeyMaterial", expiring(body.clone(), 30 * DAY)).await;
    for late in [expiring(body.clone(), 30 * DAY + 1), expiring(body.clone(), 300 * DAY), body] {
        let refused = world.kms_fails_as(&bob, "ImportKeyMaterial", late).await;
        assert_eq!(refused.code, "AccessDeniedException");
    }
}

#[tokio::test]
async fn keys_for_import_are_conditions_like_others() {
    let world = World::new().await;
    let origin = json!({"StringEquals": {"kms:KeyOrigin": "EXTERNAL"}});
    let ann = under(&world, "ann", "kms:*", origin).await;
    let made = world.kms_as(&ann, "CreateKey", json!({"Origin": "EXTERNAL"})).await;
    let key = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let refused = world.kms_fails_as(&ann, "CreateKey", json!({})).await;
    assert_eq!(refused.code, "AccessDeniedException");
    let wrapping = json!({"KeyId": key, "WrappingAlgorithm": OAEP, "WrappingKeySpec": SMALL});
    world.kms_as(&ann, "GetParametersForImport", wrapping).await;
}

#[tokio::test]
async fn the_events_show_what_was_asked_and_no_secret() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let id = id_of(&key);
    let parameters = world.oaep(id).await;
    let event = world.last_event();
    assert_eq!((event.event_name.as_str(), event.read_only), ("GetParametersForImport", true));
    assert_eq!(
        event.request_parameters,
        Some(json!({"keyId": id, "wrappingAlgorithm": OAEP, "wrappingKeySpec": SMALL}))
    );
    assert_eq!(event.response_elements, None);
    assert_eq!(event.resources[0].arn, key);

    let material = [0xa7; 32];
    let more = json!({"ImportType": "NEW_KEY_MATERIAL", "KeyMaterialDescription": "from HSM 1"});
    let body = with(expiring(parameters.body(id, &material), 2 * DAY), more);
    let imported = world.kms("ImportKeyMaterial", body.clone()).await;
    let event = world.last_event();
    assert_eq!((event.event_name.as_str(), event.read_only), ("ImportKeyMaterial", false));
    assert_eq!(
        event.request_parameters,
        Some(json!({
            "keyId": id,
            "validTo": "Jan 3, 2026, 12:00:00 AM",
            "expirationModel": "KEY_MATERIAL_EXPIRES",
            "importType": "NEW_KEY_MATERIAL",
            "keyMaterialDescription": "from HSM 1",
        }))
    );
    let named = json!({"keyId": key, "keyMaterialId": imported["KeyMaterialId"]});
    assert_eq!(event.response_elements, Some(named.clone()));

    world.kms("DeleteImportedKeyMaterial", json!({"KeyId": id})).await;
    let event = world.last_event();
    let name = event.event_name.as_str();
    assert_eq!((name, event.read_only), ("DeleteImportedKeyMaterial", false));
    assert_eq!(event.request_parameters, Some(json!({"keyId": id})));
    assert_eq!(event.response_elements, Some(named));

    // A refused import says as little.
    let odd = with(body.clone(), json!({"ImportToken": b64(b"odd")}));
    world.kms_fails("ImportKeyMaterial", odd).await;
    let refused = world.last_event();
    assert_eq!(refused.error_code.as_deref(), Some("InvalidImportTokenException"));
    let all = serde_json::to_string(&world.events()).unwrap();
    let public = b64(&parameters.public);
    for secret in [
        b64(&material).as_str(),
        body["EncryptedKeyMaterial"].as_str().unwrap(),
        body["ImportToken"].as_str().unwrap(),
        public.as_str(),
        &hex::encode(material),
    ] {
        assert!(!all.contains(secret), "{secret}");
    }
}
