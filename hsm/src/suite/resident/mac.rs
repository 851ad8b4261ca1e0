//! Keys for HMAC.

use super::{make, ok, text};
use crate::{Hash, HsmError, MAX_MESSAGE_LEN, ResidentKeys, ResidentSpec};
use std::collections::BTreeSet;

pub(super) fn all(keys: &dyn ResidentKeys, hash: Hash) {
    let spec = ResidentSpec::Hmac(hash);
    let ids = ["mac", "mac-other"].map(|test| make(keys, test, spec).0);
    let mut macs = BTreeSet::new();
    let mut count = 0;
    for id in &ids {
        for len in [0, 1, 63, 64, 65, 127, 128, 129, 4096, MAX_MESSAGE_LEN] {
            let message = text(len);
            let mac = ok("mac", keys.mac(id, hash, message.expose()));
            assert_eq!(mac.len(), hash.digest_len());
            assert_eq!(keys.mac(id, hash, message.expose()).as_ref(), Ok(&mac), "{len} bytes");
            macs.insert(mac);
            count += 1;
        }
        let long = keys.mac(id, hash, text(MAX_MESSAGE_LEN + 1).expose());
        assert!(matches!(long, Err(HsmError::Refused(_))), "{long:?}");
        for other in [Hash::Sha1, Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let mac = keys.mac(id, other, b"m");
            let is_wrong = matches!(mac, Err(HsmError::WrongUse { .. }));
            assert_eq!(is_wrong, other != hash, "{other:?}: {mac:?}");
        }
    }
    assert_eq!(macs.len(), count, "two messages or two keys have one MAC");
    for id in ids {
        ok("destroying", keys.destroy(&id));
    }
}
