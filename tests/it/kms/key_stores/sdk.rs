//! An unmodified AWS SDK, over HTTP.
use super::{CLUSTER, ENDPOINT, PASSWORD, PROXY_KEY_ID, PROXY_SECRET};
use crate::world::World;
use aws_sdk_kms::Client;
use aws_sdk_kms::types::{
    ConnectionErrorCodeType, ConnectionStateType, CustomKeyStoreType,
    XksProxyAuthenticationCredentialType, XksProxyConnectivityType,
};

#[tokio::test]
async fn a_stores_life() {
    let world = World::new().await;
    let client = Client::new(&world.sdk(&world.root).await);
    let made = client
        .create_custom_key_store()
        .custom_key_store_name("hsm")
        .cloud_hsm_cluster_id(CLUSTER)
        .trust_anchor_certificate("-----BEGIN CERTIFICATE-----")
        .key_store_password(PASSWORD)
        .send()
        .await
        .unwrap();
    let hsm = made.custom_key_store_id().unwrap();
    client.connect_custom_key_store().custom_key_store_id(hsm).send().await.unwrap();
    let shown = client.describe_custom_key_stores().custom_key_store_id(hsm).send().await.unwrap();
    let state = shown.custom_key_stores()[0].connection_state();
    assert_eq!(state, Some(&ConnectionStateType::Connected));
    client.disconnect_custom_key_store().custom_key_store_id(hsm).send().await.unwrap();

    let credential = XksProxyAuthenticationCredentialType::builder()
        .access_key_id(PROXY_KEY_ID)
        .raw_secret_access_key(PROXY_SECRET)
        .build()
        .unwrap();
    let made = client
        .create_custom_key_store()
        .custom_key_store_name("xks")
        .custom_key_store_type(CustomKeyStoreType::ExternalKeyStore)
        .xks_proxy_uri_endpoint(ENDPOINT)
        .xks_proxy_uri_path("/kms/xks/v1")
        .xks_proxy_authentication_credential(credential)
        .xks_proxy_connectivity(XksProxyConnectivityType::PublicEndpoint)
        .send()
        .await
        .unwrap();
    let xks = made.custom_key_store_id().unwrap();
    client.connect_custom_key_store().custom_key_store_id(xks).send().await.unwrap();
    let shown = client.describe_custom_key_stores().custom_key_store_name("xks").send().await;
    let shown = &shown.unwrap().custom_key_stores.unwrap()[0];
    assert_eq!(shown.connection_state(), Some(&ConnectionStateType::Failed));
    let code = Some(&ConnectionErrorCodeType::XksProxyNotReachable);
    assert_eq!(shown.connection_error_code(), code);
    assert_eq!(shown.creation_date().unwrap().secs(), world.server.clock.now().secs());
    let proxy = shown.xks_proxy_configuration().unwrap();
    assert_eq!((proxy.access_key_id(), proxy.uri_endpoint()), (Some(PROXY_KEY_ID), Some(ENDPOINT)));

    let refused = client.delete_custom_key_store().custom_key_store_id(xks).send().await;
    let refused = refused.unwrap_err().into_service_error();
    assert!(refused.is_custom_key_store_invalid_state_exception(), "{refused}");
    client.disconnect_custom_key_store().custom_key_store_id(xks).send().await.unwrap();
    let rename = client.update_custom_key_store().custom_key_store_id(xks);
    let refused = rename.clone().new_custom_key_store_name("hsm").send().await;
    let refused = refused.unwrap_err().into_service_error();
    assert!(refused.is_custom_key_store_name_in_use_exception(), "{refused}");
    rename.new_custom_key_store_name("outside").send().await.unwrap();

    let pages = client.describe_custom_key_stores().into_paginator().page_size(1).send();
    let pages: Vec<_> = pages.collect::<Result<_, _>>().await.unwrap();
    let mut names: Vec<_> = pages
        .iter()
        .flat_map(|page| page.custom_key_stores())
        .filter_map(|store| store.custom_key_store_name())
        .collect();
    names.sort_unstable();
    assert_eq!((pages.len(), names), (2, vec!["hsm", "outside"]));
    for id in [hsm, xks] {
        client.delete_custom_key_store().custom_key_store_id(id).send().await.unwrap();
    }
    let all = client.describe_custom_key_stores().send().await.unwrap();
    assert!(all.custom_key_stores().is_empty());
    let gone = client.describe_custom_key_stores().custom_key_store_id(xks).send().await;
    assert!(gone.unwrap_err().into_service_error().is_custom_key_store_not_found_exception());
}
