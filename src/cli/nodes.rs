//! `claviger nodes`: the nodes that serve a deployment.
use super::StartError;
use super::control::{Where, print, run, unexpected};
use crate::control::{Command, NodeEntry, NodesCommand, Output};

#[derive(Debug, clap::Subcommand)]
pub(super) enum NodesArguments {
    /// List the nodes, when each was last heard of, and the roots that it opens the deployment by
    List {
        #[command(flatten)]
        at: Where,
    },
    /// Take a node out for good: what of it still runs writes nothing any more, and it must be joined
    /// anew. What it left to be logged another node logs
    Remove {
        #[command(flatten)]
        at: Where,
        /// The node's id
        #[arg(value_name = "ID")]
        id: String,
    },
}

pub(super) fn main(arguments: NodesArguments) -> Result<(), StartError> {
    let (at, command) = match arguments {
        NodesArguments::List { at } => (at, NodesCommand::List),
        NodesArguments::Remove { at, id } => (at, NodesCommand::Remove { id }),
    };
    run(&at, Command::Nodes(command), |outcome| match outcome? {
        Output::Nodes(nodes) => nodes.iter().try_for_each(|node| print(&line(node))),
        Output::NodeRemoved => print("Removed.\n"),
        _ => Err(unexpected()),
    })
}

/// A node says itself what it is called: nothing in that may steer a terminal.
fn line(node: &NodeEntry) -> String {
    let knowledge = node.knowledge_ms.map_or("unknown".into(), |ms| format!("{ms} ms"));
    let this = if node.is_this { " (this one)" } else { "" };
    let roots = if node.roots.is_empty() { "no root".into() } else { node.roots.join(", ") };
    format!(
        "{}{this}\n  name {}, slot {}, version {}, heard of {} s ago, knowledge then {knowledge} old\n  \
         opens by {}\n",
        node.id.escape_debug(),
        node.name.escape_debug(),
        node.slot,
        node.version.escape_debug(),
        node.seconds_ago,
        roots.escape_debug(),
    )
}
