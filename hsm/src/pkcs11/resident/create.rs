//! Making a resident key inside the token.

use super::super::fault::Fault;
use super::super::objects::{public_half, with_less_and_less};
use super::super::template::Template;
use super::super::wrap::Device;
use super::objects::object_id;
use super::plan;
use crate::resident::public_key;
use crate::{Curve, HsmError, ResidentId, ResidentSpec};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki_sys::{CK_MECHANISM_TYPE, CKA_EC_POINT};

const RSA_EXPONENT: [u8; 3] = [1, 0, 1];
/// Longest CKA_EC_POINT, in bytes: of P-521, in an OCTET STRING.
const MAX_POINT_LEN: usize = 136;

/// What was made.
pub(super) struct New {
    pub(super) key: ObjectHandle,
    /// SubjectPublicKeyInfo of a pair.
    pub(super) public: Option<Vec<u8>>,
}

/// A key to be made.
pub(super) struct Wish<'a> {
    pub(super) id: &'a ResidentId,
    pub(super) spec: ResidentSpec,
    /// CKA_ALLOWED_MECHANISMS.
    pub(super) serves: &'a [CK_MECHANISM_TYPE],
    /// As a token object; else one that is gone with its session.
    pub(super) in_token: bool,
}

impl Wish<'_> {
    /// Makes it.
    pub(super) fn make(&self, device: Device<'_>) -> Result<New, Fault> {
        if self.spec.is_pair() {
            return self.make_pair(device);
        }
        let key = with_less_and_less(device, |allowed, copyable| {
            let attributes = self.template(copyable);
            let allowed = if allowed { self.serves } else { &[] };
            let template = Template { attributes: &attributes, allowed, value: None };
            device.raw.generate_key(device.session, plan::made_by(self.spec), template)
        })?;
        Ok(New { key, public: None })
    }

    fn make_pair(&self, device: Device<'_>) -> Result<New, Fault> {
        let session = device.session;
        let mechanism = match self.spec.curve() {
            Some(_) => Mechanism::EccKeyPairGen,
            None => Mechanism::RsaPkcsKeyPairGen,
        };
        let public = self.public_template(self.in_token && !device.profile.session_objects);
        let (public, key) = with_less_and_less(device, |allowed, copyable| {
            let mut private = self.template(copyable);
            if allowed {
                let named = self.serves.iter().map(|number| MechanismType::try_from(*number));
                private.push(Attribute::AllowedMechanisms(named.collect::<Result<_, _>>()?));
            }
            Ok(session.generate_key_pair(&mechanism, &public, &private)?)
        })?;
        let read = read_public(device, self.spec, public, key);
        if device.profile.session_objects {
            // It was a session object, gone in a moment anyway.
            let _ = session.destroy_object(public);
        }
        match read {
            Ok(public) => Ok(New { key, public: Some(public) }),
            Err(fault) => {
                // What went wrong first is what is told.
                let _ = session.destroy_object(key);
                Err(fault)
            }
        }
    }

    /// Of a secret key or a private half. Every attribute is said: tokens differ in what they
    /// assume of one that is left out.
    fn template(&self, copyable_said: bool) -> Vec<Attribute> {
        let mut template = vec![
            Attribute::Class(plan::class(self.spec)),
            Attribute::KeyType(plan::key_type(self.spec)),
            Attribute::Label(self.id.as_str().into()),
            Attribute::Id(object_id(self.id)),
            Attribute::Token(self.in_token),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Modifiable(false),
        ];
        template.extend(copyable_said.then_some(Attribute::Copyable(false)));
        template.extend(plan::value_len(self.spec).map(|len| Attribute::ValueLen(len.into())));
        template.extend(plan::uses(self.spec).map(|(a_use, may)| (a_use.say)(may)));
        template
    }

    /// Of a public half.
    fn public_template(&self, in_token: bool) -> Vec<Attribute> {
        let verifies = matches!(self.spec, ResidentSpec::RsaSign(_) | ResidentSpec::EcSign(_));
        let mut template = vec![
            Attribute::Label(self.id.as_str().into()),
            Attribute::Id(object_id(self.id)),
            Attribute::Token(in_token),
            Attribute::Private(false),
            Attribute::Encrypt(matches!(self.spec, ResidentSpec::RsaDecrypt(_))),
            Attribute::Verify(verifies),
            Attribute::Wrap(false),
        ];
        match self.spec {
            ResidentSpec::RsaSign(bits) | ResidentSpec::RsaDecrypt(bits) => {
                template.push(Attribute::ModulusBits(u64::from(bits).into()));
                template.push(Attribute::PublicExponent(RSA_EXPONENT.to_vec()));
            }
            ResidentSpec::EcSign(curve) | ResidentSpec::EcAgree(curve) => {
                template.push(Attribute::EcParams(curve.oid().to_vec()));
            }
            ResidentSpec::Aes256 | ResidentSpec::Hmac(_) => {}
        }
        template
    }
}

fn read_public(
    device: Device<'_>,
    spec: ResidentSpec,
    public: ObjectHandle,
    key: ObjectHandle,
) -> Result<Vec<u8>, Fault> {
    let Device { raw, session, .. } = device;
    let Some(curve) = spec.curve() else {
        let found = public_half(raw, session, key)?;
        return Ok(public_key::of_rsa(&found.modulus, &found.exponent));
    };
    let point = raw.attribute(session, public, CKA_EC_POINT, MAX_POINT_LEN)?;
    point_of(curve, point.expose())
}

fn point_of(curve: Curve, point: &[u8]) -> Result<Vec<u8>, Fault> {
    public_key::of_point(curve, point).ok_or_else(|| {
        let found = point.len();
        let text = format!("CKA_EC_POINT: wanted a point of {curve:?}, found {found} other bytes");
        HsmError::Refused(text).into()
    })
}
