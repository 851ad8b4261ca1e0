//! The whole way over HTTP, with the AWS SDK.
use super::{described, encoded};
use crate::support::user_arn;
use crate::world::{World, allow};
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};

#[tokio::test]
async fn the_sdk_trades_a_request_in_and_uses_what_it_gets() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["kms:GenerateDataKey"])).await;
    let key = world.key().await;
    let token = encoded(&described(&world.sent(&ann, None, "payroll")));
    let config = world.sdk(&payroll).await;
    let sts = aws_sdk_sts::Client::new(&config);
    let answer = sts.get_delegated_access_token().trade_in_token(&token).send().await.unwrap();
    assert_eq!(answer.assumed_principal(), Some(user_arn("ann").as_str()));
    let got = answer.credentials().unwrap();
    let (id, secret) = (got.access_key_id(), got.secret_access_key());
    let credentials =
        Credentials::new(id, secret, Some(got.session_token().to_owned()), None, "door");
    let acting = config
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let who = aws_sdk_sts::Client::new(&acting).get_caller_identity().send().await.unwrap();
    assert_eq!(who.arn(), Some(user_arn("ann").as_str()));
    let kms = aws_sdk_kms::Client::new(&acting);
    let made = kms.generate_data_key().key_id(&key).number_of_bytes(32).send().await.unwrap();
    assert_eq!(made.plaintext().unwrap().as_ref().len(), 32);
    let event = world.last_event();
    assert_eq!(event.user_identity.user_name.as_deref(), Some("ann"));
    assert_eq!(event.user_identity.invoked_by.as_deref(), Some("payroll.example"));
    let refused = kms.list_keys().send().await.unwrap_err().into_service_error();
    assert_eq!(refused.meta().code(), Some("AccessDeniedException"));

    let again = sts.get_delegated_access_token().trade_in_token(&token).send().await.unwrap_err();
    assert!(again.into_service_error().is_expired_trade_in_token_exception());
    // The key that was handed over for has been used.
    let body = serde_json::json!({"AccessKeyId": ann.access_key_id});
    let used = world.iam("GetAccessKeyLastUsed", body).await;
    assert_eq!(used["AccessKeyLastUsed"]["ServiceName"], "payroll");
}
