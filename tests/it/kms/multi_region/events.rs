//! What the audit log says of multi-Region keys, in which region.
use super::{THIRD, at, primary, replica, there, three, world};
use crate::support::{id_of, user_arn};
use crate::world::{ACCOUNT, OTHER_REGION, REGION, allow};
use claviger::audit::EventType;
use claviger::keys::default_policy;
use serde_json::json;

#[tokio::test]
async fn a_replica_leaves_an_event_in_each_region() {
    let world = world().await;
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let key = primary(&world).await;
    let before = world.events().len();
    let body = json!({"KeyId": id_of(&key), "ReplicaRegion": OTHER_REGION, "Description": "copy",
        "Tags": [{"TagKey": "a", "TagValue": "b"}]});
    world.kms_as(&ann, "ReplicateKey", body).await;
    let events = world.events().split_off(before);
    let [created, replicated] = &events[..] else { panic!("{events:?}") };
    let arn = there(&key, OTHER_REGION);

    assert_eq!((&*replicated.event_name, &*replicated.aws_region), ("ReplicateKey", REGION));
    assert_eq!(replicated.event_type, EventType::AwsApiCall);
    assert!(!replicated.read_only);
    assert_eq!(replicated.user_identity.invoked_by, None);
    let asked = json!({
        "keyId": id_of(&key), "replicaRegion": OTHER_REGION, "description": "copy",
        "tags": [{"tagKey": "a", "tagValue": "b"}],
    });
    assert_eq!(replicated.request_parameters, Some(asked));
    let answered = replicated.response_elements.as_ref().unwrap();
    let shown = &answered["replicaKeyMetadata"];
    assert_eq!((&shown["arn"], &shown["keyState"]), (&json!(arn), &json!("Creating")));
    assert_eq!(shown["creationDate"], "Jan 1, 2026, 12:00:00 AM");
    assert_eq!(shown["multiRegionConfiguration"]["primaryKey"]["arn"], *key);
    assert_eq!(answered["replicaPolicy"], default_policy(&ACCOUNT.parse().unwrap()).text());
    assert_eq!(answered["replicaTags"], json!([{"tagKey": "a", "tagValue": "b"}]));
    assert_eq!(replicated.resources.len(), 1, "{replicated:?}");
    assert_eq!(replicated.resources[0].arn, *key);

    assert_eq!((&*created.event_name, &*created.aws_region), ("CreateKey", OTHER_REGION));
    assert_eq!(created.event_type, EventType::AwsApiCall);
    assert!(!created.read_only);
    assert_eq!(created.user_identity.arn.as_deref(), Some(&*user_arn("ann")));
    assert_eq!(created.user_identity.invoked_by.as_deref(), Some("kms.amazonaws.com"));
    assert_eq!(created.request_id, replicated.request_id);
    assert_ne!(created.event_id, replicated.event_id);
    let asked = json!({
        "description": "copy", "keySpec": "SYMMETRIC_DEFAULT", "keyUsage": "ENCRYPT_DECRYPT",
        "multiRegion": true, "origin": "AWS_KMS", "tags": [{"tagKey": "a", "tagValue": "b"}],
    });
    assert_eq!(created.request_parameters, Some(asked));
    assert_eq!(created.response_elements.as_ref().unwrap()["keyMetadata"], *shown);
    assert_eq!(created.resources.len(), 1);
    assert_eq!(created.resources[0].arn, arn);
}

#[tokio::test]
async fn a_refused_replica_leaves_the_refusal() {
    let world = world().await;
    let bob = world.user("bob", allow(&["kms:ReplicateKey"])).await;
    let key = primary(&world).await;
    let before = world.events().len();
    let body = json!({"KeyId": key, "ReplicaRegion": OTHER_REGION});
    world.kms_fails_as(&bob, "ReplicateKey", body.clone()).await;
    let events = world.events().split_off(before);
    let seen: Vec<_> = events
        .iter()
        .map(|e| (&*e.event_name, &*e.aws_region, e.error_code.as_deref().unwrap()))
        .collect();
    let denied = "AccessDeniedException";
    let expected = [("CreateKey", OTHER_REGION, denied), ("ReplicateKey", REGION, denied)];
    assert_eq!(seen, expected);
    assert!(events.iter().all(|e| e.response_elements.is_none()));
    // What is refused here never goes there.
    let ann = world.user("ann", allow(&["kms:CreateKey"])).await;
    let before = world.events().len();
    world.kms_fails_as(&ann, "ReplicateKey", body).await;
    assert_eq!(world.events().len(), before + 1);
}

#[tokio::test]
async fn a_move_leaves_an_event_in_both_regions() {
    let world = world().await;
    let [key, other, _] = three(&world).await;
    let before = world.events().len();
    let body = json!({"KeyId": id_of(&key), "PrimaryRegion": OTHER_REGION});
    world.kms("UpdatePrimaryRegion", body).await;
    let events = world.events().split_off(before);
    let [gained, lost] = &events[..] else { panic!("{events:?}") };
    let expected = json!({"keyId": id_of(&key), "primaryRegion": OTHER_REGION});
    assert_eq!(lost.request_parameters, Some(expected));
    assert_eq!((&*lost.event_name, &*lost.aws_region), ("UpdatePrimaryRegion", REGION));
    assert_eq!(lost.resources.len(), 1);
    assert_eq!(lost.resources[0].arn, key);
    assert_eq!(lost.response_elements, Some(json!({"keyId": key})));
    assert_eq!(lost.user_identity.invoked_by, None);
    let expected = json!({"keyId": other, "primaryRegion": OTHER_REGION});
    assert_eq!(gained.request_parameters, Some(expected));
    assert_eq!((&*gained.event_name, &*gained.aws_region), ("UpdatePrimaryRegion", OTHER_REGION));
    assert_eq!(gained.resources[0].arn, other);
    assert_eq!(gained.response_elements, Some(json!({"keyId": other})));
    assert_eq!(gained.user_identity.invoked_by.as_deref(), Some("kms.amazonaws.com"));
    assert_eq!(gained.request_id, lost.request_id);
    assert_ne!(gained.event_id, lost.event_id);
}

#[tokio::test]
async fn new_material_is_said_to_be_synchronised() {
    let world = world().await;
    let key = primary(&world).await;
    let synchronised = || {
        let of = |e: &claviger::audit::Event| e.event_name == "SynchronizeMultiRegionKey";
        world.events().into_iter().filter(of).collect::<Vec<_>>()
    };
    // Nobody is there to synchronise with.
    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    assert_eq!(synchronised(), []);
    replica(&world, &key, THIRD).await;
    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    at(&world, REGION, "EnableKeyRotation", json!({"KeyId": key, "RotationPeriodInDays": 90}))
        .await;
    world.advance(90 * 86_400).await;
    let events = synchronised();
    assert_eq!(events.len(), 2, "{events:?}");
    for event in events {
        assert_eq!((&*event.aws_region, &*event.event_source), (REGION, "kms.amazonaws.com"));
        assert_eq!(event.resources.len(), 1);
        assert_eq!(event.resources[0].arn, key);
        assert_eq!(event.user_identity.invoked_by.as_deref(), Some("kms.amazonaws.com"));
        assert_eq!(event.request_parameters, None);
        assert_eq!(event.response_elements, Some(json!({"keyId": key})));
    }
}
