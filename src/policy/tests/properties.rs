//! What must hold for any policy: tried on many made-up ones. Seeded, so that a failure repeats.

use super::super::pattern::{Case, Pattern};
use super::super::template::Syntax;
use super::super::{Grant, Guardrail, How, Policies, PolicyKind, ResourceRule, evaluate};
use super::case::{Asked, Compiled, Names, Papers, export};
use super::dice::Dice;
use super::*;
use serde_json::Value;

/// The obvious matcher, exponential and plainly right.
fn naive(pattern: &[char], text: &[char]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some('*'), _) => {
            naive(&pattern[1..], text) || (!text.is_empty() && naive(pattern, &text[1..]))
        }
        (Some('?'), Some(_)) => naive(&pattern[1..], &text[1..]),
        (Some(p), Some(t)) => p == t && naive(&pattern[1..], &text[1..]),
        _ => false,
    }
}

#[test]
fn the_linear_matcher_agrees_with_the_naive_one() {
    let mut dice = Dice(1);
    let (mut matched, rounds) = (0, 60_000);
    let conditions = Conditions::new();
    for _ in 0..rounds {
        let pattern = dice.text(&["a", "b", "ä", "*", "?"], 8);
        let text = dice.text(&["a", "b", "ä"], 9);
        let compiled =
            Pattern::compile(&pattern, Syntax { wildcards: true, variables: false }).unwrap();
        let expected =
            naive(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
        let got = compiled.matches(&text, &conditions, Case::Sensitive);
        assert_eq!(got, expected, "{pattern:?} {text:?}");
        matched += usize::from(got);
    }
    assert!(matched > rounds / 20, "{matched} matches are too few to prove anything");
}

/// Wildcards close together, literals of several characters between them, and variables.
#[test]
fn the_matcher_agrees_with_the_naive_one_on_dense_patterns() {
    let mut dice = Dice(2);
    let (mut matched, rounds) = (0, 60_000);
    for _ in 0..rounds {
        let letters = ["a", "b", "aab", "ä", "A", "${aws:username}"];
        let parts: Vec<&str> = (0..dice.below(4))
            .flat_map(|_| [dice.pick(&letters), dice.pick(&["", "?", "??", "a", "?b"])])
            .collect();
        let inner = parts.concat();
        let pattern = match dice.below(3) {
            0 => format!("*{inner}*"),
            1 => format!("*{inner}*{}*", dice.pick(&["ab?b", "a??a", "?", "b"])),
            _ => dice.text(&["*", "?", "a", "b", "A", "${aws:username}"], 9),
        };
        let name = dice.text(&["a", "b", "ä"], 2);
        let text = dice.text(&["a", "b", "ab", "ä", "B", "a"], 9);
        let mut conditions = Conditions::new();
        conditions.set("aws:username", name.as_str());
        let syntax = Syntax { wildcards: true, variables: true };
        let compiled = Pattern::compile(&pattern, syntax).unwrap();
        let filled = pattern.replace("${aws:username}", &name);
        for case in [Case::Sensitive, Case::Insensitive] {
            let fold = |text: &str| match case {
                Case::Sensitive => text.chars().collect::<Vec<_>>(),
                Case::Insensitive => text.to_ascii_lowercase().chars().collect(),
            };
            let got = compiled.matches(&text, &conditions, case);
            assert_eq!(got, naive(&fold(&filled), &fold(&text)), "{pattern:?} {name:?} {text:?}");
            matched += usize::from(got);
        }
    }
    assert!(matched > rounds / 5, "{matched} matches are too few to prove anything");
}

/// A made-up statement; `principal` for resource policies.
fn statement(dice: &mut Dice, effect: &str, principal: bool) -> String {
    let action = dice.pick(&[
        r#""Action":"*""#,
        r#""Action":"kms:*""#,
        r#""Action":["kms:Encrypt","kms:De*"]"#,
        r#""NotAction":"kms:Encrypt""#,
        r#""Action":"s3:*""#,
    ]);
    let resource = dice.pick(&[
        r#""Resource":"*""#,
        r#""Resource":"*""#,
        r#""Resource":"arn:aws:kms:*:111122223333:key/*""#,
        r#""NotResource":"arn:aws:kms:*:*:key/1234*""#,
        r#""Resource":"arn:aws:kms:*:*:key/${aws:username}*""#,
    ]);
    let condition = dice.pick(&[
        "",
        "",
        "",
        r#","Condition":{"Bool":{"aws:SecureTransport":"true"}}"#,
        r#","Condition":{"StringNotEqualsIfExists":{"aws:username":"${aws:x}"}}"#,
        r#","Condition":{"ForAllValues:StringLike":{"aws:TagKeys":"a*"}}"#,
        r#","Condition":{"Null":{"aws:username":"true"}}"#,
    ]);
    let who = dice.pick(&[
        r#","Principal":"*""#,
        r#","Principal":{"AWS":"111122223333"}"#,
        r#","Principal":{"AWS":"444455556666"}"#,
        r#","Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"}"#,
        r#","Principal":{"AWS":["arn:aws:iam::111122223333:role/ops/Deployer","111122223333"]}"#,
        r#","Principal":{"AWS":"arn:aws:sts::111122223333:assumed-role/Deployer/ci"}"#,
        r#","Principal":{"Service":"secretsmanager.amazonaws.com"}"#,
    ]);
    let who = if principal { who } else { "" };
    format!(r#"{{"Effect":"{effect}",{action},{resource}{condition}{who}}}"#)
}

/// The statements of a policy: effect and text.
fn statements(dice: &mut Dice, principal: bool) -> Vec<(&'static str, String)> {
    let mut list = Vec::new();
    for _ in 0..dice.below(3) {
        let effect = if dice.below(6) == 0 { "Deny" } else { "Allow" };
        list.push((effect, statement(dice, effect, principal)));
    }
    list
}

/// All policies of a case, as statements, in the order identity, resource, boundary, session,
/// guardrail. An empty list still is a policy, one that allows nothing.
type Case5 = [Vec<(&'static str, String)>; 5];

fn compile(list: &[(&str, String)], kind: Kind) -> Policy {
    let texts: Vec<&str> = list.iter().map(|(_, text)| text.as_str()).collect();
    // A statement that never applies keeps an empty list parseable.
    let never = r#"{"Effect":"Allow","Action":"x:y","Resource":"*"PRINCIPAL}"#;
    let principal = if kind == Kind::Identity { "" } else { r#","Principal":"*""# };
    let all = [texts, vec![&*never.replace("PRINCIPAL", principal)]].concat().join(",");
    parse(&format!("[{all}]"), kind)
}

struct World {
    caller: &'static str,
    rule: ResourceRule,
    limits: [bool; 3],
    grant: Option<Grant<'static>>,
    secure: bool,
    username: bool,
}

fn allowed(case: &Case5, world: &World) -> bool {
    let [own, key, boundary, session, guard] = case;
    let own = compile(own, Kind::Identity);
    let key = compile(key, Kind::Resource);
    let boundary = compile(boundary, Kind::Identity);
    let session = compile(session, Kind::Identity);
    let guard = compile(guard, Kind::Identity);
    let (own, session) = ([named("own", &own)], [named("session", &session)]);
    let guard = [named("scp", &guard)];
    let guardrails = [Guardrail { kind: PolicyKind::ServiceControl, policies: &guard }];
    let [bounded, limited, guarded] = world.limits;
    let policies = Policies {
        identity: &own,
        resource: Some(named("key", &key)),
        boundary: bounded.then(|| named("boundary", &boundary)),
        session: limited.then_some(&session),
        guardrails: if guarded { &guardrails } else { &[] },
        grant: world.grant,
    };
    let mut conditions = Conditions::new();
    if world.secure {
        conditions.set("aws:SecureTransport", "true");
    }
    if world.username {
        conditions.set("aws:username", "1234");
    }
    let request = decrypt(world.caller, &conditions);
    let decision = evaluate(&request, &policies, ACCOUNT, world.rule);
    assert_eq!(decision, evaluate(&request, &policies, ACCOUNT, world.rule), "not pure");
    assert_eq!(decision.because("a").is_empty(), decision.is_allowed());
    assert!(!decision.reasons.is_empty());
    decision.is_allowed()
}

#[test]
fn adding_a_deny_or_removing_an_allow_never_grants() {
    let mut dice = Dice(2);
    let (mut yes, mut no, mut lost) = (0, 0, 0);
    for round in 0..500 {
        let case: Case5 = std::array::from_fn(|place| statements(&mut dice, place == 1));
        let world = World {
            caller: dice.pick(&[
                "alice",
                "session",
                "root",
                "mallory",
                "service",
                "anonymous",
                "federated",
            ]),
            rule: [ResourceRule::Ordinary, ResourceRule::KeyPolicy, ResourceRule::None]
                [dice.below(3)],
            limits: std::array::from_fn(|_| dice.below(3) == 0),
            grant: [
                None,
                None,
                Some(Grant { id: "g", how: How::Exact }),
                Some(Grant { id: "g", how: How::RoleOfSession }),
                Some(Grant { id: "g", how: How::Account }),
            ][dice.below(5)],
            secure: dice.below(2) == 0,
            username: dice.below(2) == 0,
        };
        let before = allowed(&case, &world);
        *(if before { &mut yes } else { &mut no }) += 1;
        for place in 0..5 {
            let mut denied = case.clone();
            let extra = statement(&mut dice, "Deny", place == 1);
            let at = dice.below(case[place].len() + 1);
            denied[place].insert(at, ("Deny", extra));
            let after = allowed(&denied, &world);
            assert!(before || !after, "round {round}: a Deny granted");
            lost += usize::from(before && !after);
            for index in 0..case[place].len() {
                let mut fewer = case.clone();
                if fewer[place].remove(index).0 == "Allow" {
                    assert!(before || !allowed(&fewer, &world), "round {round}: less granted more");
                }
            }
        }
    }
    assert!(yes > 50 && no > 50 && lost > 50, "{yes} {no} {lost}: too one-sided");
}

/// Whether the evaluator allows a made-up case.
fn allows(asked: &Asked, papers: &Papers) -> bool {
    Compiled::of(papers).decide(asked, &Names::default()).is_allowed()
}

/// Every policy of a case, to be changed in its place.
fn places(papers: &mut Papers) -> Vec<&mut Value> {
    let listed = papers.guardrails.iter_mut().flat_map(|(_, list)| list);
    let single = papers.resource.iter_mut().chain(&mut papers.boundary);
    let session = papers.session.iter_mut().flatten();
    papers.identity.iter_mut().chain(single).chain(session).chain(listed).collect()
}

fn as_list(policy: &mut Value) -> &mut Vec<Value> {
    let statements = &mut policy["Statement"];
    if !statements.is_array() {
        *statements = Value::Array(vec![statements.take()]);
    }
    statements.as_array_mut().unwrap()
}

/// The same with all operators, forms of principals and kinds of policies: what is allowed after a
/// Deny came or an Allow went was allowed before.
#[test]
fn made_up_policies_are_monotone() {
    let (mut before, mut lost) = ([0, 0], [0, 0]);
    for seed in 0..1_200 {
        let mut dice = Dice((1 << 33) + seed);
        let (papers, asked) = (made_up::papers(&mut dice), made_up::asked(&mut dice));
        let allowed = allows(&asked, &papers);
        before[usize::from(allowed)] += 1;
        for place in 0..places(&mut papers.clone()).len() {
            let mut denied = papers.clone();
            let policy = as_list(places(&mut denied).swap_remove(place));
            // Any statement of the policy, turned round: it speaks of the same things.
            let mut deny = policy[dice.below(policy.len())].clone();
            deny["Effect"] = "Deny".into();
            policy.push(deny);
            let after = allows(&asked, &denied);
            assert!(allowed || !after, "{seed}: a Deny granted: {:#}", export(&asked, &denied));
            lost[0] += usize::from(allowed && !after);
            for at in (0..).take(as_list(places(&mut papers.clone()).swap_remove(place)).len()) {
                let mut fewer = papers.clone();
                let policy = as_list(places(&mut fewer).swap_remove(place));
                // A list must have a member: the one that goes becomes one that never applies.
                if policy[at]["Effect"] == "Allow" {
                    policy[at]["Action"] = "nothing:AtAll".into();
                    policy[at].as_object_mut().unwrap().remove("NotAction");
                    let after = allows(&asked, &fewer);
                    assert!(
                        allowed || !after,
                        "{seed}: less granted more: {:#}",
                        export(&asked, &fewer)
                    );
                    lost[1] += usize::from(allowed && !after);
                }
            }
        }
    }
    assert!(before.iter().chain(&lost).all(|count| *count > 50), "{before:?} {lost:?}: one-sided");
}

/// A session may at most what its role may, and a federated user what its user may, whatever policies
/// it was made with; save for what a resource policy gives to it by its own name.
#[test]
fn a_session_never_exceeds_its_issuer() {
    let (mut allowed, mut limited) = (0, 0);
    for seed in 0..8_000 {
        let mut dice = Dice((1 << 34) + seed);
        let (mut papers, mut asked) = (made_up::papers(&mut dice), made_up::asked(&mut dice));
        let (session, issuer) = dice.pick(&[
            ("session", "session"),
            ("foreign-session", "foreign-session"),
            ("federated", "alice"),
        ]);
        papers.session = Some((0..=dice.below(2)).map(|_| made_up::session(&mut dice)).collect());
        asked.caller = session.into();
        if papers
            .resource
            .as_ref()
            .is_some_and(|policy| policy.to_string().contains("federated-user"))
        {
            continue;
        }
        let may = allows(&asked, &papers);
        asked.caller = issuer.into();
        papers.session = None;
        let issuer_may = allows(&asked, &papers);
        assert!(issuer_may || !may, "{seed}: {session} may: {:#}", export(&asked, &papers));
        allowed += usize::from(may);
        limited += usize::from(issuer_may && !may);
    }
    assert!(allowed > 250 && limited > 250, "{allowed} {limited}: too one-sided");
}
