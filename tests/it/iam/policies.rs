//! Inline policies of users.
use crate::support::{failed, policy};
use crate::world::{World, allow};
use serde_json::{Value, json};

async fn ann() -> World {
    let world = World::new().await;
    world.iam("CreateUser", json!({"UserName": "ann"})).await;
    world
}

fn put(name: &str, document: &str) -> Value {
    json!({"UserName": "ann", "PolicyName": name, "PolicyDocument": document})
}

#[tokio::test]
async fn policies_are_put_replaced_read_listed_and_deleted() {
    let world = ann().await;
    let document = "{ \"Version\": \"2012-10-17\",\n \"Statement\": {\"Effect\": \"Allow\", \
        \"Action\": \"s3:*\", \"Resource\": \"*\"} }";
    world
        .iam(
            "PutUserPolicy",
            put(
                "p",
                "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\
        \"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}]}",
            ),
        )
        .await;
    for name in ["p", "q", "r"] {
        world.iam("PutUserPolicy", put(name, document)).await;
    }
    let body = json!({"UserName": "ann", "PolicyName": "p"});
    let read = world.iam("GetUserPolicy", body.clone()).await;
    let text = read["PolicyDocument"].as_str().unwrap();
    assert!(text.starts_with("%7B%20%22Version%22%3A%20%222012-10-17%22%2C%0A"), "{text}");
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().unwrap();
    assert_eq!(decoded, document);
    let names = world.iam("ListUserPolicies", json!({"UserName": "ann", "MaxItems": 2})).await;
    assert_eq!(names["PolicyNames"], json!(["p", "q"]));
    let body2 = json!({"UserName": "ann", "Marker": names["Marker"]});
    let names = world.iam("ListUserPolicies", body2).await;
    assert_eq!((&names["PolicyNames"], &names["IsTruncated"]), (&json!(["r"]), &json!(false)));
    world.iam("DeleteUserPolicy", body.clone()).await;
    let gone = failed("NoSuchEntity", "The user policy with name p cannot be found.");
    assert_eq!(world.iam_fails("GetUserPolicy", body.clone()).await, gone);
    assert_eq!(world.iam_fails("DeleteUserPolicy", body).await, gone);
}

#[tokio::test]
async fn what_is_no_policy_is_refused_and_changes_nothing() {
    let world = ann().await;
    let good = allow(&["s3:*"]).to_string();
    for bad in [
        "x".to_owned(),
        "{}".to_owned(),
        "null".to_owned(),
        format!("{good}{good}"),
        good.replace("Allow", "Maybe"),
        good.replace("\"s3:*\"", "\"s3\""),
        good.replace("Action", "Actions"),
        good.replace("\"*\"", "\"bucket\""),
        good.replace("2012-10-17", "2020-01-01"),
        policy(&[json!({"Effect": "Allow", "Action": "s3:*"})]).to_string(),
        policy(&[json!({"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"})])
            .to_string(),
        good.replace("\"Resource\"", "\"Condition\":{\"Nope\":{\"a\":\"b\"}},\"Resource\""),
    ] {
        let refused = world.iam_fails("PutUserPolicy", put("p", &bad)).await;
        assert_eq!(refused.code, "MalformedPolicyDocument", "{bad}: {refused:?}");
    }
    let names = world.iam("ListUserPolicies", json!({"UserName": "ann"})).await;
    assert_eq!(names["PolicyNames"], json!([]));
    for body in [put("", &good), put("a b", &good), put("p", ""), json!({"UserName": "ann"})] {
        assert_eq!(world.iam_fails("PutUserPolicy", body).await.code, "ValidationError");
    }
}

#[tokio::test]
async fn all_policies_of_a_user_share_2048_characters() {
    let world = ann().await;
    let sized = |n: usize| {
        let base = allow(&["s3:"]).to_string();
        base.replace("s3:", &format!("s3:{}", "a".repeat(n - base.len())))
    };
    // White space does not count. An action has an upper bound of its own.
    let actions = |count: usize| {
        let list: Vec<String> = (0..count).map(|at| format!("s3:{at:0>97}")).collect();
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        allow(&list).to_string()
    };
    assert_eq!(sized(100).len(), 100);
    world.iam("PutUserPolicy", put("p", &(actions(9) + &" \n".repeat(3000)))).await;
    world.iam("PutUserPolicy", put("q", &actions(8))).await;
    let refused = world.iam_fails("PutUserPolicy", put("r", &actions(2))).await;
    let text = "Maximum policy size of 2048 bytes exceeded for user ann";
    assert_eq!(refused, failed("LimitExceeded", text));
    // Replacing counts the new text only.
    world.iam("PutUserPolicy", put("p", &actions(6))).await;
    world.iam("PutUserPolicy", put("r", &actions(2))).await;
}
