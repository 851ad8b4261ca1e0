//! `node.json` in the data directory: who this node is to the others of its deployment.
use super::StartError;
use super::files::write_private;
use crate::random::Random;
use crate::store::postgres::NodeIdentity;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

const FILE_NAME: &str = "node.json";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    /// Drawn at the first start. Two directories with one id would fence each other off.
    id: uuid::Uuid,
}

/// Reads who the node is, or decides it. `roots`: those that it can open the deployment with.
pub(super) fn identity(
    data: &Path,
    random: &dyn Random,
    roots: Vec<String>,
) -> Result<NodeIdentity, StartError> {
    let path = data.join(FILE_NAME);
    let bad = |what: String| StartError::Data { path: path.clone(), what };
    let node = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let node = Node { id: random.uuid() };
            let text = serde_json::to_string(&node).map_err(|e| bad(e.to_string()))?;
            let written = write_private(&path, format!("{text}\n").as_bytes());
            written.map_err(|e| bad(e.to_string()))?;
            node
        }
        Err(e) => return Err(bad(e.to_string())),
    };
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Ok(NodeIdentity {
        id: node.id.to_string(),
        name: host.trim().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        roots,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn a_node_stays_who_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = identity(dir.path(), &SystemRandom, Vec::new()).unwrap();
        assert_eq!(identity(dir.path(), &SystemRandom, Vec::new()).unwrap().id, first.id);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(identity(other.path(), &SystemRandom, Vec::new()).unwrap().id, first.id);
        std::fs::write(dir.path().join(FILE_NAME), "{}").unwrap();
        assert!(matches!(
            identity(dir.path(), &SystemRandom, Vec::new()),
            Err(StartError::Data { .. })
        ));
    }
}
