//! What is done outside of the store, in devices and files, cannot commit together with its event. So it
//! is announced: an event and a row before it begins, and when it has ended another event, with which the
//! row goes. A row that a crash left behind gets its second event at the next start. So there is no such
//! change without an event, whenever the power goes.
use super::Server;
use super::outbox::{ReplayError, owners_of};
use super::pipeline::deployment_event;
use crate::audit::Event;
use crate::nodes::ThisNode;
use crate::seal::Table;
use crate::store::{Record, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// More are never at work at once.
const LIMIT: usize = 1000;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    name: String,
    details: Value,
}

impl Record for Row {
    const TABLE: Table = Table::new("announced");
    const CACHED: bool = false;
}

/// A change that was announced and has not ended.
#[derive(Debug)]
#[must_use = "whatever becomes of the change is an event too"]
pub struct Announced {
    /// The row's.
    key: Vec<String>,
    row: Row,
}

impl Announced {
    fn key(&self) -> Vec<&str> {
        self.key.iter().map(String::as_str).collect()
    }
}

pub(super) async fn owners(server: &Server) -> Result<BTreeSet<String>, StoreError> {
    owners_of::<Row>(&server.store.begin()).await
}

impl Server {
    fn own_event(&self, name: &str, details: Value) -> Result<Event, StoreError> {
        let none = || StoreError::Unavailable("the deployment serves no region".into());
        let mut event = deployment_event(self, name, self.regions.first().ok_or_else(none)?);
        event.service_event_details = Some(details);
        Ok(event)
    }

    /// An event of the deployment: of no account, in the first region. `details` is an object.
    pub async fn record(&self, name: &str, details: Value) -> Result<(), ReplayError> {
        let event = self.own_event(name, details)?;
        self.commit_service_events(self.store.begin(), vec![event]).await
    }

    /// Says durably that a change is about to begin. If this fails it must not.
    pub async fn announce(&self, name: &str, details: Value) -> Result<Announced, ReplayError> {
        let event = self.own_event(name, with(&details, json!({ "phase": "begins" })))?;
        let key = self.own_key(&event.event_id).into_iter().map(str::to_owned).collect();
        let announced = Announced { key, row: Row { name: name.to_owned(), details } };
        let mut tx = self.store.begin();
        tx.put(&announced.key(), announced.row.clone())?;
        self.commit_service_events(tx, vec![event]).await?;
        Ok(announced)
    }

    /// Says what became of it: `phase` is `ended`, or `interrupted` if nobody knows.
    pub async fn conclude(
        &self,
        announced: Announced,
        phase: &'static str,
        outcome: Value,
    ) -> Result<(), ReplayError> {
        let Row { name, details } = &announced.row;
        let details = with(details, json!({ "phase": phase, "began": announced.key.last() }));
        let event = self.own_event(name, with(&details, outcome))?;
        let mut tx = self.store.begin();
        // Nobody else has concluded it.
        if tx.get::<Row>(&announced.key()).await?.is_none() {
            return Ok(());
        }
        tx.delete::<Row>(&announced.key())?;
        self.commit_service_events(tx, vec![event]).await
    }

    /// What was announced and not concluded: at the start, by a process of this node that is no more.
    pub async fn announced(&self) -> Result<Vec<Announced>, StoreError> {
        self.announced_by(self.node.as_ref().map(ThisNode::id)).await
    }

    /// Likewise, by another node.
    pub(super) async fn announced_by(
        &self,
        node: Option<&str>,
    ) -> Result<Vec<Announced>, StoreError> {
        let node: Vec<&str> = node.into_iter().collect();
        let rows = self.store.begin().list::<Row>(&node, None, LIMIT).await?.records;
        let announced = rows.into_iter().map(|(id, row)| {
            let key = node.iter().copied().chain([id.as_str()]).map(str::to_owned).collect();
            Announced { key, row: Row::clone(&row) }
        });
        Ok(announced.collect())
    }
}

/// An object with the members of another.
fn with(details: &Value, more: Value) -> Value {
    let mut all = details.clone();
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}
