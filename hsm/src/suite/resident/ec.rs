//! Keys on elliptic curves. What they do is checked with their public halves, by another library
//! than the token's.

use super::{make_pair, ok};
use crate::resident::der;
use crate::resident::public_key::{of_point, point, verifies};
use crate::{Curve, HsmError, KeyBytes, ResidentId, ResidentKeys, ResidentSpec, SignatureScheme};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
use std::collections::BTreeSet;

pub(super) fn signing(keys: &dyn ResidentKeys, curve: Curve) {
    let spec = ResidentSpec::EcSign(curve);
    let (id, public) = make_pair(keys, "ec-signs", spec);
    let (other, public_of_other) = make_pair(keys, "ec-other", spec);
    assert_ne!(public, public_of_other);
    signs(keys, &id, curve, &public);
    let digest = vec![0x5a; curve.hash().digest_len()];
    let signature = ok("signing", keys.sign(&other, SignatureScheme::Ecdsa, &digest));
    assert!(!verifies(&public, Some(curve), SignatureScheme::Ecdsa, &digest, &signature));
    for len in [0, 1, curve.hash().digest_len() - 1, curve.hash().digest_len() + 1, 5000] {
        let signature = keys.sign(&id, SignatureScheme::Ecdsa, &vec![1; len]);
        assert!(matches!(signature, Err(HsmError::Refused(_))), "{len}: {signature:?}");
    }
    assert_eq!(ok("checking", keys.check(&id, Some(&public))).spec, spec);
    let wrong = keys.check(&id, Some(&public_of_other));
    assert_eq!(wrong, Err(HsmError::WrongResidentKey { id: id.clone() }));
    for id in [id, other] {
        ok("destroying", keys.destroy(&id));
    }
}

/// Often enough for numbers that are shorter, and for numbers with their first bit set.
pub(super) fn signs(keys: &dyn ResidentKeys, id: &ResidentId, curve: Curve, public: &[u8]) {
    let mut signatures = BTreeSet::new();
    for n in 0..24 {
        let digest = vec![n; curve.hash().digest_len()];
        let signature = ok("signing", keys.sign(id, SignatureScheme::Ecdsa, &digest));
        let is_valid = |digest: &[u8]| {
            verifies(public, Some(curve), SignatureScheme::Ecdsa, digest, &signature)
        };
        assert!(is_valid(&digest), "{curve:?} {signature:?}");
        assert!(!is_valid(&vec![n + 1; digest.len()]));
        assert!(der::two_integers(&signature).is_some(), "{curve:?} {signature:?}");
        signatures.insert(signature);
    }
    assert_eq!(signatures.len(), 24);
}

pub(super) fn agreeing(keys: &dyn ResidentKeys, curve: Curve) {
    let spec = ResidentSpec::EcAgree(curve);
    let (id, public) = make_pair(keys, "ec-agrees", spec);
    let (other, public_of_other) = make_pair(keys, "ec-agrees-other", spec);
    agrees(keys, &id, curve, &public);
    // Both halves in the device.
    let shared = ok("agreeing", keys.agree(&id, &public_of_other));
    assert_eq!(keys.agree(&other, &public).as_ref(), Ok(&shared));
    let wrong = keys.check(&id, Some(&public_of_other));
    assert_eq!(wrong, Err(HsmError::WrongResidentKey { id: id.clone() }));
    assert_eq!(ok("checking", keys.check(&id, Some(&public))).spec, spec);
    bad_peers_are_refused(keys, &id, curve, &public_of_other);
    for id in [id, other] {
        ok("destroying", keys.destroy(&id));
    }
}

/// With keys made here: both sides have the same.
pub(super) fn agrees(keys: &dyn ResidentKeys, id: &ResidentId, curve: Curve, public: &[u8]) {
    let algorithm = match curve {
        Curve::P384 => &agreement::ECDH_P384,
        Curve::P521 => &agreement::ECDH_P521,
        Curve::P256 | Curve::Secp256k1 => &agreement::ECDH_P256,
    };
    // Often enough for an x coordinate that begins with a zero bit, on P-521 nearly always.
    for _ in 0..8 {
        let made = PrivateKey::generate(algorithm)
            .and_then(|mine| mine.compute_public_key().map(|public| (mine, public)));
        let Ok((mine, my_public)) = made else { unreachable!("no key for {curve:?}") };
        let peer = of_point(curve, my_public.as_ref()).unwrap_or_default();
        let theirs = ok("agreeing", keys.agree(id, &peer));
        assert_eq!(theirs.expose().len(), curve.scalar_len());
        let peer = UnparsedPublicKey::new(algorithm, public);
        let ours = agreement::agree(&mine, peer, (), |x| Ok(KeyBytes::new(x.to_vec())));
        assert_eq!(ours, Ok(theirs), "{curve:?}");
    }
}

/// Points that are not on the curve would tell the key bit by bit.
fn bad_peers_are_refused(keys: &dyn ResidentKeys, id: &ResidentId, curve: Curve, good: &[u8]) {
    let coordinate = curve.scalar_len();
    let mut bad: Vec<Vec<u8>> = vec![vec![], b"no key".to_vec(), good.to_vec()];
    // A bare point; something behind it; one byte less; x or y moved by one.
    bad.extend(point(curve, good).map(<[u8]>::to_vec));
    bad.push([good, &[0]].concat());
    bad.push(good.iter().copied().take(good.len() - 1).collect());
    for back in [1, coordinate, coordinate + 1, 2 * coordinate] {
        let mut moved = good.to_vec();
        for byte in moved.iter_mut().rev().skip(back - 1).take(1) {
            *byte ^= 1;
        }
        bad.push(moved);
    }
    for other in [Curve::P256, Curve::P384, Curve::P521, Curve::Secp256k1] {
        if other != curve {
            // The same bits under another curve's name.
            let from = curve.oid();
            let at = good.windows(from.len()).position(|window| window == from);
            let (before, rest) = good.split_at_checked(at.unwrap_or_default()).unwrap_or_default();
            let rest = rest.strip_prefix(from).unwrap_or_default();
            bad.push([before, other.oid(), rest].concat());
        }
    }
    for peer in bad {
        let shared = keys.agree(id, &peer);
        if peer == good {
            assert!(shared.is_ok());
        } else {
            assert!(matches!(shared, Err(HsmError::Refused(_))), "{peer:?}: {shared:?}");
        }
    }
}
