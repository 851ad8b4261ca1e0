//! The TPM device, on swtpm.

mod attest;
mod auth;
mod bus;
mod clients;
mod credential;
mod forge;
mod leaks;
mod other;
mod pcr;
mod restart;
mod root;
mod seal;
mod support;
