//! `claviger restore`: a data directory out of a backup. All of the file is checked with the domain keys
//! before anything is changed; from then until it is done, `restore.json` keeps every start out.
use super::assemble::{self, Seams, State, audit_dir, has_log, store_dir};
use super::backup::who_opens;
use super::control::print;
use super::files::{lock, make_dir, write_private};
use super::opened::{self, Key, Keys, off};
use super::verify::telling;
use super::{StartError, anchored};
use crate::audit::{self, AuditError, Log};
use crate::backup::{self, BackupError, Header, Whole, openers};
use crate::config::{Config, StoreKind};
use crate::failpoints::{self, Point};
use crate::root_of_trust::{Deployment, RootOfTrust};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub(super) struct RestoreArguments {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// Also where a store is already: it is put aside, as store.replaced
    #[arg(long)]
    replace: bool,
    /// Also if the audit log that is there, or the anchor, knows of later changes. They are lost, and the log
    /// says so
    #[arg(long)]
    accept_older: bool,
}

/// While it is there, a restore is under way or was cut short.
const MARKER: &str = "restore.json";

/// What was there before the first attempt.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Before {
    /// Whether there was a store. It is in its place until it is put aside.
    store: bool,
    /// The highest revision that the log and the anchor knew of.
    known: Option<u64>,
}

/// Refuses a directory into which a restore was begun and not ended.
pub(super) fn refuse_half_done(data: &Path) -> Result<(), StartError> {
    let what = match data.join(MARKER).symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => format!("{MARKER}: {error}"),
        Ok(_) => "a restore into it was cut short: give `claviger restore` again".into(),
    };
    Err(StartError::Data { path: data.to_owned(), what })
}

pub(super) fn main(arguments: &RestoreArguments) -> Result<(), StartError> {
    super::harden();
    super::logging::start(false);
    super::follow_plan()?;
    super::run_async(run(arguments))
}

async fn run(arguments: &RestoreArguments) -> Result<(), StartError> {
    let RestoreArguments { file, keys, .. } = arguments;
    let Some(config) = keys.config()? else {
        return Err(StartError::Other("give --config: it names the directory".into()));
    };
    if config.store.kind == StoreKind::Postgresql {
        let what = "the store of this configuration is in PostgreSQL, and is restored by its own tools: \
                    docs/postgresql.md";
        return Err(StartError::Other(what.into()));
    }
    let path = file.clone();
    let header = off(move || backup::read_header(&path)).await??;
    let key = match keys.given()? {
        Key::None => Key::Devices,
        key => key,
    };
    let target = Target::take(&config, arguments, &header)?;
    let opened = opened::open(file, &header, keys, key).await?;
    // What cannot be done with this configuration is refused before anything is changed.
    let seams = Seams::of_command(&config, opened.devices.clone())?;
    let before = match target.before {
        Some(before) => before,
        None => target.look(&config, &opened.root).await?,
    };
    // What the header says is not proven yet, but a refusal need not wait until it is.
    let older = before.known.is_some_and(|known| known > header.revision);
    if older && !arguments.accept_older {
        let unchanged = match target.before {
            None => "Nothing was changed",
            Some(_) => "The restore that was cut short is as it was",
        };
        return Err(target.bad(format!(
            "the backup is older than what is there: it has revision {}, and the audit log or the anchor knows \
             of {}. What was changed in between would be lost. --accept-older does it all the same, and the \
             log says so. {unchanged}",
            header.revision,
            before.known.unwrap_or_default()
        )));
    }
    let whole = opened::check(file, &opened.root).await?;
    if !whole.header.is_same(&header) {
        let what = "has changed since its header was read".into();
        return Err(BackupError::Broken { path: file.clone(), what }.into());
    }
    target.stage(file, &whole).await?;
    target.place(before, &opened.deployment)?;
    let said = json!({
        "file": file, "created": whole.header.created, "digest": whole.digest, "rows": whole.rows,
        "revision": whole.header.revision, "knownRevision": before.known, "acceptedOlder": older,
    });
    let aside = match before.store {
        true => "What was there before is in store.replaced: delete it when you are sure.\n",
        false => "",
    };
    target.finish(seams, opened.root, said).await?;
    print(&format!(
        "{} has the {} rows of revision {} that {} had.\n{aside}{}{}",
        config.data.display(),
        whole.rows,
        whole.header.revision,
        file.display(),
        who_opens(&opened.deployment.fingerprint(), &openers(&opened.deployment)),
        opened.doubt
    ))
}

/// The data directory, for this process alone.
struct Target {
    data: PathBuf,
    lock: File,
    /// Of a restore that was cut short here.
    before: Option<Before>,
}

impl Target {
    /// Takes the directory, and refuses one that must not be written over.
    fn take(
        config: &Config,
        arguments: &RestoreArguments,
        header: &Header,
    ) -> Result<Self, StartError> {
        let data = config.data.clone();
        make_dir(&data)?;
        assemble::check_private(&data)?;
        let target = Self { lock: lock(&data)?, before: read_marker(&data)?, data };
        let there = Deployment::read(&target.data)?;
        if there.as_ref().is_some_and(|there| there.cluster() != *header.cluster.as_bytes()) {
            let what =
                format!("is another deployment than {}, of which this is a backup", header.cluster);
            return Err(target.bad(what));
        }
        if target.before.is_some() {
            return Ok(target);
        }
        if (there.is_some() || target.store().exists()) && !arguments.replace {
            return Err(target.bad(
                "holds a deployment already; --replace puts its store aside. Nothing was changed",
            ));
        }
        if target.replaced().exists() {
            let what = "has the store that another restore put aside: move store.replaced away";
            return Err(target.bad(what));
        }
        Ok(target)
    }

    fn bad(&self, what: impl Into<String>) -> StartError {
        StartError::Data { path: self.data.clone(), what: what.into() }
    }

    fn failed(&self) -> impl Fn(std::io::Error) -> StartError + '_ {
        move |error| self.bad(error.to_string())
    }

    fn store(&self) -> PathBuf {
        store_dir(&self.data)
    }

    fn replaced(&self) -> PathBuf {
        self.data.join("store.replaced")
    }

    fn staged(&self) -> PathBuf {
        self.data.join("store.restoring")
    }

    /// What is there, and how far it had come.
    async fn look(&self, config: &Config, root: &Arc<RootOfTrust>) -> Result<Before, StartError> {
        let anchor = anchored::read(&config.store, root).await?;
        let anchored = anchor.and_then(|anchor| anchor.revision());
        let known = self.logged(root).await?.max(anchored);
        Ok(Before { store: self.store().exists(), known })
    }

    /// The revision that the last record of the log that is there was written at; none without a log.
    async fn logged(&self, root: &Arc<RootOfTrust>) -> Result<Option<u64>, StartError> {
        let (dir, root) = (audit_dir(&self.data), root.clone());
        if !has_log(&dir) {
            return Ok(None);
        }
        let read = move || -> Result<Option<u64>, AuditError> {
            // It must be a log of this deployment.
            let (log, recovery) = Log::open(&dir, root.audit_key().expose(), root.cluster())?;
            drop(log);
            audit::last_store_revision(&dir, recovery.last_n)
        };
        Ok(off(read).await??)
    }

    /// Writes the new store beside the old one. What a failure leaves is taken away.
    async fn stage(&self, file: &Path, whole: &Whole) -> Result<(), StartError> {
        let (file, dir, digest) = (file.to_owned(), self.staged(), whole.digest.clone());
        let staged = dir.clone();
        let load = move || -> Result<(), StartError> {
            remove_dir(&dir)
                .map_err(|e| StartError::Data { path: dir.clone(), what: e.to_string() })?;
            make_dir(&dir)?;
            backup::load(&file, &dir, &digest, telling("written"))?;
            Ok(())
        };
        let loaded = off(load).await?;
        if loaded.is_err() {
            // It is taken away by the next restore, if not now.
            let _ = remove_dir(&staged);
        }
        loaded
    }

    /// Puts the new store in the place of the old one. Whenever it is cut short, the same command goes on.
    fn place(&self, before: Before, deployment: &Deployment) -> Result<(), StartError> {
        let marker = format!("{}\n", json!(before));
        write_private(&self.data.join(MARKER), marker.as_bytes()).map_err(self.failed())?;
        failpoints::reach(Point::RestoreMarked);
        let (store, replaced) = (self.store(), self.replaced());
        if store.exists() {
            match before.store && !replaced.exists() {
                true => std::fs::rename(&store, &replaced).map_err(self.failed())?,
                // The attempt that was cut short had put it there.
                false => remove_dir(&store).map_err(self.failed())?,
            }
        }
        failpoints::reach(Point::RestoreAside);
        std::fs::rename(self.staged(), &store).map_err(self.failed())?;
        sync(&self.data).map_err(self.failed())?;
        failpoints::reach(Point::RestorePlaced);
        if Deployment::read(&self.data)?.as_ref() != Some(deployment) {
            deployment.write(&self.data)?;
        }
        Ok(())
    }

    /// Opens what was put together as a start does, and logs where it came from.
    async fn finish(
        self,
        seams: assemble::Seams,
        root: Arc<RootOfTrust>,
        said: Value,
    ) -> Result<(), StartError> {
        let marker = self.data.join(MARKER);
        let opened = assemble::assemble(self.lock, &self.data, seams, root, State::Restored);
        let opened = opened.await?;
        let recorded = opened.server.record("RestoreBackup", said).await;
        let recorded = recorded.map_err(|e| StartError::Other(e.to_string()));
        let root = opened.server.root.clone();
        off(move || root.bind()).await??;
        if let (Some(anchor), Ok(())) = (opened.anchor.clone(), &recorded) {
            let revision = opened.server.store.acknowledged();
            off(move || anchor.set(revision)).await??;
        }
        opened.log.close().await?;
        recorded?;
        failpoints::reach(Point::RestoreLogged);
        let bad =
            |e: std::io::Error| StartError::Data { path: marker.clone(), what: e.to_string() };
        std::fs::remove_file(&marker).map_err(bad)?;
        sync(&self.data).map_err(bad)
    }
}

/// What a restore that was cut short had found.
fn read_marker(data: &Path) -> Result<Option<Before>, StartError> {
    let path = data.join(MARKER);
    let bad = |what: String| StartError::Data { path: path.clone(), what };
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| bad(e.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(bad(error.to_string())),
    }
}

fn sync(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

fn remove_dir(dir: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_bears_the_markers_name_keeps_a_start_out() {
        let dir = tempfile::tempdir().unwrap();
        assert!(refuse_half_done(dir.path()).is_ok());
        std::os::unix::fs::symlink("nowhere", dir.path().join(MARKER)).unwrap();
        assert!(refuse_half_done(dir.path()).is_err());
        // Nor does it start where that cannot be told.
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(refuse_half_done(&file).is_err());
    }
}
