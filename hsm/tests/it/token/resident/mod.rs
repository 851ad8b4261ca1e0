//! Keys that live in the token.

mod broken;
mod export;
mod faults;
mod killed;
mod oaep;
mod recovery;
mod replaced;
mod suite;

use claviger_hsm::pkcs11::Pkcs11Hsm;
use claviger_hsm::{
    Curve, Hash, Hsm, HsmError, KeyBytes, ResidentId, ResidentKeys, ResidentSpec, SignatureScheme,
};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use sha2::{Digest, Sha256};

/// One kind of each use, the cheapest.
const ONE_OF_EACH: [ResidentSpec; 6] = [
    ResidentSpec::Aes256,
    ResidentSpec::Hmac(Hash::Sha256),
    ResidentSpec::RsaSign(2048),
    ResidentSpec::RsaDecrypt(2048),
    ResidentSpec::EcSign(Curve::P256),
    ResidentSpec::EcAgree(Curve::P256),
];

fn keys(hsm: &Pkcs11Hsm) -> &dyn ResidentKeys {
    hsm.resident().unwrap()
}

fn id(name: &str) -> ResidentId {
    ResidentId::new(format!("claviger/test/key/{name}/1"))
}

fn id_of(spec: ResidentSpec) -> ResidentId {
    id(&spec.to_string().replace(' ', "-"))
}

fn text() -> KeyBytes {
    KeyBytes::new(b"attack at dawn".to_vec())
}

/// Asks a key once for what it is for.
fn use_once(
    keys: &dyn ResidentKeys,
    id: &ResidentId,
    spec: ResidentSpec,
    public: &Option<Vec<u8>>,
) -> Result<(), HsmError> {
    match spec {
        ResidentSpec::Aes256 => {
            let sealed = keys.encrypt(id, &text(), b"aad")?;
            assert_eq!(keys.decrypt(id, &sealed, b"aad")?, text());
        }
        ResidentSpec::Hmac(hash) => {
            assert_eq!(keys.mac(id, hash, b"m")?.len(), hash.digest_len());
        }
        ResidentSpec::RsaSign(bits) => {
            let signature = keys.sign(id, SignatureScheme::RsaPss(Hash::Sha256), &[7; 32])?;
            assert_eq!(signature.len(), usize::from(bits) / 8);
        }
        ResidentSpec::RsaDecrypt(bits) => {
            // Nobody encrypted it: that it is called forged is the work of the key.
            let forged = keys.decrypt_oaep(id, Hash::Sha1, &vec![1; usize::from(bits) / 8]);
            return match forged {
                Err(HsmError::Authentication) => Ok(()),
                other => other.map(drop),
            };
        }
        ResidentSpec::EcSign(_) => {
            keys.sign(id, SignatureScheme::Ecdsa, &[7; 32])?;
        }
        // With itself, which is as good as with another.
        ResidentSpec::EcAgree(_) => {
            assert_eq!(keys.agree(id, public.as_deref().unwrap())?.expose().len(), 32);
        }
    }
    Ok(())
}

/// The objects of this name, whoever's.
fn objects(session: &Session, id: &ResidentId) -> Vec<ObjectHandle> {
    session.find_objects(&[Attribute::Label(id.as_str().into())]).unwrap()
}

/// CKA_ID of a key of ours.
fn object_id(id: &ResidentId) -> Vec<u8> {
    Sha256::digest([&b"claviger/hsm/resident-id\0"[..], id.as_str().as_bytes()].concat())[..16]
        .into()
}
