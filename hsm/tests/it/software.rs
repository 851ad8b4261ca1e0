//! The software device: the suite, and that it is deterministic.

use claviger_hsm::{Hsm, KeyBytes, ResidentId, ResidentSpec, RootKeyId, SoftwareHsm, suite};

#[test]
fn passes_the_suite() {
    suite::all(&SoftwareHsm::seeded([1; 32]));
}

#[test]
fn its_resident_keys_pass_the_suite() {
    suite::resident::all(&SoftwareHsm::seeded([1; 32]));
}

#[test]
fn its_longer_rsa_keys_pass_the_suite() {
    suite::resident::long_rsa_keys(&SoftwareHsm::seeded([1; 32]));
}

/// Those of RSA aside: the library makes them of the system's randomness.
#[test]
fn the_same_seed_gives_the_same_resident_keys() {
    let run = |seed| {
        let hsm = SoftwareHsm::seeded([seed; 32]);
        let keys = hsm.resident().unwrap();
        let mut all = Vec::new();
        for spec in keys.specs() {
            let id = ResidentId::new(format!("k{}", all.len()));
            if !matches!(spec, ResidentSpec::RsaSign(_) | ResidentSpec::RsaDecrypt(_)) {
                all.push(keys.generate(&id, spec).unwrap());
            }
            if spec == ResidentSpec::Aes256 {
                all.push(Some(keys.encrypt(&id, &KeyBytes::new(vec![1]), b"").unwrap()));
            }
        }
        all
    };
    assert_eq!(run(7), run(7));
    let differ = run(7).into_iter().zip(run(8)).filter(|(seven, eight)| seven != eight).count();
    assert_eq!(differ, 8, "of AES-GCM one, and seven public halves");
}

/// Everything a device gave in one run.
fn run(seed: [u8; 32]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let hsm = SoftwareHsm::seeded(seed);
    let root = RootKeyId::new("claviger/test/rk-d/1");
    let mut random = vec![0; 100];
    hsm.random(&mut random).unwrap();
    hsm.create_root_key(&root).unwrap();
    let wrapped = |byte| hsm.wrap(&root, &KeyBytes::new(vec![byte; 32]), b"a").unwrap().bytes;
    (random, wrapped(1), wrapped(1))
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    assert_eq!(run([7; 32]), run([7; 32]));
    let (seven, eight) = (run([7; 32]), run([8; 32]));
    assert_ne!(seven.0, eight.0);
    assert_ne!(seven.1, eight.1);
    assert_ne!(seven.1, seven.2);
}

#[test]
fn a_restart_opens_old_keys_and_repeats_no_iv_for_another_key() {
    let root = RootKeyId::new("claviger/test/rk-d/1");
    let start = || {
        let hsm = SoftwareHsm::seeded([9; 32]);
        hsm.create_root_key(&root).unwrap();
        hsm
    };
    let (key, other) = (KeyBytes::new(vec![1; 32]), KeyBytes::new(vec![2; 32]));
    let before = start().wrap(&root, &key, b"").unwrap();
    let after = start().wrap(&root, &other, b"").unwrap();
    assert_ne!(before.bytes[1..13], after.bytes[1..13]);
    assert_eq!(start().unwrap(&before, b"").unwrap(), key);
}

#[test]
fn nothing_secret_is_printed() {
    let hsm = SoftwareHsm::seeded([0xab; 32]);
    let printed = format!("{hsm:?} {:?}", KeyBytes::new(vec![0xab; 32]));
    assert_eq!(printed, "SoftwareHsm { .. } KeyBytes(..)");
    assert!(!hsm.info().hardware);
}

#[test]
fn a_wrapped_key_survives_serde() {
    let hsm = SoftwareHsm::seeded([3; 32]);
    let root = RootKeyId::new("claviger/test/rk-d/1");
    hsm.create_root_key(&root).unwrap();
    let wrapped = hsm.wrap(&root, &KeyBytes::new(vec![1; 32]), b"").unwrap();
    let text = serde_json::to_string(&wrapped).unwrap();
    assert!(text.contains(r#""root":"claviger/test/rk-d/1""#), "{text}");
    assert_eq!(serde_json::from_str::<claviger_hsm::WrappedKey>(&text).unwrap(), wrapped);
}

/// The format of a wrapped key and what is bound to it must not change by accident: stores hold
/// such keys for years.
#[test]
fn the_format_is_pinned() {
    let hsm = SoftwareHsm::seeded([7; 32]);
    let root = RootKeyId::new("claviger/test/rk-d/1");
    hsm.create_root_key(&root).unwrap();
    let wrapped = hsm.wrap(&root, &KeyBytes::new(vec![1; 4]), b"aad").unwrap();
    let hex: String = wrapped.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (format, iv, ciphertext, tag) = (&hex[..2], &hex[2..26], &hex[26..34], &hex[34..]);
    // Computed by another implementation (Python's hmac, and AESGCM of `cryptography`).
    assert_eq!(format, "01");
    assert_eq!(iv, "cb0115e24cc87a25b0d2eebd");
    assert_eq!(ciphertext, "d484477a");
    assert_eq!(tag, "4e641fd592537be0fb336e6fbb21d549");
}
