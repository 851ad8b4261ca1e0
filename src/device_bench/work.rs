//! From a mechanism to a call of the device. What is needed for it is made first, and not measured.
use super::keys::Keys;
use super::mechanism::{Case, Mechanism};
use claviger_hsm::{
    Curve, Hash, HsmError, KeyBytes, ResidentId, ResidentKeys, ResidentSpec, SignatureScheme,
};

/// One call, made again and again, by several threads at once.
pub(super) struct Work<'a>(Box<dyn Fn() -> Result<(), HsmError> + Sync + 'a>);

impl<'a> Work<'a> {
    pub fn new(call: impl Fn() -> Result<(), HsmError> + Sync + 'a) -> Self {
        Self(Box::new(call))
    }

    pub fn call(&self) -> Result<(), HsmError> {
        (self.0)()
    }
}

const AAD: &[u8] = b"claviger bench device";
const DIGEST: [u8; 32] = [0x5a; 32];
const KEY_LEN: usize = 32;

pub(super) fn of<'a>(case: Case, keys: &'a Keys<'_>) -> Result<Work<'a>, HsmError> {
    let size = case.size.unwrap_or_default();
    let device = keys.device;
    let zeros = KeyBytes::new(vec![0; size]);
    Ok(match case.mechanism {
        Mechanism::Random => Work::new(move || device.random(&mut vec![0; size])),
        Mechanism::Wrap => {
            let (root, key) = (keys.root()?, KeyBytes::new(vec![0; KEY_LEN]));
            Work::new(move || device.wrap(root, &key, AAD).map(drop))
        }
        Mechanism::Unwrap => {
            let key = KeyBytes::new(vec![0; KEY_LEN]);
            let wrapped = device.wrap(keys.root()?, &key, AAD)?;
            Work::new(move || device.unwrap(&wrapped, AAD).map(drop))
        }
        Mechanism::AesGcmEncrypt => {
            let (device, id) = key(keys, ResidentSpec::Aes256)?;
            Work::new(move || device.encrypt(&id, &zeros, AAD).map(drop))
        }
        Mechanism::AesGcmDecrypt => {
            let (device, id) = key(keys, ResidentSpec::Aes256)?;
            let sealed = device.encrypt(&id, &zeros, AAD)?;
            Work::new(move || device.decrypt(&id, &sealed, AAD).map(drop))
        }
        Mechanism::HmacSha256 => {
            let (device, id) = key(keys, ResidentSpec::Hmac(Hash::Sha256))?;
            Work::new(move || device.mac(&id, Hash::Sha256, zeros.expose()).map(drop))
        }
        Mechanism::EcdsaP256 => {
            sign(keys, ResidentSpec::EcSign(Curve::P256), SignatureScheme::Ecdsa)?
        }
        Mechanism::Rsa2048Pss => {
            sign(keys, ResidentSpec::RsaSign(2048), SignatureScheme::RsaPss(Hash::Sha256))?
        }
        Mechanism::GenerateAes256 => generate(keys, ResidentSpec::Aes256)?,
        Mechanism::GenerateEcP256 => generate(keys, ResidentSpec::EcSign(Curve::P256))?,
        Mechanism::GenerateRsa2048 => generate(keys, ResidentSpec::RsaSign(2048))?,
    })
}

fn key<'a>(
    keys: &Keys<'a>,
    spec: ResidentSpec,
) -> Result<(&'a dyn ResidentKeys, ResidentId), HsmError> {
    Ok((keys.resident()?, keys.make(spec)?))
}

fn sign<'a>(
    keys: &Keys<'a>,
    spec: ResidentSpec,
    scheme: SignatureScheme,
) -> Result<Work<'a>, HsmError> {
    let (device, id) = key(keys, spec)?;
    Ok(Work::new(move || device.sign(&id, scheme, &DIGEST).map(drop)))
}

fn generate<'a>(keys: &'a Keys<'_>, spec: ResidentSpec) -> Result<Work<'a>, HsmError> {
    let device = keys.resident()?;
    // Whether it makes such keys is said before anything is measured.
    device.destroy(&keys.make(spec)?)?;
    Ok(Work::new(move || device.destroy(&keys.make(spec)?)))
}
