//! The root of trust as an operator moves it: `claviger root`, `recovery`, `recover`, and a server that
//! starts sealed. Real tokens, a software TPM, real HTTP clients, kill -9.
mod forged;
mod gone;
pub mod helper;
mod moving;
pub mod recovery;
mod sealed;
mod sealed_listeners;
mod signals;
mod stranger;
pub mod support;
