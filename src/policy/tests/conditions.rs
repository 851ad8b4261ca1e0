//! Condition blocks as they are written: what is refused, how keys and operators join, variables.

use super::super::condition::Condition;
use super::super::json::Json;
use super::super::{PolicyError, ResourceRule, evaluate};
use super::*;
use crate::policy::Policies;

fn parse_conditions(json: &str) -> Result<usize, PolicyError> {
    Condition::parse_all(&Json::read(json)?, true, false).map(|list| list.len())
}

fn allowed(statement: &str, facts: &[(&'static str, &'static str)]) -> bool {
    let mut conditions = Conditions::new();
    facts.iter().for_each(|(key, value)| conditions.set(*key, *value));
    let policy = identity(statement);
    let identity = [named("p", &policy)];
    let policies = Policies { identity: &identity, ..Policies::default() };
    evaluate(&decrypt("alice", &conditions), &policies, ACCOUNT, ResourceRule::None).is_allowed()
}

fn when(condition: &str) -> String {
    format!(r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{condition}}}"#)
}

#[test]
fn unknown_operators_and_modifiers_are_refused() {
    for operator in [
        "stringequals",
        "StringEqual",
        "StringMatches",
        "BinaryNotEquals",
        "NotBool",
        "IfExists",
        "",
        "NullIfExists",
        "ForAllValues:Null",
        "ForAnyValue:NullIfExists",
        "ForSomeValues:Bool",
        "ForAllValues:",
        "ForAllValues:ForAnyValue:Bool",
        "StringEqualsIfExistsIfExists",
        "IfExistsStringEquals",
        " StringEquals",
        "foranyvalue:StringEquals",
    ] {
        let json = format!(r#"{{"{operator}":{{"aws:x":"true"}}}}"#);
        assert_eq!(parse_conditions(&json), Err(PolicyError::Operator(operator.into())));
    }
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    for (operator, value) in [
        ("NumericEquals", "seven"),
        ("NumericEquals", "NaN"),
        ("NumericEquals", "${aws:x}"),
        ("DateLessThan", "soon"),
        ("DateLessThan", "2020"),
        ("Bool", "yes"),
        ("Bool", "1"),
        ("Null", "maybe"),
        ("BinaryEquals", "***"),
        ("BinaryEquals", "AQI"),
        ("BinaryEquals", "AR=="),
        ("IpAddress", "10.0.0.0/33"),
        ("IpAddress", "localhost"),
        ("IpAddress", "10.0.0.*"),
        ("ArnLike", "arn:aws:s3"),
        ("ArnEquals", "bucket"),
        ("ArnLike", ""),
    ] {
        let json = format!(r#"{{"{operator}":{{"aws:x":["{value}"]}}}}"#);
        let error = PolicyError::ConditionValue { operator: operator.into(), value: value.into() };
        assert_eq!(parse_conditions(&json), Err(error));
    }
}

#[test]
fn shapes_that_are_no_condition_block() {
    assert_eq!(parse_conditions("{}"), Ok(0));
    assert_eq!(parse_conditions(r#"{"Bool":{"a:b":true,"a:c":true},"Null":{"a:b":true}}"#), Ok(3));
    for json in [
        "[]",
        "null",
        r#""x""#,
        r#"{"Bool":{}}"#,
        r#"{"Bool":[]}"#,
        r#"{"Bool":"true"}"#,
        r#"{"Bool":{"a:b":[]}}"#,
        r#"{"Bool":{"a:b":null}}"#,
        r#"{"Bool":{"a:b":[null]}}"#,
        r#"{"Bool":{"a:b":{}}}"#,
        r#"{"Bool":{"a:b":[["true"]]}}"#,
        r#"{"Bool":{"ab":true}}"#,
        r#"{"Bool":{":b":true}}"#,
        r#"{"Bool":{"a:":true}}"#,
        r#"{"Bool":{"a b:c":true}}"#,
        r#"{"Bool":{"a:b\n":true}}"#,
        r#"{"Bool":{"a:b":true,"a:b":true}}"#,
        r#"{"Bool":{"a:b":true},"Bool":{"a:b":true}}"#,
        r#"{"StringEquals":{"a:b":"${x"}}"#,
    ] {
        assert!(parse_conditions(json).is_err(), "{json}");
    }
}

#[test]
fn keys_of_web_identities_and_tags_are_keys() {
    for key in [
        "token.actions.githubusercontent.com:sub",
        "oidc.eks.eu-west-1.amazonaws.com/id/AB12:aud",
        "aws:ResourceTag/Cost Center",
        "kms:EncryptionContext:aws:s3:arn",
        "aws:PrincipalTag/größe",
    ] {
        assert_eq!(parse_conditions(&format!(r#"{{"Null":{{"{key}":true}}}}"#)), Ok(1), "{key}");
    }
}

#[test]
fn for_all_values_on_an_encryption_context_pair_is_overly_permissive() {
    let statement = r#"{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*",
        "Condition":{"OP:StringEquals":{"kms:EncryptionContextXapp":"a"}}}"#;
    let parse = |operator: &str, separator: &str| {
        let text = statement.replace("OP", operator).replace('X', separator);
        Policy::parse(&format!(r#"{{"Statement":{text}}}"#), Kind::Resource).map(|_| ())
    };
    let key = "kms:EncryptionContext:app".to_owned();
    assert_eq!(parse("ForAllValues", ":"), Err(PolicyError::OverlyPermissive(key)));
    assert_eq!(parse("ForAnyValue", ":"), Ok(()));
    assert_eq!(parse("ForAllValues", "Keys:"), Ok(()));
}

#[test]
fn operators_and_keys_must_all_hold() {
    let both = when(r#"{"StringEquals":{"aws:A":"1","aws:B":"2"},"Bool":{"aws:C":"true"}}"#);
    let facts = [("aws:a", "1"), ("aws:b", "2"), ("aws:c", "true")];
    assert!(allowed(&both, &facts));
    for missing in 0..3 {
        let mut fewer = facts.to_vec();
        fewer.remove(missing);
        assert!(!allowed(&both, &fewer), "without {missing}");
    }
}

#[test]
fn key_names_have_no_case() {
    let condition = when(r#"{"StringEquals":{"KMS:encryptioncontext:AppName":"Pay"}}"#);
    assert!(allowed(&condition, &[("kms:EncryptionContext:appname", "Pay")]));
    assert!(!allowed(&condition, &[("kms:EncryptionContext:appname", "pay")]));
}

#[test]
fn variables_in_conditions() {
    let own = when(r#"{"StringEquals":{"aws:ResourceTag/owner":"${aws:username}"}}"#);
    assert!(allowed(&own, &[("aws:ResourceTag/owner", "al"), ("aws:username", "al")]));
    assert!(!allowed(&own, &[("aws:ResourceTag/owner", "al"), ("aws:username", "a*")]));
    assert!(!allowed(&own, &[("aws:ResourceTag/owner", "${aws:username}")]));
    let like = when(r#"{"StringLike":{"aws:Path":"home/${aws:username, 'nobody'}/*"}}"#);
    assert!(allowed(&like, &[("aws:path", "home/al/x"), ("aws:username", "al")]));
    assert!(allowed(&like, &[("aws:path", "home/nobody/x")]));
    assert!(!allowed(&like, &[("aws:path", "home/bob/x"), ("aws:username", "*")]));
    let star = when(r#"{"StringLike":{"aws:Path":"a${*}"}}"#);
    assert!(allowed(&star, &[("aws:path", "a*")]));
    assert!(!allowed(&star, &[("aws:path", "ab")]));
}

/// "Inverted condition operators like StringNotEquals or StringNotLike do match against a null value"
/// (IAM User Guide, "Policy variables with no value").
#[test]
fn negated_operators_hold_against_a_variable_without_a_value() {
    let not = when(r#"{"StringNotEquals":{"aws:ResourceTag/owner":["x","${aws:username}"]}}"#);
    assert!(allowed(&not, &[("aws:ResourceTag/owner", "al"), ("aws:username", "bo")]));
    assert!(!allowed(&not, &[("aws:ResourceTag/owner", "al"), ("aws:username", "al")]));
    assert!(allowed(&not, &[("aws:ResourceTag/owner", "al")]));
    assert!(!allowed(&not, &[("aws:ResourceTag/owner", "x")]), "the other value is known");
    let not = when(r#"{"ArnNotLike":{"aws:A":"arn:aws:iam::1:user/${aws:username}"}}"#);
    assert!(!allowed(&not, &[("aws:a", "arn:aws:iam::1:user/x"), ("aws:username", "x")]));
    assert!(allowed(&not, &[("aws:a", "arn:aws:iam::1:user/x")]));
}

/// The guide's own example: whoever has no team is denied, not spared.
#[test]
fn a_deny_by_comparison_catches_whoever_lacks_the_tag() {
    let team = r#"[{"Effect":"Allow","Action":"*","Resource":"*"},
        {"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":
        {"aws:ResourceTag/Team":"${aws:PrincipalTag/Team}"}}}]"#;
    let blue = ("aws:ResourceTag/Team", "blue");
    assert!(allowed(team, &[blue, ("aws:PrincipalTag/Team", "blue")]));
    assert!(!allowed(team, &[blue, ("aws:PrincipalTag/Team", "red")]));
    assert!(!allowed(team, &[blue]));
}

/// In NotResource it leaves nothing out: a Deny denies, and an Allow does not allow everything.
#[test]
fn not_resource_with_a_variable_without_a_value() {
    let but = |effect: &str| {
        format!(
            r#"[{{"Effect":"Allow","Action":"kms:*","Resource":"*"}},
            {{"Effect":"{effect}","Action":"*","NotResource":"arn:aws:kms:*:*:key/${{aws:username}}*"}}]"#
        )
    };
    assert!(!allowed(&but("Deny"), &[("aws:username", "al")]));
    assert!(allowed(&but("Deny"), &[("aws:username", "1234")]));
    assert!(!allowed(&but("Deny"), &[]));
    let alone =
        r#"{"Effect":"Allow","Action":"*","NotResource":"arn:aws:kms:*:*:key/${aws:username}"}"#;
    assert!(allowed(alone, &[("aws:username", "al")]));
    assert!(!allowed(alone, &[]));
}

#[test]
fn variables_are_text_in_the_old_version() {
    let statement = when(r#"{"StringEquals":{"aws:x":"${aws:username}"}}"#);
    for (version, literal) in
        [(r#""Version":"2008-10-17","#, true), ("", true), (r#""Version":"2012-10-17","#, false)]
    {
        let text = format!(r#"{{{version}"Statement":{statement}}}"#);
        let policy = Policy::parse(&text, Kind::Identity).unwrap();
        let mut conditions = Conditions::new();
        conditions.set("aws:x", "${aws:username}");
        conditions.set("aws:username", "al");
        let identity = [named("p", &policy)];
        let policies = Policies { identity: &identity, ..Policies::default() };
        let request = decrypt("alice", &conditions);
        let decision = evaluate(&request, &policies, ACCOUNT, ResourceRule::None);
        assert_eq!(decision.is_allowed(), literal, "{version}");
    }
}
