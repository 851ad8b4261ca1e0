//! What the log says of what is asked of the proxy.
use super::{ID, PATH, Place, b64, encrypt_body, named, unsigned};
use claviger::audit::IdentityType;
use http::Method;
use serde_json::json;

const PLAINTEXT: &[u8] = b"a plaintext that no log has";

#[tokio::test]
async fn every_use_is_an_event_and_no_plaintext_is_in_it() {
    let place = Place::new().await;
    for key in ["kms", "device"] {
        let sealed = place.encrypt(key, PLAINTEXT, Some(b"aad")).await;
        let event = place.world.last_event();
        assert_eq!(
            (event.event_source.as_str(), event.event_name.as_str()),
            ("kms-xks-proxy", "Encrypt")
        );
        assert_eq!(event.error_code, None);
        assert_eq!(event.recipient_account_id, crate::world::ACCOUNT);
        assert_eq!(event.user_identity.identity_type, Some(IdentityType::AwsService));
        assert_eq!(event.user_identity.invoked_by.as_deref(), Some("cks.kms.amazonaws.com"));
        let shown = event.request_parameters.as_ref().unwrap();
        assert_eq!(shown["externalKeyId"], key);
        assert_eq!(shown["xksProxyUriPath"], PATH);
        assert_eq!(shown["accessKeyId"], ID);
        assert_eq!(shown["requestMetadata"], encrypt_body(b"")["requestMetadata"]);
        let arns: Vec<&str> = event.resources.iter().map(|one| one.arn.as_str()).collect();
        let expected = if key == "kms" { &place.key } else { &place.in_device };
        assert_eq!(arns, [expected]);
        assert_eq!(place.decrypt(key, &sealed, Some(b"aad")).await.0, 200);
        assert_eq!(place.world.last_event().event_name, "Decrypt");
        assert_eq!(named(place.decrypt(key, &sealed, None).await), "InvalidCiphertextException");
        let event = place.world.last_event();
        assert_eq!(event.error_code.as_deref(), Some("InvalidCiphertextException"));
    }
    let all = serde_json::to_string(&place.world.events()).unwrap();
    assert!(!all.contains(&b64(PLAINTEXT)) && !all.contains("no log has"));
    assert!(!all.contains(super::SECRET));
}

#[tokio::test]
async fn strangers_and_malformed_requests_are_logged() {
    let place = Place::new().await;
    let path = format!("{PATH}/keys/kms/encrypt");
    let sent = unsigned(&place.address, Method::POST, &path, encrypt_body(b"a").to_string().into());
    assert_eq!(named(place.send(sent).await), "AuthenticationFailedException");
    let event = place.world.last_event();
    assert_eq!(event.error_code.as_deref(), Some("AuthenticationFailedException"));
    assert_eq!(event.user_identity.identity_type, Some(IdentityType::Unknown));
    assert_eq!(place.refused("/keys/kms/encrypt", &json!({})).await, "ValidationException");
    let event = place.world.last_event();
    assert_eq!(event.error_code.as_deref(), Some("ValidationException"));
    assert_eq!(event.user_identity.invoked_by.as_deref(), Some("cks.kms.amazonaws.com"));
}

#[tokio::test]
async fn what_others_can_make_long_is_cut() {
    let place = Place::new().await;
    let mut body = encrypt_body(b"a");
    body["requestMetadata"]["awsPrincipalArn"] = json!("p".repeat(40_000));
    place.ok("/keys/kms/encrypt", &body).await;
    let shown = place.world.last_event().request_parameters.unwrap();
    assert_eq!(shown["requestMetadata"]["awsPrincipalArn"].as_str().unwrap().len(), 2048);
}
