//! Sign, Verify and GetPublicKey, for every key spec that signs.
use crate::support::{denied, failed, user_arn};
use crate::world::World;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use claviger::primitives::{KeySpec, KeyUsage, MessageType, PublicKey, SigningAlgorithm};
use serde_json::json;

/// Every spec that signs, but of RSA only the smallest: making the larger ones takes seconds.
fn signers() -> impl Iterator<Item = KeySpec> {
    let large = [KeySpec::Rsa3072, KeySpec::Rsa4096];
    let signs = |spec: &KeySpec| spec.usages().contains(&KeyUsage::SignVerify);
    KeySpec::ALL.iter().copied().filter(signs).filter(move |spec| !large.contains(spec))
}

/// What each algorithm signs: a message, or what stands for one, of its length in bytes.
fn inputs(algorithm: SigningAlgorithm) -> Vec<(MessageType, usize)> {
    match algorithm {
        SigningAlgorithm::Ed25519Sha512 => vec![(MessageType::Raw, 4096)],
        SigningAlgorithm::Ed25519PhSha512 => vec![(MessageType::Digest, 64)],
        SigningAlgorithm::MlDsaShake256 => {
            vec![(MessageType::Raw, 4096), (MessageType::ExternalMu, 64)]
        }
        other => {
            let bits: usize = other.as_str().rsplit('_').next().unwrap().parse().unwrap();
            vec![(MessageType::Raw, 4096), (MessageType::Digest, bits / 8)]
        }
    }
}

#[tokio::test]
async fn every_algorithm_signs_and_its_public_key_verifies() {
    let world = World::new().await;
    let mut tried = 0;
    for spec in signers() {
        let key = world.key_of(spec.as_str(), "SIGN_VERIFY").await;
        let public = world.kms("GetPublicKey", json!({"KeyId": key})).await;
        assert_eq!(public["KeyId"], key);
        assert_eq!(public["KeySpec"], spec.as_str());
        assert_eq!(public["CustomerMasterKeySpec"], spec.as_str());
        assert_eq!(public["KeyUsage"], "SIGN_VERIFY");
        assert_eq!(public.get("EncryptionAlgorithms"), None);
        let der = B64.decode(public["PublicKey"].as_str().unwrap()).unwrap();
        let outside = PublicKey::parse_spki(spec, &der).unwrap();
        for &algorithm in spec.signing_algorithms() {
            let listed = public["SigningAlgorithms"].as_array().unwrap();
            assert!(listed.contains(&json!(algorithm.as_str())), "{spec} {algorithm}");
            for (kind, length) in inputs(algorithm) {
                let message = vec![0x5a; length];
                let body = json!({"KeyId": key, "Message": B64.encode(&message),
                    "MessageType": kind.as_str(), "SigningAlgorithm": algorithm.as_str()});
                let signed = world.kms("Sign", body.clone()).await;
                assert_eq!(signed["KeyId"], key);
                assert_eq!(signed["SigningAlgorithm"], algorithm.as_str());
                let signature = B64.decode(signed["Signature"].as_str().unwrap()).unwrap();
                outside.verify(algorithm, kind, &message, &signature).unwrap();

                let mut check = body.clone();
                check["Signature"] = signed["Signature"].clone();
                let verified = world.kms("Verify", check.clone()).await;
                assert_eq!(verified["SignatureValid"], true);
                // A flipped bit is an error without a word, never `false`.
                let mut bad = signature.clone();
                *bad.last_mut().unwrap() ^= 1;
                check["Signature"] = json!(B64.encode(bad));
                let invalid = failed("KMSInvalidSignatureException", "");
                assert_eq!(world.kms_fails("Verify", check.clone()).await, invalid);
                // A dry run asks about the call, not about the signature.
                check["DryRun"] = json!(true);
                let dry = world.kms_fails("Verify", check).await;
                assert_eq!(dry.code, "DryRunOperationException");
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 6 * 2 + 4 * 2 + 2 + 3 * 2);
}

#[tokio::test]
async fn a_digest_has_its_algorithms_length() {
    let world = World::new().await;
    for (spec, algorithm, bytes) in [
        ("ECC_NIST_P256", "ECDSA_SHA_256", 32),
        ("ECC_NIST_P384", "ECDSA_SHA_384", 48),
        ("ECC_NIST_P521", "ECDSA_SHA_512", 64),
        ("ECC_SECG_P256K1", "ECDSA_SHA_256", 32),
        ("RSA_2048", "RSASSA_PSS_SHA_384", 48),
        ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512", 64),
        ("ECC_NIST_EDWARDS25519", "ED25519_PH_SHA_512", 64),
    ] {
        let key = world.key_of(spec, "SIGN_VERIFY").await;
        for length in [1, bytes - 1, bytes + 1] {
            let message = B64.encode(vec![1; length]);
            let body = json!({"KeyId": key, "Message": message, "MessageType": "DIGEST",
                "SigningAlgorithm": algorithm});
            let text = format!("Digest is invalid length for algorithm {algorithm}.");
            let wrong = failed("ValidationException", text);
            assert_eq!(world.kms_fails("Sign", body.clone()).await, wrong);
            let mut body = body;
            body["DryRun"] = json!(true);
            assert_eq!(world.kms_fails("Sign", body.clone()).await, wrong);
            body["Signature"] = json!("AAAA");
            assert_eq!(world.kms_fails("Verify", body).await, wrong);
        }
    }
}

#[tokio::test]
async fn each_message_type_is_for_its_algorithms() {
    let world = World::new().await;
    for (spec, algorithm, kind, length) in [
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "DIGEST", 64),
        ("ECC_NIST_EDWARDS25519", "ED25519_PH_SHA_512", "RAW", 64),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "EXTERNAL_MU", 64),
        ("ECC_NIST_P256", "ECDSA_SHA_256", "EXTERNAL_MU", 64),
        ("ML_DSA_44", "ML_DSA_SHAKE_256", "DIGEST", 64),
        ("ML_DSA_44", "ML_DSA_SHAKE_256", "EXTERNAL_MU", 63),
    ] {
        let key = world.key_of(spec, "SIGN_VERIFY").await;
        let body = json!({"KeyId": key, "Message": B64.encode(vec![1; length]),
            "MessageType": kind, "SigningAlgorithm": algorithm});
        let error = world.kms_fails("Sign", body).await;
        assert_eq!(error.code, "ValidationException", "{algorithm} {kind}: {error:?}");
    }
}

#[tokio::test]
async fn a_key_signs_only_with_its_own_algorithms_and_only_if_it_is_for_signing() {
    let world = World::new().await;
    let signer = world.key_of("ECC_NIST_P256", "SIGN_VERIFY").await;
    let sign = |key: &str, algorithm: &str| json!({"KeyId": key, "Message": "aGVsbG8=", "SigningAlgorithm": algorithm});
    for algorithm in ["ECDSA_SHA_384", "RSASSA_PSS_SHA_256", "SM2DSA", "ML_DSA_SHAKE_256"] {
        let text = format!("Algorithm {algorithm} is incompatible with key spec ECC_NIST_P256.");
        let expected = failed("InvalidKeyUsageException", text);
        assert_eq!(world.kms_fails("Sign", sign(&signer, algorithm)).await, expected);
    }
    for (key, usage) in [
        (world.key().await, "ENCRYPT_DECRYPT"),
        (world.key_of("HMAC_256", "GENERATE_VERIFY_MAC").await, "GENERATE_VERIFY_MAC"),
        (world.key_of("ECC_NIST_P256", "KEY_AGREEMENT").await, "KEY_AGREEMENT"),
    ] {
        let text = format!("{key} key usage is {usage} which is not valid for Sign.");
        let expected = failed("InvalidKeyUsageException", text);
        assert_eq!(world.kms_fails("Sign", sign(&key, "ECDSA_SHA_256")).await, expected);
    }
    for key in [world.key().await, world.key_of("HMAC_256", "GENERATE_VERIFY_MAC").await] {
        let error = world.kms_fails("GetPublicKey", json!({"KeyId": key})).await;
        assert_eq!(error.code, "UnsupportedOperationException");
    }
    let text = "KeySpec SM2 is not supported.";
    let body = json!({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"});
    assert_eq!(
        world.kms_fails("CreateKey", body).await,
        failed("UnsupportedOperationException", text)
    );
}

#[tokio::test]
async fn policies_see_the_algorithm_and_the_message_type() {
    let world = World::new().await;
    let key = world.key_of("ECC_NIST_P256", "SIGN_VERIFY").await;
    let statement = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["kms:Sign", "kms:Verify"], "Resource": "*",
        "Condition": {"StringEquals": {
            "kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "DIGEST"}}}]});
    let signer = world.user("signer", statement).await;
    let mut body = json!({"KeyId": key, "Message": B64.encode([1; 32]), "MessageType": "DIGEST",
        "SigningAlgorithm": "ECDSA_SHA_256"});
    let signed = world.kms_as(&signer, "Sign", body.clone()).await;
    body["Signature"] = signed["Signature"].clone();
    world.kms_as(&signer, "Verify", body.clone()).await;
    // RAW is what no member means.
    body.as_object_mut().unwrap().remove("MessageType");
    for name in ["Sign", "Verify"] {
        let mut body = body.clone();
        if name == "Sign" {
            body.as_object_mut().unwrap().remove("Signature");
        }
        let because = format!(
            "resource: {key} because no identity-based policy allows the kms:{name} action"
        );
        let expected = denied(&user_arn("signer"), &format!("kms:{name}"), &because);
        assert_eq!(world.kms_fails_as(&signer, name, body).await, expected);
    }
}

#[tokio::test]
async fn an_event_shows_the_algorithm_and_never_the_message() {
    let world = World::new().await;
    let key = world.key_of("ECC_NIST_P256", "SIGN_VERIFY").await;
    let body = json!({"KeyId": key, "Message": "c2VjcmV0IG1lc3NhZ2U=",
        "SigningAlgorithm": "ECDSA_SHA_256"});
    world.kms("Sign", body).await;
    let event = world.last_event();
    let shown = json!({"keyId": key, "signingAlgorithm": "ECDSA_SHA_256"});
    assert_eq!(event.request_parameters, Some(shown));
    assert!(event.read_only);
    assert_eq!(event.response_elements, None);
    assert!(!serde_json::to_string(&event).unwrap().contains("c2VjcmV0"));
}

#[tokio::test]
async fn the_sdk_signs_and_verifies() {
    use aws_sdk_kms::primitives::Blob;
    use aws_sdk_kms::types::{KeySpec, KeyUsageType, SigningAlgorithmSpec};
    let world = World::new().await;
    let sdk = aws_sdk_kms::Client::new(&world.sdk(&world.root.clone()).await);
    let made = sdk
        .create_key()
        .key_spec(KeySpec::EccNistP384)
        .key_usage(KeyUsageType::SignVerify)
        .send()
        .await
        .unwrap();
    let metadata = made.key_metadata().unwrap();
    assert_eq!(metadata.signing_algorithms(), [SigningAlgorithmSpec::EcdsaSha384]);
    let (id, algorithm) = (metadata.key_id(), SigningAlgorithmSpec::EcdsaSha384);
    sdk.create_alias().alias_name("alias/signer").target_key_id(id).send().await.unwrap();
    let message = Blob::new(b"hello".to_vec());
    let signed = sdk
        .sign()
        .key_id("alias/signer")
        .message(message.clone())
        .signing_algorithm(algorithm.clone())
        .send()
        .await
        .unwrap();
    let verify = |message: Blob| {
        sdk.verify()
            .key_id(id)
            .message(message)
            .signature(signed.signature().unwrap().clone())
            .signing_algorithm(algorithm.clone())
            .send()
    };
    assert!(verify(message).await.unwrap().signature_valid());
    let error = verify(Blob::new(b"hallo".to_vec())).await.unwrap_err().into_service_error();
    assert!(error.is_kms_invalid_signature_exception());
}
