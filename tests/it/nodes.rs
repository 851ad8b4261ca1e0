//! Turns at work that one node at a time does for all, on a real PostgreSQL.
use crate::databases::{self, fresh};
use crate::rotation::Stage;
use claviger::clock::{Clock, SystemClock};
use claviger::memory::LockedKey;
use claviger::nodes::{ThisNode, Work, turn};
use claviger::random::SystemRandom;
use claviger::seal::Table;
use claviger::store::postgres::{NodeIdentity, Postgres, Settings};
use claviger::store::{Opening, Record, RowKeys, Store, StoreError};
use claviger::types::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const CLUSTER: [u8; 16] = [7; 16];
const NOW: Timestamp = Timestamp(1_800_000_000_000);

#[derive(Debug, Serialize, Deserialize)]
struct Done {
    by: String,
}
impl Record for Done {
    const TABLE: Table = Table::new("done");
}

struct Node {
    this: ThisNode,
    store: Store,
}

async fn node(schema: &str, id: &str) -> Node {
    let settings = Settings {
        url: databases::postgres().url("postgres"),
        schema: schema.into(),
        tls: None,
        connections: 2,
    };
    let (name, version) = (id.to_owned(), "test".to_owned());
    let identity = NodeIdentity { id: id.into(), name, version, roots: Vec::new() };
    let database = Postgres::open(&settings, CLUSTER, &identity, true).await.unwrap();
    let this = ThisNode::new(database.nodes());
    let keys = RowKeys::new(CLUSTER, [(1, Arc::new(LockedKey::new(&[1; 32])))].into()).unwrap();
    let (keys, random) = (Arc::new(keys), Arc::new(SystemRandom));
    let opening = Opening::default();
    let store = Store::open_with(Arc::new(database), keys, random, true, opening).await.unwrap();
    Node { this, store }
}

impl Node {
    async fn has_turn(&self, work: Work, now: Timestamp) -> bool {
        turn(Some(&self.this), &self.store, work, now).await.unwrap().is_some()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_after_the_turn_was_lost_conflicts() {
    let schema = fresh("turns");
    let (one, other) = (node(&schema, "one").await, node(&schema, "other").await);
    let work = Work::SecretDeletion;
    let mine = turn(Some(&one.this), &one.store, work, NOW).await.unwrap().unwrap();
    assert!(!other.has_turn(work, NOW).await);
    assert!(other.has_turn(Work::Expiry, NOW).await, "each kind has its own");
    // As long as it is renewed it stays.
    for seconds in (0..200).step_by(10) {
        assert!(one.has_turn(work, NOW.plus_secs(seconds)).await);
        assert!(!other.has_turn(work, NOW.plus_secs(seconds + 5)).await);
    }
    let done = |node: &Node| Done { by: node.this.id().to_owned() };
    let mut tx = one.store.begin();
    mine.hold(&mut tx).await.unwrap();
    tx.put(&["work"], done(&one)).unwrap();
    tx.commit().await.unwrap();

    // It stops in the middle of something; another one takes over.
    let mut late = one.store.begin();
    mine.hold(&mut late).await.unwrap();
    let later = NOW.plus_secs(190 + 36);
    let theirs = turn(Some(&other.this), &other.store, work, later).await.unwrap().unwrap();
    late.put(&["work"], done(&one)).unwrap();
    assert_eq!(late.commit().await, Err(StoreError::Conflict));
    // Nor does anything of it begin.
    let mut again = one.store.begin();
    assert_eq!(mine.hold(&mut again).await, Err(StoreError::Conflict));
    assert!(!one.has_turn(work, later).await);
    let mut tx = other.store.begin();
    theirs.hold(&mut tx).await.unwrap();
    tx.put(&["work"], done(&other)).unwrap();
    tx.commit().await.unwrap();
    let found = one.store.begin().get::<Done>(&["work"]).await.unwrap().unwrap();
    assert_eq!(found.by, "other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_again_has_its_turn_at_once_and_its_earlier_life_none() {
    let schema = fresh("lives");
    let earlier = node(&schema, "same").await;
    let before = turn(Some(&earlier.this), &earlier.store, Work::Expiry, NOW).await.unwrap();
    let before = before.unwrap();
    let later = node(&schema, "same").await;
    assert!(later.has_turn(Work::Expiry, NOW).await);
    let mut tx = earlier.store.begin();
    assert_eq!(before.hold(&mut tx).await, Err(StoreError::Conflict));
    let ids = later.this.list().await.unwrap();
    assert_eq!(ids.len(), 1, "one place for both");
    // Who left something is gone only when it was not heard of for long.
    let asked = vec!["same".to_owned(), "nobody".to_owned()];
    assert_eq!(later.this.gone(asked).await.unwrap(), ["nobody"]);
}

/// Its leases would be too long for the others, and it would end what they still wait for.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_wrong_rotates_nothing() {
    let stage = Stage::of(Some(node(&fresh("astray"), "one").await.this)).await;
    let secret = stage.secret("db").await;
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    assert_eq!(stage.function.steps(&secret), "");
    assert!(!stage.run(&secret).await.unwrap().has_begun());
    // As the database's, and then it is done.
    let clock = &stage.world.clock;
    clock.advance(SystemClock.now().secs() - clock.now().secs());
    stage.scheduler.sweep().await;
    stage.assert_rotated(&secret, 1).await;
}
