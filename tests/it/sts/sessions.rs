//! What sessions may do: GetSessionToken's, GetFederationToken's, roles'; and who policies and grants
//! mean by them.
use super::{Temporary, role_arn, trust};
use crate::front::{Client, code_of};
use crate::support::{delegate, policy, user_arn};
use crate::world::{ACCOUNT, REGION, World, allow};
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
use serde_json::{Value, json};

fn kms_list() -> Value {
    json!({})
}

#[tokio::test]
async fn a_session_of_a_user_is_the_user_but_for_iam_and_sts() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["kms:*", "iam:*", "sts:*"])).await;
    world.role("r", trust(ACCOUNT), allow(&["kms:ListKeys"])).await;
    for who in [&ann, &world.root] {
        let answer = world.call_as(who, "sts", "GetSessionToken", json!({})).await.unwrap();
        let session = Temporary::of(&answer);
        assert!(world.may_with(&session, "kms", "ListKeys", kms_list()).await);
        let own = world.call_as(who, "sts", "GetCallerIdentity", json!({})).await.unwrap();
        let got = world.with(&session, "sts", "GetCallerIdentity", json!({})).await.unwrap();
        assert_eq!(got, own);
        let error = world.with(&session, "iam", "ListUsers", json!({})).await.unwrap_err();
        assert_eq!(error.code, "InvalidClientTokenId");
        for (name, body) in [
            ("GetSessionToken", json!({})),
            ("GetFederationToken", json!({"Name": "fed"})),
            ("GetAccessKeyInfo", json!({"AccessKeyId": ann.access_key_id})),
            ("DecodeAuthorizationMessage", json!({"EncodedMessage": "x"})),
        ] {
            let error = world.with(&session, "sts", name, body).await.unwrap_err();
            assert_eq!(error.message, format!("Cannot call {name} with session credentials"));
        }
    }
    let answer = world.call_as(&ann, "sts", "GetSessionToken", json!({})).await.unwrap();
    let session = Temporary::of(&answer);
    let body = super::assuming("r", json!({}));
    world.with(&session, "sts", "AssumeRole", body).await.unwrap();
}

#[tokio::test]
async fn nobody_can_forbid_get_session_token_and_the_roots_lasts_an_hour() {
    let world = World::new().await;
    let nobody = world.nobody().await;
    let body = json!({"DurationSeconds": 129_600});
    for (who, seconds) in [(&nobody, 129_600), (&world.root, 3600)] {
        let answer = world.call_as(who, "sts", "GetSessionToken", body.clone()).await.unwrap();
        let expires = answer["Credentials"]["Expiration"].as_f64().unwrap();
        assert_eq!(expires as i64 - world.server.clock.now().secs(), seconds);
    }
}

#[tokio::test]
async fn a_federated_user_may_what_both_allow() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["kms:ListKeys", "kms:ListAliases", "sts:*"])).await;
    let federate = async |who, session_policy: Option<Value>| {
        let mut body = json!({"Name": "fed"});
        if let Some(policy) = session_policy {
            body["Policy"] = json!(policy.to_string());
        }
        let answer = world.call_as(who, "sts", "GetFederationToken", body).await.unwrap();
        let user = &answer["FederatedUser"];
        assert_eq!(user["Arn"], format!("arn:aws:sts::{ACCOUNT}:federated-user/fed"));
        assert_eq!(user["FederatedUserId"], format!("{ACCOUNT}:fed"));
        Temporary::of(&answer)
    };
    let narrow = Some(allow(&["kms:ListKeys", "kms:GenerateRandom"]));
    for (who, policy, expected) in [
        (&ann, None, [false, false, false]),
        (&ann, narrow.clone(), [true, false, false]),
        (&world.root, None, [false, false, false]),
        (&world.root, narrow, [true, false, true]),
    ] {
        let session = federate(who, policy).await;
        let random = json!({"NumberOfBytes": 8});
        let got = [
            world.may_with(&session, "kms", "ListKeys", json!({})).await,
            world.may_with(&session, "kms", "ListAliases", json!({})).await,
            world.may_with(&session, "kms", "GenerateRandom", random).await,
        ];
        assert_eq!(got, expected);
    }
    let all = federate(&ann, Some(allow(&["*"]))).await;
    let error = world.with(&all, "iam", "ListUsers", json!({})).await.unwrap_err();
    assert_eq!(error.code, "InvalidClientTokenId");
    let body = super::assuming("r", json!({}));
    let error = world.with(&all, "sts", "AssumeRole", body).await.unwrap_err();
    assert_eq!(error.message, "Cannot call AssumeRole with session credentials");
    world.with(&all, "sts", "GetCallerIdentity", json!({})).await.unwrap();
    let identity = serde_json::to_value(world.last_event().user_identity).unwrap();
    assert_eq!(identity["type"], "FederatedUser");
    assert_eq!(identity["sessionContext"]["sessionIssuer"]["arn"], user_arn("ann"));
    let nobody = world.nobody().await;
    let error = world.fails(&nobody, "sts", "GetFederationToken", json!({"Name": "fed"})).await;
    assert_eq!(error.code, "AccessDenied");
}

/// A user who is called as the account's root is: events do not take one for the other.
#[tokio::test]
async fn a_user_called_root_is_not_the_root() {
    let world = World::new().await;
    let user = world.user("root", allow(&["sts:*", "kms:ListKeys"])).await;
    for (who, kind, arn) in [
        (&user, "IAMUser", user_arn("root")),
        (&world.root, "Root", format!("arn:aws:iam::{ACCOUNT}:root")),
    ] {
        let body = json!({"Name": "fed", "Policy": allow(&["kms:*"]).to_string()});
        let answer = world.call_as(who, "sts", "GetFederationToken", body).await.unwrap();
        let session = Temporary::of(&answer);
        assert!(world.may_with(&session, "kms", "ListKeys", json!({})).await);
        let identity = serde_json::to_value(world.last_event().user_identity).unwrap();
        let issuer = &identity["sessionContext"]["sessionIssuer"];
        assert_eq!((&issuer["type"], &issuer["arn"]), (&json!(kind), &json!(arn)));
    }
}

#[tokio::test]
async fn session_policies_cut_a_role_down() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    world.role("r", trust(ACCOUNT), allow(&["kms:ListKeys", "kms:ListAliases"])).await;
    let administrator = json!([{"arn": "arn:aws:iam::aws:policy/AdministratorAccess"}]);
    for (more, expected) in [
        (json!({}), [true, true]),
        (json!({"Policy": allow(&["kms:ListKeys"]).to_string()}), [true, false]),
        (json!({"PolicyArns": administrator}), [true, true]),
        (json!({"Policy": allow(&["s3:*"]).to_string()}), [false, false]),
    ] {
        let session = world.assume(&ann, "r", more.clone()).await;
        let got = [
            world.may_with(&session, "kms", "ListKeys", json!({})).await,
            world.may_with(&session, "kms", "ListAliases", json!({})).await,
        ];
        assert_eq!(got, expected, "{more}");
        let random = json!({"NumberOfBytes": 8});
        assert!(!world.may_with(&session, "kms", "GenerateRandom", random).await, "{more}");
    }
    let session = world.assume(&ann, "r", json!({})).await;
    for name in ["GetSessionToken", "GetFederationToken"] {
        let body = json!({"Name": "fed"});
        let error = world.with(&session, "sts", name, body).await.unwrap_err();
        assert_eq!(error.message, format!("Cannot call {name} with session credentials"));
    }
}

#[tokio::test]
async fn key_policies_name_roles_sessions_and_accounts() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    world.role("r", trust(ACCOUNT), allow(&["kms:Encrypt"])).await;
    world.role("bare", trust(ACCOUNT), allow(&["s3:*"])).await;
    let session = async |role: &str, name: &str| {
        world.assume(&ann, role, json!({"RoleSessionName": name})).await
    };
    let sessions =
        [session("r", "s1").await, session("r", "s2").await, session("bare", "s1").await];
    let of = |role: &str, name: &str| format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}");
    for (principal, expected) in [
        (ACCOUNT.to_owned(), [true, true, false]),
        (role_arn("r"), [true, true, false]),
        (role_arn("bare"), [false, false, true]),
        (of("r", "s1"), [true, false, false]),
        (of("bare", "s1"), [false, false, true]),
    ] {
        let statement = json!({"Effect": "Allow", "Principal": {"AWS": principal},
            "Action": "kms:Encrypt", "Resource": "*"});
        let key = world.key_with_policy(policy(&[statement])).await;
        for (session, expected) in sessions.iter().zip(expected) {
            let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
            assert_eq!(
                world.may_with(session, "kms", "Encrypt", body).await,
                expected,
                "{principal}"
            );
        }
    }
}

#[tokio::test]
async fn grants_reach_roles_and_single_sessions() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    world.role("r", trust(ACCOUNT), allow(&["s3:*"])).await;
    let s1 = world.assume(&ann, "r", json!({"RoleSessionName": "s1"})).await;
    let s2 = world.assume(&ann, "r", json!({"RoleSessionName": "s2"})).await;
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s1");
    for (grantee, expected) in [(role_arn("r"), [true, true]), (session, [true, false])] {
        let key = world.key_with_policy(policy(&[delegate()])).await;
        let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
        assert!(!world.may_with(&s1, "kms", "Encrypt", body.clone()).await);
        let grant = json!({"KeyId": key, "GranteePrincipal": grantee, "Operations": ["Encrypt"]});
        world.kms("CreateGrant", grant).await;
        for (session, expected) in [&s1, &s2].into_iter().zip(expected) {
            let got = world.may_with(session, "kms", "Encrypt", body.clone()).await;
            assert_eq!(got, expected, "{grantee}");
        }
    }
}

#[tokio::test]
async fn the_sdk_uses_a_session() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    world.role("r", trust(ACCOUNT), allow(&["kms:ListKeys"])).await;
    let config = world.sdk(&ann).await;
    let sts = aws_sdk_sts::Client::new(&config);
    let call = sts.assume_role().role_arn(role_arn("r")).role_session_name("sdk");
    let call =
        call.tags(aws_sdk_sts::types::Tag::builder().key("team").value("a").build().unwrap());
    let answer = call.policy(allow(&["kms:ListKeys"]).to_string()).send().await.unwrap();
    let got = answer.credentials().unwrap();
    let (id, secret) = (got.access_key_id(), got.secret_access_key());
    let token = Some(got.session_token().to_owned());
    let credentials = Credentials::new(id, secret, token, None, "session");
    let config = config
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let who = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap();
    assert_eq!(who.arn(), Some(&*format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/sdk")));
    let kms = aws_sdk_kms::Client::new(&config);
    kms.list_keys().send().await.unwrap();
    assert!(kms.list_aliases().send().await.is_err());
}

#[tokio::test]
async fn access_key_info_names_the_account() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:GetAccessKeyInfo"])).await;
    let other = world.other_root();
    for (id, account) in [(&ann.access_key_id, ACCOUNT), (&other.access_key_id, &other.account)] {
        let body = json!({"AccessKeyId": id});
        let answer = world.call_as(&ann, "sts", "GetAccessKeyInfo", body).await.unwrap();
        assert_eq!(answer, json!({"Account": account}));
    }
    let body = json!({"AccessKeyId": "AKIAAAAAAAAAAAAAAAAA"});
    let error = world.fails(&ann, "sts", "GetAccessKeyInfo", body.clone()).await;
    assert_eq!(error.code, "ValidationError");
    let nobody = world.nobody().await;
    let error = world.fails(&nobody, "sts", "GetAccessKeyInfo", body).await;
    assert_eq!(error.code, "AccessDenied");
}

#[tokio::test]
async fn forged_swapped_cut_and_expired_tokens() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    world.role("r", trust(ACCOUNT), allow(&["kms:ListKeys"])).await;
    let one = world.assume(&ann, "r", json!({})).await;
    let two = world.assume(&ann, "r", json!({})).await;
    let client = Client::new(&world).await;
    let now = world.server.clock.wall().secs();
    let ask = async |session: &Temporary, token: &str, now: i64| {
        let request = client.json("TrentService.ListKeys", &json!({}));
        let request = client.sign_at(request, &session.who, (REGION, "kms"), now, Some(token));
        code_of(&client.send(&request).await)
    };
    assert_eq!(ask(&one, &one.token, now).await, None);
    let mut flipped = one.token.clone().into_bytes();
    flipped[60] = if flipped[60] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let cut = &one.token[..one.token.len() - 4];
    let unknown = Some("UnrecognizedClientException".to_owned());
    for token in [two.token.as_str(), &flipped, cut, "AAAA", "not base64!"] {
        assert_eq!(ask(&one, token, now).await, unknown, "{token}");
    }
    // Temporary credentials without their token, and long-term ones with somebody's.
    let request = client.json("TrentService.ListKeys", &json!({}));
    let answer = client.send(&client.sign(request.clone(), &one.who, "kms")).await;
    assert_eq!(code_of(&answer), unknown);
    let long_term = Temporary { who: ann.clone(), token: one.token.clone() };
    assert_eq!(ask(&long_term, &one.token, now).await, unknown);
    // Another's secret under a good token.
    let mixed = Temporary { who: one.who.clone(), token: one.token.clone() };
    let mixed =
        Temporary { who: crate::world::Someone { secret: two.who.secret, ..mixed.who }, ..mixed };
    let wrong = Some("InvalidSignatureException".to_owned());
    assert_eq!(ask(&mixed, &mixed.token, now).await, wrong);
    world.advance(3600).await;
    let expired = Some("ExpiredTokenException".to_owned());
    assert_eq!(ask(&one, &one.token, now + 3600).await, expired);
}
