//! UpdateCustomKeyStore: what changes, and in which states.
use super::{
    CLUSTER, ENDPOINT, NO_ID, SERVICE, cluster, invalid_state, missing, public, vpc, with,
};
use crate::support::failed;
use crate::world::{ACCOUNT, OTHER_ACCOUNT, World};
use claviger::keys::stores::{Backing, Connection, ConnectionError};
use serde_json::{Value, json};

const NEW_KEY_ID: &str = "ZYXWVUTSRQPONMLKJIHG";

fn credential() -> Value {
    json!({"AccessKeyId": NEW_KEY_ID, "RawSecretAccessKey": "z".repeat(43)})
}

fn of(id: &str, members: Value) -> Value {
    with(members, json!({"CustomKeyStoreId": id}))
}

#[tokio::test]
async fn a_store_of_a_cluster() {
    let world = World::new().await;
    let id = world.create_store(cluster("hsm", CLUSTER)).await;
    let before = world.store(&id).await;
    let change = json!({"NewCustomKeyStoreName": "renamed", "CloudHsmClusterId": CLUSTER,
        "KeyStorePassword": "another-pass"});
    assert_eq!(world.kms("UpdateCustomKeyStore", of(&id, change)).await, Value::Null);
    let event = world.last_event();
    assert_eq!(
        event.request_parameters,
        Some(json!({"customKeyStoreId": id, "newCustomKeyStoreName": "renamed",
            "clusterId": CLUSTER}))
    );
    // The store's name is the one that the caller knew.
    assert_eq!(
        event.additional_event_data,
        Some(json!({"customKeyStoreName": "hsm", "clusterId": CLUSTER}))
    );
    assert_eq!(world.store(&id).await, with(before, json!({"CustomKeyStoreName": "renamed"})));
    world
        .set_store(&id, |store| {
            let Backing::Cluster { password, .. } = &store.backing else { panic!("{store:?}") };
            assert_eq!(password.expose(), "another-pass");
        })
        .await;
    let other = "cluster-3a23b4cdefg";
    let text =
        format!("The cluster {other} is not related to the cluster of the custom key store.");
    assert_eq!(
        world.kms_fails("UpdateCustomKeyStore", of(&id, json!({"CloudHsmClusterId": other}))).await,
        failed("CloudHsmClusterNotRelatedException", text)
    );
}

#[tokio::test]
async fn an_external_store() {
    let world = World::new().await;
    let id = world.create_store(public("xks")).await;
    let shown = async || world.store(&id).await["XksProxyConfiguration"].clone();
    let change = json!({"XksProxyUriPath": "/new/kms/xks/v1",
        "XksProxyAuthenticationCredential": credential()});
    world.kms("UpdateCustomKeyStore", of(&id, change)).await;
    let public = json!({"Connectivity": "PUBLIC_ENDPOINT", "AccessKeyId": NEW_KEY_ID,
        "UriEndpoint": ENDPOINT, "UriPath": "/new/kms/xks/v1"});
    assert_eq!(shown().await, public);
    world
        .set_store(&id, |store| {
            let secret = &store.proxy().unwrap().credential.secret;
            assert_eq!(secret.expose(), "z".repeat(43));
        })
        .await;

    // Another connectivity comes with another endpoint, and with a service or without one.
    let private = json!({"XksProxyConnectivity": "VPC_ENDPOINT_SERVICE",
        "XksProxyUriEndpoint": "https://private.example.com",
        "XksProxyVpcEndpointServiceName": SERVICE});
    for lacks in ["XksProxyUriEndpoint", "XksProxyVpcEndpointServiceName"] {
        let body = of(&id, with(private.clone(), json!({lacks: null})));
        let refused = world.kms_fails("UpdateCustomKeyStore", body).await;
        assert_eq!(refused.code, "ValidationException");
        assert!(refused.message.starts_with(lacks), "{refused:?}");
        assert_eq!(shown().await, public);
    }
    world.kms("UpdateCustomKeyStore", of(&id, private)).await;
    let mut vpc = json!({"Connectivity": "VPC_ENDPOINT_SERVICE", "AccessKeyId": NEW_KEY_ID,
        "UriEndpoint": "https://private.example.com", "UriPath": "/new/kms/xks/v1",
        "VpcEndpointServiceName": SERVICE, "VpcEndpointServiceOwner": ACCOUNT});
    assert_eq!(shown().await, vpc);
    // The owner changes by itself, and stays when it is not named.
    for owner in [
        json!({"XksProxyVpcEndpointServiceOwner": OTHER_ACCOUNT}),
        json!({"XksProxyVpcEndpointServiceName": format!("{SERVICE}f")}),
    ] {
        world.kms("UpdateCustomKeyStore", of(&id, owner)).await;
    }
    vpc["VpcEndpointServiceOwner"] = json!(OTHER_ACCOUNT);
    vpc["VpcEndpointServiceName"] = json!(format!("{SERVICE}f"));
    assert_eq!(shown().await, vpc);
    let back = json!({"XksProxyConnectivity": "PUBLIC_ENDPOINT", "XksProxyUriEndpoint": ENDPOINT});
    let unclear = with(back.clone(), json!({"XksProxyVpcEndpointServiceName": SERVICE}));
    let refused = world.kms_fails("UpdateCustomKeyStore", of(&id, unclear)).await;
    assert_eq!(refused.code, "ValidationException");
    world.kms("UpdateCustomKeyStore", of(&id, back)).await;
    assert_eq!(shown().await, public);
}

/// One change of every property, and whether it may be made while connected and after a failure.
#[tokio::test]
async fn what_changes_in_which_state() {
    let failure = Connection::Failed(ConnectionError::ProxyNotReachable);
    let rows = [
        (cluster("s", CLUSTER), json!({"NewCustomKeyStoreName": "t"}), true, true),
        (cluster("s", CLUSTER), json!({"KeyStorePassword": "another"}), false, false),
        (cluster("s", CLUSTER), json!({"CloudHsmClusterId": CLUSTER}), false, false),
        (vpc("s"), json!({"NewCustomKeyStoreName": "t"}), true, true),
        (vpc("s"), json!({"XksProxyAuthenticationCredential": credential()}), true, false),
        (vpc("s"), json!({"XksProxyUriPath": "/t/kms/xks/v1"}), true, false),
        (vpc("s"), json!({"XksProxyUriEndpoint": "https://t.example.com"}), false, false),
        (vpc("s"), json!({"XksProxyConnectivity": "VPC_ENDPOINT_SERVICE"}), false, false),
        (vpc("s"), json!({"XksProxyVpcEndpointServiceName": SERVICE}), false, false),
        (vpc("s"), json!({"XksProxyVpcEndpointServiceOwner": ACCOUNT}), false, false),
    ];
    for (body, change, connected, failed) in rows {
        for (connection, may) in [
            (Connection::Disconnected, true),
            (Connection::Connected, connected),
            (failure, failed),
        ] {
            let world = World::new().await;
            let id = world.create_store(body.clone()).await;
            world.set_connection(&id, connection).await;
            let outcome = world.call("kms", "UpdateCustomKeyStore", of(&id, change.clone())).await;
            let expected = match may {
                true => Ok(Value::Null),
                false => Err(invalid_state(&id, connection.as_str(), "DISCONNECTED")),
            };
            assert_eq!(outcome, expected, "{change} {connection:?}");
            // The connection is as it was.
            assert_eq!(world.store(&id).await["ConnectionState"], connection.as_str());
        }
    }
}

#[tokio::test]
async fn what_other_stores_have_and_what_other_types_have() {
    let world = World::new().await;
    let hsm = world.create_store(cluster("hsm", CLUSTER)).await;
    let xks = world.create_store(public("xks")).await;
    let private = world.create_store(vpc("vpc")).await;
    let other = world.create_store(public("other")).await;
    for (id, change, code) in [
        (&hsm, json!({"NewCustomKeyStoreName": "xks"}), "CustomKeyStoreNameInUseException"),
        (&xks, json!({"NewCustomKeyStoreName": "hsm"}), "CustomKeyStoreNameInUseException"),
        (&other, json!({"XksProxyUriPath": "/xks/kms/xks/v1"}), "XksProxyUriInUseException"),
        (
            &other,
            json!({"XksProxyUriEndpoint": "https://private.example.com"}),
            "XksProxyUriEndpointInUseException",
        ),
        (
            &other,
            json!({"XksProxyConnectivity": "VPC_ENDPOINT_SERVICE",
                "XksProxyUriEndpoint": "https://o.example.com",
                "XksProxyVpcEndpointServiceName": SERVICE}),
            "XksProxyVpcEndpointServiceInUseException",
        ),
        (&xks, json!({"XksProxyVpcEndpointServiceName": SERVICE}), "ValidationException"),
        (&xks, json!({"XksProxyVpcEndpointServiceOwner": ACCOUNT}), "ValidationException"),
        (&private, json!({"KeyStorePassword": "password"}), "ValidationException"),
        (&private, json!({"CloudHsmClusterId": CLUSTER}), "ValidationException"),
        (&hsm, json!({"XksProxyUriPath": "/kms/xks/v1"}), "ValidationException"),
        (&hsm, json!({"XksProxyAuthenticationCredential": credential()}), "ValidationException"),
    ] {
        let before = world.store(id).await;
        let refused = world.kms_fails("UpdateCustomKeyStore", of(id, change.clone())).await;
        assert_eq!(refused.code, code, "{change}");
        assert_eq!(world.store(id).await, before);
    }
    // Its own values are not another's, and nothing to change is no fault.
    let same = json!({"NewCustomKeyStoreName": "xks", "XksProxyUriEndpoint": ENDPOINT,
        "XksProxyUriPath": "/xks/kms/xks/v1", "XksProxyConnectivity": "PUBLIC_ENDPOINT"});
    for change in [same, json!({})] {
        let before = world.store(&xks).await;
        world.kms("UpdateCustomKeyStore", of(&xks, change)).await;
        assert_eq!(world.store(&xks).await, before);
    }
    let refused = world.kms_fails("UpdateCustomKeyStore", json!({"CustomKeyStoreId": NO_ID})).await;
    assert_eq!(refused, missing(NO_ID));
}
