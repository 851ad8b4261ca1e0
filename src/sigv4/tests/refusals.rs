//! Each rule for signatures in the header, broken; with AWS's text and codes.

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;

use super::super::*;
use super::{BODY, ID, NOW, SECRET, check, check_at, set, sign_again, signed, unsigned};

const MISMATCH: &str = "The request signature we calculated does not match the signature you \
    provided. Check your AWS Secret Access Key and signing method. Consult the service \
    documentation for details.";

pub(super) fn incomplete(result: Result<(), AuthError>, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), text);
    assert_eq!(error.kind(), Kind::IncompleteSignature);
}

pub(super) fn invalid(result: Result<(), AuthError>, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), text);
    assert_eq!(error.kind(), Kind::InvalidSignature);
}

pub(super) fn authorization(head: &Parts) -> String {
    head.headers["authorization"].to_str().unwrap().to_owned()
}

/// A good request with one part of its Authorization replaced.
pub(super) fn replaced(from: &str, to: &str) -> Parts {
    let mut head = signed();
    let text = authorization(&head);
    assert!(text.contains(from), "{text}");
    set(&mut head, "authorization", &text.replace(from, to));
    head
}

fn append(head: &mut Parts, name: &'static str, value: &str) {
    head.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
}

#[test]
fn a_good_request_passes() {
    assert_eq!(check(&signed()), Ok(()));
}

#[test]
fn codes_and_statuses_follow_the_protocol() {
    for (error, json, query, status) in [
        (
            AuthError::MissingAuthenticationToken,
            "MissingAuthenticationTokenException",
            "MissingAuthenticationToken",
            403,
        ),
        (AuthError::TwoMechanisms, "IncompleteSignatureException", "IncompleteSignature", 400),
        (AuthError::UnrecognizedClient, "UnrecognizedClientException", "InvalidClientTokenId", 403),
        (AuthError::ExpiredToken, "ExpiredTokenException", "ExpiredToken", 403),
        (AuthError::SignatureMismatch, "InvalidSignatureException", "SignatureDoesNotMatch", 403),
    ] {
        assert_eq!((error.json_code(), error.json_status()), (json, 400));
        assert_eq!((error.query_code(), error.query_status()), (query, status));
    }
    let text = AuthError::UnrecognizedClient.to_string();
    assert_eq!(text, "The security token included in the request is invalid.");
    let text = AuthError::ExpiredToken.to_string();
    assert_eq!(text, "The security token included in the request is expired");
}

#[test]
fn an_unsigned_request_is_missing_its_token() {
    let error = check(&unsigned()).unwrap_err();
    assert_eq!(error, AuthError::MissingAuthenticationToken);
    assert_eq!(error.to_string(), "Request is missing Authentication Token");
}

#[test]
fn missing_parts_are_listed_with_the_hash_of_the_header() {
    let list = [
        "Authorization header requires 'Credential' parameter.",
        "Authorization header requires 'Signature' parameter.",
        "Authorization header requires 'SignedHeaders' parameter.",
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
    ];
    let mut head = signed();
    set(&mut head, "authorization", "AWS4-HMAC-SHA256 ");
    head.headers.remove("x-amz-date");
    // base64 of the SHA-256 of `AWS4-HMAC-SHA256 `
    let hash = "CiYVUkvqEFxnqOZfl+qKLWniec690XZ/NzTormsckxs=";
    let tail = format!(" (Hashed with SHA-256 and encoded with Base64) Authorization={hash}");
    incomplete(check(&head), &(list.join(" ") + &tail));
    for value in [
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e,Signature=,SignedHeaders=",
    ] {
        set(&mut head, "x-amz-date", "20260101T001000Z");
        set(&mut head, "authorization", value);
        let text = check(&head).unwrap_err().to_string();
        assert!(text.starts_with(&(list[1..3].join(" ") + " (Hashed with")), "{text}");
        assert!(!text.contains("a/b/c"), "{text}");
    }
}

#[test]
fn what_is_no_list_of_pairs_is_refused_without_repeating_it() {
    for value in [
        "Bearer secret",
        "secret",
        "",
        "AWS AKID:secret",
        "aws4-hmac-sha256 Credential=secret",
        "AWS4-HMAC-SHA256 secret",
        "AWS4-HMAC-SHA256 Credential=secret,,",
        "AWS4-HMAC-SHA256 Credential=secret, Credential=secret",
        "AWS4-HMAC-SHA256 Credential=secret, Other=secret",
        "AWS4-HMAC-SHA256, Credential=secret",
        "AWS4-HMAC-SHA256\tCredential=secret",
    ] {
        let mut head = signed();
        set(&mut head, "authorization", value);
        let error = check(&head).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), Kind::IncompleteSignature, "{value}: {text}");
        assert!(!text.contains("secret") && !format!("{error:?}").contains("secret"), "{text}");
    }
    let mut head = signed();
    set(&mut head, "authorization", "Bearer secret");
    incomplete(
        check(&head),
        "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 \
         and encoded with Base64): 'v/3iBBM0e3oA4TY94/l8pp5BncCupV9KSnUBj6s6Do4='.",
    );
}

#[test]
fn the_algorithm_is_exact() {
    for name in ["AWS4-ECDSA-P256-SHA256", "AWS4-HMAC-SHA1", "AWS4-HMAC-SHA256-PAYLOAD"] {
        let text = format!("Unsupported AWS 'algorithm': '{name}'.");
        incomplete(check(&replaced("AWS4-HMAC-SHA256", name)), &text);
    }
}

#[test]
fn the_credential_has_five_parts() {
    let long = "A".repeat(129);
    for credential in [
        "AKID/20260101/eu-west-1/kms",
        "AKID/20260101/eu-west-1/kms/aws4_request/x",
        "/20260101/eu-west-1/kms/aws4_request",
        "AKID//eu-west-1/kms/aws4_request",
        "AKID/20260101/eu-west-1/kms/",
        "AKID",
        "////",
        "a b/20260101/eu-west-1/kms/aws4_request",
        &format!("{long}/20260101/eu-west-1/kms/aws4_request"),
    ] {
        let head = replaced("AKIDEXAMPLE/20260101/eu-west-1/kms/aws4_request", credential);
        incomplete(
            check(&head),
            &format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{credential}'"
            ),
        );
    }
    for id in ["test", "a", "ab.c+d@e", &"A".repeat(128)] {
        let mut head = unsigned();
        let credentials = Credentials { access_key_id: id, secret: SECRET, session_token: None };
        sign(&mut head, BODY, &credentials, ("eu-west-1", "kms"), NOW).unwrap();
        assert_eq!(check(&head), Ok(()));
        assert_eq!(parse(&head).unwrap().access_key_id(), id);
    }
}

#[test]
fn what_must_be_signed_is() {
    let all = "SignedHeaders=content-type;host;x-amz-date;x-amz-target";
    let signed_only = |names: &str| check(&replaced(all, &format!("SignedHeaders={names}")));
    invalid(
        signed_only("content-type;x-amz-date;x-amz-target"),
        "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    );
    invalid(
        signed_only("content-type;host;x-amz-date"),
        "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.",
    );
    invalid(
        signed_only("content-type;host;x-amz-target"),
        "'x-amz-date' must be a 'SignedHeader' in the AWS Authorization.",
    );
    for name in ["x-amz-security-token", "x-amz-user-agent", "x-amz-anything"] {
        let mut head = signed();
        set(&mut head, name, "added");
        let text = format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.");
        invalid(check(&head), &text);
    }
    // These may be added on the way.
    let mut head = signed();
    for name in ["amz-sdk-request", "content-length", "x-amzn-trace-id", "x-amz", "via"] {
        set(&mut head, name, "1");
    }
    set(&mut head, "user-agent", "changed");
    assert_eq!(check(&head), Ok(()));
    for names in [
        "host;content-type;x-amz-date;x-amz-target",
        "Content-Type;host;x-amz-date;x-amz-target",
        "content-type;host;host;x-amz-date;x-amz-target",
        ";host;x-amz-date;x-amz-target",
        "host;;x-amz-date;x-amz-target",
        "host;x-amz-date;x-amz-target;",
        "content-type; host;x-amz-date;x-amz-target",
    ] {
        incomplete(signed_only(names), "SignedHeaders must be lower-case, sorted and unique.");
    }
    let many: Vec<String> = (0..101).map(|n| format!("h{n:03}")).collect();
    incomplete(
        signed_only(&many.join(";")),
        "SignedHeaders must be lower-case, sorted and unique.",
    );
}

#[test]
fn a_signed_header_dropped_or_changed_on_the_way_is_noticed() {
    for name in ["content-type", "x-amz-target", "host"] {
        let mut head = signed();
        head.headers.remove(name);
        invalid(check(&head), MISMATCH);
        assert_eq!(check(&head), Err(AuthError::SignedHeaderAbsent(name.into())));
        let mut head = signed();
        set(&mut head, name, "TrentService.Encrypt");
        invalid(check(&head), MISMATCH);
    }
    let mut head = signed();
    head.method = http::Method::PUT;
    invalid(check(&head), MISMATCH);
    for uri in ["/x", "/?a", "/?Action=Decrypt"] {
        let mut head = signed();
        head.uri = uri.parse().unwrap();
        invalid(check(&head), MISMATCH);
    }
    invalid(check_at(&signed(), b"{}", NOW), MISMATCH);
    invalid(check_at(&signed(), b"", NOW), MISMATCH);
}

#[test]
fn deciding_headers_come_once() {
    for name in [
        "authorization",
        "host",
        "content-type",
        "content-length",
        "x-amz-target",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-content-sha256",
        "x-amz-anything",
    ] {
        let mut head = signed();
        if !head.headers.contains_key(name) {
            append(&mut head, name, "1");
        }
        // The same value again is refused too.
        let again = head.headers[name].to_str().unwrap().to_owned();
        append(&mut head, name, &again);
        incomplete(check(&head), &format!("The header '{name}' must not be repeated."));
    }
    let mut head = unsigned();
    append(&mut head, "content-type", "text/plain");
    incomplete(check_shape(&head), "The header 'content-type' must not be repeated.");
    let mut head = unsigned();
    append(&mut head, "accept", "a");
    append(&mut head, "accept", "b");
    sign_again(&mut head);
    assert_eq!(check(&head), Ok(()));
}

#[test]
fn the_host_is_the_header_or_the_authority() {
    // HTTP/2: no Host header.
    let mut head = signed();
    head.headers.remove("host");
    head.uri = "http://127.0.0.1:4566/".parse().unwrap();
    assert_eq!(check(&head), Ok(()));
    // Both, and the same.
    set(&mut head, "host", "127.0.0.1:4566");
    assert_eq!(check(&head), Ok(()));
    // Both, and different.
    head.uri = "http://127.0.0.2:4566/".parse().unwrap();
    incomplete(check(&head), "The header 'host' must not be repeated.");
    // The scheme's own port is not signed.
    let mut head = unsigned();
    set(&mut head, "host", "kms.example");
    sign_again(&mut head);
    head.headers.remove("host");
    head.uri = "https://kms.example:443/".parse().unwrap();
    assert_eq!(check(&head), Ok(()));
    head.uri = "https://kms.example:80/".parse().unwrap();
    assert_eq!(check(&head), Err(AuthError::SignatureMismatch));
}

#[test]
fn the_payload_is_signed_and_is_the_body() {
    for value in [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ] {
        let mut head = unsigned();
        set(&mut head, "x-amz-content-sha256", value);
        sign_again(&mut head);
        let text =
            format!("Unsupported x-amz-content-sha256 '{value}': the payload must be signed.");
        incomplete(check(&head), &text);
    }
    let hash = "196e49231c19a36b7988c170ea4cec5a7f00676b800bfb6a1ce7c4f226abc203";
    let upper = hash.to_uppercase();
    for value in
        ["", "x", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", &upper]
    {
        let mut head = unsigned();
        set(&mut head, "x-amz-content-sha256", value);
        sign_again(&mut head);
        invalid(check(&head), MISMATCH);
        assert_eq!(check(&head), Err(AuthError::PayloadMismatch));
    }
    // Right, it may be signed or not.
    let mut head = signed();
    set(&mut head, "x-amz-content-sha256", hash);
    assert_eq!(check(&head), Ok(()));
    sign_again(&mut head);
    assert_eq!(check(&head), Ok(()));
}

#[test]
fn the_signature_is_exact() {
    let head = signed();
    let text = authorization(&head);
    let signature = text.rsplit('=').next().unwrap();
    for wrong in [
        signature.to_uppercase(),
        signature[..63].to_owned(),
        format!("{signature}0"),
        format!("{}g", &signature[..63]),
        "0".repeat(64),
        "é".repeat(32),
        "00".into(),
    ] {
        let mut head = head.clone();
        set(&mut head, "authorization", &text.replace(signature, &wrong));
        let error = check(&head).unwrap_err();
        if wrong.is_ascii() {
            assert_eq!(error.to_string(), MISMATCH);
        } else {
            assert_eq!(error.to_string(), "The header 'authorization' must be ASCII text.");
        }
    }
    let claim = parse(&head).unwrap();
    assert_eq!(claim.expires(), None);
    let key = SigningKey::derive("wrong", "20260101", "eu-west-1", "kms");
    assert_eq!(verify(&claim, &head, BODY, &key), Err(AuthError::SignatureMismatch));
}

#[test]
fn bytes_beyond_ascii_are_refused() {
    for bytes in [b"\xff".as_slice(), b"caf\xc3\xa9", b"\x80abc"] {
        for name in ["x-amz-target", "content-type", "accept", "authorization"] {
            let mut head = signed();
            let value = HeaderValue::from_bytes(bytes).unwrap();
            head.headers.insert(HeaderName::from_static(name), value);
            incomplete(check(&head), &format!("The header '{name}' must be ASCII text."));
        }
    }
}

#[test]
fn an_unknown_key_is_refused_whatever_it_signs() {
    let head = signed();
    let claim = parse(&head).unwrap();
    assert_eq!(refuse_unknown(&claim, &head, BODY, None), AuthError::UnrecognizedClient);
    let mut head = unsigned();
    let nobody = Credentials { access_key_id: ID, secret: "nobody", session_token: None };
    sign(&mut head, BODY, &nobody, ("nowhere", "none"), 0).unwrap();
    let claim = parse(&head).unwrap();
    assert_eq!(refuse_unknown(&claim, &head, BODY, None), AuthError::UnrecognizedClient);
}

#[test]
fn huge_headers_end_in_a_short_answer() {
    let huge = "a".repeat(100_000);
    let names = "a;".repeat(50_000);
    for value in [
        huge.clone(),
        format!("AWS4-{huge}"),
        format!("AWS4-HMAC-SHA256 {huge}"),
        format!("AWS4-HMAC-SHA256 Credential={huge},SignedHeaders=host,Signature=0"),
        format!(
            "AWS4-HMAC-SHA256 Credential={}1,SignedHeaders=host,Signature=0",
            "/".repeat(99_000)
        ),
        format!(
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders={names},Signature={}",
            "0".repeat(64)
        ),
        ",".repeat(100_000),
        "=".repeat(100_000),
        " ".repeat(100_000),
    ] {
        let mut head = signed();
        set(&mut head, "authorization", &value);
        assert!(check(&head).unwrap_err().to_string().len() < 600);
    }
    let mut head = unsigned();
    set(&mut head, "content-type", &format!("{huge}{}", "a  b".repeat(1000)));
    sign_again(&mut head);
    assert_eq!(check(&head), Ok(()));
}
