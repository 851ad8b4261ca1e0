//! Every spec with every algorithm and message type; what must be refused.
use super::*;
use MessageType::{Digest, ExternalMu, Raw};
use PrimitiveError::{DigestLength, InvalidSignature, WrongAlgorithm, WrongMessageType};

const MESSAGE: &[u8] = b"what is signed";

/// What an algorithm takes: each message type with the length it wants, if it wants one.
fn inputs(algorithm: SigningAlgorithm) -> Vec<(MessageType, Option<usize>)> {
    use SigningAlgorithm::*;
    match algorithm {
        RsassaPssSha256 | RsassaPkcs1V15Sha256 | EcdsaSha256 => {
            vec![(Raw, None), (Digest, Some(32))]
        }
        RsassaPssSha384 | RsassaPkcs1V15Sha384 | EcdsaSha384 => {
            vec![(Raw, None), (Digest, Some(48))]
        }
        RsassaPssSha512 | RsassaPkcs1V15Sha512 | EcdsaSha512 => {
            vec![(Raw, None), (Digest, Some(64))]
        }
        MlDsaShake256 => vec![(Raw, None), (ExternalMu, Some(64))],
        Ed25519Sha512 => vec![(Raw, None)],
        Ed25519PhSha512 => vec![(Digest, Some(64))],
    }
}

fn round_trip(key: &PrivateKey, algorithm: SigningAlgorithm) {
    for (kind, length) in inputs(algorithm) {
        let message = length.map_or(MESSAGE.to_vec(), |length| vec![0x5a; length]);
        let signature = key.sign(algorithm, kind, &message).unwrap();
        let verify =
            |message: &[u8], signature: &[u8]| key.verify(algorithm, kind, message, signature);
        assert_eq!(verify(&message, &signature), Ok(()), "{algorithm} {kind}");

        let mut other = message.clone();
        other[0] ^= 1;
        assert_eq!(verify(&other, &signature), Err(InvalidSignature));
        for damage in [0, signature.len() / 2, signature.len() - 1] {
            let mut damaged = signature.clone();
            damaged[damage] ^= 1;
            assert_eq!(verify(&message, &damaged), Err(InvalidSignature));
        }
        assert_eq!(verify(&message, &signature[..signature.len() - 1]), Err(InvalidSignature));
        assert_eq!(verify(&message, &[signature.as_slice(), &[0]].concat()), Err(InvalidSignature));
        assert_eq!(verify(&message, &[]), Err(InvalidSignature));

        let public = PublicKey::parse_spki(key.spec(), &key.public_key_der().unwrap()).unwrap();
        assert_eq!(public.verify(algorithm, kind, &message, &signature), Ok(()));
        if let Some(length) = length {
            for wrong in [0, 1, length - 1, length + 1, 20] {
                let refused = Err(DigestLength { algorithm });
                assert_eq!(key.sign(algorithm, kind, &vec![0; wrong]).map(drop), refused);
                assert_eq!(verify(&vec![0; wrong], &signature), refused);
            }
        }
    }
}

fn refusals(key: &PrivateKey) {
    for algorithm in SigningAlgorithm::ALL.iter().copied() {
        let fits = key.spec().signing_algorithms().contains(&algorithm);
        for kind in MessageType::ALL.iter().copied() {
            if fits && inputs(algorithm).iter().any(|(taken, _)| *taken == kind) {
                continue;
            }
            let refused = if fits { WrongMessageType { algorithm, kind } } else { WrongAlgorithm };
            assert_eq!(key.sign(algorithm, kind, &[0; 64]).map(drop), Err(refused));
            assert_eq!(key.verify(algorithm, kind, &[0; 64], &[0; 64]), Err(refused));
        }
    }
}

#[test]
fn every_algorithm_of_every_spec_goes_round() {
    for spec in QUICK.iter().copied() {
        let key = key(spec);
        for algorithm in spec.signing_algorithms() {
            round_trip(&key, *algorithm);
        }
        refusals(&key);
    }
}

#[test]
fn the_larger_rsa_keys_sign_and_encrypt() {
    for spec in [KeySpec::Rsa3072, KeySpec::Rsa4096] {
        let key = key(spec);
        for algorithm in spec.signing_algorithms() {
            round_trip(&key, *algorithm);
        }
        super::encryption::round_trip(&key);
    }
}

/// A digest that the caller made gives the signature of the message.
#[test]
fn a_digest_stands_for_its_message() {
    use sha2::{Digest as _, Sha256, Sha384, Sha512};
    for (spec, algorithm, digest) in [
        (KeySpec::Rsa2048, SigningAlgorithm::RsassaPssSha256, Sha256::digest(MESSAGE).to_vec()),
        (
            KeySpec::Rsa2048,
            SigningAlgorithm::RsassaPkcs1V15Sha384,
            Sha384::digest(MESSAGE).to_vec(),
        ),
        (KeySpec::EccNistP256, SigningAlgorithm::EcdsaSha256, Sha256::digest(MESSAGE).to_vec()),
        (KeySpec::EccNistP384, SigningAlgorithm::EcdsaSha384, Sha384::digest(MESSAGE).to_vec()),
        (KeySpec::EccNistP521, SigningAlgorithm::EcdsaSha512, Sha512::digest(MESSAGE).to_vec()),
        (KeySpec::EccSecgP256K1, SigningAlgorithm::EcdsaSha256, Sha256::digest(MESSAGE).to_vec()),
    ] {
        let key = key(spec);
        let of_digest = key.sign(algorithm, Digest, &digest).unwrap();
        assert_eq!(key.verify(algorithm, Raw, MESSAGE, &of_digest), Ok(()));
        let of_message = key.sign(algorithm, Raw, MESSAGE).unwrap();
        assert_eq!(key.verify(algorithm, Digest, &digest, &of_message), Ok(()));
    }
}

/// Two libraries: AWS-LC signs and verifies messages, `ml-dsa` their representatives.
#[test]
fn an_external_mu_stands_for_its_message() {
    use ::ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams, VerifyingKey};
    use sha2::digest::Update;
    fn mu<P: MlDsaParams>(key: &PrivateKey) -> Vec<u8> {
        let der = key.public_key_der().unwrap();
        let raw = super::super::der::spki_bits(&der).unwrap();
        let key = VerifyingKey::<P>::decode(raw.try_into().unwrap());
        let hashed = |hash: &mut _| {
            Update::update(hash, MESSAGE);
            Ok(())
        };
        key.compute_mu(hashed, &[]).unwrap().to_vec()
    }
    let algorithm = SigningAlgorithm::MlDsaShake256;
    for (spec, mu) in [
        (KeySpec::MlDsa44, mu::<MlDsa44> as fn(&PrivateKey) -> Vec<u8>),
        (KeySpec::MlDsa65, mu::<MlDsa65>),
        (KeySpec::MlDsa87, mu::<MlDsa87>),
    ] {
        let key = key(spec);
        let mu = mu(&key);
        let of_mu = key.sign(algorithm, ExternalMu, &mu).unwrap();
        assert_eq!(key.verify(algorithm, Raw, MESSAGE, &of_mu), Ok(()));
        let of_message = key.sign(algorithm, Raw, MESSAGE).unwrap();
        assert_eq!(key.verify(algorithm, ExternalMu, &mu, &of_message), Ok(()));
        let again = key.sign(algorithm, ExternalMu, &mu).unwrap();
        assert_ne!(of_mu, again, "each signature draws randomness");
    }
}

/// The vector of RFC 6979's method for secp256k1 that wallets agree on: the key 1, "Satoshi Nakamoto".
#[test]
fn secp256k1_signs_as_others_do_and_takes_the_higher_s_too() {
    let one = [&[0; 31][..], &[1]].concat();
    let point = k256::ecdsa::SigningKey::from_slice(&one).unwrap();
    let der = k256::pkcs8::EncodePrivateKey::to_pkcs8_der(&point).unwrap();
    let key = PrivateKey::parse(KeySpec::EccSecgP256K1, der.as_bytes()).unwrap();
    let algorithm = SigningAlgorithm::EcdsaSha256;
    let signature = key.sign(algorithm, Raw, b"Satoshi Nakamoto").unwrap();
    let expected = "3045022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8\
                    02202442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5";
    assert_eq!(hex::encode(&signature), expected);

    let low = k256::ecdsa::Signature::from_der(&signature).unwrap();
    let high = k256::ecdsa::Signature::from_scalars(low.r(), -low.s()).unwrap();
    let high = high.to_der();
    assert_ne!(high.as_bytes(), signature);
    assert_eq!(key.verify(algorithm, Raw, b"Satoshi Nakamoto", high.as_bytes()), Ok(()));
}
