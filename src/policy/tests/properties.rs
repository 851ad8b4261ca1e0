//! What must hold for any policy: tried on many made-up ones. Seeded, so that a failure repeats.

use super::super::pattern::{Case, Pattern};
use super::super::template::Syntax;
use super::super::{Grant, Guardrail, How, Policies, PolicyKind, ResourceRule, evaluate};
use super::*;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn text(&mut self, alphabet: &[&str], longest: usize) -> String {
        (0..self.below(longest + 1)).map(|_| self.pick(alphabet)).collect()
    }
}

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
