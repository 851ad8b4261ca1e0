//! GetWebIdentityToken: what its tokens say, who may ask for them, and that others can check them.
use super::{Temporary, role_arn, trust};
use crate::front::Client;
use crate::support::{policy, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, PUBLIC_URL, Someone, World, allow};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use claviger::federation::{Issuers, Jwks, Settings, Token};
use claviger::http::{Front, Limits, Listener, Tls};
use claviger::types::Tags;
use serde_json::{Value, json};
use std::sync::Arc;

const ALGORITHMS: [&str; 2] = ["RS256", "ES384"];

fn issuer() -> String {
    format!("{PUBLIC_URL}/web-identity/{ACCOUNT}")
}

fn asking(more: Value) -> Value {
    let mut body = json!({"Audience": ["https://api.example.com"], "SigningAlgorithm": "ES384"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn enabled() -> World {
    let world = World::new().await;
    let made = world.iam("EnableOutboundWebIdentityFederation", json!({})).await;
    assert_eq!(made["IssuerIdentifier"], issuer());
    world
}

async fn token(world: &World, who: &Someone, more: Value) -> String {
    let made = world.call_as(who, "sts", "GetWebIdentityToken", asking(more)).await.unwrap();
    made["WebIdentityToken"].as_str().unwrap().to_owned()
}

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&B64.decode(part).unwrap()).unwrap()
}

/// What is published under a path, without credentials.
async fn published(world: &World, path: &str) -> (u16, Value) {
    let client = Client::new(world).await;
    let mut request = client.form("");
    (request.method, request.uri) = ("GET", path.into());
    request.headers.retain(|(name, _)| name == "host");
    let answer = client.send(&request).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

async fn keys(world: &World) -> Option<Jwks> {
    let path = format!("/web-identity/{ACCOUNT}/.well-known/jwks.json");
    let (status, keys) = published(world, &path).await;
    assert!([200, 404].contains(&status));
    (status == 200).then(|| Jwks::parse(keys.to_string().as_bytes()).unwrap())
}

fn is_good(token: &str, keys: &Jwks, now: i64) -> bool {
    Token::parse(token).unwrap().verify(keys, now).is_ok()
}

#[tokio::test]
async fn tokens_say_who_asked_and_verify_with_what_is_published() {
    let world = enabled().await;
    let ann = world.user("ann", allow(&["sts:*", "iam:*"])).await;
    let now = world.server.clock.now().secs();
    let path = format!("/web-identity/{ACCOUNT}/.well-known/");
    let (status, document) = published(&world, &format!("{path}openid-configuration")).await;
    assert_eq!((status, &document["issuer"]), (200, &json!(issuer())));
    assert_eq!(document["jwks_uri"], format!("{PUBLIC_URL}{path}jwks.json"));
    let keys = keys(&world).await.unwrap();
    for algorithm in ALGORITHMS {
        let tags = json!([{"Key": "job", "Value": "nightly"}]);
        let more = json!({"SigningAlgorithm": algorithm, "Tags": tags});
        let token = token(&world, &ann, more).await;
        assert!(is_good(&token, &keys, now));
        assert!(is_good(&token, &keys, now + 299));
        assert!(!is_good(&token, &keys, now + 300));
        assert_eq!(part(&token, 0)["alg"], algorithm);
        let claims = part(&token, 1);
        assert_eq!(claims["iss"], issuer());
        assert_eq!(claims["sub"], user_arn("ann"));
        assert_eq!(claims["aud"], "https://api.example.com");
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(now), &json!(now + 300)));
        let expected = json!({
            "aws_account": ACCOUNT,
            "source_region": "eu-west-1",
            "principal_id": user_arn("ann"),
            "request_tags": {"job": "nightly"},
        });
        assert_eq!(claims["https://sts.amazonaws.com/"], expected);
        let event = serde_json::to_value(world.last_event()).unwrap();
        assert_eq!(event["requestParameters"]["audience"], json!(["https://api.example.com"]));
        assert!(!event.to_string().contains(token.split('.').nth(2).unwrap()));
    }
    let first = token(&world, &ann, json!({})).await;
    let second = token(&world, &ann, json!({"Audience": ["a", "b"]})).await;
    assert_ne!(part(&first, 1)["jti"], part(&second, 1)["jti"]);
    assert_eq!(part(&second, 1)["aud"], json!(["a", "b"]));
}

#[tokio::test]
async fn a_changed_token_does_not_verify() {
    let world = enabled().await;
    let keys = keys(&world).await.unwrap();
    let now = world.server.clock.now().secs();
    for algorithm in ALGORITHMS {
        let token = token(&world, &world.root, json!({"SigningAlgorithm": algorithm})).await;
        let mut claims = part(&token, 1);
        claims["sub"] = json!(user_arn("somebody"));
        let parts: Vec<&str> = token.split('.').collect();
        let forged = format!("{}.{}.{}", parts[0], B64.encode(claims.to_string()), parts[2]);
        assert!(is_good(&token, &keys, now));
        assert!(!is_good(&forged, &keys, now));
    }
}

#[tokio::test]
async fn a_session_speaks_for_its_role_and_no_longer_than_itself() {
    let world = enabled().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    let tags = Tags([("team".to_owned(), "blue".to_owned())].into());
    world.tagged_role("r", trust(ACCOUNT), allow(&["sts:*"]), tags).await;
    let more = json!({"DurationSeconds": 900, "SourceIdentity": "ann",
        "Tags": [{"Key": "cost", "Value": "7"}]});
    let session: Temporary = world.assume(&ann, "r", more).await;
    let ask = async |seconds: i64| {
        let body = asking(json!({"DurationSeconds": seconds}));
        world.with(&session, "sts", "GetWebIdentityToken", body).await
    };
    let made = ask(900).await.unwrap();
    let claims = part(made["WebIdentityToken"].as_str().unwrap(), 1);
    assert_eq!(claims["sub"], role_arn("r"));
    let expected = json!({
        "aws_account": ACCOUNT,
        "source_region": "eu-west-1",
        "principal_id": role_arn("r"),
        "principal_tags": {"team": "blue", "cost": "7"},
        "original_session_exp": "2026-01-01T00:15:00Z",
        "source_identity": "ann",
    });
    assert_eq!(claims["https://sts.amazonaws.com/"], expected);
    assert_eq!(ask(901).await.unwrap_err().code, "SessionDurationEscalationException");
    world.clock.advance(601);
    assert_eq!(ask(300).await.unwrap_err().code, "SessionDurationEscalationException");
    ask(299).await.unwrap();
}

#[tokio::test]
async fn it_is_off_until_it_is_enabled_and_after_it_is_disabled() {
    let world = World::new().await;
    let ask = || world.call("sts", "GetWebIdentityToken", asking(json!({})));
    let code = "OutboundWebIdentityFederationDisabledException";
    assert_eq!(ask().await.unwrap_err().code, code);
    assert!(keys(&world).await.is_none());
    let switch = async |name: &str| {
        let name = format!("{name}OutboundWebIdentityFederation");
        world.call("iam", &name, json!({})).await.map_err(|error| error.code)
    };
    let info = "GetOutboundWebIdentityFederationInfo";
    let disabled = Err("FeatureDisabled".to_owned());
    assert_eq!(switch("Disable").await, disabled);
    assert_eq!(world.call("iam", info, json!({})).await.unwrap_err().code, "FeatureDisabled");
    switch("Enable").await.unwrap();
    assert_eq!(switch("Enable").await, Err("FeatureEnabled".to_owned()));
    let told = world.iam(info, json!({})).await;
    assert_eq!(told, json!({"IssuerIdentifier": issuer(), "JwtVendingEnabled": true}));
    let first = token(&world, &world.root, json!({"DurationSeconds": 3600})).await;
    // Another account's switch is its own.
    let other = world.other_root();
    let outcome = world.call_as(&other, "sts", "GetWebIdentityToken", asking(json!({}))).await;
    assert_eq!(outcome.unwrap_err().code, code);

    switch("Disable").await.unwrap();
    assert_eq!(switch("Disable").await, disabled);
    assert_eq!(ask().await.unwrap_err().code, code);
    // What was given is good as long as it says: also beside the keys of a new beginning.
    let now = world.server.clock.now().secs();
    assert!(is_good(&first, &keys(&world).await.unwrap(), now));
    switch("Enable").await.unwrap();
    let second = token(&world, &world.root, json!({})).await;
    assert_ne!(part(&first, 0)["kid"], part(&second, 0)["kid"]);
    let both = keys(&world).await.unwrap();
    assert!(is_good(&first, &both, now) && is_good(&second, &both, now));
    world.clock.advance(3900);
    let left = keys(&world).await.unwrap();
    assert!(!is_good(&first, &left, now) && is_good(&second, &left, now));
}

#[tokio::test]
async fn a_server_without_a_public_url_has_no_tokens() {
    let mut world = enabled().await;
    Arc::get_mut(&mut world.server).unwrap().public_url = None;
    let outcome = world.call("sts", "GetWebIdentityToken", asking(json!({}))).await;
    assert_eq!(outcome.unwrap_err().code, "OutboundWebIdentityFederationDisabledException");
    let outcome = world.call("iam", "EnableOutboundWebIdentityFederation", json!({})).await;
    assert!(outcome.unwrap_err().message.contains("federation.issuer"));
    let path = format!("/web-identity/{ACCOUNT}/.well-known/jwks.json");
    assert_eq!(published(&world, &path).await.0, 400);
}

#[tokio::test]
async fn policies_decide_on_audience_algorithm_duration_and_tags() {
    let world = enabled().await;
    let statement = |action: &str, condition: Value| json!({"Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition});
    let only = json!({
        "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": ["a", "b"]},
        "Null": {"sts:IdentityTokenAudience": "false"},
        "StringEquals": {"sts:SigningAlgorithm": "ES384"},
        "NumericLessThanEquals": {"sts:DurationSeconds": "300"},
    });
    let tagging = json!({"StringEquals": {"aws:RequestTag/job": "nightly"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["job"]}});
    let document = policy(&[
        statement("sts:GetWebIdentityToken", only),
        statement("sts:TagGetWebIdentityToken", tagging),
    ]);
    let ann = world.user("ann", document).await;
    let bob = world.user("bob", allow(&["sts:GetWebIdentityToken"])).await;
    let tag = |key: &str, value: &str| json!([{"Key": key, "Value": value}]);
    for (who, more, may) in [
        (&ann, json!({"Audience": ["a"]}), true),
        (&ann, json!({"Audience": ["a", "b"]}), true),
        (&ann, json!({"Audience": ["c"]}), false),
        (&ann, json!({"Audience": ["a", "c"]}), false),
        (&ann, json!({"Audience": ["a"], "SigningAlgorithm": "RS256"}), false),
        (&ann, json!({"Audience": ["a"], "DurationSeconds": 300}), true),
        (&ann, json!({"Audience": ["a"], "DurationSeconds": 301}), false),
        (&ann, json!({"Audience": ["a"], "Tags": tag("job", "nightly")}), true),
        (&ann, json!({"Audience": ["a"], "Tags": tag("job", "daily")}), false),
        (&ann, json!({"Audience": ["a"], "Tags": tag("other", "nightly")}), false),
        (&bob, json!({}), true),
        (&bob, json!({"Tags": tag("job", "nightly")}), false),
    ] {
        let outcome = world.call_as(who, "sts", "GetWebIdentityToken", asking(more.clone())).await;
        match outcome {
            Ok(_) => assert!(may, "{more}"),
            Err(error) => assert!(!may && error.code == "AccessDenied", "{more}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_asked_for() {
    let world = enabled().await;
    let many: Vec<Value> =
        (0..50).map(|n| json!({"Key": format!("k{n}"), "Value": "v".repeat(200)})).collect();
    let long: Vec<String> = (0..10).map(|n| format!("{n}{}", "a".repeat(900))).collect();
    for (more, code) in [
        (json!({"SigningAlgorithm": "HS256"}), "ValidationError"),
        (json!({"SigningAlgorithm": "none"}), "ValidationError"),
        (json!({"SigningAlgorithm": "es384"}), "ValidationError"),
        (json!({"DurationSeconds": 59}), "ValidationError"),
        (json!({"DurationSeconds": 3601}), "ValidationError"),
        (json!({"Audience": []}), "ValidationError"),
        (json!({"Tags": [{"Key": "aws:x", "Value": "v"}]}), "InvalidParameterValue"),
        (json!({"Tags": many}), "JWTPayloadSizeExceededException"),
        (json!({"Audience": long}), "JWTPayloadSizeExceededException"),
    ] {
        let outcome = world.call("sts", "GetWebIdentityToken", asking(more.clone())).await;
        assert_eq!(outcome.unwrap_err().code, code, "{more}");
    }
}

#[tokio::test]
async fn what_is_published_is_that_and_no_more() {
    let world = enabled().await;
    let account = format!("/web-identity/{ACCOUNT}");
    for path in [
        format!("/web-identity/{OTHER_ACCOUNT}/.well-known/jwks.json"),
        "/web-identity/999999999999/.well-known/jwks.json".into(),
        "/web-identity/../.well-known/jwks.json".into(),
        format!("{account}/.well-known/"),
        format!("{account}/.well-known/jwks.json/x"),
        format!("{account}/.well-known/openid-configuration.json"),
    ] {
        assert_eq!(published(&world, &path).await.0, 404, "{path}");
    }
    let (_, keys) = published(&world, &format!("{account}/.well-known/jwks.json")).await;
    for key in keys["keys"].as_array().unwrap() {
        let names: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        let expected: &[&str] = match key["kty"].as_str().unwrap() {
            "RSA" => &["alg", "e", "kid", "kty", "n", "use"],
            _ => &["alg", "crv", "kid", "kty", "use", "x", "y"],
        };
        assert_eq!(names, expected);
    }
}

/// The whole way: one account's token becomes a role of another one, which knows the issuer only by
/// what it publishes over TLS.
#[tokio::test]
async fn another_account_takes_the_word_of_an_issuer() {
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name);
    let server = rcgen::generate_simple_self_signed(["kms.example.org".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), server.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), server.signing_key.serialize_pem()).unwrap();
    let tls = Tls::from_pem_files(&path("cert.pem"), &path("key.pem")).unwrap();
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut world = World::new().await;
    let settings = Settings {
        issuer: issuer(),
        jwks_file: None,
        ca_file: Some(path("cert.pem")),
        address: Some(tcp.local_addr().unwrap()),
        jwks_url: None,
    };
    Arc::get_mut(&mut world.server).unwrap().issuers = Arc::new(Issuers::new(&[settings]).unwrap());
    let front = Arc::new(Front::new(world.server.clone(), None, None));
    let listener = Listener::new(tcp, Some(&tls), front, Limits::default()).unwrap();
    tokio::spawn(listener.serve(std::future::pending()));
    world.iam("EnableOutboundWebIdentityFederation", json!({})).await;
    let ann = world.user("ann", allow(&["sts:GetWebIdentityToken"])).await;
    let bob = world.user("bob", allow(&["sts:GetWebIdentityToken"])).await;

    let other = world.other_root();
    let body = json!({"Url": issuer(), "ClientIDList": ["payroll"]});
    let made = world.call_as(&other, "iam", "CreateOpenIDConnectProvider", body).await.unwrap();
    let name = issuer().trim_start_matches("https://").to_owned();
    let trust = policy(&[json!({
        "Effect": "Allow",
        "Principal": {"Federated": made["OpenIDConnectProviderArn"]},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {
            format!("{name}:sub"): user_arn("ann"), format!("{name}:aud"): "payroll",
        }},
    })]);
    let body = json!({"RoleName": "partner", "AssumeRolePolicyDocument": trust.to_string()});
    world.call_as(&other, "iam", "CreateRole", body).await.unwrap();
    let assume = async |token: String| {
        let body = json!({"RoleArn": format!("arn:aws:iam::{OTHER_ACCOUNT}:role/partner"),
            "RoleSessionName": "s1", "WebIdentityToken": token});
        world.call("sts", "AssumeRoleWithWebIdentity", body).await.map_err(|error| error.code)
    };
    for algorithm in ALGORITHMS {
        let more = json!({"Audience": ["payroll"], "SigningAlgorithm": algorithm});
        let made = assume(token(&world, &ann, more.clone()).await).await.unwrap();
        assert_eq!(made["SubjectFromWebIdentityToken"], user_arn("ann"));
        assert_eq!(assume(token(&world, &bob, more).await).await, Err("AccessDenied".into()));
        let more = json!({"Audience": ["sales"], "SigningAlgorithm": algorithm});
        let code = assume(token(&world, &ann, more).await).await.unwrap_err();
        assert_eq!(code, "InvalidIdentityToken");
    }
    let old = token(&world, &ann, json!({"Audience": ["payroll"]})).await;
    world.clock.advance(300);
    assert_eq!(assume(old).await, Err("ExpiredTokenException".into()));
}
