//! The little DER that is needed to hand the vectors' bare keys to the server in the form it reads.

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const BIT_STRING: u8 = 0x03;
/// The seed of an ML-DSA or ML-KEM key: `[0] IMPLICIT OCTET STRING`.
const SEED: u8 = 0x80;

const EC_PUBLIC_KEY: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
pub const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
pub const P384: &[u8] = &[0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x22];
pub const P521: &[u8] = &[0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x23];

/// NIST's arcs for post-quantum algorithms differ in their last two numbers only.
pub const fn nist_algorithm(family: u8, number: u8) -> [u8; 11] {
    [0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, family, number]
}

fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=127 => out.push(u8::try_from(short).unwrap()),
        long @ 128..=255 => out.extend([0x81, u8::try_from(long).unwrap()]),
        longer => {
            out.push(0x82);
            out.extend(u16::try_from(longer).unwrap().to_be_bytes());
        }
    }
    out.extend(content);
    out
}

/// `PrivateKeyInfo`, version 0.
fn private_key_info(algorithm: &[&[u8]], key: &[u8]) -> Vec<u8> {
    let algorithm = tagged(SEQUENCE, algorithm);
    tagged(SEQUENCE, &[&[0x02, 1, 0], &algorithm, &tagged(OCTET_STRING, &[key])])
}

/// A private key of a NIST curve: `scalar` has the curve's length, `point` is the uncompressed public
/// point.
pub fn ec_private_key(curve: &[u8], scalar: &[u8], point: &[u8]) -> Vec<u8> {
    let point = tagged(BIT_STRING, &[&[0], point]);
    let parts: [&[u8]; 3] =
        [&[0x02, 1, 1], &tagged(OCTET_STRING, &[scalar]), &tagged(0xa1, &[&point])];
    private_key_info(&[EC_PUBLIC_KEY, curve], &tagged(SEQUENCE, &parts))
}

/// An ML-DSA or ML-KEM key that is its seed.
pub fn seed_key(algorithm: &[u8], seed: &[u8]) -> Vec<u8> {
    private_key_info(&[algorithm], &tagged(SEED, &[seed]))
}

/// An ML-DSA or ML-KEM key as FIPS 204 and FIPS 203 write it out.
pub fn expanded_key(algorithm: &[u8], expanded: &[u8]) -> Vec<u8> {
    private_key_info(&[algorithm], &tagged(OCTET_STRING, &[expanded]))
}

/// Seed and expanded key, one beside the other.
pub fn seed_and_expanded_key(algorithm: &[u8], seed: &[u8], expanded: &[u8]) -> Vec<u8> {
    let both = [tagged(OCTET_STRING, &[seed]), tagged(OCTET_STRING, &[expanded])].concat();
    private_key_info(&[algorithm], &tagged(SEQUENCE, &[&both]))
}

/// `SubjectPublicKeyInfo` of an algorithm without parameters.
pub fn public_key(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    tagged(SEQUENCE, &[&tagged(SEQUENCE, &[algorithm]), &tagged(BIT_STRING, &[&[0], key])])
}
