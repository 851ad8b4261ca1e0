//! Keys for AES-256-GCM.

use super::{make, ok, text};
use crate::{
    HsmError, KeyBytes, MAX_AAD_LEN, MAX_PLAINTEXT_LEN, ResidentId, ResidentKeys, ResidentSpec,
};
use std::collections::BTreeSet;

pub(super) fn all(keys: &dyn ResidentKeys) {
    let (id, _) = make(keys, "aes", ResidentSpec::Aes256);
    let (other, _) = make(keys, "aes-other", ResidentSpec::Aes256);
    messages_of_every_length_come_back(keys, &id);
    what_is_too_long_is_refused(keys, &id);
    every_bit_is_bound(keys, &id);
    other_associated_data_is_refused(keys, &id);
    another_key_is_refused(keys, &id, &other);
    no_iv_is_repeated(keys, &id);
    for id in [id, other] {
        ok("destroying", keys.destroy(&id));
    }
}

fn messages_of_every_length_come_back(keys: &dyn ResidentKeys, id: &ResidentId) {
    let overhead = ok("encrypting", keys.encrypt(id, &text(1), b"")).len() - 1;
    // The length of the IV, the IV, the tag (`resident/sealed.rs`).
    assert!((1 + 12 + 16..=1 + 16 + 16).contains(&overhead), "{overhead} bytes");
    for len in [0, 1, 15, 16, 17, 32, 4095, 4096, MAX_PLAINTEXT_LEN] {
        let sealed = ok("encrypting", keys.encrypt(id, &text(len), b"lengths"));
        assert_eq!(sealed.len(), len + overhead);
        assert_eq!(keys.decrypt(id, &sealed, b"lengths"), Ok(text(len)), "{len} bytes");
    }
}

fn what_is_too_long_is_refused(keys: &dyn ResidentKeys, id: &ResidentId) {
    for len in [MAX_PLAINTEXT_LEN + 1, 64 * 1024] {
        let sealed = keys.encrypt(id, &text(len), b"");
        let Err(HsmError::Refused(why)) = sealed else { unreachable!("{len}: {sealed:?}") };
        assert!(why.contains(&len.to_string()), "{why}");
        assert_eq!(keys.decrypt(id, &vec![12; len + 29], b""), Err(HsmError::Authentication));
    }
    let aad = vec![0; MAX_AAD_LEN + 1];
    let sealed = keys.encrypt(id, &text(1), &aad);
    assert!(matches!(sealed, Err(HsmError::Refused(_))), "{sealed:?}");
    let aad = vec![0; MAX_AAD_LEN];
    let sealed = ok("encrypting", keys.encrypt(id, &text(1), &aad));
    assert_eq!(keys.decrypt(id, &sealed, &aad), Ok(text(1)));
}

fn every_bit_is_bound(keys: &dyn ResidentKeys, id: &ResidentId) {
    let good = ok("encrypting", keys.encrypt(id, &text(9), b"bits"));
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        for byte in bad.iter_mut().skip(bit / 8).take(1) {
            *byte ^= 1 << (bit % 8);
        }
        assert_eq!(keys.decrypt(id, &bad, b"bits"), Err(HsmError::Authentication), "bit {bit}");
    }
    for len in 0..good.len() {
        let cut = good.iter().copied().take(len).collect::<Vec<_>>();
        assert_eq!(keys.decrypt(id, &cut, b"bits"), Err(HsmError::Authentication), "{len} bytes");
    }
    let longer = [&good[..], &[0]].concat();
    assert_eq!(keys.decrypt(id, &longer, b"bits"), Err(HsmError::Authentication));
    assert_eq!(keys.decrypt(id, &good, b"bits"), Ok(text(9)));
}

fn other_associated_data_is_refused(keys: &dyn ResidentKeys, id: &ResidentId) {
    let some: [&[u8]; 5] = [b"", b"\0", b"a", b"ab", &[7; 300]];
    for bound in some {
        let sealed = ok("encrypting", keys.encrypt(id, &text(3), bound));
        for tried in some {
            let expected = if tried == bound { Ok(text(3)) } else { Err(HsmError::Authentication) };
            assert_eq!(keys.decrypt(id, &sealed, tried), expected, "{bound:?} {tried:?}");
        }
    }
}

fn another_key_is_refused(keys: &dyn ResidentKeys, id: &ResidentId, other: &ResidentId) {
    let sealed = ok("encrypting", keys.encrypt(id, &text(32), b""));
    assert_eq!(keys.decrypt(other, &sealed, b""), Err(HsmError::Authentication));
    let absent = ResidentId::new("claviger/suite/absent/1");
    let opened = keys.decrypt(&absent, &sealed, b"");
    assert!(matches!(opened, Err(HsmError::NoSuchResidentKey { .. })), "{opened:?}");
    assert_eq!(keys.decrypt(id, &sealed, b""), Ok(text(32)));
}

fn no_iv_is_repeated(keys: &dyn ResidentKeys, id: &ResidentId) {
    let plaintext = KeyBytes::new(vec![1; 16]);
    let iv = |_| ok("encrypting", keys.encrypt(id, &plaintext, b"")).into_iter().skip(1).take(12);
    let ivs: BTreeSet<Vec<u8>> = (0..64).map(|n| iv(n).collect()).collect();
    assert_eq!(ivs.len(), 64);
}
