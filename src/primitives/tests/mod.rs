//! Tests of the primitives. What others' code says of the same keys is in `tests/wycheproof` and in
//! `tests/clients`.
mod agreement;
mod ed25519_vectors;
mod encapsulation;
mod encryption;
mod frames;
mod mac;
mod names;
mod parsing;
mod signatures;
mod wrapping;

use super::*;
use crate::random::SeededRandom;

/// All specs that `PrivateKey` knows, but the two RSA sizes that are slow to make.
const QUICK: &[KeySpec] = {
    use KeySpec::*;
    &[
        Rsa2048,
        EccNistP256,
        EccNistP384,
        EccNistP521,
        EccSecgP256K1,
        Hmac224,
        Hmac256,
        Hmac384,
        Hmac512,
        MlDsa44,
        MlDsa65,
        MlDsa87,
        EccNistEdwards25519,
        MlKem512,
        MlKem768,
        MlKem1024,
    ]
};

fn bytes(spec: KeySpec) -> Vec<u8> {
    PrivateKey::generate(spec, &SeededRandom::new(7)).unwrap().to_vec()
}

fn key(spec: KeySpec) -> PrivateKey {
    PrivateKey::parse(spec, &bytes(spec)).unwrap()
}
