//! A whole server in the test's process: store in memory, seeded software device, a clock that
//! stands still. It is driven through the operation tables or, over HTTP, by any client.
use crate::kms::key_stores::stand_in::StandIn;
use crate::kms::key_stores::switch::{Switch, devices};
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use claviger::api;
use claviger::audit::{Event, MemoryAudit};
use claviger::authorize::Caller;
use claviger::background;
use claviger::call::{Arrival, Heavy, Outbox, Server, ServiceTable};
use claviger::clock::{Clock, TestClock};
use claviger::devices::Devices;
use claviger::functions::Functions;
use claviger::http::{Front, Limits, Listener};
use claviger::identity::{self, AccessKey, Account, NewUser, User};
use claviger::last_use::LastUses;
use claviger::monitor::Metrics;
use claviger::quotas::{Quotas, Settings};
use claviger::random::{Random, SeededRandom};
use claviger::root_of_trust::RootOfTrust;
use claviger::secrets;
use claviger::store::{Backend, Memory, Opening, Store, Verify};
use claviger::types::{AccountId, Region, SecretText, Tags};
use claviger_hsm::{Hsm, SoftwareHsm};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub const ACCOUNT: &str = "111122223333";
pub const OTHER_ACCOUNT: &str = "444455556666";
pub const REGION: &str = "eu-west-1";
pub const OTHER_REGION: &str = "us-east-1";
/// By which others know the deployment as an issuer of tokens.
pub const PUBLIC_URL: &str = "https://kms.example.org";
/// 2026-01-01T00:00:00Z
pub const NOW_SECS: i64 = 1_767_225_600;

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub code: String,
    pub message: String,
}

/// Somebody with an access key.
#[derive(Clone, Debug)]
pub struct Someone {
    pub access_key_id: String,
    pub secret: String,
    pub account: String,
}

#[derive(Debug)]
pub struct World {
    pub server: Arc<Server>,
    pub audit: Arc<MemoryAudit>,
    pub clock: Arc<TestClock>,
    /// The device that custom key stores know as [`crate::kms::key_stores::CLUSTER`].
    pub cluster: Arc<Switch>,
    /// What answers where external key stores have their proxies.
    pub proxy: Arc<StandIn>,
    /// The root of [`ACCOUNT`].
    pub root: Someone,
    backend: Arc<dyn Backend>,
    _data: tempfile::TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::seeded(1).await
    }

    /// The same seed, the same bytes.
    pub async fn seeded(seed: u64) -> Self {
        Self::assembled(seed, Settings::default()).await
    }

    /// With a `[quotas]` section.
    pub async fn with_quotas(section: &str) -> Self {
        Self::assembled(1, toml::from_str(section).unwrap()).await
    }

    /// With these `[[function]]` sections.
    pub async fn with_functions(sections: &str) -> Self {
        #[derive(serde::Deserialize)]
        struct Sections {
            function: Vec<claviger::functions::Settings>,
        }
        let mut world = Self::new().await;
        let sections: Sections = toml::from_str(sections).unwrap();
        let server = Arc::get_mut(&mut world.server).expect("nobody else has it yet");
        server.functions = Functions::new(&sections.function).unwrap();
        world
    }

    async fn assembled(seed: u64, quotas: Settings) -> Self {
        let mut device_seed = [0; 32];
        device_seed[..8].copy_from_slice(&seed.to_be_bytes());
        let hsm = Arc::new(SoftwareHsm::seeded(device_seed));
        Self::on(hsm, Arc::new(Memory::default()), seed, quotas).await
    }

    /// With another device and another store.
    pub async fn on(
        hsm: Arc<dyn Hsm>,
        backend: Arc<dyn Backend>,
        seed: u64,
        quotas: Settings,
    ) -> Self {
        let data = tempfile::tempdir().unwrap();
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(seed));
        let device = Arc::new(Devices::only("pkcs11", hsm));
        let root = RootOfTrust::create(device, random.clone(), data.path()).unwrap();
        let cluster = Arc::new(Switch::new(11));
        let proxy = Arc::new(StandIn::default());
        let keys = Arc::new(root.row_keys().unwrap());
        let store = Store::open(backend.clone(), keys, random.clone(), true).await.unwrap();
        let audit = Arc::new(MemoryAudit::default());
        let clock = Arc::new(TestClock::at_secs(NOW_SECS));
        let server = Arc::new(Server {
            store,
            node: None,
            root: Arc::new(root),
            devices: Arc::new(devices(&cluster)),
            proxies: Arc::new(proxy.proxies()),
            audit: audit.clone(),
            clock: clock.clone(),
            random,
            regions: [REGION, OTHER_REGION].iter().map(|r| r.parse().unwrap()).collect(),
            metrics: Metrics::default(),
            quotas: Quotas::new(quotas),
            outbox: Outbox::default(),
            guesses: Default::default(),
            heavy: Heavy::default(),
            last_uses: LastUses::default(),
            services: crate::sts::doors::registered(),
            functions: Default::default(),
            reattempts: Default::default(),
            issuers: crate::sts::issuer::issuers(data.path()),
            machines: Default::default(),
            public_url: Some(PUBLIC_URL.into()),
        });
        let root = root_of(&server, ACCOUNT).await;
        root_of(&server, OTHER_ACCOUNT).await;
        Self { server, audit, clock, cluster, proxy, root, backend, _data: data }
    }

    /// Opens the store anew, and leaves its rows to be verified.
    pub async fn leave_unverified(&mut self) {
        let server = Arc::get_mut(&mut self.server).expect("nobody else has it");
        let keys = Arc::new(server.root.row_keys().unwrap());
        let opening = Opening { verify: Verify::WhileServing, ..Opening::default() };
        let (backend, random) = (self.backend.clone(), server.random.clone());
        server.store = Store::open_with(backend, keys, random, false, opening).await.unwrap();
        assert!(!server.store.is_verified());
    }

    /// The root of the other account.
    pub fn other_root(&self) -> Someone {
        root_credentials(OTHER_ACCOUNT)
    }

    /// A new user of [`ACCOUNT`] with one policy.
    pub async fn user(&self, name: &str, policy: Value) -> Someone {
        self.user_of(ACCOUNT, name, policy).await
    }

    pub async fn user_of(&self, account: &str, name: &str, policy: Value) -> Someone {
        let (random, now) = (self.server.random.clone(), self.server.clock.now());
        let mut tx = self.server.store.begin();
        let new = NewUser {
            account: account.parse().unwrap(),
            name: name.into(),
            path: "/".into(),
            boundary: None,
            tags: Tags::default(),
        };
        let user = User::insert(&mut tx, new, &*random, now).await.unwrap();
        let user = user.with_policy(&mut tx, "policy", policy.to_string()).unwrap();
        let key = AccessKey::insert(&mut tx, &user, None, &*random, now).unwrap();
        tx.commit().await.unwrap();
        Someone {
            access_key_id: key.id.clone(),
            secret: key.secret.expose().to_owned(),
            account: account.to_owned(),
        }
    }

    /// Calls an operation as the account's root, in [`REGION`].
    pub async fn call(&self, service: &str, name: &str, body: Value) -> Result<Value, Failed> {
        self.call_as(&self.root.clone(), service, name, body).await
    }

    pub async fn call_as(
        &self,
        who: &Someone,
        service: &str,
        name: &str,
        body: Value,
    ) -> Result<Value, Failed> {
        self.call_in(who, REGION, service, name, body).await
    }

    /// Calls an operation through the table, as the front does after it verified the signature.
    pub async fn call_in(
        &self,
        who: &Someone,
        region: &str,
        service: &str,
        name: &str,
        body: Value,
    ) -> Result<Value, Failed> {
        let entry = table(service).find(name).unwrap_or_else(|| panic!("no operation {name}"));
        let caller = self.caller(who).await;
        let arrival = self.arrival(region);
        let body = serde_json::to_vec(&body).unwrap();
        match entry.run(&self.server, &caller, &arrival, &body).await {
            Ok(body) if body.is_empty() => Ok(Value::Null),
            Ok(body) => Ok(serde_json::from_slice(&body).unwrap()),
            Err(fault) => {
                assert!(fault.status < 500, "{name} failed inside: {fault:?}");
                Err(Failed { code: fault.code.into(), message: fault.message().to_owned() })
            }
        }
    }

    /// A request that has just come in.
    pub fn arrival(&self, region: &str) -> Arrival {
        let random = &self.server.random;
        Arrival {
            request_id: random.uuid().to_string().into(),
            event_id: random.uuid().to_string().into(),
            region: region.parse::<Region>().unwrap(),
            source_ip: "127.0.0.1".parse().unwrap(),
            endpoint: None,
            user_agent: "test".into(),
            tls: None,
        }
    }

    pub async fn caller(&self, who: &Someone) -> Caller {
        let mut tx = self.server.store.begin();
        let key = AccessKey::load(&mut tx, &who.access_key_id).await.unwrap().unwrap();
        identity::caller_of(&mut tx, &key).await.unwrap().expect("an active key")
    }

    /// A new symmetric key in [`REGION`]; answers its ARN.
    pub async fn key(&self) -> String {
        let made = self.call("kms", "CreateKey", json!({})).await.unwrap();
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    /// A new key of this spec and usage in [`REGION`]; answers its ARN.
    pub async fn key_of(&self, spec: &str, usage: &str) -> String {
        let body = json!({"KeySpec": spec, "KeyUsage": usage});
        let made = self.call("kms", "CreateKey", body).await.unwrap();
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    /// A new key with a policy.
    pub async fn key_with_policy(&self, policy: Value) -> String {
        let body = json!({"Policy": policy.to_string(), "BypassPolicyLockoutSafetyCheck": true});
        let made = self.call("kms", "CreateKey", body).await.unwrap();
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    /// Moves the clock and does what became due.
    pub async fn advance(&self, seconds: i64) {
        self.clock.advance(seconds);
        background::sweep(&self.server).await;
    }

    /// Writes down who read which secret, as the background does it.
    pub async fn write_reads(&self) {
        let (store, reads) = (&self.server.store, &self.server.last_uses.reads);
        reads.hurry();
        secrets::readers::write(store, reads, self.server.clock.now()).await.unwrap();
    }

    pub fn events(&self) -> Vec<Event> {
        self.audit.events()
    }

    pub fn last_event(&self) -> Event {
        self.events().pop().expect("an event")
    }

    /// Serves the world on a free port; answers the endpoint. It ends with the test's runtime.
    pub async fn serve(&self) -> String {
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", tcp.local_addr().unwrap());
        let front = Arc::new(Front::new(self.server.clone(), None, None));
        let listener = Listener::new(tcp, None, front, Limits::default()).unwrap();
        tokio::spawn(listener.serve(std::future::pending()));
        endpoint
    }

    /// The configuration of an unmodified AWS SDK that talks to this world.
    pub async fn sdk(&self, who: &Someone) -> aws_config::SdkConfig {
        let endpoint = self.serve().await;
        let (id, secret) = (who.access_key_id.as_str(), who.secret.as_str());
        let credentials = aws_credential_types::Credentials::new(id, secret, None, None, "world");
        aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(aws_config::Region::new(REGION))
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
                credentials,
            ))
            .time_source(SharedTimeSource::new(WorldTime(self.clock.clone())))
            .build()
    }
}

/// The SDK signs by the world's clock.
#[derive(Debug)]
struct WorldTime(Arc<TestClock>);

impl TimeSource for WorldTime {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.now().secs().unsigned_abs())
    }
}

pub fn table(service: &str) -> &'static ServiceTable {
    api::SERVICES.iter().find(|s| s.signing_name == service).expect("a service")
}

/// A policy that allows these actions on everything.
pub fn allow(actions: &[&str]) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]
    })
}

fn root_credentials(account: &str) -> Someone {
    Someone {
        access_key_id: format!("ROOT{account}"),
        secret: format!("secret of {account}"),
        account: account.to_owned(),
    }
}

async fn root_of(server: &Server, account: &str) -> Someone {
    let root = root_credentials(account);
    let id: AccountId = account.parse().unwrap();
    let mut tx = server.store.begin();
    Account::ensure(&mut tx, &id, server.clock.now()).await.unwrap();
    let secret = SecretText::new(root.secret.clone());
    let now = server.clock.now();
    AccessKey::seed_root(&mut tx, &id, &root.access_key_id, secret, now).await.unwrap();
    tx.commit().await.unwrap();
    root
}
