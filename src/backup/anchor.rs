//! How far a store had come, in a small file on another disk: the store beside it may not be older. Whoever
//! puts a whole directory back to an earlier state puts its log back, too, and only this tells.
//!
//! One line of JSON: the deployment's id, the highest revision that was acknowledged, and an HMAC over it by a
//! key of the oldest domain key.
use super::BackupError;
use crate::seal::{self, Key32, Label};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// More than an anchor has.
const MAX_BYTES: u64 = 4096;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    cluster: Uuid,
    revision: u64,
    /// In hexadecimal digits.
    mac: String,
}

/// The anchor of one deployment.
#[derive(Debug)]
pub struct Anchor {
    path: PathBuf,
    cluster: Uuid,
    key: Key32,
    /// The revision in the file; 0 if it is empty.
    written: Mutex<u64>,
}

impl Anchor {
    /// Reads the file. `key` is of the oldest domain key. An empty file is one that is to be begun; one that
    /// is not there is an error, because its disk may only be away.
    pub fn open(path: &Path, cluster: [u8; 16], key: Key32) -> Result<Self, BackupError> {
        let broken = |what: &str| BackupError::broken(path, what);
        let cluster = Uuid::from_bytes(cluster);
        let bytes = match read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(broken(
                    "is not there, and is to tell whether the store is older than it should be. Is its disk \
                     mounted? A new anchor begins as an empty file: make one, if this one is lost",
                ));
            }
            read => read.map_err(BackupError::io(path))?,
        };
        let bytes = bytes.ok_or_else(|| {
            broken("is no file. Name the anchor itself: a link would be replaced, and not what it leads to")
        })?;
        let mut written = 0;
        if !bytes.is_empty() {
            let text: Text = serde_json::from_slice(&bytes).map_err(|_| broken("is no anchor"))?;
            if text.cluster != cluster {
                return Err(broken(&format!("is the anchor of deployment {}", text.cluster)));
            }
            let mac = hex::decode(&text.mac).unwrap_or_default();
            let revision = text.revision.to_be_bytes();
            if !seal::mac_matches(key.expose(), Label::ANCHOR, &[&revision], &mac) {
                return Err(broken("was not written by this deployment, or was changed"));
            }
            written = text.revision;
        }
        Ok(Self { path: path.to_owned(), cluster, key, written: Mutex::new(written) })
    }

    /// Refuses a path at which no anchor can be begun: something is there, or its directory is not.
    pub fn vacant(path: &Path) -> Result<(), BackupError> {
        let dir = path.parent().unwrap_or(path);
        if !dir.is_dir() {
            return Err(BackupError::broken(dir, "is no directory, and the anchor is to be in it"));
        }
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_file() && metadata.len() == 0 => Ok(()),
            Ok(_) => {
                Err(BackupError::broken(path, "is something already: a new anchor begins empty"))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(BackupError::io(path)(error)),
        }
    }

    /// Begins one where [`Self::vacant`] found room.
    pub fn begin(
        path: &Path,
        cluster: [u8; 16],
        key: Key32,
        revision: u64,
    ) -> Result<Self, BackupError> {
        Self::vacant(path)?;
        let cluster = Uuid::from_bytes(cluster);
        let anchor = Self { path: path.to_owned(), cluster, key, written: Mutex::default() };
        anchor.set(revision)?;
        Ok(anchor)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says. None if it is empty.
    pub fn revision(&self) -> Option<u64> {
        Some(*self.written.lock().unwrap_or_else(PoisonError::into_inner)).filter(|n| *n > 0)
    }

    /// Writes it, if it is higher than what is there. Durable when it returns. Blocks.
    pub fn advance(&self, revision: u64) -> Result<(), BackupError> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if revision > *written {
            self.write(revision)?;
            *written = revision;
        }
        Ok(())
    }

    /// Likewise, also to a lower one.
    pub fn set(&self, revision: u64) -> Result<(), BackupError> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(revision)?;
        *written = revision;
        Ok(())
    }

    fn write(&self, revision: u64) -> Result<(), BackupError> {
        let mac = seal::mac(self.key.expose(), Label::ANCHOR, &[&revision.to_be_bytes()]);
        let text = Text { cluster: self.cluster, revision, mac: hex::encode(mac) };
        let beside = self.path.with_added_extension("new");
        let attempt = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&beside)?;
            file.write_all(&serde_json::to_vec(&text)?)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            self.path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
        };
        attempt().map_err(BackupError::io(&self.path))
    }
}

/// None if something else than a file is there.
fn read(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    if !path.symlink_metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: [u8; 16] = [7; 16];

    fn key() -> Key32 {
        seal::derive(&[1; 32], Label::ANCHOR, &CLUSTER)
    }

    fn open(path: &Path) -> Result<Anchor, BackupError> {
        Anchor::open(path, CLUSTER, key())
    }

    #[test]
    fn it_goes_forward_and_back_only_when_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anchor");
        assert!(open(&path).unwrap_err().to_string().contains("Is its disk mounted?"));
        let anchor = Anchor::begin(&path, CLUSTER, key(), 5).unwrap();
        anchor.advance(9).unwrap();
        anchor.advance(7).unwrap();
        assert_eq!(open(&path).unwrap().revision(), Some(9));
        anchor.set(3).unwrap();
        assert_eq!(open(&path).unwrap().revision(), Some(3));
        // It does not write over what is there.
        assert!(Anchor::begin(&path, CLUSTER, key(), 1).is_err());
        File::create(&path).unwrap();
        assert_eq!(open(&path).unwrap().revision(), None);
        Anchor::begin(&path, CLUSTER, key(), 1).unwrap();
        assert_eq!(open(&path).unwrap().revision(), Some(1));
    }

    #[test]
    fn nobody_else_can_write_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anchor");
        Anchor::begin(&path, CLUSTER, key(), 58).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let other = Anchor::open(&path, [8; 16], key()).unwrap_err();
        assert!(other.to_string().contains("is the anchor of deployment"), "{other}");
        let stranger = seal::derive(&[2; 32], Label::ANCHOR, &CLUSTER);
        assert!(Anchor::open(&path, CLUSTER, stranger).is_err());
        std::fs::write(&path, text.replace("58", "57")).unwrap();
        let changed = open(&path).unwrap_err();
        assert!(changed.to_string().contains("was changed"), "{changed}");
        for bad in ["x", "{}", "[]", "\0", &text[..text.len() / 2]] {
            std::fs::write(&path, bad).unwrap();
            assert!(open(&path).unwrap_err().to_string().contains("is no anchor"), "{bad:?}");
        }
        std::fs::write(&path, &text).unwrap();
        assert_eq!(open(&path).unwrap().revision(), Some(58));
    }

    /// It would be replaced by the first write, and the other disk would have none any more.
    #[test]
    fn a_link_is_no_anchor() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("anchor"), dir.path().join("link"));
        Anchor::begin(&path, CLUSTER, key(), 5).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(open(&link).unwrap_err().to_string().contains("is no file"));
        File::create(&path).unwrap();
        assert!(Anchor::vacant(&link).unwrap_err().to_string().contains("is something already"));
        assert!(open(dir.path()).unwrap_err().to_string().contains("is no file"));
    }

    #[test]
    fn a_disk_that_is_full_or_away_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("away").join("anchor");
        assert!(Anchor::vacant(&path).unwrap_err().to_string().contains("is no directory"));
        std::fs::create_dir(dir.path().join("away")).unwrap();
        let anchor = Anchor::begin(&path, CLUSTER, key(), 1).unwrap();
        std::fs::remove_dir_all(dir.path().join("away")).unwrap();
        assert!(matches!(anchor.advance(2), Err(BackupError::Io { .. })));
        // What was not written is not taken for written.
        std::fs::create_dir(dir.path().join("away")).unwrap();
        anchor.advance(2).unwrap();
        assert_eq!(open(&path).unwrap().revision(), Some(2));
    }
}
