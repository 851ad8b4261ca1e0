//! (a) Flipped bits all over the store's file.
use super::{Outcome, Sound, edit};
use crate::harness::{Numbers, machine, now};
use memchr::memmem;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const FLIPS: u64 = 160;
/// The engine's header: the magic number, which of two roots counts, both roots, their checksums.
const HEADER: u64 = 320;
const PAGE: usize = 4096;

/// Bits to flip: a quarter each in the header, in sealed rows, in pages that are not empty, and
/// anywhere.
fn positions(file: &[u8]) -> Vec<(usize, u8)> {
    let mut numbers = Numbers(0xf11b);
    // Rows begin with this, behind their revision.
    let rows: Vec<usize> = memmem::find_iter(file, b"CLVR").collect();
    assert!(rows.len() > 40, "{} rows: is this the store?", rows.len());
    let pages: Vec<usize> = (PAGE..file.len())
        .step_by(PAGE)
        .filter(|at| file[*at..(at + PAGE).min(file.len())].iter().any(|byte| *byte != 0))
        .collect();
    let mut below = |end: usize| usize::try_from(numbers.below(end as u64)).unwrap();
    (0..FLIPS)
        .map(|n| {
            let at = match n % 4 {
                0 => below(usize::try_from(HEADER).unwrap()),
                1 => rows[below(rows.len())] - 8 + below(200),
                2 => pages[below(pages.len())] + below(PAGE),
                _ => below(file.len()),
            };
            (at.min(file.len() - 1), 1 << below(8))
        })
        .collect()
}

#[test]
fn a_flipped_bit_in_the_store_is_refused_or_noticed_or_harmless() {
    let _busy = machine(false);
    let began = now();
    let sounds = [Sound::new(), Sound::new()];
    let (counts, next) = (Mutex::new(BTreeMap::<Outcome, u32>::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for sound in &sounds {
            scope.spawn(|| {
                let file = std::fs::read(sound.deployment.store_file()).unwrap();
                let positions = positions(&file);
                while let Some((at, bit)) = positions.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let copy = sound.copy();
                    edit(&copy.store(), |bytes| bytes[*at] ^= bit);
                    let outcome = sound.visit(&copy, &format!("bit {bit:#04x} of byte {at}"));
                    *counts.lock().unwrap().entry(outcome).or_default() += 1;
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    eprintln!("{FLIPS} flips in {:?}: {counts:?}", began.elapsed());
    assert_eq!(counts.values().sum::<u32>(), u32::try_from(FLIPS).unwrap());
    for outcome in [Outcome::Refused, Outcome::Noticed, Outcome::Unharmed] {
        assert!(counts.contains_key(&outcome), "{outcome:?} did not happen: a weak sample");
    }
}
