//! Ed25519 against RFC 8032, and Ed25519ph as KMS has it.
use super::super::der;
use super::*;

/// Version 1 PKCS#8 around a seed, as RFC 8410 has it.
fn key_of(seed: &str) -> PrivateKey {
    let seed = der::element(der::OCTET_STRING, &[&hex::decode(seed).unwrap()]);
    let pkcs8 = der::pkcs8_frame(&[0x06, 0x03, 0x2b, 0x65, 0x70], &seed);
    PrivateKey::parse(KeySpec::EccNistEdwards25519, &pkcs8).unwrap()
}

/// RFC 8032, 7.1, the first vector: an empty message.
#[test]
fn the_pure_algorithm_signs_as_the_rfc_does() {
    let key = key_of("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let der = key.public_key_der().unwrap();
    assert_eq!(hex::encode(der::spki_bits(&der).unwrap()), public);
    let signature = key.sign(SigningAlgorithm::Ed25519Sha512, MessageType::Raw, b"").unwrap();
    let expected = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555\
                    fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    assert_eq!(hex::encode(signature), expected);
}

/// KMS takes SHA-512("abc") for the *message* of Ed25519ph and hashes it once more. The expected signature
/// was made with the reference code of RFC 8032, which gives the RFC's own for "abc" hashed once.
#[test]
fn the_prehashed_algorithm_hashes_the_digest() {
    use sha2::Digest;
    let key = key_of("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42");
    let algorithm = SigningAlgorithm::Ed25519PhSha512;
    let digest = sha2::Sha512::digest(b"abc");
    let signature = key.sign(algorithm, MessageType::Digest, &digest).unwrap();
    let expected = "914dc6538ac512db8ffbdfbbf9c2fd2c1e5c915ff5d708751ad2d3a1425f0c9b\
                    fa3f1da6d93e5c7fc5b106b536f7263a3db68e4a285f30e4bd7e8b9f93d42f0e";
    assert_eq!(hex::encode(&signature), expected);

    let hashed_once = "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41\
                       31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406";
    let hashed_once = hex::decode(hashed_once).unwrap();
    let verified = key.verify(algorithm, MessageType::Digest, &digest, &hashed_once);
    assert_eq!(verified, Err(PrimitiveError::InvalidSignature));
}
