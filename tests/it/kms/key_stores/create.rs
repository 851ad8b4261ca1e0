//! CreateCustomKeyStore: both types, and what each of them needs.
use super::{CLUSTER, ENDPOINT, PROXY_KEY_ID, SERVICE, cluster, public, vpc, with};
use crate::support::failed;
use crate::world::{ACCOUNT, NOW_SECS, OTHER_ACCOUNT, World};
use serde_json::{Value, json};

#[tokio::test]
async fn a_store_of_a_cluster() {
    let world = World::new().await;
    let id = world.create_store(cluster("hsm", CLUSTER)).await;
    let digits = id.strip_prefix("cks-").unwrap();
    assert_eq!(digits.len(), 17);
    assert!(digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{id}");
    let event = world.last_event();
    assert_eq!(event.event_name, "CreateCustomKeyStore");
    assert!(!event.read_only);
    assert_eq!(
        event.request_parameters,
        Some(json!({"customKeyStoreName": "hsm", "clusterId": CLUSTER}))
    );
    assert_eq!(event.response_elements, Some(json!({"customKeyStoreId": id})));
    assert_eq!(
        world.store(&id).await,
        json!({
            "CustomKeyStoreId": id,
            "CustomKeyStoreName": "hsm",
            "CloudHsmClusterId": CLUSTER,
            "TrustAnchorCertificate": "-----BEGIN CERTIFICATE-----",
            "ConnectionState": "DISCONNECTED",
            "CreationDate": NOW_SECS,
            "CustomKeyStoreType": "AWS_CLOUDHSM",
        })
    );
    // The type may be named too.
    let body = cluster("hsm-2", "cluster-3a23b4cdefg");
    world.create_store(with(body, json!({"CustomKeyStoreType": "AWS_CLOUDHSM"}))).await;
}

#[tokio::test]
async fn external_stores() {
    let world = World::new().await;
    let id = world.create_store(public("xks")).await;
    let mut expected = json!({
        "CustomKeyStoreId": id,
        "CustomKeyStoreName": "xks",
        "ConnectionState": "DISCONNECTED",
        "CreationDate": NOW_SECS,
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyConfiguration": {
            "Connectivity": "PUBLIC_ENDPOINT",
            "AccessKeyId": PROXY_KEY_ID,
            "UriEndpoint": ENDPOINT,
            "UriPath": "/xks/kms/xks/v1",
        },
    });
    assert_eq!(world.store(&id).await, expected);

    // The service is the caller's account's own if no other is named.
    let id = world.create_store(vpc("vpc")).await;
    expected["CustomKeyStoreId"] = json!(id);
    expected["CustomKeyStoreName"] = json!("vpc");
    expected["XksProxyConfiguration"] = json!({
        "Connectivity": "VPC_ENDPOINT_SERVICE",
        "AccessKeyId": PROXY_KEY_ID,
        "UriEndpoint": "https://private.example.com",
        "UriPath": "/vpc/kms/xks/v1",
        "VpcEndpointServiceName": SERVICE,
        "VpcEndpointServiceOwner": ACCOUNT,
    });
    assert_eq!(world.store(&id).await, expected);
    let foreign = with(
        vpc("foreign"),
        json!({
            "XksProxyVpcEndpointServiceOwner": OTHER_ACCOUNT,
            "XksProxyVpcEndpointServiceName": format!("{SERVICE}f"),
            "XksProxyUriEndpoint": "https://foreign.example.com",
        }),
    );
    let id = world.create_store(foreign).await;
    let shown = &world.store(&id).await["XksProxyConfiguration"];
    assert_eq!(shown["VpcEndpointServiceOwner"], OTHER_ACCOUNT);
}

#[tokio::test]
async fn each_type_needs_its_members() {
    let world = World::new().await;
    let missing = |member: &str| {
        let text = format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: \
             Member must not be null"
        );
        failed("ValidationException", text)
    };
    let of_external = [
        ("XksProxyUriEndpoint", "xksProxyUriEndpoint"),
        ("XksProxyUriPath", "xksProxyUriPath"),
        ("XksProxyAuthenticationCredential", "xksProxyAuthenticationCredential"),
        ("XksProxyConnectivity", "xksProxyConnectivity"),
    ];
    let of_cluster = [
        ("CustomKeyStoreName", "customKeyStoreName"),
        ("CloudHsmClusterId", "cloudHsmClusterId"),
        ("TrustAnchorCertificate", "trustAnchorCertificate"),
        ("KeyStorePassword", "keyStorePassword"),
    ];
    let of_vpc = [("XksProxyVpcEndpointServiceName", "xksProxyVpcEndpointServiceName")];
    for (body, members) in [
        (cluster("s", CLUSTER), &of_cluster[..]),
        (public("s"), &of_external[..]),
        (vpc("s"), &of_vpc[..]),
    ] {
        for (member, shown) in members {
            let mut body = body.clone();
            // Null and absent are the same.
            body[member] = Value::Null;
            let refused = world.kms_fails("CreateCustomKeyStore", body.clone()).await;
            assert_eq!(refused, missing(shown));
            body.as_object_mut().unwrap().remove(*member);
            assert_eq!(world.kms_fails("CreateCustomKeyStore", body).await, missing(shown));
        }
    }
    assert_eq!(world.kms("DescribeCustomKeyStores", json!({})).await["CustomKeyStores"], json!([]));
}

#[tokio::test]
async fn members_of_another_type_are_refused() {
    let world = World::new().await;
    let mut bodies = Vec::new();
    for (member, value) in public("x").as_object().unwrap() {
        if member.starts_with("Xks") {
            bodies.push(with(cluster("s", CLUSTER), json!({member: value})));
        }
    }
    for member in ["CloudHsmClusterId", "TrustAnchorCertificate", "KeyStorePassword"] {
        bodies.push(with(public("s"), json!({member: cluster("x", CLUSTER)[member]})));
    }
    for member in ["XksProxyVpcEndpointServiceName", "XksProxyVpcEndpointServiceOwner"] {
        let value = if member.ends_with("Name") { SERVICE } else { OTHER_ACCOUNT };
        bodies.push(with(cluster("s", CLUSTER), json!({member: value})));
        bodies.push(with(public("s"), json!({member: value})));
    }
    assert_eq!(bodies.len(), 11);
    for body in bodies {
        let refused = world.kms_fails("CreateCustomKeyStore", body.clone()).await;
        assert_eq!(refused.code, "ValidationException", "{body}");
        assert!(refused.message.contains("only valid when"), "{refused:?}");
    }
}

#[tokio::test]
async fn texts_of_the_wrong_form_are_refused() {
    let world = World::new().await;
    for (body, member, value) in [
        (cluster("s", CLUSTER), "CustomKeyStoreType", json!("HSM")),
        (cluster("s", CLUSTER), "CustomKeyStoreName", json!("")),
        (cluster("s", CLUSTER), "CustomKeyStoreName", json!("n".repeat(257))),
        (cluster("s", CLUSTER), "CloudHsmClusterId", json!("cluster-189")),
        (cluster("s", CLUSTER), "KeyStorePassword", json!("p".repeat(33))),
        (public("s"), "XksProxyUriEndpoint", json!("http://proxy.example.com")),
        (public("s"), "XksProxyUriEndpoint", json!("https://proxy.example.com:443")),
        (public("s"), "XksProxyUriPath", json!("/kms/xks/v1/more")),
        (public("s"), "XksProxyConnectivity", json!("INTERNET")),
        (vpc("s"), "XksProxyVpcEndpointServiceName", json!("vpce-svc-0a1b2c3d4e5f6a7b8")),
        (vpc("s"), "XksProxyVpcEndpointServiceOwner", json!("nobody-at-al")),
    ] {
        let body = with(body, json!({member: value}));
        let refused = world.kms_fails("CreateCustomKeyStore", body.clone()).await;
        assert_eq!(refused.code, "ValidationException", "{body}");
        assert!(refused.message.contains("failed to satisfy constraint"), "{refused:?}");
    }
    world.create_store(cluster(&"n".repeat(256), CLUSTER)).await;
}
