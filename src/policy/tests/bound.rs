//! Policies that were bound to whom they named when they were written.

use super::super::{BoundPolicy, Effect, Policies, ResourceRule, evaluate};
use super::*;
use std::collections::BTreeMap;

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const DEPLOYER: &str = "arn:aws:iam::111122223333:role/ops/Deployer";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/Deployer/ci";

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

/// What a key policy of these statements says of Decrypt to a caller that its own account allows
/// everything.
fn effect(statements: &str, ids: &[(&str, &str)], who: &str) -> Effect {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    let key_policy = BoundPolicy::new(text, map(ids)).compile(Kind::Resource);
    let own =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let own = Policy::parse(own, Kind::Identity).unwrap();
    let conditions = Conditions::default();
    let request = Request {
        principal: caller(who),
        action: "kms:Decrypt",
        resource: KEY,
        conditions: &conditions,
    };
    let policies = Policies {
        identity: &[PolicyRef { name: "own", policy: &own }],
        resource: Some(PolicyRef { name: "key", policy: &key_policy }),
        ..Policies::default()
    };
    evaluate(&request, &policies, ACCOUNT, ResourceRule::KeyPolicy).effect
}

fn allowing(named: &str) -> String {
    format!(r#"{{"Effect":"Allow","Principal":{{"AWS":"{named}"}},"Action":"*","Resource":"*"}}"#)
}

#[test]
fn whoever_has_the_id_is_meant_and_nobody_of_the_name() {
    for (named, id, who, meant) in [
        (ALICE, "AIDAALICE00000000001", "alice", true),
        (ALICE, "AIDAALICE00000000002", "alice", false),
        // Her name has moved on, she is still meant.
        ("arn:aws:iam::111122223333:user/once", "AIDAALICE00000000001", "alice", true),
        (ALICE, "AIDAALICE00000000001", "federated", true),
        (ALICE, "AIDAALICE00000000002", "federated", false),
        (DEPLOYER, "AROADEPLOYER00000001", "session", true),
        (DEPLOYER, "AROADEPLOYER00000002", "session", false),
        (SESSION, "AROADEPLOYER00000001:ci", "session", true),
        (SESSION, "AROADEPLOYER00000002:ci", "session", false),
        (SESSION, "AROADEPLOYER00000001:cd", "session", false),
    ] {
        let expected = if meant { Effect::Allow } else { Effect::ImplicitDeny };
        assert_eq!(effect(&allowing(named), &[(named, id)], who), expected, "{named} {id} {who}");
    }
}

#[test]
fn not_principal_spares_whoever_has_the_id() {
    let deny = |list: &str| {
        let but = format!(
            r#"{{"Effect":"Deny","NotPrincipal":{{"AWS":[{list}]}},"Action":"*","Resource":"*"}}"#
        );
        format!("{},{but}", allowing(ACCOUNT))
    };
    let user = deny(&format!(r#""{ACCOUNT}","{ALICE}""#));
    for (id, expected) in
        [("AIDAALICE00000000001", Effect::Allow), ("AIDAALICE00000000002", Effect::ExplicitDeny)]
    {
        assert_eq!(effect(&user, &[(ALICE, id)], "alice"), expected);
    }
    let session = deny(&format!(r#""{ACCOUNT}","{DEPLOYER}","{SESSION}""#));
    for (id, expected) in
        [("AROADEPLOYER00000001", Effect::Allow), ("AROADEPLOYER00000002", Effect::ExplicitDeny)]
    {
        let ids = [(DEPLOYER, id), (SESSION, &format!("{id}:ci"))];
        assert_eq!(effect(&session, &ids, "session"), expected);
    }
}

/// A row that lost an id must not mean whoever bears the name now, and must not lose a Deny.
#[test]
fn a_name_without_an_id_denies_everything() {
    for named in [ALICE, DEPLOYER, SESSION] {
        let statements = format!("{},{}", allowing(ACCOUNT), allowing(named));
        assert_eq!(effect(&statements, &[], "root"), Effect::ExplicitDeny, "{named}");
        assert_eq!(effect(&statements, &[(named, "AIDA")], "root"), Effect::Allow, "{named}");
    }
    let stranger = allowing("arn:aws:sts::111122223333:federated-user/guest");
    assert_eq!(effect(&stranger, &[], "federated"), Effect::Allow);
    let broken = BoundPolicy::of_nobody("{".into()).compile(Kind::Resource);
    assert!(broken.unreadable().is_some());
}

#[test]
fn only_the_principals_are_reworded() {
    let text = r#"
 {"Id" : "arn:x", "Version":"2012-10-17", "Statement": [ { "Sid":"arn:x",
    "Effect":"Allow", "Principal" : { "AWS" : [ "arn:x" , "arn:y","arn:x"], "Service":"arn:x",
    "Federated":["arn:x"] }, "Action":["arn:x"],"Resource":"arn:x",
    "Condition":{"StringEquals":{"AWS":"arn:x","Principal":["arn:x"], "a\"b":"arn:x"}} },
  {"\u004eotPrincipal":{"\u0041WS":"arn\u003ax"},"NotAction":"\"Principal\":{\"AWS\":\"arn:x\"}"},
  {"Principal":"arn:x"}]}"#;
    let stored = BoundPolicy::of_nobody(text.into());
    assert_eq!(stored.reworded(&map(&[])), text);
    assert_eq!(stored.reworded(&map(&[("arn:z", "gone")])), text);
    let expected = text
        .replacen(r#"[ "arn:x" , "arn:y","arn:x"]"#, r#"[ "A\"1\\" , "arn:y","A\"1\\"]"#, 1)
        .replacen(r#""arn\u003ax""#, r#""A\"1\\""#, 1);
    assert_eq!(stored.reworded(&map(&[("arn:x", r#"A"1\"#)])), expected);
    // One statement without a list, and with everything in one line.
    let one = format!(r#"{{"Statement":{}}}"#, allowing(ALICE));
    let stored = BoundPolicy::of_nobody(one.clone());
    assert_eq!(stored.reworded(&map(&[(ALICE, "AIDA1")])), one.replace(ALICE, "AIDA1"));
}

/// What is no policy harms nobody: nothing panics, and what was not named stays.
#[test]
fn any_text_can_be_reworded() {
    let whole = format!(r#"{{"Statement":[{}]}}"#, allowing("é\\\"ü"));
    let words = map(&[(ALICE, "AIDA1")]);
    for end in (0..=whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        for text in [&whole[..end], &whole[end..]] {
            assert_eq!(BoundPolicy::of_nobody(text.into()).reworded(&words), text);
        }
    }
    for text in ["]]}}\"", "\"", "\"\\", "[\"AWS\":\"", "\u{a0}\"a\"\u{a0}:"] {
        assert_eq!(BoundPolicy::of_nobody(text.into()).reworded(&words), text);
    }
}
