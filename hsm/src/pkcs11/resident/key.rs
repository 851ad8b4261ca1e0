//! A resident key, found and checked, in a session: what it does.

use super::super::cipher::{self, Sealed};
use super::super::fault::{Class, Fault};
use super::super::mechanism::RawMechanism;
use super::super::negotiate::Iv;
use super::super::template::Template;
use super::super::wrap::Device;
use super::oaep;
use crate::resident::{der, public_key, sealed};
use crate::{Curve, Hash, HsmError, KeyBytes, ResidentId, ResidentSpec, SignatureScheme};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki_sys::CKA_VALUE;
use std::sync::Arc;

/// What is remembered of a key as long as its handle is worth something.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) key: ObjectHandle,
    pub(super) spec: ResidentSpec,
    /// SubjectPublicKeyInfo of an RSA key, which its private half tells.
    pub(super) rsa: Option<Vec<u8>>,
    pub(super) routes: Routes,
}

/// How RSA-OAEP is decrypted, by hash; None where neither way works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Routes {
    pub(super) sha1: Option<Route>,
    pub(super) sha256: Option<Route>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// CKM_RSA_PKCS_OAEP.
    Token,
    /// CKM_RSA_X_509, and the padding is taken off here: for tokens without OAEP by this hash.
    Raw,
}

pub(super) struct Key<'a> {
    pub(super) device: Device<'a>,
    pub(super) id: &'a ResidentId,
    pub(super) iv: Iv,
    pub(super) found: Arc<Found>,
}

impl Key<'_> {
    pub(super) fn encrypt(&self, plaintext: &KeyBytes, aad: &[u8]) -> Result<Vec<u8>, Fault> {
        self.must_be(ResidentSpec::Aes256)?;
        let Device { raw, session, .. } = self.device;
        let Iv { chooser, len } = self.iv;
        let aad = sealed::bound(len, aad)?;
        let Sealed { iv, bytes } =
            cipher::encrypt(raw, session, self.found.key, chooser, plaintext, &aad)?;
        if iv.len() != len {
            let text = format!("IV: wanted {len} bytes as before, found {}", iv.len());
            return Err(HsmError::Refused(text).into());
        }
        Ok(sealed::encode(&iv, &bytes))
    }

    /// [`Fault::of_unwrap`] knows a bad tag.
    pub(super) fn decrypt(&self, bytes: &[u8], aad: &[u8]) -> Result<KeyBytes, Fault> {
        self.must_be(ResidentSpec::Aes256)?;
        let Device { raw, session, .. } = self.device;
        let (iv, bytes) = sealed::decode(bytes)?;
        let aad = sealed::bound(iv.len(), aad)?;
        cipher::decrypt(raw, session, self.found.key, iv, bytes, &aad)
    }

    pub(super) fn mac(&self, hash: Hash, message: &[u8]) -> Result<Vec<u8>, Fault> {
        self.found.spec.check_mac(self.id, hash, message)?;
        self.sign_raw(&mut RawMechanism::Hmac(hash), message, hash.digest_len())
    }

    pub(super) fn sign(&self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, Fault> {
        self.found.spec.check_signing(self.id, scheme, digest)?;
        match (scheme, self.found.spec) {
            (SignatureScheme::RsaPss(hash), ResidentSpec::RsaSign(bits)) => {
                let len = usize::from(bits) / 8;
                self.sign_raw(&mut RawMechanism::RsaPss(hash), digest, len)
            }
            (SignatureScheme::RsaPkcs1(hash), ResidentSpec::RsaSign(bits)) => {
                let len = usize::from(bits) / 8;
                self.sign_raw(&mut RawMechanism::RsaPkcs, &digest_info(hash, digest), len)
            }
            (_, spec) => {
                let curve = spec.curve().ok_or_else(|| spec.wrong_use(self.id, "ECDSA"))?;
                let len = 2 * curve.scalar_len();
                let signature = self.sign_raw(&mut RawMechanism::Ecdsa, digest, len)?;
                let (r, s) = signature.split_at_checked(len / 2).unwrap_or_default();
                Ok(der::sequence(&[&der::positive(r), &der::positive(s)]))
            }
        }
    }

    fn sign_raw(
        &self,
        mechanism: &mut RawMechanism<'_>,
        input: &[u8],
        len: usize,
    ) -> Result<Vec<u8>, Fault> {
        let Device { raw, session, .. } = self.device;
        let signature = raw.sign(session, mechanism, self.found.key, input, len)?;
        let found = signature.expose().len();
        if found != len {
            return Err(
                HsmError::Refused(format!("C_Sign: wanted {len} bytes, found {found}")).into()
            );
        }
        Ok(signature.expose().to_vec())
    }

    /// [`Fault::of_unwrap`] knows a ciphertext that does not decrypt.
    pub(super) fn decrypt_oaep(&self, hash: Hash, ciphertext: &[u8]) -> Result<KeyBytes, Fault> {
        let ResidentSpec::RsaDecrypt(bits) = self.found.spec else {
            return Err(self.found.spec.wrong_use(self.id, "RSA decryption").into());
        };
        public_key::oaep(hash)?;
        let told = self.found.rsa.as_deref().unwrap_or_default();
        // RFC 8017, 7.1.2: what is no number between 0 and the modulus is a decryption error. Said
        // here, because tokens say it in many ways; whoever made the number knows it already.
        let is_number = ciphertext.len() == usize::from(bits) / 8
            && ciphertext.iter().any(|byte| *byte != 0)
            && public_key::rsa_modulus(told).is_some_and(|modulus| ciphertext < modulus);
        if !is_number {
            return Err(HsmError::Authentication.into());
        }
        let route = match hash {
            Hash::Sha1 => self.found.routes.sha1,
            _ => self.found.routes.sha256,
        };
        match route {
            Some(route) => self.decrypt_by(route, hash, ciphertext),
            None => Err(no_oaep(hash).into()),
        }
    }

    fn decrypt_by(&self, route: Route, hash: Hash, ciphertext: &[u8]) -> Result<KeyBytes, Fault> {
        let Device { raw, session, .. } = self.device;
        let mut mechanism = match route {
            Route::Token => RawMechanism::RsaOaep(hash),
            Route::Raw => RawMechanism::RsaX509,
        };
        // Tokens that take the padding off in the caller's buffer want one as long as the modulus.
        let len = ciphertext.len();
        let opened = raw.decrypt(session, &mut mechanism, self.found.key, ciphertext, len)?;
        match route {
            Route::Token => Ok(opened),
            Route::Raw => Ok(oaep::decode(hash, len, &opened)?),
        }
    }

    /// Finds out how this key decrypts: by ciphertexts made here, with its public half.
    pub(super) fn routes(&self, public: &[u8]) -> Result<Routes, Fault> {
        Ok(Routes {
            sha1: self.route(Hash::Sha1, public)?,
            sha256: self.route(Hash::Sha256, public)?,
        })
    }

    fn route(&self, hash: Hash, public: &[u8]) -> Result<Option<Route>, Fault> {
        const PLAINTEXT: &[u8] = b"claviger/hsm/self-test";
        let ciphertext = public_key::encrypt_oaep(public, hash, PLAINTEXT)?;
        let mut suspect = None;
        for route in [Route::Token, Route::Raw] {
            match self.decrypt_by(route, hash, &ciphertext) {
                Ok(opened) if opened.expose() == PLAINTEXT => return Ok(Some(route)),
                // It answers otherwise than it should: the other way may be better.
                Ok(_) => {}
                Err(fault) if fault.class() == Class::Request => {}
                Err(fault) if fault.class() == Class::Suspect => suspect = Some(fault),
                Err(fault) => return Err(fault),
            }
        }
        // "It cannot" is believed of a token that has said so, not of one that may be broken.
        suspect.map_or(Ok(None), Err)
    }

    /// The x coordinate of the shared point. `point` has been checked: it is on the curve.
    pub(super) fn agree(&self, point: &[u8]) -> Result<KeyBytes, Fault> {
        let curve = self.curve_to_agree()?;
        let Device { raw, session, .. } = self.device;
        let attributes = shared_template(curve);
        let template = Template { attributes: &attributes, ..Template::default() };
        let mut ecdh = RawMechanism::Ecdh1 { peer: point };
        let object = raw.derive_key(session, &mut ecdh, self.found.key, template)?;
        // One byte more than there should be, so that a longer secret is seen and not cut.
        let secret = raw.attribute(session, object, CKA_VALUE, curve.scalar_len() + 1);
        let gone = session.destroy_object(object);
        let secret = secret?;
        gone?;
        let (wanted, found) = (curve.scalar_len(), secret.expose().len());
        if found != wanted {
            let text = format!("C_DeriveKey: wanted {wanted} bytes, found {found}");
            return Err(HsmError::Refused(text).into());
        }
        Ok(secret)
    }

    pub(super) fn curve_to_agree(&self) -> Result<Curve, HsmError> {
        match self.found.spec {
            ResidentSpec::EcAgree(curve) => Ok(curve),
            other => Err(other.wrong_use(self.id, "ECDH")),
        }
    }

    fn must_be(&self, wanted: ResidentSpec) -> Result<(), HsmError> {
        if self.found.spec == wanted {
            return Ok(());
        }
        Err(self.found.spec.wrong_use(self.id, &wanted.to_string()))
    }
}

/// What is said where a token decrypts OAEP neither by itself nor with our help. It is never
/// decrypted by another hash than was asked for.
pub(super) fn no_oaep(hash: Hash) -> HsmError {
    HsmError::Unsupported(format!(
        "RSA-OAEP with {hash:?}: CKM_RSA_PKCS_OAEP with that hash does not decrypt, nor does \
         CKM_RSA_X_509"
    ))
}

/// The shared secret is made to be read, and is destroyed in the same call.
fn shared_template(curve: Curve) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::ValueLen((curve.scalar_len() as u64).into()),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Derive(false),
    ]
}

/// DigestInfo (RFC 8017, 9.2, note 1): what CKM_RSA_PKCS pads.
fn digest_info(hash: Hash, digest: &[u8]) -> Vec<u8> {
    // The last byte of the hash's OBJECT IDENTIFIER, 2.16.840.1.101.3.4.2.n.
    let n = match hash {
        Hash::Sha512 => 3,
        Hash::Sha384 => 2,
        _ => 1,
    };
    let algorithm = [&b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"[..], &[n], b"\x05\x00"].concat();
    der::sequence(&[&der::sequence(&[&algorithm]), &der::element(der::OCTET_STRING, &[digest])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_infos_are_those_of_rfc_8017() {
        for (hash, begins) in [
            (Hash::Sha256, "3031300d060960864801650304020105000420"),
            (Hash::Sha384, "3041300d060960864801650304020205000430"),
            (Hash::Sha512, "3051300d060960864801650304020305000440"),
        ] {
            let info = digest_info(hash, &vec![0xaa; hash.digest_len()]);
            let hex: String = info.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, format!("{begins}{}", "aa".repeat(hash.digest_len())));
        }
    }
}
