//! The formats once more, from docs/ciphertext-format.md and on aws-lc-rs alone.
//!
//! Nothing here may call the product's code: two implementations that share a line share its mistakes.

use aws_lc_rs::{aead, cipher, digest, hkdf, hmac};

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

/// AES-256-GCM under an IV of any length (SP 800-38D, 7.1), which aws-lc-rs has for 12 bytes only:
/// its AES in counter mode, and GHASH bit by bit. Ciphertext ‖ tag.
pub fn gcm_seal(key: &[u8], iv: &[u8], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let j0 = first_counter(key, iv);
    let mut out = ctr(key, j0.wrapping_add(1), plaintext);
    let tag = gcm_tag(key, j0, aad, &out);
    out.extend(tag);
    out
}

/// The plaintext, if the tag of 16 bytes is right.
pub fn gcm_open(key: &[u8], iv: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (ciphertext, tag) = sealed.split_at_checked(sealed.len().checked_sub(16)?)?;
    let j0 = first_counter(key, iv);
    (gcm_tag(key, j0, aad, ciphertext) == tag).then(|| ctr(key, j0.wrapping_add(1), ciphertext))
}

/// The whole block counts, where GCM counts in its last 32 bits: no message here carries beyond them.
fn ctr(key: &[u8], counter: u128, input: &[u8]) -> Vec<u8> {
    assert!((counter as u32).checked_add(1 << 16).is_some());
    let key = cipher::UnboundCipherKey::new(&cipher::AES_256, key).unwrap();
    let key = cipher::EncryptingKey::ctr(key).unwrap();
    let mut out = input.to_vec();
    let iv = counter.to_be_bytes().into();
    key.less_safe_encrypt(&mut out, cipher::EncryptionContext::Iv128(iv)).unwrap();
    out
}

fn first_counter(key: &[u8], iv: &[u8]) -> u128 {
    match <[u8; 12]>::try_from(iv) {
        Ok(iv) => {
            let mut block = [0; 16];
            block[..12].copy_from_slice(&iv);
            u128::from_be_bytes(block) | 1
        }
        Err(_) => ghash(key, &[iv], u128::try_from(iv.len()).unwrap() * 8),
    }
}

fn gcm_tag(key: &[u8], j0: u128, aad: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let bits = |bytes: &[u8]| u128::try_from(bytes.len()).unwrap() * 8;
    let hash = ghash(key, &[aad, ciphertext], bits(aad) << 64 | bits(ciphertext));
    ctr(key, j0, &hash.to_be_bytes())
}

/// Each part padded with zeros to whole blocks, then the lengths.
fn ghash(key: &[u8], parts: &[&[u8]], lengths: u128) -> u128 {
    let h = u128::from_be_bytes(ctr(key, 0, &[0; 16]).try_into().unwrap());
    let blocks = parts.iter().flat_map(|part| part.chunks(16)).map(|chunk| {
        let mut block = [0; 16];
        block[..chunk.len()].copy_from_slice(chunk);
        u128::from_be_bytes(block)
    });
    blocks.chain([lengths]).fold(0, |sum, block| multiply(sum ^ block, h))
}

/// In GF(2^128) (SP 800-38D, 6.3).
fn multiply(x: u128, mut v: u128) -> u128 {
    let mut z = 0;
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            z ^= v;
        }
        v = if v & 1 == 1 { v >> 1 ^ 0xe1 << 120 } else { v >> 1 };
    }
    z
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

/// Suite 02.
pub fn open_device_blob(key: &[u8], aad: &[u8], blob: &[u8]) -> Option<Vec<u8>> {
    let mut cursor = Cursor(blob);
    let header = cursor.take(40)?;
    if blob.len() > 6144 || header[..7] != [1, 2, 2, 0, 0x43, 1, 2] || header[7] > 1 {
        return None;
    }
    let v = cursor.take(1)?;
    if !(12..=16).contains(&v[0]) {
        return None;
    }
    let iv = cursor.take(usize::from(v[0]))?;
    gcm_open(key, iv, &[v, header, &aad_digest(header, aad)].concat(), cursor.0)
}

/// What the proxy of suite 03's cases binds.
pub fn proxy_aad(aad: &[u8], metadata: &[u8]) -> Vec<u8> {
    if metadata.is_empty() {
        return aad.to_vec();
    }
    let lengths = ((aad.len() as u16).to_be_bytes(), [metadata.len() as u8]);
    [&lengths.0, aad, &lengths.1, metadata].concat()
}

/// Suite 03, with the proxy's key too.
pub fn open_external_blob(
    material: &[u8],
    proxy_key: &[u8],
    aad: &[u8],
    blob: &[u8],
) -> Option<Vec<u8>> {
    let mut cursor = Cursor(blob);
    let hdr = cursor.take(56)?;
    if blob.len() > 6144 || hdr[..7] != [1, 2, 2, 0, 0x43, 1, 3] || hdr[7] > 1 {
        return None;
    }
    let metadata_len = cursor.take(1)?[0];
    let metadata = cursor.take(usize::from(metadata_len))?;
    let iv_len = cursor.take(1)?[0];
    let (iv, tag) = (cursor.take(usize::from(iv_len))?, cursor.take(16)?);
    if metadata_len > 20 || ![12, 16].contains(&iv_len) {
        return None;
    }
    let associated = proxy_aad(&[hdr, &aad_digest(hdr, aad)].concat(), metadata);
    let sealed = gcm_open(proxy_key, iv, &associated, &[cursor.0, tag].concat())?;
    open(material, 56, "claviger/v1/xks-enc", aad, &[hdr, &sealed].concat())
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
