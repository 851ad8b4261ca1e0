//! What a new object shall be, or one that is sought, laid out as PKCS#11 wants it.

use super::fault::Fault;
use crate::KeyBytes;
use cryptoki::error::Error;
use cryptoki::object::Attribute;
use cryptoki_sys::{CK_ATTRIBUTE, CK_MECHANISM_TYPE, CK_ULONG, CKA_ALLOWED_MECHANISMS, CKA_VALUE};

/// Attributes, and two that cryptoki's type cannot hold.
#[derive(Clone, Copy, Default)]
pub(super) struct Template<'a> {
    pub(super) attributes: &'a [Attribute],
    /// CKA_ALLOWED_MECHANISMS by number; left out if empty.
    pub(super) allowed: &'a [CK_MECHANISM_TYPE],
    /// CKA_VALUE.
    pub(super) value: Option<&'a KeyBytes>,
}

impl Template<'_> {
    /// Lays the attributes out for as long as `call` runs.
    pub(super) fn with<T>(
        self,
        call: impl FnOnce(*mut CK_ATTRIBUTE, CK_ULONG) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut all: Vec<CK_ATTRIBUTE> = self.attributes.iter().map(CK_ATTRIBUTE::from).collect();
        let allowed = self.allowed;
        if !allowed.is_empty() {
            all.push(CK_ATTRIBUTE {
                type_: CKA_ALLOWED_MECHANISMS,
                pValue: allowed.as_ptr().cast_mut().cast(),
                ulValueLen: len(size_of_val(allowed))?,
            });
        }
        if let Some(value) = self.value.map(KeyBytes::expose) {
            all.push(CK_ATTRIBUTE {
                type_: CKA_VALUE,
                pValue: value.as_ptr().cast_mut().cast(),
                ulValueLen: len(value.len())?,
            });
        }
        let count = len(all.len())?;
        call(all.as_mut_ptr(), count)
    }
}

fn len(of: usize) -> Result<CK_ULONG, Fault> {
    Ok(CK_ULONG::try_from(of).map_err(Error::from)?)
}
