//! The formats once more, from docs/ciphertext-format.md and on aws-lc-rs alone.
//!
//! Nothing here may call the product's code: two implementations that share a line share its mistakes.

use aws_lc_rs::{aead, digest, hkdf, hmac};

pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }
}

/// A four-byte length and the bytes.
pub fn item(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}

pub fn list(items: &[&[u8]]) -> Vec<u8> {
    let mut out = (items.len() as u32).to_be_bytes().to_vec();
    items.iter().for_each(|bytes| item(&mut out, bytes));
    out
}

pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

pub fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

pub fn hkdf_sha256(salt: &[u8], ikm: &[u8], info: &[u8]) -> [u8; 64] {
    struct Two;
    impl hkdf::KeyType for Two {
        fn len(&self) -> usize {
            64
        }
    }
    let mut out = [0; 64];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(ikm);
    prk.expand(&[info], Two).unwrap().fill(&mut out).unwrap();
    out
}

pub fn gcm(key: &[u8]) -> aead::LessSafeKey {
    aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, key).unwrap())
}

/// AH for a header that includes N.
pub fn aad_digest(hdr: &[u8], aad: &[u8]) -> Vec<u8> {
    let mut input = b"claviger/v1/aad\0".to_vec();
    item(&mut input, hdr);
    item(&mut input, aad);
    sha256(&input)
}

fn open(key: &[u8], header: usize, label: &str, aad: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let hdr = Cursor(message).take(header + 32)?;
    let mut cursor = Cursor(message.get(header..)?);
    let (n, commitment, iv) = (cursor.take(32)?, cursor.take(32)?, cursor.take(12)?);
    let digest = aad_digest(hdr, aad);
    let mut info = label.as_bytes().to_vec();
    info.push(0);
    info.extend(&digest);
    let keys = hkdf_sha256(n, key, &info);
    if &keys[32..] != commitment {
        return None;
    }
    let associated = aead::Aad::from([hdr, &digest, commitment].concat());
    let nonce = aead::Nonce::try_assume_unique_for_key(iv).ok()?;
    let mut body = cursor.0.to_vec();
    let plaintext = gcm(&keys[..32]).open_in_place(nonce, associated, &mut body).ok()?;
    Some(plaintext.to_vec())
}

pub fn blob_aad<'a>(context: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<u8> {
    let mut pairs: Vec<_> =
        context.into_iter().map(|(k, v)| (k.as_bytes(), v.as_bytes())).collect();
    pairs.sort();
    let mut out = (pairs.len() as u32).to_be_bytes().to_vec();
    for (key, value) in pairs {
        item(&mut out, key);
        item(&mut out, value);
    }
    out
}

pub fn open_blob(material: &[u8], aad: &[u8], blob: &[u8]) -> Option<Vec<u8>> {
    let fixed = blob.len() <= 6144 && blob.starts_with(&[1, 2, 2, 0, 0x43, 1, 1]);
    if !fixed || *blob.get(7)? > 1 {
        return None;
    }
    open(material, 40, "claviger/v1/enc", aad, blob)
}

pub fn row_aad(cluster: &[u8], table: &str, record_key: &[u8], revision: u64) -> Vec<u8> {
    list(&[cluster, table.as_bytes(), record_key, &revision.to_be_bytes()])
}

pub fn open_row(key: &[u8], table: &str, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut cursor = Cursor(sealed);
    if cursor.take(6)? != b"CLVR\x01\x01" {
        return None;
    }
    let name = usize::from(cursor.take(1)?[0]);
    if cursor.take(name)? != table.as_bytes() {
        return None;
    }
    open(key, 7 + name + 4, &format!("claviger/v1/row/{table}"), aad, sealed)
}

pub fn open_token(key: &[u8], label: &str, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    if !sealed.starts_with(b"CLVT\x01\x01") {
        return None;
    }
    open(key, 10, label, aad, sealed)
}

pub fn key_material_id(material: &[u8], key_id: &str) -> Vec<u8> {
    hmac_sha256(material, format!("claviger/v1/key-material-id\0{key_id}").as_bytes())
}
