//! A store whose rows are compared with its state while it is served.
use super::prove_tests::{TABLE, keys, put_back, sealed, write};
use super::sealed::Sealed;
use super::{Backend, Commit, Embedded, Opening, Record, Store, StoreError, Verify, row_key};
use crate::random::SystemRandom;
use crate::seal::Table;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Serialize, Deserialize)]
struct Thing(u32);

impl Record for Thing {
    const TABLE: Table = Table::new("verified");
}

async fn open(backend: Arc<Embedded>, verify: Verify) -> Store {
    let opening = Opening { verify, ..Opening::default() };
    Store::open_with(backend, keys(), Arc::new(SystemRandom), true, opening).await.unwrap()
}

async fn put(store: &Store, number: u32) {
    let mut tx = store.begin();
    tx.put(&["x"], Thing(number)).unwrap();
    tx.commit().await.unwrap();
}

async fn get(store: &Store) -> Result<u32, StoreError> {
    let thing = store.begin().get::<Thing>(&["x"]).await?;
    Ok(thing.unwrap().0)
}

async fn beside(backend: Arc<Embedded>) -> Sealed {
    let verify = Verify::WhileServing;
    Sealed::open(backend, keys(), Arc::new(SystemRandom), false, verify).await.unwrap()
}

#[tokio::test]
async fn what_was_put_back_is_found_and_nothing_is_answered_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Arc::new(Embedded::open(dir.path()).unwrap());
    let store = sealed(backend.clone()).await;
    let first = write(&store, "x", Some("1")).await;
    let (_, row) = backend.get(b"x").await.unwrap().unwrap();
    write(&store, "x", Some("2")).await;
    write(&store, "y", Some("1")).await;
    assert!(!store.check().await.unwrap(), "it was looked at before");

    let store = beside(backend.clone()).await;
    assert!(store.check().await.unwrap());
    assert!(!store.check().await.unwrap(), "once is enough");

    put_back(&*backend, "x", first, Some(row)).await;
    let store = beside(backend.clone()).await;
    assert_eq!(store.get(TABLE, &"x".into()).await.unwrap().unwrap().0, first);
    // What is written meanwhile, even over that row, does not make it right.
    write(&store, "x", Some("3")).await;
    write(&store, "z", Some("1")).await;
    for _ in 0..2 {
        let Err(error @ StoreError::Corrupt(_)) = store.check().await else { panic!("not found") };
        assert!(error.to_string().contains("rows were put back"), "{error}");
        store.distrust(error);
    }
    let told = [
        store.get(TABLE, &"y".into()).await.err(),
        store.scan(TABLE, "a".into().."z".into(), 9).await.err(),
        store.commit([].into(), [].into()).await.err(),
        store.check_writable().err(),
    ];
    for told in told {
        assert!(matches!(told, Some(StoreError::Corrupt(_))), "{told:?}");
    }
}

#[tokio::test]
async fn a_store_that_was_emptied_is_refused_before_it_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Arc::new(Embedded::open(dir.path()).unwrap());
    let opened = Sealed::open(backend, keys(), Arc::new(SystemRandom), false, Verify::WhileServing);
    assert!(matches!(opened.await, Err(StoreError::Corrupt(_))));
}

/// Neither are those believed that are in memory.
#[tokio::test]
async fn what_was_read_before_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Arc::new(Embedded::open(dir.path()).unwrap());
    let store = open(backend.clone(), Verify::BeforeServing).await;
    let key = row_key(Thing::TABLE, &["x"]).unwrap();
    put(&store, 1).await;
    let (first, old) = backend.get(&key).await.unwrap().unwrap();
    put(&store, 2).await;
    let (second, new) = backend.get(&key).await.unwrap().unwrap();
    drop(store);
    let change = async |revision, row| {
        let write = [(key.clone(), Some(row))].into();
        backend.commit(Commit { revision, write, ..Commit::default() }).await.unwrap();
    };

    change(first, old.clone()).await;
    let store = open(backend.clone(), Verify::WhileServing).await;
    assert!(!store.is_verified());
    assert_eq!(get(&store).await.unwrap(), 1, "believed until it was looked at");
    let before = store.state_number().unwrap();
    // Somebody is quick to put the right one in its place.
    change(second, new).await;
    assert_eq!(get(&store).await.unwrap(), 1);
    assert!(store.check_rows().await.unwrap());
    assert!(store.is_verified());
    assert_eq!(get(&store).await.unwrap(), 2);
    assert_ne!(store.state_number().unwrap(), before, "what was made of it is believed");

    let store = open(backend.clone(), Verify::WhileServing).await;
    assert_eq!(get(&store).await.unwrap(), 2);
    change(first, old).await;
    assert_eq!(get(&store).await.unwrap(), 2, "it is in memory");
    assert!(matches!(store.check_rows().await, Err(StoreError::Corrupt(_))));
    assert!(matches!(get(&store).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(store.trusted(), Err(StoreError::Corrupt(_))));
    assert!(!store.is_verified());
}

/// The rows and the state are of one moment.
#[tokio::test(flavor = "multi_thread")]
async fn commits_go_on_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Arc::new(Embedded::open(dir.path()).unwrap());
    let store = open(backend.clone(), Verify::BeforeServing).await;
    for number in 0..300 {
        let mut tx = store.begin();
        tx.put(&["other", &number.to_string()], Thing(number)).unwrap();
        tx.commit().await.unwrap();
    }
    drop(store);
    let mut written = 0;
    for _ in 0..20 {
        let store = open(backend.clone(), Verify::WhileServing).await;
        let is_over = AtomicBool::new(false);
        let check = async {
            assert!(store.check_rows().await.unwrap());
            is_over.store(true, Ordering::SeqCst);
        };
        let write = async {
            while !is_over.load(Ordering::SeqCst) {
                put(&store, written).await;
                written += 1;
            }
        };
        tokio::join!(check, write);
    }
    assert!(written >= 20, "{written}");
}
