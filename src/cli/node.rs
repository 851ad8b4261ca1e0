//! `node.json` in the data directory: who this node is to the others of its deployment.
use super::StartError;
use crate::random::Random;
use crate::store::postgres::NodeIdentity;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const FILE_NAME: &str = "node.json";
const NEW_FILE_NAME: &str = "node.json.new";
const OWNER_ONLY: u32 = 0o600;

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
            write(data, &node).map_err(|e| bad(e.to_string()))?;
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

/// Whole or not at all. The caller holds the directory's lock.
fn write(data: &Path, node: &Node) -> std::io::Result<()> {
    let new = data.join(NEW_FILE_NAME);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(OWNER_ONLY).open(&new)?;
    serde_json::to_writer(&mut file, node)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&new, data.join(FILE_NAME))?;
    File::open(data)?.sync_all()
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
