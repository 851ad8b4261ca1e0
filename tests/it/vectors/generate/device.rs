//! Blobs of suite 02: a key that lives in a device. Here its bytes are known, which they never are else.

use serde_json::{Value, json};

use super::blobs::{Context, context, key_id, wrong_contexts};
use super::{Seeded, second, with};

/// The rule that a forged blob breaks.
#[derive(Clone, Copy, PartialEq)]
enum Broken {
    Nothing,
    /// GCM's associated data without the length of the IV before it.
    NoLength,
    /// … HDR alone.
    NoDigest,
    /// … AH alone.
    NoHeader,
    /// … empty.
    Nowhere,
    /// AH with no lengths before its parts.
    DigestWithoutLengths,
    /// AH over the context alone.
    DigestWithoutHeader,
    /// An IV of zeroes used, another one written.
    Iv,
    /// A tag of 12 bytes.
    ShortTag,
}

const BREAKS: [(Broken, &str); 8] = [
    (Broken::NoLength, "GCM associated data without v"),
    (Broken::NoDigest, "GCM associated data without AH"),
    (Broken::NoHeader, "GCM associated data without HDR"),
    (Broken::Nowhere, "no GCM associated data"),
    (Broken::DigestWithoutLengths, "AH without the lengths of its parts"),
    (Broken::DigestWithoutHeader, "AH over the context alone"),
    (Broken::Iv, "encrypted with an IV other than the one written"),
    (Broken::ShortTag, "tag of 12 bytes"),
];

#[derive(Clone)]
struct Blob {
    key: Vec<u8>,
    key_id: String,
    header: Vec<u8>,
    context: Context,
    aad: Vec<u8>,
    iv: Vec<u8>,
    plaintext: Vec<u8>,
}

impl Blob {
    fn new(random: &mut Seeded, context: Context, iv: usize, plaintext: usize) -> Self {
        let (key, id) = (random.bytes(32), random.bytes(16));
        let header = [&[1, 2, 2, 0, 0x43, 1, 2, 0], &id[..], &random.bytes(16)].concat();
        let aad = second::blob_aad(&context);
        let (iv, plaintext) = (random.bytes(iv), random.bytes(plaintext));
        Self { key, key_id: key_id(&id, false), header, context, aad, iv, plaintext }
    }

    fn seal(&self) -> Vec<u8> {
        self.forge(Broken::Nothing)
    }

    fn forge(&self, broken: Broken) -> Vec<u8> {
        let digest = match broken {
            Broken::DigestWithoutLengths => {
                second::sha256(&[b"claviger/v1/aad\0", &self.header[..], &self.aad].concat())
            }
            Broken::DigestWithoutHeader => second::aad_digest(&[], &self.aad),
            _ => second::aad_digest(&self.header, &self.aad),
        };
        let v = [u8::try_from(self.iv.len()).unwrap()];
        let associated = match broken {
            Broken::NoLength => [&self.header[..], &digest].concat(),
            Broken::NoDigest => [&v[..], &self.header].concat(),
            Broken::NoHeader => [&v[..], &digest].concat(),
            Broken::Nowhere => vec![],
            _ => [&v[..], &self.header, &digest].concat(),
        };
        let zeros = vec![0; self.iv.len()];
        let iv = if broken == Broken::Iv { &zeros } else { &self.iv };
        let mut body = second::gcm_seal(&self.key, iv, &associated, &self.plaintext);
        if broken == Broken::ShortTag {
            body.truncate(body.len() - 4);
        }
        [&self.header, &v[..], &self.iv, &body].concat()
    }

    fn case(&self, name: &str) -> Value {
        json!({
            "name": name,
            "key": hex::encode(&self.key),
            "key_id": self.key_id,
            "material_id": hex::encode(&self.header[24..]),
            "context": self.context,
            "iv": hex::encode(&self.iv),
            "plaintext": hex::encode(&self.plaintext),
            "blob": hex::encode(self.seal()),
        })
    }
}

pub fn file() -> Value {
    let mut random = Seeded::new("claviger blob-v1-suite-02");
    let some = context(&[("purpose", "test"), ("tenant", "42")]);
    let good: &[(&str, Context, usize, usize)] = &[
        ("no context, a data key", context(&[]), 12, 32),
        ("no context, no plaintext", context(&[]), 12, 0),
        ("one byte", some.clone(), 12, 1),
        ("one block", some.clone(), 12, 16),
        ("one block and a byte", some.clone(), 12, 17),
        ("4096 bytes, the most Encrypt takes", some.clone(), 12, 4096),
        ("6075 bytes, the most a blob holds", context(&[]), 12, 6075),
        ("an IV of 16 bytes, which the device made", some.clone(), 16, 32),
        ("an IV of 16 bytes, no plaintext", context(&[]), 16, 0),
        ("an IV of 13 bytes", some.clone(), 13, 100),
        ("empty key and value", context(&[("", "")]), 12, 32),
        ("pairs that run together the same (1)", context(&[("ab", "c")]), 12, 32),
        ("pairs that run together the same (2)", context(&[("a", "bc")]), 12, 32),
        ("keys sort by UTF-8", context(&[("\u{1f511}", "b"), ("\u{ff5e}", "a")]), 12, 32),
    ];
    let mut positive = vec![];
    for (name, context, iv, plaintext) in good {
        positive.push(Blob::new(&mut random, context.clone(), *iv, *plaintext).case(name));
    }
    let blob = Blob::new(&mut random, some.clone(), 12, 32);
    let other = Blob::new(&mut random, some, 12, 32);
    positive.push(blob.case("the blob that the negative cases are made of"));
    let what = "ciphertext blobs, version 1, suite 02: keys that live in a device";
    super::file(what, positive, negative(&blob, &other, &mut random))
}

fn negative(blob: &Blob, other: &Blob, random: &mut Seeded) -> Vec<Value> {
    let sealed = blob.seal();
    let base = json!({ "key": hex::encode(&blob.key), "context": blob.context });
    let mut out = vec![];
    let mut wrong = |why: &str, blob: &[u8], members: Value| {
        let case = with(&base, json!({ "name": why, "blob": hex::encode(blob) }));
        out.push(with(&case, members));
    };
    let fields = [
        ("prefix", 0),
        ("product", 4),
        ("version", 5),
        ("suite", 6),
        ("flags", 7),
        ("key id", 8),
        ("material id", 24),
        ("length of the IV", 40),
        ("IV", 41),
        ("ciphertext", 53),
        ("tag", sealed.len() - 16),
    ];
    for (why, damaged) in super::damaged(&sealed, &fields) {
        wrong(&why, &damaged, json!({}));
    }
    for (broken, why) in BREAKS {
        wrong(why, &blob.forge(broken), json!({}));
    }
    for (at, value, why) in [
        (0, 2, "another first byte, sealed in"),
        (4, b'X', "another product, sealed in"),
        (5, 2, "version 2, sealed in"),
        (6, 1, "suite 1, sealed in"),
        (6, 3, "suite 3, sealed in"),
        (7, 2, "flag bit 1, sealed in"),
    ] {
        let mut forged = blob.clone();
        forged.header[at] = value;
        wrong(why, &forged.seal(), json!({}));
    }
    for len in [8, 11, 17, 32] {
        let forged = Blob { iv: random.bytes(len), ..blob.clone() };
        wrong(&format!("an IV of {len} bytes, sealed in"), &forged.seal(), json!({}));
    }
    let long = Blob { plaintext: random.bytes(6076), ..blob.clone() };
    wrong("6145 bytes, sealed as it should be", &long.seal(), json!({}));
    wrong_contexts(&blob.context, |why, context| {
        wrong(why, &sealed, json!({ "context": context }));
    });
    for (why, aad) in super::blobs::wrong_encodings(&blob.context) {
        wrong(why, &Blob { aad, ..blob.clone() }.seal(), json!({}));
    }
    // Another key of the same device, under the name of this one and the other way round.
    let others = Blob { key: blob.key.clone(), ..other.clone() }.seal();
    wrong(
        "header of one, message of the other",
        &[&sealed[..40], &others[40..]].concat(),
        json!({}),
    );
    let renamed = Blob { header: blob.header.clone(), ..other.clone() };
    wrong("made by another key under this key's header", &renamed.seal(), json!({}));
    wrong("another key", &sealed, json!({ "key": hex::encode(&other.key) }));
    wrong("empty", &[], json!({}));
    wrong("68 bytes, one short of the shortest", &sealed[..68], json!({}));
    out
}
