//! Who may hand over what: every way in which a request is not one that the service's user sent it.
use super::{described, encoded, request, signed};
use crate::front::Request;
use crate::support::failed;
use crate::world::{ACCOUNT, Failed, OTHER_ACCOUNT, REGION, Someone, World, allow};
use claviger::sigv4;
use serde_json::json;
use sha2::{Digest, Sha256};

const MISMATCH: &str = "The request signature we calculated does not match";

fn assert_failed(outcome: Result<serde_json::Value, Failed>, code: &str, text: &str, what: &str) {
    let error = outcome.expect_err(what);
    assert_eq!(error.code, code, "{what}: {error:?}");
    assert!(error.message.contains(text), "{what}: {error:?}");
}

#[tokio::test]
async fn only_the_registered_principal_hands_over_and_only_if_it_may() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    let request = world.sent(&ann, None, "payroll");
    let text = |who: &str| {
        format!(
            "User: {who} is not authorized to perform: sts:GetDelegatedAccessToken on resource: *"
        )
    };
    // May, but is nobody's service: ann, root, and a payroll of another account.
    let stranger =
        world.user_of(OTHER_ACCOUNT, "payroll", allow(&["sts:GetDelegatedAccessToken"])).await;
    for (who, name) in [
        (&ann, format!("{ACCOUNT}:user/ann")),
        (&world.root, format!("{ACCOUNT}:root")),
        (&stranger, format!("{OTHER_ACCOUNT}:user/payroll")),
    ] {
        let error = world.hand_over(who, &request).await.unwrap_err();
        assert_eq!(error, failed("AccessDenied", text(&format!("arn:aws:iam::{name}"))));
    }
    // A token that is none says nothing else to them.
    let error = world.trade_in(&ann, "x").await.unwrap_err();
    assert_eq!(error.message, text(&format!("arn:aws:iam::{ACCOUNT}:user/ann")));
    // Is the service's, but may not.
    let body = json!({"UserName": "payroll", "PolicyName": "policy",
        "PolicyDocument": allow(&["kms:*"]).to_string()});
    world.iam("PutUserPolicy", body.clone()).await;
    let error = world.hand_over(&payroll, &request).await.unwrap_err();
    assert_eq!(error.code, "AccessDenied");
    assert!(error.message.contains("no identity-based policy allows"), "{error:?}");
    let mut body = body;
    body["PolicyDocument"] = allow(&["sts:GetDelegatedAccessToken"]).to_string().into();
    world.iam("PutUserPolicy", body).await;
    // Nothing of all that used the request up.
    world.hand_over(&payroll, &request).await.unwrap();
}

#[tokio::test]
async fn a_role_hands_over_by_any_of_its_sessions_and_for_the_accounts_that_are_named() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let may = allow(&["sts:GetDelegatedAccessToken"]);
    for name in ["other", "another"] {
        world.role(name, super::super::trust(ACCOUNT), may.clone()).await;
    }
    let worker = world.user("worker", allow(&["sts:AssumeRole"])).await;
    let ann = world.user("ann", allow(&["*"])).await;
    let eve = world.user_of(OTHER_ACCOUNT, "eve", allow(&["*"])).await;
    let other = world.assume(&worker, "other", json!({})).await;
    let another = world.assume(&worker, "another", json!({})).await;
    for user in [&ann, &eve] {
        let token = || encoded(&described(&world.sent(user, None, "other")));
        let hand_over = async |session| {
            let body = json!({"TradeInToken": token()});
            world.with(session, "sts", "GetDelegatedAccessToken", body).await
        };
        assert!(hand_over(&other).await.is_ok());
        assert_failed(hand_over(&another).await, "AccessDenied", "not authorized", "another role");
        // The user that runs another service cannot bring it.
        let outcome = world.trade_in(&payroll, &token()).await;
        let text = "Credential should be scoped to correct service: 'payroll'";
        assert_failed(outcome, "AccessDenied", text, "another service's request");
    }
    // Payroll is for the users of its own account.
    let outcome = world.hand_over(&payroll, &world.sent(&eve, None, "payroll")).await;
    let text = "payroll.example may not act for users of this account";
    assert_failed(outcome, "AccessDenied", text, "another account's user");
    let event = world.last_event();
    assert_eq!(event.error_code.as_deref(), Some("AccessDenied"));
    assert_eq!(event.additional_event_data.unwrap()["userAccessKeyId"], eve.access_key_id);
}

#[tokio::test]
async fn a_service_does_not_pass_its_users_on() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    let session = world.through(&payroll, &ann, "payroll").await;
    for service in ["payroll", "everything"] {
        let request = world.sent(&session.who, Some(&session.token), service);
        let outcome = world.hand_over(&payroll, &request).await;
        let text = "cannot act through another service";
        assert_failed(outcome, "AccessDenied", text, service);
    }
}

/// One way to send what the user did not.
fn bent(world: &World, ann: &Someone) -> Vec<(&'static str, Request, &'static str, &'static str)> {
    let now = world.wall();
    let good = || world.sent(ann, None, "payroll");
    let at =
        |service, region, moment| signed(request("/run"), ann, None, (region, service), moment);
    let wrong = Someone { secret: "x".repeat(40), ..ann.clone() };
    let unknown = Someone { access_key_id: "AKIAAAAAAAAAAAAAAAAA".into(), ..ann.clone() };
    let mut body = good();
    body.body.push(b' ');
    let mut path = good();
    path.uri.push('1');
    let mut method = good();
    method.method = "PUT";
    let mut target = good();
    target.set("x-amz-target", "Payroll.RunAll");
    let mut host = good();
    host.set("host", "other.example");
    let date = good().header("x-amz-date").to_owned();
    let unsigned_payload = good().with("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    let wrong_hash = good().with("x-amz-content-sha256", &"0".repeat(64));
    let presigned = Request {
        uri: "/run?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a".into(),
        ..request("")
    };
    let denied = "AccessDenied";
    let invalid = "ValidationError";
    vec![
        ("wrong secret", world.sent(&wrong, None, "payroll"), denied, MISMATCH),
        ("unknown key", world.sent(&unknown, None, "payroll"), denied, MISMATCH),
        ("no such session", world.sent(ann, Some("AAAA"), "payroll"), denied, MISMATCH),
        ("body", body, denied, MISMATCH),
        ("path", path, denied, MISMATCH),
        ("method", method, denied, MISMATCH),
        ("header", target, denied, MISMATCH),
        ("host", host, denied, MISMATCH),
        ("header gone", good().without("x-amz-target"), denied, MISMATCH),
        ("header not signed", good().with("x-amz-more", "1"), denied, "must be a 'SignedHeader'"),
        ("header twice", good().with("x-amz-date", &date), invalid, "must not be repeated"),
        ("beyond ASCII", good().with("x-note", "ä"), invalid, "must be ASCII text"),
        ("payload not signed", unsigned_payload, invalid, "must be signed"),
        ("another payload", wrong_hash, denied, MISMATCH),
        ("unsigned", request("/run"), invalid, "Missing Authentication Token"),
        ("presigned", presigned, invalid, "query-string parameters must include"),
        ("no date", good().without("x-amz-date"), invalid, "X-Amz-Date"),
        ("signature", good().authorized("Signature=", "Signature=0"), denied, MISMATCH),
        ("algorithm", good().authorized("HMAC-SHA256", "HMAC-SHA1"), invalid, "algorithm"),
        ("for KMS", at("kms", REGION, now), denied, "scoped to correct service: 'payroll'"),
        ("for STS", at("sts", REGION, now), denied, "scoped to correct service: 'payroll'"),
        ("for others", at("other", REGION, now), denied, "correct service: 'payroll'"),
        ("elsewhere", at("payroll", "mars-north-1", now), denied, "scoped to a valid region"),
        ("terminator", good().authorized("aws4_request", "aws4"), denied, "valid terminator"),
        ("late", at("payroll", REGION, now - 301), "ExpiredTradeInTokenException", "expired"),
        ("early", at("payroll", REGION, now + 301), denied, "not yet current"),
    ]
}

#[tokio::test]
async fn what_the_user_did_not_send_to_this_service_now_is_refused() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    for (what, request, code, text) in bent(&world, &ann) {
        let before = world.server.store.acknowledged();
        let outcome = world.hand_over(&payroll, &request).await;
        let text = text.replace("Missing Authentication Token", "missing Authentication Token");
        assert_failed(outcome, code, &text, what);
        assert_eq!(world.server.store.acknowledged(), before, "{what}");
        let event = world.last_event();
        assert_eq!(event.error_code.as_deref(), Some(code), "{what}");
    }
    for moment in [-300, 0, 300] {
        let at = world.wall() + moment;
        let request = signed(request("/run"), &ann, None, (REGION, "payroll"), at);
        world.hand_over(&payroll, &request).await.unwrap();
    }
    // Presigned as one can be.
    let (mut head, ()) =
        http::Request::get("/run").header("host", "payroll.example").body(()).unwrap().into_parts();
    let credentials = sigv4::Credentials {
        access_key_id: &ann.access_key_id,
        secret: &ann.secret,
        session_token: None,
    };
    sigv4::sign(&mut head, b"", &credentials, (REGION, "payroll"), world.wall()).unwrap();
    let signature = head.headers["authorization"].to_str().unwrap().rsplit('=').next().unwrap();
    let date = head.headers["x-amz-date"].to_str().unwrap();
    let scope =
        format!("{}%2F{}%2F{REGION}%2Fpayroll%2Faws4_request", ann.access_key_id, &date[..8]);
    let uri = format!(
        "/run?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}&X-Amz-Date={date}\
         &X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
    );
    let headers = vec![("host".into(), "payroll.example".into())];
    let request = Request { method: "GET", uri, headers, body: Vec::new() };
    let outcome = world.hand_over(&payroll, &request).await;
    assert_failed(outcome, "ValidationError", "presigned request cannot", "presigned");
}

#[tokio::test]
async fn keys_that_are_disabled_or_gone_sign_nothing() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    let body = |status: &str| json!({"UserName": "ann", "AccessKeyId": ann.access_key_id, "Status": status});
    world.iam("UpdateAccessKey", body("Inactive")).await;
    let outcome = world.hand_over(&payroll, &world.sent(&ann, None, "payroll")).await;
    assert_failed(outcome, "AccessDenied", MISMATCH, "inactive");
    world.iam("UpdateAccessKey", body("Active")).await;
    let session = world.call_as(&ann, "sts", "GetSessionToken", json!({"DurationSeconds": 900}));
    let session = super::Temporary::of(&session.await.unwrap());
    world.through(&payroll, &ann, "payroll").await;
    world.advance(901).await;
    let request = world.sent(&session.who, Some(&session.token), "payroll");
    let outcome = world.hand_over(&payroll, &request).await;
    assert_failed(outcome, "ExpiredTradeInTokenException", "expired", "the user's session");
    let gone = json!({"UserName": "ann", "AccessKeyId": ann.access_key_id});
    world.iam("DeleteAccessKey", gone).await;
    let outcome = world.hand_over(&payroll, &world.sent(&ann, None, "payroll")).await;
    assert_failed(outcome, "AccessDenied", MISMATCH, "deleted");
}

#[tokio::test]
async fn a_body_may_be_named_by_its_hash_and_nothing_else_is_a_token() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    let hashed = |body: &[u8]| {
        let request = world.sent(&ann, None, "payroll");
        let mut described = described(&request);
        described.as_object_mut().unwrap().remove("body");
        described["bodySha256"] = hex::encode(Sha256::digest(body)).into();
        encoded(&described)
    };
    world.trade_in(&payroll, &hashed(br#"{"month":5}"#)).await.unwrap();
    let outcome = world.trade_in(&payroll, &hashed(br#"{"month":6}"#)).await;
    assert_failed(outcome, "AccessDenied", MISMATCH, "another hash");
    let good = described(&world.sent(&ann, None, "payroll"));
    let mut more = good.clone();
    more["door"] = json!("payroll.example");
    let mut without = good.clone();
    without.as_object_mut().unwrap().remove("body");
    let long = encoded(&json!({"method": "GET", "uri": "/", "headers": [], "body": "A".repeat(4)}));
    for token in
        ["", "x", "{}", "e30", &good.to_string(), &encoded(&more), &encoded(&without), &long]
    {
        let outcome = world.trade_in(&payroll, token).await;
        assert_failed(outcome, "ValidationError", "", token);
    }
    let error = world.call_as(&payroll, "sts", "GetDelegatedAccessToken", json!({})).await;
    assert_failed(error, "ValidationError", "tradeInToken", "no token");
    world.trade_in(&payroll, &encoded(&good)).await.unwrap();
}
