//! What becomes of commits and reads when the database or the way to it fails.
use super::Settings;
use super::databases::{
    self, ADMINISTRATOR, ADMINISTRATOR_PASSWORD, HOST, Postgres as Server, fresh,
};
use super::proxy::{Mode, Proxy};
use super::tests::{Thing, backend, get, put, settings, store, store_within};
use crate::store::suite::commit;
use crate::store::{Backend, Freshness, Store, StoreError};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// As the issue has it: service is back within ten seconds, by itself.
const BACK: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_found_out() {
    let server = databases::postgres();
    let proxy = Proxy::before(server.port).await;
    let schema = fresh("ambiguous");
    let settings = settings(proxy.port, &schema);
    let backend = backend(&settings, "node").await.unwrap();
    let mut before = 0;
    let modes = [Mode::CutBefore, Mode::CutAfter, Mode::Pooler, Mode::CutAfter, Mode::CutBefore];
    for (revision, mode) in (1..).zip(modes) {
        proxy.set(mode);
        let text = revision.to_string();
        let counted = commit(revision, &[("n", before)], &[("n", Some(&text))]);
        assert_eq!(backend.commit(counted).await, Ok(()), "{mode:?}");
        assert!(proxy.is_passing(), "the cut was not made");
        let now = backend.get(b"n").await.unwrap().unwrap();
        assert_eq!((now.0.0, &now.1[..]), (revision, text.as_bytes()));
        before = revision;
    }
    // Once each: neither was applied twice.
    let client = server.administrator().await;
    let groups = format!("SELECT sequence FROM {schema}.head");
    assert_eq!(client.query_one(&groups, &[]).await.unwrap().get::<_, i64>(0), 5);
}

/// Nor is it taken for settled by a database that lets nobody in for a while.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_found_out_once_the_database_lets_in_again() {
    let server = Server::start();
    let proxy = Proxy::before(server.port).await;
    let settings = settings(proxy.port, "closed");
    let backend = Arc::new(backend(&settings, "node").await.unwrap());
    backend.commit(commit(1, &[("n", 0)], &[("n", Some("x"))])).await.unwrap();
    let_in(&server, false).await;
    proxy.set(Mode::CutAfter);
    let waiting = tokio::spawn({
        let backend = backend.clone();
        async move { backend.commit(commit(2, &[("n", 1)], &[("n", Some("y"))])).await }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(proxy.is_passing() && !waiting.is_finished());
    let_in(&server, true).await;
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(backend.get(b"n").await.unwrap().unwrap().0.0, 2);
}

/// Whether the database lets anybody in who comes new.
async fn let_in(server: &Server, whether: bool) {
    let change = format!("ALTER DATABASE postgres ALLOW_CONNECTIONS {whether}");
    let elsewhere = server.login(ADMINISTRATOR, ADMINISTRATOR_PASSWORD, "template1").await.unwrap();
    elsewhere.batch_execute(&change).await.unwrap();
}

/// Who gave up during an outage has not used up the patience of those who came after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_is_tried_again_though_others_gave_up_before_it() {
    let server = Server::start();
    let proxy = Proxy::before(server.port).await;
    let settings = settings(proxy.port, "patience");
    let backend = Arc::new(backend(&settings, "node").await.unwrap());
    backend.commit(commit(1, &[("n", 0)], &[("n", Some("x"))])).await.unwrap();
    // Of the commits from now on the second is thrown back.
    let fault = "SET search_path = patience; CREATE SEQUENCE commits; \
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF nextval('patience.commits') = 2 THEN \
        RAISE EXCEPTION 'injected' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$; \
        CREATE TRIGGER fail BEFORE UPDATE ON head FOR EACH ROW EXECUTE FUNCTION fail()";
    server.execute(fault).await;
    let send = |revision, key: &'static str| {
        let backend = backend.clone();
        tokio::spawn(async move {
            backend.commit(commit(revision, &[(key, 0)], &[(key, Some("x"))])).await
        })
    };
    let_in(&server, false).await;
    proxy.set(Mode::CutAfter);
    let lost = send(2, "lost");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(proxy.is_passing() && !lost.is_finished());
    for given_up in [send(3, "given up"), lost] {
        let outcome = given_up.await.unwrap();
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
    let late = send(4, "late");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let_in(&server, true).await;
    assert_eq!(late.await.unwrap(), Ok(()));
    assert!(backend.get(b"lost").await.unwrap().is_some());
    assert_eq!(backend.get(b"given up").await, Ok(None));
    let tried = server.administrator().await;
    let tried = tried.query_one("SELECT last_value FROM patience.commits", &[]).await.unwrap();
    assert_eq!(tried.get::<_, i64>(0), 3, "one was thrown back");
}

/// Where commits wait for a standby that does not answer, none is acknowledged: not by finding out what became
/// of it, and not by a restart of the database, after which it may be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_no_standby_has_is_not_acknowledged() {
    let mut server = Server::start();
    let backend = Arc::new(backend(&settings(server.port, "alone"), "node").await.unwrap());
    let counted = |n| commit(n, &[("n", n - 1)], &[("n", Some("x"))]);
    backend.commit(counted(1)).await.unwrap();
    let standby = async |server: &Server, name| {
        server.execute(&format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'")).await;
        server.execute("SELECT pg_reload_conf()").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    standby(&server, "nobody").await;
    let waiting = tokio::spawn({
        let (backend, counted) = (backend.clone(), counted(2));
        async move { backend.commit(counted).await }
    });
    // Longer than an answer to COMMIT is waited for.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!waiting.is_finished());
    assert_eq!(backend.get(b"n").await.unwrap().unwrap().0.0, 1, "no standby has it");
    server.bounce(Signal::KILL);
    // However long that took, this one is waited for as long as callers wait: were the first taken for
    // settled, this would be tried, found out in the same way, and acknowledged.
    let next = backend.commit(counted(3)).await;
    assert!(matches!(next, Err(StoreError::Unavailable(_))), "{next:?}");
    let outcome = waiting.await.unwrap();
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    standby(&server, "").await;
    // It was made once, and nothing is in the way of the next.
    assert_eq!(backend.commit(counted(3)).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_throws_back_is_tried_again() {
    let server = databases::postgres();
    let schema = fresh("thrown");
    let settings = settings(server.port, &schema);
    let backend = backend(&settings, "node").await.unwrap();
    for (revision, code) in (1..).zip(["40001", "40P01", "55P03"]) {
        // A sequence does not go back with the transaction.
        let fault = format!(
            "SET search_path = {schema}; DROP SEQUENCE IF EXISTS faults CASCADE; \
             CREATE SEQUENCE faults; \
             CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('{schema}.faults') <= 4 THEN \
             RAISE EXCEPTION 'injected' USING ERRCODE = '{code}'; END IF; RETURN NEW; END $$; \
             CREATE OR REPLACE TRIGGER fail BEFORE UPDATE ON head FOR EACH ROW \
             EXECUTE FUNCTION fail()"
        );
        server.execute(&fault).await;
        let counted = commit(revision, &[("n", revision - 1)], &[("n", Some("x"))]);
        assert_eq!(backend.commit(counted).await, Ok(()), "{code}");
        assert_eq!(backend.get(b"n").await.unwrap().unwrap().0.0, revision);
    }
    // A full disk is said to be one, and writes go on when there is space again.
    let full = format!(
        "SET search_path = {schema}; CREATE SEQUENCE full_disk; \
         CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('{schema}.full_disk') <= 1 THEN \
         RAISE EXCEPTION 'injected' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$"
    );
    server.execute(&full).await;
    let counted = commit(4, &[("n", 3)], &[("n", Some("x"))]);
    assert!(matches!(backend.commit(counted.clone()).await, Err(StoreError::Full(_))));
    assert_eq!(backend.get(b"n").await.unwrap().unwrap().0.0, 3, "reads go on");
    assert_eq!(backend.commit(counted).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn knowledge_that_is_too_old_is_not_used() {
    let server = databases::postgres();
    let proxy = Proxy::before(server.port).await;
    // The default, and one that is longer.
    for bound in [1000, 3000].map(Duration::from_millis) {
        let settings = settings(proxy.port, &fresh("stale"));
        let store = store_within(&settings, "node", bound).await.unwrap();
        put(&store, "x", "1").await.unwrap();
        let bounded = async || store.begin_with(Freshness::Bounded).get::<Thing>(&["x"]).await;
        // What is told of its own commit has the row read once more.
        tokio::time::sleep(Duration::from_millis(300)).await;
        bounded().await.unwrap().unwrap();
        proxy.set(Mode::Stall);
        // The last look at the feed had begun up to a tenth of a second before.
        tokio::time::sleep(bound / 5).await;
        assert!(store.is_current() && bounded().await.is_ok(), "young knowledge serves: {bound:?}");
        tokio::time::sleep(bound * 4 / 5 + Duration::from_millis(100)).await;
        assert!(!store.is_current());
        assert!(matches!(bounded().await, Err(StoreError::Unavailable(_))), "it fails closed");
        assert!(matches!(get(&store, "x").await, Err(StoreError::Unavailable(_))));
        proxy.set(Mode::Pass);
        back(&store).await;
        assert!(bounded().await.unwrap().is_some());
    }
}

/// Waits until the store reads and writes again, and says how long that took.
#[expect(clippy::disallowed_methods, reason = "elapsed time")]
async fn back(store: &Store) {
    let begun = std::time::Instant::now();
    while put(store, "probe", "x").await.is_err() {
        assert!(begun.elapsed() < BACK, "not back after {BACK:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eprintln!("back after {:?}", begun.elapsed());
}

/// Writers that count, each in a row of its own, what they were told is written.
async fn outage(server: &mut Server, fault: impl AsyncFnOnce(&mut Server)) {
    let settings = settings(server.port, &fresh("outage"));
    outage_of(settings, async || fault(server).await).await;
}

async fn outage_of(settings: Settings, fault: impl AsyncFnOnce()) {
    let store = Arc::new(store(&settings, "node").await.unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let counts: Vec<_> = (0..8).map(|_| Arc::new(AtomicU64::new(0))).collect();
    let writers: Vec<_> = counts
        .iter()
        .enumerate()
        .map(|(writer, count)| {
            let (store, stop, count) = (store.clone(), stop.clone(), count.clone());
            tokio::spawn(async move {
                let mut next = 1;
                while !stop.load(Ordering::SeqCst) {
                    // One whose outcome is not known may have been written: it is written again.
                    if put(&store, &format!("w{writer}"), &next.to_string()).await.is_ok() {
                        count.store(next, Ordering::SeqCst);
                        next += 1;
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    fault().await;
    back(&store).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    let again = super::tests::store(&settings, "other").await.expect("the rows are those sealed");
    for (writer, count) in counts.iter().enumerate() {
        let written = get(&again, &format!("w{writer}")).await.unwrap().unwrap();
        let (written, told): (u64, u64) = (written.parse().unwrap(), count.load(Ordering::SeqCst));
        assert!(told > 0 && written >= told && written <= told + 1, "{written}, told {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_it_has_all_that_was_acknowledged() {
    let mut server = Server::start();
    // The last two are an immediate and a fast end.
    for how in [Signal::KILL, Signal::QUIT, Signal::INT] {
        outage(&mut server, async |server| server.bounce(how)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_for_a_while_it_goes_on() {
    let mut server = Server::start();
    outage(&mut server, async |server| server.pause(Duration::from_secs(5)).await).await;
}

/// The primary is lost for good, and the standby that its commits wait for takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_takes_over_has_all_that_was_acknowledged() {
    let primary = Server::start();
    let standby = primary.base_backup().follow(&primary);
    primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
    primary.execute("SELECT pg_reload_conf()").await;
    let client = primary.administrator().await;
    let is_in_step = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    for _ in 0..100 {
        if client.query_one(is_in_step, &[]).await.unwrap().get::<_, i64>(0) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    outage_of(several([primary.port, standby.port], "outage".into()), async || {
        primary.kill();
        standby.execute("SELECT pg_promote()").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_used_up_come_back() {
    let mut server = Server::start();
    outage(&mut server, async |server| server.use_up(Duration::from_secs(2)).await).await;
}

/// A read that takes too long ends at the database as well, and costs no connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_takes_too_long_ends_everywhere() {
    let server = Server::start();
    let backend = backend(&settings(server.port, "slow"), "node").await.unwrap();
    backend.commit(commit(1, &[("n", 0)], &[("n", Some("x"))])).await.unwrap();
    for _ in 0..4 {
        backend.get(b"n").await.unwrap();
    }
    let client = server.administrator().await;
    let ours = async || {
        let ours = "SELECT pid, state FROM pg_stat_activity \
            WHERE application_name = 'claviger' ORDER BY pid";
        let ours = client.query(ours, &[]).await.unwrap();
        let ours = ours.iter().map(|row| (row.get(0), row.get(1)));
        ours.collect::<Vec<(i32, String)>>()
    };
    let before = ours().await;
    let slow = "SET search_path = slow; ALTER TABLE rows RENAME TO real; CREATE VIEW rows AS \
        SELECT key, revision, value FROM real WHERE pg_sleep(60)::text IS NOT NULL";
    server.execute(slow).await;
    let read = backend.get(b"n").await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    let quick = "SET search_path = slow; DROP VIEW rows; ALTER TABLE real RENAME TO rows";
    tokio::time::timeout(Duration::from_secs(2), server.execute(quick)).await.expect("it runs on");
    assert_eq!(backend.get(b"n").await.unwrap().unwrap().0.0, 1);
    assert_eq!(ours().await, before);
}

/// Sessions whose prepared statements are of no use any more are left for new ones.
#[tokio::test(flavor = "multi_thread")]
async fn stale_sessions_are_left() {
    let server = databases::postgres();
    let schema = fresh("stale_plans");
    let backend = backend(&settings(server.port, &schema), "node").await.unwrap();
    backend.commit(commit(1, &[("n", 0)], &[("n", Some("x"))])).await.unwrap();
    for _ in 0..4 {
        backend.get(b"n").await.unwrap();
    }
    // The same values, of a type of another name.
    let change = "CREATE DOMAIN sealed AS bytea; ALTER TABLE rows ALTER COLUMN value TYPE sealed";
    server.execute(&format!("SET search_path = {schema}; {change}")).await;
    for _ in 0..8 {
        assert_eq!(backend.get(b"n").await.unwrap().unwrap().1, "x");
    }
    backend.commit(commit(2, &[("n", 1)], &[("n", Some("y"))])).await.unwrap();
}

/// A URL with two hosts.
fn several(ports: [u16; 2], schema: String) -> Settings {
    let [first, second] = ports;
    let one = settings(first, &schema);
    let both = format!("@{HOST}:{first},{HOST}:{second}/");
    Settings { url: one.url.replace(&format!("@{HOST}:{first}/"), &both), ..one }
}

/// Of several hosts one is silent: that it accepts connections and says nothing more, and that it does so
/// in the middle of its work, keeps nobody from the other one.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_host_is_passed_over() {
    let server = databases::postgres();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::before(server.port).await;
    let first = silent.local_addr().unwrap().port();
    let opened = store(&several([first, server.port], fresh("silent")), "node").await.unwrap();
    put(&opened, "x", "1").await.unwrap();
    assert_eq!(get(&opened, "x").await.unwrap().as_deref(), Some("1"));

    let behind = several([proxy.port, server.port], fresh("silenced"));
    let opened = store(&behind, "node").await.unwrap();
    put(&opened, "x", "1").await.unwrap();
    proxy.set(Mode::Stall);
    back(&opened).await;
    assert_eq!(get(&opened, "x").await.unwrap().as_deref(), Some("1"));
}
