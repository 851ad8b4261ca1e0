//! The forms of a principal, whom they match, and how.

use super::super::json::Json;
use super::super::principal::Principals;
use super::super::{How, PolicyError, PrincipalPattern};
use super::*;

fn element(json: &str, negated: bool) -> Result<Principals, PolicyError> {
    Principals::parse(&Json::read(json)?, negated)
}

fn how(json: &str, name: &str) -> Option<How> {
    element(json, false).unwrap().admit(&caller(name), false)
}

#[test]
fn whom_a_principal_matches_and_how() {
    use How::{Account, Anyone, Exact, RoleOfSession};
    for (json, name, expected) in [
        (r#""*""#, "alice", Some(Anyone)),
        (r#""*""#, "anonymous", Some(Anyone)),
        (r#"{"AWS":"*"}"#, "mallory", Some(Anyone)),
        (r#"{"AWS":"111122223333"}"#, "alice", Some(Account)),
        (r#"{"AWS":"arn:aws:iam::111122223333:root"}"#, "session", Some(Account)),
        (r#"{"AWS":"arn:aws:iam::111122223333:root"}"#, "root", Some(Account)),
        (r#"{"AWS":"arn:aws:iam::111122223333:root"}"#, "federated", Some(Account)),
        (r#"{"AWS":"arn:aws:iam::111122223333:root"}"#, "mallory", None),
        (r#"{"AWS":"111122223333"}"#, "service", None),
        (r#"{"AWS":"111122223333"}"#, "github", None),
        (r#"{"AWS":"arn:aws:iam::111122223333:user/alice"}"#, "alice", Some(Exact)),
        (r#"{"AWS":"arn:aws:iam::111122223333:user/alice"}"#, "federated", Some(RoleOfSession)),
        (r#"{"AWS":"arn:aws:iam::111122223333:user/alice"}"#, "root", None),
        (r#"{"AWS":"arn:aws:iam::111122223333:user/Alice"}"#, "alice", None),
        (r#"{"AWS":"arn:aws:iam::111122223333:user/x/alice"}"#, "alice", None),
        (
            r#"{"AWS":"arn:aws:iam::111122223333:role/ops/Deployer"}"#,
            "session",
            Some(RoleOfSession),
        ),
        (r#"{"AWS":"arn:aws:iam::111122223333:role/Deployer"}"#, "session", None),
        (r#"{"AWS":"arn:aws:iam::444455556666:role/ops/Deployer"}"#, "session", None),
        (r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/Deployer/ci"}"#, "session", Some(Exact)),
        (r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/Deployer/cd"}"#, "session", None),
        (r#"{"AWS":"arn:aws:sts::111122223333:federated-user/guest"}"#, "federated", Some(Exact)),
        (r#"{"AWS":"arn:aws:sts::111122223333:federated-user/gast"}"#, "federated", None),
        (r#"{"AWS":"AIDAALICE00000000001"}"#, "alice", Some(Exact)),
        (r#"{"AWS":"AIDAALICE00000000002"}"#, "alice", None),
        (r#"{"AWS":"AROADEPLOYER00000001"}"#, "session", Some(RoleOfSession)),
        (r#"{"AWS":"AROADEPLOYER00000002"}"#, "session", None),
        (r#"{"Service":"secretsmanager.amazonaws.com"}"#, "service", Some(Exact)),
        (r#"{"Service":"sns.amazonaws.com"}"#, "service", None),
        (
            r#"{"Federated":"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"}"#,
            "github",
            Some(Exact),
        ),
        (r#"{"Federated":"arn:aws:iam::111122223333:oidc-provider/example.com"}"#, "github", None),
        (
            r#"{"AWS":["444455556666","111122223333","arn:aws:iam::111122223333:user/alice"]}"#,
            "alice",
            Some(Exact),
        ),
        (r#"{"Service":"sns.amazonaws.com","AWS":"111122223333"}"#, "alice", Some(Account)),
    ] {
        assert_eq!(how(json, name), expected, "{json} {name}");
    }
    let canonical = format!(r#"{{"CanonicalUser":"{}"}}"#, "a0".repeat(32));
    assert_eq!(how(&canonical, "alice"), None);
}

#[test]
fn forms_that_are_refused() {
    for json in [
        r#""""#,
        r#""111122223333""#,
        r#""arn:aws:iam::111122223333:root""#,
        "[]",
        r#"["*"]"#,
        "{}",
        "null",
        r#"{"AWS":[]}"#,
        r#"{"AWS":{}}"#,
        r#"{"AWS":null}"#,
        r#"{"AWS":[["*"]]}"#,
        r#"{"AWS":"*","AWS":"111122223333"}"#,
        r#"{"aws":"*"}"#,
        r#"{"Aws":"*"}"#,
        r#"{"IAM":"*"}"#,
        r#"{"Service":"*"}"#,
        r#"{"Federated":"*"}"#,
        r#"{"CanonicalUser":"*"}"#,
        r#"{"CanonicalUser":"abc"}"#,
        r#"{"Service":"secretsmanager"}"#,
        r#"{"Federated":"arn:aws:iam::111122223333:user/x"}"#,
        r#"{"AWS":""}"#,
        r#"{"AWS":"11112222333"}"#,
        r#"{"AWS":"1111222233334"}"#,
        r#"{"AWS":"alice"}"#,
        r#"{"AWS":"**"}"#,
        r#"{"AWS":"arn:aws:iam::111122223333:*"}"#,
        r#"{"AWS":"arn:aws:iam::111122223333:user/*"}"#,
        r#"{"AWS":"arn:aws:iam::111122223333:role/a?c"}"#,
        r#"{"AWS":"arn:aws:iam::*:root"}"#,
        r#"{"AWS":"arn:aws:iam::11112222333a:root"}"#,
        r#"{"AWS":"arn:aws:iam::111122223333:user/"}"#,
        r#"{"AWS":"arn:aws:iam::111122223333:user"}"#,
        r#"{"AWS":"arn:aws:iam::111122223333:group/admins"}"#,
        r#"{"AWS":"arn:aws:iam:eu-west-1:111122223333:root"}"#,
        r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/Deployer"}"#,
        r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/Deployer/ci/x"}"#,
        r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/Deployer/*"}"#,
        r#"{"AWS":"arn:azure:iam::111122223333:root"}"#,
        r#"{"AWS":"AIDA"}"#,
        r#"{"AWS":"AIDAalice00000000001"}"#,
        r#"{"AWS":"AKIAALICE00000000001"}"#,
        r#"{"AWS":"${aws:PrincipalArn}"}"#,
    ] {
        assert!(element(json, false).is_err(), "{json}");
    }
}

/// With a permissions boundary the list does not help.
#[test]
fn not_principal_spares_nobody_with_a_boundary() {
    let alice = r#"{"AWS":["111122223333","arn:aws:iam::111122223333:user/alice"]}"#;
    let not_alice = element(alice, true).unwrap();
    assert_eq!(not_alice.admit(&caller("alice"), false), None);
    assert_eq!(not_alice.admit(&caller("alice"), true), Some(How::Anyone));
    // A Principal element is what it was.
    let alice = element(alice, false).unwrap();
    assert_eq!(alice.admit(&caller("alice"), true), Some(How::Exact));
    assert_eq!(alice.admit(&caller("mallory"), true), None);
}

/// NotPrincipal spares only who is listed at every level: session, role, account.
#[test]
fn not_principal_spares_the_fully_listed() {
    let root = r#""arn:aws:iam::111122223333:root""#;
    let alice = r#""arn:aws:iam::111122223333:user/alice""#;
    let role = r#""arn:aws:iam::111122223333:role/ops/Deployer""#;
    let session = r#""arn:aws:sts::111122223333:assumed-role/Deployer/ci""#;
    for (list, name, spared) in [
        (vec![alice, root], "alice", true),
        (vec![alice], "alice", false),
        (vec![root], "alice", false),
        (vec![root], "root", true),
        (vec![alice, root], "mallory", false),
        (vec![session, role, root], "session", true),
        (vec![role, root], "session", false),
        (vec![session, root], "session", false),
        (vec![session, role], "session", false),
        (vec![r#""*""#], "session", true),
        (vec![r#""*""#], "anonymous", true),
        (vec![root], "anonymous", false),
    ] {
        let json = format!(r#"{{"AWS":[{}]}}"#, list.join(","));
        let admitted = element(&json, true).unwrap().admit(&caller(name), false);
        assert_eq!(admitted.is_none(), spared, "{json} {name}");
    }
    let service = element(r#"{"Service":"secretsmanager.amazonaws.com"}"#, true).unwrap();
    assert_eq!(service.admit(&caller("service"), false), None);
    assert_eq!(service.admit(&caller("alice"), false), Some(How::Anyone));
}

#[test]
fn all_named_principals_can_be_checked() {
    let policy = resource(
        r#"[{"Effect":"Allow","Principal":{"AWS":["*","AIDAALICE00000000001"]},"Action":"*","Resource":"*"},
            {"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}]"#,
    );
    let named: Vec<_> = policy.principals().cloned().collect();
    assert_eq!(
        named,
        [
            PrincipalPattern::Anyone,
            PrincipalPattern::UniqueId("AIDAALICE00000000001".into()),
            PrincipalPattern::Account(ACCOUNT.into()),
        ]
    );
}
