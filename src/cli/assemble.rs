//! From a data directory and a device to a server.
use super::files::{lock, make_dir};
use super::{StartError, anchored, restore, shared};
use crate::audit::{self, AuditSink, Log};
use crate::backup::Anchor;
use crate::call::{self, Heavy, Outbox, Server};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, StoreKind, StoreSettings};
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
use crate::store::{Backend, Embedded, Store, StoreError};
use crate::types::{AccountId, Region, SecretText};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a server is opened from.
#[derive(Debug)]
pub struct Opened {
    pub server: Arc<Server>,
    pub data: PathBuf,
    /// The server's audit log, to be closed at the end.
    pub log: Arc<Log>,
    /// The configured anchor of the store.
    pub anchor: Option<Arc<Anchor>>,
    /// Keeps every other process out of the directory.
    pub lock: File,
}

impl Opened {
    /// Closes the log, and lets the anchor say how far the store has come.
    pub async fn close(self) -> Result<(), StartError> {
        let Self { server, log, anchor, lock, .. } = self;
        log.close().await?;
        if let Some(anchor) = &anchor {
            anchored::advance(anchor, &server).await?;
        }
        drop(lock);
        Ok(())
    }
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
    pub store: StoreSettings,
}

/// What is found in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing yet.
    New,
    /// Nothing yet, of a deployment that other nodes serve.
    Joining,
    Existing,
    /// A store that was just put back. It may be older than the log, and there may be no log.
    Restored,
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
            public_url: config.federation.as_ref().map(|f| f.issuer.clone()),
            store: config.store.verified_first(),
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

pub(super) fn store_dir(data: &Path) -> PathBuf {
    data.join("store")
}
pub(super) fn audit_dir(data: &Path) -> PathBuf {
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
    restore::refuse_half_done(data)?;
    match Deployment::read(data)? {
        Some(deployment) if deployment.ready => {
            let lock = lock(data)?;
            // Whoever had the lock may have begun a restore, or changed it.
            restore::refuse_half_done(data)?;
            let deployment = Deployment::read(data)?.unwrap_or(deployment);
            let deployment = shared::newest(&seams.store, deployment).await?;
            let root = blocking(move || open(deployment)).await??;
            let opened = assemble(lock, data, seams, Arc::new(root), State::Existing).await?;
            let root = opened.server.root.clone();
            shared::share(&root, opened.server.node.as_ref()).await?;
            blocking(move || root.bind()).await??;
            Ok(opened)
        }
        _ => Err(StartError::Data {
            path: data.to_owned(),
            what: "is no deployment yet: make one with `claviger init`, or have it join one with \
                   `claviger join`"
                .into(),
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
    if let Some(unfinished) = discard_unfinished(data)? {
        shared::discard(&seams.store, unfinished.cluster()).await?;
    }
    shared::vacant(&seams.store).await?;
    anchored::vacant(&seams.store)?;
    let (devices, random, dir) = (seams.devices.clone(), seams.random.clone(), data.to_owned());
    let root = blocking(move || RootOfTrust::create(devices, random, &dir)).await??;
    let store = seams.store.clone();
    let mut opened = assemble(lock, data, seams, Arc::new(root), State::New).await?;
    first(&opened.server).await?;
    opened.server.root.mark_ready()?;
    shared::share(&opened.server.root, opened.server.node.as_ref()).await?;
    opened.anchor = anchored::create(&store, &opened.server).await?;
    Ok(opened)
}

/// Makes this directory another node of a deployment, opened by its devices or by a recovery key. Until
/// all of it is there it counts for nothing, as in [`create`].
pub async fn join(
    data: &Path,
    seams: Seams,
    deployment: Deployment,
    seed: Option<recovery::Seed>,
) -> Result<Opened, StartError> {
    make_dir(data)?;
    check_private(data)?;
    let lock = lock(data)?;
    discard_unfinished(data)?;
    anchored::vacant(&seams.store)?;
    let (devices, random, dir) = (seams.devices.clone(), seams.random.clone(), data.to_owned());
    let open = move || match seed {
        Some(seed) => RootOfTrust::recover(devices, random, &dir, deployment, &seed),
        None => RootOfTrust::open(devices, random, &dir, deployment),
    };
    let root = Arc::new(blocking(open).await??);
    root.begin_file()?;
    let store = seams.store.clone();
    let mut opened = assemble(lock, data, seams, root, State::Joining).await?;
    shared::share(&opened.server.root, opened.server.node.as_ref()).await?;
    opened.anchor = anchored::create(&store, &opened.server).await?;
    Ok(opened)
}

/// Refuses where a deployment is, and clears away what a creation that was cut short left behind. Answers
/// what that was.
fn discard_unfinished(data: &Path) -> Result<Option<Deployment>, StartError> {
    let bad = |what: &str| StartError::Data { path: data.to_owned(), what: what.to_owned() };
    restore::refuse_half_done(data)?;
    let rest = [store_dir(data), audit_dir(data)];
    match Deployment::read(data)? {
        Some(deployment) if deployment.ready => {
            Err(bad("is a deployment already; it was left unchanged"))
        }
        Some(unfinished) => {
            for dir in rest.iter().filter(|dir| dir.exists()) {
                std::fs::remove_dir_all(dir).map_err(|e| bad(&e.to_string()))?;
            }
            Ok(Some(unfinished))
        }
        None if rest.iter().any(|dir| dir.exists()) => Err(bad(
            "holds a store or an audit log, but no deployment.json, without which nothing opens \
             them. Restore that file from a backup, or use another directory",
        )),
        None => Ok(None),
    }
}

pub(super) fn has_log(dir: &Path) -> bool {
    let Ok(mut entries) = std::fs::read_dir(dir) else { return false };
    entries.any(|e| e.is_ok_and(|e| e.path().extension().is_some_and(|ext| ext == "log")))
}

pub(super) async fn assemble(
    lock: File,
    data: &Path,
    seams: Seams,
    root: Arc<RootOfTrust>,
    state: State,
) -> Result<Opened, StartError> {
    let new = state == State::New;
    let (store_at, audit_at) = (store_dir(data), audit_dir(data));
    let postgresql = shared::settings(&seams.store)?;
    if !new && postgresql.is_none() && !store_at.exists() {
        let what = "the store is gone, but deployment.json says that there was one".into();
        return Err(StartError::Data { path: store_at, what });
    }
    if state == State::Existing && !has_log(&audit_at) {
        let what = "the audit log is gone, but deployment.json says that there was one".into();
        return Err(StartError::Data { path: audit_at, what });
    }
    for dir in [&store_at, &audit_at] {
        make_dir(dir)?;
    }
    let (backend, node): (Arc<dyn Backend>, _) = match postgresql {
        None => (Arc::new(blocking(move || Embedded::open(&store_at)).await??), None),
        Some(settings) => {
            let (backend, node) = shared::open(&settings, data, &seams, &root, new).await?;
            (backend, Some(node))
        }
    };
    let (keys, random) = (Arc::new(root.row_keys()?), seams.random.clone());
    let store = Store::open_with(backend, keys, random, new, seams.store.opening()).await?;
    let anchor = match state {
        State::New | State::Joining => None,
        State::Existing | State::Restored => anchored::read(&seams.store, &root).await?,
    };
    if let (Some(anchor), State::Existing) = (&anchor, state) {
        anchored::compare(data, seams.store.kind, anchor, &store)?;
    }
    let (key, cluster, dir) = (root.audit_key(), root.cluster(), audit_at.clone());
    let (log, recovery) = blocking(move || Log::open(&dir, key.expose(), cluster)).await??;
    if recovery.torn_bytes > 0 {
        let bytes = recovery.torn_bytes;
        tracing::warn!(bytes, "cut off an unfinished, never acknowledged end of the audit log");
    }
    let logged = audit::last_store_revision(&audit_at, recovery.last_n)?.unwrap_or_default();
    if state == State::Existing && logged > store.acknowledged() {
        return Err(older_than_log(data, seams.store.kind, store.acknowledged(), logged));
    }
    let log = Arc::new(log);
    let server = Arc::new(Server {
        store,
        node,
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
    // What waited in the outbox of a store that was put back may have been logged at any time.
    // So may what waits beside a log that was put back itself.
    let last = if state == State::Restored { 0 } else { recovery.last_n };
    let known = |after| audit::event_ids_after(&audit_at, if after > last { 0 } else { after });
    let missing = call::replay(&server, known)
        .await
        .map_err(|e| StartError::Other(format!("cannot bring the audit log up to date: {e}")))?;
    if missing > 0 {
        tracing::warn!(missing, "logged events that a crash had kept from the audit log");
    }
    conclude_interrupted(&server).await?;
    if let Some(anchor) = &anchor {
        anchored::begin(anchor, &server).await?;
    }
    Ok(Opened { server, data: data.to_owned(), log, anchor, lock })
}

fn older_than_log(data: &Path, kind: StoreKind, has: u64, logged: u64) -> StartError {
    let advice = match kind {
        StoreKind::Embedded => {
            "A part of the directory was put back, or damaged. Restore the whole directory as it was at one \
             moment, or give `claviger restore` --accept-older"
        }
        StoreKind::Postgresql => {
            "The database was put back. Restore it as it was last, or, if it is to go on from there, keep this \
             directory and join it with a new one (`claviger join`): docs/postgresql.md"
        }
    };
    let what = format!(
        "the store is older than the audit log beside it: it has revision {has}, the log was written at \
         {logged}. {advice}"
    );
    StartError::Data { path: data.to_owned(), what }
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
