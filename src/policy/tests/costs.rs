//! What comparing takes at most, counted in steps: whoever may send a long text, or write a policy,
//! must not be able to keep a processor busy with it.

use super::super::pattern::{Case, Pattern};
use super::super::search::steps;
use super::super::template::Syntax;
use super::*;

const WILD: Syntax = Syntax { wildcards: true, variables: true };

/// Whether it matches, and after how many steps.
fn compared(pattern: &str, text: &str) -> (bool, usize) {
    let pattern = Pattern::compile(pattern, WILD).unwrap();
    steps::taken();
    (pattern.matches(text, &Conditions::new(), Case::Sensitive), steps::taken())
}

#[test]
fn the_worst_patterns_take_few_steps_for_each_byte() {
    let a = |n: usize| "a".repeat(n);
    let ones = |n: usize| "?".repeat(n);
    // For each: how many steps a byte of the text may take. Going back to the last `*` at each
    // mismatch would take thousands.
    for (name, pattern, text, matches, per_byte) in [
        ("? only", ones(15_000), a(30_000), false, 1),
        ("? only, of two bytes", ones(15_000), "ä".repeat(15_000), true, 1),
        ("* and ?", format!("*{}b", ones(120_000)), a(250_000), false, 1),
        ("* and ?, nearly", format!("*{}b", ones(120_000)), a(249_999) + "b", true, 1),
        ("* and ? of many bytes", format!("*{}b", ones(60_000)), "€".repeat(80_000), false, 1),
        ("? between", format!("*a{}b*", ones(120_000)), a(250_000), false, 3),
        ("? between, of many bytes", format!("*ä{}b*", ones(9_000)), "ä".repeat(40_000), false, 3),
        ("200 wildcards", "a*".repeat(200) + "b", a(2_048), false, 2),
        ("long literal", format!("*{}b*", a(120_000)), a(250_000), false, 5),
        ("never together", format!("*{0}?{0}*", "ab".repeat(500)), "ab".repeat(50_000), false, 10),
        ("ever further", format!("*{}b*", "a?".repeat(127)), a(50_000), false, 10),
        ("no two in step", format!("*{}a*", "a?b?".repeat(60)), "ab".repeat(9_000), false, 480),
        ("at the very end", "*ab".repeat(120) + "*c*", "ab".repeat(50_000), false, 5),
    ] {
        let (found, steps) = compared(&pattern, &text);
        assert_eq!(found, matches, "{name}");
        let most = text.len() * per_byte + 4 * pattern.len();
        assert!(steps <= most, "{name}: {steps} steps, more than {most}");
    }
}

/// A variable can be as long as a text, and stand in a pattern many times.
#[test]
fn long_variables_cost_no_more_than_the_text() {
    let mut request = Conditions::new();
    let agent = "a".repeat(100_000);
    request.set("aws:UserAgent", agent.as_str());
    let pattern = format!("*{}b*", "${aws:UserAgent}".repeat(200));
    let pattern = Pattern::compile(&pattern, WILD).unwrap();
    steps::taken();
    assert!(!pattern.matches(&"a".repeat(250_000), &request, Case::Sensitive));
    let steps = steps::taken();
    assert!(steps <= 3 * 250_000, "{steps}");
}

#[test]
fn patterns_of_too_many_wildcards_are_not_written_and_deny_if_stored() {
    let policy = |resource: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[
                {{"Effect":"Allow","Action":"*","Resource":"*"}},
                {{"Effect":"Deny","Action":"s3:*","Resource":"{resource}"}}]}}"#
        )
    };
    let of =
        |wildcard: &str, n: usize| policy(&format!("arn:{}", format!("a{wildcard}").repeat(n)));
    for wildcard in ["*", "?", "${aws:username}"] {
        assert!(Policy::parse(&of(wildcard, 256), Kind::Identity).is_ok(), "{wildcard}");
        let what = "wildcards and variables in one text";
        let expected = PolicyError::TooMany { what, limit: 256 };
        let refused = Policy::parse(&of(wildcard, 257), Kind::Identity).map(|_| ());
        assert_eq!(refused, Err(expected.clone()), "{wildcard}");
        let stored = Policy::parse_stored(&of(wildcard, 257), Kind::Identity);
        assert_eq!(stored.unreadable(), Some(&expected));
    }
    // Side by side they are few.
    assert!(Policy::parse(&policy(&format!("arn:{}", "*?".repeat(5_000))), Kind::Identity).is_ok());
}
