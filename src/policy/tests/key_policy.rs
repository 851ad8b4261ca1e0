//! Who may use a key: named directly, through its account, from another account, by a grant; and what
//! boundaries and sessions take away. Every caller against every way of being named.

use super::super::{Effect, Grant, How, Policies, PolicyKind, ResourceRule, evaluate};
use super::*;

const ANY: &str = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
const OTHER_THINGS: &str = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#;

fn key_for(principal: &str) -> Policy {
    resource(&format!(
        r#"{{"Effect":"Allow","Principal":{principal},"Action":"kms:*","Resource":"*"}}"#
    ))
}

fn decide(name: &str, policies: &Policies<'_>, rule: ResourceRule) -> (Effect, PolicyKind) {
    let conditions = Conditions::new();
    let decision = evaluate(&decrypt(name, &conditions), policies, ACCOUNT, rule);
    (decision.effect, decision.reasons[0].kind)
}

/// Rows: how the key policy names the caller. Columns: allowed with no policy of its own; with
/// identity policies; the same with a boundary that leaves the action out.
#[test]
fn ways_of_being_named() {
    let user = r#"{"AWS":"arn:aws:iam::111122223333:user/alice"}"#;
    let root = r#"{"AWS":"arn:aws:iam::111122223333:root"}"#;
    let role = r#"{"AWS":"arn:aws:iam::111122223333:role/ops/Deployer"}"#;
    let session = r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/Deployer/ci"}"#;
    let foreign = r#"{"AWS":"arn:aws:iam::444455556666:user/mallory"}"#;
    let foreign_root = r#"{"AWS":"444455556666"}"#;
    let (any, other) = (identity(ANY), identity(OTHER_THINGS));
    for (name, principal, key_rule, ordinary) in [
        ("alice", user, "TTT", "TTT"),
        ("alice", root, "FTF", "FTF"),
        ("alice", r#""*""#, "TTF", "TTF"),
        ("alice", role, "FFF", "FTF"),
        ("session", session, "TTT", "TTT"),
        ("session", role, "TTF", "TTF"),
        ("session", root, "FTF", "FTF"),
        ("session", user, "FFF", "FTF"),
        ("federated", user, "TTF", "TTF"),
        ("root", root, "TTF", "TTF"),
        ("root", user, "FFF", "TTF"),
        ("mallory", foreign, "FTF", "FTF"),
        ("mallory", foreign_root, "FTF", "FTF"),
        ("mallory", r#""*""#, "FTF", "FTF"),
        ("mallory", root, "FFF", "FFF"),
        ("foreign-root", foreign_root, "TTF", "TTF"),
        ("foreign-root", foreign, "FFF", "FFF"),
        ("anonymous", r#""*""#, "TTT", "TTT"),
        ("anonymous", root, "FFF", "FFF"),
        ("service", r#"{"Service":"secretsmanager.amazonaws.com"}"#, "TTT", "TTT"),
        ("service", root, "FFF", "FFF"),
    ] {
        let key = key_for(principal);
        let identity = [named("own", &any)];
        let bare = Policies { resource: Some(named("key", &key)), ..Policies::default() };
        let full = Policies { identity: &identity, ..bare };
        let bounded = Policies { boundary: Some(named("boundary", &other)), ..full };
        let limits = [named("session", &other)];
        let session = Policies { session: Some(&limits), ..full };
        for (rule, expected) in
            [(ResourceRule::KeyPolicy, key_rule), (ResourceRule::Ordinary, ordinary)]
        {
            // A session policy limits just as a boundary does.
            for columns in [[bare, full, bounded], [bare, full, session]] {
                let got: String = columns
                    .iter()
                    .map(|policies| match decide(name, policies, rule).0 {
                        Effect::Allow => 'T',
                        _ => 'F',
                    })
                    .collect();
                assert_eq!(got, expected, "{name} {principal} {rule:?}");
            }
        }
    }
}

#[test]
fn without_a_resource_policy_other_accounts_get_nothing() {
    let any = identity(ANY);
    let identity = [named("own", &any)];
    let policies = Policies { identity: &identity, ..Policies::default() };
    let key = key_for(r#""*""#);
    let ignored = Policies { resource: Some(named("key", &key)), ..policies };
    for policies in [policies, ignored] {
        for (name, allowed) in [
            ("alice", true),
            ("session", true),
            ("root", true),
            ("mallory", false),
            ("foreign-root", false),
            ("anonymous", false),
            ("service", false),
        ] {
            let (effect, _) = decide(name, &policies, ResourceRule::None);
            assert_eq!(effect == Effect::Allow, allowed, "{name}");
        }
    }
}

#[test]
fn what_a_grant_allows() {
    let nobody = key_for(r#"{"AWS":"arn:aws:iam::111122223333:user/nobody"}"#);
    let (any, other) = (identity(ANY), identity(OTHER_THINGS));
    let (own, limits) = ([named("own", &any)], [named("session", &other)]);
    for (name, how, bare, full, limited) in [
        ("alice", How::Exact, true, true, true),
        ("session", How::Exact, true, true, true),
        ("session", How::RoleOfSession, true, true, false),
        ("alice", How::Account, false, true, false),
        ("root", How::Account, true, true, false),
        ("mallory", How::Exact, true, true, true),
        ("foreign-session", How::RoleOfSession, true, true, false),
        ("mallory", How::Account, false, true, false),
        ("service", How::Exact, true, true, true),
    ] {
        let grant = Some(Grant { id: "g", how });
        let base = Policies { resource: Some(named("key", &nobody)), grant, ..Policies::default() };
        let with_own = Policies { identity: &own, ..base };
        let with_limits = Policies { session: Some(&limits), ..with_own };
        for (policies, expected) in [(base, bare), (with_own, full), (with_limits, limited)] {
            let (effect, kind) = decide(name, &policies, ResourceRule::KeyPolicy);
            assert_eq!(effect == Effect::Allow, expected, "{name} {how:?}");
            let says = if expected { PolicyKind::Grant } else { PolicyKind::Resource };
            assert_eq!(kind, says, "{name} {how:?}");
        }
        if name != "root" {
            let (effect, _) = decide(name, &base, ResourceRule::Ordinary);
            assert_eq!(effect, Effect::ImplicitDeny, "grants are for keys");
        }
    }
}

#[test]
fn no_grant_overrides_a_deny() {
    let deny_key =
        resource(r#"{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}"#);
    let deny_own = identity(r#"{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}"#);
    let own = [named("own", &deny_own)];
    let grant = Some(Grant { id: "g", how: How::Exact });
    let by_key = Policies { resource: Some(named("key", &deny_key)), grant, ..Policies::default() };
    let by_own = Policies { identity: &own, grant, ..Policies::default() };
    for (policies, kind) in [(by_key, PolicyKind::Resource), (by_own, PolicyKind::Identity)] {
        assert_eq!(
            decide("alice", &policies, ResourceRule::KeyPolicy),
            (Effect::ExplicitDeny, kind)
        );
    }
}

#[test]
fn a_session_with_no_policies_at_all_may_do_nothing() {
    let any = identity(ANY);
    let own = [named("own", &any)];
    let policies = Policies { identity: &own, session: Some(&[]), ..Policies::default() };
    let decided = decide("federated", &policies, ResourceRule::None);
    assert_eq!(decided, (Effect::ImplicitDeny, PolicyKind::Session));
}

/// A reason names each policy the allow rests on.
#[test]
fn reasons_of_an_allow() {
    let key = key_for(r#"{"AWS":"111122223333"}"#);
    let any = identity(&ANY.replace('{', r#"{"Sid":"All","#));
    let list = [named("admin", &any)];
    let policies = Policies {
        identity: &list,
        resource: Some(named("default", &key)),
        boundary: Some(named("limit", &any)),
        session: Some(&list),
        ..Policies::default()
    };
    let conditions = Conditions::new();
    let request = decrypt("session", &conditions);
    let decision = evaluate(&request, &policies, ACCOUNT, ResourceRule::KeyPolicy);
    let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        [
            r#"allowed by resource-based policy "default", statement 0"#,
            r#"allowed by identity-based policy "admin", statement 0 (All)"#,
            r#"allowed by permissions boundary "limit", statement 0 (All)"#,
            r#"allowed by session policy "admin", statement 0 (All)"#,
        ]
    );
    assert_eq!(decision.because("kms:Decrypt"), "");
}
