//! As much DER as the frames of keys need: PKCS#8 around a private key, SubjectPublicKeyInfo around a
//! public one. What is inside them is read by the libraries, which do not mind trailing bytes; this does.
use zeroize::Zeroizing;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0]` IMPLICIT of a primitive type.
pub(super) const CONTEXT_0: u8 = 0x80;

/// Takes one element with this tag off the front of `input` and returns its content. Lengths must be
/// as short as DER wants them.
pub(super) fn take<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (&found, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        ..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&low, rest) = rest.split_first()?;
            (usize::from(low), rest)
        }
        0x82 => {
            let (bytes, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*bytes)), rest)
        }
        // A key of 64 KiB is none of ours.
        _ => return None,
    };
    let shortest = match first {
        0x81 => length >= 0x80,
        0x82 => length >= 0x100,
        _ => true,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *input = rest;
    (found == tag && shortest).then_some(content)
}

/// The content of an element that is all there is in `input`.
pub(super) fn whole(mut input: &[u8], tag: u8) -> Option<&[u8]> {
    let content = take(&mut input, tag)?;
    input.is_empty().then_some(content)
}

/// One element around the joined parts. The capacity is exact, so that no copy of a secret is left
/// behind by a growing buffer.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let [.., high, low] = length.to_be_bytes();
    let head: &[u8] = match length {
        ..=0x7f => &[tag, low],
        0x80..=0xff => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    let mut out = Zeroizing::new(Vec::with_capacity(head.len() + length));
    out.extend_from_slice(head);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// The private key inside a PKCS#8 frame whose algorithm is `oid` (its whole element) without parameters.
pub(super) fn pkcs8<'a>(input: &'a [u8], oid: &[u8]) -> Option<&'a [u8]> {
    let mut fields = whole(input, SEQUENCE)?;
    let version = take(&mut fields, INTEGER)?;
    let algorithm = take(&mut fields, SEQUENCE)?;
    let key = take(&mut fields, OCTET_STRING)?;
    // Version 0 with nothing behind it: attributes and a second copy of the public key are not used.
    (version == [0] && algorithm == oid && fields.is_empty()).then_some(key)
}

/// Version 0 PKCS#8 around `key`.
pub(super) fn pkcs8_frame(oid: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let version = element(INTEGER, &[&[0]]);
    let algorithm = element(SEQUENCE, &[oid]);
    let key = element(OCTET_STRING, &[key]);
    element(SEQUENCE, &[&version, &algorithm, &key])
}

/// The bits of a SubjectPublicKeyInfo, whatever its algorithm.
pub(super) fn spki_bits(input: &[u8]) -> Option<&[u8]> {
    let mut fields = whole(input, SEQUENCE)?;
    take(&mut fields, SEQUENCE)?;
    let bits = whole(fields, BIT_STRING)?;
    // The first byte counts the unused bits of the last.
    bits.strip_prefix(&[0])
}

/// The key inside a SubjectPublicKeyInfo whose algorithm is `oid` without parameters.
pub(super) fn spki<'a>(input: &'a [u8], oid: &[u8]) -> Option<&'a [u8]> {
    let mut fields = whole(input, SEQUENCE)?;
    let algorithm = take(&mut fields, SEQUENCE)?;
    (algorithm == oid).then_some(spki_bits(input)?)
}

/// SubjectPublicKeyInfo around `key`.
pub(super) fn spki_frame(oid: &[u8], key: &[u8]) -> Vec<u8> {
    let algorithm = element(SEQUENCE, &[oid]);
    let bits = element(BIT_STRING, &[&[0], key]);
    element(SEQUENCE, &[&algorithm, &bits]).to_vec()
}
