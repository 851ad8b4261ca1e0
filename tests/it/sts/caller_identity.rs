//! STS GetCallerIdentity.
use crate::support::user_arn;
use crate::world::{ACCOUNT, OTHER_ACCOUNT, World};
use serde_json::json;

#[tokio::test]
async fn it_says_who_calls() {
    let world = World::new().await;
    for (who, account) in [(world.root.clone(), ACCOUNT), (world.other_root(), OTHER_ACCOUNT)] {
        let answer = world.call_as(&who, "sts", "GetCallerIdentity", json!({})).await.unwrap();
        let arn = format!("arn:aws:iam::{account}:root");
        assert_eq!(answer, json!({"UserId": account, "Account": account, "Arn": arn}));
    }
}

#[tokio::test]
async fn no_policy_can_forbid_it() {
    let world = World::new().await;
    let deny = json!({"Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]});
    let who = world.user("ann", deny).await;
    let answer = world.call_as(&who, "sts", "GetCallerIdentity", json!({})).await.unwrap();
    assert_eq!((&answer["Arn"], &answer["Account"]), (&json!(user_arn("ann")), &json!(ACCOUNT)));
    let id = answer["UserId"].as_str().unwrap();
    assert!(id.starts_with("AIDA") && id.len() == 21, "{id}");
    let event = world.last_event();
    assert_eq!(event.user_identity.principal_id.as_deref(), Some(id));
    assert_eq!((event.event_name.as_str(), event.error_code), ("GetCallerIdentity", None));
}
