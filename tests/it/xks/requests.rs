//! What a request must be like, whoever signed it.
use super::{
    ID, PATH, Place, SECRET, THEIRS, b64, decrypt_body, encrypt_body, named, signed, unb64,
    unsigned,
};
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use serde_json::{Value, json};

#[tokio::test]
async fn only_post() {
    let place = Place::new().await;
    for what in ["/health", "/keys/kms/metadata", "/keys/kms/encrypt", "/keys/kms/decrypt"] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS] {
            let path = format!("{PATH}{what}");
            let sent = unsigned(&place.address, method.clone(), &path, Bytes::new());
            let answer = place.exchange(sent).await;
            assert_eq!(answer.status.as_u16(), 405, "{method} {what}");
            assert_eq!(answer.headers[header::ALLOW], "POST");
        }
    }
    // Beside them there is what load balancers ask.
    let ping = unsigned(&place.address, Method::GET, "/ping", Bytes::new());
    assert_eq!(place.send(ping).await, (200, json!("pong")));
}

#[tokio::test]
async fn other_paths_are_none() {
    let place = Place::new().await;
    for path in [
        "/",
        "/kms/xks/v1/health",
        "/example/kms/xks/v1/health",
        "/example/prefix/kms/xks/v2/health",
        "/example/prefix/kms/xks/v1",
        "/example/prefix/kms/xks/v1/",
        "/example/prefix/kms/xks/v1/keys/kms",
        "/example/prefix/kms/xks/v1/keys/kms/sign",
        "/example/prefix/kms/xks/v1/keys/../health",
        "/example/prefix/kms/xks/v1/keys/a%2fb/encrypt",
        "//example/prefix/kms/xks/v1/health",
    ] {
        let sent = place.request(path, encrypt_body(b"a").to_string().into());
        assert_eq!(named(place.send(sent).await), "InvalidUriPathException", "{path}");
    }
    let long = format!("{PATH}/keys/{}/encrypt", "k".repeat(129));
    let sent = place.request(&long, encrypt_body(b"a").to_string().into());
    assert_eq!(named(place.send(sent).await), "InvalidUriPathException");
}

#[tokio::test]
async fn only_json() {
    let place = Place::new().await;
    let path = format!("{PATH}/keys/kms/encrypt");
    let body = Bytes::from(encrypt_body(b"a").to_string());
    for (media_type, good) in [
        ("application/json", true),
        ("application/json; charset=utf-8", true),
        ("Application/JSON", true),
        ("application/x-amz-json-1.1", false),
        ("application/x-www-form-urlencoded", false),
        ("", false),
    ] {
        let mut request = unsigned(&place.address, Method::POST, &path, body.clone());
        let value = HeaderValue::from_static(media_type);
        request.headers_mut().insert(header::CONTENT_TYPE, value);
        let now = place.now();
        let (status, answer) =
            place.send(signed(request, (ID, SECRET), THEIRS, "kms-xks-proxy", now)).await;
        assert_eq!(status == 200, good, "{media_type}: {answer}");
    }
}

#[tokio::test]
async fn malformed_bodies() {
    let place = Place::new().await;
    let good = encrypt_body(b"a").to_string();
    let bodies = [
        String::new(),
        "{".into(),
        "[]".into(),
        "null".into(),
        format!("[{good}]"),
        format!("{good}{good}"),
        good.replacen("AES_GCM", "AES_CBC", 1),
        good.replacen("\"plaintext\"", "\"plaintext\":\"AAAA\",\"plaintext\"", 1),
        good.replacen("\"YQ==\"", "\"YQ=\"", 1),
        good.replacen("\"YQ==\"", "\"YR==\"", 1),
        good.replacen("\"YQ==\"", "7", 1),
        good.replacen("\"Encrypt\"", "null", 1),
        good.replacen("kmsKeyArn", "kmskeyarn", 1),
        "[".repeat(60_000),
    ];
    for body in bodies {
        let sent = place.request(&format!("{PATH}/keys/kms/encrypt"), body.clone().into());
        let shown: String = body.chars().take(80).collect();
        assert_eq!(named(place.send(sent).await), "ValidationException", "{shown}");
    }
    let mut cdiv = encrypt_body(b"a");
    cdiv["ciphertextDataIntegrityValueAlgorithm"] = json!("SHA_1");
    assert_eq!(place.refused("/keys/kms/encrypt", &cdiv).await, "ValidationException");
}

/// What KMS may say one day is passed over, and what it says is not judged.
#[tokio::test]
async fn nothing_of_the_metadata_is_validated() {
    let place = Place::new().await;
    let arn = format!("arn:aws-cn:iam::123456789012:role/{}", "r".repeat(2000));
    let mut body = encrypt_body(b"a");
    body["requestMetadata"] = json!({
        "awsPrincipalArn": arn,
        "awsSourceVpc": "vpc-1",
        "awsSourceVpce": "vpce-1",
        "kmsKeyArn": "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1",
        "kmsOperation": "BulkEncryptOfLater",
        "kmsRequestId": "not a uuid \u{e9}",
        "kmsRecipientAttestationImageSha384": {"a": [1]},
    });
    body["later"] = json!([]);
    for key in ["kms", "device"] {
        place.ok(&format!("/keys/{key}/encrypt"), &body).await;
    }
    let bare = json!({"requestMetadata": {"kmsOperation": "Later", "kmsRequestId": ""}});
    place.ok("/health", &bare).await;
}

#[tokio::test]
async fn what_is_too_long() {
    let place = Place::new().await;
    for key in ["kms", "device"] {
        let what = format!("/keys/{key}/encrypt");
        let unsupported = "UnsupportedOperationException";
        assert_eq!(place.refused(&what, &encrypt_body(&[0; 16_385])).await, unsupported);
        let mut body = encrypt_body(b"a");
        body["additionalAuthenticatedData"] = json!(b64(&[0; 8193]));
        assert_eq!(place.refused(&what, &body).await, unsupported);
        // More than the listener takes of anybody.
        assert_eq!(place.refused(&what, &encrypt_body(&[0; 60_000])).await, unsupported);
    }
}

#[tokio::test]
async fn every_changed_bit_is_the_same_refusal() {
    let place = Place::new().await;
    for key in ["kms", "device"] {
        let what = format!("/keys/{key}/decrypt");
        let sealed = place.encrypt(key, b"attack at dawn", Some(b"aad")).await;
        let good = decrypt_body(&sealed, Some(b"aad"));
        assert_eq!(place.ok(&what, &good).await["plaintext"], b64(b"attack at dawn"));
        let parts =
            ["ciphertext", "ciphertextMetadata", "initializationVector", "authenticationTag"];
        let (_, expected) = place.post(&what, &decrypt_body(&sealed, None)).await;
        for part in parts.iter().chain(&["additionalAuthenticatedData"]) {
            let whole = unb64(&good[part]);
            let mut changed: Vec<Value> = (0..whole.len())
                .map(|at| {
                    let mut bytes = whole.clone();
                    bytes[at] ^= 1 << (at % 8);
                    json!(b64(&bytes))
                })
                .collect();
            changed.push(json!(b64(&whole[..whole.len() - 1])));
            changed.push(json!(b64(&[&whole[..], &[0]].concat())));
            changed.push(json!(""));
            for value in changed {
                let mut body = good.clone();
                body[part] = value;
                let (status, answer) = place.post(&what, &body).await;
                assert_eq!((status, &answer), (400, &expected), "{key}: {part}");
            }
        }
    }
}

/// Metadata and associated data are two things, however they are cut.
#[tokio::test]
async fn metadata_does_not_pass_for_associated_data() {
    let place = Place::new().await;
    let sealed = place.encrypt("kms", b"a", None).await;
    let mut body = decrypt_body(&sealed, None);
    body["additionalAuthenticatedData"] = body["ciphertextMetadata"].take();
    body.as_object_mut().unwrap().remove("ciphertextMetadata");
    assert_eq!(place.refused("/keys/kms/decrypt", &body).await, "InvalidCiphertextException");
}
