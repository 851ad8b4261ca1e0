//! Which of the deployment's nodes this is: its slot is part of every revision that it writes, its
//! incarnation tells it from whoever had the slot before.
use super::trouble::Trouble;
use crate::store::StoreError;
use crate::store::numbers::SLOTS;
use tokio_postgres::Client;

/// Who a node is, for operators and for its own later starts.
#[derive(Clone, Debug)]
pub struct NodeIdentity {
    /// Never changes. A second process with the same id takes the first one's place.
    pub id: String,
    pub name: String,
    /// The server's.
    pub version: String,
    /// The roots that it can open the deployment with.
    pub roots: Vec<String>,
}

/// A node's place, good until somebody else is given it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub slot: u16,
    pub incarnation: i64,
}

/// A node that was not heard of for so long has lost its slot, if another one wants it. By the
/// database's clock.
const LEASE: &str = "60 seconds";

/// Takes the slot that the node had, or else one that nobody has. Under the head's lock, so that
/// nobody who loses a slot is in the middle of a commit.
pub(super) async fn claim(client: &Client, node: &NodeIdentity) -> Result<Lease, Trouble> {
    client
        .batch_execute("BEGIN; SELECT 1 FROM head ORDER BY sequence DESC LIMIT 1 FOR UPDATE")
        .await?;
    let removed = "SELECT 1 FROM removed WHERE id = $1";
    if client.query_opt(removed, &[&node.id]).await?.is_some() {
        return Err(removed_for_good(&node.id).into());
    }
    let lease = find_slot(client, node).await?;
    // Whoever had the slot goes, and with it its id.
    client.execute("DELETE FROM nodes WHERE slot = $1", &[&i32::from(lease.slot)]).await?;
    client
        .execute(
            "INSERT INTO nodes VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), NULL)",
            &[
                &i32::from(lease.slot),
                &lease.incarnation,
                &node.id,
                &node.name,
                &node.version,
                &node.roots,
            ],
        )
        .await?;
    client.batch_execute("COMMIT").await?;
    Ok(lease)
}

async fn find_slot(client: &Client, node: &NodeIdentity) -> Result<Lease, Trouble> {
    let own = client.query_opt("SELECT slot FROM nodes WHERE id = $1", &[&node.id]).await?;
    let found = match own {
        Some(own) => Some(own),
        None => {
            let free = format!(
                "SELECT s.slot FROM generate_series(0, {}) AS s(slot) \
                 LEFT JOIN nodes n ON n.slot = s.slot \
                 WHERE n.slot IS NULL OR n.last_seen < now() - interval '{LEASE}' \
                 ORDER BY n.slot IS NOT NULL, s.slot LIMIT 1",
                SLOTS - 1
            );
            client.query_opt(&free, &[]).await?
        }
    };
    let full = || StoreError::Unavailable(format!("all {SLOTS} slots for nodes are taken"));
    let found = found.ok_or_else(full)?;
    let slot = u16::try_from(found.get::<_, i32>(0)).ok().filter(|slot| *slot < SLOTS);
    let slot = slot.ok_or_else(|| StoreError::Corrupt("a node's slot is out of range".into()))?;
    // Never the same again, whichever rows were removed since.
    let incarnation = client.query_one("SELECT nextval('incarnations')", &[]).await?.get(0);
    Ok(Lease { slot, incarnation })
}

/// Says that the node is alive.
pub(super) async fn renew(client: &Client, lease: Lease) -> Result<(), Trouble> {
    let renewed = client
        .execute(
            "UPDATE nodes SET last_seen = now() WHERE slot = $1 AND incarnation = $2",
            &[&i32::from(lease.slot), &lease.incarnation],
        )
        .await?;
    if renewed == 1 { Ok(()) } else { Err(fenced().into()) }
}

/// The answer to a node that comes back all the same.
fn removed_for_good(id: &str) -> StoreError {
    StoreError::ReadOnly(format!(
        "this node, {id}, was removed from the deployment. To serve it again, join it as a new node: \
         `claviger join` with an empty data directory"
    ))
}

/// The answer to a node whose slot was given to another one.
pub(super) fn fenced() -> StoreError {
    StoreError::ReadOnly("this node was removed, or another one has its slot".into())
}
