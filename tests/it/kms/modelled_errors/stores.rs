//! Custom key stores.
use super::{failing, refused};
use crate::kms::key_stores::{CLUSTER, ENDPOINT, NO_ID, SERVICE, cluster, public, vpc, with};
use crate::world::{ACCOUNT, Failed, REGION, World};
use claviger::keys::stores::{self, Connection};
use serde_json::{Value, json};

const OTHER_CLUSTER: &str = "cluster-2a23b4cdefh";

pub async fn produce(operation: &str, error: &str) -> Option<Failed> {
    let concerned = operation.contains("CustomKeyStore")
        || ["CreateKey", "GenerateRandom"].contains(&operation);
    if !concerned {
        return None;
    }
    let world = World::new().await;
    let body = match operation {
        "ConnectCustomKeyStore" | "DeleteCustomKeyStore" | "DisconnectCustomKeyStore" => {
            connection(&world, operation, error).await?
        }
        "CreateCustomKeyStore" => created(&world, error).await?,
        "CreateKey" | "GenerateRandom" => used(&world, operation, error).await?,
        "DescribeCustomKeyStores" if error == "CustomKeyStoreNotFoundException" => {
            json!({"CustomKeyStoreId": NO_ID})
        }
        "UpdateCustomKeyStore" => updated(&world, error).await?,
        _ => return None,
    };
    Some(refused(&world, operation, body).await)
}

async fn connection(world: &World, operation: &str, error: &str) -> Option<Value> {
    let id = world.create_store(cluster("hsm", CLUSTER)).await;
    let named = json!({"CustomKeyStoreId": id});
    match (operation, error) {
        (_, "CustomKeyStoreNotFoundException") => return Some(json!({"CustomKeyStoreId": NO_ID})),
        ("ConnectCustomKeyStore", "CloudHsmClusterNotActiveException")
        | ("DisconnectCustomKeyStore", "CustomKeyStoreInvalidStateException") => {}
        // No proxy is ever reached, and what failed must be disconnected first.
        ("ConnectCustomKeyStore", "CustomKeyStoreInvalidStateException") => {
            let proxied = json!({"CustomKeyStoreId": world.create_store(public("xks")).await});
            world.kms("ConnectCustomKeyStore", proxied.clone()).await;
            return Some(proxied);
        }
        ("DeleteCustomKeyStore", "CustomKeyStoreInvalidStateException") => {
            world.set_connection(&id, Connection::Connected).await;
        }
        ("DeleteCustomKeyStore", "CustomKeyStoreHasCMKsException") => {
            world.set_connection(&id, Connection::Connected).await;
            let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
            let mut tx = world.server.store.begin();
            stores::add_key(&mut tx, &account, &region, &id).await.unwrap();
            tx.commit().await.unwrap();
            world.kms("DisconnectCustomKeyStore", named.clone()).await;
        }
        _ => return None,
    }
    Some(named)
}

async fn created(world: &World, error: &str) -> Option<Value> {
    let (there, new) = match error {
        "CloudHsmClusterInUseException" => (cluster("one", CLUSTER), cluster("two", CLUSTER)),
        "CustomKeyStoreNameInUseException" => {
            (cluster("one", CLUSTER), cluster("one", OTHER_CLUSTER))
        }
        "LimitExceededException" => {
            for n in 0..9 {
                world.create_store(public(&format!("store{n}"))).await;
            }
            (public("tenth"), public("eleventh"))
        }
        "XksProxyUriInUseException" => {
            let same = json!({"CustomKeyStoreName": "two"});
            (public("one"), with(public("one"), same))
        }
        "XksProxyUriEndpointInUseException" => {
            (vpc("one"), with(public("two"), json!({"XksProxyUriEndpoint": VPC_ENDPOINT})))
        }
        "XksProxyVpcEndpointServiceInUseException" => {
            let elsewhere = json!({"XksProxyUriEndpoint": "https://other.example.com"});
            (vpc("one"), with(vpc("two"), elsewhere))
        }
        _ => return None,
    };
    world.create_store(there).await;
    Some(new)
}

const VPC_ENDPOINT: &str = "https://private.example.com";

async fn updated(world: &World, error: &str) -> Option<Value> {
    let hsm = world.create_store(cluster("hsm", CLUSTER)).await;
    world.create_store(vpc("far")).await;
    world.create_store(public("near")).await;
    let own = json!({"XksProxyUriEndpoint": "https://own.example.com"});
    let xks = world.create_store(with(public("own"), own)).await;
    let (id, change) = match error {
        "CustomKeyStoreNotFoundException" => (NO_ID, json!({"NewCustomKeyStoreName": "n"})),
        "CustomKeyStoreNameInUseException" => {
            (hsm.as_str(), json!({"NewCustomKeyStoreName": "near"}))
        }
        "CloudHsmClusterNotRelatedException" => {
            (hsm.as_str(), json!({"CloudHsmClusterId": OTHER_CLUSTER}))
        }
        "CustomKeyStoreInvalidStateException" => {
            world.set_connection(&hsm, Connection::Connected).await;
            (hsm.as_str(), json!({"KeyStorePassword": "another-one"}))
        }
        "XksProxyUriInUseException" => {
            let path = "/near/kms/xks/v1";
            (xks.as_str(), json!({"XksProxyUriEndpoint": ENDPOINT, "XksProxyUriPath": path}))
        }
        "XksProxyUriEndpointInUseException" => {
            (xks.as_str(), json!({"XksProxyUriEndpoint": VPC_ENDPOINT}))
        }
        "XksProxyVpcEndpointServiceInUseException" => (
            xks.as_str(),
            json!({"XksProxyConnectivity": "VPC_ENDPOINT_SERVICE",
                "XksProxyUriEndpoint": "https://third.example.com",
                "XksProxyVpcEndpointServiceName": SERVICE}),
        ),
        _ => return None,
    };
    Some(with(json!({"CustomKeyStoreId": id}), change))
}

/// Keys and random bytes of stores.
async fn used(world: &World, operation: &str, error: &str) -> Option<Value> {
    let id = match error {
        "CustomKeyStoreNotFoundException" => NO_ID.to_owned(),
        "CustomKeyStoreInvalidStateException" => world.create_store(cluster("hsm", CLUSTER)).await,
        "UnsupportedOperationException" if operation == "GenerateRandom" => {
            world.create_store(public("xks")).await
        }
        _ => return None,
    };
    let body = json!({"CustomKeyStoreId": id});
    Some(match operation {
        "CreateKey" => with(body, json!({"Origin": "AWS_CLOUDHSM"})),
        _ => with(body, json!({"NumberOfBytes": 8})),
    })
}

/// A store that a later release connected has no device here.
pub async fn without_driver() -> Failed {
    let world = World::new().await;
    let id = world.create_store(cluster("hsm", CLUSTER)).await;
    world.set_connection(&id, Connection::Connected).await;
    let body = json!({"NumberOfBytes": 8, "CustomKeyStoreId": id});
    failing::server_fault(&world, "GenerateRandom", &body).await
}
