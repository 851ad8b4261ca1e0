//! From a data directory and a device to a server.
use super::StartError;
use super::files::{lock, make_dir};
use crate::audit::{self, AuditSink, Log};
use crate::call::{self, Heavy, Outbox, Part, Server};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::control;
use crate::devices::Devices;
use crate::external::Proxies;
use crate::federation::Issuers;
use crate::functions::Functions;
use crate::identity::{AccessKey, Account, IdentityError, administrator};
use crate::last_use::LastUses;
use crate::machines::Machines;
use crate::monitor::Metrics;
use crate::quotas::{self, Guesses, Quotas};
use crate::random::{Random, SystemRandom};
use crate::root_of_trust::recovery;
use crate::root_of_trust::{Deployment, RootError, RootOfTrust};
use crate::services::Services;
use crate::store::{Embedded, Store, StoreError};
use crate::types::{AccountId, Region, SecretText};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many of the log's last records are searched for events that still wait in the outbox. The
/// outbox is emptied every second; no second has had this many.
const RECENT_RECORDS: u64 = 200_000;

/// What a server is opened from.
#[derive(Debug)]
pub struct Opened {
    pub server: Arc<Server>,
    pub data: PathBuf,
    /// The server's audit log, to be closed at the end.
    pub log: Arc<Log>,
    /// Keeps every other process out of the directory.
    pub lock: File,
}

/// What the parts of a server are made with.
#[derive(Clone, Debug)]
pub struct Seams {
    pub devices: Arc<Devices>,
    pub proxies: Arc<Proxies>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub regions: BTreeSet<Region>,
    pub quotas: quotas::Settings,
    pub services: Services,
    pub functions: Functions,
    pub issuers: Arc<Issuers>,
    pub machines: Machines,
    pub public_url: Option<String>,
}

impl Seams {
    /// What a command needs that serves nobody: what the configuration says, and nothing that others reach.
    pub fn of_command(config: &Config, devices: Arc<Devices>) -> Result<Self, StartError> {
        Ok(Self {
            devices,
            proxies: Arc::default(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            regions: config.regions.clone(),
            quotas: config.quotas.clone(),
            services: Services::new(&config.services)
                .map_err(|e| StartError::Setup(e.to_string()))?,
            functions: Functions::default(),
            issuers: Arc::default(),
            machines: Machines::default(),
            public_url: None,
        })
    }
}

/// Root credentials that an account is to have.
#[derive(Clone, Debug)]
pub struct Seed {
    pub access_key_id: String,
    pub secret: SecretText,
    pub account: AccountId,
}

fn store_dir(data: &Path) -> PathBuf {
    data.join("store")
}
fn audit_dir(data: &Path) -> PathBuf {
    data.join("audit")
}

/// Opens an existing deployment with its devices.
pub async fn open(data: &Path, seams: Seams) -> Result<Opened, StartError> {
    let (devices, random, dir) = (seams.devices.clone(), seams.random.clone(), data.to_owned());
    let open = move |deployment| RootOfTrust::open(devices, random, &dir, deployment);
    open_by(data, seams, open).await
}

/// Opens one whose devices are gone with its recovery key.
pub async fn recover(
    data: &Path,
    seams: Seams,
    seed: recovery::Seed,
) -> Result<Opened, StartError> {
    let (devices, random, dir) = (seams.devices.clone(), seams.random.clone(), data.to_owned());
    let open = move |deployment| RootOfTrust::recover(devices, random, &dir, deployment, &seed);
    open_by(data, seams, open).await
}

async fn open_by(
    data: &Path,
    seams: Seams,
    open: impl FnOnce(Deployment) -> Result<RootOfTrust, RootError> + Send + 'static,
) -> Result<Opened, StartError> {
    check_private(data)?;
    match Deployment::read(data)? {
        Some(deployment) if deployment.ready => {
            let lock = lock(data)?;
            // Whoever had the lock may have changed it.
            let deployment = Deployment::read(data)?.unwrap_or(deployment);
            let root = blocking(move || open(deployment)).await??;
            let opened = assemble(lock, data, seams, root, false).await?;
            let root = opened.server.root.clone();
            blocking(move || root.bind()).await??;
            Ok(opened)
        }
        _ => Err(StartError::Data {
            path: data.to_owned(),
            what: "is no deployment yet: make one with `claviger init`".into(),
        }),
    }
}

/// Makes a deployment: the root key, the domain key, the store, and what `first` puts into it.
/// Until all of it is there nothing counts; what an interrupted attempt left is made anew.
pub async fn create(
    data: &Path,
    seams: Seams,
    first: impl AsyncFnOnce(&Server) -> Result<(), StartError>,
) -> Result<Opened, StartError> {
    make_dir(data)?;
    check_private(data)?;
    let lock = lock(data)?;
    discard_unfinished(data)?;
    let (devices, random, dir) = (seams.devices.clone(), seams.random.clone(), data.to_owned());
    let root = blocking(move || RootOfTrust::create(devices, random, &dir)).await??;
    let opened = assemble(lock, data, seams, root, true).await?;
    first(&opened.server).await?;
    opened.server.root.mark_ready()?;
    Ok(opened)
}

/// Refuses where a deployment is, and clears away what a creation that was cut short left behind.
fn discard_unfinished(data: &Path) -> Result<(), StartError> {
    let bad = |what: &str| StartError::Data { path: data.to_owned(), what: what.to_owned() };
    let rest = [store_dir(data), audit_dir(data)];
    match Deployment::read(data)? {
        Some(deployment) if deployment.ready => {
            Err(bad("is a deployment already; it was left unchanged"))
        }
        Some(_) => {
            for dir in rest.iter().filter(|dir| dir.exists()) {
                std::fs::remove_dir_all(dir).map_err(|e| bad(&e.to_string()))?;
            }
            Ok(())
        }
        None if rest.iter().any(|dir| dir.exists()) => Err(bad(
            "holds a store or an audit log, but no deployment.json, without which nothing opens \
             them. Restore that file from a backup, or use another directory",
        )),
        None => Ok(()),
    }
}

fn has_log(dir: &Path) -> bool {
    let Ok(mut entries) = std::fs::read_dir(dir) else { return false };
    entries.any(|e| e.is_ok_and(|e| e.path().extension().is_some_and(|ext| ext == "log")))
}

async fn assemble(
    lock: File,
    data: &Path,
    seams: Seams,
    root: RootOfTrust,
    new: bool,
) -> Result<Opened, StartError> {
    let root = Arc::new(root);
    let (store_at, audit_at) = (store_dir(data), audit_dir(data));
    if !new && !store_at.exists() {
        let what = "the store is gone, but deployment.json says that there was one".into();
        return Err(StartError::Data { path: store_at, what });
    }
    if !new && !has_log(&audit_at) {
        let what = "the audit log is gone, but deployment.json says that there was one".into();
        return Err(StartError::Data { path: audit_at, what });
    }
    for dir in [&store_at, &audit_at] {
        make_dir(dir)?;
    }
    let backend = blocking(move || Embedded::open(&store_at)).await??;
    let keys = Arc::new(root.row_keys()?);
    let store = Store::open(Arc::new(backend), keys, seams.random.clone(), new).await?;
    let (key, cluster, dir) = (root.audit_key(), root.cluster(), audit_at.clone());
    let (log, recovery) = blocking(move || Log::open(&dir, key.expose(), cluster)).await??;
    if recovery.torn_bytes > 0 {
        let bytes = recovery.torn_bytes;
        tracing::warn!(bytes, "cut off an unfinished, never acknowledged end of the audit log");
    }
    let logged = audit::last_store_revision(&audit_at, recovery.last_n)?.unwrap_or_default();
    if logged > store.acknowledged() {
        return Err(StartError::Data {
            path: data.to_owned(),
            what: format!(
                "the store is older than the audit log beside it: it has revision {}, the log was \
                 written at {logged}. A part of the directory was put back, or damaged. Restore \
                 the whole directory as it was at one moment",
                store.acknowledged()
            ),
        });
    }
    let log = Arc::new(log);
    let server = Arc::new(Server {
        store,
        root,
        devices: seams.devices,
        proxies: seams.proxies,
        audit: log.clone() as Arc<dyn AuditSink>,
        clock: seams.clock,
        random: seams.random,
        regions: seams.regions,
        metrics: Metrics::default(),
        quotas: Quotas::new(seams.quotas),
        outbox: Outbox::default(),
        guesses: Guesses::default(),
        heavy: Heavy::default(),
        last_uses: LastUses::default(),
        services: seams.services,
        functions: seams.functions,
        reattempts: Default::default(),
        issuers: seams.issuers,
        machines: seams.machines,
        public_url: seams.public_url,
    });
    let since = recovery.last_n.saturating_sub(RECENT_RECORDS);
    let known =
        |part| audit::recent_event_ids(&audit_at, if part == Part::Whole { 0 } else { since });
    let missing = call::replay(&server, known)
        .await
        .map_err(|e| StartError::Other(format!("cannot bring the audit log up to date: {e}")))?;
    if missing > 0 {
        tracing::warn!(missing, "logged events that a crash had kept from the audit log");
    }
    conclude_interrupted(&server).await?;
    Ok(Opened { server, data: data.to_owned(), log, lock })
}

/// Logs what became of changes of the root of trust in which the last process died.
async fn conclude_interrupted(server: &Server) -> Result<(), StartError> {
    let interrupted = control::conclude_interrupted(server).await.map_err(|e| {
        StartError::Other(format!("cannot log what became of an interrupted change: {e}"))
    })?;
    if interrupted > 0 {
        tracing::warn!(interrupted, "changes of the root of trust did not come to their end");
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| StartError::Other(e.to_string()))
}

/// A directory that others can read or write is refused: it holds wrapped keys and the audit log.
pub(super) fn check_private(dir: &Path) -> Result<(), StartError> {
    let bad = |what: String| StartError::Data { path: dir.to_owned(), what };
    let metadata = std::fs::metadata(dir).map_err(|e| bad(e.to_string()))?;
    let mode = metadata.permissions().mode() & 0o777;
    if !metadata.is_dir() {
        return Err(bad("is not a directory".into()));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(bad("belongs to another user".into()));
    }
    if mode & 0o077 != 0 {
        return Err(bad(format!("has mode {mode:o}; it must be 700: others must not get in")));
    }
    Ok(())
}

/// Puts an account with an administrator in place and answers the administrator's access key. An
/// administrator that is there already keeps its key.
pub async fn seed_administrator(
    server: &Server,
    account: &AccountId,
    known: Option<(String, SecretText)>,
) -> Result<(String, SecretText), IdentityError> {
    let (now, random) = (server.clock.now(), server.random.clone());
    let mut tx = server.store.begin();
    let account = Account::ensure(&mut tx, account, now).await?;
    let (_, key) = administrator::insert(&mut tx, &account, known, &*random, now).await?;
    tx.commit().await?;
    Ok((key.id.clone(), key.secret.clone()))
}

/// Whether the account's administrator is there.
pub async fn has_administrator(server: &Server, account: &AccountId) -> Result<bool, StoreError> {
    let mut tx = server.store.begin();
    administrator::exists(&mut tx, account).await
}

/// Gives further accounts their fixed root credentials.
pub async fn seed_accounts(server: &Server, seeds: &[Seed]) -> Result<(), IdentityError> {
    for seed in seeds {
        let now = server.clock.now();
        let mut tx = server.store.begin();
        Account::ensure(&mut tx, &seed.account, now).await?;
        let (id, secret) = (&seed.access_key_id, seed.secret.clone());
        AccessKey::seed_root(&mut tx, &seed.account, id, secret, now).await?;
        tx.commit().await?;
    }
    Ok(())
}
