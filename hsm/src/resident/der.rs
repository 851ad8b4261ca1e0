//! As much DER (X.690) as public keys and signatures need. Read strictly: one encoding for each
//! value, and nothing behind it.

pub(crate) const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// One element around the joined parts, which are 65535 bytes or less.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let [.., high, low] = length.to_be_bytes();
    let head: &[u8] = match length {
        ..=0x7f => &[tag, low],
        0x80..=0xff => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [&[head], parts].concat().concat()
}

/// A positive INTEGER of big endian bytes: no zeros in front but one that keeps it positive.
pub(crate) fn positive(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = bytes.split_at_checked(zeros).map(|(_, rest)| rest).unwrap_or_default();
    match bytes.first() {
        None => element(INTEGER, &[&[0]]),
        Some(0x80..) => element(INTEGER, &[&[0], bytes]),
        Some(_) => element(INTEGER, &[bytes]),
    }
}

/// A SEQUENCE of elements.
pub(crate) fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, elements)
}

/// SubjectPublicKeyInfo (RFC 5280, 4.1) of a key whose AlgorithmIdentifier has this content.
pub(crate) fn public_key_info(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    sequence(&[&sequence(&[algorithm]), &element(BIT_STRING, &[&[0], key])])
}

/// The key in a SubjectPublicKeyInfo whose AlgorithmIdentifier has exactly this content.
pub(crate) fn public_key<'a>(info: &'a [u8], algorithm: &[u8]) -> Option<&'a [u8]> {
    let mut fields = whole(info, SEQUENCE)?;
    if take(&mut fields, SEQUENCE)? != algorithm {
        return None;
    }
    // The first byte counts the unused bits of the last.
    whole(fields, BIT_STRING)?.strip_prefix(&[0])
}

/// The content of an element that is all there is in `input`.
pub(crate) fn whole(mut input: &[u8], tag: u8) -> Option<&[u8]> {
    let content = take(&mut input, tag)?;
    input.is_empty().then_some(content)
}

/// The two INTEGERs of a SEQUENCE of two, without the zero in front: an RSAPublicKey (RFC 8017,
/// A.1.1) is one.
pub(crate) fn two_integers(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = whole(input, SEQUENCE)?;
    let first = take(&mut fields, INTEGER)?;
    let second = whole(fields, INTEGER)?;
    Some((first.strip_prefix(&[0]).unwrap_or(first), second.strip_prefix(&[0]).unwrap_or(second)))
}

fn take<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
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
    let is_shortest = match first {
        0x81 => length >= 0x80,
        0x82 => length >= 0x100,
        _ => true,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *input = rest;
    (found == tag && is_shortest).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 600] {
            let key = vec![5; length];
            let info = public_key_info(b"algorithm", &key);
            assert_eq!(public_key(&info, b"algorithm"), Some(&key[..]), "{length}");
            assert_eq!(public_key(&info, b"algorithn"), None);
            assert_eq!(public_key(&[&info[..], &[0]].concat(), b"algorithm"), None);
            for cut in 0..info.len() {
                assert_eq!(public_key(&info[..cut], b"algorithm"), None, "{length} cut at {cut}");
            }
        }
        // A length in more bytes than it needs.
        assert_eq!(whole(&[0x04, 0x81, 0x01, 0xaa], OCTET_STRING), None);
        assert_eq!(whole(&[0x04, 0x82, 0x00, 0x01, 0xaa], OCTET_STRING), None);
        assert_eq!(whole(&[0x04, 0x80, 0xaa, 0x00, 0x00], OCTET_STRING), None);
    }

    #[test]
    fn integers_are_positive_and_short() {
        assert_eq!(positive(&[]), [2, 1, 0]);
        assert_eq!(positive(&[0, 0]), [2, 1, 0]);
        assert_eq!(positive(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(positive(&[0x80]), [2, 2, 0, 0x80]);
        let pair = sequence(&[&positive(&[0x80, 1]), &positive(&[1, 0, 1])]);
        assert_eq!(two_integers(&pair), Some((&[0x80, 1][..], &[1, 0, 1][..])));
    }
}
