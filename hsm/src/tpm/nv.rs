//! NV indices: listed, defined and removed by the owner's right, their handles by scope.

use super::device::Device;
use super::fault::Fault;
use crate::HsmError;
use std::ops::RangeInclusive;
use tss_esapi::attributes::NvIndexAttributesBuilder;
use tss_esapi::constants::CapabilityType;
use tss_esapi::handles::{NvIndexHandle, NvIndexTpmHandle, ObjectHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::resource_handles::Provision;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Auth, CapabilityData, NvPublicBuilder};

/// An NV index to be defined.
pub(super) struct NewIndex {
    pub number: u32,
    pub attributes: NvIndexAttributesBuilder,
    /// Bytes that it holds.
    pub len: usize,
}

impl Device {
    /// The NV indices that are defined in a range, ascending.
    pub fn nv_numbers(&mut self, range: RangeInclusive<u32>) -> Result<Vec<u32>, Fault> {
        let count = range.end() - range.start() + 1;
        let (found, _) = self.command("TPM2_GetCapability", |context| {
            context.get_capability(CapabilityType::Handles, *range.start(), count)
        })?;
        let CapabilityData::Handles(handles) = found else {
            return Err(HsmError::Refused("TPM2_GetCapability gave no handles".into()).into());
        };
        let numbers = handles.into_inner().into_iter().map(u32::from);
        Ok(numbers.filter(|number| range.contains(number)).collect())
    }

    /// Defines an NV index and runs `fill`; removes it again if that fails.
    pub fn define(
        &mut self,
        session: AuthSession,
        auth: Option<Auth>,
        new: NewIndex,
        fill: impl FnOnce(&mut Self, NvIndexHandle) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let number = new.number;
        let public = || {
            NvPublicBuilder::new()
                .with_nv_index(NvIndexTpmHandle::new(number)?)
                .with_index_name_algorithm(HashingAlgorithm::Sha256)
                .with_index_attributes(new.attributes.build()?)
                .with_data_area_size(new.len)
                .build()
        };
        let public = public().map_err(Fault::of("making an NV index"))?;
        let handle = self.command_in(session, "TPM2_NV_DefineSpace", |context| {
            context.nv_define_space(Provision::Owner, auth, public)
        })?;
        let filled = fill(self, handle);
        self.close(handle.into())?;
        filled.or_else(|fault| {
            self.undefine(session, number)?;
            Err(fault)
        })
    }

    pub fn undefine(&mut self, session: AuthSession, number: u32) -> Result<(), Fault> {
        let handle = self.open_index(number)?;
        let undefined = self.command_in(session, "TPM2_NV_UndefineSpace", |context| {
            context.nv_undefine_space(Provision::Owner, handle)
        });
        // An index that is gone has no handle to close.
        undefined.or_else(|fault| {
            self.close(handle.into())?;
            Err(fault)
        })
    }

    /// Runs `op` with an NV index, and forgets its handle on every path.
    pub fn with_index<T>(
        &mut self,
        number: u32,
        op: impl FnOnce(&mut Self, NvIndexHandle) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let handle = self.open_index(number)?;
        let result = op(self, handle);
        let closed = self.close(handle.into());
        result.and_then(|value| closed.map(|()| value))
    }

    fn open_index(&mut self, number: u32) -> Result<NvIndexHandle, Fault> {
        let object = self.command("TPM2_NV_ReadPublic", |context| {
            context.tr_from_tpm_public(TpmHandle::NvIndex(NvIndexTpmHandle::new(number)?))
        })?;
        Ok(object.into())
    }

    fn close(&mut self, mut handle: ObjectHandle) -> Result<(), Fault> {
        self.command("Esys_TR_Close", |context| context.tr_close(&mut handle))
    }
}
