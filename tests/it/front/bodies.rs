//! Presigned requests, and bodies in places where one does not look for them.
use super::{Client, Request, code_of, one_refusal};
use crate::world::{OTHER_REGION, Someone, World};
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use serde_json::json;
use std::time::{Duration, SystemTime};

const QUERY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// A URL that the AWS SDK presigned.
fn presigned(client: &Client, who: &Someone, query: &str, age: i64, lasts: u64) -> Request {
    let uri = format!("http://{}/?{query}", client.host);
    let credentials =
        aws_credential_types::Credentials::new(&who.access_key_id, &who.secret, None, None, "test");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(lasts));
    let seconds = u64::try_from(crate::world::NOW_SECS - age).unwrap();
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(OTHER_REGION)
        .name("sts")
        .time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let host = [("host", client.host.as_str())];
    let signable =
        SignableRequest::new("GET", &uri, host.into_iter(), SignableBody::Bytes(b"")).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    let mut request = http::Request::builder().method("GET").uri(&uri).body(()).unwrap();
    instructions.apply_to_request_http1x(&mut request);
    Request {
        method: "GET",
        uri: request.uri().path_and_query().unwrap().to_string(),
        headers: vec![("host".into(), client.host.clone())],
        body: Vec::new(),
    }
}

#[tokio::test]
async fn a_presigned_get_says_who_made_it() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let root = &world.root;
    for (age, lasts) in [(0, 60), (3599, 3600), (-899, 60), (604_800, 604_800)] {
        let answer = client.send(&presigned(&client, root, QUERY, age, lasts)).await;
        assert_eq!(answer.status, 200, "{age} {lasts}: {}", answer.text());
        assert!(answer.text().contains(&format!("arn:aws:iam::{}:root", root.account)));
        assert_eq!(world.last_event().event_name, "GetCallerIdentity");
    }
    for (age, lasts) in [(61, 60), (3601, 3600), (-901, 60)] {
        let before = world.events().len();
        let answer = client.send(&presigned(&client, root, QUERY, age, lasts)).await;
        assert_eq!(code_of(&answer).as_deref(), Some("SignatureDoesNotMatch"), "{age} {lasts}");
        one_refusal(&world, before, &answer, Some(&root.access_key_id));
    }
}

#[tokio::test]
async fn a_presigned_get_cannot_be_bent() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let root = &world.root;
    let good = presigned(&client, root, QUERY, 0, 60);
    let bent = |from: &str, to: &str| {
        assert!(good.uri.contains(from), "{}", good.uri);
        Request { uri: good.uri.replace(from, to), ..good.clone() }
    };
    for request in [
        bent("X-Amz-Expires=60", "X-Amz-Expires=61"),
        bent("Version=2011-06-15", "Version=2011-06-15&a=b"),
        bent("GetCallerIdentity", "GetSessionToken"),
        Request { body: b"Action=x".to_vec(), ..good.clone() },
        Request { method: "PUT", ..good.clone() },
    ] {
        let before = world.events().len();
        let answer = client.send(&request).await;
        assert_eq!(code_of(&answer).as_deref(), Some("SignatureDoesNotMatch"), "{request:?}");
        one_refusal(&world, before, &answer, Some(&root.access_key_id));
    }
    for (request, code) in [
        (bent("X-Amz-Expires=60", "X-Amz-Expires=0"), "IncompleteSignature"),
        (bent("X-Amz-Expires=60", "X-Amz-Expires=604801"), "IncompleteSignature"),
        (bent("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders="), "IncompleteSignature"),
        (good.clone().with("authorization", "AWS4-HMAC-SHA256 x"), "IncompleteSignature"),
        (good.clone().with("x-amz-security-token", "t"), "IncompleteSignature"),
        (good.clone().with("x-amz-target", "TrentService.ListKeys"), "InvalidSignatureException"),
    ] {
        let before = world.events().len();
        let answer = client.send(&request).await;
        assert_eq!(code_of(&answer).as_deref(), Some(code), "{request:?}");
        assert_eq!(world.events().len(), before + 1);
        assert!(world.last_event().error_code.is_some());
    }
}

#[tokio::test]
async fn the_operation_is_read_from_one_place_only() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let root = &world.root;
    // A form's parameters count, those of its query do not; a GET's body does not count.
    let mut request = client.form(QUERY);
    request.uri = "/?Action=ListUsers&Version=2010-05-08".into();
    let answer = client.send(&client.sign(request, root, "sts")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().starts_with("<GetCallerIdentityResponse"));
    // The target header decides, whatever the body looks like.
    let mut request = client.json("TrentService.ListKeys", &json!({}));
    request.set("content-type", "application/x-www-form-urlencoded");
    let answer = client.send(&client.sign(request.clone(), root, "kms")).await;
    assert_eq!((answer.status, answer.json()["Truncated"].clone()), (200, json!(false)));
    request.body = QUERY.as_bytes().to_vec();
    let answer = client.send(&client.sign(request, root, "kms")).await;
    assert_eq!(code_of(&answer).as_deref(), Some("SerializationException"));
    // The first of two actions counts.
    let form = format!("{QUERY}&Action=CreateUser&Version=2010-05-08&UserName=u");
    assert!(client.sts(root, &form).await.text().starts_with("<GetCallerIdentityResponse"));
    assert_eq!(world.iam("ListUsers", json!({})).await["Users"], json!([]));
}

#[tokio::test]
async fn media_types_and_paths_do_not_matter_to_json() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    for (uri, media) in [
        ("/", "application/x-amz-json-1.0"),
        ("/sub/path", "application/x-amz-json-1.1; charset=utf-8"),
        ("/?a=b", "text/plain"),
    ] {
        let mut request = client.json("TrentService.ListKeys", &json!({}));
        request.set("content-type", media);
        request.uri = uri.into();
        let answer = client.send(&client.sign(request, &world.root, "kms")).await;
        assert_eq!(answer.status, 200, "{uri} {media}: {}", answer.text());
    }
    let mut empty = client.json("TrentService.ListKeys", &json!({}));
    empty.body.clear();
    let answer = client.send(&client.sign(empty, &world.root, "kms")).await;
    assert_eq!(answer.status, 200);
    for body in ["", "[]", "{", "{}x", "null", "\u{feff}{}", "{\"Limit\":1,\"Limit\":1}"] {
        let mut request = client.json("TrentService.DescribeKey", &json!({}));
        request.body = body.as_bytes().to_vec();
        let answer = client.send(&client.sign(request, &world.root, "kms")).await;
        let code = if body.is_empty() { "ValidationException" } else { "SerializationException" };
        assert_eq!(code_of(&answer).as_deref(), Some(code), "{body:?}");
    }
}
