//! Access keys: made, listed, switched off, deleted; and what they open at each moment.
use crate::front::{Client, code_of};
use crate::support::failed;
use crate::world::{ACCOUNT, Someone, World, allow};
use serde_json::{Value, json};

fn someone(key: &Value) -> Someone {
    Someone {
        access_key_id: key["AccessKeyId"].as_str().unwrap().to_owned(),
        secret: key["SecretAccessKey"].as_str().unwrap().to_owned(),
        account: ACCOUNT.to_owned(),
    }
}

#[tokio::test]
async fn a_user_has_at_most_two_keys_and_their_secrets_are_shown_once() {
    let world = World::new().await;
    let name = json!({"UserName": "ann"});
    world.iam("CreateUser", name.clone()).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let made = world.iam("CreateAccessKey", name.clone()).await;
        let key = &made["AccessKey"];
        let (id, secret) =
            (key["AccessKeyId"].as_str().unwrap(), key["SecretAccessKey"].as_str().unwrap());
        assert!(id.starts_with("AKIA") && id.len() == 20, "{id}");
        assert_eq!(secret.len(), 40);
        assert_eq!((&key["Status"], &key["UserName"]), (&json!("Active"), &json!("ann")));
        let events = serde_json::to_string(&world.events()).unwrap();
        assert!(events.contains(id) && !events.contains(secret));
        ids.push(id.to_owned());
    }
    let refused = world.iam_fails("CreateAccessKey", name.clone()).await;
    let text = "Cannot exceed quota for AccessKeysPerUser: 2";
    assert_eq!(refused, failed("LimitExceeded", text));
    let listed = world.iam("ListAccessKeys", name.clone()).await;
    let listed = listed["AccessKeyMetadata"].as_array().unwrap();
    ids.sort();
    let shown: Vec<&str> = listed.iter().map(|k| k["AccessKeyId"].as_str().unwrap()).collect();
    assert_eq!(shown, ids);
    assert!(listed.iter().all(|key| key.get("SecretAccessKey").is_none()));
    let body = json!({"UserName": "ann", "AccessKeyId": ids[0]});
    world.iam("DeleteAccessKey", body.clone()).await;
    let gone = world.iam_fails("DeleteAccessKey", body).await;
    let text = format!("The Access Key with id {} cannot be found.", ids[0]);
    assert_eq!(gone, failed("NoSuchEntity", text));
    world.iam("CreateAccessKey", name).await;
}

#[tokio::test]
async fn a_key_of_another_user_is_not_found() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["iam:*"])).await;
    world.user("bob", allow(&["s3:*"])).await;
    for (name, status) in [("UpdateAccessKey", Some("Inactive")), ("DeleteAccessKey", None)] {
        let mut body = json!({"UserName": "bob", "AccessKeyId": ann.access_key_id});
        if let Some(status) = status {
            body["Status"] = json!(status);
        }
        assert_eq!(world.iam_fails(name, body).await.code, "NoSuchEntity", "{name}");
    }
    let body = json!({"UserName": "ann", "AccessKeyId": ann.access_key_id, "Status": "Paused"});
    assert_eq!(world.iam_fails("UpdateAccessKey", body).await.code, "ValidationError");
    // The user whose keys are meant is the caller, if no other is named.
    let own = world.call_as(&ann, "iam", "ListAccessKeys", json!({})).await.unwrap();
    assert_eq!(own["AccessKeyMetadata"][0]["AccessKeyId"], ann.access_key_id);
}

#[tokio::test]
async fn what_a_key_opens_changes_with_the_next_request() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let name = json!({"UserName": "ann"});
    world.iam("CreateUser", name.clone()).await;
    let document = allow(&["kms:ListKeys"]).to_string();
    let grant = json!({"UserName": "ann", "PolicyName": "p", "PolicyDocument": document});
    let made = world.iam("CreateAccessKey", name.clone()).await;
    let ann = someone(&made["AccessKey"]);
    let ask = async || code_of(&client.kms(&ann, "ListKeys", json!({})).await);
    let denied = Some("AccessDeniedException".to_owned());
    let unknown = Some("UnrecognizedClientException".to_owned());
    assert_eq!(ask().await, denied);
    world.iam("PutUserPolicy", grant).await;
    assert_eq!(ask().await, None);
    let switch = async |status: &str| {
        let body = json!({"UserName": "ann", "AccessKeyId": ann.access_key_id, "Status": status});
        world.iam("UpdateAccessKey", body).await;
    };
    switch("Inactive").await;
    assert_eq!(ask().await, unknown);
    let listed = world.iam("ListAccessKeys", name.clone()).await;
    assert_eq!(listed["AccessKeyMetadata"][0]["Status"], "Inactive");
    switch("Active").await;
    assert_eq!(ask().await, None);
    world.iam("DeleteUserPolicy", json!({"UserName": "ann", "PolicyName": "p"})).await;
    assert_eq!(ask().await, denied);
    let body = json!({"UserName": "ann", "AccessKeyId": ann.access_key_id});
    world.iam("DeleteAccessKey", body).await;
    assert_eq!(ask().await, unknown);
}

#[tokio::test]
async fn a_namesake_gets_nothing_of_who_was_there_before() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let name = json!({"UserName": "ann"});
    let mut former = Vec::new();
    for _ in 0..3 {
        let user = world.iam("CreateUser", name.clone()).await;
        let grant = json!({"UserName": "ann", "PolicyName": "p",
            "PolicyDocument": allow(&["sts:*"]).to_string()});
        let listed = world.iam("ListAccessKeys", name.clone()).await;
        assert_eq!(listed["AccessKeyMetadata"], json!([]));
        let listed = world.iam("ListUserPolicies", name.clone()).await;
        assert_eq!(listed["PolicyNames"], json!([]));
        world.iam("PutUserPolicy", grant).await;
        let key = world.iam("CreateAccessKey", name.clone()).await;
        let ann = someone(&key["AccessKey"]);
        let answer = client.sts(&ann, "Action=GetCallerIdentity&Version=2011-06-15").await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains(user["User"]["UserId"].as_str().unwrap()));
        for old in &former {
            let answer = client.sts(old, "Action=GetCallerIdentity&Version=2011-06-15").await;
            assert_eq!(code_of(&answer).as_deref(), Some("InvalidClientTokenId"));
        }
        let body = json!({"UserName": "ann", "AccessKeyId": ann.access_key_id});
        world.iam("DeleteAccessKey", body).await;
        world.iam("DeleteUserPolicy", json!({"UserName": "ann", "PolicyName": "p"})).await;
        world.iam("DeleteUser", name.clone()).await;
        former.push(ann);
    }
}

/// A key record that outlived its user, as a fault of the store could leave it, opens nothing: not
/// even for a user of the same name.
#[tokio::test]
async fn a_key_belongs_to_a_user_and_not_to_a_name() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let stolen = {
        let mut tx = world.server.store.begin();
        claviger::identity::AccessKey::load(&mut tx, &ann.access_key_id).await.unwrap().unwrap()
    };
    let owner = claviger::identity::Owner::User { name: "ann".into(), id: "AIDAOTHER".into() };
    let foreign = claviger::identity::AccessKey { owner, ..(*stolen).clone() };
    let mut tx = world.server.store.begin();
    assert!(claviger::identity::caller_of(&mut tx, &stolen).await.unwrap().is_some());
    assert!(claviger::identity::caller_of(&mut tx, &foreign).await.unwrap().is_none());
    let answer = client.kms(&ann, "ListKeys", json!({})).await;
    assert_eq!(code_of(&answer), None);
}
