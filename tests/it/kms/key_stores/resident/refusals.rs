//! What keys in devices are refused, and who is.
use super::super::{CLUSTER, NO_CLUSTER, THIRD_CLUSTER, cluster, public};
use super::creation;
use crate::kms::subject::with;
use crate::support::failed;
use crate::world::{OTHER_REGION, World, allow};
use claviger::keys::stores::Connection;
use serde_json::json;

#[tokio::test]
async fn what_no_device_makes() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let calls = world.cluster.calls();
    let text = format!("The device of the custom key store {store} makes no such keys.");
    for (spec, usage) in [
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
        ("ML_DSA_65", "SIGN_VERIFY"),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
    ] {
        let refused = world.kms_fails("CreateKey", creation(&store, spec, usage)).await;
        assert_eq!(refused, failed("UnsupportedOperationException", text.clone()));
    }
    let good = creation(&store, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT");
    for (more, code) in [
        (json!({"MultiRegion": true}), "UnsupportedOperationException"),
        (json!({"Origin": "EXTERNAL_KEY_STORE"}), "ValidationException"),
        (json!({"Origin": "AWS_KMS"}), "ValidationException"),
        (json!({"XksKeyId": "one"}), "ValidationException"),
        (json!({"KeyUsage": "SIGN_VERIFY"}), "ValidationException"),
        (json!({"CustomKeyStoreId": "cks-1234567890abcdef0"}), "CustomKeyStoreNotFoundException"),
    ] {
        let refused = world.kms_fails("CreateKey", with(good.clone(), more.clone())).await;
        assert_eq!(refused.code, code, "{more}");
    }
    // A key is not made where the other type of store is.
    let xks = world.create_store(public("xks")).await;
    world.set_connection(&xks, Connection::Connected).await;
    let body = with(good, json!({"CustomKeyStoreId": xks}));
    assert_eq!(world.kms_fails("CreateKey", body).await.code, "ValidationException");
    assert_eq!(world.cluster.calls(), calls, "the device was asked");
    assert_eq!(world.cluster.objects().len(), 0);
}

#[tokio::test]
async fn what_aws_refuses_for_such_keys() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let key = world.key_in(&store).await;
    let named = json!({"KeyId": key});
    let origin = failed(
        "UnsupportedOperationException",
        format!("{key} origin is AWS_CLOUDHSM which is not valid for this operation."),
    );
    let wrapping = json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
        "WrappingKeySpec": "RSA_2048"});
    for (operation, body) in [
        ("EnableKeyRotation", named.clone()),
        ("DisableKeyRotation", named.clone()),
        ("GetKeyRotationStatus", named.clone()),
        ("RotateKeyOnDemand", named.clone()),
        ("ListKeyRotations", named.clone()),
        ("GetParametersForImport", wrapping),
        ("GenerateDataKeyPair", json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"})),
        (
            "GenerateDataKeyPairWithoutPlaintext",
            json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"}),
        ),
    ] {
        assert_eq!(world.kms_fails(operation, body).await, origin, "{operation}");
    }
    let body = json!({"KeyId": key, "ReplicaRegion": OTHER_REGION});
    assert_eq!(world.kms_fails("ReplicateKey", body).await.code, "UnsupportedOperationException");
}

#[tokio::test]
async fn a_cluster_is_a_configured_device_and_in_one_store() {
    let world = World::new().await;
    world.connected_store().await;
    let refused = world.kms_fails("CreateCustomKeyStore", cluster("two", CLUSTER)).await;
    assert_eq!(refused.code, "CloudHsmClusterInUseException");
    let refused = world.kms_fails("CreateCustomKeyStore", cluster("two", NO_CLUSTER)).await;
    let text = format!("The cluster {NO_CLUSTER} was not found.");
    assert_eq!(refused, failed("CloudHsmClusterNotFoundException", text));
}

/// The id of a cluster is no secret.
#[tokio::test]
async fn a_device_of_one_account_is_not_there_for_another() {
    let world = World::new().await;
    let stranger = world.other_root();
    let body = cluster("theirs", THIRD_CLUSTER);
    let refused = world.kms_fails_as(&stranger, "CreateCustomKeyStore", body.clone()).await;
    let text = format!("The cluster {THIRD_CLUSTER} was not found.");
    assert_eq!(refused, failed("CloudHsmClusterNotFoundException", text));
    // One of everybody's is, and no way leads from it to the other.
    let made = cluster("ours", CLUSTER);
    let made = world.call_as(&stranger, "kms", "CreateCustomKeyStore", made).await.unwrap();
    let change = json!({"CustomKeyStoreId": made["CustomKeyStoreId"],
        "CloudHsmClusterId": THIRD_CLUSTER});
    let refused = world.kms_fails_as(&stranger, "UpdateCustomKeyStore", change).await;
    assert_eq!(refused.code, "CloudHsmClusterNotFoundException");
    world.create_store(body).await;
}

/// Permission is asked before the device is.
#[tokio::test]
async fn whoever_may_not_does_not_reach_the_device() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let key = world.key_in(&store).await;
    let sealed = world.hello(&key).await;
    let ann = world.user("ann", allow(&["kms:DescribeKey"])).await;
    let stranger = world.other_root();
    let calls = world.cluster.calls();
    for who in [&ann, &stranger] {
        for (operation, body) in [
            ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
            ("Decrypt", json!({"CiphertextBlob": sealed})),
            ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ] {
            let refused = world.kms_fails_as(who, operation, body).await;
            assert_eq!(refused.code, "AccessDeniedException", "{operation}");
        }
    }
    let body = creation(&store, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT");
    assert_eq!(
        world.kms_fails_as(&ann, "CreateKey", body.clone()).await.code,
        "AccessDeniedException"
    );
    // A store is its account's own.
    let refused = world.kms_fails_as(&stranger, "CreateKey", body).await;
    assert_eq!(refused.code, "CustomKeyStoreNotFoundException");
    let body = json!({"NumberOfBytes": 8, "CustomKeyStoreId": store});
    assert_eq!(
        world.kms_fails_as(&ann, "GenerateRandom", body).await.code,
        "AccessDeniedException"
    );
    assert_eq!(world.cluster.calls(), calls);
}
