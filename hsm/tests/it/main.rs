//! Tests of the devices from outside. What needs a token runs on SoftHSM, a fresh one each.
//!
//! `cfg(test)` is always so here; it tells clippy that helpers beside the tests may unwrap.

#[cfg(test)]
mod guard;

#[cfg(test)]
mod software;

#[cfg(test)]
mod timing;

#[cfg(test)]
#[cfg(feature = "pkcs11")]
mod token;

#[cfg(test)]
#[cfg(feature = "tpm")]
mod tpm;

#[cfg(test)]
#[cfg(feature = "pkcs11")]
mod worker;
