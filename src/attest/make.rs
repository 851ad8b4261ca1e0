//! From open devices to a bundle.
use super::bundle::{Bundle, Claim, Evidence, Holds, Signed, Words};
use claviger_hsm::{Attestation, DeviceInfo, HsmError};

impl Words {
    /// What a device says of a key that it holds, or why it does not.
    pub fn of(
        device: &str,
        info: DeviceInfo,
        holds: Holds,
        claims: Result<Vec<(String, String)>, HsmError>,
    ) -> Self {
        let (claims, fault) = match claims {
            Ok(claims) => (claims, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let claims = claims.into_iter().map(|(name, value)| Claim { name, value }).collect();
        Self { device: device.to_owned(), info: Some(info), holds, claims, fault }
    }

    /// Of a device that is not there to be asked; `device` is who was there when the key was last used.
    pub fn missing(device: &str, holds: Holds, why: &str) -> Self {
        let (device, fault) = (device.to_owned(), Some(why.to_owned()));
        Self { device, info: None, holds, claims: Vec::new(), fault }
    }
}

impl Bundle {
    /// Has each device that can sign do so, for all that is in the bundle. `sign` asks a device, by its
    /// name, about a root key, by its name there, for a nonce.
    pub fn sign(
        &mut self,
        sign: impl Fn(&str, &str, &[u8]) -> Result<Option<Attestation>, HsmError>,
    ) -> Result<(), HsmError> {
        let digest = &self.digest.0;
        for Evidence { words, signed } in &mut self.devices {
            let (None, Holds::RootKey(root)) = (&words.fault, &words.holds) else { continue };
            let Some(made) = sign(&words.device, root, digest)? else { continue };
            let two = || HsmError::Refused("the TPM signed by two attestation keys".into());
            *signed = Some(Signed::of(made).ok_or_else(two)?);
        }
        Ok(())
    }
}
