//! What every backend must do, asked of each of them.
use super::{Backend, Commit, Digest, Embedded, Memory, Revision, StoreError, Sum, Witness};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Seals nothing: digest ‖ last ‖ a counter for the nonce, in the open, so that a test can read it.
#[derive(Debug, Default)]
pub(super) struct Open(AtomicU64);

impl Witness for Open {
    fn seal(&self, digest: Digest, last: Revision) -> Bytes {
        let nonce = self.0.fetch_add(1, Ordering::Relaxed);
        let words = digest.0.into_iter().chain([last.0, nonce]);
        words.flat_map(u64::to_be_bytes).collect()
    }

    fn open(&self, state: &[u8]) -> Result<(Digest, Revision), StoreError> {
        Ok(unseal(state))
    }
}

pub(super) fn unseal(state: &[u8]) -> (Digest, Revision) {
    let words: Vec<u64> =
        state.chunks(8).map(|word| u64::from_be_bytes(word.try_into().unwrap())).collect();
    (Digest(words[..4].try_into().unwrap()), Revision(words[4]))
}

/// Any function of key and revision will do; four lanes that differ.
pub(super) fn print(key: &[u8], revision: Revision) -> Digest {
    let mut lane = revision.0 ^ 0x9e37_79b9_7f4a_7c15;
    Digest([1u64, 2, 3, 4].map(|salt| {
        for byte in key {
            lane = (lane ^ u64::from(*byte) ^ salt).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        lane
    }))
}

pub(super) async fn sum_of_rows(store: &dyn Backend) -> Result<(Digest, u64), StoreError> {
    let sum = store.sum(Arc::new(print)).await?;
    Ok((sum.digest, sum.rows))
}

/// What a sum goes over.
pub(super) async fn rows_seen(
    store: &dyn Backend,
) -> (Result<Sum, StoreError>, Vec<(Vec<u8>, Revision)>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = seen.clone();
    let mark = move |key: &[u8], revision| {
        note.lock().unwrap().push((key.to_vec(), revision));
        Digest::default()
    };
    let sum = store.sum(Arc::new(mark)).await;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (sum, seen)
}

/// A commit with the delta its reads and writes imply. Every written key must have been read.
pub(super) fn commit(
    revision: u64,
    read: &[(&str, u64)],
    write: &[(&str, Option<&str>)],
) -> Commit {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let read: BTreeMap<_, _> = read.iter().map(|(k, r)| (bytes(k), Revision(*r))).collect();
    let write: BTreeMap<_, _> = write.iter().map(|(k, v)| (bytes(k), v.map(bytes))).collect();
    let revision = Revision(revision);
    let mut delta = Digest::default();
    for (key, value) in &write {
        let before = read[key];
        if before != Revision(0) {
            delta -= print(key, before);
        }
        if value.is_some() {
            delta += print(key, revision);
        }
    }
    Commit { revision, read, write, delta }
}

fn range(start: &str, end: &str) -> Range<Bytes> {
    Bytes::copy_from_slice(start.as_bytes())..Bytes::copy_from_slice(end.as_bytes())
}

fn row(revision: u64, value: &str) -> Option<(Revision, Bytes)> {
    Some((Revision(revision), Bytes::copy_from_slice(value.as_bytes())))
}

async fn visibility(store: &dyn Backend) {
    assert_eq!(store.get(b"a").await, Ok(None));
    assert_eq!(store.state().await, Ok(None));
    let first = commit(7, &[("a", 0), ("b", 0)], &[("a", Some("1")), ("b", Some(""))]);
    store.commit(first).await.unwrap();
    assert_eq!(store.get(b"a").await, Ok(row(7, "1")));
    assert_eq!(store.get(b"b").await, Ok(row(7, "")), "an empty value is not an absent one");
    assert_eq!(store.get(b"ab").await, Ok(None));
    assert_eq!(store.get(b"").await, Ok(None));
    store.commit(commit(9, &[("a", 7)], &[("a", Some("2"))])).await.unwrap();
    assert_eq!(store.get(b"a").await, Ok(row(9, "2")), "a row carries its own commit's revision");
    assert_eq!(store.get(b"b").await, Ok(row(7, "")));
    let several: [&[u8]; 4] = [b"b", b"absent", b"a", b"b"];
    let revisions = [7, 0, 9, 7].map(Revision);
    assert_eq!(store.revisions(&several).await.unwrap(), revisions);
    store.commit(commit(10, &[("a", 9)], &[("a", None)])).await.unwrap();
    assert_eq!(store.get(b"a").await, Ok(None));
    store.commit(commit(11, &[("a", 0)], &[("a", None)])).await.unwrap();
    store.commit(commit(12, &[("", 0)], &[("", Some("no name"))])).await.unwrap();
    assert_eq!(store.get(b"").await, Ok(row(12, "no name")));
    assert_eq!(store.state().await, Ok(None), "nobody was there to seal it");
    store.commit(Commit::default()).await.unwrap();
}

async fn conflicts(store: &dyn Backend) {
    let create = |revision| commit(revision, &[("k", 0)], &[("k", Some("x"))]);
    store.commit(create(1)).await.unwrap();
    assert_eq!(store.commit(create(2)).await, Err(StoreError::Conflict), "two who create");
    store.commit(commit(3, &[("k", 1)], &[("k", Some("y"))])).await.unwrap();
    let late = commit(4, &[("k", 1)], &[("k", Some("z"))]);
    assert_eq!(store.commit(late).await, Err(StoreError::Conflict), "two who read the same");
    let gone = commit(5, &[("absent", 4), ("k", 3)], &[("k", Some("z"))]);
    assert_eq!(store.commit(gone).await, Err(StoreError::Conflict), "what was read is gone");
    let appeared = commit(6, &[("k", 0), ("m", 0)], &[("m", Some("z"))]);
    assert_eq!(store.commit(appeared).await, Err(StoreError::Conflict), "absence is read too");
    let only_read = commit(7, &[("k", 1)], &[]);
    assert_eq!(store.commit(only_read).await, Err(StoreError::Conflict));
    store.commit(commit(8, &[("k", 3)], &[("k", None)])).await.unwrap();
    let deleted = commit(9, &[("k", 3)], &[("k", Some("again"))]);
    assert_eq!(store.commit(deleted).await, Err(StoreError::Conflict));
    store.commit(create(10)).await.unwrap();
    assert_eq!(store.get(b"k").await, Ok(row(10, "x")));
}

async fn a_refused_commit_leaves_nothing(store: &dyn Backend) {
    store.commit(commit(1, &[("m", 0)], &[("m", Some("1"))])).await.unwrap();
    let reads = [("a", 0), ("m", 0), ("z", 0)];
    let refused = commit(2, &reads, &[("a", Some("2")), ("m", None), ("z", Some("2"))]);
    assert_eq!(store.commit(refused).await, Err(StoreError::Conflict));
    let all = store.scan(range("", "~"), 9).await.unwrap();
    assert_eq!(all, [(Bytes::from("m"), Revision(1), Bytes::from("1"))]);
}

async fn scans(store: &dyn Backend) {
    let names: Vec<String> = (0..300).map(|i| format!("k{i:03}")).collect();
    for (name, revision) in names.iter().rev().zip(1..) {
        store.commit(commit(revision, &[(name, 0)], &[(name, Some("v"))])).await.unwrap();
    }
    let keys = async |start: &str, end: &str, limit| -> Vec<String> {
        let rows = store.scan(range(start, end), limit).await.unwrap();
        rows.into_iter().map(|(key, ..)| String::from_utf8(key.into()).unwrap()).collect()
    };
    assert_eq!(keys("", "~", 1000).await, names);
    assert_eq!(keys("", "~", usize::MAX).await, names);
    assert_eq!(keys("", "~", 299).await, names[..299]);
    assert_eq!(keys("", "~", 64).await, names[..64]);
    assert_eq!(keys("", "~", 65).await, names[..65]);
    assert_eq!(keys("", "~", 0).await, names[..0]);
    assert_eq!(keys("k010", "k012", 9).await, ["k010", "k011"], "the end is not in it");
    assert_eq!(keys("k010x", "k012", 9).await, ["k011"]);
    assert_eq!(keys("k010", "k010", 9).await, names[..0]);
    assert_eq!(keys("k012", "k010", 9).await, names[..0], "backwards is empty, not a panic");
    assert_eq!(keys("l", "m", 9).await, names[..0]);
    let all = store.scan(range("", "~"), 1000).await.unwrap();
    assert!(all.iter().all(|(key, revision, value)| {
        *value == "v"
            && revision.0 == 300 - key[1..].iter().fold(0, |n, d| n * 10 + u64::from(d - b'0'))
    }));
}

async fn nothing_is_lost_between_writers(store: Arc<dyn Backend>) {
    const WRITERS: u64 = 64;
    const STEPS: u64 = 10;
    store.install(Arc::new(Open::default()), Digest::default(), Revision(0));
    let revisions = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, revisions) = (store.clone(), revisions.clone());
            tokio::spawn(async move {
                let (mut steps, mut sum) = (0, Digest::default());
                let own = format!("writer {writer}");
                let mut own_revision = 0;
                while steps < STEPS {
                    let now = store.get(b"counter").await.unwrap();
                    let count: u64 = now
                        .as_ref()
                        .map_or(0, |(_, n)| std::str::from_utf8(n).unwrap().parse().unwrap());
                    let read = now.map_or(0, |(revision, _)| revision.0);
                    let revision = revisions.fetch_add(1, Ordering::Relaxed) + 1;
                    let next = (count + 1).to_string();
                    let commit = commit(
                        revision,
                        &[("counter", read), (&own, own_revision)],
                        &[("counter", Some(&next)), (&own, Some("x"))],
                    );
                    let delta = commit.delta;
                    match store.commit(commit).await {
                        Ok(()) => {
                            steps += 1;
                            sum += delta;
                            own_revision = revision;
                        }
                        Err(StoreError::Conflict) => tokio::task::yield_now().await,
                        Err(e) => panic!("{e}"),
                    }
                }
                (sum, own_revision)
            })
        })
        .collect();
    let (mut sum, mut last) = (Digest::default(), 0);
    for task in tasks {
        let (deltas, revision) = task.await.unwrap();
        sum += deltas;
        last = last.max(revision);
    }
    let counter = store.get(b"counter").await.unwrap().unwrap();
    assert_eq!(counter.1, (WRITERS * STEPS).to_string());
    assert_eq!(unseal(&store.state().await.unwrap().unwrap()), (sum, Revision(last)));
    assert_eq!(sum_of_rows(&*store).await.unwrap(), (sum, WRITERS + 1));
}

/// Where a store is after a group that has no higher revision: where several write, further.
fn further(store: &dyn Backend, before: u64) -> Revision {
    Revision(before + u64::from(store.slot().is_some()))
}

async fn the_state_follows_the_witness(store: &dyn Backend) {
    store.commit(commit(5, &[("early", 0)], &[("early", Some("1"))])).await.unwrap();
    assert_eq!(store.state().await, Ok(None));
    let start = Digest([u64::MAX, 1, 2, 3]);
    store.install(Arc::new(Open::default()), start, Revision(8));
    assert_eq!(store.state().await, Ok(None), "written with a commit, not before");
    let add = |revision, delta| Commit { delta, ..commit(revision, &[], &[]) };
    store.commit(add(6, Digest([2, 2, 2, u64::MAX]))).await.unwrap();
    let state = store.state().await.unwrap().unwrap();
    let last = further(store, 8);
    assert_eq!(unseal(&state), (Digest([1, 3, 4, 2]), last), "wraps; last never falls");
    assert_eq!(store.reached(), store.slot().map_or(Revision(0), |_| last));
    let refused = Commit { delta: Digest([9; 4]), ..commit(20, &[("early", 4)], &[]) };
    assert_eq!(store.commit(refused).await, Err(StoreError::Conflict));
    assert_eq!(store.state().await, Ok(Some(state)), "a refused commit does not count");
    store.commit(add(21, Digest([0; 4]))).await.unwrap();
    let state = store.state().await.unwrap().unwrap();
    assert_eq!(unseal(&state), (Digest([1, 3, 4, 2]), Revision(21)));
}

async fn clearing(store: &dyn Backend) {
    store.clear().await.unwrap();
    for (i, name) in (1..).zip(["a", "b", "c"]) {
        store.commit(commit(i, &[(name, 0)], &[(name, Some("x"))])).await.unwrap();
    }
    store.clear().await.unwrap();
    assert_eq!(store.state().await, Ok(None));
    assert_eq!(store.scan(range("", "~"), 9).await, Ok(Vec::new()));
    store.install(Arc::new(Open::default()), Digest::default(), Revision(3));
    store.commit(commit(4, &[("a", 0)], &[("a", Some("x"))])).await.unwrap();
    store.clear().await.unwrap();
    assert_eq!(store.get(b"a").await, Ok(None));
    let state = store.state().await.unwrap().unwrap();
    assert_eq!(unseal(&state), (Digest::default(), further(store, 4)));
    store.commit(commit(5, &[("b", 0)], &[("b", Some("y"))])).await.unwrap();
    let (sum, _) = unseal(&store.state().await.unwrap().unwrap());
    assert_eq!(sum_of_rows(store).await.unwrap(), (sum, 1));
}

async fn every_row_is_visited(store: &dyn Backend) {
    // More than two chunks of the embedded store, in few commits.
    let mut expected = HashMap::new();
    for revision in 1..=9 {
        let keys: Vec<String> = (0..1000).map(|i| format!("{:04}", i * 9 + revision)).collect();
        let read: Vec<_> = keys.iter().map(|key| (key.as_str(), 0)).collect();
        let write: Vec<_> = keys.iter().map(|key| (key.as_str(), Some("v"))).collect();
        store.commit(commit(revision, &read, &write)).await.unwrap();
        expected.extend(keys.into_iter().map(|key| (key.into_bytes(), Revision(revision))));
    }
    let (sum, seen) = rows_seen(store).await;
    assert_eq!(sum.unwrap().rows, 9000);
    assert_eq!(seen.len(), 9000, "each once");
    assert_eq!(seen.into_iter().collect::<HashMap<_, _>>(), expected);
}

/// Every property, each in a store of its own.
pub(super) async fn suite(make: impl AsyncFn() -> Arc<dyn Backend>) {
    visibility(&*make().await).await;
    conflicts(&*make().await).await;
    a_refused_commit_leaves_nothing(&*make().await).await;
    scans(&*make().await).await;
    nothing_is_lost_between_writers(make().await).await;
    the_state_follows_the_witness(&*make().await).await;
    clearing(&*make().await).await;
    every_row_is_visited(&*make().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    suite(async || Arc::new(Memory::default()) as Arc<dyn Backend>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() {
    let dir = tempfile::tempdir().unwrap();
    let next = AtomicU64::new(0);
    suite(async || {
        let dir = dir.path().join(next.fetch_add(1, Ordering::Relaxed).to_string());
        std::fs::create_dir(&dir).unwrap();
        Arc::new(Embedded::open(&dir).unwrap()) as Arc<dyn Backend>
    })
    .await;
}
