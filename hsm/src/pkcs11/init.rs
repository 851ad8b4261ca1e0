//! Making a blank token ours: label, SO PIN, user PIN. For development and first installation,
//! so that no vendor tool is needed for SoftHSM.

use super::fault::Fault;
use super::gate::Alone;
use super::module::{self, Module};
use super::pin::Pin;
use super::token::{PinFlags, seen};
use crate::{HsmError, TokenState};
use cryptoki::session::UserType;
use cryptoki::slot::Slot;
use std::path::Path;

/// PKCS#11 keeps a token's label in a field of this many bytes.
const MAX_LABEL_LEN: usize = 32;

/// Initialises a blank token with a label and its two PINs. A token that has the label already
/// is left alone, unless an earlier call ended before it had its user PIN: then it gets that.
///
/// Never initialises a token that is not blank: C_InitToken destroys what is in it.
pub fn init_token(module: &Path, label: &str, so_pin: &Pin, pin: &Pin) -> Result<(), HsmError> {
    if label.is_empty() || label.len() > MAX_LABEL_LEN {
        let len = label.len();
        return Err(HsmError::Refused(format!(
            "token label {label:?}: wanted 1 to {MAX_LABEL_LEN} bytes, found {len}"
        )));
    }
    let module = module::load(module, None)?;
    // Nobody else may be at it: logging in the SO logs in the whole process.
    let alone = module.enter_alone()?;
    let seen = seen(&module)?;
    let find = |state: TokenState| seen.iter().find(|token| token.state == state);
    if let Some(ours) = find(TokenState::Labelled(label.into())) {
        let slot = Slot::try_from(ours.slot).map_err(Fault::from)?;
        let info = module.raw.token_info(slot)?;
        if PinFlags::of(info.flags).initialised {
            return Ok(());
        }
        return Ok(set_user_pin(&module, &alone, slot, so_pin, pin)?);
    }
    let Some(blank) = find(TokenState::NotInitialised) else {
        return Err(HsmError::NoFreeSlot { found: seen });
    };
    let slot = Slot::try_from(blank.slot).map_err(Fault::from)?;
    module.pkcs11.init_token(slot, &so_pin.to_auth(), label).map_err(Fault::from)?;
    Ok(set_user_pin(&module, &alone, slot, so_pin, pin)?)
}

fn set_user_pin(
    module: &Module,
    _alone: &Alone<'_>,
    slot: Slot,
    so_pin: &Pin,
    pin: &Pin,
) -> Result<(), Fault> {
    let session = module.pkcs11.open_rw_session(slot)?;
    session.login(UserType::So, Some(&so_pin.to_auth()))?;
    let set = session.init_pin(&pin.to_auth());
    // Logged out whatever came of it: the SO must not stay logged in for the whole process.
    session.logout()?;
    Ok(set?)
}
