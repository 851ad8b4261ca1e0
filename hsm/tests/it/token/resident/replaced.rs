//! Another key under the name of one that was used before is refused, as long as the process
//! lives; and by whoever has the public half.

use super::super::support::{TestToken, on_token};
use super::{ONE_OF_EACH, id_of, keys, objects, use_once};
use claviger_hsm::{Curve, Hash, HsmError, ResidentSpec};

/// Replaces the object, as another process does that makes the key anew by the book.
fn replace(token: &TestToken, spec: ResidentSpec) {
    let session = token.raw_session();
    for object in objects(&session, &id_of(spec)) {
        session.destroy_object(object).unwrap();
    }
    let other = token.open();
    keys(&other).generate(&id_of(spec), spec).unwrap();
}

#[test]
fn it_is_refused() {
    on_token(it_is_refused, |token| {
        let hsm = token.open();
        for spec in ONE_OF_EACH {
            let public = keys(&hsm).generate(&id_of(spec), spec).unwrap();
            use_once(keys(&hsm), &id_of(spec), spec, &public).unwrap();
            replace(token, spec);
            let wrong = Err(HsmError::WrongResidentKey { id: id_of(spec) });
            for _ in 0..2 {
                assert_eq!(use_once(keys(&hsm), &id_of(spec), spec, &public), wrong, "{spec}");
            }
            // Also by a process that never used it, if it is told what the public half was.
            let young = token.open();
            let checked = keys(&young).check(&id_of(spec), public.as_deref()).map(drop);
            assert_eq!(checked, if spec.is_pair() { wrong } else { Ok(()) }, "{spec}");
            // Destroyed and made by ourselves it is a new key.
            keys(&hsm).destroy(&id_of(spec)).unwrap();
            let public = keys(&hsm).generate(&id_of(spec), spec).unwrap();
            use_once(keys(&hsm), &id_of(spec), spec, &public).unwrap();
        }
    });
}

/// The same kind of key but for another use, or of another length, is another key.
#[test]
fn a_key_of_another_kind_is_refused() {
    on_token(a_key_of_another_kind_is_refused, |token| {
        let hsm = token.open();
        for (first, then) in [
            (ResidentSpec::RsaSign(2048), ResidentSpec::RsaDecrypt(2048)),
            (ResidentSpec::EcAgree(Curve::P256), ResidentSpec::EcSign(Curve::P256)),
            (ResidentSpec::EcSign(Curve::P256), ResidentSpec::EcSign(Curve::P384)),
            (ResidentSpec::Aes256, ResidentSpec::Hmac(Hash::Sha256)),
            (ResidentSpec::Hmac(Hash::Sha256), ResidentSpec::Aes256),
            (ResidentSpec::Hmac(Hash::Sha512), ResidentSpec::EcSign(Curve::P256)),
        ] {
            let id = id_of(first);
            let public = keys(&hsm).generate(&id, first).unwrap();
            let session = token.raw_session();
            session.destroy_object(objects(&session, &id)[0]).unwrap();
            keys(&token.open()).generate(&id, then).unwrap();
            let used = use_once(keys(&hsm), &id, first, &public);
            assert_eq!(used, Err(HsmError::WrongResidentKey { id: id.clone() }), "{first} {then}");
            keys(&hsm).destroy(&id).unwrap();
        }
    });
}
