//! What becomes of nodes whose database goes back to an earlier state under them.
use super::databases::{self, Postgres as Server, fresh};
use super::proxy::{Mode, Proxy};
use super::tests::{Thing, backend, get, put, settings, store, thing};
use crate::store::prove_tests::{TABLE, assert_damaged, prove, sealed, write};
use crate::store::sealed::Written;
use crate::store::suite::commit;
use crate::store::{Backend, Freshness, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// Notes the state that [`rewind`] goes back to.
async fn keep(server: &Server, schema: &str) {
    let keep = ["rows", "head", "feed"].map(|table| {
        format!("CREATE TABLE {schema}.old_{table} AS SELECT * FROM {schema}.{table};")
    });
    server.execute(&keep.concat()).await;
}

async fn rewind(server: &Server, schema: &str) {
    let put_back = ["rows", "head", "feed"].map(|table| {
        format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM old_{table};")
    });
    let put_back = put_back.concat();
    server.execute(&format!("BEGIN; SET search_path = {schema}; {put_back} COMMIT")).await;
}

/// A node is cut off while the database loses commits that it knows of, and another one commits as many.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_notices_it_when_others_have_caught_up() {
    let server = databases::postgres();
    let proxy = Proxy::before(server.port).await;
    let schema = fresh("rewound");
    let node = store(&settings(proxy.port, &schema), "node").await.unwrap();
    put(&node, "x", "1").await.unwrap();
    keep(server, &schema).await;
    put(&node, "x", "2").await.unwrap();
    assert_eq!(get(&node, "x").await.unwrap().as_deref(), Some("2"));
    proxy.set(Mode::Stall);
    rewind(server, &schema).await;
    let other = store(&settings(server.port, &schema), "other").await.unwrap();
    for text in ["a", "b", "c"] {
        put(&other, "y", text).await.unwrap();
    }
    proxy.set(Mode::Pass);
    let mut found = Ok(None);
    for _ in 0..100 {
        found = get(&node, "x").await;
        if !matches!(found, Err(StoreError::Unavailable(_))) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
    // For good, for everybody, and for what is written without a look.
    let bounded = node.begin_with(Freshness::Bounded).get::<Thing>(&["x"]).await.map(drop);
    assert!(matches!(bounded, Err(StoreError::Corrupt(_))), "{bounded:?}");
    assert!(!node.is_current() && node.check_writable().is_err());
    let mut tx = node.begin();
    tx.put(&["z"], thing("1")).unwrap();
    let written = tx.commit().await;
    assert!(matches!(written, Err(StoreError::ReadOnly(_))), "{written:?}");
    assert_eq!(get(&other, "x").await.unwrap().as_deref(), Some("1"), "the other one goes on");
    other.check_writable().unwrap();
}

/// Without a word of the feed.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_committed_itself_it_misses_when_it_commits() {
    let server = databases::postgres();
    let schema = fresh("missed");
    let settings = settings(server.port, &schema);
    let (node, other) =
        (backend(&settings, "node").await.unwrap(), backend(&settings, "other").await.unwrap());
    keep(server, &schema).await;
    node.commit(commit(1, &[("a", 0)], &[("a", Some("1"))])).await.unwrap();
    rewind(server, &schema).await;
    for (before, revision) in [(0, 2), (2, 3)] {
        other.commit(commit(revision, &[("b", before)], &[("b", Some("1"))])).await.unwrap();
    }
    let late = node.commit(commit(4, &[("c", 0)], &[("c", Some("1"))])).await;
    assert!(matches!(late, Err(StoreError::Corrupt(_))), "{late:?}");
    assert!(node.check_writable().is_err());
}

/// A read had seen more than the feed has now, though the feed had told less.
#[tokio::test(flavor = "multi_thread")]
async fn what_any_read_has_seen_must_be_there() {
    let server = databases::postgres();
    let schema = fresh("seen");
    let settings = settings(server.port, &schema);
    let (node, other) =
        (backend(&settings, "node").await.unwrap(), backend(&settings, "other").await.unwrap());
    let feed = node.feed().unwrap();
    assert_eq!(feed.since(0).await.unwrap().sequence, 0);
    other.commit(commit(1, &[("a", 0)], &[("a", Some("1"))])).await.unwrap();
    keep(server, &schema).await;
    other.commit(commit(2, &[("a", 1)], &[("a", Some("2"))])).await.unwrap();
    assert_eq!(node.get(b"a").await.unwrap().unwrap().0.0, 2);
    rewind(server, &schema).await;
    let told = feed.since(0).await;
    assert!(matches!(told, Err(StoreError::Corrupt(_))), "{told:?}");
    assert!(node.check_writable().is_err());
}

/// What was verified at the start is not forgotten before the first commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_went_back_before_the_first_commit_is_noticed() {
    let server = databases::postgres();
    for forgery in ["(SELECT state FROM old_head)", "NULL"] {
        let schema = fresh("first");
        let settings = settings(server.port, &schema);
        let before = store(&settings, "a").await.unwrap();
        put(&before, "a", "1").await.unwrap();
        keep(server, &schema).await;
        put(&before, "a", "2").await.unwrap();
        drop(before);
        let started = store(&settings, "a").await.unwrap();
        let forge = format!("SET search_path = {schema}; UPDATE head SET state = {forgery}");
        server.execute(&forge).await;
        let written = put(&started, "a", "3").await;
        assert!(matches!(written, Err(StoreError::Corrupt(_))), "{forgery}: {written:?}");
    }
}

/// Of two writers the one that is behind may make a row anew that the other one has deleted; a row that is back
/// without that is not what was written.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_made_anew_is_told_from_one_that_is_back() {
    let (server, schema) = (databases::postgres(), fresh("proved"));
    let settings = settings(server.port, &schema);
    let backends = ["one", "other"].map(async |id| Arc::new(backend(&settings, id).await.unwrap()));
    let [one, other] = backends;
    let (one, other) = (one.await, other.await);
    let first = sealed(one.clone()).await;
    let second = sealed(other.clone()).await;
    // Where each begins is up to chance.
    let ahead = write(&first, "a", Some("1")).await > write(&second, "b", Some("1")).await;
    let (high, low) = if ahead { (&first, &second) } else { (&second, &first) };
    // Who commits has caught up with those before.
    write(high, "c", Some("1")).await;
    let made = write(high, "x", Some("1")).await;
    write(high, "x", None).await;
    assert!(write(low, "x", Some("2")).await < made);
    prove(high, made, "x", "1").await.unwrap();

    write(high, "y", Some("1")).await;
    let (revision, row) = one.get(b"y").await.unwrap().unwrap();
    let last = write(high, "y", Some("2")).await;
    prove(high, last, "y", "2").await.unwrap();
    // Past whoever seals.
    let (revision, row) = (revision.0, hex::encode(row));
    let row = format!("revision = {revision}, value = decode('{row}', 'hex')");
    server.execute(&format!("UPDATE {schema}.rows SET {row} WHERE key = 'y'")).await;
    assert_damaged(prove(high, last, "y", "2").await);
}

/// Where the others' revisions begin is up to chance, and may be far ahead: an older state is told from a newer one
/// all the same.
#[tokio::test(flavor = "multi_thread")]
async fn every_commit_brings_the_state_further_whosever_it_is() {
    let settings = settings(databases::postgres().port, &fresh("further"));
    let mut nodes = Vec::new();
    for id in ["one", "other", "third"] {
        let backend: Arc<dyn Backend> = Arc::new(backend(&settings, id).await.unwrap());
        nodes.push(sealed(backend).await);
    }
    let mut before = 0;
    for round in 0..4 {
        // Each has a row of its own: what it reads takes it no further.
        for (node, key) in nodes.iter().zip(["a", "b", "c"]) {
            let revision = write(node, key, Some("1")).await;
            let now = node.newest().await.unwrap();
            assert!(now > before, "round {round}: {now} after {before}");
            assert_eq!(node.acknowledged(), now, "what its log and its anchor say");
            assert!(now >= revision.0);
            before = now;
        }
    }
}

/// The number of a row that is deleted unread is only the database's word. Whoever believes it has no numbers left,
/// and takes nobody along.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_revision_does_not_spread() {
    let (server, schema) = (databases::postgres(), fresh("forged"));
    let settings = settings(server.port, &schema);
    let one = sealed(Arc::new(backend(&settings, "one").await.unwrap())).await;
    let other = sealed(Arc::new(backend(&settings, "other").await.unwrap())).await;
    write(&one, "a", Some("1")).await;
    for forged in [1_u64 << 62, (1 << 62) + 1] {
        server.execute(&format!("UPDATE {schema}.rows SET revision = {forged}")).await;
        let now = one.revisions(&[b"a"]).await.unwrap()[0];
        assert_eq!(now.0, forged);
        let gone = Written { table: TABLE, value: None };
        let deleted = one.commit([("a".into(), now)].into(), [("a".into(), gone)].into()).await;
        assert_damaged(deleted.map(drop));
    }
    assert!(write(&other, "b", Some("1")).await.0 < 1 << 62);
    assert!(other.newest().await.unwrap() < 1 << 62);
}
