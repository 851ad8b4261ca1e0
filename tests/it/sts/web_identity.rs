//! AssumeRoleWithWebIdentity: tokens of a local issuer, good ones and their bad neighbours.
use super::issuer::{ISSUER, claims, issuers, jwks, signed, token};
use crate::front::{Client, code_of};
use crate::support::policy;
use crate::world::{ACCOUNT, OTHER_ACCOUNT, World};
use serde_json::{Value, json};
use std::sync::Arc;

const SUBJECT: &str = "system:serviceaccount:shop:payments";

/// A provider and a role `pod` that trusts one service account of it.
pub async fn cluster(world: &World) {
    let body = json!({"Url": ISSUER, "ClientIDList": ["sts.amazonaws.com"]});
    world.iam("CreateOpenIDConnectProvider", body).await;
    let trust = policy(&[json!({
        "Effect": "Allow",
        "Principal": {"Federated": provider()},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {
            "oidc.example.com/cluster:sub": SUBJECT,
            "oidc.example.com/cluster:aud": "sts.amazonaws.com",
        }},
    })]);
    let body = json!({"RoleName": "pod", "AssumeRolePolicyDocument": trust.to_string()});
    world.iam("CreateRole", body).await;
}

fn provider() -> String {
    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example.com/cluster")
}

pub fn request(token: &str) -> Value {
    json!({"RoleArn": format!("arn:aws:iam::{ACCOUNT}:role/pod"), "RoleSessionName": "pod-1",
        "WebIdentityToken": token})
}

async fn code(world: &World, body: Value) -> Option<String> {
    let outcome = world.call("sts", "AssumeRoleWithWebIdentity", body).await;
    outcome.err().map(|error| error.code)
}

fn now(world: &World) -> i64 {
    world.server.clock.now().secs()
}

#[tokio::test]
async fn a_service_account_becomes_a_role() {
    let world = World::new().await;
    cluster(&world).await;
    let claims = claims(now(&world));
    for (alg, kid) in [("ES256", "p256"), ("ES384", "p384"), ("EdDSA", "edwards")] {
        let token = signed(&json!({"alg": alg, "kid": kid, "typ": "JWT"}), &claims);
        let made = world.call("sts", "AssumeRoleWithWebIdentity", request(&token)).await.unwrap();
        assert_eq!(made["SubjectFromWebIdentityToken"], SUBJECT);
        assert_eq!(made["Audience"], "sts.amazonaws.com");
        assert_eq!(made["Provider"], provider());
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/pod/pod-1");
        assert_eq!(made["AssumedRoleUser"]["Arn"], arn);
        let event = world.last_event();
        let shown = serde_json::to_value(&event.user_identity).unwrap();
        assert_eq!(shown["type"], "WebIdentityUser");
        assert_eq!(shown["userName"], SUBJECT);
        assert!(!serde_json::to_string(&event).unwrap().contains(&token));
    }
}

#[tokio::test]
async fn over_http_it_is_asked_without_a_signature() {
    let world = World::new().await;
    cluster(&world).await;
    let client = Client::new(&world).await;
    let version = "Version=2011-06-15";
    let role = format!("RoleArn=arn:aws:iam::{ACCOUNT}:role/pod&RoleSessionName=pod-1");
    let token = token(&claims(now(&world)));
    let form = |token: &str| {
        client.form(&format!(
            "Action=AssumeRoleWithWebIdentity&{version}&{role}&WebIdentityToken={token}"
        ))
    };
    let answer = client.send(&form(&token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("<SubjectFromWebIdentityToken>"), "{}", answer.text());
    assert_eq!(world.last_event().recipient_account_id, ACCOUNT);
    let answer = client.send(&form("x.y.z")).await;
    assert_eq!(code_of(&answer).as_deref(), Some("InvalidIdentityToken"));
    let shown = serde_json::to_value(&world.last_event().user_identity).unwrap();
    assert_eq!(shown["accountId"], "ANONYMOUS_PRINCIPAL");
    // No other operation is asked so.
    let answer = client.send(&client.form(&format!("Action=GetCallerIdentity&{version}"))).await;
    assert_eq!(code_of(&answer).as_deref(), Some("MissingAuthenticationToken"));
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused() {
    let world = World::new().await;
    cluster(&world).await;
    let now = now(&world);
    let good = claims(now);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        token(&claims)
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        token(&claims)
    };
    let es256 = json!({"alg": "ES256", "kid": "p256"});
    let header = |name: &str, value: Value| {
        let mut header = es256.clone();
        header[name] = value;
        signed(&header, &good)
    };
    let whole = token(&good);
    let parts: Vec<&str> = whole.split('.').collect();
    let other = token(&json!({"iss": ISSUER}));
    let other: Vec<&str> = other.split('.').collect();
    let invalid = "InvalidIdentityToken";
    for (what, token, code_wanted) in [
        ("unsigned", format!("{}.{}.", parts[0], parts[1]), invalid),
        ("another's signature", format!("{}.{}.{}", parts[0], parts[1], other[2]), invalid),
        ("no algorithm", header("alg", json!("none")), invalid),
        ("a MAC", header("alg", json!("HS256")), invalid),
        ("another curve", header("alg", json!("ES384")), invalid),
        ("RSA", header("alg", json!("RS256")), invalid),
        ("unknown key", header("kid", json!("p257")), invalid),
        ("key for encryption", header("kid", json!("for-encryption")), invalid),
        ("critical", header("crit", json!(["x"])), invalid),
        ("garbage", "abcdef".to_owned(), invalid),
        ("a part too many", format!("{whole}.x"), invalid),
        ("padded", format!("{whole}="), invalid),
        ("no issuer", without("iss"), invalid),
        ("no subject", without("sub"), invalid),
        ("no audience", without("aud"), invalid),
        ("no end", without("exp"), invalid),
        ("no beginning", without("iat"), invalid),
        ("another issuer", with("iss", json!("https://evil.example.com")), invalid),
        ("the issuer's parent", with("iss", json!("https://oidc.example.com")), invalid),
        ("another audience", with("aud", json!("someone")), invalid),
        ("given to another", with("azp", json!("someone")), invalid),
        ("ended", with("exp", json!(now)), "ExpiredTokenException"),
        ("not begun", with("nbf", json!(now + 301)), "IDPRejectedClaim"),
        ("of the future", with("iat", json!(now + 301)), "IDPRejectedClaim"),
        ("empty subject", with("sub", json!("")), "IDPRejectedClaim"),
        ("long subject", with("sub", json!("s".repeat(256))), "IDPRejectedClaim"),
        ("another subject", with("sub", json!(format!("{SUBJECT}2"))), "AccessDenied"),
    ] {
        assert_eq!(code(&world, request(&token)).await.as_deref(), Some(code_wanted), "{what}");
    }
    for (what, token) in [
        ("as it is", whole),
        ("audience alone", with("aud", json!("sts.amazonaws.com"))),
        ("one of two", with("aud", json!(["someone", "sts.amazonaws.com"]))),
        ("just begun", with("nbf", json!(now + 300))),
        ("just before the end", with("exp", json!(now + 1))),
    ] {
        assert_eq!(code(&world, request(&token)).await, None, "{what}");
    }
}

#[tokio::test]
async fn roles_providers_and_durations_decide_too() {
    let world = World::new().await;
    cluster(&world).await;
    let token = token(&claims(now(&world)));
    let with = |name: &str, value: Value| {
        let mut body = request(&token);
        body[name] = value;
        body
    };
    let role = |account: &str, name: &str| json!(format!("arn:aws:iam::{account}:role/{name}"));
    for (body, wanted) in [
        (with("RoleArn", role(ACCOUNT, "absent")), Some("AccessDenied")),
        (with("RoleArn", role(OTHER_ACCOUNT, "pod")), Some("InvalidIdentityToken")),
        (with("RoleArn", json!("arn:aws:iam::111122223333:user/pod")), Some("ValidationError")),
        (with("RoleArn", json!("arn:a:a::aaaaaaaaaa:a")), Some("ValidationError")),
        (with("ProviderId", json!("graph.facebook.com")), Some("ValidationError")),
        (with("DurationSeconds", json!(3601)), Some("ValidationError")),
        (with("DurationSeconds", json!(899)), Some("ValidationError")),
        (with("DurationSeconds", json!(900)), None),
        (with("Policy", json!("{}")), Some("MalformedPolicyDocument")),
    ] {
        assert_eq!(code(&world, body.clone()).await.as_deref(), wanted, "{body}");
    }
    // A provider that no longer has the client, and one that is gone.
    let named = json!({"OpenIDConnectProviderArn": provider()});
    let mut client = named.clone();
    client["ClientID"] = json!("sts.amazonaws.com");
    world.iam("RemoveClientIDFromOpenIDConnectProvider", client).await;
    assert_eq!(code(&world, request(&token)).await.as_deref(), Some("InvalidIdentityToken"));
    world.iam("DeleteOpenIDConnectProvider", named).await;
    assert_eq!(code(&world, request(&token)).await.as_deref(), Some("InvalidIdentityToken"));
    // An account may register what the configuration does not name: there are no keys for it.
    let unknown = "https://unknown.example.com";
    let body = json!({"Url": unknown, "ClientIDList": ["sts.amazonaws.com"]});
    world.iam("CreateOpenIDConnectProvider", body).await;
    let mut claims = claims(now(&world));
    claims["iss"] = json!(unknown);
    let token = super::issuer::token(&claims);
    assert_eq!(code(&world, request(&token)).await.as_deref(), Some("IDPCommunicationError"));
}

/// What a token says of its subject is no user's name.
#[tokio::test]
async fn a_subject_is_not_a_user_name() {
    let world = World::new().await;
    cluster(&world).await;
    let trust = policy(&[json!({
        "Effect": "Allow",
        "Principal": "*",
        "Action": "sts:AssumeRole*",
        "Condition": {"StringEquals": {"aws:username": SUBJECT}},
    })]);
    let body = json!({"RoleName": "pod", "PolicyDocument": trust.to_string()});
    world.iam("UpdateAssumeRolePolicy", body).await;
    let token = token(&claims(now(&world)));
    assert_eq!(code(&world, request(&token)).await.as_deref(), Some("AccessDenied"));
}

#[tokio::test]
async fn a_key_that_is_taken_out_of_the_file_is_believed_for_a_minute() {
    let files = tempfile::tempdir().unwrap();
    let mut world = World::new().await;
    Arc::get_mut(&mut world.server).unwrap().issuers = issuers(files.path());
    cluster(&world).await;
    let with = |kid: &str| {
        let alg = if kid == "edwards" { "EdDSA" } else { "ES256" };
        request(&signed(&json!({"alg": alg, "kid": kid}), &claims(now(&world))))
    };
    assert_eq!(code(&world, with("p256")).await, None);
    let path = files.path().join("jwks.json");
    let whole = jwks();
    let mut fewer: Value = serde_json::from_str(&whole).unwrap();
    fewer["keys"].as_array_mut().unwrap().retain(|key| key["kid"] != "p256");
    std::fs::write(&path, fewer.to_string()).unwrap();
    world.clock.advance(59);
    assert_eq!(code(&world, with("p256")).await, None);
    world.clock.advance(1);
    let gone = Some("InvalidIdentityToken".to_owned());
    assert_eq!(code(&world, with("p256")).await, gone);
    assert_eq!(code(&world, with("edwards")).await, None);
    // What is added is there for the first token that names it, a second later.
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(code(&world, with("p256")).await, gone);
    world.clock.advance(1);
    assert_eq!(code(&world, with("p256")).await, None);
    // A file that is half written is looked at again, and not believed meanwhile.
    std::fs::write(&path, "{").unwrap();
    world.clock.advance(60);
    assert_eq!(code(&world, with("p256")).await.as_deref(), Some("IDPCommunicationError"));
    std::fs::write(&path, &whole).unwrap();
    world.clock.advance(1);
    assert_eq!(code(&world, with("p256")).await, None);
}
