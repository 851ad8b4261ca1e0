//! The little DER there is.
use super::super::der::{self, INTEGER, OCTET_STRING, SEQUENCE};

#[test]
fn elements_of_every_length_go_round() {
    for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1234, 0xffff] {
        let content = vec![0xab; length];
        let element = der::element(OCTET_STRING, &[&content[..length / 2], &content[length / 2..]]);
        assert_eq!(der::whole(&element, OCTET_STRING), Some(content.as_slice()));
        assert_eq!(der::whole(&element, SEQUENCE), None, "another tag");
        assert_eq!(der::whole(&element[..element.len() - 1], OCTET_STRING), None, "cut");
        let trailing = [element.as_slice(), &[0]].concat();
        assert_eq!(der::whole(&trailing, OCTET_STRING), None);
        let mut input = trailing.as_slice();
        assert_eq!(der::take(&mut input, OCTET_STRING), Some(content.as_slice()));
        assert_eq!(input, [0]);
    }
}

#[test]
fn lengths_that_are_not_as_short_as_can_be_are_refused() {
    for bad in [
        &[0x04, 0x81, 0x01, 0x00][..],
        &[0x04, 0x82, 0x00, 0x01, 0x00],
        &[0x04, 0x80],
        &[0x04, 0x83, 0x00, 0x00, 0x01, 0x00],
        &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff],
        &[0x04, 0x82, 0xff],
        &[0x04, 0x81],
        &[0x04],
        &[],
    ] {
        assert_eq!(der::whole(bad, OCTET_STRING), None, "{bad:02x?}");
    }
}

#[test]
fn frames_give_back_what_they_hold_to_their_own_algorithm_only() {
    let (oid, other) = ([0x06, 0x01, 0x2a], [0x06, 0x01, 0x2b]);
    let pkcs8 = der::pkcs8_frame(&oid, b"key");
    assert_eq!(der::pkcs8(&pkcs8, &oid), Some(&b"key"[..]));
    assert_eq!(der::pkcs8(&pkcs8, &other), None);
    let spki = der::spki_frame(&oid, b"key");
    assert_eq!(der::spki(&spki, &oid), Some(&b"key"[..]));
    assert_eq!(der::spki(&spki, &other), None);
    assert_eq!(der::spki_bits(&spki), Some(&b"key"[..]));
    assert_eq!(der::spki_bits(&pkcs8), None);
    let version_1 = pkcs8.iter().copied().collect::<Vec<_>>();
    let at = version_1.windows(3).position(|w| w == [INTEGER, 1, 0]).unwrap() + 2;
    let mut version_1 = version_1;
    version_1[at] = 1;
    assert_eq!(der::pkcs8(&version_1, &oid), None);
}
