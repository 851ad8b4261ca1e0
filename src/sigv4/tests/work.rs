//! Every request is signed once to be compared, whoever it claims to be from and however wrong it is.
use super::super::key::SIGNED;
use super::*;

/// How many signatures were calculated meanwhile.
fn signed_during(work: impl FnOnce()) -> usize {
    let before = SIGNED.get();
    work();
    SIGNED.get() - before
}

fn changed(at: usize) -> Parts {
    let mut head = signed();
    let value = head.headers["authorization"].to_str().unwrap().to_owned();
    let at = value.find("Signature=").unwrap() + "Signature=".len() + at;
    let other = if &value[at..=at] == "0" { "1" } else { "0" };
    let value = format!("{}{other}{}", &value[..at], &value[at + 1..]);
    head.headers.insert("authorization", HeaderValue::from_str(&value).unwrap());
    head
}

#[test]
fn one_signature_is_calculated_whatever_is_wrong() {
    let good = signed();
    assert_eq!(signed_during(|| check(&good).unwrap()), 1);
    for at in [0, 1, 31, 62, 63] {
        let head = changed(at);
        let work = || assert!(matches!(check(&head), Err(AuthError::SignatureMismatch)));
        assert_eq!(signed_during(work), 1, "{at}");
    }
    let work = || {
        let claim = parse(&good).unwrap();
        let error = refuse_unknown(&claim, &good, BODY, None);
        assert!(matches!(error, AuthError::UnrecognizedClient));
    };
    assert_eq!(signed_during(work), 1);
}
