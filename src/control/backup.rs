//! A backup of the store while it is served.
use super::{ControlError, Progress};
use crate::backup::{self, BackupError, Made, Watch};
use crate::call::Server;
use crate::types::Timestamp;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often the asker is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Ends the work when nobody waits for it any more.
struct Wanted(Arc<Watch>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// Writes a backup to a new file at `to`, an absolute path. The log says so before the file has its name.
pub(super) async fn create(
    server: &Server,
    to: PathBuf,
    progress: Progress<'_>,
) -> Result<Made, ControlError> {
    if !to.is_absolute() {
        let text = format!("{}: the server needs the whole path", to.display());
        return Err(ControlError::Refused(text));
    }
    if server.node.is_some() {
        let text = "the store is in PostgreSQL, and is backed up by pg_dump or pg_basebackup: docs/postgresql.md";
        return Err(ControlError::Refused(text.into()));
    }
    let exported = server.store.export()?;
    let created = Timestamp::whole_secs(server.clock.now()).to_string();
    let root = server.root.clone();
    let wanted = Wanted(Arc::default());
    let watch = wanted.0.clone();
    let (written, almost) = oneshot::channel::<Made>();
    let (go_on, may) = std::sync::mpsc::sync_channel(1);
    let mut work = tokio::task::spawn_blocking(move || {
        backup::create(&to, exported, &root, created, &watch, |made| {
            // Whoever is asked may be gone.
            let _ = written.send(made.clone());
            may.recv().map_err(|_| BackupError::GivenUp)
        })
    });
    let almost = async {
        match almost.await {
            Ok(made) => made,
            // It failed before; the work itself says why.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::pin!(almost);
    let mut tell = tokio::time::interval(TELL_EVERY);
    tell.tick().await;
    let ended = loop {
        tokio::select! {
            made = &mut work => break made,
            made = &mut almost => {
                let said = json!({
                    "file": made.file, "rows": made.rows, "bytes": made.bytes, "revision": made.revision,
                    "digest": made.digest,
                });
                server.record("CreateBackup", said).await?;
                let _ = go_on.send(());
                break (&mut work).await;
            }
            _ = tell.tick() => progress(wanted.0.rows()),
        }
    };
    let ended = ended.map_err(|e| ControlError::Refused(e.to_string()))?;
    Ok(ended?)
}
