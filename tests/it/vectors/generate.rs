//! What tests/vectors holds, made from a seed, on the second implementation's primitives.
//!
//! A negative case says what is wrong with it. Many are forged with full knowledge of the key: what
//! they break is one rule of the format, and everything else about them is right.

use aws_lc_rs::aead;
use serde_json::{Value, json};

use super::second;

pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("blob-v1", blobs::file()),
        ("blob-v1-suite-02", device::file()),
        ("blob-v1-suite-03", external::file()),
        ("row-v1", rows::file()),
        ("token-v1", tokens::file()),
        ("key-material-id", material_ids()),
    ]
}

mod blobs;
mod device;
mod external;
mod rows;
mod tokens;

/// A stream of bytes: SHA-256(seed ‖ counter), block after block.
struct Seeded {
    seed: &'static str,
    counter: u32,
}

impl Seeded {
    fn new(seed: &'static str) -> Self {
        Self { seed, counter: 0 }
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut out = vec![];
        while out.len() < n {
            self.counter += 1;
            out.extend(second::sha256(format!("{}{}", self.seed, self.counter).as_bytes()));
        }
        out.truncate(n);
        out
    }
}

/// Everything that goes into a message.
#[derive(Clone)]
struct Message {
    key: Vec<u8>,
    header: Vec<u8>,
    label: String,
    aad: Vec<u8>,
    n: Vec<u8>,
    iv: Vec<u8>,
    plaintext: Vec<u8>,
}

/// The rule of the scheme that a forged message breaks.
#[derive(Clone, Copy, PartialEq)]
enum Broken {
    Nothing,
    /// Com is another value, and the tag is right for it: two keys, one message.
    Commitment,
    /// GCM's associated data ends before Com.
    TagWithoutCommitment,
    /// GCM's associated data is HDR ‖ Com.
    TagWithoutDigest,
    /// GCM's associated data is empty.
    TagOverNothing,
    /// HKDF without the salt.
    Salt,
    /// HKDF with the label's terminator missing.
    Terminator,
    /// Com ‖ K instead of K ‖ Com.
    Halves,
    /// AH over the header without N.
    DigestWithoutNonce,
    /// AH with no lengths before its parts.
    DigestWithoutLengths,
    /// The long-term key used for GCM directly.
    Derivation,
    /// The IV of all zeroes used, another one written.
    Iv,
    /// A tag cut to 12 bytes.
    ShortTag,
}

/// The breaks that can be made of any message, with what is wrong.
const BREAKS: [(Broken, &str); 12] = [
    (Broken::Commitment, "commitment is not the one derived, though the tag is valid over it"),
    (Broken::TagWithoutCommitment, "GCM associated data without the commitment"),
    (Broken::TagWithoutDigest, "GCM associated data without AH"),
    (Broken::TagOverNothing, "no GCM associated data"),
    (Broken::Salt, "key derived without N as the salt"),
    (Broken::Terminator, "label without its terminating zero"),
    (Broken::Halves, "commitment and key exchanged"),
    (Broken::DigestWithoutNonce, "AH over a header without N"),
    (Broken::DigestWithoutLengths, "AH without the lengths of its parts"),
    (Broken::Derivation, "encrypted under the long-term key itself"),
    (Broken::Iv, "encrypted with an IV other than the one written"),
    (Broken::ShortTag, "tag of 12 bytes"),
];

impl Message {
    fn seal(&self) -> Vec<u8> {
        self.forge(Broken::Nothing)
    }

    fn forge(&self, broken: Broken) -> Vec<u8> {
        let hdr = [&self.header[..], &self.n].concat();
        let digest = match broken {
            Broken::DigestWithoutNonce => second::aad_digest(&self.header, &self.aad),
            Broken::DigestWithoutLengths => {
                second::sha256(&[b"claviger/v1/aad\0", &hdr[..], &self.aad].concat())
            }
            _ => second::aad_digest(&hdr, &self.aad),
        };
        let end: &[u8] = if broken == Broken::Terminator { b"" } else { b"\0" };
        let info = [self.label.as_bytes(), end, &digest].concat();
        let salt = if broken == Broken::Salt { &[][..] } else { &self.n };
        let mut keys = second::hkdf_sha256(salt, &self.key, &info);
        match broken {
            Broken::Halves => keys.rotate_left(32),
            Broken::Commitment => keys[32] ^= 1,
            Broken::Derivation => keys[..32].copy_from_slice(&self.key),
            _ => {}
        }
        let (key, commitment) = keys.split_at(32);
        let associated = match broken {
            Broken::TagWithoutCommitment => [&hdr[..], &digest].concat(),
            Broken::TagWithoutDigest => [&hdr[..], commitment].concat(),
            Broken::TagOverNothing => vec![],
            _ => [&hdr[..], &digest, commitment].concat(),
        };
        let iv = if broken == Broken::Iv { &[0; 12][..] } else { &self.iv };
        let mut body = self.plaintext.clone();
        let nonce = aead::Nonce::try_assume_unique_for_key(iv).unwrap();
        let associated = aead::Aad::from(associated);
        second::gcm(key).seal_in_place_append_tag(nonce, associated, &mut body).unwrap();
        if broken == Broken::ShortTag {
            body.truncate(body.len() - 4);
        }
        [&hdr[..], commitment, &self.iv, &body].concat()
    }

    fn damaged(&self, fields: &[(&str, usize)]) -> Vec<(String, Vec<u8>)> {
        damaged(&self.seal(), fields)
    }
}

/// The damage that needs no key: `(what, message)`. `fields` names where each field begins.
fn damaged(sealed: &[u8], fields: &[(&str, usize)]) -> Vec<(String, Vec<u8>)> {
    let mut out = vec![];
    for (name, at) in fields {
        for (bit, which) in [(0x01, "lowest"), (0x80, "highest")] {
            let mut changed = sealed.to_vec();
            changed[*at] ^= bit;
            out.push((format!("{which} bit of the first byte flipped: {name}"), changed));
        }
        out.push((format!("cut before: {name}"), sealed[..*at].to_vec()));
    }
    let last = sealed.len() - 1;
    out.push(("last byte missing".to_owned(), sealed[..last].to_vec()));
    out.push(("first byte missing".to_owned(), sealed[1..].to_vec()));
    out.push(("one byte more".to_owned(), [sealed, &[0]].concat()));
    out.push(("the message twice".to_owned(), [sealed, sealed].concat()));
    let mut changed = sealed.to_vec();
    changed[last] ^= 1;
    out.push(("lowest bit of the last byte flipped".to_owned(), changed));
    out
}

fn file(what: &str, positive: Vec<Value>, negative: Vec<Value>) -> Value {
    json!({
        "what": what,
        "encoding": "hex, but for names, ids, labels, tables and the text of encryption contexts",
        "positive": positive,
        "negative": negative,
    })
}

/// `base` with other members set.
fn with(base: &Value, members: Value) -> Value {
    let (mut case, Value::Object(members)) = (base.clone(), members) else { unreachable!() };
    case.as_object_mut().unwrap().extend(members);
    case
}

fn material_ids() -> Value {
    let mut random = Seeded::new("claviger key-material-id");
    let uuid = |b: &[u8]| {
        let h = hex::encode(b);
        format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
    };
    let case = |name: &str, material: &[u8], key_id: &str, id: &[u8]| {
        json!({ "name": name, "material": hex::encode(material), "key_id": key_id,
                "key_material_id": hex::encode(id) })
    };
    let (mut positive, mut negative) = (vec![], vec![]);
    for n in 0..12 {
        let (material, bytes) = (random.bytes(32), random.bytes(16));
        let key_id = if n % 3 == 2 { format!("mrk-{}", hex::encode(&bytes)) } else { uuid(&bytes) };
        let id = second::key_material_id(&material, &key_id);
        positive.push(case(&format!("material {n}"), &material, &key_id, &id));
    }
    let zero = (vec![0; 32], "00000000-0000-0000-0000-000000000000");
    positive.push(case("all zero", &zero.0, zero.1, &second::key_material_id(&zero.0, zero.1)));

    let (material, bytes) = (random.bytes(32), random.bytes(16));
    let (one, other) = (uuid(&bytes), uuid(&random.bytes(16)));
    let label = b"claviger/v1/key-material-id\0";
    let right = second::key_material_id(&material, &one);
    let of = |message: &[u8]| second::hmac_sha256(&material, message);
    let mut wrong = |why: &str, id: &[u8]| negative.push(case(why, &material, &one, id));
    wrong("of another key", &second::key_material_id(&material, &other));
    wrong("of the multi-Region key with the same bytes", &{
        second::key_material_id(&material, &format!("mrk-{}", hex::encode(&bytes)))
    });
    wrong("of other material", &second::key_material_id(&random.bytes(32), &one));
    wrong("over the id's bytes, not its text", &of(&[&label[..], &bytes].concat()));
    wrong("over the id in upper case", &of(&[&label[..], one.to_uppercase().as_bytes()].concat()));
    wrong("over the id without its hyphens", &{
        of(&[&label[..], hex::encode(&bytes).as_bytes()].concat())
    });
    wrong("label without its terminating zero", &{
        of(&[&label[..label.len() - 1], one.as_bytes()].concat())
    });
    wrong("no label", &of(one.as_bytes()));
    wrong("no key id", &of(label));
    wrong("key id before the label", &of(&[one.as_bytes(), &label[..]].concat()));
    wrong("key id length-prefixed", &of(&[&label[..], &second::list(&[one.as_bytes()])].concat()));
    wrong("a plain hash", &second::sha256(&[&label[..], &material, one.as_bytes()].concat()));
    wrong("cut to the 16 bytes that blobs carry", &right[..16]);
    wrong("a zero byte more", &[&right[..], &[0]].concat());
    wrong("one bit flipped", &{
        let mut id = right.clone();
        id[31] ^= 1;
        id
    });
    file("KeyMaterialId; a negative case states a wrong one", positive, negative)
}
