//! What is found in policies, each finding beside a policy that is nearly the same and has none.

mod public;
mod syntax;
mod unused;

use super::{Finding, Services, Severity, Subject, check};

const KEY: Subject = Subject::Key { of_secrets: false };
const ALICE: &str = r#"{"AWS":"arn:aws:iam::111122223333:user/alice"}"#;
const ROOT: &str = r#"{"AWS":"arn:aws:iam::111122223333:root"}"#;

fn services() -> Services<'static> {
    [
        ("iam", vec!["CreateUser", "ListUsers"]),
        ("kms", vec!["Decrypt", "Encrypt", "GenerateDataKey", "ListKeys", "ReEncrypt"]),
        ("secretsmanager", vec!["GetSecretValue", "PutSecretValue"]),
        ("sts", vec!["AssumeRole", "AssumeRoleWithWebIdentity"]),
    ]
    .into()
}

fn policy(statements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
}

fn findings(subject: Subject, statements: &str) -> Vec<Finding> {
    let found = check(&policy(statements), subject, &services());
    assert!(found.iter().all(|f| f.rule != "syntax"), "{statements}: {found:?}");
    found
}

/// The rules of what is found, with the statements' numbers.
fn rules(subject: Subject, statements: &str) -> Vec<(&'static str, Option<usize>)> {
    findings(subject, statements).iter().map(|f| (f.rule, f.statement)).collect()
}

/// An Allow of a key policy, with a condition or without.
fn allow(principal: &str, action: &str, condition: &str) -> String {
    statement("Allow", principal, action, condition)
}

fn statement(effect: &str, principal: &str, action: &str, condition: &str) -> String {
    format!(
        r#"{{"Effect":"{effect}","Principal":{principal},"Action":"{action}","Resource":"*","Condition":{{{condition}}}}}"#
    )
}

#[test]
fn actions_that_nothing_is() {
    for (action, severity, hint) in [
        ("kms:Decript", Some(Severity::Warning), "kms:Decrypt is"),
        ("kms:Frobnicate", Some(Severity::Warning), "no action that is known"),
        ("kms:List", Some(Severity::Warning), "no action"),
        // An operation, and no action: it asks for two others.
        ("kms:ReEncrypt", Some(Severity::Warning), "no action"),
        ("kms:ReEncrypt*", None, ""),
        ("kms:ReEncryptFrom", None, ""),
        ("KMS:decrypt", None, ""),
        ("kms:*Key", None, ""),
        ("kms:?ncrypt", None, ""),
        ("kms:??crypt", None, ""),
        ("kms:???crypt", Some(Severity::Warning), ""),
        ("*", None, ""),
        ("*:*", None, ""),
        ("sts:TagSession", None, ""),
        ("iam:PassRole", None, ""),
        // Not all of IAM is known here.
        ("iam:CreateInstanceProfile", Some(Severity::Note), "no action"),
        ("iam:CreateUsers", Some(Severity::Warning), "iam:CreateUser is"),
        ("s3:GetObject", Some(Severity::Note), "the service s3"),
        ("secretmanager:GetSecretValue", Some(Severity::Note), "secretsmanager"),
    ] {
        let statement = format!(r#"{{"Effect":"Allow","Action":["{action}"],"Resource":"*"}}"#);
        let found = findings(Subject::Identity, &statement);
        let first = found.first();
        assert_eq!(first.map(|f| f.severity), severity, "{action}: {found:?}");
        if let Some(first) = first {
            assert_eq!(first.rule, "unknown-action");
            assert!(first.message.contains(hint), "{}", first.message);
        }
    }
}

#[test]
fn condition_keys_that_nothing_is() {
    for (key, hint) in [
        ("aws:PrincipalOrgId", None),
        ("aws:principalTAG/team", None),
        ("aws:PrincipalTag/", Some("no condition key")),
        ("aws:PrincipalTags/team", Some("aws:PrincipalTag/ is")),
        ("aws:SourceIP", None),
        ("aws:SourcIp", Some("aws:SourceIp is")),
        ("kms:ViaService", None),
        ("kms:ViaServices", Some("kms:ViaService is")),
        ("kms:EncryptionContext:app", None),
        ("kms:EncryptionContext", Some("no condition key")),
        ("aws:ViaService", Some("no condition key")),
        ("secretsmanager:resource/AllowRotationLambdaArn", None),
        ("secretsmanager:VersionStages", Some("secretsmanager:VersionStage is")),
        ("sts:ExternalID", None),
        ("sts:ExternlId", Some("sts:ExternalId is")),
        // Of others, and of web identity providers, nothing is known.
        ("s3:prefix", None),
        ("token.actions.githubusercontent.com:sub", None),
        ("secretmanager:Name", Some("secretsmanager:Name")),
    ] {
        let statement = format!(
            r#"{{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{{"StringEquals":{{"{key}":"x"}}}}}}"#
        );
        let found = findings(Subject::Identity, &statement);
        assert_eq!(found.len(), usize::from(hint.is_some()), "{key}: {found:?}");
        if let (Some(first), Some(hint)) = (found.first(), hint) {
            assert_eq!((first.rule, first.severity), ("unknown-condition-key", Severity::Warning));
            assert!(first.message.contains(hint), "{}", first.message);
        }
    }
}

#[test]
fn not_forms() {
    let not_action = r#"{"Effect":"Allow","NotAction":"iam:CreateUser","Resource":"*"}"#;
    assert_eq!(rules(Subject::Identity, not_action), [("not-action", Some(0))]);
    let not_resource =
        r#"{"Effect":"Allow","Action":"kms:Decrypt","NotResource":"arn:aws:s3:::x"}"#;
    assert_eq!(rules(Subject::Identity, not_resource), [("not-resource", Some(0))]);
    for harmless in [
        r#"{"Effect":"Deny","NotAction":"iam:CreateUser","Resource":"*"}"#,
        r#"{"Effect":"Deny","Action":"kms:Decrypt","NotResource":"arn:aws:s3:::x"}"#,
    ] {
        assert_eq!(rules(Subject::Identity, harmless), [], "{harmless}");
    }
    let not_principal =
        format!(r#"{{"Effect":"Deny","NotPrincipal":{ROOT},"Action":"kms:*","Resource":"*"}}"#);
    let found = findings(KEY, &not_principal);
    assert_eq!((found[0].rule, found[0].severity), ("not-principal", Severity::Note));
    // With Allow it is no policy at all.
    let found = check(&policy(&not_principal.replace("Deny", "Allow")), KEY, &services());
    assert_eq!((found[0].rule, found[0].severity), ("syntax", Severity::Error));
    assert!(found[0].message.contains("NotPrincipal"));
}

#[test]
fn for_all_values_needs_a_null_check() {
    let all = r#""ForAllValues:StringEquals":{"aws:TagKeys":["a"]}"#;
    let with = |effect: &str, more: &str| {
        format!(
            r#"{{"Effect":"{effect}","Action":"kms:Decrypt","Resource":"*","Condition":{{{all}{more}}}}}"#
        )
    };
    assert_eq!(rules(Subject::Identity, &with("Allow", "")), [("for-all-values", Some(0))]);
    for (effect, more) in [
        ("Deny", ""),
        ("Allow", r#","Null":{"aws:tagkeys":"false"}"#),
        ("Allow", r#","ForAnyValue:StringLike":{"aws:TagKeys":"*"}"#),
    ] {
        assert_eq!(rules(Subject::Identity, &with(effect, more)), [], "{effect} {more}");
    }
    for more in [
        r#","Null":{"aws:TagKeys":"true"}"#,
        r#","Null":{"aws:RequestTag/a":"false"}"#,
        r#","StringEqualsIfExists":{"aws:TagKeys":"a"}"#,
    ] {
        let found = rules(Subject::Identity, &with("Allow", more));
        assert!(found.contains(&("for-all-values", Some(0))), "{more}: {found:?}");
    }
}

#[test]
fn variables_of_the_old_version_are_text() {
    let one = r#"{"Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:aws:kms:*:*:key/${aws:userid}"}"#;
    let old = |version: &str| format!(r#"{{{version}"Statement":{one}}}"#);
    for version in ["", r#""Version":"2008-10-17","#] {
        let found = check(&old(version), Subject::Identity, &services());
        let rules: Vec<_> = found.iter().map(|f| (f.rule, f.severity)).collect();
        assert!(rules.contains(&("old-version", Severity::Note)), "{rules:?}");
        assert!(rules.contains(&("old-version-variable", Severity::Warning)), "{rules:?}");
    }
    let new = old(r#""Version":"2012-10-17","#);
    assert_eq!(check(&new, Subject::Identity, &services()), []);
}

#[test]
fn keys_of_secrets_are_used_through_secrets_manager() {
    let subject = Subject::Key { of_secrets: true };
    let via = |service: &str| format!(r#""StringEquals":{{"kms:ViaService":"{service}"}}"#);
    let good = via("secretsmanager.eu-west-1.amazonaws.com");
    let missing = [("missing-via-service", Some(0))];
    for (principal, action, condition, expected) in [
        (ALICE, "kms:Decrypt", "", &missing[..]),
        (ALICE, "kms:GenerateDataKey*", "", &missing),
        (ALICE, "kms:*", "", &missing),
        (ALICE, "kms:CreateGrant", "", &missing),
        (ALICE, "kms:Decrypt", &good, &[]),
        (ALICE, "kms:Decrypt", &via("s3.eu-west-1.amazonaws.com"), &missing),
        (ALICE, "kms:Decrypt", &good.replace("Equals", "NotEquals"), &missing),
        (ALICE, "kms:Decrypt", &good.replace("Equals", "EqualsIfExists"), &missing),
        // Who manages it, and the account.
        (ALICE, "kms:ListKeys", "", &[]),
        (ROOT, "kms:*", "", &[]),
        (r#"{"AWS":"111122223333"}"#, "kms:Decrypt", "", &[]),
    ] {
        let found = rules(subject, &allow(principal, action, condition));
        let found: Vec<_> = found.into_iter().filter(|(r, _)| *r != "unknown-action").collect();
        assert_eq!(found, expected, "{principal} {action} {condition}");
        let denied = statement("Deny", principal, action, condition);
        assert!(!rules(subject, &denied).contains(&missing[0]), "{denied}");
        let unasked = rules(KEY, &allow(principal, action, condition));
        assert!(!unasked.contains(&missing[0]), "nobody said that it is for secrets");
    }
}

#[test]
fn what_a_policy_looks_like() {
    let of = |text: &str| Subject::guess(&policy(text));
    assert_eq!(of(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#), Some(Subject::Identity));
    assert_eq!(of(&allow(ALICE, "kms:Decrypt", "")), Some(KEY));
    assert_eq!(of(&allow(ALICE, "secretsmanager:GetSecretValue", "")), Some(Subject::Secret));
    let trust = format!(r#"{{"Effect":"Allow","Principal":{ALICE},"Action":"sts:AssumeRole"}}"#);
    assert_eq!(of(&trust), Some(Subject::Trust));
    assert_eq!(Subject::guess("{"), None);
}
