//! Requests for what does not exist, and the dress of answers.
use super::{Client, code_of, one_refusal};
use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn json_targets_that_do_not_exist() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let root = Some(world.root.access_key_id.as_str());
    for target in [
        "TrentService.Nope",
        "TrentService.encrypt",
        "TrentService.",
        "TrentService",
        "trentservice.Encrypt",
        "Nope.Encrypt",
        "DynamoDB_20120810.GetItem",
        "TrentService.Forge",
        ".Encrypt",
        "secretsmanager.Encrypt",
        "\u{1}",
    ] {
        let target = if target == "\u{1}" { "TrentService.En%63rypt" } else { target };
        let service = if target.starts_with("secrets") { "secretsmanager" } else { "kms" };
        let request = client.sign(client.json(target, &json!({})), &world.root, service);
        let before = world.events().len();
        let answer = client.send(&request).await;
        assert_eq!(answer.status, 400, "{target}");
        assert_eq!(answer.json(), json!({"__type": "UnknownOperationException"}), "{target}");
        assert_eq!(answer.header("x-amzn-errortype"), Some("UnknownOperationException"));
        let event = one_refusal(&world, before, &answer, root);
        assert_eq!(event.event_name, "Unknown", "{target}");
        // Only where there is a service to be signed for, the caller is proved.
        let service = target.starts_with("TrentService.") || target.starts_with("secrets");
        assert_eq!(event.user_identity.arn.is_some(), service, "{target}");
    }
    // Without a signature nobody learns which operations there are.
    let before = world.events().len();
    let answer = client.send(&client.json("TrentService.Forge", &json!({}))).await;
    assert_eq!(code_of(&answer).as_deref(), Some("MissingAuthenticationTokenException"));
    one_refusal(&world, before, &answer, None);
}

#[tokio::test]
async fn query_actions_that_do_not_exist() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let root = Some(world.root.access_key_id.as_str());
    for (form, text) in [
        ("Action=Nope&Version=2011-06-15", "Could not find operation Nope for version 2011-06-15"),
        (
            "Action=GetCallerIdentity",
            "Could not find operation GetCallerIdentity for version NO_VERSION_SPECIFIED",
        ),
        (
            "Action=GetCallerIdentity&Version=2010-01-01",
            "Could not find operation GetCallerIdentity for version 2010-01-01",
        ),
        (
            "Action=CreateUser&Version=2011-06-15",
            "Could not find operation CreateUser for version 2011-06-15",
        ),
        (
            "Action=%3Cb%3E&Version=2011-06-15",
            "Could not find operation <b> for version 2011-06-15",
        ),
    ] {
        let before = world.events().len();
        let answer = client.sts(&world.root, form).await;
        assert_eq!(answer.status, 400, "{form}");
        assert_eq!(code_of(&answer).as_deref(), Some("InvalidAction"), "{form}");
        assert_eq!(answer.message(), text);
        assert!(answer.text().contains("http://webservices.amazon.com/AWSFault/2005-15-09"));
        one_refusal(&world, before, &answer, root);
    }
    for form in ["Action=%zz", "Action=%ff%ff&Version=2011-06-15"] {
        let before = world.events().len();
        let answer = client.sts(&world.root, form).await;
        assert_eq!((answer.status, code_of(&answer).as_deref()), (400, Some("MalformedInput")));
        one_refusal(&world, before, &answer, root);
    }
    let before = world.events().len();
    let answer = client.iam(&world.root, "Action=ListUsers&Version=2010-05-08&MaxItems=x").await;
    assert_eq!((answer.status, code_of(&answer).as_deref()), (400, Some("MalformedInput")));
    one_refusal(&world, before, &answer, root);
}

#[tokio::test]
async fn a_bare_get_is_no_operation() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    for (method, uri) in [("GET", "/"), ("POST", "/"), ("GET", "/favicon.ico"), ("PUT", "/x?y=z")] {
        let mut request = client.form("");
        request.method = method;
        request.uri = uri.into();
        let before = world.events().len();
        let answer = client.send(&request.without("content-type")).await;
        assert_eq!(answer.status, 400, "{method} {uri}");
        assert_eq!(code_of(&answer).as_deref(), Some("UnknownOperationException"));
        one_refusal(&world, before, &answer, None);
        assert_eq!(world.last_event().event_source, "claviger");
    }
}

#[tokio::test]
async fn answers_are_dressed_as_aws_dresses_them() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let ok = client.kms(&world.root, "CreateKey", json!({})).await;
    let no_content = client
        .kms(&world.root, "DisableKey", json!({"KeyId": ok.json()["KeyMetadata"]["KeyId"]}))
        .await;
    assert_eq!((no_content.status, no_content.text()), (200, ""));
    let failed = client.kms(&world.root, "DescribeKey", json!({"KeyId": "x"})).await;
    let body = json!({"__type": "NotFoundException", "message": "Invalid keyId 'x'"});
    assert_eq!(failed.json(), body);
    assert_eq!(failed.header("x-amzn-errortype"), Some("NotFoundException"));
    for answer in [&ok, &no_content, &failed] {
        assert_eq!(answer.header("content-type"), Some("application/x-amz-json-1.1"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let id = answer.header("x-amzn-requestid").unwrap();
        assert!(uuid::Uuid::parse_str(id).is_ok());
        assert!(world.events().iter().any(|event| event.request_id == id));
        assert!(answer.header("date").is_some());
    }
    assert_eq!(ok.header("x-amzn-errortype"), None);

    let ok = client.sts(&world.root, "Action=GetCallerIdentity&Version=2011-06-15").await;
    let id = ok.header("x-amzn-requestid").unwrap();
    let account = &world.root.account;
    let expected = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  \
         <GetCallerIdentityResult>\n    <Account>{account}</Account>\n    \
         <Arn>arn:aws:iam::{account}:root</Arn>\n    <UserId>{account}</UserId>\n  \
         </GetCallerIdentityResult>\n  <ResponseMetadata>\n    <RequestId>{id}</RequestId>\n  \
         </ResponseMetadata>\n</GetCallerIdentityResponse>\n"
    );
    assert_eq!(ok.text(), expected);
    let failed = client.iam(&world.root, "Action=GetUser&Version=2010-05-08&UserName=none").await;
    let id = failed.header("x-amzn-requestid").unwrap();
    let expected = format!(
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\n  <Error>\n    \
         <Type>Sender</Type>\n    <Code>NoSuchEntity</Code>\n    \
         <Message>The user with name none cannot be found.</Message>\n  </Error>\n  \
         <RequestId>{id}</RequestId>\n</ErrorResponse>\n"
    );
    assert_eq!((failed.status, failed.text()), (404, expected.as_str()));
    for answer in [&ok, &failed] {
        assert_eq!(answer.header("content-type"), Some("text/xml"));
    }
}

#[tokio::test]
async fn denials_say_message_with_a_capital() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let nobody = world.nobody().await;
    let answer = client.kms(&nobody, "ListKeys", json!({})).await;
    assert_eq!(answer.json()["__type"], "AccessDeniedException");
    assert!(answer.json()["Message"].as_str().unwrap().starts_with("User: arn:aws:iam::"));
    assert_eq!(answer.status, 400);
    let answer = client.iam(&nobody, "Action=ListUsers&Version=2010-05-08").await;
    assert_eq!((answer.status, code_of(&answer).as_deref()), (403, Some("AccessDenied")));
}

#[tokio::test]
async fn forms_carry_lists_numbers_and_escapes() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let form = "Action=CreateUser&Version=2010-05-08&UserName=a%2Bb&Path=%2Fteam%2F\
        &Tags.member.1.Key=Dept&Tags.member.1.Value=R%2BD+1&Tags.member.2.Key=e\
        &Tags.member.2.Value=";
    let made = client.iam(&world.root, form).await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert!(made.text().contains("<Arn>arn:aws:iam::111122223333:user/team/a+b</Arn>"));
    assert!(made.text().contains("<Value>R+D 1</Value>"), "{}", made.text());
    assert!(made.text().contains("<CreateDate>2026-01-01T00:00:00Z</CreateDate>"));
    let form = "Action=ListUsers&Version=2010-05-08&MaxItems=1&PathPrefix=%2Fteam";
    let listed = client.iam(&world.root, form).await;
    assert!(listed.text().contains("<IsTruncated>false</IsTruncated>"), "{}", listed.text());
    assert!(listed.text().contains("<member>"));
    let gone = client.iam(&world.root, "Action=DeleteUser&Version=2010-05-08&UserName=a%2Bb").await;
    assert_eq!(gone.status, 200);
    assert!(gone.text().starts_with("<DeleteUserResponse") && !gone.text().contains("Result"));
}
