//! What the audit trail says of grants, and what it does not.
use super::{DENIED, body, granted, idle, with};
use crate::support::user_arn;
use crate::world::World;
use serde_json::{Value, json};

#[tokio::test]
async fn creation_is_recorded_whole_but_for_the_token() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    let source = "arn:aws:rds:eu-west-1:111122223333:db:main";
    let other = world.kms("CreateGrant", body(&key, "ann", &["Decrypt"])).await;
    let wish = with(
        body(&key, "ann", &["Encrypt", "RetireGrant"]),
        json!({
            "Name": "mine",
            "RetiringPrincipal": user_arn("ann"),
            "GrantTokens": [other["GrantToken"]],
            "Constraints": {
                "EncryptionContextSubset": {"ContextKey1": "Value1"},
                "EncryptionContextEquals": {"ContextKey1": "Value1", "aws:x": "y"},
                "SourceArn": source,
            },
        }),
    );
    let made = world.kms("CreateGrant", wish).await;
    let event = world.last_event();
    assert_eq!((event.event_name.as_str(), event.read_only), ("CreateGrant", false));
    let expected = json!({
        "keyId": key,
        "granteePrincipal": user_arn("ann"),
        "retiringPrincipal": user_arn("ann"),
        "operations": ["Encrypt", "RetireGrant"],
        "constraints": {
            "encryptionContextSubset": {"ContextKey1": "Value1"},
            "encryptionContextEquals": {"ContextKey1": "Value1", "aws:x": "y"},
            "sourceArn": source,
        },
        "name": "mine",
    });
    assert_eq!(event.request_parameters, Some(expected));
    let answer = json!({"grantId": made["GrantId"], "keyId": key});
    assert_eq!(event.response_elements, Some(answer));
    assert_eq!(event.resources.len(), 1);
    assert_eq!(event.resources[0].arn, key);
    for token in [&made["GrantToken"], &other["GrantToken"]] {
        let events = serde_json::to_string(&world.events()).unwrap();
        assert!(!events.contains(token.as_str().unwrap()));
    }
}

#[tokio::test]
async fn ends_and_lists_are_recorded() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    let named = |id: &Value| json!({"keyId": key, "grantId": id});
    let made = world.kms("CreateGrant", body(&key, "ann", &["Decrypt"])).await;
    let id = &made["GrantId"];
    world.kms("ListGrants", json!({"KeyId": key, "Limit": 10})).await;
    let event = world.last_event();
    assert_eq!((event.event_name.as_str(), event.read_only), ("ListGrants", true));
    assert_eq!(event.request_parameters, Some(json!({"keyId": key, "limit": 10})));
    assert_eq!(event.response_elements, None);

    world.kms("RetireGrant", json!({"GrantToken": made["GrantToken"]})).await;
    let event = world.last_event();
    assert_eq!((event.event_name.as_str(), event.read_only), ("RetireGrant", false));
    let answer = Some(json!({"keyId": key}));
    assert_eq!((event.request_parameters, &event.response_elements), (None, &answer));
    assert_eq!(event.additional_event_data, Some(json!({"grantId": id})));
    assert_eq!(event.resources[0].arn, key);

    let id = json!(granted(&world, body(&key, "ann", &["Decrypt"])).await);
    world.kms("RetireGrant", json!({"KeyId": key, "GrantId": id})).await;
    assert_eq!(world.last_event().request_parameters, Some(named(&id)));

    let id = json!(granted(&world, body(&key, "ann", &["Decrypt"])).await);
    world.kms("RevokeGrant", json!({"KeyId": key, "GrantId": id})).await;
    let event = world.last_event();
    assert_eq!((event.event_name.as_str(), event.read_only), ("RevokeGrant", false));
    assert_eq!((event.request_parameters, event.response_elements), (Some(named(&id)), answer));
    assert_eq!(event.resources[0].arn, key);

    world.kms("ListRetirableGrants", json!({"RetiringPrincipal": user_arn("ann")})).await;
    let event = world.last_event();
    assert_eq!((event.event_name.as_str(), event.read_only), ("ListRetirableGrants", true));
    assert_eq!(event.request_parameters, Some(json!({"retiringPrincipal": user_arn("ann")})));
}

#[tokio::test]
async fn refusals_name_no_grant() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    granted(&world, body(&key, "ann", &["Decrypt"])).await;
    world.kms_fails_as(&ann, "CreateGrant", body(&key, "ann", &["Decrypt"])).await;
    let event = world.last_event();
    assert_eq!(event.error_code.as_deref(), Some(DENIED));
    assert_eq!((event.response_elements, event.additional_event_data), (None, None));
    let dry = with(body(&key, "ann", &["Decrypt"]), json!({"DryRun": true}));
    world.kms_fails("CreateGrant", dry).await;
    let event = world.last_event();
    assert_eq!(event.error_code.as_deref(), Some("DryRunOperationException"));
    assert_eq!(event.request_parameters.unwrap()["dryRun"], true);
    assert_eq!(event.response_elements, None);
}
