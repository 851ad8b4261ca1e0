//! Our KMS with an external key store: at our own proxy, over TLS, and at proxies that lie.
mod certificates;
mod crossed;
mod kept;
mod liar;
mod lies;
mod network;
mod sdk;
mod stores;
mod waiting;

use super::{ID, PATH, Place, Plan, SECRET};
use crate::world::World;
use claviger::external::{Proxies, Settings};
use claviger::http::{Limits, Listener, Tls, XksFront};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

pub const ENDPOINT: &str = "https://localhost";

/// A KMS and, elsewhere, the proxy that it asks.
pub struct Pair {
    pub kms: World,
    pub there: Place,
    /// Ends what listens.
    pub stop: watch::Sender<bool>,
}

impl Pair {
    pub async fn new() -> Self {
        let there = Place::with(Plan::default()).await;
        let path = |name: &str| there.files.path().join(name);
        let server = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(path("cert.pem"), server.cert.pem()).unwrap();
        std::fs::write(path("key.pem"), server.signing_key.serialize_pem()).unwrap();
        let tls = Tls::from_pem_files(&path("cert.pem"), &path("key.pem")).unwrap();
        let certificates = path("cert.pem");
        let (address, stop) = serve(&there, &tls, false).await;
        // The region of the KMS is the one that the proxy expects.
        let mut kms = World::seeded(2).await;
        let settings = registered(&address, Some(certificates));
        let server = Arc::get_mut(&mut kms.server).unwrap();
        server.proxies = Arc::new(Proxies::new(&[settings]).unwrap());
        server.regions.insert(super::THEIRS.parse().unwrap());
        Self { kms, there, stop }
    }

    /// A KMS call of root, in the region that the proxy knows.
    pub async fn try_call(&self, name: &str, body: Value) -> Result<Value, crate::world::Failed> {
        let root = self.kms.root.clone();
        self.kms.call_in(&root, super::THEIRS, "kms", name, body).await
    }

    pub async fn call(&self, name: &str, body: Value) -> Value {
        let outcome = self.try_call(name, body.clone()).await;
        outcome.unwrap_or_else(|error| panic!("{name} {body}: {error:?}"))
    }

    pub async fn fails(&self, name: &str, body: Value) -> crate::world::Failed {
        match self.try_call(name, body.clone()).await {
            Ok(answer) => panic!("{name} {body} succeeded: {answer}"),
            Err(error) => error,
        }
    }

    /// A store that is connected.
    pub async fn store(&self) -> String {
        let made = self.call("CreateCustomKeyStore", store_body("xks", ID, SECRET)).await;
        let id = made["CustomKeyStoreId"].as_str().unwrap().to_owned();
        self.call("ConnectCustomKeyStore", json!({"CustomKeyStoreId": id})).await;
        id
    }

    /// A KMS key for an external one; its ARN.
    pub async fn key(&self, store: &str, external: &str) -> String {
        let made = self.call("CreateKey", key_body(store, external)).await;
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }
}

/// Where the proxy listens, and what ends it. `certificates`: whether clients must show one.
async fn serve(there: &Place, tls: &Tls, certificates: bool) -> (String, watch::Sender<bool>) {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    let clock = there.world.server.clock.clone();
    let front = Arc::new(XksFront::new(there.proxy.clone(), clock, certificates));
    let listener = Listener::new(tcp, Some(tls), front, Limits::default()).unwrap();
    let (stop, mut stopped) = watch::channel(false);
    tokio::spawn(listener.serve(async move { drop(stopped.wait_for(|stop| *stop).await) }));
    (address, stop)
}

pub fn registered(address: &str, ca_file: Option<PathBuf>) -> Settings {
    let mut settings = json!({
        "endpoint": ENDPOINT, "address": address, "deadline_ms": 10_000,
    });
    if let Some(path) = ca_file {
        settings["ca_file"] = json!(path);
    }
    serde_json::from_value(settings).unwrap()
}

pub fn store_body(name: &str, id: &str, secret: &str) -> Value {
    json!({
        "CustomKeyStoreName": name,
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyUriEndpoint": ENDPOINT,
        "XksProxyUriPath": PATH,
        "XksProxyAuthenticationCredential": {"AccessKeyId": id, "RawSecretAccessKey": secret},
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
    })
}

pub fn key_body(store: &str, external: &str) -> Value {
    json!({"CustomKeyStoreId": store, "Origin": "EXTERNAL_KEY_STORE", "XksKeyId": external})
}

/// The same proxy with the same certificate at another address.
pub async fn serve_again(pair: &Pair) -> (String, watch::Sender<bool>) {
    let path = |name: &str| pair.there.files.path().join(name);
    let tls = Tls::from_pem_files(&path("cert.pem"), &path("key.pem")).unwrap();
    serve(&pair.there, &tls, false).await
}
