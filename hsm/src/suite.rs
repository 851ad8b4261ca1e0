//! What any device must do, as tests. Run [`all`] on a device that is open and may be written
//! to; it makes root keys of its own. A property that does not hold panics and says which.
//! [`resident::all`] is the same for resident keys.

pub mod resident;

use crate::{
    Hsm, HsmError, IV_LEN, KeyBytes, MAX_AAD_LEN, MAX_KEY_LEN, OVERHEAD, RootKeyId, TAG_LEN,
    WrappedKey,
};
use std::collections::BTreeSet;

/// Every test of the suite, each under a root key of its own.
pub fn all(hsm: &dyn Hsm) {
    root_keys_have_one_name_each(hsm);
    keys_of_every_length_come_back(hsm);
    a_changed_bit_is_refused(hsm);
    another_length_is_refused(hsm);
    other_associated_data_is_refused(hsm);
    another_root_is_refused(hsm);
    no_two_wraps_are_alike(hsm);
    random_bytes_differ(hsm);
    a_destroyed_root_key_opens_nothing(hsm);
    a_root_key_may_be_destroyed_under_use(hsm);
    many_threads_may_call(hsm);
}

/// A root key for one test, named after it.
fn root(hsm: &dyn Hsm, name: &str) -> RootKeyId {
    let id = RootKeyId::new(format!("claviger/suite/{name}/1"));
    assert_eq!(hsm.create_root_key(&id), Ok(()), "making {id}");
    id
}

fn key() -> KeyBytes {
    KeyBytes::new((0..32).collect())
}

fn wrap(hsm: &dyn Hsm, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> WrappedKey {
    match hsm.wrap(root, key, aad) {
        Ok(wrapped) => wrapped,
        Err(e) => unreachable!("a good key was not wrapped: {e}"),
    }
}

pub fn root_keys_have_one_name_each(hsm: &dyn Hsm) {
    let absent = RootKeyId::new("claviger/suite/absent/1");
    for result in [hsm.check_root_key(&absent), hsm.wrap(&absent, &key(), b"").map(drop)] {
        assert!(matches!(result, Err(HsmError::NoSuchKey { .. })), "{result:?}");
    }
    let id = root(hsm, "names");
    assert_eq!(hsm.create_root_key(&id), Err(HsmError::KeyExists(id.clone())));
    assert_eq!(hsm.check_root_key(&id), Ok(()));
    assert!(hsm.root_keys().is_ok_and(|found| found.contains(&id)));
    let found = hsm.wrap(&absent, &key(), b"").err().map(|e| e.to_string()).unwrap_or_default();
    assert!(found.contains(absent.as_str()) && found.contains(id.as_str()), "{found}");
    for bad in ["", "with space", "with\0nul", "ключ", &"x".repeat(129)] {
        let made = hsm.create_root_key(&RootKeyId::new(bad));
        assert!(matches!(made, Err(HsmError::Refused(_))), "{bad:?}: {made:?}");
    }
}

pub fn keys_of_every_length_come_back(hsm: &dyn Hsm) {
    let root = root(hsm, "lengths");
    // The same for every key; how much depends on how the device wraps (`wrapped.rs`, `hybrid.rs`).
    let overhead = wrap(hsm, &root, &KeyBytes::new(vec![1]), b"lengths").bytes.len() - 1;
    assert!(overhead >= OVERHEAD, "{overhead} bytes");
    for len in [1, 15, 16, 17, 31, 32, 33, 1218, 4096, MAX_KEY_LEN] {
        let key = KeyBytes::new((0..len).map(|i| (i % 251) as u8).collect());
        let wrapped = wrap(hsm, &root, &key, b"lengths");
        assert_eq!(wrapped.root, root);
        assert_eq!(wrapped.bytes.len(), len + overhead);
        assert_eq!(hsm.unwrap(&wrapped, b"lengths"), Ok(key), "{len} bytes");
    }
    for len in [0, MAX_KEY_LEN + 1] {
        let wrapped = hsm.wrap(&root, &KeyBytes::new(vec![7; len]), b"lengths");
        assert!(matches!(wrapped, Err(HsmError::Refused(_))), "{len} bytes: {wrapped:?}");
    }
}

pub fn a_changed_bit_is_refused(hsm: &dyn Hsm) {
    let root = root(hsm, "bits");
    let good = wrap(hsm, &root, &key(), b"bits");
    // Of a long one, whose device needs milliseconds for each, a bit of every byte.
    let step = if good.bytes.len() > 256 { 7 } else { 1 };
    for bit in (0..good.bytes.len() * 8).step_by(step) {
        let mut bad = good.clone();
        for byte in bad.bytes.iter_mut().skip(bit / 8).take(1) {
            *byte ^= 1 << (bit % 8);
        }
        assert_eq!(hsm.unwrap(&bad, b"bits"), Err(HsmError::Authentication), "bit {bit}");
    }
    assert_eq!(hsm.unwrap(&good, b"bits"), Ok(key()));
}

pub fn another_length_is_refused(hsm: &dyn Hsm) {
    let root = root(hsm, "truncation");
    let good = wrap(hsm, &root, &key(), b"truncation");
    for len in 0..good.bytes.len() {
        let bytes = good.bytes.iter().take(len).copied().collect();
        let bad = WrappedKey { root: root.clone(), bytes };
        let opened = hsm.unwrap(&bad, b"truncation");
        assert_eq!(opened, Err(HsmError::Authentication), "{len} bytes");
    }
    for more in [1, 16, MAX_KEY_LEN, 10 * MAX_KEY_LEN] {
        let bytes = [&good.bytes[..], &vec![0; more]].concat();
        let opened = hsm.unwrap(&WrappedKey { root: root.clone(), bytes }, b"truncation");
        assert_eq!(opened, Err(HsmError::Authentication), "{more} bytes more");
    }
}

pub fn other_associated_data_is_refused(hsm: &dyn Hsm) {
    let root = root(hsm, "aad");
    let long = vec![3; MAX_AAD_LEN];
    let some: [&[u8]; 6] = [b"", b"\0", b"\x01", b"a", b"ab", &long];
    for bound in some {
        let wrapped = wrap(hsm, &root, &key(), bound);
        for tried in some {
            let opened = hsm.unwrap(&wrapped, tried);
            let expected = if tried == bound { Ok(key()) } else { Err(HsmError::Authentication) };
            assert_eq!(opened, expected, "bound {} bytes, tried {}", bound.len(), tried.len());
        }
    }
    let too_long = vec![3; MAX_AAD_LEN + 1];
    let wrapped = hsm.wrap(&root, &key(), &too_long);
    assert!(matches!(wrapped, Err(HsmError::Refused(_))), "{wrapped:?}");
}

pub fn another_root_is_refused(hsm: &dyn Hsm) {
    let (one, two) = (root(hsm, "root-one"), root(hsm, "root-two"));
    let mut wrapped = wrap(hsm, &one, &key(), b"");
    wrapped.root = two;
    assert_eq!(hsm.unwrap(&wrapped, b""), Err(HsmError::Authentication));
    wrapped.root = RootKeyId::new("claviger/suite/absent/1");
    assert!(matches!(hsm.unwrap(&wrapped, b""), Err(HsmError::NoSuchKey { .. })));
}

pub fn no_two_wraps_are_alike(hsm: &dyn Hsm) {
    let root = root(hsm, "unique");
    // The IV is what must not repeat; in either format it stands before ciphertext and tag.
    let iv = |_| {
        let bytes = wrap(hsm, &root, &key(), b"").bytes;
        let after = key().expose().len() + TAG_LEN;
        bytes.into_iter().rev().skip(after).take(IV_LEN).collect()
    };
    let ivs: BTreeSet<Vec<u8>> = (0..64).map(iv).collect();
    assert_eq!(ivs.len(), 64);
}

pub fn random_bytes_differ(hsm: &dyn Hsm) {
    assert_eq!(hsm.random(&mut []), Ok(()));
    let mut blocks = BTreeSet::new();
    for _ in 0..64 {
        let mut block = [0; 32];
        assert_eq!(hsm.random(&mut block), Ok(()));
        blocks.insert(block);
    }
    assert_eq!(blocks.len(), 64);
    let mut long = vec![0; 10_000];
    assert_eq!(hsm.random(&mut long), Ok(()));
    assert!(long.chunks(100).all(|chunk| chunk.iter().any(|&b| b != 0)), "a part was not filled");
}

pub fn a_destroyed_root_key_opens_nothing(hsm: &dyn Hsm) {
    let (gone, kept) = (root(hsm, "destroyed"), root(hsm, "kept"));
    let wrapped = wrap(hsm, &gone, &key(), b"gone");
    let other = wrap(hsm, &kept, &key(), b"kept");
    // Again: what is not there is destroyed already.
    for _ in 0..2 {
        assert_eq!(hsm.destroy_root_key(&gone), Ok(()));
        for result in [
            hsm.check_root_key(&gone),
            hsm.wrap(&gone, &key(), b"gone").map(drop),
            hsm.unwrap(&wrapped, b"gone").map(drop),
        ] {
            assert!(matches!(result, Err(HsmError::NoSuchKey { .. })), "{result:?}");
        }
        assert!(hsm.root_keys().is_ok_and(|found| !found.contains(&gone) && found.contains(&kept)));
    }
    assert_eq!(hsm.destroy_root_key(&RootKeyId::new("claviger/suite/absent/1")), Ok(()));
    for bad in ["", "with space", &"x".repeat(129)] {
        let result = hsm.destroy_root_key(&RootKeyId::new(bad));
        assert!(matches!(result, Err(HsmError::Refused(_))), "{bad:?}: {result:?}");
    }
    assert_eq!(hsm.unwrap(&other, b"kept"), Ok(key()));
    assert_eq!(hsm.check_root_key(&kept), Ok(()));
    // The name is free; made from a seed it is the same key again, else another.
    assert_eq!(hsm.create_root_key(&gone), Ok(()));
    let opened = hsm.unwrap(&wrapped, b"gone");
    assert!(opened == Ok(key()) || opened == Err(HsmError::Authentication), "{opened:?}");
    let again = wrap(hsm, &gone, &key(), b"again");
    assert_eq!(hsm.unwrap(&again, b"again"), Ok(key()));
}

pub fn a_root_key_may_be_destroyed_under_use(hsm: &dyn Hsm) {
    let (gone, kept) = (root(hsm, "under-use"), root(hsm, "beside"));
    let wrapped = wrap(hsm, &gone, &key(), b"");
    let begun = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                begun.wait();
                loop {
                    match hsm.unwrap(&wrapped, b"") {
                        Ok(opened) => assert_eq!(opened, key()),
                        Err(HsmError::NoSuchKey { .. }) => break,
                        // Half of it may be gone at the moment; but it is not forged.
                        Err(other) => assert_ne!(other, HsmError::Authentication),
                    }
                    // Whoever uses another key does not notice.
                    let beside = wrap(hsm, &kept, &key(), b"beside");
                    assert_eq!(hsm.unwrap(&beside, b"beside"), Ok(key()));
                }
            });
        }
        begun.wait();
        assert_eq!(hsm.destroy_root_key(&gone), Ok(()));
        let opened = hsm.unwrap(&wrapped, b"");
        assert!(matches!(opened, Err(HsmError::NoSuchKey { .. })), "{opened:?}");
    });
}

pub fn many_threads_may_call(hsm: &dyn Hsm) {
    let root = root(hsm, "threads");
    std::thread::scope(|scope| {
        for thread in 0..24_u8 {
            let root = &root;
            scope.spawn(move || {
                for round in 0..8 {
                    let (key, aad) = (KeyBytes::new(vec![thread; 32]), [thread, round]);
                    let wrapped = wrap(hsm, root, &key, &aad);
                    assert_eq!(hsm.unwrap(&wrapped, &aad), Ok(key));
                    let forged = hsm.unwrap(&wrapped, b"forged");
                    assert_eq!(forged, Err(HsmError::Authentication));
                }
            });
        }
    });
}
