//! The nodes of a deployment: shown, and taken out.
use super::{ControlError, Output};
use crate::call::Server;
use crate::store::postgres::Node;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Serialize, Deserialize)]
pub enum NodesCommand {
    List,
    Remove { id: String },
}

/// A node, as it was last heard of.
#[derive(Debug, Serialize, Deserialize)]
pub struct NodeEntry {
    pub id: String,
    pub name: String,
    pub slot: u16,
    pub version: String,
    pub seconds_ago: u64,
    /// How old its knowledge of the others' commits was then, in milliseconds.
    pub knowledge_ms: Option<u64>,
    pub roots: Vec<String>,
    /// The one that answers.
    pub is_this: bool,
}

pub(super) async fn execute(
    server: &Server,
    command: NodesCommand,
) -> Result<Output, ControlError> {
    let refused = |text: &str| ControlError::Refused(text.into());
    let alone = || refused("the store is no database: there is one node");
    let this = server.node.as_ref().ok_or_else(alone)?;
    match command {
        NodesCommand::List => {
            let entry = |node: Node| NodeEntry {
                is_this: node.id == this.id(),
                id: node.id,
                name: node.name,
                slot: node.slot,
                version: node.version,
                seconds_ago: node.seconds_ago,
                knowledge_ms: node.knowledge_ms,
                roots: node.roots,
            };
            Ok(Output::Nodes(this.list().await?.into_iter().map(entry).collect()))
        }
        NodesCommand::Remove { id } if id == this.id() => {
            Err(refused("this is the node that was asked: have another one remove it"))
        }
        NodesCommand::Remove { id } => {
            let announced = server.announce("RemoveNode", json!({ "node": id })).await?;
            let removed = this.remove(&id).await;
            let outcome = match &removed {
                Ok(removed) => json!({ "removed": removed }),
                Err(error) => json!({ "error": error.to_string() }),
            };
            server.conclude(announced, "ended", outcome).await?;
            match removed? {
                true => Ok(Output::NodeRemoved),
                false => Err(refused(
                    "there is no node of this id: `claviger nodes list`. One that has lost its place does \
                     not come back under it",
                )),
            }
        }
    }
}
