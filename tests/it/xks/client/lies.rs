//! A proxy that lies: nothing that it says makes a wrong plaintext.
use super::liar::{Liar, Lie, vouched};
use crate::support::failed;
use crate::world::World;
use crate::xks::{b64, unb64};
use serde_json::{Value, json};
use std::sync::Arc;

pub const INSIDE: &str = "The ciphertext that the external key store proxy submitted for decryption, or the \
    encryption context, is corrupted, missing, or otherwise invalid.";
const GARBAGE: &str = "AWS KMS cannot interpret the response from the external key store proxy. If you \
    see this error repeatedly, report it to your external key store proxy administrator.";

pub async fn world() -> (World, Arc<Liar>, String) {
    let mut world = World::new().await;
    let liar = Arc::new(Liar::default());
    Arc::get_mut(&mut world.server).unwrap().proxies = Arc::new(liar.proxies());
    let (_, key) = store_and_key(&world).await;
    (world, liar, key)
}

/// A store that is made of a proxy in the test's hand.
pub fn store_body(name: &str, path: &str) -> Value {
    json!({
        "CustomKeyStoreName": name,
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyUriEndpoint": "https://liar.example.com",
        "XksProxyUriPath": path,
        "XksProxyAuthenticationCredential":
            {"AccessKeyId": crate::xks::ID, "RawSecretAccessKey": crate::xks::SECRET},
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
    })
}

/// The ids of a connected store and of a key in it.
pub async fn store_and_key(world: &World) -> (String, String) {
    let made = world.kms("CreateCustomKeyStore", store_body("xks", "/kms/xks/v1")).await;
    let store = made["CustomKeyStoreId"].as_str().unwrap().to_owned();
    world.kms("ConnectCustomKeyStore", json!({"CustomKeyStoreId": store})).await;
    let made = world.kms("CreateKey", super::key_body(&store, "k")).await;
    (store, made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_is_not_the_protocols_is_no_ciphertext() {
    let (world, liar, key) = world().await;
    let encrypt = json!({"KeyId": key, "Plaintext": b64(b"attack")});
    world.kms("Encrypt", encrypt.clone()).await;
    let again = |answer: &Value, metadata: &[u8], iv: &[u8], ciphertext: &[u8], tag: &[u8]| {
        vouched(&unb64(&answer["aad"]), metadata, iv, ciphertext, tag)
    };
    let lies: Vec<(&str, Lie)> = vec![
        (
            "no value",
            Lie::of(|_, a| {
                a.as_object_mut().unwrap().remove("ciphertextDataIntegrityValue");
            }),
        ),
        ("another value", Lie::of(|_, a| a["ciphertextDataIntegrityValue"] = json!(b64(&[0; 32])))),
        (
            "a shorter value",
            Lie::of(|_, a| {
                let value = unb64(&a["ciphertextDataIntegrityValue"]);
                a["ciphertextDataIntegrityValue"] = json!(b64(&value[..31]));
            }),
        ),
        (
            "a flipped bit",
            Lie::of(|_, a| {
                let mut bytes = unb64(&a["ciphertext"]);
                bytes[0] ^= 1;
                a["ciphertext"] = json!(b64(&bytes));
            }),
        ),
        (
            "a longer ciphertext",
            Lie::of(move |_, a| {
                let longer = [unb64(&a["ciphertext"]), vec![0]].concat();
                *a = again(a, b"", &[7; 12], &longer, &[1; 16]);
            }),
        ),
        ("a shorter ciphertext", Lie::of(move |_, a| *a = again(a, b"", &[7; 12], &[1], &[1; 16]))),
        ("an empty one", Lie::of(move |_, a| *a = again(a, b"", &[7; 12], b"", &[1; 16]))),
        (
            "a long IV",
            Lie::of(move |_, a| {
                *a = again(a, b"", &[7; 13], &unb64(&a["ciphertext"]), &[1; 16]);
            }),
        ),
        (
            "a short tag",
            Lie::of(move |_, a| {
                *a = again(a, b"", &[7; 12], &unb64(&a["ciphertext"]), &[1; 12]);
            }),
        ),
        (
            "long metadata",
            Lie::of(move |_, a| {
                *a = again(a, &[1; 21], &[7; 12], &unb64(&a["ciphertext"]), &[1; 16]);
            }),
        ),
        (
            "no IV",
            Lie::of(|_, a| {
                a.as_object_mut().unwrap().remove("initializationVector");
            }),
        ),
        ("no JSON object", Lie::of(|_, a| *a = json!("ciphertext"))),
        ("another success", Lie::of(|status, _| *status = 201)),
        ("a redirect", Lie::of(|status, _| *status = 307)),
        ("an error without a name", Lie::of(|status, _| *status = 400)),
        (
            "a name with another status",
            Lie::of(|status, a| {
                *status = 200;
                *a = json!({"errorName": "ThrottlingException"});
            }),
        ),
        (
            "an unknown name",
            Lie::of(|status, a| {
                *status = 400;
                *a = json!({"errorName": "<script>", "errorMessage": "<script>"});
            }),
        ),
    ];
    for (what, lie) in lies {
        liar.tell(lie);
        let refused = world.kms_fails("Encrypt", encrypt.clone()).await;
        assert_eq!(refused, failed("KMSInvalidStateException", GARBAGE), "{what}");
    }
    liar.honest();
    world.kms("Encrypt", encrypt).await;
}

/// The proxy can withhold a plaintext. It cannot make one.
#[tokio::test]
async fn what_the_key_did_not_seal_for_this_blob_is_no_plaintext() {
    let (world, liar, key) = world().await;
    let seal = async |text: &[u8], context: Value| {
        let body = json!({"KeyId": key, "Plaintext": b64(text), "EncryptionContext": context});
        world.kms("Encrypt", body).await["CiphertextBlob"].clone()
    };
    let one = seal(b"pay 10", json!({"a": "b"})).await;
    seal(b"pay 99", json!({"a": "b"})).await;
    seal(b"pay 10", json!({"a": "b"})).await;
    seal(b"pay 10", json!({"a": "c"})).await;
    let insides = liar.seen.lock().unwrap().clone();
    let opens = json!({"CiphertextBlob": one, "EncryptionContext": {"a": "b"}});
    let open = async || world.call("kms", "Decrypt", opens.clone()).await;
    assert_eq!(open().await.unwrap()["Plaintext"], b64(b"pay 10"));

    // The insides of other blobs: of the same key and context too, and even of the same plaintext.
    let own = insides[0].clone();
    for (n, inside) in insides.into_iter().enumerate().skip(1) {
        liar.tells(move |_, answer| answer["plaintext"] = inside.clone());
        let refused = open().await.unwrap_err();
        assert_eq!(refused, failed("KMSInvalidStateException", INSIDE), "{n}");
    }
    // What was never sealed, and its own with each bit changed.
    let whole = unb64(&own);
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        liar.tells(move |_, answer| answer["plaintext"] = json!(b64(&changed)));
        let refused = open().await.unwrap_err();
        assert_eq!(refused, failed("KMSInvalidStateException", INSIDE), "{at}");
    }
    for len in [0, 1, whole.len() - 1, whole.len() + 1] {
        liar.tells(move |_, answer| answer["plaintext"] = json!(b64(&vec![0; len])));
        assert_eq!(open().await.unwrap_err(), failed("KMSInvalidStateException", GARBAGE), "{len}");
    }
    liar.honest();
    assert_eq!(open().await.unwrap()["Plaintext"], b64(b"pay 10"));
}

/// A blob that somebody changed does not open, whatever the proxy makes of it.
#[tokio::test]
async fn a_changed_blob_does_not_open() {
    let (world, liar, key) = world().await;
    let body = json!({"KeyId": key, "Plaintext": b64(b"attack")});
    let blob = unb64(&world.kms("Encrypt", body).await["CiphertextBlob"]);
    let inside = liar.seen.lock().unwrap()[0].clone();
    // It even answers what it was once given, whatever is asked.
    liar.tells(move |status, answer| {
        *status = 200;
        *answer = json!({"plaintext": inside});
    });
    let (mut opened, mut refused) = (0, 0);
    for at in 0..blob.len() {
        let mut changed = blob.clone();
        changed[at] ^= 1;
        match world.call("kms", "Decrypt", json!({"CiphertextBlob": b64(&changed)})).await {
            // The proxy's own part is for the proxy to check, and this one does not: the plaintext is
            // the right one all the same.
            Ok(answer) => {
                assert_eq!(answer["Plaintext"], b64(b"attack"), "{at}");
                assert!(at >= 57, "{at}: the header is ours");
                opened += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(opened > 0 && refused >= 57, "{opened} {refused}");
}

#[tokio::test]
async fn each_error_of_the_protocol_has_its_sentence() {
    let (world, liar, key) = world().await;
    let encrypt = json!({"KeyId": key, "Plaintext": b64(b"attack")});
    for (status, name, part) in [
        (400, "ValidationException", "cannot interpret the response"),
        (400, "InvalidStateException", "is not enabled in the external key manager"),
        (400, "InvalidKeyUsageException", "does not support the requested operation"),
        (401, "AuthenticationFailedException", "could not authenticate AWS KMS"),
        (403, "AccessDeniedException", "denied access to the operation"),
        (404, "KeyNotFoundException", "was not found in its external key manager"),
        (404, "InvalidUriPathException", "invalid URI path"),
        (429, "ThrottlingException", "very high request rate"),
        (501, "UnsupportedOperationException", "does not support the requested operation"),
        (503, "DependencyTimeoutException", "in the time allotted"),
        (500, "InternalException", "cannot communicate with the external key manager"),
    ] {
        liar.tells(move |to, answer| {
            *to = status;
            *answer = json!({"errorName": name, "errorMessage": "what it says beside it"});
        });
        let refused = world.kms_fails("Encrypt", encrypt.clone()).await;
        assert_eq!(refused.code, "KMSInvalidStateException", "{name}");
        assert!(refused.message.contains(part), "{name}: {}", refused.message);
        assert!(!refused.message.contains("beside it"));
    }
}
