//! Wrapping keys and algorithms: which there are, which fit which material.
use super::{OAEP, OVER_AES, SMALL, b64, bytes, generated};
use crate::support::{failed, id_of};
use crate::world::{NOW_SECS, World};
use claviger::primitives::KeySpec;
use serde_json::json;

/// A P-256 key can travel in every way there is.
async fn travels_under(spec: &str) {
    let world = World::new().await;
    let material = generated(KeySpec::EccNistP256);
    let mut public = None;
    for algorithm in ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", OVER_AES]
    {
        let key = world.external("ECC_NIST_P256", "SIGN_VERIFY").await;
        let parameters = world.parameters(&key, algorithm, spec).await;
        world.kms("ImportKeyMaterial", parameters.body(&key, &material)).await;
        assert_eq!(world.state(&key).await, "Enabled", "{algorithm}");
        let got = world.kms("GetPublicKey", json!({"KeyId": key})).await["PublicKey"].clone();
        assert_eq!(public.get_or_insert(got.clone()), &got, "{algorithm}");
    }
}

#[tokio::test]
async fn every_algorithm_works_under_rsa_2048() {
    travels_under("RSA_2048").await;
}

#[tokio::test]
async fn every_algorithm_works_under_rsa_3072() {
    travels_under("RSA_3072").await;
}

#[tokio::test]
async fn every_algorithm_works_under_rsa_4096() {
    travels_under("RSA_4096").await;
}

#[tokio::test]
async fn parameters_are_a_fresh_key_of_the_size_asked_for_and_a_day() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let mut seen = Vec::new();
    for (spec, modulus) in [("RSA_2048", 256), ("RSA_2048", 256), ("RSA_3072", 384)] {
        let body =
            json!({"KeyId": id_of(&key), "WrappingAlgorithm": OAEP, "WrappingKeySpec": spec});
        let given = world.kms("GetParametersForImport", body).await;
        assert_eq!(given["KeyId"], key);
        assert_eq!(given["ParametersValidTo"], NOW_SECS + 86_400);
        let public = bytes(&given["PublicKey"]);
        // The modulus, and what DER puts around it.
        assert!((modulus + 30..modulus + 50).contains(&public.len()), "{}", public.len());
        assert!(bytes(&given["ImportToken"]).len() <= 6144);
        seen.push(public);
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "wrapping keys were given out twice");
}

#[tokio::test]
async fn what_aws_does_not_wrap_so_is_refused() {
    let world = World::new().await;
    let unfit = [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", OVER_AES, "RSA_4096"),
        ("HMAC_256", "GENERATE_VERIFY_MAC", "RSA_AES_KEY_WRAP_SHA_1", "RSA_3072"),
        ("RSA_2048", "SIGN_VERIFY", OAEP, "RSA_4096"),
        ("RSA_4096", "ENCRYPT_DECRYPT", "RSAES_OAEP_SHA_1", "RSA_4096"),
        ("ECC_NIST_P521", "SIGN_VERIFY", OAEP, "RSA_2048"),
        ("ECC_NIST_P521", "KEY_AGREEMENT", "RSAES_OAEP_SHA_1", "RSA_2048"),
    ];
    for (spec, usage, algorithm, size) in unfit {
        let key = world.external(spec, usage).await;
        let body = json!({"KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": size});
        let text = format!(
            "Wrapping algorithm {algorithm} and wrapping key spec {size} are not supported for key \
             material of spec {spec}."
        );
        let refused = world.kms_fails("GetParametersForImport", body).await;
        assert_eq!(refused, failed("UnsupportedOperationException", text));
    }
    let key = world.external_symmetric().await;
    // Given up by AWS in 2023, and China's.
    for (algorithm, size, named) in [
        ("RSAES_PKCS1_V1_5", "RSA_2048", "RSAES_PKCS1_V1_5"),
        ("SM2PKE", "SM2", "SM2PKE"),
        (OAEP, "SM2", "SM2"),
    ] {
        let body = json!({"KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": size});
        let text = format!("{named} is not supported for importing key material.");
        let refused = world.kms_fails("GetParametersForImport", body).await;
        assert_eq!(refused, failed("UnsupportedOperationException", text));
    }
    for (algorithm, size) in [("RSAES_OAEP_SHA_512", SMALL), (OAEP, "RSA_1024"), ("", SMALL)] {
        let body = json!({"KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": size});
        let refused = world.kms_fails("GetParametersForImport", body).await;
        assert_eq!(refused.code, "ValidationException", "{algorithm} {size}");
    }
}

#[tokio::test]
async fn a_wrapping_that_does_not_open_is_no_ciphertext() {
    let world = World::new().await;
    let (symmetric, elliptic) =
        (world.external_symmetric().await, world.external("ECC_NIST_P256", "SIGN_VERIFY").await);
    let oaep = world.oaep(&symmetric).await;
    let other = world.oaep(&symmetric).await;
    let over_aes = world.parameters(&elliptic, OVER_AES, SMALL).await;
    let material = generated(KeySpec::EccNistP256);
    let good = super::wrap(OAEP, &oaep.public, &[1; 32]);
    let hybrid = super::wrap(OVER_AES, &over_aes.public, &material);
    let broken = |from: &[u8], at: usize| {
        let mut wrapped = from.to_vec();
        wrapped[at] ^= 1;
        wrapped
    };
    let unopened = failed("InvalidCiphertextException", "");
    for (parameters, key, wrapped) in [
        (&oaep, &symmetric, vec![0; 256]),
        (&oaep, &symmetric, vec![0xff; 256]),
        (&oaep, &symmetric, broken(&good, 255)),
        // Made for the public key of another answer, or with another hash.
        (&oaep, &symmetric, super::wrap(OAEP, &other.public, &[1; 32])),
        (&oaep, &symmetric, super::wrap("RSAES_OAEP_SHA_1", &oaep.public, &[1; 32])),
        (&over_aes, &elliptic, broken(&hybrid, 0)),
        (&over_aes, &elliptic, broken(&hybrid, 256)),
        (&over_aes, &elliptic, hybrid[..hybrid.len() - 8].to_vec()),
        // An AES key of 16 bytes between.
        (&over_aes, &elliptic, {
            let short = super::wrap(OAEP, &over_aes.public, &[0x5a; 16]);
            [&short, &hybrid[256..]].concat()
        }),
    ] {
        let body = parameters.body(key, &[0; 32]);
        let body = super::with(body, json!({"EncryptedKeyMaterial": b64(&wrapped)}));
        assert_eq!(world.kms_fails("ImportKeyMaterial", body).await, unopened);
    }
    // AWS compares the length before it decrypts.
    let size = failed("ValidationException", "Invalid encrypted key size.");
    for (parameters, key, wrapped) in [
        (&oaep, &symmetric, good[1..].to_vec()),
        (&oaep, &symmetric, [&good[..], &[0]].concat()),
        (&over_aes, &elliptic, hybrid[..256].to_vec()),
        (&over_aes, &elliptic, hybrid[..264].to_vec()),
    ] {
        let body = parameters.body(key, &[0; 32]);
        let body = super::with(body, json!({"EncryptedKeyMaterial": b64(&wrapped)}));
        assert_eq!(world.kms_fails("ImportKeyMaterial", body).await, size);
    }
    for key in [&symmetric, &elliptic] {
        assert_eq!(world.state(key).await, "PendingImport");
    }
    // None of it has used up the parameters.
    world.kms("ImportKeyMaterial", oaep.body(&symmetric, &[1; 32])).await;
}
