//! What the TPM asserts, signed, and checking it without a TPM.

use super::support::{Swtpm, assert_says, on_swtpm, root_id};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use claviger_hsm::tpm::AttestationError;
use claviger_hsm::{Certification, Hsm, HsmError, Quote, RootKeyId};
use sha2::{Digest as _, Sha256};

const NONCE: [u8; 32] = [7; 32];

/// A field's name, and the way to it.
struct Field<T>(&'static str, fn(&mut T) -> &mut Vec<u8>);

/// Every change of one byte, in every one of the fields.
fn every_changed_byte<T: Clone>(good: &T, fields: &[Field<T>], verify: impl Fn(&T) -> bool) {
    assert!(verify(good));
    for Field(name, field) in fields {
        let len = field(&mut good.clone()).len();
        for at in 0..len {
            for change in [1, 0x80, 0xff] {
                let mut bad = good.clone();
                field(&mut bad)[at] ^= change;
                assert!(!verify(&bad), "{name}: byte {at} changed by {change:x}");
            }
        }
        for cut in [0, 1, len / 2, len - 1] {
            let mut bad = good.clone();
            field(&mut bad).truncate(cut);
            assert!(!verify(&bad), "{name}: cut to {cut} bytes");
        }
        let mut bad = good.clone();
        field(&mut bad).push(0);
        assert!(!verify(&bad), "{name}: a byte more");
    }
}

#[test]
fn a_root_key_is_certified() {
    on_swtpm(a_root_key_is_certified, |tpm| {
        let hsm = tpm.open();
        hsm.create_root_key(&root_id()).unwrap();
        let made = hsm.certify(&root_id(), &NONCE).unwrap();
        let proven = made.verify(&NONCE).unwrap();
        // The Name that is proven is the one that is recorded.
        let name = proven.root_key.unwrap();
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hsm.report().unwrap().roots[0].name.as_deref(), Some(name.as_str()));
        assert!(
            proven.firmware > 0 && proven.clock_ms > 0,
            "{} {}",
            proven.firmware,
            proven.clock_ms
        );

        every_changed_byte(
            &made,
            &[
                Field("attest", |made: &mut Certification| &mut made.attest),
                Field("signature", |made| &mut made.signature),
                Field("attestation_key", |made| &mut made.attestation_key),
                Field("root_key", |made| &mut made.root_key),
            ],
            |made| made.verify(&NONCE).is_ok(),
        );
        for nonce in [&[8; 32][..], &[7; 31], &[7; 16], &[]] {
            assert!(made.verify(nonce).is_err(), "{} bytes", nonce.len());
        }
        let text = serde_json::to_string(&made).unwrap();
        assert_eq!(serde_json::from_str::<Certification>(&text).unwrap(), made);
        // Another root key's statement is not this one's.
        let other = RootKeyId::new("claviger/test/rk-d/2");
        hsm.create_root_key(&other).unwrap();
        let second = hsm.certify(&other, &NONCE).unwrap();
        let mixed = Certification { root_key: second.root_key, ..made.clone() };
        let error = mixed.verify(&NONCE).unwrap_err();
        assert!(
            matches!(error, AttestationError::Mismatch { what: "the certified key", .. }),
            "{error:?}"
        );
    });
}

#[test]
fn pcrs_are_quoted() {
    on_swtpm(pcrs_are_quoted, |tpm| {
        let hsm = tpm.open();
        let pcrs = "sha256:0,7,16".parse().unwrap();
        let before = hsm.quote(&pcrs, &NONCE).unwrap();
        let proven = before.verify(&NONCE).unwrap();
        assert_eq!(proven.root_key, None);
        assert_eq!(before.pcrs.iter().map(|pcr| pcr.0).collect::<Vec<_>>(), [0, 7, 16]);
        tpm.tool("tpm2_pcrextend", &[&format!("16:sha256={}", "22".repeat(32))]);
        let after = hsm.quote(&pcrs, &NONCE).unwrap();
        let wanted: [u8; 32] = Sha256::digest([[0; 32], [0x22; 32]].concat()).into();
        assert_eq!((before.pcrs[2].1, after.pcrs[2].1), ([0; 32], wanted));

        every_changed_byte(
            &after,
            &[
                Field("attest", |made: &mut Quote| &mut made.attest),
                Field("signature", |made| &mut made.signature),
                Field("attestation_key", |made| &mut made.attestation_key),
            ],
            |made| made.verify(&NONCE).is_ok(),
        );
        for at in 0..32 {
            for pcr in 0..3 {
                let mut bad = after.clone();
                bad.pcrs[pcr].1[at] ^= 1;
                assert!(bad.verify(&NONCE).is_err(), "PCR {pcr}, byte {at}");
            }
        }
        let lies: [fn(&mut Quote); 6] = [
            |made| made.pcrs[0].0 = 1,
            |made| made.pcrs[0].0 = 24,
            |made| made.pcrs.swap(0, 1),
            |made| made.pcrs.truncate(2),
            |made| made.pcrs.push(made.pcrs[2]),
            |made| made.pcrs.clear(),
        ];
        for (number, lie) in lies.into_iter().enumerate() {
            let mut bad = after.clone();
            lie(&mut bad);
            assert!(bad.verify(&NONCE).is_err(), "lie {number}");
        }
        let old = Quote { pcrs: before.pcrs, ..after.clone() };
        assert!(old.verify(&NONCE).is_err());
        let text = serde_json::to_string(&after).unwrap();
        assert_eq!(serde_json::from_str::<Quote>(&text).unwrap(), after);
        // A statement of the one kind is none of the other.
        let wrong = Certification {
            attest: after.attest,
            signature: after.signature,
            root_key: after.attestation_key.clone(),
            attestation_key: after.attestation_key,
        };
        let error = wrong.verify(&NONCE).unwrap_err();
        assert!(matches!(error, AttestationError::Mismatch { what: "the kind of statement", .. }));
    });
}

#[test]
fn the_attestation_key_stands_for_the_tpm() {
    on_swtpm(the_attestation_key_stands_for_the_tpm, |tpm| {
        let pcrs = "sha256:0".parse().unwrap();
        let signer = |tpm: &Swtpm| {
            let made = tpm.open().quote(&pcrs, &NONCE).unwrap();
            made.verify(&NONCE).unwrap().attestation_key
        };
        let first = signer(tpm);
        tpm.kill();
        tpm.start_again();
        assert_eq!(signer(tpm), first);
        tpm.tool("tpm2_clear", &["-c", "p"]);
        assert_eq!(signer(tpm), first);
        assert_ne!(signer(&Swtpm::start()), first);
    });
}

#[test]
fn a_nonce_is_neither_short_nor_long() {
    on_swtpm(a_nonce_is_neither_short_nor_long, |tpm| {
        let hsm = tpm.open();
        hsm.create_root_key(&root_id()).unwrap();
        for len in [0, 15, 33, 64] {
            let error = hsm.certify(&root_id(), &vec![1; len]).unwrap_err();
            assert_says(&error, &["nonce: wanted 16 to 32 bytes", &format!("found {len}")]);
            let quoted = hsm.quote(&"sha256:0".parse().unwrap(), &vec![1; len]);
            assert!(matches!(quoted, Err(HsmError::Refused(_))));
        }
        for len in [16, 32] {
            hsm.certify(&root_id(), &vec![1; len]).unwrap().verify(&vec![1; len]).unwrap();
        }
        let absent = hsm.certify(&RootKeyId::new("absent"), &NONCE);
        assert!(matches!(absent, Err(HsmError::NoSuchKey { .. })), "{absent:?}");
    });
}

/// A key in software can sign the same bytes. It then is another attestation key, and that is what
/// whoever verifies has to compare; the TPM's own it cannot be.
#[test]
fn a_statement_of_a_software_key_is_another_keys() {
    on_swtpm(a_statement_of_a_software_key_is_another_keys, |tpm| {
        let hsm = tpm.open();
        hsm.create_root_key(&root_id()).unwrap();
        let made = hsm.certify(&root_id(), &NONCE).unwrap();
        let real = made.verify(&NONCE).unwrap().attestation_key;
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let sign =
            |attest: &[u8]| pair.sign(&SystemRandom::new(), attest).unwrap().as_ref().to_vec();
        // Signed by another key, under the real key's public area.
        let forged = Certification { signature: sign(&made.attest), ..made.clone() };
        assert_eq!(forged.verify(&NONCE), Err(AttestationError::Signature));
        // Under its own: the statement names another signer.
        let point = pair.public_key().as_ref();
        let mut public = made.attestation_key.clone();
        let at = public.len() - 68;
        public[at + 2..at + 34].copy_from_slice(&point[1..33]);
        public[at + 36..].copy_from_slice(&point[33..]);
        let forged = Certification { attestation_key: public.clone(), ..forged };
        let error = forged.verify(&NONCE).unwrap_err();
        assert!(
            matches!(error, AttestationError::Mismatch { what: "the signer", .. }),
            "{error:?}"
        );
        // And with the signer changed to itself it is consistent, and another's.
        let name = |bytes: &[u8]| [&[0, 0x0b][..], &Sha256::digest(bytes)].concat();
        let own = name(&[&[0x40, 0, 0, 0x0b][..], &name(&public)].concat());
        let mut attest = made.attest.clone();
        attest[8..42].copy_from_slice(&own);
        let forged = Certification { signature: sign(&attest), attest: attest.clone(), ..forged };
        let claimed = forged.verify(&NONCE).unwrap().attestation_key;
        assert_ne!(claimed, real);
        // Nor can it say more, or less, than a TPM would.
        for cut in 0..attest.len() + 1 {
            let mut other = [&attest[..], &[0]].concat();
            other.truncate(if cut == attest.len() { cut + 1 } else { cut });
            let forged = Certification { signature: sign(&other), attest: other, ..forged.clone() };
            let error = forged.verify(&NONCE).unwrap_err();
            assert!(!matches!(error, AttestationError::Signature), "{cut} bytes: {error:?}");
        }
        // A key that signs anything at all is not taken for an attestation key.
        let mut unrestricted = forged.clone();
        unrestricted.attestation_key[5] ^= 1;
        let error = unrestricted.verify(&NONCE).unwrap_err();
        assert_eq!(error, AttestationError::Malformed("the attestation key"));
    });
}
