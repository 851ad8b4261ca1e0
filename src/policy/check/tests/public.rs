//! Policies that open their resource to everybody, beside those that nearly do.

use super::{ALICE, KEY, ROOT, allow, policy, rules, statement};
use crate::policy::Kind;
use crate::policy::check::{Services, Subject, check, is_public};

fn opens(statements: &str) -> Vec<usize> {
    let text = policy(statements);
    let found = is_public(&text, Kind::Resource).unwrap_or_else(|e| panic!("{e}: {text}"));
    found.into_iter().map(|opening| opening.statement).collect()
}

fn public(condition: &str) -> bool {
    for principal in [r#""*""#, r#"{"AWS":"*"}"#, r#"{"AWS":["111122223333","*"]}"#] {
        let one = opens(&allow(principal, "kms:Decrypt", condition));
        let other = opens(&allow(r#"{"AWS":["*"]}"#, "kms:Decrypt", condition));
        assert_eq!(one, other, "{principal} {condition}");
    }
    !opens(&allow(r#""*""#, "kms:Decrypt", condition)).is_empty()
}

#[test]
fn everybody_without_a_condition() {
    assert!(public(""));
    for principal in [ALICE, ROOT, r#"{"Service":"s3.amazonaws.com"}"#, r#"{"AWS":"444455556666"}"#]
    {
        assert_eq!(opens(&allow(principal, "kms:*", "")), [0; 0], "{principal}");
    }
    assert_eq!(opens(&statement("Deny", r#""*""#, "kms:*", "")), [0; 0]);
    let two = [allow(ALICE, "kms:*", ""), allow(r#""*""#, "kms:*", "")].join(",");
    assert_eq!(opens(&two), [1]);
    assert!(is_public("{", Kind::Resource).is_err());
}

#[test]
fn conditions_that_hold_to_fixed_callers_beside_those_that_do_not() {
    for (fixed, open) in [
        (
            r#""StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3"}"#,
            r#""StringLike":{"aws:PrincipalOrgID":"o-*"}"#,
        ),
        (
            r#""StringEquals":{"kms:CallerAccount":["111122223333"]}"#,
            r#""StringNotEquals":{"kms:CallerAccount":["111122223333"]}"#,
        ),
        (
            r#""StringEquals":{"aws:PrincipalAccount":"111122223333"}"#,
            r#""StringEqualsIfExists":{"aws:PrincipalAccount":"111122223333"}"#,
        ),
        (
            r#""StringLike":{"aws:PrincipalAccount":"111122223333"}"#,
            r#""StringLike":{"aws:PrincipalAccount":["111122223333","4*"]}"#,
        ),
        (
            r#""ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}"#,
            r#""ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/admin"}"#,
        ),
        (
            r#""StringLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:*"}"#,
            r#""StringLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333*"}"#,
        ),
        (
            r#""ArnEquals":{"aws:SourceArn":"arn:aws:s3:::my-bucket"}"#,
            r#""ArnEquals":{"aws:SourceArn":"arn:aws:s3:::my-*"}"#,
        ),
        (
            r#""StringEquals":{"aws:SourceAccount":"111122223333"}"#,
            r#""StringEquals":{"aws:SourceAccount":"${aws:PrincipalAccount}"}"#,
        ),
        (
            r#""StringLike":{"aws:userid":"AROAEXAMPLE0000000000:*"}"#,
            r#""StringLike":{"aws:userid":"*:admin"}"#,
        ),
        (
            r#""ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-a1b2c3/r-ab12/*"}"#,
            r#""ForAllValues:StringLike":{"aws:PrincipalOrgPaths":"o-a1b2c3/r-ab12/*"}"#,
        ),
        (
            r#""IpAddress":{"aws:SourceIp":"203.0.113.0/24"}"#,
            r#""IpAddress":{"aws:SourceIp":"128.0.0.0/7"}"#,
        ),
        (
            r#""IpAddress":{"aws:SourceIp":["2001:db8::/32","10.0.0.1"]}"#,
            r#""IpAddress":{"aws:SourceIp":["2001:db8::/31","10.0.0.1"]}"#,
        ),
        // IPv4 in the clothes of IPv6 is IPv4.
        (
            r#""IpAddress":{"aws:SourceIp":"::ffff:10.0.0.0/104"}"#,
            r#""IpAddress":{"aws:SourceIp":"::ffff:10.0.0.0/103"}"#,
        ),
        (
            r#""IpAddress":{"aws:SourceIp":["::ffff:10.0.0.1","10.0.0.0/8"]}"#,
            r#""IpAddress":{"aws:SourceIp":"::ffff:0.0.0.0/96"}"#,
        ),
        (
            r#""StringEquals":{"aws:SourceVpce":"vpce-1"}"#,
            r#""StringNotEquals":{"aws:SourceVpce":"vpce-1"}"#,
        ),
        // What everybody can say of themselves, and who may go through a service, is not fixed.
        (
            r#""StringEquals":{"aws:PrincipalAccount":"111122223333","aws:UserAgent":"x"}"#,
            r#""StringEquals":{"aws:UserAgent":"x"}"#,
        ),
        (
            r#""StringEquals":{"kms:CallerAccount":"111122223333","kms:ViaService":"s3.x.amazonaws.com"}"#,
            r#""StringEquals":{"kms:ViaService":"s3.eu-west-1.amazonaws.com"}"#,
        ),
        (
            r#""StringEquals":{"aws:PrincipalTag/team":"x","aws:PrincipalOrgID":"o-a"}"#,
            r#""StringEquals":{"aws:PrincipalTag/team":"x"}"#,
        ),
        (
            r#""Null":{"aws:PrincipalOrgID":"false"},"StringEquals":{"aws:PrincipalOrgID":"o-a"}"#,
            r#""Null":{"aws:PrincipalOrgID":"false"}"#,
        ),
    ] {
        assert!(!public(fixed), "{fixed}");
        assert!(public(open), "{open}");
    }
}

#[test]
fn a_deny_for_strangers_closes_what_it_covers() {
    let everybody = allow(r#""*""#, "kms:Decrypt", "");
    let deny = |action: &str, condition: &str| {
        opens(&[everybody.clone(), statement("Deny", r#""*""#, action, condition)].join(","))
    };
    let strangers = r#""StringNotEquals":{"aws:PrincipalOrgID":"o-a1b2c3"}"#;
    assert_eq!(deny("kms:*", strangers), [0; 0]);
    assert_eq!(deny("kms:Encrypt", strangers), [0], "another action");
    assert_eq!(deny("kms:*", &strangers.replace("Not", "")), [0], "the members");
    let more = format!(r#"{strangers},"Bool":{{"aws:SecureTransport":"false"}}"#);
    assert_eq!(deny("kms:*", &more), [0], "strangers without TLS only");
    let any = strangers.replace("StringNotEquals", "ForAnyValue:StringNotEquals");
    assert_eq!(deny("kms:*", &any), [0], "absent, it does not hold");
    assert_eq!(deny("kms:*", r#""StringNotLike":{"aws:PrincipalOrgID":"o-*"}"#), [0]);
    for (network, open) in [
        ("10.0.0.0/8", false),
        ("0.0.0.0/0", true),
        ("::ffff:10.0.0.0/104", false),
        ("::ffff:0.0.0.0/96", true),
    ] {
        let outside = format!(r#""NotIpAddress":{{"aws:SourceIp":"{network}"}}"#);
        assert_eq!(!deny("kms:*", &outside).is_empty(), open, "{network}");
    }
    // One Deny that somebody else is the subject of.
    let of_alice = statement("Deny", ALICE, "kms:*", strangers);
    assert_eq!(opens(&[everybody.clone(), of_alice].join(",")), [0]);
}

#[test]
fn what_is_said_of_wildcards() {
    let one = |condition: &str| rules(KEY, &allow(r#""*""#, "kms:Decrypt", condition));
    assert_eq!(one(""), [("public-access", Some(0))]);
    assert_eq!(
        one(r#""IpAddress":{"aws:SourceIp":"203.0.113.0/24"}"#),
        [("wildcard-principal", Some(0))]
    );
    assert_eq!(one(r#""StringEquals":{"kms:CallerAccount":"111122223333"}"#), []);
    // A statement that nothing can be asked by opens nothing.
    let useless = r#"{"Effect":"Allow","Principal":"*","Resource":"*"}"#;
    assert_eq!(rules(KEY, useless), [("unused-statement", Some(0))]);
}

#[test]
fn roles_that_anybody_may_assume() {
    let trust = |principal: &str, action: &str| {
        let one = format!(r#"{{"Effect":"Allow","Principal":{principal},{action}}}"#);
        let open = !is_public(&policy(&one), Kind::Trust).unwrap().is_empty();
        let found = check(&policy(&one), Subject::Trust, &Services::new());
        assert_eq!(open, found.iter().any(|f| f.rule == "public-access"), "{action}");
        open
    };
    for (action, opens) in [
        (r#""Action":"sts:AssumeRole""#, true),
        (r#""Action":["sts:TagSession","STS:assumerole"]"#, true),
        (r#""Action":"sts:AssumeRoleWithWebIdentity""#, true),
        (r#""Action":"sts:*""#, true),
        (r#""Action":"*""#, true),
        (r#""Action":"*:AssumeRole""#, true),
        (r#""Action":"*:*Role""#, true),
        (r#""NotAction":"sts:TagSession""#, true),
        (r#""NotAction":"kms:*""#, true),
        (r#""NotAction":"sts:AssumeRole""#, true),
        (r#""NotAction":"sts:AssumeRole*""#, false),
        (r#""NotAction":"*""#, false),
        (r#""Action":"sts:TagSession""#, false),
        (r#""Action":"kms:*""#, false),
    ] {
        assert_eq!(trust(r#""*""#, action), opens, "{action}");
        assert!(!trust(ALICE, action), "{action}");
    }
}
