//! The encoded messages of refusals: who gets one, who may open it, and what it says.
use crate::front::{Client, code_of};
use crate::support::{delegate, failed, policy, user_arn};
use crate::world::{ACCOUNT, Someone, World, allow};
use serde_json::{Value, json};

const HEADER: &str = "x-claviger-authorization-message";

#[tokio::test]
async fn a_refusal_brings_a_message_for_those_who_may_open_it() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let nobody = world.nobody().await;
    let reader = world.user("reader", allow(&["sts:DecodeAuthorizationMessage"])).await;
    let key = world.key().await;
    let answer = client.kms(&nobody, "DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(code_of(&answer).as_deref(), Some("AccessDeniedException"));
    let encoded = answer.header(HEADER).unwrap().to_owned();
    let body = json!({"EncodedMessage": encoded});
    let other = world.other_root();
    let decode = async |who, body: &Value| {
        world.call_as(who, "sts", "DecodeAuthorizationMessage", body.clone()).await
    };
    let opened = decode(&reader, &body).await.unwrap();
    let message: Value = serde_json::from_str(opened["DecodedMessage"].as_str().unwrap()).unwrap();
    assert_eq!((&message["allowed"], &message["explicitDeny"]), (&json!(false), &json!(false)));
    let context = &message["context"];
    assert_eq!(context["action"], "kms:DescribeKey");
    assert_eq!(context["resource"], key);
    assert_eq!(context["principal"]["arn"], user_arn("nobody"));
    assert_eq!(message["failures"]["items"][0]["policyType"], "identity-based policy");
    let conditions = context["conditions"]["items"].to_string();
    assert!(conditions.contains("aws:sourceip"), "{conditions}");

    // Not for whoever got it, not for another account, not if anything is changed.
    assert_eq!(decode(&nobody, &body).await.unwrap_err().code, "AccessDenied");
    let invalid = Err(failed("InvalidAuthorizationMessageException", "Message is not valid"));
    assert_eq!(decode(&other, &body).await, invalid);
    for bad in [&encoded[..encoded.len() - 4], &encoded.replacen('A', "B", 1), "x", "é"] {
        assert_eq!(decode(&reader, &json!({"EncodedMessage": bad})).await, invalid, "{bad}");
    }
    // Session tokens are sealed too, but for something else.
    let session = world.call_as(&reader, "sts", "GetSessionToken", json!({})).await.unwrap();
    let body = json!({"EncodedMessage": session["Credentials"]["SessionToken"]});
    assert_eq!(decode(&reader, &body).await, invalid);
}

#[tokio::test]
async fn it_says_nothing_by_its_length_nor_of_another_account() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let nobody = world.nobody().await;
    let deny = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "No", "Effect": "Deny", "Action": "kms:*", "Resource": "*"}]});
    let denied = world.user("denied", deny).await;
    let key = world.key().await;
    let mut lengths = Vec::new();
    for who in [&nobody, &denied] {
        let answer = client.kms(who, "DescribeKey", json!({"KeyId": key})).await;
        let encoded = answer.header(HEADER).unwrap();
        lengths.push(encoded.len());
        let body = json!({"EncodedMessage": encoded});
        let opened = world.call("sts", "DecodeAuthorizationMessage", body).await.unwrap();
        let text = opened["DecodedMessage"].as_str().unwrap();
        let message: Value = serde_json::from_str(text).unwrap();
        let explicit = who.access_key_id == denied.access_key_id;
        assert_eq!(message["explicitDeny"], explicit);
        let sid = message["matchedStatements"]["items"][0]["statementId"].as_str();
        assert_eq!(sid, explicit.then_some("No"));
    }
    assert_eq!(lengths[0], lengths[1]);
    let stranger = world.other_root();
    let answer = client.kms(&stranger, "DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(code_of(&answer).as_deref(), Some("AccessDeniedException"));
    assert_eq!(answer.header(HEADER), None);
    // Nor beside an answer, nor beside other faults.
    let answer = client.kms(&world.root, "DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(answer.header(HEADER), None);
    let answer = client.kms(&world.root, "DescribeKey", json!({"KeyId": "alias/none"})).await;
    assert_eq!(answer.header(HEADER), None);
}

/// The message of a refused DescribeKey, opened by root.
async fn opened(world: &World, client: &Client, who: &Someone, key: &str) -> (Value, usize) {
    let answer = client.kms(who, "DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(code_of(&answer).as_deref(), Some("AccessDeniedException"));
    let encoded = answer.header(HEADER).unwrap().to_owned();
    let body = json!({"EncodedMessage": encoded});
    let opened = world.call("sts", "DecodeAuthorizationMessage", body).await.unwrap();
    let text = opened["DecodedMessage"].as_str().unwrap();
    (serde_json::from_str(text).unwrap(), encoded.len())
}

/// The members and their nesting are those of AWS's example of `sts decode-authorization-message`.
#[tokio::test]
async fn the_statement_that_denied_is_told_whole() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let when = json!({"IpAddress": {"aws:SourceIp": ["127.0.0.0/8", "::1"]}});
    let deny = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Sid": "NotFromHere", "Effect": "Deny", "Action": ["kms:Describe*", "kms:Get*"],
            "Resource": "*", "Condition": when}]});
    let ann = world.user("ann", deny).await;
    let key = world.key().await;
    let (message, length) = opened(&world, &client, &ann, &key).await;
    let id = world.iam("GetUser", json!({"UserName": "ann"})).await["User"]["UserId"].clone();
    let items = |texts: &[&str]| {
        let items: Vec<Value> = texts.iter().map(|text| json!({"value": text})).collect();
        json!({"items": items})
    };
    assert_eq!(
        message["matchedStatements"],
        json!({"items": [{
            "policyType": "identity-based policy",
            "policy": "policy",
            "statementIndex": 1,
            "statementId": "NotFromHere",
            "effect": "DENY",
            "principals": items(&[id.as_str().unwrap()]),
            "principalGroups": items(&[]),
            "actions": items(&["kms:Describe*", "kms:Get*"]),
            "resources": items(&["*"]),
            "conditions": {"items": [
                {"key": "aws:SourceIp", "values": items(&["127.0.0.0/8", "::1"])}]},
        }]})
    );
    assert_eq!((&message["allowed"], &message["explicitDeny"]), (&json!(false), &json!(true)));
    assert_eq!(message["failures"], items(&[]));
    let context = &message["context"];
    assert_eq!(context["principal"], json!({"id": id, "arn": user_arn("ann")}));
    assert_eq!(
        (&context["action"], &context["resource"]),
        (&json!("kms:DescribeKey"), &json!(key))
    );
    let told = context["conditions"]["items"].as_array().unwrap();
    let source = json!({"key": "aws:sourceip", "values": items(&["127.0.0.1"])});
    assert!(told.contains(&source), "{told:?}");

    // A key's own statement names whom it is about, and Not-forms have lists of their own.
    let bob = world.user("bob", allow(&["kms:*"])).await;
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let own = world
        .key_with_policy(policy(&[
            delegate(),
            json!({"Effect": "Deny", "Principal": {"AWS": user_arn("bob")},
                "NotAction": "kms:Encrypt", "Resource": "*"}),
        ]))
        .await;
    let (message, other) = opened(&world, &client, &bob, &own).await;
    let item = &message["matchedStatements"]["items"][0];
    assert_eq!(item["policyType"], "resource-based policy");
    assert_eq!(item["principals"], items(&[&user_arn("bob")]));
    assert_eq!(item["notActions"], items(&["kms:Encrypt"]));
    assert_eq!((&item["actions"], &item["conditions"]), (&items(&[]), &items(&[])));
    assert!(!message.to_string().contains(&root), "nothing of the other statements");
    assert_eq!(length, other);
}

/// A statement that is longer than the message has room for is told in part, and hides nothing else.
#[tokio::test]
async fn a_long_statement_is_told_in_part() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let mut names: Vec<String> = (0..60).map(|n| format!("kms:Describe*{n:025}")).collect();
    names.push("kms:*".into());
    let deny = json!({"Version": "2012-10-17", "Statement": [{"Sid": "Long", "Effect": "Deny",
        "Action": names, "Resource": "*"}]});
    // Inline, 2048 characters are all there is.
    let body = json!({"PolicyName": "long", "PolicyDocument": deny.to_string()});
    let arn = world.iam("CreatePolicy", body).await["Policy"]["Arn"].clone();
    let ann = world.user("ann", allow(&["kms:*"])).await;
    world.iam("AttachUserPolicy", json!({"UserName": "ann", "PolicyArn": arn})).await;
    let (key, nobody) = (world.key().await, world.nobody().await);
    let (message, length) = opened(&world, &client, &ann, &key).await;
    let item = &message["matchedStatements"]["items"][0];
    assert_eq!((&item["statementId"], &item["policy"]), (&json!("Long"), &arn));
    let told = item["actions"]["items"].as_array().unwrap().len();
    assert!((5..61).contains(&told), "{told}");
    assert!(message["context"]["conditions"]["items"].as_array().unwrap().len() > 5);
    assert_eq!(length, opened(&world, &client, &nobody, &key).await.1);
}
