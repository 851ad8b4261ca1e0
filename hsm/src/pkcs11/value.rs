//! Reading attributes: one at a time, because one odd value would fail a question about several,
//! and none longer than it can be: a module may say that a label has 2⁶³ bytes.

use super::fault::Fault;
use super::wrap::Device;
use crate::HsmError;
use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki_sys::{CK_ATTRIBUTE_TYPE, CK_OBJECT_HANDLE, CK_ULONG, CK_UNAVAILABLE_INFORMATION};

/// Longest text that is read, in bytes: a label, a CKA_ID, the name of a curve.
const MAX_LEN: usize = 4096;
/// Most objects that a search may find: more than a token holds that is of any use (SoftHSM needs
/// half a second to find one among ten thousand).
const MAX_FOUND: usize = 100_000;
const ULONG_LEN: usize = size_of::<CK_ULONG>();

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// CK_BBOOL.
    Is(bool),
    /// CK_ULONG.
    Number(CK_ULONG),
    Bytes(Vec<u8>),
}

impl Device<'_> {
    /// One attribute; None where the object has none, or the token does not tell.
    pub(super) fn value(
        &self,
        object: ObjectHandle,
        wanted: AttributeType,
    ) -> Result<Option<Value>, Fault> {
        match self.read(object, wanted) {
            Ok(value) => Ok(Some(value)),
            Err(fault) => match fault.rv() {
                Some(RvError::AttributeTypeInvalid | RvError::AttributeSensitive) => Ok(None),
                _ => Err(fault),
            },
        }
    }

    fn read(&self, object: ObjectHandle, wanted: AttributeType) -> Result<Value, Fault> {
        let number = CK_ATTRIBUTE_TYPE::from(wanted);
        match wanted.fixed_size() {
            Some(1) => match self.raw.attribute_of_len(self.session, object, number)? {
                [0] => Ok(Value::Is(false)),
                [1] => Ok(Value::Is(true)),
                [other] => {
                    let text = format!("{wanted}: wanted CK_TRUE or CK_FALSE, found {other}");
                    Err(HsmError::Refused(text).into())
                }
            },
            Some(ULONG_LEN) => {
                let bytes = self.raw.attribute_of_len(self.session, object, number)?;
                Ok(Value::Number(CK_ULONG::from_ne_bytes(bytes)))
            }
            _ => {
                let bytes = self.raw.attribute(self.session, object, number, MAX_LEN)?;
                Ok(Value::Bytes(bytes.expose().to_vec()))
            }
        }
    }

    /// As [`Device::value`], and None also where it cannot be read: one odd object hides no other.
    /// A session or handle that is gone is an error all the same.
    pub(super) fn readable(
        &self,
        object: ObjectHandle,
        wanted: AttributeType,
    ) -> Result<Option<Value>, Fault> {
        match self.value(object, wanted) {
            Err(fault) if !fault.is_stale() => Ok(None),
            other => other,
        }
    }

    /// A label, a CKA_ID; None where it cannot be read.
    pub(super) fn bytes(
        &self,
        object: ObjectHandle,
        wanted: AttributeType,
    ) -> Result<Option<Vec<u8>>, Fault> {
        Ok(match self.readable(object, wanted)? {
            Some(Value::Bytes(bytes)) => Some(bytes),
            _ => None,
        })
    }

    /// A CKA_ID; None where there is none. One that cannot be read just now is an error: it says whose
    /// the object is and what it was made for.
    pub(super) fn object_id(&self, object: ObjectHandle) -> Result<Option<Vec<u8>>, Fault> {
        Ok(match self.value(object, AttributeType::Id)? {
            Some(Value::Bytes(bytes)) if !bytes.is_empty() => Some(bytes),
            _ => None,
        })
    }

    /// The objects with this label that have no CKA_ID: they were being made.
    pub(super) fn half_made(&self, label: &str) -> Result<Vec<ObjectHandle>, Fault> {
        let mut half = Vec::new();
        for object in self.find(&[Attribute::Label(label.into())])? {
            if self.object_id(object)?.is_none() {
                half.push(object);
            }
        }
        Ok(half)
    }

    pub(super) fn is_public(&self, object: ObjectHandle) -> Result<bool, Fault> {
        let class = self.readable(object, AttributeType::Class)?;
        Ok(class == Some(Value::Number(ObjectClass::PUBLIC_KEY.into())))
    }

    /// The objects that have these attributes.
    pub(super) fn find(&self, wanted: &[Attribute]) -> Result<Vec<ObjectHandle>, Fault> {
        self.raw.find(self.session, wanted)
    }
}

/// What is said of an attribute that has not the length that it can have. CK_UNAVAILABLE_INFORMATION
/// is what some tokens answer with CKR_OK, where others answer that there is no such attribute.
pub(super) fn wrong_len(attribute: CK_ATTRIBUTE_TYPE, wanted: &str, found: CK_ULONG) -> Fault {
    if found == CK_UNAVAILABLE_INFORMATION {
        let (none, function) = (RvError::AttributeTypeInvalid, Function::GetAttributeValue);
        return Fault::Device(Error::Pkcs11(none, function));
    }
    let text = format!("attribute {attribute:#x}: wanted {wanted} bytes, found {found}");
    Fault::Hsm(HsmError::Refused(text))
}

/// Asks for more until there is none, or too much of it.
pub(super) fn collect(
    mut more: impl FnMut() -> Result<Vec<CK_OBJECT_HANDLE>, Fault>,
) -> Result<Vec<CK_OBJECT_HANDLE>, Fault> {
    let mut all = Vec::new();
    loop {
        let some = more()?;
        if some.is_empty() {
            return Ok(all);
        }
        all.extend(some);
        if all.len() > MAX_FOUND {
            let text = format!("C_FindObjects finds no end: {} objects so far", all.len());
            return Err(Fault::Hsm(HsmError::Refused(text)));
        }
    }
}
