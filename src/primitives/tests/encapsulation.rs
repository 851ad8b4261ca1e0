//! ML-KEM: round trips, implicit rejection, and the three forms of a private key.
use super::super::der;
use super::*;
use PrimitiveError::{InvalidCiphertext, InvalidMaterial, WrongAlgorithm};

const ALL: [(KeySpec, usize); 3] =
    [(KeySpec::MlKem512, 768), (KeySpec::MlKem768, 1088), (KeySpec::MlKem1024, 1568)];

#[test]
fn a_secret_goes_round() {
    for (spec, length) in ALL {
        let key = key(spec);
        let (secret, ciphertext) = key.encapsulate().unwrap();
        assert_eq!((secret.len(), ciphertext.len()), (32, length));
        assert_eq!(key.decapsulate(&ciphertext).unwrap(), secret);
        let (another, _) = key.encapsulate().unwrap();
        assert_ne!(secret, another);
    }
}

#[test]
fn a_ciphertext_of_another_gives_a_secret_that_is_always_the_same() {
    for (spec, length) in ALL {
        let key = key(spec);
        let (secret, mut ciphertext) = key.encapsulate().unwrap();
        ciphertext[5] ^= 1;
        let rejected = key.decapsulate(&ciphertext).unwrap();
        assert_ne!(rejected, secret);
        assert_eq!(rejected, key.decapsulate(&ciphertext).unwrap());
        for wrong in [0, 1, length - 1, length + 1] {
            assert_eq!(key.decapsulate(&vec![0; wrong]), Err(InvalidCiphertext));
        }
    }
}

/// Seed, expanded key, or both: the frame of RFC 9935 with the parts given.
fn frame(spec: KeySpec, seed: Option<&[u8]>, expanded: Option<&[u8]>) -> Vec<u8> {
    let last = ALL.iter().position(|(other, _)| *other == spec).unwrap() as u8 + 1;
    let oid = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x04, last];
    let string = |bytes| der::element(der::OCTET_STRING, &[bytes]);
    let inner = match (seed, expanded) {
        (Some(seed), None) => der::element(der::CONTEXT_0, &[seed]),
        (None, Some(expanded)) => string(expanded),
        (Some(seed), Some(expanded)) => {
            der::element(der::SEQUENCE, &[&string(seed), &string(expanded)])
        }
        (None, None) => der::element(der::SEQUENCE, &[]),
    };
    der::pkcs8_frame(&oid, &inner).to_vec()
}

fn expanded(spec: KeySpec, seed: [u8; 64]) -> Vec<u8> {
    super::super::ml_kem::expand(spec, &seed).unwrap().to_vec()
}

#[test]
fn all_forms_are_the_same_key() {
    for (spec, _) in ALL {
        let seed = [3; 64];
        let grown = expanded(spec, seed);
        let forms = [
            frame(spec, Some(&seed), None),
            frame(spec, None, Some(&grown)),
            frame(spec, Some(&seed), Some(&grown)),
        ];
        let [first, rest @ ..] = forms.map(|form| PrivateKey::parse(spec, &form).unwrap());
        let (secret, ciphertext) = first.encapsulate().unwrap();
        for key in rest {
            assert_eq!(key.public_key_der().unwrap(), first.public_key_der().unwrap());
            assert_eq!(key.decapsulate(&ciphertext).unwrap(), secret);
        }
    }
}

#[test]
fn keys_that_do_not_hold_together_are_refused() {
    for (spec, _) in ALL {
        let grown = expanded(spec, [3; 64]);
        let damaged = |at: usize| {
            let mut grown = grown.clone();
            grown[at] ^= 1;
            grown
        };
        let of_another = expanded(spec, [4; 64]);
        let length = grown.len();
        for form in [
            frame(spec, Some(&[3; 64]), Some(&of_another)),
            frame(spec, Some(&[3; 64]), Some(&grown[1..])),
            frame(spec, Some(&[3; 63]), None),
            frame(spec, Some(&[]), None),
            frame(spec, None, Some(&grown[1..])),
            frame(spec, None, Some(&[])),
            frame(spec, None, None),
            // The decryption key, the encapsulation key, its hash.
            frame(spec, None, Some(&damaged(100))),
            frame(spec, None, Some(&damaged(length / 2))),
            frame(spec, None, Some(&damaged(length - 40))),
        ] {
            assert_eq!(PrivateKey::parse(spec, &form).map(drop), Err(InvalidMaterial), "{spec}");
        }
    }
}

#[test]
fn only_ml_kem_encapsulates() {
    for spec in QUICK.iter().copied().filter(|spec| ALL.iter().all(|(kem, _)| kem != spec)) {
        assert_eq!(key(spec).encapsulate().map(drop), Err(WrongAlgorithm));
        assert_eq!(key(spec).decapsulate(&[0; 768]).map(drop), Err(WrongAlgorithm));
    }
}
