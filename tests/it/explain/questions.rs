//! Requests that nobody made: the answer is what the server would say, and the path is shown.
use super::ask;
use crate::support::{delegate, policy, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, World, allow};
use claviger::control::Question;
use serde_json::json;

fn question(principal: &str, action: &str, resource: &str) -> Question {
    Question {
        principal: principal.into(),
        action: action.into(),
        resource: resource.into(),
        context: Vec::new(),
        session_policy: None,
    }
}

#[tokio::test]
async fn an_allowed_and_a_denied_encrypt() {
    let world = World::new().await;
    let mut needs = allow(&["kms:Encrypt"]);
    needs["Statement"][0]["Sid"] = json!("OnlyApp");
    needs["Statement"][0]["Condition"] =
        json!({"StringEquals": {"kms:EncryptionContext:App": "x", "aws:SourceIp": "10.0.0.1"}});
    world.user("ann", needs).await;
    let key = world.key().await;
    let mut asked = question(&user_arn("ann"), "kms:Encrypt", &key);
    let report = ask(&world, question(&user_arn("ann"), "kms:Encrypt", &key)).await.unwrap();
    assert!(!report.allowed);
    assert_eq!(report.decision, "implicitDeny");
    let sentence = format!(
        "User: {} is not authorized to perform: kms:Encrypt on resource: {key} because no \
         identity-based policy allows the kms:Encrypt action",
        user_arn("ann")
    );
    assert_eq!(report.sentence, sentence);
    // What the server says, to the letter.
    let who = world.user("ben", allow(&["s3:*"])).await;
    let said = world
        .call_as(&who, "kms", "Encrypt", json!({"KeyId": key, "Plaintext": "YQ=="}))
        .await
        .unwrap_err();
    assert_eq!(said.message, sentence.replace("user/ann", "user/ben"));
    let [identity, resource] = report.policies.as_slice() else { panic!("{report:#?}") };
    assert_eq!(identity.name, "policy");
    assert_eq!(
        identity.missed[0].why,
        "the condition StringEquals aws:SourceIp does not hold: the request has no such key; the \
         condition StringEquals kms:EncryptionContext:App does not hold: the request has no such \
         key"
    );
    assert!(resource.applied[0].why.starts_with("names the account"));
    assert_eq!(report.unknown, ["aws:SourceIp", "kms:EncryptionContext:App"]);
    assert_eq!(report.facts["kms:keyspec"], ["SYMMETRIC_DEFAULT"]);
    assert_eq!(report.facts["aws:username"], ["ann"]);
    let text = report.to_string();
    for part in ["OnlyApp", "Facts:", "aws:username = ann", "Asked about, and not known"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    // With what it lacked.
    asked.context = vec![
        ("kms:EncryptionContext:App".into(), vec!["x".into()]),
        ("AWS:sourceip".into(), vec!["10.0.0.1".into()]),
    ];
    let report = ask(&world, asked).await.unwrap();
    assert!(report.allowed, "{report:#?}");
    assert!(report.unknown.is_empty());
    assert_eq!(report.because.len(), 2);
}

#[tokio::test]
async fn what_is_given_stands_before_what_is_known() {
    let world = World::new().await;
    let mut tagged = allow(&["kms:Encrypt"]);
    tagged["Statement"][0]["Condition"] =
        json!({"StringEquals": {"aws:PrincipalTag/team": "blue", "aws:ResourceTag/team": "blue"}});
    world.user("ann", tagged).await;
    let key = world.key().await;
    let tags = json!([{"Key": "team", "Value": "red"}]);
    world.iam("TagUser", json!({"UserName": "ann", "Tags": tags})).await;
    world
        .kms("TagResource", json!({"KeyId": key, "Tags": [{"TagKey": "team", "TagValue": "blue"}]}))
        .await;
    let mut asked = question(&user_arn("ann"), "kms:Encrypt", &key);
    let report = ask(&world, question(&user_arn("ann"), "kms:Encrypt", &key)).await.unwrap();
    assert!(!report.allowed);
    assert_eq!(
        report.policies[0].missed[0].why,
        "the condition StringEquals aws:PrincipalTag/team does not hold: the request has red"
    );
    asked.context = vec![("aws:PrincipalTag/team".into(), vec!["blue".into()])];
    let report = ask(&world, asked).await.unwrap();
    assert!(report.allowed, "one value, not two: {report:#?}");
    assert_eq!(report.facts["aws:principaltag/team"], ["blue"]);
}

#[tokio::test]
async fn everybody_who_can_be_named() {
    let world = World::new().await;
    let key = world.key().await;
    let ann = user_arn("ann");
    world.user("ann", allow(&["kms:Decrypt"])).await;
    world.role("r", crate::sts::trust(&ann), allow(&["kms:Encrypt"])).await;
    world.iam("CreateGroup", json!({"GroupName": "crew"})).await;
    let text = allow(&["kms:Sign"]).to_string();
    let body = json!({"GroupName": "crew", "PolicyName": "p", "PolicyDocument": text});
    world.iam("PutGroupPolicy", body).await;
    let of = |rest: &str| format!("arn:aws:iam::{ACCOUNT}:{rest}");
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s");
    for (who, action, allowed) in [
        (of("root"), "kms:ScheduleKeyDeletion", true),
        (ann.clone(), "kms:Decrypt", true),
        (ann.clone(), "kms:Encrypt", false),
        (of("role/r"), "kms:Encrypt", true),
        (session.clone(), "kms:encrypt", true),
        (session.clone(), "kms:Decrypt", false),
        (of("group/crew"), "kms:Sign", true),
        (of("group/crew"), "kms:Verify", false),
    ] {
        let report = ask(&world, question(&who, action, &key)).await.unwrap();
        assert_eq!(report.allowed, allowed, "{who} {action}: {report:#?}");
    }
    // A trust policy, and what a session policy leaves of a role.
    let role = of("role/r");
    world.user("eve", allow(&["s3:*"])).await;
    let eve = user_arn("eve");
    assert!(!ask(&world, question(&eve, "sts:AssumeRole", &role)).await.unwrap().allowed);
    assert!(ask(&world, question(&of("root"), "iam:GetRole", &role)).await.unwrap().allowed);
    assert!(ask(&world, question(&ann, "sts:AssumeRole", &role)).await.unwrap().allowed);
    let mut narrow = question(&session, "kms:Encrypt", &key);
    narrow.session_policy = Some(allow(&["kms:Decrypt"]).to_string());
    let report = ask(&world, narrow).await.unwrap();
    assert_eq!(report.because, ["no session policy allows it"]);
    // Nobody, nothing, and what is no question.
    let malformed = |text: &str| Question {
        session_policy: Some(text.into()),
        ..question(&session, "kms:Encrypt", &key)
    };
    for (asked, part) in [
        (question(&user_arn("nobody"), "kms:Encrypt", &key), "anybody here"),
        (question("ann", "kms:Encrypt", &key), "anybody here"),
        (question("", "kms:Encrypt", &key), "anybody here"),
        (question(&ann, "Encrypt", &key), "is no action"),
        (question(&ann, "kms:Encrypt", "alias/a"), "neither an ARN nor *"),
        (malformed("{"), "the session policy cannot be read"),
    ] {
        let error = ask(&world, asked).await.unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn keys_elsewhere_and_keys_that_are_not() {
    let world = World::new().await;
    world.user_of(OTHER_ACCOUNT, "zoe", allow(&["kms:*"])).await;
    let zoe = format!("arn:aws:iam::{OTHER_ACCOUNT}:user/zoe");
    let closed = world.key().await;
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT},
        "Action": "kms:Encrypt", "Resource": "*"});
    let open = world.key_with_policy(policy(&[delegate(), statement])).await;
    let missing = open.replace(&open[open.len() - 4..], "0000");
    for (key, allowed) in [(&closed, false), (&open, true), (&missing, false)] {
        let report = ask(&world, question(&zoe, "kms:Encrypt", key)).await.unwrap();
        assert_eq!(report.allowed, allowed, "{key}: {report:#?}");
    }
    let report = ask(&world, question(&zoe, "kms:Encrypt", &missing)).await.unwrap();
    assert!(report.notes[0].contains("is not here"), "{report:#?}");
    // An alias stands for its key.
    world.kms("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": open})).await;
    let alias = format!("arn:aws:kms:eu-west-1:{ACCOUNT}:alias/a");
    let report = ask(&world, question(&zoe, "kms:Encrypt", &alias)).await.unwrap();
    assert!(report.allowed);
    assert_eq!(report.resource, open);
    assert_eq!(report.facts["kms:requestalias"], ["alias/a"]);
}
