//! The list of nodes and the copy that they share, in a real database.
use super::databases::{self, fresh};
use super::tests::{CLUSTER, backend, node, settings};
use super::{Postgres, SharedCopy, copy_in, discard_unfinished};
use crate::store::suite::commit;
use crate::store::{Backend, StoreError};
use std::time::Duration;

fn copy(revision: u64, text: &'static str) -> SharedCopy {
    SharedCopy { revision, document: text.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_say_how_they_are_and_one_that_is_removed_is_none() {
    let settings = settings(databases::postgres().port, &fresh("listed"));
    let one = backend(&settings, "one").await.unwrap();
    let other = backend(&settings, "other").await.unwrap();
    let roots = ["rk-1".to_owned(), "rk-2".to_owned()];
    assert!(one.nodes().report(&roots, Some(Duration::from_millis(17))).await.unwrap());
    let listed = other.nodes().list().await.unwrap();
    let [first, second] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((first.id.as_str(), first.slot, first.knowledge_ms), ("one", 0, Some(17)));
    assert_eq!((&first.roots[..], first.seconds_ago), (&roots[..], 0));
    assert_eq!((second.id.as_str(), second.slot, second.knowledge_ms), ("other", 1, None));
    // Its device is away for a moment: what it will need then stays known.
    one.nodes().report(&[], None).await.unwrap();
    assert_eq!(other.nodes().list().await.unwrap()[0].roots, roots);
    one.nodes().report(&roots[1..], None).await.unwrap();
    assert_eq!(other.nodes().list().await.unwrap()[0].roots, roots[1..]);

    // It may be there all the same, without a slot, and is not let back.
    assert!(!one.nodes().remove("nobody").await.unwrap());
    assert!(one.nodes().remove("nobody").await.unwrap(), "asked again, it is known");
    match backend(&settings, "nobody").await.map(drop) {
        Err(StoreError::ReadOnly(text)) => assert!(text.contains("was removed"), "{text}"),
        outcome => panic!("{outcome:?}"),
    }
    assert!(one.nodes().remove("other").await.unwrap());
    assert!(one.nodes().remove("other").await.unwrap(), "asked again, it is still so");
    assert!(!other.nodes().report(&[], None).await.unwrap());
    let written = other.commit(commit(1, &[("a", 0)], &[("a", Some("1"))])).await;
    assert!(matches!(written, Err(StoreError::ReadOnly(_))), "{written:?}");
    let replaced = other.nodes().replace_copy(0, &copy(1, "a")).await;
    assert!(matches!(replaced, Err(StoreError::ReadOnly(_))), "{replaced:?}");
    assert_eq!(one.nodes().copy().await.unwrap(), None);
    match backend(&settings, "other").await.map(drop) {
        Err(StoreError::ReadOnly(text)) => assert!(text.contains("was removed"), "{text}"),
        outcome => panic!("{outcome:?}"),
    }
    one.commit(commit(1024, &[("a", 0)], &[("a", Some("1"))])).await.unwrap();
}

/// A database that is another one for a while does not make a node none.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_database_says_nothing_of_who_is_a_node() {
    let server = databases::Postgres::start();
    let node = backend(&settings(server.port, "another"), "one").await.unwrap();
    assert!(node.nodes().report(&[], None).await.unwrap());
    let change = "UPDATE another.head SET cluster = decode(repeat('08', 16), 'hex'); \
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'claviger'";
    server.execute(change).await;
    let told = node.nodes().report(&[], None).await;
    assert!(matches!(told, Err(StoreError::ReadOnly(_))), "{told:?}");
    let back = "UPDATE another.head SET cluster = decode(repeat('07', 16), 'hex')";
    server.execute(back).await;
    assert!(node.nodes().report(&[], None).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_replace_the_copy_one_does() {
    let settings = settings(databases::postgres().port, &fresh("copied"));
    assert_eq!(copy_in(&settings).await.unwrap(), None, "not even tables");
    let one = backend(&settings, "one").await.unwrap();
    let other = backend(&settings, "other").await.unwrap();
    assert_eq!(copy_in(&settings).await.unwrap(), None);
    assert!(one.nodes().replace_copy(0, &copy(1, "a")).await.unwrap());
    assert!(one.nodes().replace_copy(0, &copy(1, "a")).await.unwrap(), "it is there");
    assert!(!other.nodes().replace_copy(0, &copy(1, "b")).await.unwrap());
    assert!(other.nodes().replace_copy(1, &copy(2, "b")).await.unwrap());
    assert!(!one.nodes().replace_copy(1, &copy(2, "c")).await.unwrap());
    assert_eq!(one.nodes().copy().await.unwrap(), Some(copy(2, "b")));
    assert_eq!(copy_in(&settings).await.unwrap(), Some(copy(2, "b")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unfinished_is_cleared_away_and_nothing_else() {
    let settings = settings(databases::postgres().port, &fresh("begun"));
    discard_unfinished(&settings, CLUSTER).await.unwrap();
    let begun = backend(&settings, "one").await.unwrap();
    begun.commit(commit(1, &[("a", 0)], &[("a", Some("1"))])).await.unwrap();
    discard_unfinished(&settings, [8; 16]).await.unwrap();
    assert!(begun.get(b"a").await.unwrap().is_some(), "another's is left alone");
    discard_unfinished(&settings, CLUSTER).await.unwrap();
    let again = Postgres::open(&settings, [8; 16], &node("one"), true).await.unwrap();
    assert_eq!(again.get(b"a").await.unwrap(), None);
    let late = begun.commit(commit(2, &[("a", 0)], &[("a", Some("1"))])).await;
    assert!(late.is_err(), "{late:?}");
    // Once there is a copy it is finished.
    assert!(again.nodes().replace_copy(0, &copy(1, "a")).await.unwrap());
    again.commit(commit(1, &[("b", 0)], &[("b", Some("1"))])).await.unwrap();
    discard_unfinished(&settings, [8; 16]).await.unwrap();
    assert!(again.get(b"b").await.unwrap().is_some());
}
