//! (a) Flipped bits all over the store's file.
use super::{Outcome, Sound, edit};
use crate::harness::{Numbers, machine, now};
use memchr::memmem;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const FLIPS: u64 = 152;
/// The engine's header: the magic number, which of two roots counts, both roots, their checksums.
const HEADER: u64 = 320;
/// Says which root counts, and whether the last stop was a clean one.
const GOD_BYTE: usize = 9;
const PAGE: usize = 4096;
const LANES: usize = 2;
const LAST_WRITE_FLIPS: u64 = 40;

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
    let anywhere = (0..FLIPS).map(|n| {
        let at = match n % 4 {
            0 => below(usize::try_from(HEADER).unwrap()),
            1 => rows[below(rows.len())] - 8 + below(200),
            2 => pages[below(pages.len())] + below(PAGE),
            _ => below(file.len()),
        };
        (at.min(file.len() - 1), 1 << below(8))
    });
    (0..8).map(|bit| (GOD_BYTE, 1 << bit)).chain(anywhere).collect()
}

/// Flips each bit in a copy of its own, on both cores.
fn flip_all(sound: &Sound, positions: &[(usize, u8)]) -> BTreeMap<Outcome, u32> {
    let (counts, next) = (Mutex::new(BTreeMap::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some((at, bit)) = positions.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let copy = sound.copy();
                    edit(&copy.store(), |bytes| bytes[*at] ^= bit);
                    let outcome = sound.visit(&copy, &format!("bit {bit:#04x} of byte {at}"));
                    *counts.lock().unwrap().entry(outcome).or_default() += 1;
                }
            });
        }
    });
    counts.into_inner().unwrap()
}

#[test]
fn a_flipped_bit_in_the_store_is_refused_or_noticed_or_harmless() {
    let _busy = machine(false);
    let began = now();
    let sound = Sound::new();
    let file = std::fs::read(sound.deployment.store_file()).unwrap();
    let counts = flip_all(&sound, &positions(&file));
    eprintln!("{} bytes, {FLIPS} flips in {:?}: {counts:?}", file.len(), began.elapsed());
    assert_eq!(u64::from(counts.values().sum::<u32>()), FLIPS + 8);
    for outcome in [Outcome::Refused, Outcome::Noticed, Outcome::Unharmed] {
        assert!(counts.contains_key(&outcome), "{outcome:?} did not happen: a weak sample");
    }
}

/// After a kill the engine looks for the newest root that is whole. One that a flipped bit has broken
/// must not make it go back, unseen, to the one before: then an acknowledged write would be gone.
#[test]
fn a_flipped_bit_in_the_last_write_before_a_kill_does_not_undo_it_unseen() {
    let (sound, before) = Sound::killed();
    let file = std::fs::read(sound.deployment.store_file()).unwrap();
    let mut numbers = Numbers(0x1a57);
    let changed: Vec<usize> =
        (0..before.len().min(file.len())).filter(|at| file[*at] != before[*at]).collect();
    assert!(!changed.is_empty());
    let mut positions: Vec<(usize, u8)> = (0..8).map(|bit| (GOD_BYTE, 1 << bit)).collect();
    for _ in 0..LAST_WRITE_FLIPS {
        let at = changed[usize::try_from(numbers.below(changed.len() as u64)).unwrap()];
        positions.push((at, 1 << numbers.below(8)));
    }
    let undone: Vec<_> = positions
        .iter()
        .filter(|position| {
            let one = || flip_all(&sound, std::slice::from_ref(position));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(one)).is_err()
        })
        .collect();
    eprintln!("{} flips, {} undid the last write", positions.len(), undone.len());
    assert!(undone.is_empty(), "{undone:x?}");
}

/// The same by hand: the whole file of an earlier moment.
#[test]
fn a_store_put_back_whole_is_refused() {
    let (sound, before) = Sound::killed();
    let copy = sound.copy();
    std::fs::write(copy.store(), before).unwrap();
    assert_eq!(sound.visit(&copy, "an older store"), Outcome::Refused);
}
