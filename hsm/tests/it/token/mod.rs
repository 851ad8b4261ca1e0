//! The PKCS#11 device, on SoftHSM.

mod create;
mod damaged;
mod destroy;
mod export;
mod faults;
mod instances;
mod lies;
mod login;
mod nss;
mod quirks;
mod recovery;
mod resident;
mod sessions;
mod softhsm;
pub mod support;
mod wraps;
mod wrong_device;
