//! AssumeRole: whom the trust policy lets, on which conditions, for how long.
use super::{Temporary, assuming, role_arn, trust, trust_if};
use crate::support::{failed, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, Someone, World, allow};
use serde_json::{Value, json};

async fn refusal(world: &World, who: &Someone, role: &str, more: Value) -> Option<String> {
    let outcome = world.call_as(who, "sts", "AssumeRole", assuming(role, more)).await;
    outcome.err().map(|error| error.code)
}

fn nothing() -> Value {
    allow(&["s3:*"])
}

const DENIED: &str = "AccessDenied";

#[tokio::test]
async fn trust_and_identity_policies_decide_together() {
    let world = World::new().await;
    let may = world.user("may", allow(&["sts:*"])).await;
    let none = world.user("none", nothing()).await;
    let stranger = world.user_of(OTHER_ACCOUNT, "far", allow(&["sts:*"])).await;
    let lame = world.user_of(OTHER_ACCOUNT, "lame", nothing()).await;
    let far = format!("arn:aws:iam::{OTHER_ACCOUNT}:user/far");
    // may, none, stranger, lame.
    for (at, (principal, expected)) in [
        (ACCOUNT.to_owned(), [true, false, false, false]),
        (user_arn("none"), [false, true, false, false]),
        (far, [false, false, true, false]),
        (OTHER_ACCOUNT.to_owned(), [false, false, true, false]),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("role{at}");
        world.role(&name, trust(&principal), nothing()).await;
        for (who, expected) in [&may, &none, &stranger, &lame].into_iter().zip(expected) {
            let code = refusal(&world, who, &name, json!({})).await;
            assert_eq!(code.is_none(), expected, "{principal} {}: {code:?}", who.access_key_id);
            assert!(code.is_none_or(|code| code == DENIED));
        }
    }
    let text = "Roles may not be assumed by root accounts.";
    let outcome = world.call("sts", "AssumeRole", assuming("role0", json!({}))).await;
    assert_eq!(outcome, Err(failed(DENIED, text)));
}

#[tokio::test]
async fn the_answer_and_its_event() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    world.role("r", trust(ACCOUNT), allow(&["kms:ListKeys"])).await;
    let body = assuming("r", json!({"ExternalId": "x-1", "DurationSeconds": 900}));
    let answer = world.call_as(&ann, "sts", "AssumeRole", body).await.unwrap();
    let user = &answer["AssumedRoleUser"];
    assert_eq!(user["Arn"], format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s1"));
    let id = user["AssumedRoleId"].as_str().unwrap();
    assert!(id.starts_with("AROA") && id.ends_with(":s1"), "{id}");
    let session = Temporary::of(&answer);
    assert!(session.who.access_key_id.starts_with("ASIA"));
    assert_eq!(answer.get("PackedPolicySize"), None);
    assert_eq!(answer["SessionTokenSize"], session.token.len());
    let event = serde_json::to_value(world.last_event()).unwrap();
    assert_eq!(event["requestParameters"]["externalId"], "x-1");
    assert_eq!(event["resources"][0]["ARN"], role_arn("r"));
    let shown = &event["responseElements"];
    assert_eq!(shown["credentials"]["accessKeyId"], session.who.access_key_id);
    let all = event.to_string();
    assert!(!all.contains(&session.who.secret) && !all.contains(&session.token));
    let who = world.with(&session, "sts", "GetCallerIdentity", json!({})).await.unwrap();
    assert_eq!((&who["UserId"], &who["Arn"]), (&user["AssumedRoleId"], &user["Arn"]));
    let event = serde_json::to_value(world.last_event()).unwrap();
    let identity = &event["userIdentity"];
    assert_eq!(identity["type"], "AssumedRole");
    assert_eq!(identity["sessionContext"]["sessionIssuer"]["arn"], role_arn("r"));
    assert_eq!(identity["sessionContext"]["attributes"]["mfaAuthenticated"], "false");
}

#[tokio::test]
async fn a_role_that_is_not_there_and_one_that_is_not_theirs_look_the_same() {
    let world = World::new().await;
    let far = world.user_of(OTHER_ACCOUNT, "far", allow(&["sts:*"])).await;
    world.role("there", trust(ACCOUNT), nothing()).await;
    let mut seen = Vec::new();
    for name in ["there", "gone"] {
        let body = assuming(name, json!({}));
        let error = world.call_as(&far, "sts", "AssumeRole", body).await.unwrap_err();
        let text = format!(
            "User: arn:aws:iam::{OTHER_ACCOUNT}:user/far is not authorized to perform: \
             sts:AssumeRole on resource: {}",
            role_arn(name)
        );
        assert_eq!(error, failed(DENIED, text));
        let event = serde_json::to_string(&world.last_event().resources).unwrap();
        seen.push(event.replace(name, "x"));
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn conditions_of_the_trust_policy() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    let equals = |key: &str, value: &str| json!({"StringEquals": {key: value}});
    let tag = |key: &str, value: &str| json!({"Tags": [{"Key": key, "Value": value}]});
    for (at, (condition, good, bad)) in [
        (equals("sts:ExternalId", "e1"), json!({"ExternalId": "e1"}), json!({"ExternalId": "e2"})),
        (equals("sts:ExternalId", "e1"), json!({"ExternalId": "e1"}), json!({})),
        (
            equals("sts:RoleSessionName", "s2"),
            json!({"RoleSessionName": "s2"}),
            json!({"RoleSessionName": "s1"}),
        ),
        (
            equals("sts:SourceIdentity", "me"),
            json!({"SourceIdentity": "me"}),
            json!({"SourceIdentity": "you"}),
        ),
        (equals("aws:RequestTag/team", "a"), tag("team", "a"), tag("team", "b")),
        (
            json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}),
            tag("team", "a"),
            tag("other", "a"),
        ),
        (
            json!({"ForAllValues:StringEquals": {"sts:TransitiveTagKeys": ["team"]}}),
            json!({"Tags": [{"Key": "team", "Value": "a"}], "TransitiveTagKeys": ["team"]}),
            json!({"Tags": [{"Key": "b", "Value": "a"}], "TransitiveTagKeys": ["b"]}),
        ),
        (
            json!({"NumericLessThanEquals": {"sts:DurationSeconds": "900"}}),
            json!({"DurationSeconds": 900}),
            json!({"DurationSeconds": 901}),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("role{at}");
        world.role(&name, trust_if(ACCOUNT, condition.clone()), nothing()).await;
        assert_eq!(refusal(&world, &ann, &name, good).await, None, "{condition}");
        let code = refusal(&world, &ann, &name, bad).await;
        assert_eq!(code.as_deref(), Some(DENIED), "{condition}");
    }
}

#[tokio::test]
async fn tags_and_source_identity_need_permissions_of_their_own() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    let bob = world.user("bob", allow(&["sts:AssumeRole"])).await;
    world.role("r", trust(ACCOUNT), nothing()).await;
    let only = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}]});
    world.role("plain", only, nothing()).await;
    for more in [json!({"Tags": [{"Key": "a", "Value": "b"}]}), json!({"SourceIdentity": "me"})] {
        assert_eq!(refusal(&world, &ann, "r", more.clone()).await, None);
        assert_eq!(refusal(&world, &bob, "r", more.clone()).await.as_deref(), Some(DENIED));
        assert_eq!(refusal(&world, &ann, "plain", more).await.as_deref(), Some(DENIED));
    }
    assert_eq!(refusal(&world, &ann, "plain", json!({})).await, None);
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_a_wrong_code_is_none() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    let condition = json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}});
    world.role("mfa", trust_if(ACCOUNT, condition), nothing()).await;
    assert_eq!(refusal(&world, &ann, "mfa", json!({})).await.as_deref(), Some(DENIED));
    let serial = format!("arn:aws:iam::{ACCOUNT}:mfa/ann");
    let more = json!({"SerialNumber": serial, "TokenCode": "123456"});
    assert_eq!(refusal(&world, &ann, "mfa", more).await.as_deref(), Some(DENIED));
    for more in [json!({"SerialNumber": serial}), json!({"TokenCode": "123456"})] {
        let code = refusal(&world, &ann, "mfa", more).await;
        assert_eq!(code.as_deref(), Some("ValidationError"));
    }
}

#[tokio::test]
async fn bad_input_and_limits() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    world.role("r", trust(ACCOUNT), nothing()).await;
    let tags = |names: &[&str]| -> Vec<Value> {
        names.iter().map(|name| json!({"Key": name, "Value": "x".repeat(200)})).collect()
    };
    let many: Vec<String> = (0..25).map(|n| format!("tag{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = format!("{}{}", allow(&["s3:*"]), " ".repeat(2048));
    let administrator = json!({"arn": "arn:aws:iam::aws:policy/AdministratorAccess"});
    let foreign = json!({"arn": format!("arn:aws:iam::{OTHER_ACCOUNT}:policy/p")});
    for (more, code) in [
        (json!({"RoleArn": "arn:a:a::aaaaaaaaaa:bbbbbb"}), "ValidationError"),
        (json!({"RoleArn": user_arn("ann")}), "ValidationError"),
        (json!({"RoleSessionName": "a/b"}), "ValidationError"),
        (json!({"DurationSeconds": 899}), "ValidationError"),
        (json!({"DurationSeconds": 7201}), "ValidationError"),
        (json!({"Policy": long}), "ValidationError"),
        (json!({"Policy": "{}"}), "MalformedPolicyDocument"),
        (json!({"PolicyArns": vec![administrator.clone(); 11]}), "ValidationError"),
        (json!({"PolicyArns": [foreign]}), "ValidationError"),
        (json!({"Tags": tags(&["a", "A"])}), "InvalidParameterValue"),
        (json!({"Tags": tags(&["aws:a"])}), "InvalidParameterValue"),
        (json!({"TransitiveTagKeys": ["a"]}), "InvalidParameterValue"),
        (json!({"Tags": tags(&many)}), "PackedPolicyTooLarge"),
        (json!({"MinimumSessionTokenSize": 4096}), "ValidationError"),
    ] {
        let got = refusal(&world, &ann, "r", more.clone()).await;
        assert_eq!(got.as_deref(), Some(code), "{more}");
    }
    let good = json!({"DurationSeconds": 7200, "Policy": nothing().to_string(),
        "PolicyArns": vec![administrator; 10], "Tags": tags(&["a"])});
    let answer = world.call_as(&ann, "sts", "AssumeRole", assuming("r", good)).await.unwrap();
    assert!((1..=100).contains(&answer["PackedPolicySize"].as_i64().unwrap()));
}

#[tokio::test]
async fn chains_are_short_and_hand_down_tags_and_source_identity() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    world.role("one", trust(ACCOUNT), allow(&["sts:*"])).await;
    let condition = json!({"StringEquals":
        {"aws:PrincipalTag/team": "a", "aws:SourceIdentity": "me", "sts:SourceIdentity": "me"}});
    world.role("two", trust_if(&role_arn("one"), condition), allow(&["sts:*"])).await;
    let tags = json!([{"Key": "team", "Value": "a"}, {"Key": "own", "Value": "b"}]);
    let more = json!({"Tags": tags, "TransitiveTagKeys": ["TEAM"], "SourceIdentity": "me"});
    let one = world.assume(&ann, "one", more).await;
    let chain =
        async |more: Value| world.with(&one, "sts", "AssumeRole", assuming("two", more)).await;
    let answer = chain(json!({})).await.unwrap();
    assert_eq!(answer["SourceIdentity"], "me");
    let two = world.caller_of(&Temporary::of(&answer)).await.unwrap();
    assert_eq!(two.tags.0.into_iter().collect::<Vec<_>>(), [("team".into(), "a".into())]);
    assert!(two.session.unwrap().transitive.contains("team"));
    for (more, code) in [
        (json!({"DurationSeconds": 3601}), "ValidationError"),
        (json!({"SourceIdentity": "you"}), DENIED),
        (json!({"Tags": [{"Key": "Team", "Value": "b"}]}), "InvalidParameterValue"),
    ] {
        assert_eq!(chain(more.clone()).await.unwrap_err().code, code, "{more}");
    }
    // Without them it is not let in.
    let bare = world.assume(&ann, "one", json!({})).await;
    let body = assuming("two", json!({}));
    assert_eq!(world.with(&bare, "sts", "AssumeRole", body).await.unwrap_err().code, DENIED);
}

/// Nobody may learn from a refusal whether there is a role, in whichever account.
#[tokio::test]
async fn a_role_that_does_not_exist_is_refused_like_one_that_does() {
    let world = World::new().await;
    let ann = world.user("ann", nothing()).await;
    world.role("real", trust(ACCOUNT), nothing()).await;
    for more in [
        json!({}),
        json!({"SerialNumber": format!("arn:aws:iam::{ACCOUNT}:mfa/x"), "TokenCode": "123456"}),
        json!({"SerialNumber": format!("arn:aws:iam::{ACCOUNT}:mfa/x")}),
    ] {
        let mut told = Vec::new();
        for role in ["real", "none"] {
            let body = assuming(role, more.clone()).to_string();
            let fault = world.raw(&ann, "sts", "AssumeRole", body.as_bytes()).await.unwrap_err();
            let text = fault.message.replace(role, "ROLE");
            told.push((fault.code, text, fault.encoded.is_some()));
        }
        assert_eq!(told[0], told[1], "{more}");
    }
}

#[tokio::test]
async fn a_session_policy_without_a_name_is_none() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    world.role("r", trust(ACCOUNT), allow(&["kms:*"])).await;
    for arns in [json!([{}]), json!([{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, {}])] {
        let body = assuming("r", json!({"PolicyArns": arns}));
        assert_eq!(world.fails(&ann, "sts", "AssumeRole", body).await.code, "ValidationError");
    }
}
