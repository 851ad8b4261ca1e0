//! Bundles without a device. Those that a TPM signed are in tests/process/attest.rs.
use super::*;
use claviger_hsm::DeviceInfo;

fn statement() -> Statement {
    Statement {
        cluster: HexBytes(vec![0xab; 16]),
        time: "2026-01-02T03:04:05Z".into(),
        nonce: HexBytes(vec![7; 32]),
        program: "claviger 0.1.0".into(),
        key: None,
        domain_keys: vec![DomainKey {
            generation: 1,
            roots: vec!["claviger/abc/rk-d/1".into()],
            recovery_keys: Vec::new(),
        }],
    }
}

fn words(device: &str, hardware: bool) -> Words {
    let info = DeviceInfo {
        vendor: "Somebody".into(),
        model: "Box".into(),
        serial: "17".into(),
        label: "label".into(),
        firmware: None,
        hardware,
    };
    let claim = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let claims = vec![claim("CKA_LOCAL", "true"), claim("CKA_EXTRACTABLE", "false")];
    Words::of(device, info, Holds::RootKey("claviger/abc/rk-d/1".into()), Ok(claims))
}

fn bundle(hardware: bool) -> Bundle {
    Bundle::of(statement(), vec![words("pkcs11", hardware)]).unwrap()
}

fn text(bundle: &Bundle) -> String {
    bundle.to_text().unwrap()
}

fn graded(words: Vec<Words>) -> Verdict {
    let bundle = Bundle::of(statement(), words).unwrap();
    verify(text(&bundle).as_bytes(), &Known::default()).unwrap()
}

#[test]
fn words_without_a_signature_are_graded_as_words() {
    for (hardware, grade) in [(true, Grade::DeviceClaims), (false, Grade::Software)] {
        let verdict = verify(text(&bundle(hardware)).as_bytes(), &Known::default()).unwrap();
        let device = &verdict.devices[0];
        assert_eq!((verdict.grade, device.grade), (grade, grade));
        assert_eq!((device.proven.len(), device.claimed.claims.len()), (0, 2));
        let shown = verdict.to_string();
        for part in ["the server says", "the device claims", "CKA_LOCAL", "nobody signed it"] {
            assert!(shown.contains(part), "{shown}");
        }
        assert!(!shown.contains("the TPM signed"), "{shown}");
    }
}

#[test]
fn the_weakest_device_counts() {
    let holds = || Holds::RootKey("claviger/abc/rk-d/2".into());
    let missing = || Words::missing("a token", holds(), "no device that can be reached");
    assert_eq!(graded(vec![words("a", true), words("b", true)]).grade, Grade::DeviceClaims);
    assert_eq!(graded(vec![words("a", true), words("b", false)]).grade, Grade::Software);
    assert_eq!(graded(vec![words("a", true), missing()]).grade, Grade::ServerSays);
    assert_eq!(graded(Vec::new()).grade, Grade::ServerSays);
    // What a device did not say in the end is nothing that it claims.
    let mut failed = words("a", true);
    failed.fault = Some("gone".into());
    let verdict = graded(vec![failed]);
    assert_eq!(verdict.grade, Grade::ServerSays);
    assert!(verdict.to_string().contains("could not be asked      gone"), "{verdict}");
}

#[test]
fn a_root_that_nobody_shows_is_a_way_in() {
    let mut said = statement();
    said.domain_keys[0].roots.push("claviger/abc/rk-d/2".into());
    let bundle = Bundle::of(said, vec![words("a", true)]).unwrap();
    let verdict = verify(text(&bundle).as_bytes(), &Known::default()).unwrap();
    assert_eq!((verdict.grade, verdict.devices[0].grade), (Grade::ServerSays, Grade::DeviceClaims));
    assert!(verdict.notes.join("; ").contains("claviger/abc/rk-d/2 opens it too"), "{verdict:?}");
}

#[test]
fn what_weakens_a_key_is_said() {
    let mut said = statement();
    said.domain_keys[0].recovery_keys = vec!["recovery/aa".into()];
    said.key = Some(KeyStatement {
        arn: "arn:aws:kms:eu-west-1:111122223333:key/1".into(),
        spec: "SYMMETRIC_DEFAULT".into(),
        usage: "ENCRYPT_DECRYPT".into(),
        origin: "EXTERNAL_KEY_STORE".into(),
        created: "2026-01-02T03:04:05Z".into(),
        custom_key_store: Some("cks-1".into()),
        external_key: Some("theirs\u{1b}[2J".into()),
        public_key: None,
    });
    let bundle = Bundle::of(said, vec![words("a", true)]).unwrap();
    let verdict = verify(text(&bundle).as_bytes(), &Known::default()).unwrap();
    let notes = verdict.notes.join("; ");
    for part in ["recovery key recovery/aa", "external key manager"] {
        assert!(notes.contains(part), "{notes}");
    }
    // What others named reaches no terminal as it is.
    assert!(!verdict.to_string().contains('\u{1b}'), "{verdict}");
}

#[test]
fn every_byte_of_the_file_counts() {
    let good = text(&bundle(true)).into_bytes();
    for at in 0..good.len() {
        for change in [1, 2, 4, 8, 16, 32, 64, 128, 0x2a_u8] {
            let mut bad = good.clone();
            bad[at] ^= change;
            assert!(verify(&bad, &Known::default()).is_err(), "byte {at} changed by {change:x}");
        }
        assert!(verify(&good[..at], &Known::default()).is_err(), "cut to {at} bytes");
    }
    for more in ["\n", " ", "{}", "\0"] {
        let longer = [good.as_slice(), more.as_bytes()].concat();
        assert!(verify(&longer, &Known::default()).is_err(), "{more:?}");
    }
}

#[test]
fn a_device_that_was_added_taken_away_or_moved_is_noticed() {
    let good = Bundle::of(statement(), vec![words("a", true), words("b", true)]).unwrap();
    let changes: [fn(&mut Bundle); 4] = [
        |bundle| bundle.devices.truncate(1),
        |bundle| bundle.devices.swap(0, 1),
        |bundle| bundle.devices.push(bundle.devices[0].clone()),
        |bundle| bundle.statement.domain_keys.clear(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut bad = good.clone();
        change(&mut bad);
        let refused = verify(text(&bad).as_bytes(), &Known::default()).unwrap_err();
        assert!(matches!(refused, Refusal::Digest), "{number}: {refused}");
    }
}

#[test]
fn the_nonce_is_the_one_that_was_asked_with() {
    let text = text(&bundle(true));
    let known = |nonce: &[u8]| Known { nonce: Some(nonce.to_vec()), ..Known::default() };
    let verdict = verify(text.as_bytes(), &known(&[7; 32])).unwrap();
    assert!(verdict.notes.is_empty(), "{verdict:?}");
    for nonce in [&[8; 32][..], &[7; 31], &[]] {
        let refused = verify(text.as_bytes(), &known(nonce)).unwrap_err();
        assert!(matches!(refused, Refusal::Nonce { .. }), "{refused}");
    }
}

#[test]
fn an_attestation_key_that_was_named_must_have_signed() {
    let known = Known { attestation_keys: vec![vec![1; 34]], ..Known::default() };
    let refused = verify(text(&bundle(true)).as_bytes(), &known).unwrap_err();
    assert!(matches!(refused, Refusal::Unsigned), "{refused}");
}

fn no_signature() -> Signed {
    let empty = || HexBytes(Vec::new());
    Signed {
        attestation_key: empty(),
        root_key: empty(),
        certify: empty(),
        certify_signature: empty(),
        quote: empty(),
        quote_signature: empty(),
        pcrs: vec![(0, empty())],
    }
}

#[test]
fn a_signature_that_is_none_is_refused() {
    let mut forged = bundle(true);
    forged.devices[0].signed = Some(no_signature());
    let refused = verify(text(&forged).as_bytes(), &Known::default()).unwrap_err();
    assert!(matches!(refused, Refusal::Signature(_)), "{refused}");
}

/// Else a TPM's word for any root key would be one for a KMS key.
#[test]
fn a_signature_beside_a_key_that_is_no_root_is_refused() {
    let mut words = words("tpm", true);
    words.holds = Holds::KmsKey("1234abcd-12ab-34cd-56ef-1234567890ab".into());
    let mut forged = Bundle::of(statement(), vec![words]).unwrap();
    forged.devices[0].signed = Some(no_signature());
    let refused = verify(text(&forged).as_bytes(), &Known::default()).unwrap_err();
    assert!(matches!(refused, Refusal::NotARoot), "{refused}");
}

#[test]
fn what_is_no_bundle_is_refused_with_its_reason() {
    let good = text(&bundle(true));
    for (from, to, reason) in [
        ("\"version\": 1", "\"version\": 2", "a bundle of version 2"),
        ("\"version\"", "\"vers\"", "unknown field `vers`"),
        ("\"signed\": null", "\"signed\": null, \"more\": 1", "unknown field `more`"),
        ("07070707", "070707", "the digest is not"),
        ("abab", "ABAB", "was changed"),
        ("  \"devices\"", "\t\"devices\"", "was changed"),
        ("abab", "abax", "not a bundle"),
    ] {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good, "{from}");
        let refused = verify(changed.as_bytes(), &Known::default()).unwrap_err().to_string();
        assert!(refused.contains(reason), "{to}: {refused}");
    }
    let long = vec![b' '; 2 * 1024 * 1024];
    assert!(matches!(verify(&long, &Known::default()), Err(Refusal::Bundle(_))));
}

#[test]
fn trust_is_in_certificates_and_files_are_what_they_are_taken_for() {
    let none = Trust::from_pem(b"", b"", 0).unwrap_err();
    assert!(none.contains("found none"), "{none}");
    for bad in [
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n",
    ] {
        assert!(Trust::from_pem(bad.as_bytes(), b"", 0).is_err(), "{bad}");
    }
    for bad in [
        "",
        "{}",
        "[]",
        "{\"version\": 1, \"device\": \"a\", \"credential\": \"zz\", \"secret\": \"\"}",
    ] {
        assert!(Challenge::from_text(bad).is_err() && Expected::from_text(bad).is_err(), "{bad}");
    }
    let other = "{\"version\": 2, \"device\": \"a\", \"credential\": \"\", \"secret\": \"\"}";
    assert!(Challenge::from_text(other).unwrap_err().contains("of version 2"));
}
