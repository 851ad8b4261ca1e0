//! Statements without effect, beside those that have one; and that the reports are right for every
//! request that a small world has.

use super::{ALICE, KEY, ROOT, allow, rules, statement};
use crate::policy::check::cover::includes;
use crate::policy::check::{Subject, check};
use crate::policy::{
    Conditions, Kind, Policies, Policy, PolicyRef, Principal, PrincipalKind, Request, ResourceRule,
    evaluate,
};

const UNUSED: &str = "unused-statement";

fn unused(subject: Subject, statements: &[String]) -> Vec<usize> {
    let found = rules(subject, &statements.join(","));
    found.into_iter().filter(|(rule, _)| *rule == UNUSED).filter_map(|(_, n)| n).collect()
}

#[test]
fn what_can_never_be_asked_of_a_key() {
    for (useless, useful) in [
        (allow(ALICE, "s3:GetObject", ""), allow(ALICE, "*", "")),
        (
            allow(ALICE, "kms:*", "")
                .replace(r#""Resource":"*""#, r#""Resource":"arn:aws:s3:::b""#),
            allow(ALICE, "kms:*", "")
                .replace(r#""Resource":"*""#, r#""Resource":"arn:aws:*:::b*""#),
        ),
        (
            allow(ALICE, "kms:*", "").replace(
                r#""Resource":"*""#,
                r#""Resource":"arn:aws:kms:eu-west-1:111122223333:alias/a""#,
            ),
            allow(ALICE, "kms:*", "").replace(
                r#""Resource":"*""#,
                r#""Resource":"arn:aws:kms:eu-west-1:111122223333:key/a""#,
            ),
        ),
        (
            allow(&format!(r#"{{"CanonicalUser":"{}"}}"#, "a".repeat(64)), "kms:*", ""),
            allow(
                &format!(r#"{{"CanonicalUser":"{}","AWS":"111122223333"}}"#, "a".repeat(64)),
                "kms:*",
                "",
            ),
        ),
        (
            allow(
                ALICE,
                "kms:*",
                r#""Null":{"aws:SourceVpce":"true"},"StringEquals":{"aws:sourceVPCE":"v"}"#,
            ),
            allow(
                ALICE,
                "kms:*",
                r#""Null":{"aws:SourceVpce":"true"},"StringEqualsIfExists":{"aws:sourceVPCE":"v"}"#,
            ),
        ),
    ] {
        assert_eq!(unused(KEY, std::slice::from_ref(&useless)), [0], "{useless}");
        assert_eq!(unused(KEY, std::slice::from_ref(&useful)), [0; 0], "{useful}");
    }
    // An identity's statement may be about any service.
    let other = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}"#;
    assert_eq!(unused(Subject::Identity, &[other.into()]), [0; 0]);
}

#[test]
fn what_another_statement_already_says() {
    let tls = r#""Bool":{"aws:SecureTransport":"true"}"#;
    for (first, second, expected) in [
        (allow(ALICE, "kms:*", ""), allow(ALICE, "kms:Decrypt", ""), vec![1]),
        (allow(ALICE, "kms:Decrypt", ""), allow(ALICE, "kms:*", ""), vec![0]),
        // The same twice: the second.
        (allow(ALICE, "kms:*", ""), allow(ALICE, "KMS:*", ""), vec![1]),
        (allow(ALICE, "kms:*", ""), allow(ALICE, "kms:Decrypt", tls), vec![1]),
        (allow(ALICE, "kms:*", tls), allow(ALICE, "kms:Decrypt", tls), vec![1]),
        (allow(ALICE, "kms:*", tls), allow(ALICE, "kms:Decrypt", ""), vec![]),
        (allow(ALICE, "kms:De*", ""), allow(ALICE, "kms:D*t", ""), vec![]),
        // Naming somebody is worth more than naming everybody, to be allowed.
        (allow(r#""*""#, "kms:*", ""), allow(ALICE, "kms:Decrypt", ""), vec![]),
        (allow(ROOT, "kms:*", ""), allow(ALICE, "kms:Decrypt", ""), vec![]),
        (allow(ROOT, "kms:*", ""), allow(r#"{"AWS":"111122223333"}"#, "kms:List*", ""), vec![1]),
        (
            statement("Deny", r#""*""#, "kms:*", ""),
            statement("Deny", ALICE, "kms:Decrypt", ""),
            vec![1],
        ),
        // An Allow that is denied as a whole, before or after.
        (allow(ALICE, "kms:Decrypt", ""), statement("Deny", r#""*""#, "kms:*", ""), vec![0]),
        (statement("Deny", ALICE, "kms:*", ""), allow(ALICE, "kms:Decrypt", tls), vec![1]),
        (statement("Deny", ALICE, "kms:*", tls), allow(ALICE, "kms:Decrypt", ""), vec![]),
        // Nothing that allows makes a Deny useless.
        (allow(r#""*""#, "kms:*", ""), statement("Deny", ALICE, "kms:*", ""), vec![]),
    ] {
        assert_eq!(unused(KEY, &[first.clone(), second.clone()]), expected, "{first} {second}");
    }
}

#[test]
fn patterns_that_include_others() {
    for (big, small, expected) in [
        ("*", "a*", true),
        ("a*", "ab*", true),
        ("a*", "a*b?", true),
        ("a*b", "a*b*b", true),
        ("a?", "ab", true),
        ("a?", "a?", true),
        ("a*", "*", false),
        ("a?", "a*", false),
        ("a*c", "a*", false),
        ("ab", "a?", false),
        ("*a*", "*b*", false),
        ("a", "a*", false),
        ("", "", true),
        ("", "*", false),
        ("**", "", true),
        ("${aws:userid}*", "${aws:userid}", false),
        ("${aws:userid}", "${aws:userid}", true),
    ] {
        assert_eq!(includes(big, small), expected, "{big} {small}");
    }
    // What is too long is compared as a text.
    let long = "a*".repeat(2000);
    assert!(includes(&long, &long));
    assert!(!includes(&format!("{long}*b"), &format!("{long}*bb")));
}

/// Numbers that look random and are always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }
}

fn random_statement(dice: &mut Dice) -> String {
    let effect = dice.pick(&["Allow", "Allow", "Deny"]);
    let principal = dice.pick(&[
        r#""Principal":"*""#,
        r#""Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"}"#,
        r#""Principal":{"AWS":["arn:aws:iam::111122223333:user/alice","111122223333"]}"#,
        r#""Principal":{"AWS":"111122223333"}"#,
        r#""Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"}"#,
    ]);
    let action = dice.pick(&[
        r#""Action":"kms:*""#,
        r#""Action":"kms:De*""#,
        r#""Action":["kms:Decrypt","kms:Encrypt"]"#,
        r#""Action":"kms:?ncrypt""#,
        r#""NotAction":"kms:De*""#,
        r#""NotAction":["kms:Decrypt","kms:Encrypt"]"#,
    ]);
    let resource = dice.pick(&[
        r#""Resource":"*""#,
        r#""Resource":"*""#,
        r#""Resource":"arn:aws:kms:*:111122223333:key/*""#,
        r#""Resource":"arn:aws:kms:eu-west-1:111122223333:key/b""#,
        r#""NotResource":"arn:aws:kms:*:*:key/a""#,
        r#""Resource":"arn:aws:kms:*:*:key/${aws:PrincipalTag/key}""#,
    ]);
    let condition = dice.pick(&[
        "",
        "",
        r#""StringEquals":{"aws:PrincipalTag/key":"a"}"#,
        r#""StringNotEquals":{"aws:PrincipalTag/key":"a"}"#,
        r#""Null":{"aws:PrincipalTag/key":"true"}"#,
        r#""Null":{"aws:PrincipalTag/key":"true"},"StringEquals":{"aws:PrincipalTag/key":"a"}"#,
        r#""ForAllValues:StringEquals":{"aws:PrincipalTag/key":"a"}"#,
    ]);
    format!(
        r#"{{"Effect":"{effect}",{principal},{action},{resource},"Condition":{{{condition}}}}}"#
    )
}

/// Every decision about every request of a small world, with and without a boundary that allows
/// nothing: it shows whether the caller itself was named.
fn decisions(policy: &Policy) -> Vec<bool> {
    let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}"#;
    let everything = Policy::parse(text, Kind::Identity).unwrap();
    let nothing = Policy::parse(&text.replace("kms", "s3"), Kind::Identity).unwrap();
    let mut all = Vec::new();
    for name in ["alice", "bob", "eve"] {
        let arn = format!("arn:aws:iam::111122223333:user/{name}");
        for tag in [None, Some("a"), Some("b")] {
            let mut conditions = Conditions::new();
            if let Some(tag) = tag {
                conditions.set("aws:PrincipalTag/key", tag);
            }
            for action in ["kms:Decrypt", "kms:Encrypt", "kms:DescribeKey", "kms:Sign"] {
                for key in ["a", "b"] {
                    let resource = format!("arn:aws:kms:eu-west-1:111122223333:key/{key}");
                    let principal = Principal {
                        arn: &arn,
                        unique_id: name,
                        account: "111122223333",
                        kind: PrincipalKind::User,
                    };
                    let conditions = &conditions;
                    let request = Request { principal, action, resource: &resource, conditions };
                    for (identity, boundary) in
                        [(&everything, None), (&nothing, None), (&everything, Some(&nothing))]
                    {
                        let policies = Policies {
                            identity: &[PolicyRef { name: "identity", policy: identity }],
                            resource: Some(PolicyRef { name: "key", policy }),
                            boundary: boundary.map(|policy| PolicyRef { name: "b", policy }),
                            ..Policies::default()
                        };
                        let rule = ResourceRule::KeyPolicy;
                        let decision = evaluate(&request, &policies, "111122223333", rule);
                        all.push(decision.is_allowed());
                    }
                }
            }
        }
    }
    all
}

/// A statement that is said to have no effect can be taken out, and no decision changes.
#[test]
fn what_is_said_to_be_unused_is() {
    let mut dice = Dice(7);
    let mut taken_out = 0;
    for round in 0..3000 {
        let count = 2 + dice.roll(3);
        let statements: Vec<String> = (0..count).map(|_| random_statement(&mut dice)).collect();
        let text = super::policy(&statements.join(","));
        let policy = Policy::parse(&text, Kind::Resource).unwrap();
        let found = check(&text, KEY, &super::services());
        let useless: Vec<usize> =
            found.iter().filter(|f| f.rule == UNUSED).filter_map(|f| f.statement).collect();
        if useless.is_empty() || useless.len() == count {
            continue;
        }
        taken_out += 1;
        let rest = statements.iter().enumerate().filter(|(n, _)| !useless.contains(n));
        let rest: Vec<&str> = rest.map(|(_, text)| text.as_str()).collect();
        let shorter = Policy::parse(&super::policy(&rest.join(",")), Kind::Resource).unwrap();
        assert_eq!(decisions(&policy), decisions(&shorter), "{round}: {useless:?} of {text}");
    }
    assert!(taken_out > 300, "{taken_out}");
}
