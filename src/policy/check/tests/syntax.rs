//! What cannot be read, and where; and that no text whatever brings the check down.

use super::{KEY, policy, services};
use crate::policy::check::{Severity, Subject, check};

fn places(text: &str, subject: Subject) -> Vec<(Option<usize>, Option<usize>)> {
    let found = check(text, subject, &services());
    assert!(found.iter().all(|f| (f.rule, f.severity) == ("syntax", Severity::Error)), "{found:?}");
    found.iter().map(|f| (f.statement, f.position.map(|p| p.line))).collect()
}

#[test]
fn every_wrong_statement_has_its_line() {
    let text = "{\n \"Version\": \"2012-10-17\",\n \"Statement\": [\n\
                {\"Effect\": \"Allow\", \"Action\": \"kms:Decrypt\", \"Resource\": \"*\"},\n\
                {\"Effect\": \"Permit\", \"Action\": \"kms:Decrypt\", \"Resource\": \"*\"},\n\
                {\"Effect\": \"Allow\", \"Resource\": \"*\"}\n]}";
    assert_eq!(places(text, Subject::Identity), [(Some(1), Some(5)), (Some(2), Some(6))]);
    let of_key = places(text, KEY);
    assert_eq!(of_key.len(), 3, "and none names a principal: {of_key:?}");
}

#[test]
fn what_is_wrong_with_the_whole() {
    for (text, line) in [
        ("", Some(1)),
        ("{\n\"Version\": \"2012-10-17\",\n", Some(3)),
        ("[]", None),
        ("{}", None),
        (r#"{"Version":"2099-01-01","Statement":[]}"#, None),
        (r#"{"Statement":[]}"#, None),
        (r#"{"Statement":[],"Statement":[]}"#, None),
        (r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"},"More":1}"#, None),
    ] {
        assert_eq!(places(text, Subject::Identity), [(None, line)], "{text}");
    }
    let one = r#"{"Sid":"a","Effect":"Allow","Action":"kms:*","Resource":"*"}"#;
    let twice = policy(&format!("{one},{one}"));
    assert_eq!(places(&twice, Subject::Identity), [(None, None)]);
    assert_eq!(places(&"[".repeat(50_000), Subject::Identity).len(), 1);
    assert_eq!(places(&policy(&"x".repeat(200_000)), Subject::Identity).len(), 1);
}

#[test]
fn findings_say_where() {
    let text = "{\"Version\": \"2012-10-17\",\n\"Statement\": {\n\"Sid\": \"Typo\",\n\
                \"Effect\": \"Allow\",\n  \"Action\": \"kms:Decript\",\n\"Resource\": \"*\"}}";
    let found = check(text, Subject::Identity, &services());
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((one.statement, one.sid.as_deref()), (Some(0), Some("Typo")));
    assert_eq!(one.position.map(|p| (p.line, p.column)), Some((5, 13)));
    let json = serde_json::to_value(one).unwrap();
    assert_eq!(json["severity"], "warning");
    assert_eq!((&json["line"], &json["column"]), (&5.into(), &13.into()));
}

/// A good policy cut off or changed anywhere is answered all the same.
#[test]
fn damaged_texts_are_answered() {
    let good = policy(
        r#"{"Sid":"a","Effect":"Allow","Principal":{"AWS":["*","111122223333"]},"Action":["kms:*"],
        "Resource":"*","Condition":{"ForAllValues:StringLike":{"aws:TagKeys":["ä€","${aws:userid}"]}}}"#,
    );
    for at in (0..good.len()).filter(|at| good.is_char_boundary(*at)) {
        check(&good[..at], KEY, &services());
        for insert in ["\"", "{", "]", "\\", "*", "\u{1F511}"] {
            let text = [&good[..at], insert, &good[at..]].concat();
            check(&text, KEY, &services());
            Subject::guess(&text);
        }
    }
}
