//! What an independent evaluator is asked: all decision files, and made-up cases. It runs outside, see
//! `tests/clients/other_evaluator.py`, which has the questions written by this test.

use super::super::{Effect, PolicyKind, ResourceRule};
use super::case::{Asked, Compiled, Names, Papers, export};
use super::decisions::Book;
use super::dice::Dice;
use super::made_up::{asked, papers};
use super::*;
use std::io::Write as _;

/// Most of them have something that others do differently, for reasons known.
const MADE_UP: u64 = 14_000;
/// Not those of the agreement test.
const FIRST_SEED: u64 = 1 << 32;

/// Others take no identity policies from somebody without an account, and know no grants.
fn made_up(seed: u64) -> (String, Asked, Papers) {
    let mut dice = Dice(FIRST_SEED + seed);
    let (mut papers, mut asked) = (papers(&mut dice), asked(&mut dice));
    if caller(&asked.caller).account.is_empty() {
        papers = Papers { identity: Vec::new(), boundary: None, session: None, ..papers };
        papers.guardrails.retain(|(kind, _)| *kind != PolicyKind::ServiceControl);
    }
    papers.guardrails.retain(|(_, policies)| !policies.is_empty());
    asked.grant = None;
    match asked.rule {
        ResourceRule::KeyPolicy if !asked.resource.contains(":key/") => {
            asked.rule = ResourceRule::Ordinary;
        }
        ResourceRule::None => papers.resource = None,
        _ => {}
    }
    (format!("made up {seed}"), asked, papers)
}

#[test]
fn the_questions_for_others_have_one_answer() {
    let book = Book::read();
    let written = book.questions().map(|(name, asked, papers, _)| (name, asked, papers));
    let mut lines = Vec::new();
    for (name, asked, papers) in written.chain((0..MADE_UP).map(made_up)) {
        let real = Compiled::of(&papers).decide(&asked, &Names::default()).effect;
        assert_eq!(real, naive::decide(&asked, &papers), "{name}");
        let mut line = export(&asked, &papers);
        line["name"] = name.into();
        line["allowed"] = (real == Effect::Allow).into();
        writeln!(lines, "{line}").unwrap();
    }
    if let Ok(path) = std::env::var("CLAVIGER_WRITE_DECISIONS") {
        std::fs::write(path, lines).unwrap();
    }
}
