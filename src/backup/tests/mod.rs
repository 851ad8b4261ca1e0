//! A backup of a small deployment, and what becomes of it when it is damaged, forged or cut off.
mod forged;
mod full;
mod name;

use super::frame::{FrameReader, FrameWriter, Kind, decode_rows, encode_rows};
use super::*;
use crate::devices::Devices;
use crate::random::SystemRandom;
use crate::root_of_trust::{Deployment, RootOfTrust};
use crate::seal::Table;
use crate::store::{Embedded, Record, Revision, Store};
use crate::types::Timestamp;
use bytes::Bytes;
use claviger_hsm::SoftwareHsm;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CREATED: &str = "2026-11-22T12:00:00Z";
const ROWS: usize = 40;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Thing {
    text: String,
}

impl Record for Thing {
    const TABLE: Table = Table::new("backup-test");
}

/// A store, the keys it is sealed with, and a directory for it.
struct Small {
    dir: tempfile::TempDir,
    root: RootOfTrust,
    store: Store,
}

impl Small {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let hsm = Arc::new(SoftwareHsm::seeded([3; 32]));
        let devices = Arc::new(Devices::only("software", hsm));
        let root = RootOfTrust::create(devices, Arc::new(SystemRandom), dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("store")).unwrap();
        let backend = Arc::new(Embedded::open(&dir.path().join("store")).unwrap());
        let keys = Arc::new(root.row_keys().unwrap());
        let store = Store::open(backend, keys, Arc::new(SystemRandom), true).await.unwrap();
        let small = Self { dir, root, store };
        for n in 0..ROWS {
            small.put(n, &format!("value {n}")).await;
        }
        small
    }

    async fn put(&self, n: usize, text: &str) {
        let mut tx = self.store.begin();
        let key = format!("{n:04}");
        tx.get::<Thing>(&[&key]).await.unwrap();
        tx.put(&[&key], Thing { text: text.to_owned() }).unwrap();
        tx.commit().await.unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn keys(&self) -> Keys {
        Keys::of(&self.root).unwrap()
    }

    fn back_up_to(&self, to: &Path, watch: &Watch) -> Result<Made, BackupError> {
        let exported = self.store.export().unwrap();
        create(to, exported, &self.root, CREATED.into(), watch, |_| Ok(()))
    }

    fn back_up(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        self.back_up_to(&path, &Watch::default()).unwrap();
        path
    }

    fn check(&self, file: &Path) -> Result<Whole, BackupError> {
        check(file, &self.keys(), |_| {})
    }

    /// What is in a store that was loaded from a backup.
    async fn loaded(&self, file: &Path, name: &str) -> Vec<String> {
        let dir = self.path(name);
        std::fs::create_dir(&dir).unwrap();
        let digest = self.check(file).unwrap().digest;
        load(file, &dir, &digest, |_| {}).unwrap();
        let backend = Arc::new(Embedded::open(&dir).unwrap());
        let keys = Arc::new(self.root.row_keys().unwrap());
        let store = Store::open(backend, keys, Arc::new(SystemRandom), false).await.unwrap();
        let mut texts = Vec::new();
        for n in 0..=ROWS {
            let key = format!("{n:04}");
            let thing = store.begin().get::<Thing>(&[&key]).await.unwrap();
            texts.extend(thing.map(|thing| thing.text.clone()));
        }
        texts
    }
}

/// A backup, frame by frame.
fn frames(path: &Path) -> Vec<(Kind, Vec<u8>)> {
    let mut reader = FrameReader::new(std::fs::File::open(path).unwrap(), path).unwrap();
    let mut found = Vec::new();
    loop {
        let frame = reader.next().unwrap();
        let last = frame.0 == Kind::End;
        found.push(frame);
        if last {
            reader.end().unwrap();
            return found;
        }
    }
}

#[test]
fn frames_are_read_as_they_were_written() {
    let path = Path::new("x");
    let rows: Vec<_> = (0..300_u32)
        .map(|n| {
            let value = Bytes::from(vec![7; n as usize * 3]);
            (Bytes::from(format!("key/{n:05}")), Revision(u64::from(n) << 40), value)
        })
        .collect();
    let mut writer = FrameWriter::new(Vec::new(), path).unwrap();
    writer.write(Kind::Header, b"{}").unwrap();
    writer.write(Kind::State, b"").unwrap();
    for some in rows.chunks(70) {
        writer.write(Kind::Rows, &encode_rows(some)).unwrap();
    }
    writer.write(Kind::End, b"end").unwrap();
    let (digest, written) = (writer.digest(), writer.into_inner());

    let mut reader = FrameReader::new(&written[..], path).unwrap();
    assert_eq!(reader.next().unwrap(), (Kind::Header, b"{}".to_vec()));
    assert_eq!(reader.next().unwrap(), (Kind::State, Vec::new()));
    let mut read = Vec::new();
    loop {
        match reader.next().unwrap() {
            (Kind::Rows, payload) => read.extend(decode_rows(payload).unwrap()),
            end => break assert_eq!(end, (Kind::End, b"end".to_vec())),
        }
    }
    assert_eq!(read, rows);
    assert_eq!((reader.digest(), reader.offset()), (digest, written.len() as u64));
    reader.end().unwrap();
}

#[test]
fn a_length_that_no_frame_has_is_refused() {
    let path = Path::new("x");
    let mut bytes = FrameWriter::new(Vec::new(), path).unwrap().into_inner();
    bytes.push(Kind::Rows as u8);
    let limit = 8_u32 << 20;
    for (length, words) in [(limit, "is not whole"), (limit + 1, "longer than any")] {
        let file = [bytes.as_slice(), &length.to_be_bytes()].concat();
        let refused = FrameReader::new(&file[..], path).unwrap().next().unwrap_err().to_string();
        assert!(refused.contains(words), "{length}: {refused}");
    }
    let mut writer = FrameWriter::new(Vec::new(), path).unwrap();
    writer.write(Kind::Rows, &vec![0; limit as usize]).unwrap();
    assert!(writer.write(Kind::Rows, &vec![0; limit as usize + 1]).is_err());
}

#[test]
fn rows_that_are_none_are_refused() {
    let row = (Bytes::from("key"), Revision(5), Bytes::from("value"));
    let good = encode_rows(std::slice::from_ref(&row));
    assert_eq!(decode_rows(good.clone()), Some(vec![row]));
    for length in 1..good.len() {
        assert_eq!(decode_rows(good[..length].to_vec()), None, "{length}");
    }
    let mut long = good;
    long[0] = 0xff;
    assert_eq!(decode_rows(long), None);
}

#[tokio::test]
async fn whatever_byte_is_flipped_and_wherever_it_is_cut_off_it_is_found_without_a_key() {
    let small = Small::new().await;
    let file = small.back_up("one.backup");
    let good = std::fs::read(&file).unwrap();
    let refused = |bytes: &[u8], at: usize| {
        std::fs::write(&file, bytes).unwrap();
        let verified = verify(&file, |_| {});
        assert!(matches!(verified, Err(BackupError::Broken { .. })), "{at}: {verified:?}");
    };
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        refused(&bytes, at);
        refused(&good[..at], at);
    }
    std::fs::write(&file, good).unwrap();
    verify(&file, |_| {}).unwrap();
}

#[tokio::test]
async fn what_was_backed_up_is_loaded_and_what_came_later_is_not() {
    let small = Small::new().await;
    let file = small.back_up("one.backup");
    let whole = verify(&file, |_| {}).unwrap();
    assert_eq!((whole.rows, &*whole.header.created), (ROWS as u64, CREATED));
    assert_eq!(whole.bytes, file.metadata().unwrap().len());
    small.put(ROWS, "later").await;
    small.put(0, "later").await;
    let expected: Vec<_> = (0..ROWS).map(|n| format!("value {n}")).collect();
    assert_eq!(small.loaded(&file, "loaded").await, expected);
}

/// What opens the rows is in the file as well, so it must be what opens them.
#[tokio::test]
async fn with_wraps_that_are_not_the_servers_there_is_no_backup() {
    let small = Small::new().await;
    let (ours, path) = (Deployment::path(small.dir.path()), small.path("one.backup"));
    let stranger =
        std::fs::read_to_string(Deployment::path(Small::new().await.dir.path())).unwrap();
    let kept = std::fs::read_to_string(&ours).unwrap();
    // A file of before: whole, of this deployment, and not what the server has.
    let now = Timestamp(1_800_000_000_000);
    small.root.rewrap(now).unwrap();
    let newer = std::fs::read_to_string(&ours).unwrap();
    for text in [&kept, &stranger] {
        assert_ne!(*text, newer);
        std::fs::write(&ours, text).unwrap();
        let refused = small.back_up_to(&path, &Watch::default()).unwrap_err().to_string();
        assert!(refused.contains("deployment.json: is not what this server has"), "{refused}");
        assert!(!path.exists() && !small.path("one.backup.partial").exists());
    }
    std::fs::remove_file(&ours).unwrap();
    let refused = small.back_up_to(&path, &Watch::default()).unwrap_err().to_string();
    assert!(refused.contains("is gone"), "{refused}");
    std::fs::write(&ours, newer).unwrap();
    small.check(&small.back_up("one.backup")).unwrap();
}

/// Commits that come while it is written are not in it, and it waits for none.
#[tokio::test]
async fn it_is_of_the_moment_at_which_the_export_began() {
    let small = Small::new().await;
    let exported = small.store.export().unwrap();
    small.put(1, "meanwhile").await;
    let (path, watch) = (small.path("one.backup"), Watch::default());
    create(&path, exported, &small.root, CREATED.into(), &watch, |_| Ok(())).unwrap();
    assert_eq!(watch.rows(), ROWS as u64);
    assert_eq!(small.loaded(&path, "loaded").await[1], "value 1");
}

#[tokio::test]
async fn nothing_is_written_over_and_what_is_given_up_leaves_nothing() {
    let small = Small::new().await;
    let file = small.back_up("one.backup");
    let again = small.back_up_to(&file, &Watch::default()).unwrap_err();
    assert!(matches!(again, BackupError::Exists { .. }), "{again}");

    let other = small.path("two.backup");
    let watch = Watch::default();
    watch.give_up();
    let given_up = small.back_up_to(&other, &watch).unwrap_err();
    assert!(matches!(given_up, BackupError::GivenUp), "{given_up}");
    // Refused at the last moment, when all of it is written.
    let (exported, root) = (small.store.export().unwrap(), &small.root);
    let refuse = |_: &Made| Err(BackupError::GivenUp);
    let watch = Watch::default();
    assert!(create(&other, exported, root, CREATED.into(), &watch, refuse).is_err());
    // Somebody took the name meanwhile.
    let exported = small.store.export().unwrap();
    let take = |_: &Made| {
        std::fs::write(&other, "theirs").unwrap();
        Ok(())
    };
    let taken = create(&other, exported, root, CREATED.into(), &watch, take);
    assert!(matches!(taken.unwrap_err(), BackupError::Exists { .. }));
    assert_eq!(std::fs::read(&other).unwrap(), b"theirs");
    assert!(!small.path("two.backup.partial").exists());
}

#[tokio::test]
async fn a_file_that_changes_after_it_was_checked_is_not_loaded() {
    let small = Small::new().await;
    let file = small.back_up("one.backup");
    let digest = small.check(&file).unwrap().digest;
    small.put(3, "changed").await;
    std::fs::remove_file(&file).unwrap();
    small.back_up("one.backup");
    let dir = small.path("loaded");
    std::fs::create_dir(&dir).unwrap();
    let refused = load(&file, &dir, &digest, |_| {}).unwrap_err();
    assert!(refused.to_string().contains("has changed since it was checked"), "{refused}");
    // Without its state nobody takes it for a store.
    let backend = Arc::new(Embedded::open(&dir).unwrap());
    let keys = Arc::new(small.root.row_keys().unwrap());
    assert!(Store::open(backend, keys, Arc::new(SystemRandom), false).await.is_err());
}
