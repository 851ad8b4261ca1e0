//! A blob opens whole, unchanged, under its own key and context, and never otherwise.

use super::*;
use crate::random::SeededRandom;

const MATERIAL: [u8; 32] = [7; 32];
const KEY_ID: KeyIdBytes = KeyIdBytes { bytes: [0xab; 16], multi_region: false };

fn context<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn sealed(context: &BTreeMap<String, String>, seed: u64, plaintext: &[u8]) -> Vec<u8> {
    let material_id = KeyMaterialId::of(&MATERIAL, KEY_ID).prefix();
    seal(&MATERIAL, KEY_ID, material_id, context, &SeededRandom::new(seed), plaintext).unwrap()
}

fn open(blob: &[u8], context: &BTreeMap<String, String>) -> Result<Vec<u8>, InvalidCiphertext> {
    Blob::parse(blob)?.open(&MATERIAL, context).map(|plaintext| plaintext.to_vec())
}

fn refused(blob: &[u8]) -> bool {
    open(blob, &context([("a", "b")])) == Err(InvalidCiphertext)
}

#[test]
fn a_blob_names_its_key_and_opens() {
    let ec = context([("a", "b")]);
    let blob = sealed(&ec, 1, b"plaintext");
    let parsed = Blob::parse(&blob).unwrap();
    assert_eq!(parsed.key_id(), KEY_ID);
    assert_eq!(parsed.material_id(), KeyMaterialId::of(&MATERIAL, KEY_ID).prefix());
    assert_eq!(open(&blob, &ec).unwrap(), b"plaintext");
    assert_eq!(blob.len(), 9 + BLOB_OVERHEAD_BYTES);
}

#[test]
fn every_flipped_bit_is_refused() {
    let blob = sealed(&context([("a", "b")]), 1, b"a plaintext of some length");
    for bit in 0..blob.len() * 8 {
        let mut changed = blob.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(&changed), "byte {} bit {}", bit / 8, bit % 8);
    }
}

#[test]
fn every_byte_of_the_fixed_prefix_has_one_value() {
    let blob = sealed(&context([("a", "b")]), 1, b"x");
    for at in 0..8 {
        for value in 0..=255 {
            let mut changed = blob.clone();
            changed[at] = value;
            let multi_region = at == 7 && value == MULTI_REGION_FLAG;
            let of_a_device = at == 6 && value == 2;
            let well_formed = value == blob[at] || multi_region || of_a_device;
            assert_eq!(Blob::parse(&changed).is_ok(), well_formed, "byte {at} = {value:#x}");
            assert_eq!(refused(&changed), value != blob[at], "byte {at} = {value:#x}");
        }
    }
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let blob = sealed(&context([("a", "b")]), 1, b"a plaintext of some length");
    for len in 0..blob.len() {
        assert!(refused(&blob[..len]), "cut to {len}");
        assert!(refused(&blob[blob.len() - len..]), "only the last {len}");
    }
    for extra in 1..=64 {
        let filler = vec![0; extra];
        assert!(refused(&[&blob[..], &filler].concat()), "{extra} more");
        assert!(refused(&[&filler, &blob[..]].concat()), "{extra} before");
    }
}

#[test]
fn splices_of_two_blobs_are_refused_at_every_field() {
    let ec = context([("a", "b")]);
    let (one, two) = (sealed(&ec, 1, b"first plaintext"), sealed(&ec, 2, b"other plaintext"));
    let tag = one.len() - 16;
    let fields = [0, 4, 5, 6, 7, 8, 24, 40, 72, 104, 116, tag, one.len()];
    for (i, from) in fields.iter().enumerate() {
        for to in &fields[i + 1..] {
            let mut spliced = one.clone();
            spliced[*from..*to].copy_from_slice(&two[*from..*to]);
            // The headers are equal, so a splice inside them, or of everything from N on, is a whole
            // blob again. Anything between is neither.
            let whole = spliced == one || spliced == two;
            assert_eq!(refused(&spliced), !whole, "{from}..{to}");
            assert_eq!(whole, *to <= 40 || (*from <= 40 && *to == one.len()), "{from}..{to}");
        }
    }
}

#[test]
fn only_the_same_context_opens() {
    let ec = context([("purpose", "test"), ("tenant", "42")]);
    let blob = sealed(&ec, 1, b"x");
    let reordered = context([("tenant", "42"), ("purpose", "test")]);
    assert_eq!(open(&blob, &reordered).unwrap(), b"x");
    let others = [
        context([]),
        context([("purpose", "test")]),
        context([("purpose", "test"), ("tenant", "43")]),
        context([("purpose", "test"), ("tenant", "42"), ("", "")]),
        context([("Purpose", "test"), ("tenant", "42")]),
        context([("purpose", "Test"), ("tenant", "42")]),
        context([("purpose", "42"), ("tenant", "test")]),
        context([("purpose", " test"), ("tenant", "42")]),
        context([("purpose\0", "test"), ("tenant", "42")]),
    ];
    for other in others {
        assert_eq!(open(&blob, &other), Err(InvalidCiphertext), "{other:?}");
    }
}

#[test]
fn contexts_never_encode_alike() {
    let contexts = [
        context([]),
        context([("", "")]),
        context([("ab", "c")]),
        context([("a", "bc")]),
        context([("abc", "")]),
        context([("", "abc")]),
        context([("a", "b"), ("c", "")]),
        context([("a", ""), ("b", "c")]),
        // é in one code point and in two: different strings, and no one here says otherwise.
        context([("\u{e9}", "")]),
        context([("e\u{301}", "")]),
    ];
    let encoded: std::collections::BTreeSet<_> = contexts.iter().map(encode).collect();
    assert_eq!(encoded.len(), contexts.len());
    let blob = sealed(&context([("ab", "c")]), 1, b"x");
    assert_eq!(open(&blob, &context([("a", "bc")])), Err(InvalidCiphertext));
    // No context is the empty one: a count of zero and nothing else.
    assert_eq!(encode(&BTreeMap::default()), [0; 4]);
}

#[test]
fn keys_sort_by_their_bytes_and_not_as_utf_16() {
    // U+FF5E comes before U+1F511 in UTF-8 and after it in UTF-16.
    let encoded = encode(&context([("\u{1f511}", ""), ("\u{ff5e}", "")]));
    assert_eq!(encoded[8..11], *"\u{ff5e}".as_bytes());
}

#[test]
fn sizes_are_bounded_on_both_sides() {
    let ec = BTreeMap::default();
    for size in [0, 1, 4096, PLAINTEXT_MAX_BYTES] {
        let blob = sealed(&ec, 1, &vec![1; size]);
        assert_eq!(open(&blob, &ec).unwrap().len(), size);
        assert!(blob.len() <= BLOB_MAX_BYTES);
    }
    let too_long = vec![1; PLAINTEXT_MAX_BYTES + 1];
    let random = SeededRandom::new(1);
    assert_eq!(seal(&MATERIAL, KEY_ID, [0; 16], &ec, &random, &too_long), Err(PlaintextTooLong));
    // Also one that is sealed as it should be, but too long to be a blob.
    let mut long = sealed(&ec, 1, b"");
    long.truncate(HEADER_BYTES);
    let long = scheme::seal(&MATERIAL, &long, Label::ENC, &encode(&ec), &random, &too_long);
    assert_eq!(Blob::parse(&long).unwrap_err(), InvalidCiphertext);
}

#[test]
fn another_key_does_not_open() {
    let ec = context([("a", "b")]);
    let blob = sealed(&ec, 1, b"x");
    let parsed = Blob::parse(&blob).unwrap();
    assert_eq!(parsed.open(&[8; 32], &ec), Err(InvalidCiphertext));
    // The same material under another key id or material id: both are sealed in.
    for at in [8, 24] {
        let mut moved = blob.clone();
        moved[at..at + 16].fill(0xcd);
        assert!(Blob::parse(&moved).is_ok() && refused(&moved));
    }
}

#[test]
fn base64_begins_as_clients_expect() {
    // "AQICA" is the first 30 bits.
    let first = u32::from_be_bytes(PREFIX[..4].try_into().unwrap());
    let letters: Vec<u32> = (0..5).map(|i| first >> (26 - 6 * i) & 63).collect();
    assert_eq!(letters, [0, 16, 8, 2, 0]); // A Q I C A
}

#[test]
fn key_ids_have_one_spelling() {
    let uuid = "12345678-90ab-cdef-1234-567890abcdef";
    let multi_region = "mrk-1234567890abcdef1234567890abcdef";
    for text in [uuid, multi_region, "00000000-0000-0000-0000-000000000000"] {
        assert_eq!(text.parse::<KeyIdBytes>().unwrap().to_string(), text);
    }
    let (a, b): (KeyIdBytes, KeyIdBytes) = (uuid.parse().unwrap(), multi_region.parse().unwrap());
    assert!(a.bytes == b.bytes && a != b);
    let bad = [
        "",
        "mrk-",
        "12345678-90AB-cdef-1234-567890abcdef",
        "1234567890abcdef1234567890abcdef",
        "1234567-890ab-cdef-1234-567890abcdef",
        "12345678-90ab-cdef-1234-567890abcde",
        "12345678-90ab-cdef-1234-567890abcdef0",
        "12345678-90ab-cdef-1234-567890abcdeg",
        "+2345678-90ab-cdef-1234-567890abcdef",
        "{12345678-90ab-cdef-1234-567890abcdef}",
        "MRK-1234567890abcdef1234567890abcdef",
        "mrk-1234567890ABCDEF1234567890abcdef",
        "mrk-12345678-90ab-cdef-1234-567890abcdef",
        "mrk-+234567890abcdef1234567890abcdef",
        "mrk-1234567890abcdef1234567890abcde",
        " 12345678-90ab-cdef-1234-567890abcdef",
    ];
    for text in bad {
        assert_eq!(text.parse::<KeyIdBytes>(), Err(InvalidKeyId), "{text}");
    }
}

#[test]
fn material_ids_tell_material_and_keys_apart() {
    let id = KeyMaterialId::of(&MATERIAL, KEY_ID);
    assert_eq!(id, KeyMaterialId::of(&MATERIAL, KEY_ID));
    assert_ne!(id, KeyMaterialId::of(&[8; 32], KEY_ID));
    assert_ne!(id, KeyMaterialId::of(&MATERIAL, KeyIdBytes { multi_region: true, ..KEY_ID }));
    assert_eq!(id.to_string().len(), 64);
    let prefix: String = id.prefix().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(id.to_string().starts_with(&prefix));
}
