//! Black-box tests of the server, in one binary: in process through the operation tables, and over
//! HTTP with the AWS SDK for Rust. The folders mirror `src/api`.
#![cfg(test)]

mod authorization;
mod condition_keys;
mod counting;
#[expect(dead_code, reason = "the tests of the store stop and start them")]
#[path = "../databases/mod.rs"]
mod databases;
mod endpoints;
mod events;
mod explain;
mod front;
mod iam;
mod isolation;
mod kms;
mod machines;
mod modelled;
mod nodes;
mod pipeline;
mod quotas;
mod refusals;
mod rotation;
mod rotation_databases;
mod rotation_functions;
mod secretsmanager;
mod sts;
mod support;
mod vectors;
mod world;
mod xks;
