//! The rules for scope and time, broken; with AWS's text.

use super::super::*;
use super::refusals::{authorization, incomplete, invalid, replaced};
use super::{BODY, ID, NOW, SECRET, check, check_at, set, signed, unsigned};

#[test]
fn the_scope_is_ours() {
    let region = "Credential should be scoped to a valid region. ";
    let service = "Credential should be scoped to correct service: 'kms'. ";
    let term = "Credential should be scoped with a valid terminator: 'aws4_request'";
    let whole = "/eu-west-1/kms/aws4_request";
    for (scope, text) in [
        ("/eu-west-2/kms/aws4_request", region.to_owned()),
        ("/eu-west-1/sts/aws4_request", service.to_owned()),
        ("/eu-west-1/KMS/aws4_request", service.to_owned()),
        ("/eu-west-1/kms/aws3_request", term.to_owned()),
        ("/x/y/z", format!("{region}{service}{term}")),
        ("/x/kms/z", format!("{region}{term}")),
    ] {
        invalid(check(&replaced(whole, scope)), &text);
    }
    let sts = Expect { now: NOW, skew: 900, regions: &|_| true, service: "sts" };
    let head = signed();
    let error = check_scope_and_time(&parse(&head).unwrap(), &sts).unwrap_err();
    assert_eq!(error.to_string(), "Credential should be scoped to correct service: 'sts'. ");
}

#[test]
fn the_date_of_the_scope_is_that_of_the_request() {
    invalid(
        check(&replaced("/20260101/", "/20260102/")),
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
         HTTP: '20260102' != '20260101', from '20260101T001000Z'.",
    );
}

#[test]
fn the_time_is_now_give_or_take_the_skew() {
    let head = signed();
    for offset in [-300, 0, 300] {
        assert_eq!(check_at(&head, BODY, NOW + offset), Ok(()));
    }
    invalid(
        check_at(&head, BODY, NOW + 301),
        "Signature expired: 20260101T001000Z is now earlier than 20260101T001001Z \
         (20260101T001501Z - 5 min.)",
    );
    invalid(
        check_at(&head, BODY, NOW - 301),
        "Signature not yet current: 20260101T001000Z is still later than 20260101T000959Z \
         (20260101T000459Z + 5 min.)",
    );
    let claim = parse(&head).unwrap();
    let sts = |now| Expect { now, skew: 900, regions: &|_| true, service: "kms" };
    assert_eq!(check_scope_and_time(&claim, &sts(NOW + 900)), Ok(()));
    let text = check_scope_and_time(&claim, &sts(NOW - 901)).unwrap_err().to_string();
    assert!(text.ends_with(" + 15 min.)"), "{text}");
    for now in [i64::MIN, i64::MAX] {
        assert!(check_at(&head, BODY, now).is_err());
    }
}

#[test]
fn dates_come_from_x_amz_date_or_date() {
    let mut head = signed();
    head.headers.remove("x-amz-date");
    assert_eq!(check(&head).unwrap_err().kind(), Kind::IncompleteSignature);
    // The old day of signing, as the Date header has it.
    set(&mut head, "date", "Thu, 01 Jan 2026 00:10:00 GMT");
    let text = authorization(&head).replace("x-amz-date;", "");
    set(&mut head, "authorization", &text);
    assert_eq!(check(&head), Err(AuthError::SignatureMismatch));
    assert_eq!(parse(&head).unwrap().date().as_str(), "20260101T001000Z");
    set(&mut head, "x-amz-date", "2026-01-01T00:10:00Z");
    incomplete(
        check(&head),
        "Date must be in ISO-8601 'basic format'. Got '2026-01-01T00:10:00Z'. See \
         http://en.wikipedia.org/wiki/ISO_8601",
    );
}

#[test]
fn a_request_dated_by_its_date_header_verifies() {
    let mut head = unsigned();
    set(&mut head, "date", "Thu, 01 Jan 2026 00:10:00 GMT");
    let date = date::RequestDate::from_seconds(NOW).unwrap();
    let names = "content-type;date;host;x-amz-target";
    let key = SigningKey::derive(SECRET, "20260101", "eu-west-1", "kms");
    let scope =
        Scope { date: "20260101", region: "eu-west-1", service: "kms", terminator: TERMINATOR };
    let hash = text::hex(
        &sha2::Digest::finalize(sha2::Digest::chain_update(
            <sha2::Sha256 as sha2::Digest>::new(),
            BODY,
        ))
        .into(),
    );
    let signature = key.sign_request(&head, names, &hash, (&date, &scope)).unwrap();
    let signature = String::from_utf8(text::hex(&signature).to_vec()).unwrap();
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={ID}/20260101/eu-west-1/kms/aws4_request,SignedHeaders={names},Signature={signature}"
    );
    set(&mut head, "authorization", &value);
    assert_eq!(check(&head), Ok(()));
    set(&mut head, "date", "Thu, 01 Jan 2026 00:10:01 GMT");
    assert_eq!(check(&head), Err(AuthError::SignatureMismatch));
}
