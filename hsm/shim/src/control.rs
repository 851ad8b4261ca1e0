//! The rules: which call meets which action.

use std::sync::{Mutex, PoisonError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Return(u64),
    After(u64),
    Sleep(u64),
    Hang,
    Abort,
    Exit(i32),
    Segfault,
    Lose(Lost),
    Removed,
    Length(Change),
    TooSmall(u64),
    Flip,
    Sessions(usize),
    Flags(u64),
    MaxSessions(u64),
    Serial(String),
    Clock(String),
    GcmIv(Dialect),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    Finalize,
    Sessions,
    Login,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    To(u64),
    More(u64),
    Less(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    WrittenBack,
    Appended,
    /// As `WrittenBack`, and the IV is always the same.
    Repeated,
}

#[derive(Debug)]
struct Rule {
    function: String,
    which: Which,
    action: Action,
    /// How many calls of its function there have been.
    seen: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Between(u64, u64),
    Every(u64),
}

static RULES: Mutex<(String, Vec<Rule>)> = Mutex::new((String::new(), Vec::new()));

/// What this call meets. Counts it.
pub fn next(function: &str) -> Option<Action> {
    let file = std::env::var_os(crate::CONTROL)?;
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut rules = RULES.lock().unwrap_or_else(PoisonError::into_inner);
    if rules.0 != text {
        let parsed = text.lines().filter_map(|line| match parse(line) {
            Ok(rule) => rule,
            Err(what) => {
                // A rule that is not followed makes a test that proves nothing.
                eprintln!("pkcs11 shim: {what} in the rule {line:?}");
                std::process::abort()
            }
        });
        *rules = (text.clone(), parsed.collect());
    }
    let mut met = None;
    for rule in &mut rules.1 {
        if rule.function != "*" && rule.function != function {
            continue;
        }
        rule.seen += 1;
        let is_meant = match rule.which {
            Which::Between(first, last) => (first..=last).contains(&rule.seen),
            Which::Every(n) => rule.seen.is_multiple_of(n),
        };
        if is_meant && met.is_none() {
            met = Some(rule.action.clone());
        }
    }
    met
}

fn parse(line: &str) -> Result<Option<Rule>, &'static str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (function, which, action) = match words.as_slice() {
        [] => return Ok(None),
        [first, ..] if first.starts_with('#') => return Ok(None),
        [function, which, action @ ..] => (*function, *which, action),
        _ => return Err("three words wanted"),
    };
    let which = match which.split_once('-') {
        _ if which == "*" => Which::Between(1, u64::MAX),
        Some((first, "")) => Which::Between(number(first)?, u64::MAX),
        Some((first, last)) => Which::Between(number(first)?, number(last)?),
        None => match which.strip_prefix('%') {
            Some(n) => Which::Every(number(n)?.max(1)),
            None => Which::Between(number(which)?, number(which)?),
        },
    };
    Ok(Some(Rule { function: function.into(), which, action: action_of(action)?, seen: 0 }))
}

fn action_of(words: &[&str]) -> Result<Action, &'static str> {
    Ok(match words {
        ["return", rv] => Action::Return(number(rv)?),
        ["after", rv] => Action::After(number(rv)?),
        ["sleep", ms] => Action::Sleep(number(ms)?),
        ["hang"] => Action::Hang,
        ["abort"] => Action::Abort,
        ["exit", code] => Action::Exit(code.parse().map_err(|_| "no exit code")?),
        ["segfault"] => Action::Segfault,
        ["lose", "finalize"] => Action::Lose(Lost::Finalize),
        ["lose", "sessions"] => Action::Lose(Lost::Sessions),
        ["lose", "login"] => Action::Lose(Lost::Login),
        ["removed"] => Action::Removed,
        ["length", change] => Action::Length(match change.split_at_checked(1) {
            Some(("+", more)) => Change::More(number(more)?),
            Some(("-", less)) => Change::Less(number(less)?),
            _ => Change::To(number(change)?),
        }),
        ["too-small", len] => Action::TooSmall(number(len)?),
        ["flip"] => Action::Flip,
        ["sessions", n] => Action::Sessions(n.parse().map_err(|_| "no number")?),
        ["max-sessions", n] => Action::MaxSessions(number(n)?),
        ["flags", bits] => Action::Flags(number(bits)?),
        ["serial", text] => Action::Serial((*text).into()),
        ["clock", text] => Action::Clock((*text).into()),
        ["gcm-iv", "written-back"] => Action::GcmIv(Dialect::WrittenBack),
        ["gcm-iv", "appended"] => Action::GcmIv(Dialect::Appended),
        ["gcm-iv", "repeated"] => Action::GcmIv(Dialect::Repeated),
        _ => return Err("no such action"),
    })
}

fn number(text: &str) -> Result<u64, &'static str> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(line: &str) -> (String, Which, Action) {
        let rule = parse(line).ok().flatten();
        let Some(rule) = rule else { panic!("{line}") };
        (rule.function, rule.which, rule.action)
    }

    #[test]
    fn rules_are_read() {
        let all = Which::Between(1, u64::MAX);
        assert_eq!(
            rule("C_Sign 3 return 0x30"),
            ("C_Sign".into(), Which::Between(3, 3), Action::Return(0x30))
        );
        assert_eq!(rule("* * hang"), ("*".into(), all, Action::Hang));
        assert_eq!(rule("* 2-4 sleep 9").1, Which::Between(2, 4));
        assert_eq!(rule("* 5- sleep 9").1, Which::Between(5, u64::MAX));
        assert_eq!(rule("* %10 flip").1, Which::Every(10));
        assert_eq!(rule("* * length -8").2, Action::Length(Change::Less(8)));
        assert_eq!(rule("* * length 0").2, Action::Length(Change::To(0)));
        assert!(parse("# C_Sign * hang").is_ok_and(|rule| rule.is_none()));
        for bad in ["C_Sign", "C_Sign *", "C_Sign * hangs", "C_Sign x hang", "C_Sign 1 return"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
