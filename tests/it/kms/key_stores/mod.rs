//! Custom key stores.
mod connect;
mod create;
mod delete;
mod describe;
mod permissions;
mod resident;
mod sdk;
mod secrets;
pub mod stand_in;
pub mod switch;
mod unique;
mod update;

use crate::support::failed;
use crate::world::{ACCOUNT, Failed, REGION, World};
use claviger::keys::stores::{self, Connection, KeyStore, Link};
use serde_json::{Value, json};
use std::sync::Arc;

/// The clusters that are devices of a world: `switch` has them.
pub const CLUSTER: &str = "cluster-2a23b4cdefg";
pub const OTHER_CLUSTER: &str = "cluster-3a23b4cdefg";
pub const THIRD_CLUSTER: &str = "cluster-2a23b4cdefh";
/// Its device keeps no keys for others.
pub const BARE_CLUSTER: &str = "cluster-4a23b4cdefg";
/// No device's.
pub const NO_CLUSTER: &str = "cluster-7a23b4cdefg";
pub const PASSWORD: &str = "kmsuser-pass-7";
pub const PROXY_KEY_ID: &str = "ABCDEFGHIJKLMNOPQRST234567";
pub const PROXY_SECRET: &str = "0123456789+/abcdefghijklmnopqrstuvwxyz0123456789";
pub const ENDPOINT: &str = "https://proxy.example.com";
pub const SERVICE: &str = "com.amazonaws.vpce.eu-west-1.vpce-svc-0a1b2c3d4e";
/// In the form of an id, but nobody's.
pub const NO_ID: &str = "cks-1234567890abcdef0";

/// A store that a cluster backs.
pub fn cluster(name: &str, cluster: &str) -> Value {
    json!({
        "CustomKeyStoreName": name,
        "CloudHsmClusterId": cluster,
        "TrustAnchorCertificate": "-----BEGIN CERTIFICATE-----",
        "KeyStorePassword": PASSWORD,
    })
}

/// An external key store at a public endpoint, with a path of its own.
pub fn public(name: &str) -> Value {
    json!({
        "CustomKeyStoreName": name,
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyUriEndpoint": ENDPOINT,
        "XksProxyUriPath": format!("/{name}/kms/xks/v1"),
        "XksProxyAuthenticationCredential":
            {"AccessKeyId": PROXY_KEY_ID, "RawSecretAccessKey": PROXY_SECRET},
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
    })
}

/// An external key store behind a VPC endpoint service.
pub fn vpc(name: &str) -> Value {
    with(
        public(name),
        json!({
            "XksProxyConnectivity": "VPC_ENDPOINT_SERVICE",
            "XksProxyVpcEndpointServiceName": SERVICE,
            "XksProxyUriEndpoint": "https://private.example.com",
        }),
    )
}

/// The body with these members in place of its own; those that are null are left out.
pub fn with(mut body: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    body
}

pub fn missing(id: &str) -> Failed {
    let text = format!("The custom key store {id} was not found.");
    failed("CustomKeyStoreNotFoundException", text)
}

pub fn invalid_state(id: &str, is: &str, wanted: &str) -> Failed {
    let text = format!("The custom key store {id} is {is} and must be {wanted} for this request.");
    failed("CustomKeyStoreInvalidStateException", text)
}

impl World {
    pub async fn create_store(&self, body: Value) -> String {
        let made = self.kms("CreateCustomKeyStore", body).await;
        made["CustomKeyStoreId"].as_str().unwrap().to_owned()
    }

    /// What DescribeCustomKeyStores shows of one store.
    pub async fn store(&self, id: &str) -> Value {
        let shown = self.kms("DescribeCustomKeyStores", json!({"CustomKeyStoreId": id})).await;
        assert_eq!(shown["Truncated"], false);
        let entries = shown["CustomKeyStores"].as_array().unwrap();
        assert_eq!(entries.len(), 1, "{shown}");
        entries[0].clone()
    }

    /// Changes a store's record: how a test gets a store that is connected.
    pub async fn set_store(&self, id: &str, change: impl FnOnce(&mut KeyStore)) {
        let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
        let mut tx = self.server.store.begin();
        let found = stores::find(&mut tx, &account, &region, id).await.unwrap();
        let mut store = Arc::unwrap_or_clone(found);
        change(&mut store);
        tx.put(&[ACCOUNT, REGION, id], Link::of(&store)).unwrap();
        tx.put(&[ACCOUNT, REGION, id], store).unwrap();
        tx.commit().await.unwrap();
    }

    pub async fn set_connection(&self, id: &str, connection: Connection) {
        self.set_store(id, |store| store.connection = connection).await;
    }
}
