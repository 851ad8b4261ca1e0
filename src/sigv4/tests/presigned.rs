//! The rules for signatures in the query.

use http::Request;
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::super::*;
use super::{ID, NOW, SECRET, check_at, set, signed};

const HOST: &str = "sts.example";

/// A presigned GET with further parameters, signed for `expires` seconds.
fn presigned(expires: &str, more: &str) -> Parts {
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ID}%2F20260101%2Feu-west-1%2Fkms%2F\
         aws4_request&X-Amz-Date=20260101T001000Z&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host\
         {more}"
    );
    let head = get(&query);
    let date = date::RequestDate::from_seconds(NOW).unwrap();
    let key = SigningKey::derive(SECRET, "20260101", "eu-west-1", "kms");
    let scope =
        Scope { date: "20260101", region: "eu-west-1", service: "kms", terminator: TERMINATOR };
    let empty = text::hex(&Sha256::digest(b"").into());
    let signature = key.sign_request(&head, "host", &empty, (&date, &scope)).unwrap();
    let signature = String::from_utf8(text::hex(&signature).to_vec()).unwrap();
    get(&format!("{query}&X-Amz-Signature={signature}"))
}

fn get(query: &str) -> Parts {
    let request = Request::builder().uri(format!("/?{query}")).header("host", HOST).body(());
    request.unwrap().into_parts().0
}

fn check(head: &Parts) -> Result<(), AuthError> {
    check_at(head, b"", NOW)
}

fn query(head: &Parts) -> String {
    head.uri.query().unwrap().to_owned()
}

#[test]
fn a_good_one_passes_and_is_known_as_presigned() {
    let head = presigned("900", "&Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(check(&head), Ok(()));
    let claim = parse(&head).unwrap();
    assert_eq!((claim.expires(), claim.is_presigned()), (Some(900), true));
    assert_eq!(claim.signed_headers(), "host");
    // Another order of the parameters is the same request.
    let mut pieces: Vec<_> = head.uri.query().unwrap().split('&').collect();
    pieces.reverse();
    assert_eq!(check(&get(&pieces.join("&"))), Ok(()));
    // With a token, which is signed with the rest.
    let head = presigned("900", "&X-Amz-Security-Token=a%2Fb%3D");
    assert_eq!(check(&head), Ok(()));
    assert_eq!(parse(&head).unwrap().session_token(), Some("a/b="));
    assert!(!format!("{:?}", parse(&head).unwrap()).contains("a/b="));
    let late = query(&presigned("900", "")) + "&X-Amz-Security-Token=t";
    assert_eq!(check(&get(&late)), Err(AuthError::SignatureMismatch));
}

#[test]
fn it_is_good_from_its_date_less_the_skew_until_it_expires() {
    let head = presigned("900", "");
    for offset in [-300, 0, 301, 900] {
        assert_eq!(check_at(&head, b"", NOW + offset), Ok(()));
    }
    let text = check_at(&head, b"", NOW + 901).unwrap_err().to_string();
    assert_eq!(
        text,
        "Signature expired: 20260101T001000Z is now earlier than 20260101T001001Z \
         (20260101T002501Z - 15 min.)"
    );
    let text = check_at(&head, b"", NOW - 301).unwrap_err().to_string();
    assert_eq!(
        text,
        "Signature not yet current: 20260101T001000Z is still later than 20260101T000959Z \
         (20260101T000459Z + 5 min.)"
    );
    // A life shorter than the skew is kept to, and told in seconds.
    let text = check_at(&presigned("90", ""), b"", NOW + 91).unwrap_err().to_string();
    assert!(text.ends_with(" - 90 sec.)"), "{text}");
}

#[test]
fn its_life_is_between_a_second_and_a_week() {
    assert_eq!(check(&presigned("1", "")), Ok(()));
    assert_eq!(check(&presigned("604800", "")), Ok(()));
    for (life, text) in [
        ("0", "X-Amz-Expires must be greater than 0"),
        ("-1", "X-Amz-Expires should be a number"),
        ("%2B5", "X-Amz-Expires should be a number"),
        ("1.5", "X-Amz-Expires should be a number"),
        (
            "604801",
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        ),
        (
            "99999999999999999999",
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        ),
    ] {
        let error = check(&presigned(life, "")).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.kind()), (text, Kind::IncompleteSignature));
    }
}

#[test]
fn missing_parameters_are_named() {
    let whole = query(&presigned("900", ""));
    for name in [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    ] {
        let without: Vec<_> =
            whole.split('&').filter(|p| p.split('=').next() != Some(name)).collect();
        let expected = format!(
            "AWS query-string parameters must include '{name}'. Re-examine the query-string \
             parameters."
        );
        let error = check(&get(&without.join("&"))).unwrap_err();
        assert_eq!((error.to_string(), error.kind()), (expected, Kind::IncompleteSignature));
    }
    let text = check(&get("X-Amz-Signature=0&X-Amz-Date=")).unwrap_err().to_string();
    assert!(text.starts_with("AWS query-string parameters must include 'X-Amz-Algorithm'. AWS "));
    assert!(!text.contains("X-Amz-Signature"));
    // Names are exact: this is a request without a signature.
    let lower = whole.to_lowercase();
    assert_eq!(check(&get(&lower)), Err(AuthError::MissingAuthenticationToken));
}

#[test]
fn each_way_of_signing_excludes_the_other() {
    let whole = query(&presigned("900", ""));
    for query in
        [whole.as_str(), "X-Amz-Signature=", "X-Amz-Security-Token=t", "%58-Amz-Algorithm=x"]
    {
        let mut head = signed();
        head.uri = format!("/?{query}").parse().unwrap();
        let error = check(&head).unwrap_err();
        assert_eq!(error.kind(), Kind::IncompleteSignature);
        assert_eq!(
            error.to_string(),
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature \
             query string parameter or the Authorization header should be specified"
        );
    }
    let mut head = presigned("900", "");
    set(&mut head, "x-amz-security-token", "t");
    assert_eq!(check(&head), Err(AuthError::TwoMechanisms));
}

#[test]
fn broken_parameters_are_refused() {
    let whole = query(&presigned("900", ""));
    for (more, expected) in [
        ("&X-Amz-Date=20260101T001000Z", AuthError::BadParameter("X-Amz-Date")),
        ("&X-Amz-Signature=0", AuthError::BadParameter("X-Amz-Signature")),
        ("&X-Amz-Security-Token=%ff", AuthError::BadParameter("X-Amz-Security-Token")),
        (
            "&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD",
            AuthError::PayloadNotSigned("UNSIGNED-PAYLOAD".into()),
        ),
        ("&X-Amz-Content-Sha256=0", AuthError::PayloadMismatch),
        ("&a%", AuthError::BrokenEscape),
        ("&%zz=1", AuthError::BrokenEscape),
        ("&a=%4", AuthError::BrokenEscape),
        ("&a=b", AuthError::SignatureMismatch),
        ("&", AuthError::SignatureMismatch),
    ] {
        let result = check(&get(&format!("{whole}{more}")));
        // An empty piece is nothing, also to the signer.
        let expected = if more == "&" { Ok(()) } else { Err(expected) };
        assert_eq!(result, expected, "{more}");
    }
    for (from, to, text) in [
        (
            "HMAC-SHA256",
            "ECDSA-P256-SHA256",
            "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'.",
        ),
        (
            "T001000Z",
            "T001000",
            "Date must be in ISO-8601 'basic format'. Got '20260101T001000'. See http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (
            "%2Fkms%2F",
            "%2F",
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIDEXAMPLE/20260101/eu-west-1/aws4_request'",
        ),
        (
            "eu-west-1",
            "%0a%00%c3%a9",
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIDEXAMPLE/20260101/???/kms/aws4_request'",
        ),
        (
            "=host",
            "=",
            "AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters.",
        ),
        (
            "=host",
            "=accept",
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        ("eu-west-1", "x", "Credential should be scoped to a valid region. "),
    ] {
        assert_eq!(check(&get(&whole.replace(from, to))).unwrap_err().to_string(), text);
    }
    // A header that would decide something must be signed here, too.
    let mut head = presigned("900", "");
    set(&mut head, "x-amz-target", "TrentService.Decrypt");
    assert_eq!(check(&head), Err(AuthError::HeaderNotSigned("x-amz-target".into())));
    // The body is part of it.
    assert_eq!(check_at(&presigned("900", ""), b"x", NOW), Err(AuthError::SignatureMismatch));
}
