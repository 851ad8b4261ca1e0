//! A store whose rows are compared with its state while it is served.
use super::prove_tests::{TABLE, keys, put_back, sealed, write};
use super::sealed::Sealed;
use super::{Backend, Embedded, StoreError, Verify};
use crate::random::SystemRandom;
use std::sync::Arc;

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
        let Err(StoreError::Corrupt(text)) = store.check().await else { panic!("not found") };
        assert!(text.contains("rows were put back"), "{text}");
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
