//! The evaluator and the naive one decide alike: a million made-up cases.

use super::super::Effect;
use super::case::{Asked, Compiled, Names, Papers, export};
use super::dice::Dice;
use super::made_up::{asked, papers};
use super::naive;
use serde_json::Value;

const SETS: u64 = 2_000;
const REQUESTS_OF_EACH: usize = 500;

fn differs(asked: &Asked, papers: &Papers) -> bool {
    let real = Compiled::of(papers).decide(asked, &Names::default()).effect;
    real != naive::decide(asked, papers)
}

/// Takes away whatever the difference does not need.
fn smallest(mut asked: Asked, mut papers: Papers) -> (Asked, Papers) {
    loop {
        let mut fewer = Vec::new();
        for at in 0..asked.facts.len() {
            let mut less = asked.clone();
            less.facts.remove(at);
            fewer.push((less, papers.clone()));
        }
        fewer.push((Asked { grant: None, ..asked.clone() }, papers.clone()));
        for change in [
            |papers: &mut Papers| papers.guardrails.clear(),
            |papers: &mut Papers| papers.boundary = None,
            |papers: &mut Papers| papers.session = None,
            |papers: &mut Papers| papers.resource = None,
            |papers: &mut Papers| drop(papers.identity.pop()),
            |papers: &mut Papers| {
                drop((!papers.identity.is_empty()).then(|| papers.identity.remove(0)))
            },
        ] {
            let mut less = papers.clone();
            change(&mut less);
            fewer.push((asked.clone(), less));
        }
        for place in 0.. {
            let mut parts = Vec::new();
            let mut probe = papers.clone();
            let Some(policy) = policies(&mut probe).into_iter().nth(place) else { break };
            shorter(policy, &mut parts);
            for part in parts {
                let mut less = papers.clone();
                if let Some(policy) = policies(&mut less).into_iter().nth(place) {
                    *policy = part;
                }
                fewer.push((asked.clone(), less));
            }
        }
        let size = |(asked, papers): &(Asked, Papers)| export(asked, papers).to_string().len();
        let now = size(&(asked.clone(), papers.clone()));
        let next = fewer.into_iter().find(|case| size(case) < now && differs(&case.0, &case.1));
        match next {
            Some(case) => (asked, papers) = case,
            None => return (asked, papers),
        }
    }
}

fn policies(papers: &mut Papers) -> Vec<&mut Value> {
    let listed = papers.guardrails.iter_mut().flat_map(|(_, list)| list);
    let single = papers.resource.iter_mut().chain(&mut papers.boundary);
    papers
        .identity
        .iter_mut()
        .chain(single)
        .chain(papers.session.iter_mut().flatten())
        .chain(listed)
        .collect()
}

/// A policy without one of its statements, or without one of their conditions.
fn shorter(policy: &Value, out: &mut Vec<Value>) {
    let list: Vec<Value> = naive::many(&policy["Statement"]).into_iter().cloned().collect();
    for at in 0..list.len() {
        let mut fewer = list.clone();
        fewer.remove(at);
        if !fewer.is_empty() {
            let mut less = policy.clone();
            less["Statement"] = fewer.into();
            out.push(less);
        }
        let Value::Object(condition) = &list[at]["Condition"] else { continue };
        for operator in condition.keys() {
            let mut fewer = list.clone();
            fewer[at]["Condition"].as_object_mut().unwrap().remove(operator);
            let mut less = policy.clone();
            less["Statement"] = fewer.into();
            out.push(less);
        }
    }
}

/// Runs the sets of policies from `first` on, each with requests of its own. How often each effect came.
fn compare(first: u64, sets: u64) -> [usize; 3] {
    let mut counts = [0; 3];
    for seed in first..first + sets {
        let mut dice = Dice(seed);
        let papers = papers(&mut dice);
        let compiled = Compiled::of(&papers);
        assert_eq!(compiled.defect(), None, "set {seed}");
        for _ in 0..REQUESTS_OF_EACH {
            let asked = asked(&mut dice);
            let real = compiled.decide(&asked, &Names::default()).effect;
            let naive = naive::decide(&asked, &papers);
            if real != naive {
                let (asked, papers) = smallest(asked, papers);
                let (real, naive) = (
                    Compiled::of(&papers).decide(&asked, &Names::default()),
                    naive::decide(&asked, &papers),
                );
                panic!("set {seed}: {real:?}, naive {naive:?}:\n{:#}", export(&asked, &papers));
            }
            counts[match real {
                Effect::Allow => 0,
                Effect::ExplicitDeny => 1,
                Effect::ImplicitDeny => 2,
            }] += 1;
        }
    }
    counts
}

#[test]
fn a_million_cases_are_decided_alike() {
    // Two threads, as most machines have.
    let halves = [0, SETS / 2];
    let counts: Vec<[usize; 3]> = std::thread::scope(|scope| {
        let running = halves.map(|first| scope.spawn(move || compare(first, SETS / 2)));
        running.into_iter().map(|half| half.join().unwrap()).collect()
    });
    let total = |effect: usize| counts.iter().map(|half| half[effect]).sum::<usize>();
    let [allowed, denied, refused] = [0, 1, 2].map(total);
    assert_eq!(allowed + denied + refused, 1_000_000);
    // None of the three so rare that agreeing about it would say little.
    assert!(
        allowed > 100_000 && denied > 100_000 && refused > 100_000,
        "{allowed} {denied} {refused}"
    );
}
