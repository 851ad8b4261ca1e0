//! Documents that are refused when written, and deny everything when found.

use super::super::{Effect, Policies, PolicyError, ResourceRule, evaluate};
use super::*;

const ALLOW: &str = r#""Effect":"Allow","Action":"kms:*","Resource":"*""#;

fn statement(text: &str, kind: Kind) -> Result<(), PolicyError> {
    Policy::parse(&format!(r#"{{"Version":"2012-10-17","Statement":{text}}}"#), kind).map(|_| ())
}

#[test]
fn a_policy_in_its_plain_forms() {
    for text in [
        format!(r#"{{"Statement":{{{ALLOW}}}}}"#),
        format!(r#"{{"Version":"2008-10-17","Id":"x","Statement":[{{{ALLOW}}},{{{ALLOW}}}]}}"#),
        format!(r#" {{ "Statement" : [ {{ "Sid":"A1", {ALLOW}, "Condition":{{}} }} ] }} "#),
    ] {
        let policy = Policy::parse(&text, Kind::Identity).unwrap();
        assert!(policy.unreadable().is_none() && !policy.statements().is_empty());
    }
    let policy = Policy::parse(&format!(r#"{{"Statement":{{{ALLOW}}}}}"#), Kind::Identity);
    assert_eq!(policy.unwrap().version(), "2008-10-17");
}

#[test]
fn traps_of_the_outer_object() {
    let inner = format!("{{{ALLOW}}}");
    for text in [
        String::new(),
        "{}".into(),
        "[]".into(),
        "null".into(),
        format!("[{inner}]"),
        r#"{"Statement":[]}"#.into(),
        r#"{"Statement":{}}"#.into(),
        r#"{"Statement":null}"#.into(),
        r#"{"Statement":["Allow","kms:*","*"]}"#.into(),
        format!(r#"{{"Statement":[[{inner}]]}}"#),
        format!(r#"{{"Statement":[{inner},null]}}"#),
        format!(r#"{{"Statement":{inner},"Statement":{inner}}}"#),
        format!(r#"{{"statement":{inner}}}"#),
        format!(r#"{{"Statement":{inner},"Comment":""}}"#),
        format!(r#"{{"Version":"2012-10-18","Statement":{inner}}}"#),
        format!(r#"{{"Version":["2012-10-17"],"Statement":{inner}}}"#),
        format!(r#"{{"Version":"2012-10-17","Version":"2008-10-17","Statement":{inner}}}"#),
        format!(r#"{{"Id":7,"Statement":{inner}}}"#),
        format!(r#"{{"Statement":{inner}}} x"#),
        format!(r#"{{"Statement":[{}]}}"#, vec![inner.as_str(); 513].join(",")),
    ] {
        assert!(Policy::parse(&text, Kind::Identity).is_err(), "{text:.200}");
    }
}

#[test]
fn traps_of_a_statement() {
    for text in [
        r#"{"Action":"kms:*","Resource":"*"}"#,
        r#"{"Effect":"allow","Action":"kms:*","Resource":"*"}"#,
        r#"{"Effect":["Allow"],"Action":"kms:*","Resource":"*"}"#,
        r#"{"Effect":"Allow","Effect":"Deny","Action":"kms:*","Resource":"*"}"#,
        r#"{"Effect":"Allow","Resource":"*"}"#,
        r#"{"Effect":"Allow","Action":"kms:*"}"#,
        r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#,
        r#"{"Effect":"Allow","NotAction":[],"Resource":"*"}"#,
        r#"{"Effect":"Allow","Action":"kms:*","NotResource":[]}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":[]}"#,
        r#"{"Effect":"Allow","Action":"kms:*","NotAction":"kms:x","Resource":"*"}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":"*","NotResource":"arn:aws:kms:::x"}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":"*","Action":"kms:*"}"#,
        r#"{"Effect":"Allow","Action":null,"Resource":"*"}"#,
        r#"{"Effect":"Allow","Action":{"a":"kms:*"},"Resource":"*"}"#,
        r#"{"Effect":"Allow","Action":["kms:*",7],"Resource":"*"}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":"key/1"}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":""}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":"**"}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":"arn:aws:kms:::${aws:x"}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":[]}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":"*","Conditions":{}}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":"*","Sid":"a b"}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":"*","Sid":1}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":"*","Principal":"*"}"#,
        r#"{"Effect":"Allow","Action":"kms:*","Resource":"*","NotPrincipal":{"AWS":"*"}}"#,
    ] {
        assert!(statement(text, Kind::Identity).is_err(), "{text}");
    }
}

#[test]
fn forms_of_actions() {
    let with = |action: &str| {
        let text = format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#);
        statement(&text, Kind::Identity)
    };
    for action in
        ["*", "*:*", "kms:*", "kms:Decrypt", "KMS:de?rypt*", "s3-object-lambda:*", "kms:?"]
    {
        assert_eq!(with(action), Ok(()), "{action}");
    }
    for action in [
        "",
        "kms",
        "kms:",
        ":Decrypt",
        "km*:Decrypt",
        "?:x",
        "**",
        "kms:De crypt",
        "kms:a:b",
        "kms:${aws:username}",
        "kms:Ä",
        "kms.x:y",
    ] {
        assert_eq!(with(action), Err(PolicyError::Action(action.into())), "{action}");
    }
}

#[test]
fn statement_ids() {
    let two = |a: &str, b: &str, kind| {
        let principal = if kind == Kind::Identity { "" } else { r#","Principal":"*""# };
        let one = |sid| format!(r#"{{"Sid":"{sid}",{ALLOW}{principal}}}"#);
        statement(&format!("[{},{}]", one(a), one(b)), kind)
    };
    assert_eq!(two("A", "B", Kind::Identity), Ok(()));
    assert_eq!(two("A", "a", Kind::Identity), Ok(()));
    assert_eq!(two("", "", Kind::Identity), Ok(()));
    assert_eq!(two("A", "A", Kind::Identity), Err(PolicyError::DuplicateSid("A".into())));
    assert_eq!(two("Enable IAM", "B", Kind::Resource), Ok(()));
    assert_eq!(two("Enable IAM", "B", Kind::Identity), Err(PolicyError::Sid("Enable IAM".into())));
    assert!(two("a<b", "B", Kind::Resource).is_err());
    assert!(two(&"a".repeat(257), "B", Kind::Resource).is_err());
}

#[test]
fn who_must_and_must_not_be_named() {
    let with = |principal: &str, kind| {
        let resource = if kind == Kind::Trust { "" } else { r#","Resource":"*""# };
        let text = format!(r#"{{"Effect":"Deny","Action":"kms:*"{resource}{principal}}}"#);
        statement(&text, kind)
    };
    let star = r#","Principal":"*""#;
    let not = r#","NotPrincipal":{"AWS":"111122223333"}"#;
    assert_eq!(with("", Kind::Resource), Err(PolicyError::Missing("Principal")));
    assert_eq!(with("", Kind::Trust), Err(PolicyError::Missing("Principal")));
    assert_eq!(with(star, Kind::Resource), Ok(()));
    assert_eq!(with(star, Kind::Trust), Ok(()));
    assert_eq!(with(not, Kind::Resource), Ok(()));
    assert_eq!(with(not, Kind::Trust), Err(PolicyError::NotHere("NotPrincipal")));
    let both = format!("{star}{not}");
    let error = PolicyError::Both("Principal", "NotPrincipal");
    assert_eq!(with(&both, Kind::Resource), Err(error));
    let allow = format!("{{{ALLOW}{not}}}");
    assert_eq!(statement(&allow, Kind::Resource), Err(PolicyError::NotPrincipalAllows));
    let trust = format!("{{{ALLOW}{star}}}");
    assert_eq!(statement(&trust, Kind::Trust), Err(PolicyError::NotHere("Resource")));
}

/// KMS takes a key policy's statement without Action or Resource, and gives it no effect.
#[test]
fn a_key_policy_statement_without_action_or_resource_is_ineffective() {
    let conditions = Conditions::new();
    for (text, effect) in [
        (r#"{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}"#, Effect::Allow),
        (r#"{"Effect":"Allow","Principal":"*","Action":"kms:*"}"#, Effect::ImplicitDeny),
        (r#"{"Effect":"Allow","Principal":"*","Resource":"*"}"#, Effect::ImplicitDeny),
    ] {
        let policy = resource(text);
        let policies = Policies { resource: Some(named("k", &policy)), ..Policies::default() };
        let request = decrypt("alice", &conditions);
        let decision = evaluate(&request, &policies, ACCOUNT, ResourceRule::KeyPolicy);
        assert_eq!(decision.effect, effect, "{text}");
    }
}

#[test]
fn what_is_stored_and_does_not_parse_denies_everything() {
    let good = identity(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#);
    let bad = Policy::parse_stored(r#"{"Statement":{"Effect":"Allow"}}"#, Kind::Identity);
    assert!(Policy::parse_stored(r#"{"Statement":[]}"#, Kind::Identity).unreadable().is_some());
    let conditions = Conditions::new();
    let request = decrypt("alice", &conditions);
    let decide = |list: &[PolicyRef<'_>]| {
        let policies = Policies { identity: list, ..Policies::default() };
        evaluate(&request, &policies, ACCOUNT, ResourceRule::None)
    };
    assert!(decide(&[named("good", &good)]).is_allowed());
    let decision = decide(&[named("good", &good), named("bad", &bad)]);
    assert_eq!(decision.effect, Effect::ExplicitDeny);
    assert_eq!(
        decision.because("kms:Decrypt"),
        "with an explicit deny in an identity-based policy"
    );
    let reason = decision.reasons[0].to_string();
    assert_eq!(
        reason,
        r#"denied by identity-based policy "bad", which cannot be read: Action is missing"#
    );
}

/// A policy counts only in the place it was parsed for.
#[test]
fn a_policy_of_the_wrong_kind_allows_nothing() {
    let attached = identity(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#);
    let naming = resource(r#"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}"#);
    let conditions = Conditions::new();
    for name in ["alice", "anonymous", "mallory"] {
        let identity = [named("r", &naming)];
        let resource = Some(named("i", &attached));
        let policies = Policies { identity: &identity, resource, ..Policies::default() };
        for rule in [ResourceRule::Ordinary, ResourceRule::KeyPolicy, ResourceRule::None] {
            let decision = evaluate(&decrypt(name, &conditions), &policies, ACCOUNT, rule);
            assert_eq!(decision.effect, Effect::ImplicitDeny, "{name} {rule:?}");
        }
    }
}
