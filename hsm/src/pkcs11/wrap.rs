//! How each mechanism wraps a wrapping key in the token: the blob in the middle of format 02.
//!
//! ```text
//! aes-gcm        length of the IV (1) ‖ IV (12 to 16) ‖ ciphertext (32) ‖ tag (16); only where the
//!                token makes an IV that format 01 has no room for
//! aes-kwp        RFC 5649: 40 bytes
//! aes-kw         RFC 3394: 40 bytes
//! aes-cbc-hmac   IV (16) ‖ ciphertext (32) ‖ HMAC-SHA-256 of "claviger/hsm/cbc-hmac\0" ‖ both (32)
//! rsa-oaep-…     as long as the modulus
//! ```
//!
//! The wrapping key comes from us and goes back to us, so KW and KWP import it into a session
//! object for the moment of wrapping, and read it from one after unwrapping.

use super::cipher::{self, MAX_IV_LEN, Sealed, mixed};
use super::fault::Fault;
use super::mechanism::RawMechanism;
use super::objects::{Root, RsaPublic};
use super::raw::Raw;
use super::template::Template;
use crate::hybrid::WRAPPING_KEY_LEN;
use crate::profile::{GcmIv, Profile};
use crate::wrapped::{IV_LEN, TAG_LEN};
use crate::{Hash, HsmError, KeyBytes, Mechanism};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey,
    PublicKeyComponents,
};
use cryptoki::error::RvError;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::CKA_VALUE;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const GCM_AAD: &[u8] = b"claviger/hsm/wrapping-key\0";
const MAC_LABEL: &[u8] = b"claviger/hsm/cbc-hmac\0";
const CBC_IV_LEN: usize = 16;
const MAC_LEN: usize = 32;
/// What RFC 3394 and RFC 5649 add to a key of 32 bytes, in bytes.
const KW_OVERHEAD: usize = 8;
const KW_LEN: usize = WRAPPING_KEY_LEN + KW_OVERHEAD;

/// A session in a token, and how to talk with it.
#[derive(Clone, Copy)]
pub(super) struct Device<'a> {
    pub(super) raw: &'a Raw,
    pub(super) session: &'a Session,
    pub(super) profile: &'a Profile,
}

impl Device<'_> {
    /// A wrapping key, of the system's and of the token's generator.
    pub(super) fn wrapping_key(&self) -> Result<KeyBytes, Fault> {
        let key = Zeroizing::new(mixed::<WRAPPING_KEY_LEN>(self.session)?);
        Ok(KeyBytes::new(key.to_vec()))
    }

    /// Wraps a wrapping key. `chooser` is asked for by aes-gcm alone.
    pub(super) fn close(
        &self,
        root: &Root,
        chooser: GcmIv,
        key: &KeyBytes,
    ) -> Result<Vec<u8>, Fault> {
        match root.mechanism {
            Mechanism::AesGcm => {
                let Device { raw, session, .. } = *self;
                let sealed = cipher::encrypt(raw, session, root.key, chooser, key, GCM_AAD)?;
                let iv_len = u8::try_from(sealed.iv.len()).unwrap_or(u8::MAX);
                Ok([&[iv_len], &sealed.iv[..], &sealed.bytes].concat())
            }
            Mechanism::AesKwp => self.close_kw(&mut RawMechanism::AesKeyWrapKwp, root, key),
            Mechanism::AesKw => self.close_kw(&mut RawMechanism::AesKeyWrap, root, key),
            Mechanism::AesCbcHmac => self.close_cbc(root, key),
            Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1 => close_oaep(root, key),
            Mechanism::TpmSeal => Err(no_such_way()),
        }
    }

    /// Opens what [`Device::close`] gave. What has not its form the token is never shown.
    /// [`Fault::of_unwrap`] knows what a token answers to a forged one.
    pub(super) fn open(&self, root: &Root, blob: &[u8]) -> Result<KeyBytes, Fault> {
        let key = match root.mechanism {
            Mechanism::AesGcm => {
                let Sealed { iv, bytes } = gcm_parts(blob).ok_or(HsmError::Authentication)?;
                cipher::decrypt(self.raw, self.session, root.key, &iv, &bytes, GCM_AAD)
            }
            Mechanism::AesKwp => self.open_kw(&mut RawMechanism::AesKeyWrapKwp, root, blob),
            Mechanism::AesKw => self.open_kw(&mut RawMechanism::AesKeyWrap, root, blob),
            Mechanism::AesCbcHmac => self.open_cbc(root, blob),
            Mechanism::RsaOaepSha256 => self.open_oaep(Hash::Sha256, root, blob),
            Mechanism::RsaOaepSha1 => self.open_oaep(Hash::Sha1, root, blob),
            Mechanism::TpmSeal => Err(no_such_way()),
        }?;
        if key.expose().len() != WRAPPING_KEY_LEN {
            return Err(HsmError::Authentication.into());
        }
        Ok(key)
    }

    fn close_kw(
        &self,
        mechanism: &mut RawMechanism<'_>,
        root: &Root,
        key: &KeyBytes,
    ) -> Result<Vec<u8>, Fault> {
        let template = wrapping_key_template(false);
        let template = Template { attributes: &template, value: Some(key), ..Template::default() };
        let object = self.raw.create_object(self.session, template)?;
        // A token may write more than it needs, but not more than one block.
        let room = KW_LEN + KW_OVERHEAD;
        let blob = self.raw.wrap_key(self.session, mechanism, root.key, object, room);
        let gone = self.session.destroy_object(object);
        let blob = blob?.expose().to_vec();
        gone?;
        if blob.len() != KW_LEN {
            let text = format!("C_WrapKey: wanted {KW_LEN} bytes, found {}", blob.len());
            return Err(HsmError::Refused(text).into());
        }
        Ok(blob)
    }

    fn open_kw(
        &self,
        mechanism: &mut RawMechanism<'_>,
        root: &Root,
        blob: &[u8],
    ) -> Result<KeyBytes, Fault> {
        if blob.len() != KW_LEN {
            return Err(HsmError::Authentication.into());
        }
        let object = self.unwrap_key(mechanism, root.key, blob)?;
        // One byte more than there should be, so that a longer key is seen and not cut.
        let room = WRAPPING_KEY_LEN + 1;
        let key = self.raw.attribute(self.session, object, CKA_VALUE, room);
        let gone = self.session.destroy_object(object);
        let key = key?;
        gone?;
        Ok(key)
    }

    /// Some tokens refuse CKA_VALUE_LEN in the template, others a template without it.
    fn unwrap_key(
        &self,
        mechanism: &mut RawMechanism<'_>,
        root: ObjectHandle,
        blob: &[u8],
    ) -> Result<ObjectHandle, Fault> {
        let mut unwrap = |with_len| {
            let attributes = wrapping_key_template(with_len);
            let template = Template { attributes: &attributes, ..Template::default() };
            self.raw.unwrap_key(self.session, mechanism, root, blob, template)
        };
        let first = self.profile.unwrap_value_len;
        match unwrap(first) {
            Err(fault) if is_about_template(&fault) => unwrap(!first),
            other => other,
        }
    }

    fn close_cbc(&self, root: &Root, key: &KeyBytes) -> Result<Vec<u8>, Fault> {
        let iv: [u8; CBC_IV_LEN] = mixed(self.session)?;
        let mut cbc = RawMechanism::AesCbc { iv: &iv };
        // Whole blocks in, whole blocks out; a block of room for a token that pads all the same.
        let room = WRAPPING_KEY_LEN + CBC_IV_LEN;
        let encrypted = self.raw.encrypt(self.session, &mut cbc, root.key, key.expose(), room)?;
        let found = encrypted.expose().len();
        if found != WRAPPING_KEY_LEN {
            let text = format!("AES-CBC: wanted {WRAPPING_KEY_LEN} bytes, found {found}");
            return Err(HsmError::Refused(text).into());
        }
        let mut blob = [&iv[..], encrypted.expose()].concat();
        let mac = self.mac(root, &blob)?;
        blob.extend_from_slice(mac.expose());
        Ok(blob)
    }

    fn open_cbc(&self, root: &Root, blob: &[u8]) -> Result<KeyBytes, Fault> {
        let parts = blob.split_first_chunk::<CBC_IV_LEN>().and_then(|(iv, rest)| {
            let (encrypted, mac) = rest.split_first_chunk::<WRAPPING_KEY_LEN>()?;
            Some((iv, encrypted, mac, blob.split_at_checked(CBC_IV_LEN + WRAPPING_KEY_LEN)?.0))
        });
        let (iv, encrypted, mac, bound) = parts.ok_or(HsmError::Authentication)?;
        // First the MAC: what it does not vouch for is not decrypted (Vaudenay's padding oracle
        // and its kin need an answer to a forged ciphertext).
        if !bool::from(self.mac(root, bound)?.expose().ct_eq(mac)) {
            return Err(HsmError::Authentication.into());
        }
        let mut cbc = RawMechanism::AesCbc { iv };
        self.raw.decrypt(self.session, &mut cbc, root.key, encrypted, WRAPPING_KEY_LEN)
    }

    fn mac(&self, root: &Root, bound: &[u8]) -> Result<KeyBytes, Fault> {
        let Some(key) = root.mac else {
            let text = "a root key for aes-cbc-hmac without its second key";
            return Err(HsmError::Refused(text.into()).into());
        };
        let message = [MAC_LABEL, bound].concat();
        let mut hmac = RawMechanism::Hmac(Hash::Sha256);
        let mac = self.raw.sign(self.session, &mut hmac, key, &message, MAC_LEN)?;
        if mac.expose().len() != MAC_LEN {
            let text =
                format!("HMAC-SHA-256: wanted {MAC_LEN} bytes, found {}", mac.expose().len());
            return Err(HsmError::Refused(text).into());
        }
        Ok(mac)
    }

    fn open_oaep(&self, hash: Hash, root: &Root, blob: &[u8]) -> Result<KeyBytes, Fault> {
        // RFC 8017, 7.1.2 and 5.1.2: as long as the modulus, and less. Tokens answer all sorts of
        // things to others.
        let modulus = root.public.as_ref().map_or(&[][..], |public| &public.modulus);
        if blob.len() != modulus.len() || blob >= modulus {
            return Err(HsmError::Authentication.into());
        }
        let mut oaep = RawMechanism::RsaOaep(hash);
        // Tokens that remove the padding in the caller's buffer want one as long as the modulus.
        self.raw.decrypt(self.session, &mut oaep, root.key, blob, blob.len())
    }
}

/// Encrypting needs the public half only, which is no secret: no call of the token. What comes
/// out is opened by the token before anyone relies on it.
fn close_oaep(root: &Root, key: &KeyBytes) -> Result<Vec<u8>, Fault> {
    let refused = |what: &str| Fault::Hsm(HsmError::Refused(format!("RSA-OAEP: {what}")));
    let Some(RsaPublic { modulus, exponent }) = root.public.as_deref() else {
        return Err(refused("the public half of the root key is unknown"));
    };
    let components = PublicKeyComponents { n: &modulus[..], e: &exponent[..] };
    let public: PublicEncryptingKey =
        components.try_into().map_err(|_| refused("the token's modulus is no RSA modulus"))?;
    let public = OaepPublicEncryptingKey::new(public)
        .map_err(|_| refused("the token's modulus has a length that is not used"))?;
    let algorithm = match root.mechanism {
        Mechanism::RsaOaepSha1 => &OAEP_SHA1_MGF1SHA1,
        _ => &OAEP_SHA256_MGF1SHA256,
    };
    let mut blob = vec![0; public.ciphertext_size()];
    let blob = public
        .encrypt(algorithm, key.expose(), &mut blob, None)
        .map_err(|_| refused("encryption failed"))?;
    Ok(blob.to_vec())
}

/// Every attribute is said: tokens differ in what they assume of one that is left out. It may be
/// read, because that is what it is made for; it is gone with the call.
fn wrapping_key_template(with_len: bool) -> Vec<Attribute> {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
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
    ];
    if with_len {
        template.push(Attribute::ValueLen((WRAPPING_KEY_LEN as u64).into()));
    }
    template
}

/// Whether an answer is about the attributes that were asked for, and not about the key.
pub(super) fn is_about_template(fault: &Fault) -> bool {
    matches!(
        fault.rv(),
        Some(
            RvError::AttributeTypeInvalid
                | RvError::AttributeValueInvalid
                | RvError::AttributeReadOnly
                | RvError::TemplateInconsistent
                | RvError::TemplateIncomplete
        )
    )
}

fn gcm_parts(blob: &[u8]) -> Option<Sealed> {
    let (iv_len, rest) = blob.split_first()?;
    let (iv, bytes) = rest.split_at_checked(usize::from(*iv_len))?;
    let good =
        (IV_LEN..=MAX_IV_LEN).contains(&iv.len()) && bytes.len() == WRAPPING_KEY_LEN + TAG_LEN;
    good.then(|| Sealed { iv: iv.to_vec(), bytes: bytes.to_vec() })
}

fn no_such_way() -> Fault {
    HsmError::Unsupported("a PKCS#11 token seals nothing as a TPM does".into()).into()
}
