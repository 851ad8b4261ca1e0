//! A server in this process, with a user, a key and a secret: driven through the operation tables.
use crate::Outcome;
use claviger::api;
use claviger::audit::{AuditError, AuditSink, Event, Log};
use claviger::authorize::Caller;
use claviger::call::{Arrival, Entry, Heavy, Outbox, Server};
use claviger::clock::SystemClock;
use claviger::devices::Devices;
use claviger::identity::{self, AccessKey, Account, NewUser, User};
use claviger::last_use::LastUses;
use claviger::monitor::Metrics;
use claviger::quotas::Quotas;
use claviger::random::{Random, SystemRandom};
use claviger::root_of_trust::RootOfTrust;
use claviger::store::{Backend, Embedded, Memory, Store};
use claviger::types::{AccountId, Tags};
use claviger_hsm::SoftwareHsm;
use serde_json::{Value, json};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "us-east-1";

/// Encodes every event as the log does, and forgets it.
#[derive(Debug)]
pub struct Forgetful;

#[async_trait::async_trait]
impl AuditSink for Forgetful {
    async fn record(&self, event: &Event) -> Result<(), AuditError> {
        event.to_json().map(drop)
    }

    fn last_number(&self) -> u64 {
        0
    }
}

/// A server and who calls it.
#[derive(Debug)]
pub struct World {
    pub server: Arc<Server>,
    pub caller: Caller,
    pub arrival: Arrival,
}

impl World {
    pub async fn in_memory(dir: &Path, audit: Arc<dyn AuditSink>) -> Outcome<Self> {
        std::fs::create_dir(dir)?;
        Self::assemble(dir, Arc::new(Memory::default()), audit).await
    }

    /// The store on disk, and events that are encoded and forgotten.
    pub async fn with_store_on_disk(dir: &Path, audit: Arc<dyn AuditSink>) -> Outcome<Self> {
        let store = dir.join("store");
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&store)?;
        Self::assemble(dir, Arc::new(Embedded::open(&store)?), audit).await
    }

    /// Store and audit log on disk, as the product has them.
    pub async fn on_disk(dir: &Path) -> Outcome<Self> {
        let (store, audit) = (dir.join("store"), dir.join("audit"));
        for dir in [&store, &audit] {
            std::fs::DirBuilder::new().mode(0o700).create(dir)?;
        }
        let (log, _) = Log::open(&audit, &[7; 32], [1; 16])?;
        Self::assemble(dir, Arc::new(Embedded::open(&store)?), Arc::new(log)).await
    }

    async fn assemble(
        dir: &Path,
        backend: Arc<dyn Backend>,
        audit: Arc<dyn AuditSink>,
    ) -> Outcome<Self> {
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let hsm = Arc::new(SoftwareHsm::seeded([7; 32]));
        let devices = Arc::new(Devices::only("software", hsm));
        let root = RootOfTrust::create(devices.clone(), random.clone(), dir)?;
        let keys = Arc::new(root.row_keys()?);
        let store = Store::open(backend, keys, random.clone(), true).await?;
        let server = Server {
            store,
            node: None,
            root: Arc::new(root),
            devices,
            proxies: Arc::default(),
            audit,
            clock: Arc::new(SystemClock),
            random: random.clone(),
            regions: [REGION.parse()?].into(),
            metrics: Metrics::default(),
            quotas: Quotas::default(),
            outbox: Outbox::default(),
            guesses: Default::default(),
            heavy: Heavy::default(),
            last_uses: LastUses::default(),
            services: Default::default(),
            functions: Default::default(),
            reattempts: Default::default(),
            issuers: Arc::default(),
            machines: Default::default(),
            public_url: None,
        };
        let caller = user(&server).await?;
        let arrival = Arrival {
            request_id: random.uuid().to_string().into(),
            event_id: random.uuid().to_string().into(),
            region: REGION.parse()?,
            source_ip: "127.0.0.1".parse()?,
            endpoint: None,
            user_agent: "aws-sdk-rust/1.3.10 ua/2.1 api/kms/1.90.0 os/linux lang/rust/1.91.0"
                .into(),
            tls: None,
        };
        Ok(Self { server: Arc::new(server), caller, arrival })
    }

    pub async fn run(&self, entry: &Entry, body: &[u8]) -> Outcome<Vec<u8>> {
        let reply = entry.run(&self.server, &self.caller, &self.arrival, body).await;
        reply.map_err(|fault| format!("{}: {fault:?}", entry.name).into())
    }

    pub async fn call(&self, service: &str, name: &str, body: &Value) -> Outcome<Value> {
        let reply = self.run(entry(service, name)?, &serde_json::to_vec(body)?).await?;
        Ok(serde_json::from_slice(&reply)?)
    }
}

/// An operation of a service.
pub fn entry(service: &str, name: &str) -> Outcome<&'static Entry> {
    let table = api::SERVICES.iter().find(|table| table.signing_name == service);
    Ok(table.and_then(|table| table.find(name)).ok_or("no such operation")?)
}

async fn user(server: &Server) -> Outcome<Caller> {
    let now = server.clock.now();
    let account: AccountId = ACCOUNT.parse()?;
    let mut tx = server.store.begin();
    Account::ensure(&mut tx, &account, now).await?;
    let new = NewUser {
        account,
        name: "billing".into(),
        path: "/".into(),
        boundary: None,
        tags: Tags::default(),
    };
    let user = User::insert(&mut tx, new, &SystemRandom, now).await?;
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["kms:*", "secretsmanager:*"], "Resource": "*"}]
    });
    let user = user.with_policy(&mut tx, "billing", policy.to_string())?;
    let key = AccessKey::insert(&mut tx, &user, None, &SystemRandom, now)?;
    tx.commit().await?;
    let mut tx = server.store.begin();
    Ok(identity::caller_of(&mut tx, &key).await?.ok_or("no caller")?)
}
