//! SoftHSM 2.6 takes no padding of RSA-OAEP off by SHA-256, so that it is done here: never by
//! another hash, and without telling an attacker why a ciphertext does not decrypt (Manger 2001).

use super::super::support::on_token;
use super::{id_of, keys};
use claviger_hsm::{Hash, HsmError, ResidentSpec};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use sha2::{Digest, Sha256};

const SPEC: ResidentSpec = ResidentSpec::RsaDecrypt(2048);
const LEN: usize = 256;
const HASH_LEN: usize = 32;

/// The public half as a session object, for the bare modular power.
fn public_object(session: &Session, private: ObjectHandle) -> ObjectHandle {
    let asked = [AttributeType::Modulus, AttributeType::PublicExponent];
    let mut template = session.get_attributes(private, &asked).unwrap();
    assert_eq!(template.len(), 2);
    template.extend([
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(KeyType::RSA),
        Attribute::Token(false),
        Attribute::Encrypt(true),
    ]);
    session.create_object(&template).unwrap()
}

fn mgf1(seed: &[u8], len: usize) -> Vec<u8> {
    let block = |n: u32| Sha256::digest([seed, &n.to_be_bytes()].concat());
    (0..).flat_map(block).take(len).collect()
}

fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

/// An encoded message with this first byte around `data`: the label's hash, zeros, 01, a message.
fn encoded(first: u8, data: &[u8]) -> Vec<u8> {
    let seed = [0x2a; HASH_LEN];
    let data = xor(data, &mgf1(&seed, data.len()));
    let seed = xor(&seed, &mgf1(&data, HASH_LEN));
    [&[first], &seed[..], &data].concat()
}

fn data(message: &[u8]) -> Vec<u8> {
    let zeros = vec![0; LEN - 2 - 2 * HASH_LEN - message.len()];
    [&Sha256::digest(b"")[..], &zeros, &[1], message].concat()
}

#[test]
fn every_bad_padding_is_the_same_error() {
    on_token(every_bad_padding_is_the_same_error, |token| {
        let hsm = token.open();
        keys(&hsm).generate(&id_of(SPEC), SPEC).unwrap();
        let session = token.raw_session();
        let private = super::objects(&session, &id_of(SPEC))[0];
        let public = public_object(&session, private);
        let opened = |encoded: &[u8]| {
            let ciphertext = session.encrypt(&Mechanism::RsaX509, public, encoded).unwrap();
            let opened = keys(&hsm).decrypt_oaep(&id_of(SPEC), Hash::Sha256, &ciphertext);
            opened.map(|message| message.expose().to_vec())
        };
        let good = data(b"message");
        assert_eq!(opened(&encoded(0, &good)), Ok(b"message".to_vec()));
        assert_eq!(opened(&encoded(0, &data(b""))), Ok(vec![]));
        let forged = Err(HsmError::Authentication);
        // Manger's question, with the padding right and with it wrong. The modulus is above 80….
        for first in [1, 2, 0x40, 0x7f] {
            assert_eq!(opened(&encoded(first, &good)), forged, "first byte {first}");
            assert_eq!(opened(&encoded(first, &vec![3; good.len()])), forged);
        }
        for at in [0, 31, 32, 100, good.len() - 9, good.len() - 8] {
            let mut bad = good.clone();
            bad[at] ^= 2;
            assert_eq!(opened(&encoded(0, &bad)), forged, "byte {at}");
        }
        assert_eq!(opened(&encoded(0, &vec![0; good.len()])), forged);
        // PKCS#1 v1.5's padding; nothing at all; one.
        let v15 = [&[0, 2][..], &[9; 200], &[0], &[7; 53]].concat();
        let zeros = vec![0; LEN];
        let one = [&zeros[1..], &[1]].concat();
        for bad in [v15, zeros, one] {
            assert_eq!(opened(&bad), forged);
        }
        // By SHA-1 it is another message, not this one.
        let ciphertext = session.encrypt(&Mechanism::RsaX509, public, &encoded(0, &good)).unwrap();
        let other = keys(&hsm).decrypt_oaep(&id_of(SPEC), Hash::Sha1, &ciphertext);
        assert_eq!(other.map(drop), Err(HsmError::Authentication));
        // Above the modulus.
        let above = keys(&hsm).decrypt_oaep(&id_of(SPEC), Hash::Sha256, &[0xff; LEN]);
        assert_eq!(above.map(drop), Err(HsmError::Authentication));
    });
}
