//! What the audit log says of replication, in which region, and that no value is in it.
use super::{THIRD, key_in, replicas, replicated, there, token, version, world};
use crate::world::{ACCOUNT, OTHER_REGION, REGION, World};
use claviger::audit::Event;
use serde_json::json;

fn outline(events: &[Event]) -> Vec<(String, String)> {
    events
        .iter()
        .map(|event| (event.event_name.to_string(), event.aws_region.to_string()))
        .collect()
}

fn expected(events: &[(&str, &str)]) -> Vec<(String, String)> {
    events.iter().map(|(name, region)| ((*name).to_owned(), (*region).to_owned())).collect()
}

async fn during(world: &World, name: &str, body: serde_json::Value) -> Vec<Event> {
    let from = world.events().len();
    world.sm(name, body).await;
    world.events().split_off(from)
}

#[tokio::test]
async fn each_region_has_its_part() {
    let world = world().await;
    let arn = world.secret("a", "hunter2").await;
    let theirs = there(&arn, OTHER_REGION);
    let body = replicas("a", &[OTHER_REGION]);
    let events = during(&world, "ReplicateSecretToRegions", body).await;
    let all = [
        ("Decrypt", REGION),
        ("GenerateDataKey", OTHER_REGION),
        ("ReplicationSucceeded", OTHER_REGION),
        ("ReplicateSecretToRegions", REGION),
    ];
    assert_eq!(outline(&events), expected(&all));
    let context = |arn: &str| json!({"SecretARN": arn, "SecretVersionId": token(1)});
    let parameters = |n: usize| events[n].request_parameters.clone().unwrap();
    assert_eq!(parameters(0)["encryptionContext"], context(&arn));
    assert_eq!(parameters(1)["encryptionContext"], context(&theirs));
    assert_eq!(events[1].user_identity.invoked_by.as_deref(), Some("secretsmanager.amazonaws.com"));
    assert_eq!(events[1].user_identity.access_key_id.as_deref(), Some(&*world.root.access_key_id));
    assert_eq!(
        (events[2].resources[0].arn.as_str(), events[2].recipient_account_id.as_str()),
        (theirs.as_str(), ACCOUNT)
    );
    assert_eq!(
        parameters(3),
        json!({"secretId": "a", "addReplicaRegions": [{"region": OTHER_REGION}]})
    );
    assert_eq!(events[3].response_elements.as_ref().unwrap()["aRN"], json!(arn));
    assert_eq!(events[3].resources.len(), 1);
    assert!(!format!("{:?}", world.events()).contains("hunter2"));
}

#[tokio::test]
async fn a_write_opens_once_and_seals_everywhere() {
    let world = world().await;
    replicated(&world).await;
    super::replicate(&world, "a", &[THIRD]).await;
    let events = during(&world, "PutSecretValue", version("a", 2, "two")).await;
    let all = [
        ("GenerateDataKey", REGION),
        ("Decrypt", REGION),
        ("GenerateDataKey", THIRD),
        ("ReplicationSucceeded", THIRD),
        ("GenerateDataKey", OTHER_REGION),
        ("ReplicationSucceeded", OTHER_REGION),
        ("PutSecretValue", REGION),
    ];
    assert_eq!(outline(&events), expected(&all));
    // Where no value is new, none is opened.
    let body = json!({"SecretId": "a", "Tags": [{"Key": "k", "Value": "v"}]});
    let events = during(&world, "TagResource", body).await;
    let all = [
        ("ReplicationSucceeded", THIRD),
        ("ReplicationSucceeded", OTHER_REGION),
        ("TagResource", REGION),
    ];
    assert_eq!(outline(&events), expected(&all));
}

#[tokio::test]
async fn a_failure_and_an_end() {
    let world = world().await;
    world.secret("a", "one").await;
    let key = key_in(&world, OTHER_REGION).await;
    let body = json!({"KeyId": key});
    world.call_in(&world.root, OTHER_REGION, "kms", "DisableKey", body).await.unwrap();
    let mut body = replicas("a", &[OTHER_REGION]);
    body["AddReplicaRegions"][0]["KmsKeyId"] = json!(key);
    let events = during(&world, "ReplicateSecretToRegions", body).await;
    let all = [
        ("Decrypt", REGION),
        ("GenerateDataKey", OTHER_REGION),
        ("ReplicationFailed", OTHER_REGION),
        ("ReplicateSecretToRegions", REGION),
    ];
    assert_eq!(outline(&events), expected(&all));
    assert_eq!(events[1].error_code.as_deref(), Some("DisabledException"));
    assert!(events[2].error_message.as_ref().unwrap().starts_with("Replication failed: "));
    assert_eq!(events[3].error_code, None);
    super::replicate(&world, "a", &[OTHER_REGION]).await;
    let body = json!({"SecretId": "a", "RemoveReplicaRegions": [OTHER_REGION]});
    let events = during(&world, "RemoveRegionsFromReplication", body).await;
    let all = [("EndSecretVersionDelete", OTHER_REGION), ("RemoveRegionsFromReplication", REGION)];
    assert_eq!(outline(&events), expected(&all));
}
