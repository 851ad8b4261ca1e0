//! One flipped bit anywhere in the file: an error or a row, but no panic, hang or abort.
use super::suite::{Open, commit, print, rows_seen};
use super::{Backend, Digest, Embedded, Options, Revision, StoreError};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// A verified open checks the same pages again, so fewer do.
const FLIPS: u64 = 320;
const VERIFIED_FLIPS: u64 = 80;
/// The engine's header page, where a flip does most.
const HEADER_BYTES: u64 = 4096;
const HANG: Duration = Duration::from_secs(30);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// splitmix64
fn random(seed: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn value(i: u64) -> String {
    let length = if i.is_multiple_of(50) { 9000 } else { 400 + random(i) % 400 };
    format!("{i}.").repeat(9000)[..length as usize].to_owned()
}

type Rows = BTreeMap<Bytes, (Revision, Bytes)>;

fn build(dir: &Path) -> Rows {
    let store = Embedded::open(dir).unwrap();
    runtime().block_on(async {
        store.install(Arc::new(Open::default()), Digest::default(), Revision(0));
        for i in 1..=600 {
            let (key, value) = (format!("table\0{:05}", random(i) % 100_000), value(i));
            let read = store.get(key.as_bytes()).await.unwrap().map_or(0, |(r, _)| r.0);
            store.commit(commit(i, &[(&key, read)], &[(&key, Some(&value))])).await.unwrap();
        }
        let all = store.scan(Bytes::new()..Bytes::from("~"), usize::MAX).await.unwrap();
        all.into_iter().map(|(key, revision, value)| (key, (revision, value))).collect()
    })
}

/// What a store over a damaged file did, in a few words.
fn visit(dir: &Path, options: Options, rows: &Rows) -> Vec<&'static str> {
    let store = match Embedded::open_with(dir, options) {
        Ok(store) => store,
        Err(StoreError::Corrupt(text)) if text.starts_with("engine panicked") => {
            return vec!["open: panic caught"];
        }
        Err(_) => return vec!["open: error"],
    };
    let mut seen = Vec::new();
    let mut note = |error: &StoreError, panicked, failed| match error {
        StoreError::Corrupt(text) if text.starts_with("engine panicked") => seen.push(panicked),
        _ => seen.push(failed),
    };
    let mut differs = false;
    runtime().block_on(async {
        for (key, row) in rows {
            match store.get(key).await {
                Ok(found) => differs |= found.as_ref() != Some(row),
                Err(e) => note(&e, "get: panic caught", "get: error"),
            }
        }
        if let Err(e) = store.scan(Bytes::new()..Bytes::from("~"), usize::MAX).await {
            note(&e, "scan: panic caught", "scan: error");
        }
        if let Err(e) = store.sum(Arc::new(print)).await {
            note(&e, "walk: panic caught", "walk: error");
        }
        if let Err(e) = store.state().await {
            note(&e, "state: panic caught", "state: error");
        }
        // Rows all over the tree.
        for (i, key) in (1000..).zip(rows.keys().step_by(100)) {
            let mut blind = commit(i, &[], &[]);
            blind.write.insert(key.clone(), Some(Bytes::from("new")));
            if let Err(e) = store.commit(blind).await {
                note(&e, "write: panic caught", "write: error");
            }
        }
    });
    drop(store);
    if differs {
        seen.push("rows: altered or missing, no error (for the seal above to find)");
    }
    if seen.is_empty() {
        seen.push("nothing: all rows as written");
    }
    seen.sort_unstable();
    seen.dedup();
    seen
}

fn flip_everywhere(flips: u64, verify_on_open: bool) {
    let dir = tempfile::tempdir().unwrap();
    let rows = Arc::new(build(dir.path()));
    let file = dir.path().join("store.redb");
    let sound = std::fs::read(&file).unwrap();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for flip in 0..flips {
        let bytes = if flip % 4 == 0 { HEADER_BYTES } else { sound.len() as u64 };
        let bit = random(flip) % (bytes * 8);
        let mut damaged = sound.clone();
        damaged[(bit / 8) as usize] ^= 1 << (bit % 8);
        std::fs::write(&file, damaged).unwrap();
        let (done, outcome) = mpsc::channel();
        let (path, rows) = (dir.path().to_owned(), rows.clone());
        let options = Options { verify_on_open, ..Options::default() };
        let visitor = std::thread::spawn(move || done.send(visit(&path, options, &rows)));
        match outcome.recv_timeout(HANG) {
            Ok(seen) => seen.into_iter().for_each(|what| *counts.entry(what).or_default() += 1),
            Err(e) => panic!("bit {bit}: {e:?} (timeout is a hang, disconnected a panic)"),
        }
        visitor.join().unwrap().unwrap();
    }
    eprintln!(
        "{flips} flips, verify_on_open {verify_on_open}, {} rows, {} bytes:",
        rows.len(),
        sound.len()
    );
    counts.iter().for_each(|(what, times)| eprintln!("{times:5} {what}"));
}

#[test]
fn a_flipped_bit_never_escapes() {
    flip_everywhere(FLIPS, false);
}

#[test]
fn a_flipped_bit_never_escapes_a_verified_open() {
    flip_everywhere(VERIFIED_FLIPS, true);
}

/// A separator above the rows, damaged so that a walk finds every row and a lookup goes astray: the
/// walk at start must notice, since to its caller an absent row is an answer.
#[test]
fn a_walk_notices_what_lookups_would_miss() {
    const PAGE: usize = 4096;
    const BRANCH: u8 = 2;
    let dir = tempfile::tempdir().unwrap();
    let rows = build(dir.path());
    let file = dir.path().join("store.redb");
    let sound = std::fs::read(&file).unwrap();
    let name = |at: &usize| sound[*at..].starts_with(b"table\0");
    let in_branch = |at: &usize| sound[at / PAGE * PAGE] == BRANCH;
    let ends: Vec<usize> = (0..sound.len()).filter(name).filter(in_branch).collect();
    let mut astray = 0;
    // The leading digit: many rows change sides. Old pages of the engine hold some of them.
    for at in ends.into_iter().step_by(3).take(200) {
        let mut damaged = sound.clone();
        damaged[at + 6] ^= 4;
        std::fs::write(&file, damaged).unwrap();
        let Ok(store) = Embedded::open(dir.path()) else { continue };
        let (end, walked) = runtime().block_on(rows_seen(&store));
        let lost = |key: &&Bytes| !matches!(runtime().block_on(store.get(key)), Ok(Some(_)));
        let lost = rows.keys().filter(lost).count();
        let mut walked: Vec<_> = walked.into_iter().map(|(key, _)| Bytes::from(key)).collect();
        walked.sort();
        let differs = !walked.iter().eq(rows.keys());
        assert!(lost == 0 || end.is_err() || differs, "byte {at}: {lost} rows");
        astray += u32::from(lost > 0);
    }
    assert!(astray > 0, "no flip led a lookup astray: a weak sample");
}

/// A leaf with a key that belongs far behind it. A walk that takes it for the end of its part would leave the rows
/// behind it to nobody, though lookups and lists find them: one that was deleted could be put back there.
#[test]
fn a_row_out_of_its_place_hides_none_that_lookups_find() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<String> =
        (1..=9).map(|n| format!("table\0a{n}")).chain(["table\0b1".into()]).collect();
    let store = Embedded::open(dir.path()).unwrap();
    runtime().block_on(async {
        // One or two to a leaf.
        let value = "v".repeat(2000);
        for (revision, key) in (1..).zip(&keys) {
            store.commit(commit(revision, &[(key, 0)], &[(key, Some(&value))])).await.unwrap();
        }
    });
    drop(store);
    let file = dir.path().join("store.redb");
    let sound = std::fs::read(&file).unwrap();
    let places = (0..sound.len()).filter(|at| sound[*at..].starts_with(b"table\0a5"));
    let mut refused = 0;
    for at in places {
        let mut damaged = sound.clone();
        damaged[at + 6] = b'c';
        std::fs::write(&file, damaged).unwrap();
        let Ok(store) = Embedded::open(dir.path()) else { continue };
        let (end, walked) = runtime().block_on(rows_seen(&store));
        if end.is_err() {
            refused += 1;
            continue;
        }
        for key in &keys {
            let found = runtime().block_on(store.get(key.as_bytes())).unwrap();
            let seen = walked.iter().any(|(walked, _)| walked == key.as_bytes());
            assert!(seen || found.is_none(), "byte {at}: {key:?} is found and was not summed up");
        }
    }
    assert!(refused > 0, "the key in the leaf was not hit");
}
