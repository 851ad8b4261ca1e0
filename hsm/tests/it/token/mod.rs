//! The PKCS#11 device, on SoftHSM.

mod create;
mod export;
mod login;
mod recovery;
mod softhsm;
mod support;
mod wrong_device;
