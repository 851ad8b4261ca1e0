//! Import tokens: bound to a key, a wrapping key and a day.
use super::{DAY, OAEP, SMALL, b64, bytes, with};
use crate::support::failed;
use crate::world::{OTHER_REGION, World};
use serde_json::{Value, json};

fn invalid() -> crate::world::Failed {
    let text = "The import token is invalid or is associated with a different KMS key.";
    failed("InvalidImportTokenException", text)
}

#[tokio::test]
async fn only_the_token_of_this_key_is_one() {
    let world = World::new().await;
    let (key, other) = (world.external_symmetric().await, world.external_symmetric().await);
    let mine = world.oaep(&key).await;
    let theirs = world.oaep(&other).await;
    // A token of another kind: a page marker of ours.
    let page = world.kms("ListKeys", json!({"Limit": 1})).await["NextMarker"].clone();
    let page = page.as_str().unwrap().as_bytes().to_vec();
    let sealed = bytes(&mine.token);
    let mut tokens = vec![b"x".to_vec(), vec![0; 100], bytes(&theirs.token), page];
    for at in (0..sealed.len()).step_by(7) {
        let mut changed = sealed.clone();
        changed[at] ^= 0x10;
        tokens.push(changed);
    }
    tokens.push(sealed[..sealed.len() - 1].to_vec());
    tokens.push([&sealed[..], &[0]].concat());
    let good = mine.body(&key, &[1; 32]);
    for token in &tokens {
        let body = with(good.clone(), json!({"ImportToken": b64(token)}));
        assert_eq!(world.kms_fails("ImportKeyMaterial", body).await, invalid());
    }
    assert_eq!(world.state(&key).await, "PendingImport");
    world.kms("ImportKeyMaterial", good).await;
}

#[tokio::test]
async fn a_token_of_one_region_is_none_in_another() {
    let world = World::new().await;
    let body = json!({"Origin": "EXTERNAL", "MultiRegion": true});
    let made = world.kms("CreateKey", body).await;
    let key = made["KeyMetadata"]["KeyId"].as_str().unwrap();
    let here = world.oaep(key).await;
    world.kms("ImportKeyMaterial", here.body(key, &[1; 32])).await;
    world.kms("ReplicateKey", json!({"KeyId": key, "ReplicaRegion": OTHER_REGION})).await;
    let body = here.body(key, &[1; 32]);
    let there = world.call_in(&world.root, OTHER_REGION, "kms", "ImportKeyMaterial", body).await;
    assert_eq!(there.unwrap_err(), invalid());
}

#[tokio::test]
async fn a_token_lasts_a_day() {
    let world = World::new().await;
    let (key, late) = (world.external_symmetric().await, world.external_symmetric().await);
    let (mine, too_late) = (world.oaep(&key).await, world.oaep(&late).await);
    world.advance(DAY - 1).await;
    world.kms("ImportKeyMaterial", mine.body(&key, &[1; 32])).await;
    // Several times, if need be.
    world.kms("ImportKeyMaterial", mine.body(&key, &[1; 32])).await;
    let expired = failed("ExpiredImportTokenException", "The import token is expired.");
    let body = too_late.body(&late, &[1; 32]);
    // The clock decides, not whether the wrapping key has been swept away.
    world.clock.advance(1);
    assert_eq!(world.kms_fails("ImportKeyMaterial", body.clone()).await, expired);
    for seconds in [0, 1, 40 * DAY] {
        world.advance(seconds).await;
        assert_eq!(world.kms_fails("ImportKeyMaterial", body.clone()).await, expired);
    }
    assert_eq!(world.state(&late).await, "PendingImport");
    for table in ["import-key", "import-keys", "due-import"] {
        assert_eq!(world.rows(table, &late).await, 0, "{table}");
    }
    // Sweeping wrapping keys away is nobody's event.
    assert!(world.events().iter().all(|e| e.event_name != "DeleteExpiredKeyMaterial"));
}

#[tokio::test]
async fn a_key_has_ten_tokens_at_a_time() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let mut given = Vec::new();
    for _ in 0..12 {
        given.push(world.oaep(&key).await);
    }
    for table in ["import-key", "due-import"] {
        assert_eq!(world.rows(table, &key).await, 10, "{table}");
    }
    let imports: Vec<Value> = given.iter().map(|one| one.body(&key, &[1; 32])).collect();
    // The oldest two made place.
    for body in &imports[..2] {
        assert_eq!(world.kms_fails("ImportKeyMaterial", body.clone()).await, invalid());
    }
    // Each of the others works, with its own public key only.
    for body in &imports[2..] {
        world.kms("ImportKeyMaterial", body.clone()).await;
    }
    let crossed = with(imports[2].clone(), json!({"ImportToken": given[3].token}));
    let refused = world.kms_fails("ImportKeyMaterial", crossed).await;
    assert_eq!(refused, failed("InvalidCiphertextException", ""));
}

#[tokio::test]
async fn tokens_end_with_their_key() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    let pending = failed("KMSInvalidStateException", format!("{key} is pending deletion."));
    let wrapping = json!({"KeyId": key, "WrappingAlgorithm": OAEP, "WrappingKeySpec": SMALL});
    assert_eq!(world.kms_fails("GetParametersForImport", wrapping).await, pending);
    world.kms("CancelKeyDeletion", json!({"KeyId": key})).await;
    assert_eq!(world.state(&key).await, "PendingImport");
    let parameters = world.oaep(&key).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    let body = parameters.body(&key, &[1; 32]);
    assert_eq!(world.kms_fails("ImportKeyMaterial", body).await, pending);
    world.advance(8 * DAY).await;
    let gone = world.kms_fails("DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(gone.code, "NotFoundException");
}
