//! AWS managed keys rotate every year, and nobody changes that.
use super::DAY;
use crate::support::token;
use crate::world::{NOW_SECS, World, allow};
use serde_json::json;

const ALIAS: &str = "alias/aws/secretsmanager";

#[tokio::test]
async fn every_year_since_it_was_made() {
    let world = World::new().await;
    let body = json!({"Name": "s", "SecretString": "v", "ClientRequestToken": token(1)});
    world.call("secretsmanager", "CreateSecret", body).await.unwrap();
    let key = world.kms("DescribeKey", json!({"KeyId": ALIAS})).await["KeyMetadata"].clone();
    let key = key["Arn"].as_str().unwrap();
    for year in 1..4 {
        assert_eq!(world.schedule(key).await, Some((365, NOW_SECS + year * 365 * DAY)));
        world.advance(365 * DAY - 1).await;
        assert_eq!(world.rotations().len() as i64, year - 1);
        world.advance(1).await;
        let event = world.rotations().pop().unwrap();
        assert_eq!(world.rotations().len() as i64, year);
        assert_eq!(event.resources[0].arn, key);
        assert_eq!(event.service_event_details.unwrap()["rotationType"], "AUTOMATIC");
        // What was stored under the older material is still read.
        let read = world.call("secretsmanager", "GetSecretValue", json!({"SecretId": "s"})).await;
        assert_eq!(read.unwrap()["SecretString"], "v");
    }
    assert_eq!(world.all_material(key).await.len(), 4);
}

#[tokio::test]
async fn nobody_turns_it_off_or_hurries_it() {
    let world = World::new().await;
    let key = world.kms("DescribeKey", json!({"KeyId": ALIAS})).await["KeyMetadata"].clone();
    let key = key["Arn"].as_str().unwrap();
    let admin = world.user("admin", allow(&["*"])).await;
    for who in [&world.root, &admin] {
        for name in ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"] {
            let refused = world.kms_fails_as(who, name, json!({"KeyId": key})).await;
            assert_eq!(refused.code, "AccessDeniedException", "{name}");
        }
        world.kms_as(who, "GetKeyRotationStatus", json!({"KeyId": key})).await;
    }
    assert_eq!(world.schedule(key).await, Some((365, NOW_SECS + 365 * DAY)));
}
