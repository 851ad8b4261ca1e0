//! Custom key stores.
use super::refused;
use crate::kms::key_stores::stand_in::Says;
use crate::kms::key_stores::{
    BARE_CLUSTER, CLUSTER, ENDPOINT, NO_CLUSTER, NO_ID, OTHER_CLUSTER, SERVICE, cluster, public,
    vpc, with,
};
use crate::world::{ACCOUNT, Failed, REGION, World};
use claviger::keys::stores::{self, Connection};
use claviger_hsm::HsmError;
use serde_json::{Value, json};

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
    let of = match error {
        "CloudHsmClusterInvalidConfigurationException" => BARE_CLUSTER,
        _ => CLUSTER,
    };
    let id = world.create_store(cluster("hsm", of)).await;
    let named = json!({"CustomKeyStoreId": id});
    match (operation, error) {
        (_, "CustomKeyStoreNotFoundException") => return Some(json!({"CustomKeyStoreId": NO_ID})),
        ("ConnectCustomKeyStore", "CloudHsmClusterInvalidConfigurationException")
        | ("DisconnectCustomKeyStore", "CustomKeyStoreInvalidStateException") => {}
        ("ConnectCustomKeyStore", "CloudHsmClusterNotActiveException") => {
            let (wanted, found) = ("t".to_owned(), Vec::new());
            world.cluster.fail(HsmError::TokenNotInitialised { wanted, found });
        }
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

/// What a proxy says for this error, while a store is made of it or changed.
fn proxied(error: &str) -> Option<Says> {
    Some(match error {
        "XksProxyUriUnreachableException" => Says::Nothing,
        "XksProxyIncorrectAuthenticationCredentialException" => {
            Says::Refuses(401, "AuthenticationFailedException")
        }
        "XksProxyInvalidResponseException" => Says::Garbage,
        "XksProxyInvalidConfigurationException" => Says::Refuses(404, "InvalidUriPathException"),
        _ => return None,
    })
}

/// A key of a proxy that KMS takes, but for its status.
fn external_key(status: &str) -> Says {
    Says::Key(json!({
        "keySpec": "AES_256", "keyUsage": ["ENCRYPT", "DECRYPT"], "keyStatus": status,
    }))
}

async fn created(world: &World, error: &str) -> Option<Value> {
    if let Some(says) = proxied(error) {
        world.proxy.says(says);
        return Some(public("xks"));
    }
    let (there, new) = match error {
        "CloudHsmClusterInUseException" => (cluster("one", CLUSTER), cluster("two", CLUSTER)),
        "CustomKeyStoreNameInUseException" => {
            (cluster("one", CLUSTER), cluster("one", OTHER_CLUSTER))
        }
        "CloudHsmClusterNotFoundException" => (public("one"), cluster("two", NO_CLUSTER)),
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
    if let Some(says) = proxied(error) {
        world.proxy.says(says);
        let path = json!({"XksProxyUriPath": "/new/kms/xks/v1"});
        return Some(with(json!({"CustomKeyStoreId": xks}), path));
    }
    let (id, change) = match error {
        "CustomKeyStoreNotFoundException" => (NO_ID, json!({"NewCustomKeyStoreName": "n"})),
        "CustomKeyStoreNameInUseException" => {
            (hsm.as_str(), json!({"NewCustomKeyStoreName": "near"}))
        }
        "CloudHsmClusterNotFoundException" => {
            (hsm.as_str(), json!({"CloudHsmClusterId": NO_CLUSTER}))
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
    if error.starts_with("XksKey") {
        let id = world.create_store(public("xks")).await;
        world.set_connection(&id, Connection::Connected).await;
        let body = json!({
            "CustomKeyStoreId": id, "Origin": "EXTERNAL_KEY_STORE", "XksKeyId": "k",
        });
        match error {
            "XksKeyInvalidConfigurationException" => world.proxy.says(external_key("DISABLED")),
            "XksKeyAlreadyInUseException" => {
                world.proxy.says(external_key("ENABLED"));
                world.kms("CreateKey", body.clone()).await;
            }
            _ => {}
        }
        return Some(body);
    }
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
