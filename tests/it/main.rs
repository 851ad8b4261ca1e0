//! Black-box tests of the server, in one binary: in process through the operation tables, and over
//! HTTP with the AWS SDK for Rust. The folders mirror `src/api`.
#![cfg(test)]

mod kms;
mod vectors;
mod world;
