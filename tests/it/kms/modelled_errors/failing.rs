//! A store and a device that fail when they are told to.
use crate::kms::key_stores::{CLUSTER, NO_ID, cluster};
use crate::kms::subject::{Kind, Subject};
use crate::world::{Failed, REGION, World, table};
use bytes::Bytes;
use claviger::call::Arrival;
use claviger::quotas::Settings;
use claviger::store::{
    Backend, Commit, Digest, Mark, Memory, Revision, Store, StoreError, Sum, Witness,
};
use claviger_hsm::{DeviceInfo, Hsm, HsmError, KeyBytes, RootKeyId, SoftwareHsm, WrappedKey};
use serde_json::{Value, json};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What no client may read.
const CAUSE: &str = "sector 7 of the disk";

#[derive(Debug, Default)]
struct FailingStore {
    rows: Memory,
    fails: AtomicBool,
}

impl FailingStore {
    fn check(&self) -> Result<(), StoreError> {
        match self.fails.load(Ordering::SeqCst) {
            true => Err(StoreError::Corrupt(CAUSE.into())),
            false => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl Backend for FailingStore {
    async fn get(&self, key: &[u8]) -> Result<Option<(Revision, Bytes)>, StoreError> {
        self.check()?;
        self.rows.get(key).await
    }
    async fn scan(
        &self,
        range: Range<Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Revision, Bytes)>, StoreError> {
        self.check()?;
        self.rows.scan(range, limit).await
    }
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.check()?;
        self.rows.commit(commit).await
    }
    async fn state(&self) -> Result<Option<Bytes>, StoreError> {
        self.rows.state().await
    }
    fn install(&self, witness: Arc<dyn Witness>, start: Digest, last: Revision) {
        self.rows.install(witness, start, last);
    }
    async fn sum(&self, mark: Mark) -> Result<Sum, StoreError> {
        self.rows.sum(mark).await
    }
    async fn clear(&self) -> Result<(), StoreError> {
        self.rows.clear().await
    }
}

/// Only its generator fails: nothing else of it is asked after the start.
#[derive(Debug)]
struct FailingDevice {
    device: SoftwareHsm,
    fails: AtomicBool,
}

impl Hsm for FailingDevice {
    fn info(&self) -> DeviceInfo {
        self.device.info()
    }
    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        match self.fails.load(Ordering::SeqCst) {
            true => Err(HsmError::Unavailable(CAUSE.into())),
            false => self.device.random(out),
        }
    }
    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.device.create_root_key(id)
    }
    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.device.destroy_root_key(id)
    }
    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        self.device.root_keys()
    }
    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.device.check_root_key(id)
    }
    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        self.device.wrap(root, key, aad)
    }
    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.device.unwrap(wrapped, aad)
    }
}

/// A world whose store and device fail when they are told to.
pub struct Scene {
    pub world: World,
    store: Arc<FailingStore>,
    device: Arc<FailingDevice>,
}

impl Scene {
    pub async fn new() -> Self {
        let store = Arc::new(FailingStore::default());
        let device = SoftwareHsm::seeded([9; 32]);
        let device = Arc::new(FailingDevice { device, fails: AtomicBool::new(false) });
        let world = World::on(device.clone(), store.clone(), 1, Settings::default()).await;
        Self { world, store, device }
    }
}

/// Any operation, with the request that succeeds otherwise, when nothing can be read or written any
/// more.
pub async fn without_store(operation: &str) -> Failed {
    let scene = Scene::new().await;
    let body = match Kind::of(operation) {
        Some(_) => Subject::used(&scene.world, operation, json!({})).await.body(operation),
        None => match operation {
            "CreateCustomKeyStore" => cluster("hsm", CLUSTER),
            "CreateKey" | "DescribeCustomKeyStores" | "ListKeys" => json!({}),
            "GenerateRandom" => json!({"NumberOfBytes": 8, "CustomKeyStoreId": NO_ID}),
            "ListRetirableGrants" => json!({"RetiringPrincipal": super::ROOT}),
            _ => json!({"CustomKeyStoreId": NO_ID}),
        },
    };
    scene.without_store("kms", operation, body).await
}

impl Scene {
    /// The server has just started, so it has no record in its cache.
    pub async fn without_store(self, service: &str, operation: &str, body: Value) -> Failed {
        let Self { mut world, store, .. } = self;
        let caller = world.caller(&world.root).await;
        let server = Arc::get_mut(&mut world.server).expect("nobody else has the server");
        let keys = Arc::new(server.root.row_keys().unwrap());
        let random = server.random.clone();
        server.store = Store::open(store.clone(), keys, random, false).await.unwrap();
        store.fails.store(true, Ordering::SeqCst);
        let arrival = Arrival {
            request_id: "r".into(),
            event_id: "e".into(),
            region: REGION.parse().unwrap(),
            source_ip: "127.0.0.1".parse().unwrap(),
            endpoint: None,
            user_agent: "test".into(),
            tls: None,
        };
        let entry = table(service).find(operation).unwrap();
        let body = serde_json::to_vec(&body).unwrap();
        let fault = entry.run(&world.server, &caller, &arrival, &body).await.unwrap_err();
        hidden(operation, fault.status, fault.code, fault.message())
    }
}

/// An operation that makes keys, when the device makes no random bytes.
pub async fn without_device(operation: &str) -> Option<Failed> {
    let Scene { world, device, .. } = Scene::new().await;
    let body = match operation {
        "CreateKey" => json!({}),
        // It makes the key that the alias stands for.
        "DescribeKey" => json!({"KeyId": "alias/aws/secretsmanager"}),
        "RotateKeyOnDemand" => json!({"KeyId": world.key().await}),
        _ => return None,
    };
    device.fails.store(true, Ordering::SeqCst);
    let refused = server_fault(&world, operation, &body).await;
    // Nothing was made, and what needs no new key goes on.
    let aliases = world.kms("ListAliases", json!({})).await["Aliases"].clone();
    assert_eq!(aliases.as_array().unwrap().len(), 1, "{aliases}");
    assert_eq!(aliases[0].get("TargetKeyId"), None, "{aliases}");
    device.fails.store(false, Ordering::SeqCst);
    world.kms(operation, body).await;
    Some(refused)
}

/// What fails inside: 500, and not a word of the cause.
pub async fn server_fault(world: &World, operation: &str, body: &Value) -> Failed {
    let body = serde_json::to_vec(body).unwrap();
    let fault = world.raw(&world.root, "kms", operation, &body).await.unwrap_err();
    hidden(operation, fault.status, fault.code, fault.message())
}

fn hidden(operation: &str, status: u16, code: &str, message: &str) -> Failed {
    assert_eq!(status, 500, "{operation}: {code} {message}");
    assert!(!message.contains(CAUSE), "{operation}: {message}");
    Failed { code: code.into(), message: message.into() }
}
