//! Headers that claim what only the server may say, and headers that hold secrets.
use super::{Client, code_of};
use crate::support::policy;
use crate::world::{REGION, World};
use serde_json::json;

const FORGED: [(&str, &str); 14] = [
    ("x-amz-via-service", "secretsmanager.eu-west-1.amazonaws.com"),
    ("x-amz-viaservice", "secretsmanager.eu-west-1.amazonaws.com"),
    ("kms-viaservice", "secretsmanager.eu-west-1.amazonaws.com"),
    ("x-amz-kms-via-service", "secretsmanager.eu-west-1.amazonaws.com"),
    ("aws-calledvia", "secretsmanager.amazonaws.com"),
    ("x-amz-source-arn", "arn:aws:iam::111122223333:root"),
    ("x-amz-source-account", "111122223333"),
    ("x-forwarded-for", "10.1.2.3"),
    ("x-forwarded-proto", "https"),
    ("forwarded", "for=10.1.2.3;proto=https"),
    ("x-real-ip", "10.1.2.3"),
    ("x-amzn-requestid", "00000000-0000-0000-0000-000000000000"),
    ("x-amz-user", "arn:aws:iam::111122223333:root"),
    ("via", "1.1 secretsmanager.amazonaws.com"),
];

#[tokio::test]
async fn a_header_never_becomes_a_condition_key() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let only = |operator: &str, key: &str, value: &str| {
        policy(&[json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*",
            "Condition": {operator: {key: value}}})])
    };
    let via = format!("secretsmanager.{REGION}.amazonaws.com");
    for (at, condition) in [
        only("StringEquals", "kms:ViaService", &via),
        only("StringEquals", "aws:CalledViaLast", "secretsmanager.amazonaws.com"),
        only("Bool", "aws:ViaAWSService", "true"),
        only("IpAddress", "aws:SourceIp", "10.1.2.3/32"),
        only("Bool", "aws:SecureTransport", "true"),
        only("StringEquals", "aws:SourceAccount", "111122223333"),
        only("StringLike", "aws:SourceArn", "*"),
    ]
    .into_iter()
    .enumerate()
    {
        let who = world.user(&format!("u{at}"), condition.clone()).await;
        let mut request = client.json("TrentService.ListKeys", &json!({}));
        for (name, value) in FORGED {
            request = request.with(name, value);
        }
        let answer = client.send(&client.sign(request, &who, "kms")).await;
        let code = code_of(&answer);
        assert_eq!(code.as_deref(), Some("AccessDeniedException"), "{condition}");
    }
    // What is true of the connection holds.
    let who = world.user("local", only("IpAddress", "aws:SourceIp", "127.0.0.0/8")).await;
    assert_eq!(client.kms(&who, "ListKeys", json!({})).await.status, 200);
}

#[tokio::test]
async fn the_managed_key_stays_shut_whatever_the_headers_say() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let key = world.kms("DescribeKey", json!({"KeyId": "alias/aws/secretsmanager"})).await;
    let body = json!({"KeyId": key["KeyMetadata"]["Arn"], "Plaintext": "aGVsbG8="});
    let mut request = client.json("TrentService.Encrypt", &body);
    for (name, value) in FORGED {
        request = request.with(name, value);
    }
    let answer = client.send(&client.sign(request, &world.root, "kms")).await;
    assert_eq!(code_of(&answer).as_deref(), Some("AccessDeniedException"));
    let event = world.last_event();
    assert_eq!(event.source_ip_address, "127.0.0.1");
    assert_eq!(event.user_identity.invoked_by, None);
    assert_ne!(event.request_id, "00000000-0000-0000-0000-000000000000");
    assert_eq!(answer.header("x-amzn-requestid"), Some(event.request_id.as_str()));
}

#[tokio::test]
async fn secrets_in_headers_never_reach_the_log() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let mut sent = Vec::new();
    for signed in [false, true] {
        let mut request = client.json("TrentService.ListKeys", &json!({}));
        for name in ["cookie", "x-api-key", "proxy-authorization", "x-amz-security-note"] {
            request = request.with(name, "hunter2-in-a-header");
        }
        if signed {
            request = client.sign(request, &world.root, "kms");
            sent.push(request.header("authorization").rsplit('=').next().unwrap().to_owned());
        } else {
            request = request.with("authorization", "Basic hunter2-in-a-header");
        }
        client.send(&request).await;
    }
    let token = "hunter2-in-a-token";
    let (root, now) = (&world.root, crate::world::NOW_SECS);
    let request = client.json("TrentService.ListKeys", &json!({}));
    let request = client.sign_at(request, root, (REGION, "kms"), now, Some(token));
    sent.push(request.header("authorization").rsplit('=').next().unwrap().to_owned());
    client.send(&request).await;
    let events = serde_json::to_string(&world.events()).unwrap();
    assert_eq!(world.events().len(), 3);
    assert!(!events.contains("hunter2"), "{events}");
    for signature in sent {
        assert!(!events.contains(&signature), "{signature}");
    }
    assert!(!events.contains(&world.root.secret));
}

#[tokio::test]
async fn the_user_agent_is_recorded_and_nothing_more() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let who = world.user(
        "ann",
        policy(&[json!({"Effect": "Allow", "Action": "kms:*",
        "Resource": "*", "Condition": {"StringLike": {"aws:UserAgent": "tool/*"}}})]),
    );
    let who = who.await;
    for (agent, code) in [("tool/1", None), ("other", Some("AccessDeniedException".to_owned()))] {
        let request = client.json("TrentService.ListKeys", &json!({}));
        let request = client.sign(request, &who, "kms").with("user-agent", agent);
        assert_eq!(code_of(&client.send(&request).await), code);
        assert_eq!(world.last_event().user_agent, agent);
    }
}
