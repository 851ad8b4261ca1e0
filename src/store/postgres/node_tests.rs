//! Several nodes on one database.
use super::databases::{self, fresh};
use super::tests::{Thing, backend, get, put, settings, store, thing};
use crate::store::suite::commit;
use crate::store::{Backend, Changed, Freshness, StoreError};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_sees_what_another_committed_before() {
    let settings = settings(databases::postgres().port, &fresh("pair"));
    let one = store(&settings, "one").await.unwrap();
    let other = store(&settings, "other").await.unwrap();
    for round in 0..200 {
        let (writer, reader) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        // Cached, and then out of date.
        get(reader, "x").await.unwrap();
        put(writer, "x", &round.to_string()).await.unwrap();
        assert_eq!(get(reader, "x").await.unwrap(), Some(round.to_string()));
    }
    // Bounded reads come to know it without asking.
    put(&one, "x", "last").await.unwrap();
    let mut seen = None;
    for _ in 0..100 {
        let mut tx = other.begin_with(Freshness::Bounded);
        seen = tx.get::<Thing>(&["x"]).await.unwrap().map(|thing| thing.text.clone());
        if seen.as_deref() == Some("last") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(seen.as_deref(), Some("last"));
    assert!(one.is_current() && one.knowledge_age().unwrap() < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_that_write_the_same_one_is_told() {
    let settings = settings(databases::postgres().port, &fresh("rivals"));
    let one = Arc::new(store(&settings, "one").await.unwrap());
    let other = Arc::new(store(&settings, "other").await.unwrap());
    for round in 0..50 {
        let name = format!("name{round}");
        let create = |store: Arc<crate::store::Store>, text: &'static str| {
            let name = name.clone();
            tokio::spawn(async move {
                let mut tx = store.begin();
                if tx.get::<Thing>(&[&name]).await.unwrap().is_some() {
                    return Err(StoreError::Conflict);
                }
                tx.put(&[&name], thing(text)).unwrap();
                tx.commit().await
            })
        };
        let (first, second) =
            tokio::join!(create(one.clone(), "one"), create(other.clone(), "other"));
        let winner = match (first.unwrap(), second.unwrap()) {
            (Ok(()), Err(StoreError::Conflict)) => "one",
            (Err(StoreError::Conflict), Ok(())) => "other",
            both => panic!("{both:?}"),
        };
        assert_eq!(get(&one, &name).await.unwrap().as_deref(), Some(winner));
        assert_eq!(get(&other, &name).await.unwrap().as_deref(), Some(winner));
    }
}

/// A counter that both add to, and a start that verifies the sum that both kept.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_between_nodes() {
    let settings = settings(databases::postgres().port, &fresh("counter"));
    let nodes = ["one", "other", "third"];
    let mut tasks = Vec::new();
    for id in nodes {
        let store = Arc::new(store(&settings, id).await.unwrap());
        for _ in 0..4 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                let mut done = 0;
                while done < 15 {
                    let mut tx = store.begin();
                    let now = match tx.get::<Thing>(&["n"]).await {
                        Ok(found) => found.map_or(0, |n| n.text.parse::<u64>().unwrap()),
                        Err(StoreError::Conflict) => continue,
                        Err(error) => panic!("{error}"),
                    };
                    tx.put(&["n"], thing(&(now + 1).to_string())).unwrap();
                    match tx.commit().await {
                        Ok(()) => done += 1,
                        Err(StoreError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let again = store(&settings, "fourth").await.unwrap();
    assert_eq!(get(&again, "n").await.unwrap().unwrap(), (3 * 4 * 15).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_replaced_writes_no_more() {
    let server = databases::postgres();
    let schema = fresh("fenced");
    let settings = settings(server.port, &schema);
    let first = backend(&settings, "same").await.unwrap();
    first.commit(commit(1, &[("a", 0)], &[("a", Some("1"))])).await.unwrap();
    let second = backend(&settings, "same").await.unwrap();
    assert_eq!(first.lease().slot, second.lease().slot);
    assert!(second.lease().incarnation > first.lease().incarnation);
    let late = commit(2, &[("a", 1)], &[("a", Some("2"))]);
    assert!(matches!(first.commit(late.clone()).await, Err(StoreError::ReadOnly(_))));
    assert!(matches!(first.commit(late.clone()).await, Err(StoreError::ReadOnly(_))));
    second.commit(late).await.unwrap();
    let third = backend(&settings, "third").await.unwrap();
    assert_ne!(third.lease().slot, second.lease().slot);
    // A slot that was freed begins no count anew.
    server.execute(&format!("DELETE FROM {schema}.nodes WHERE id = 'same'")).await;
    let fourth = backend(&settings, "fourth").await.unwrap();
    assert_eq!(fourth.lease().slot, second.lease().slot);
    let late = commit(3, &[("a", 2)], &[("a", Some("3"))]);
    assert!(matches!(second.commit(late).await, Err(StoreError::ReadOnly(_))));
}

/// There are 1024 slots. Only when all are taken does one go that belongs to a node long silent.
#[tokio::test(flavor = "multi_thread")]
async fn the_slot_of_a_silent_node_goes_when_no_other_is_free() {
    let server = databases::postgres();
    let schema = fresh("full");
    let settings = settings(server.port, &schema);
    drop(backend(&settings, "first").await.unwrap());
    let silent = backend(&settings, "silent").await.unwrap();
    let lease = silent.lease();
    let others = format!(
        "INSERT INTO {schema}.nodes (slot, incarnation, id, name, version, roots, last_seen) \
         SELECT n, 0, n::text, '', '', '{{}}', now() FROM generate_series(2, 1023) AS n"
    );
    server.execute(&others).await;
    let full = backend(&settings, "late").await.map(drop);
    assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
    let ages = "SET last_seen = now() - interval '61 seconds' WHERE id = 'silent'";
    server.execute(&format!("UPDATE {schema}.nodes {ages}")).await;
    let late = backend(&settings, "late").await.unwrap();
    assert_eq!(late.lease().slot, lease.slot);
    let refused = silent.commit(commit(1, &[("a", 0)], &[("a", Some("1"))])).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly(_))), "{refused:?}");
    late.commit(commit(1, &[("a", 0)], &[("a", Some("1"))])).await.unwrap();
}

/// What is in memory, and of one moment, is answered without asking the database, also while a commit of
/// this node's own is under way; what is of two moments is not.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_read_together_without_asking() {
    let server = databases::postgres();
    let schema = fresh("together");
    let settings = settings(server.port, &schema);
    let store = Arc::new(store(&settings, "node").await.unwrap());
    for name in ["a", "b", "c"] {
        put(&store, name, "1").await.unwrap();
    }
    let read = async || {
        let mut tx = store.begin_with(Freshness::Bounded);
        for name in ["a", "b"] {
            tx.get::<Thing>(&[name]).await?.unwrap();
        }
        tx.commit().await
    };
    read().await.unwrap();
    get(&store, "c").await.unwrap();
    let client = server.administrator().await;
    let lock = format!("BEGIN; LOCK TABLE {schema}.rows IN ACCESS EXCLUSIVE MODE");
    client.batch_execute(&lock).await.unwrap();
    let writer = store.clone();
    let writing = tokio::spawn(async move { put(&writer, "c", "2").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!writing.is_finished());
    let asked = tokio::time::timeout(Duration::from_millis(500), read()).await;
    asked.expect("the rows cannot be asked for at present").unwrap();
    client.batch_execute("ROLLBACK").await.unwrap();
    writing.await.unwrap().unwrap();
    // Another node's commit, which is come upon between two reads: the first of them is older.
    let other = super::tests::store(&settings, "other").await.unwrap();
    let mut conflicts = 0;
    for round in 0..20 {
        read().await.unwrap();
        let mut tx = store.begin_with(Freshness::Bounded);
        let first = tx.get::<Thing>(&["a"]).await.unwrap().unwrap();
        let both = async {
            let mut tx = other.begin();
            for name in ["a", "c"] {
                tx.get::<Thing>(&[name]).await?;
                tx.put(&[name], thing(&format!("round {round}")))?;
            }
            tx.commit().await
        };
        both.await.unwrap();
        let last = get(&store, "c").await.unwrap().unwrap();
        let mixed = tx.get::<Thing>(&["c"]).await.unwrap().unwrap();
        assert_eq!(
            (mixed.text.as_str(), last.as_str()),
            (&*format!("round {round}"), &*mixed.text)
        );
        assert_ne!(first.text, mixed.text);
        conflicts += usize::from(tx.commit().await == Err(StoreError::Conflict));
    }
    assert_eq!(conflicts, 20);
}

/// The tables may be migrated past a server that runs: it stops before it writes what newer ones do not
/// understand.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_old_by_now_writes_no_more() {
    let server = databases::postgres();
    let schema = fresh("migrated");
    let backend = backend(&settings(server.port, &schema), "node").await.unwrap();
    let next = |revision| commit(revision, &[("a", revision - 1)], &[("a", Some("1"))]);
    let migrate = async |from: i32| {
        let set = format!("SET version = 2, compatible_from = {from}");
        server.execute(&format!("UPDATE {schema}.schema_version {set}")).await;
    };
    backend.commit(next(1)).await.unwrap();
    migrate(1).await;
    backend.commit(next(2)).await.unwrap();
    migrate(2).await;
    let late = backend.commit(next(3)).await;
    assert!(matches!(late, Err(StoreError::ReadOnly(_))), "{late:?}");
    assert!(backend.check_writable().is_err());
}

/// A snapshot that somebody keeps open for long, a dump for one, makes neither reads nor commits walk over
/// all the versions of the head that it keeps.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_snapshot_makes_the_head_no_slower() {
    let server = databases::postgres();
    let schema = fresh("snapshot");
    let settings = settings(server.port, &schema);
    let backend = backend(&settings, "node").await.unwrap();
    backend.commit(commit(1, &[("n", 0)], &[("n", Some("x"))])).await.unwrap();
    let dump = server.administrator().await;
    let open = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class";
    dump.batch_execute(open).await.unwrap();
    // Each in a transaction of its own, as commits are.
    let many = format!(
        "DO $$ BEGIN FOR n IN 1..10000 LOOP \
         UPDATE {schema}.head SET sequence = sequence + 1; COMMIT; END LOOP; END $$"
    );
    server.execute(&many).await;
    backend.commit(commit(2, &[("n", 1)], &[("n", Some("y"))])).await.unwrap();
    let client = server.administrator().await;
    let touched = async || {
        // Told by each session once a second at most, when it has something to do.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        for _ in 0..4 {
            backend.get(b"n").await.unwrap();
        }
        let touched = "SELECT heap_blks_read + heap_blks_hit FROM pg_statio_user_tables \
            WHERE schemaname = $1 AND relname = 'head'";
        client.query_one(touched, &[&schema]).await.unwrap().get::<_, i64>(0)
    };
    let before = touched().await;
    for revision in 3..23 {
        let next = commit(revision, &[("n", revision - 1)], &[("n", Some("y"))]);
        backend.commit(next).await.unwrap();
        backend.get(b"n").await.unwrap();
    }
    let pages = touched().await - before;
    assert!((20..300).contains(&pages), "{pages} pages of the head for 24 reads and 20 commits");
    dump.batch_execute("COMMIT").await.unwrap();
}

/// What is long past goes from the feed, a part after each group, and whoever holds some of it holds up
/// nobody.
#[tokio::test(flavor = "multi_thread")]
async fn the_feed_is_trimmed_in_parts() {
    let server = databases::postgres();
    let schema = fresh("trimmed");
    let backend = backend(&settings(server.port, &schema), "node").await.unwrap();
    let fill = format!(
        "INSERT INTO {schema}.feed SELECT n, '', 0, now() - interval '11 minutes', '{{}}' \
         FROM generate_series(1, 4500) AS n; UPDATE {schema}.head SET sequence = 4500"
    );
    server.execute(&fill).await;
    let client = server.administrator().await;
    let hold = format!("BEGIN; SELECT 1 FROM {schema}.feed WHERE sequence <= 10 FOR UPDATE");
    client.batch_execute(&hold).await.unwrap();
    let left = format!("SELECT count(*) FROM {schema}.feed");
    for (revision, left_over) in (1..).zip([2501, 502, 13, 14]) {
        let before = revision - 1;
        let next = commit(revision, &[("n", before)], &[("n", Some("x"))]);
        let done = tokio::time::timeout(Duration::from_secs(1), backend.commit(next)).await;
        done.expect("it waits for nobody").unwrap();
        // It is trimmed once the answer is out.
        let mut now = 0;
        for _ in 0..100 {
            now = client.query_one(&left, &[]).await.unwrap().get::<_, i64>(0);
            if now == left_over {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(now, left_over, "after {revision}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_tells_every_group_in_order() {
    let server = databases::postgres();
    let schema = fresh("feed");
    let settings = settings(server.port, &schema);
    let backend = backend(&settings, "node").await.unwrap();
    let feed = backend.feed().unwrap();
    assert_eq!(feed.since(0).await.unwrap().sequence, 0);
    for (revision, key) in [(1, "a"), (2, "b"), (3, "c")] {
        backend.commit(commit(revision, &[(key, 0)], &[(key, Some("1"))])).await.unwrap();
    }
    let keys =
        |names: &[&'static str]| Changed::Keys(names.iter().map(|n| Bytes::from(*n)).collect());
    let since = async |after| feed.since(after).await.unwrap();
    assert_eq!((since(0).await.sequence, since(0).await.what), (3, keys(&["a", "b", "c"])));
    assert_eq!(since(2).await.what, keys(&["c"]));
    assert_eq!(since(3).await.what, keys(&[]));
    assert_eq!(feed.seen(), 3);
    server.execute(&format!("DELETE FROM {schema}.feed WHERE sequence < 3")).await;
    assert_eq!(since(1).await.what, Changed::Everything, "what was trimmed is not known");
    assert_eq!(since(2).await.what, keys(&["c"]));
    backend.clear().await.unwrap();
    assert_eq!(since(3).await.what, Changed::Everything);
    assert!(matches!(feed.since(5).await, Err(StoreError::Corrupt(_))), "the database went back");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_far_behind_is_not_told_every_group() {
    let server = databases::postgres();
    let schema = fresh("behind");
    let backend = backend(&settings(server.port, &schema), "node").await.unwrap();
    let fill = format!(
        "INSERT INTO {schema}.feed SELECT n, '', 0, now(), '{{}}' FROM generate_series(1, 300) AS n; \
         UPDATE {schema}.head SET sequence = 300"
    );
    server.execute(&fill).await;
    let feed = backend.feed().unwrap();
    for (after, what) in [(43, Changed::Everything), (44, Changed::Keys(Vec::new()))] {
        let told = feed.since(after).await.unwrap();
        assert_eq!((told.sequence, told.what), (300, what), "{after}");
    }
}
