//! What no two stores of an account share, and how many there may be.
use super::{CLUSTER, ENDPOINT, SERVICE, cluster, public, vpc, with};
use crate::support::failed;
use crate::world::{ACCOUNT, OTHER_REGION, REGION, World};
use claviger::authorize::{Account, Conditions, authorize};
use claviger::keys::stores::{Backing, Change};
use claviger::store::{StoreError, Tx};
use claviger::types::SecretText;
use serde_json::{Value, json};

#[tokio::test]
async fn names_clusters_and_proxies_are_for_one_store() {
    let world = World::new().await;
    for body in [cluster("hsm", CLUSTER), public("xks"), vpc("vpc")] {
        world.create_store(body).await;
    }
    let private = "https://private.example.com";
    let other = "https://other.example.com";
    let uri = |endpoint: &str, path: &str| {
        let text = format!(
            "The proxy URI {endpoint}{path} is already associated with another external key store."
        );
        failed("XksProxyUriInUseException", text)
    };
    let endpoint = |endpoint: &str| {
        let text = format!(
            "The proxy URI endpoint {endpoint} is already associated with another external key \
             store."
        );
        failed("XksProxyUriEndpointInUseException", text)
    };
    let name = failed(
        "CustomKeyStoreNameInUseException",
        "The custom key store name xks is already in use in this account and Region.",
    );
    let in_use = failed(
        "CloudHsmClusterInUseException",
        format!(
            "The cluster {CLUSTER} is already associated with a custom key store in this account."
        ),
    );
    let service = failed(
        "XksProxyVpcEndpointServiceInUseException",
        format!(
            "The VPC endpoint service {SERVICE} is already associated with another external key \
             store."
        ),
    );
    let own = json!({"XksProxyVpcEndpointServiceName": format!("{SERVICE}f")});
    for (body, expected) in [
        (cluster("xks", "cluster-3a23b4cdefg"), name.clone()),
        (with(public("xks"), json!({"XksProxyUriEndpoint": other})), name),
        (cluster("new", CLUSTER), in_use),
        (
            with(public("new"), json!({"XksProxyUriPath": "/xks/kms/xks/v1"})),
            uri(ENDPOINT, "/xks/kms/xks/v1"),
        ),
        (
            with(
                public("new"),
                json!({"XksProxyUriEndpoint": "https://PROXY.example.com",
                "XksProxyUriPath": "/xks/kms/xks/v1"}),
            ),
            uri("https://PROXY.example.com", "/xks/kms/xks/v1"),
        ),
        // A private name is for one store, and a public one never private.
        (with(vpc("new"), own.clone()), endpoint(private)),
        (with(public("new"), json!({"XksProxyUriEndpoint": private})), endpoint(private)),
        (with(with(vpc("new"), own), json!({"XksProxyUriEndpoint": ENDPOINT})), endpoint(ENDPOINT)),
        (with(vpc("new"), json!({"XksProxyUriEndpoint": other})), service),
    ] {
        assert_eq!(world.kms_fails("CreateCustomKeyStore", body.clone()).await, expected, "{body}");
    }
    // A public endpoint may serve several stores, by another path each.
    world.create_store(public("xks-2")).await;
}

#[tokio::test]
async fn each_region_and_account_has_its_own_but_a_cluster_is_one() {
    let world = World::new().await;
    for body in [cluster("hsm", CLUSTER), public("xks"), vpc("vpc")] {
        world.create_store(body).await;
    }
    let elsewhere =
        |body: Value| world.call_in(&world.root, OTHER_REGION, "kms", "CreateCustomKeyStore", body);
    elsewhere(public("xks")).await.unwrap();
    elsewhere(vpc("vpc")).await.unwrap();
    let refused = elsewhere(cluster("hsm", CLUSTER)).await.unwrap_err();
    assert_eq!(refused.code, "CloudHsmClusterInUseException");
    elsewhere(cluster("hsm", "cluster-3a23b4cdefg")).await.unwrap();
    // What other accounts have is nobody's business.
    for body in [cluster("hsm", CLUSTER), public("xks"), vpc("vpc")] {
        world.kms_as(&world.other_root(), "CreateCustomKeyStore", body).await;
    }
}

#[tokio::test]
async fn ten_in_a_region() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for at in 0..10 {
        ids.push(world.create_store(public(&format!("s{at}"))).await);
    }
    let full = failed(
        "LimitExceededException",
        "The account has 10 custom key stores in this Region, which is the limit.",
    );
    assert_eq!(world.kms_fails("CreateCustomKeyStore", public("more")).await, full);
    let elsewhere =
        world.call_in(&world.root, OTHER_REGION, "kms", "CreateCustomKeyStore", public("more"));
    elsewhere.await.unwrap();
    world.kms_as(&world.other_root(), "CreateCustomKeyStore", public("more")).await;
    // One that is deleted makes room, for its name too.
    world.kms("DeleteCustomKeyStore", json!({"CustomKeyStoreId": ids[3]})).await;
    world.create_store(public("s3")).await;
    assert_eq!(world.kms_fails("CreateCustomKeyStore", public("more")).await, full);
}

/// The comparison holds for calls at the same time too: what they compared is part of their commits,
/// so the slower one is run again, and then sees the other.
#[tokio::test]
async fn rivals_do_not_slip_past_each_other() {
    let world = World::new().await;
    let one = world.create_store(public("one")).await;
    let two = world.create_store(public("two")).await;
    let caller = world.caller(&world.root).await;
    let account = Account(ACCOUNT.parse().unwrap());
    let allowed = authorize(&caller, "kms:*", account, Conditions::default(), None).unwrap();
    let region = REGION.parse().unwrap();
    let random = &*world.server.random;
    let create = async |tx: &mut Tx<'_>, cluster: &str| {
        let backing = Backing::Cluster {
            id: cluster.to_owned(),
            trust_anchor: String::new(),
            password: SecretText::new(String::new()),
        };
        let (name, now) = ("same".to_owned(), world.server.clock.now());
        allowed.create_key_store(tx, &region, name, backing, random, now).await.unwrap();
    };
    let rename = async |tx: &mut Tx<'_>, id: &str| {
        let change = Change { name: Some("same".into()), ..Change::default() };
        allowed.update_key_store(tx, &world.server.devices, &region, id, change).await.unwrap();
    };
    for (slow, quick) in [(0, 1), (0, 2), (2, 0), (2, 3)] {
        let mut rivals = [world.server.store.begin(), world.server.store.begin()];
        for (tx, what) in rivals.iter_mut().zip([slow, quick]) {
            match what {
                0 => create(tx, CLUSTER).await,
                1 => create(tx, "cluster-3a23b4cdefg").await,
                2 => rename(tx, &one).await,
                _ => rename(tx, &two).await,
            }
        }
        let [slower, quicker] = rivals;
        quicker.commit().await.unwrap();
        assert!(matches!(slower.commit().await, Err(StoreError::Conflict)), "{slow} {quick}");
        // As before, for the next two.
        let same = json!({"CustomKeyStoreName": "same"});
        let shown = world.kms("DescribeCustomKeyStores", same).await;
        let id = shown["CustomKeyStores"][0]["CustomKeyStoreId"].as_str().unwrap();
        if [&one, &two].contains(&&id.to_owned()) {
            let back = json!({"CustomKeyStoreId": id, "NewCustomKeyStoreName": id});
            world.kms("UpdateCustomKeyStore", back).await;
        } else {
            world.kms("DeleteCustomKeyStore", json!({"CustomKeyStoreId": id})).await;
        }
    }
}
