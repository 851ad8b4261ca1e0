//! Random sequences of operations with time travel, played against the server and a small reference.
//!
//! A sequence that fails is made shorter and printed as code: it goes into `found.rs`.
//!
//! ```text
//! CLAVIGER_MODEL_SEED=7 CLAVIGER_MODEL_OPERATIONS=100000 cargo test --test it model::
//! ```
mod found;
mod op;
mod played;
mod reference;
mod rotations;
mod shown;

use op::{Dice, Literal, Op};
use played::play;
pub use played::rotating_world;
pub use reference::function_arn;
pub use rotations::Turn;
use std::collections::BTreeSet;

/// Operations of one sequence.
const LENGTH: usize = 60;
/// What every run of the tests plays.
const SEED: u64 = 1;
const OPERATIONS: u64 = 2400;
/// What must have happened, or the sequences do not say much.
const WANTED: &[&str] = &[
    "CancelRotateSecret ok",
    "CreateSecret InvalidRequestException",
    "CreateSecret ResourceExistsException",
    "DeleteSecret InvalidParameterException",
    "DeleteSecret ok",
    "GetSecretValue InvalidRequestException",
    "GetSecretValue ResourceNotFoundException",
    "PutSecretValue InvalidRequestException",
    "PutSecretValue LimitExceededException",
    "PutSecretValue ResourceExistsException",
    "RestoreSecret ok",
    "RotateSecret InvalidRequestException",
    "RotateSecret ok",
    "TagResource ok",
    "UntagResource ok",
    "UpdateSecret ResourceExistsException",
    "UpdateSecret ok",
    "UpdateSecretVersionStage InvalidParameterException",
    "UpdateSecretVersionStage ResourceNotFoundException",
    "UpdateSecretVersionStage ok",
    "rotated",
];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// The sequence without what the failure does not need.
async fn shortened(mut ops: Vec<Op>) -> (Vec<Op>, String) {
    let mut why = play(&ops).await.err().unwrap_or_default();
    let mut at = ops.len();
    while at > 0 {
        at -= 1;
        let mut fewer = ops.clone();
        fewer.remove(at);
        if let Err(reason) = play(&fewer).await {
            (ops, why) = (fewer, reason);
            at = at.min(ops.len());
        }
    }
    (ops, why)
}

#[tokio::test]
async fn random_sequences_are_answered_as_by_the_reference() {
    let seed = setting("CLAVIGER_MODEL_SEED", SEED);
    let wanted = setting("CLAVIGER_MODEL_OPERATIONS", OPERATIONS);
    let (mut requests, mut outcomes) = (0, BTreeSet::new());
    for n in 0..wanted.div_ceil(LENGTH as u64) {
        let ops = Dice(seed.wrapping_mul(1_000_003) ^ (n << 20)).sequence(LENGTH);
        match play(&ops).await {
            Ok(played) => {
                requests += played.requests;
                outcomes.extend(played.outcomes);
            }
            Err(_) => {
                let (ops, why) = shortened(ops).await;
                panic!("sequence {n} of seed {seed}: {why}\n{}", Literal(&ops));
            }
        }
    }
    println!("{requests} requests");
    for wanted in WANTED {
        assert!(outcomes.contains(*wanted), "{wanted} did not happen");
    }
}

/// What once failed stays right.
#[tokio::test]
async fn what_was_found_stays_right() {
    for (what, ops) in found::FOUND {
        if let Err(why) = play(ops).await {
            panic!("{what}: {why}\n{}", Literal(ops));
        }
    }
}
