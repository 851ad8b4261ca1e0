//! KMS operations.
mod encrypt_decrypt;
