//! A proxy in league with somebody who writes ciphertexts: no blob of one key becomes another key's, and
//! none loses its encryption context.
use super::lies::{INSIDE, world};
use crate::support::failed;
use crate::xks::{b64, unb64};
use serde_json::{Value, json};

/// Where a blob names its key and its material, and where what follows begins: see `keys/ciphertext`.
const HEADER: usize = 40;
const HDR: usize = 56;

/// One key more in the store of the first one.
async fn second(world: &crate::world::World, first: &str) -> String {
    let described = world.kms("DescribeKey", json!({"KeyId": first})).await;
    let store = described["KeyMetadata"]["CustomKeyStoreId"].as_str().unwrap().to_owned();
    let made = world.kms("CreateKey", super::key_body(&store, "second")).await;
    made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_blob_of_one_key_is_none_of_another() {
    let (world, liar, first) = world().await;
    let second = second(&world, &first).await;
    let seal = async |key: &str| {
        let body = json!({"KeyId": key, "Plaintext": b64(b"attack")});
        unb64(&world.kms("Encrypt", body).await["CiphertextBlob"])
    };
    let (of_first, of_second) = (seal(&first).await, seal(&second).await);
    let insides = liar.seen.lock().unwrap().clone();
    let spliced = |head: &[u8], tail: &[u8], at: usize| [&head[..at], &tail[at..]].concat();
    for (what, blob) in [
        ("the header of the second", spliced(&of_second, &of_first, HEADER)),
        ("the header and the randomness of the second", spliced(&of_second, &of_first, HDR)),
        ("the header of the first", spliced(&of_first, &of_second, HEADER)),
        ("the header and the randomness of the first", spliced(&of_first, &of_second, HDR)),
    ] {
        // An honest proxy, and one that answers with either inside whatever it is asked.
        for inside in [None, Some(insides[0].clone()), Some(insides[1].clone())] {
            match inside.clone() {
                None => liar.honest(),
                Some(inside) => liar.tells(move |status, answer| {
                    (*status, *answer) = (200, json!({"plaintext": inside}));
                }),
            }
            let asked = json!({"CiphertextBlob": b64(&blob)});
            let answer = world.call("kms", "Decrypt", asked).await;
            let own = inside == Some(insides[0].clone()) && blob[..HDR] == of_first[..HDR]
                || inside == Some(insides[1].clone()) && blob[..HDR] == of_second[..HDR];
            match (own, answer) {
                // The proxy gave back what was sealed for this header: the right plaintext, of the
                // right key.
                (true, Ok(answer)) => assert_eq!(answer["Plaintext"], b64(b"attack"), "{what}"),
                (false, Err(error)) => {
                    assert_eq!(error.code, "KMSInvalidStateException", "{what}: {error:?}");
                }
                (_, other) => panic!("{what}: {other:?}"),
            }
        }
    }
    // Named by the caller, a key opens its own blobs only.
    liar.honest();
    let body = json!({"KeyId": second, "CiphertextBlob": b64(&of_first)});
    assert_eq!(world.kms_fails("Decrypt", body).await.code, "IncorrectKeyException");
}

/// The proxy does not look at what is bound, so that only we do.
#[tokio::test]
async fn a_context_is_neither_taken_away_nor_changed() {
    let (world, liar, key) = world().await;
    let context = json!({"tenant": "a", "purpose": "pay"});
    let body = json!({"KeyId": key, "Plaintext": b64(b"attack"), "EncryptionContext": context});
    let blob = world.kms("Encrypt", body).await["CiphertextBlob"].clone();
    let inside = liar.seen.lock().unwrap()[0].clone();
    liar.tells(move |status, answer| {
        (*status, *answer) = (200, json!({"plaintext": inside}));
    });
    let open = async |context: Value| {
        let body = json!({"CiphertextBlob": blob, "EncryptionContext": context});
        world.call("kms", "Decrypt", body).await
    };
    for other in [
        json!({}),
        json!({"tenant": "a"}),
        json!({"tenant": "b", "purpose": "pay"}),
        json!({"tenant": "pay", "purpose": "a"}),
        json!({"tenant": "a", "purpose": "pay", "more": ""}),
        json!({"Tenant": "a", "purpose": "pay"}),
    ] {
        let refused = open(other.clone()).await.unwrap_err();
        assert_eq!(refused, failed("KMSInvalidStateException", INSIDE), "{other}");
    }
    assert_eq!(open(context).await.unwrap()["Plaintext"], b64(b"attack"));
}

/// All key managers of the proxy are away: AWS calls the proxy unreachable, where a store is made and
/// where it is connected.
#[tokio::test]
async fn a_proxy_whose_key_managers_are_away_is_not_reachable() {
    let (world, liar, key) = world().await;
    let described = world.kms("DescribeKey", json!({"KeyId": key})).await;
    let named = json!({"CustomKeyStoreId": described["KeyMetadata"]["CustomKeyStoreId"]});
    let members = |statuses: &[&str]| -> Value {
        statuses.iter().map(|s| json!({"id": "1", "model": "m", "healthStatus": s})).collect()
    };
    let state = async || {
        world.kms("ConnectCustomKeyStore", named.clone()).await;
        let shown = world.kms("DescribeCustomKeyStores", named.clone()).await;
        world.kms("DisconnectCustomKeyStore", named.clone()).await;
        let store = &shown["CustomKeyStores"][0];
        (store["ConnectionState"].clone(), store["ConnectionErrorCode"].clone())
    };
    world.kms("DisconnectCustomKeyStore", named.clone()).await;
    let away = members(&["UNAVAILABLE", "UNAVAILABLE"]);
    liar.tells(move |_, answer| answer["ekmFleetDetails"] = away.clone());
    assert_eq!(state().await, (json!("FAILED"), json!("XKS_PROXY_NOT_REACHABLE")));
    let body = super::lies::store_body("another", "/another/kms/xks/v1");
    let refused = world.kms_fails("CreateCustomKeyStore", body.clone()).await;
    assert_eq!(refused.code, "XksProxyUriUnreachableException");
    // One that serves is enough.
    let one = members(&["UNAVAILABLE", "DEGRADED"]);
    liar.tells(move |_, answer| answer["ekmFleetDetails"] = one.clone());
    assert_eq!(state().await, (json!("CONNECTED"), Value::Null));
    world.kms("CreateCustomKeyStore", body).await;
    for bad in [json!([]), members(&["ACTIVE"; 11]), members(&["active"]), json!("ACTIVE")] {
        let told = bad.clone();
        liar.tells(move |_, answer| answer["ekmFleetDetails"] = told.clone());
        assert_eq!(state().await, (json!("FAILED"), json!("XKS_PROXY_INVALID_RESPONSE")), "{bad}");
    }
}
