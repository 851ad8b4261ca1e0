//! A device that does not answer, or holds another key than it did.
use super::creation;
use crate::support::{failed, id_of};
use crate::world::World;
use claviger_hsm::{HsmError, ResidentId, ResidentKeys, ResidentSpec};
use futures_util::future::join_all;
use serde_json::json;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn its_keys_are_unavailable_and_nothing_else_is() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let (inside, here) = (world.key_in(&store).await, world.key().await);
    let signer = world.key_of_kind(&store, "ECC_NIST_P256", "SIGN_VERIFY").await;
    let mac = world.key_of_kind(&store, "HMAC_256", "GENERATE_VERIFY_MAC").await;
    let sealed = world.hello(&inside).await;
    let sign = json!({"KeyId": signer, "Message": "aGVsbG8=", "SigningAlgorithm": "ECDSA_SHA_256"});
    let signature = world.kms("Sign", sign.clone()).await["Signature"].clone();
    let mac_of = json!({"KeyId": mac, "Message": "aGVsbG8=", "MacAlgorithm": "HMAC_SHA_256"});
    for error in [
        HsmError::Unavailable("the cable is out".into()),
        HsmError::WrongPin { token: "t".into(), flags: "none".into() },
        HsmError::NoSuchToken { wanted: "t".into(), found: Vec::new() },
        HsmError::Refused("sector 7".into()),
    ] {
        world.cluster.fail(error);
        for (operation, key, body) in [
            ("Encrypt", &inside, json!({"KeyId": inside, "Plaintext": "aGVsbG8="})),
            ("Decrypt", &inside, json!({"CiphertextBlob": sealed})),
            ("GenerateDataKey", &inside, json!({"KeyId": inside, "KeySpec": "AES_256"})),
            ("Sign", &signer, sign.clone()),
            ("GenerateMac", &mac, mac_of.clone()),
        ] {
            // Of Decrypt, too: an ill device must not tell that somebody's data are forged.
            let outcome = world.kms_fails(operation, body).await;
            let expected = failed("KMSInvalidStateException", format!("{key} is unavailable."));
            assert_eq!(outcome, expected, "{operation}");
        }
        // The public half needs no device, and other keys do not notice.
        let mut verify = sign.clone();
        verify["Signature"] = signature.clone();
        world.kms("Verify", verify).await;
        world.kms("GetPublicKey", json!({"KeyId": signer})).await;
        world.hello(&here).await;
        world.key().await;
    }
    world.cluster.bring_back();
    let opened = world.kms("Decrypt", json!({"CiphertextBlob": sealed})).await;
    assert_eq!(opened["Plaintext"], "aGVsbG8=");
}

#[tokio::test]
async fn no_key_is_made_in_it() {
    let world = World::new().await;
    let store = world.connected_store().await;
    world.cluster.take_away();
    let body = creation(&store, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT");
    let text = format!("The cluster of the custom key store {store} does not answer.");
    let refused = world.kms_fails("CreateKey", body.clone()).await;
    assert_eq!(refused, failed("CustomKeyStoreInvalidStateException", text));
    let all = world.kms("ListKeys", json!({})).await;
    assert_eq!(all["Keys"].as_array().unwrap().len(), 0);
    world.cluster.bring_back();
    world.kms("CreateKey", body).await;
    assert_eq!(world.cluster.objects().len(), 1);
}

/// Whoever may write to the device puts a key of his own under the name of ours.
#[tokio::test]
async fn an_object_that_was_replaced_is_not_used() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let deployment = uuid::Uuid::from_bytes(world.server.root.cluster());
    for (spec, usage, kind) in [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", ResidentSpec::Aes256),
        ("HMAC_256", "GENERATE_VERIFY_MAC", ResidentSpec::Hmac(claviger_hsm::Hash::Sha256)),
        ("ECC_NIST_P256", "SIGN_VERIFY", ResidentSpec::EcSign(claviger_hsm::Curve::P256)),
    ] {
        let key = world.key_of_kind(&store, spec, usage).await;
        let id = ResidentId::new(format!("claviger/{deployment}/key/{}/1", id_of(&key)));
        world.cluster.device.destroy(&id).unwrap();
        let (operation, body) = match spec {
            "SYMMETRIC_DEFAULT" => ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
            "HMAC_256" => (
                "GenerateMac",
                json!({"KeyId": key, "Message": "aGVsbG8=", "MacAlgorithm": "HMAC_SHA_256"}),
            ),
            _ => (
                "Sign",
                json!({"KeyId": key, "Message": "aGVsbG8=", "SigningAlgorithm": "ECDSA_SHA_256"}),
            ),
        };
        let unavailable = failed("KMSInvalidStateException", format!("{key} is unavailable."));
        assert_eq!(world.kms_fails(operation, body.clone()).await, unavailable, "{spec}: lost");
        world.cluster.device.generate(&id, kind).unwrap();
        assert_eq!(world.kms_fails(operation, body).await, unavailable, "{spec}: replaced");
    }
}

/// What the device knew its keys by is gone with its process, so this server looks itself.
#[tokio::test]
async fn a_device_that_was_started_anew_proves_its_keys_again() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let deployment = uuid::Uuid::from_bytes(world.server.root.cluster());
    let hmac = ResidentSpec::Hmac(claviger_hsm::Hash::Sha256);
    for (spec, usage, kind, operation, body) in [
        (
            "SYMMETRIC_DEFAULT",
            "ENCRYPT_DECRYPT",
            ResidentSpec::Aes256,
            "Encrypt",
            json!({"Plaintext": "aGVsbG8="}),
        ),
        (
            "HMAC_256",
            "GENERATE_VERIFY_MAC",
            hmac,
            "GenerateMac",
            json!({"Message": "aGVsbG8=", "MacAlgorithm": "HMAC_SHA_256"}),
        ),
    ] {
        for in_the_middle in [false, true] {
            let key = world.key_of_kind(&store, spec, usage).await;
            let body = crate::kms::subject::with(body.clone(), json!({"KeyId": key}));
            world.kms(operation, body.clone()).await;
            let calls = world.cluster.calls();
            world.kms(operation, body.clone()).await;
            assert_eq!(world.cluster.calls(), calls + 1, "it was proved before");

            let id = ResidentId::new(format!("claviger/{deployment}/key/{}/1", id_of(&key)));
            world.cluster.device.destroy(&id).unwrap();
            world.cluster.device.generate(&id, kind).unwrap();
            match in_the_middle {
                true => world.cluster.restarts.store(true, Ordering::SeqCst),
                false => drop(world.cluster.epoch.fetch_add(1, Ordering::SeqCst)),
            }
            let unavailable = failed("KMSInvalidStateException", format!("{key} is unavailable."));
            let events = world.events().len();
            assert_eq!(world.kms_fails(operation, body).await, unavailable, "{spec}");
            // Refused as it is, it is an event.
            assert_eq!(world.events().len(), events + 1);
        }
    }
    // One that was not replaced goes on.
    let key = world.key_in(&store).await;
    let sealed = world.hello(&key).await;
    world.cluster.epoch.fetch_add(1, Ordering::SeqCst);
    world.kms("Decrypt", json!({"CiphertextBlob": sealed})).await;
    world.cluster.restarts.store(true, Ordering::SeqCst);
    world.hello(&key).await;
}

#[tokio::test]
async fn one_that_hangs_holds_up_nobody_else() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let (inside, here) = (world.key_in(&store).await, world.key().await);
    world.hello(&inside).await;
    world.cluster.hangs.store(true, Ordering::SeqCst);
    let body = json!({"KeyId": inside, "Plaintext": "aGVsbG8="});
    let stuck = join_all((0..200).map(|_| world.call("kms", "Encrypt", body.clone())));
    let others = async {
        for _ in 0..20 {
            world.hello(&here).await;
            tokio::task::yield_now().await;
        }
        world.cluster.hangs.store(false, Ordering::SeqCst);
    };
    let (outcomes, ()) = tokio::join!(stuck, others);
    let (done, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (128, 72));
    for refusal in refused {
        assert_eq!(refusal.unwrap_err().code, "ThrottlingException");
    }
    // Every turn was given back.
    for outcome in join_all((0..128).map(|_| world.call("kms", "Encrypt", body.clone()))).await {
        outcome.unwrap();
    }
}
