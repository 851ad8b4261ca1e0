//! Ciphertext blobs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{BREAKS, Broken, Message, Seeded, second, with};

pub type Context = BTreeMap<String, String>;

pub fn context(pairs: &[(&str, &str)]) -> Context {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// As the API shows it.
pub fn key_id(bytes: &[u8], multi_region: bool) -> String {
    let id = hex::encode(bytes);
    if multi_region {
        format!("mrk-{id}")
    } else {
        format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
    }
}

struct Blob {
    message: Message,
    key_id: String,
    context: Context,
}

impl Blob {
    fn new(random: &mut Seeded, multi_region: bool, context: Context, plaintext: Vec<u8>) -> Self {
        let (material, id) = (random.bytes(32), random.bytes(16));
        let key_id = key_id(&id, multi_region);
        let mut header = vec![1, 2, 2, 0, 0x43, 1, 1, u8::from(multi_region)];
        header.extend(id);
        header.extend(&second::key_material_id(&material, &key_id)[..16]);
        let message = Message {
            key: material,
            header,
            label: "claviger/v1/enc".to_owned(),
            aad: second::blob_aad(&context),
            n: random.bytes(32),
            iv: random.bytes(12),
            plaintext,
        };
        Self { message, key_id, context }
    }

    fn case(&self, name: &str) -> Value {
        let m = &self.message;
        json!({
            "name": name,
            "material": hex::encode(&m.key),
            "key_id": self.key_id,
            "material_id": hex::encode(&m.header[24..]),
            "context": self.context,
            "n": hex::encode(&m.n),
            "iv": hex::encode(&m.iv),
            "plaintext": hex::encode(&m.plaintext),
            "blob": hex::encode(m.seal()),
        })
    }
}

pub fn file() -> Value {
    let mut random = Seeded::new("claviger blob-v1");
    let some = context(&[("purpose", "test"), ("tenant", "42")]);
    let good: &[(&str, bool, Context, usize)] = &[
        ("no context, a data key", false, context(&[]), 32),
        ("no context, no plaintext", false, context(&[]), 0),
        ("one byte", false, some.clone(), 1),
        ("one block", false, some.clone(), 16),
        ("one block and a byte", false, some.clone(), 17),
        ("a multi-Region key", true, some.clone(), 32),
        ("4096 bytes, the most Encrypt takes", false, some.clone(), 4096),
        ("6012 bytes, the most a blob holds", false, context(&[]), 6012),
        ("empty key and value", false, context(&[("", "")]), 32),
        ("pairs that run together the same (1)", false, context(&[("ab", "c")]), 32),
        ("pairs that run together the same (2)", false, context(&[("a", "bc")]), 32),
        ("keys differ in case", false, context(&[("KEY", "1"), ("key", "2"), ("Key", "3")]), 32),
        (
            "keys sort by UTF-8, not UTF-16",
            false,
            context(&[("\u{1f511}", "b"), ("\u{ff5e}", "a")]),
            32,
        ),
        ("composed and decomposed", false, context(&[("\u{e9}", "1"), ("e\u{301}", "2")]), 32),
        ("spaces and zero bytes stay", false, context(&[(" k ", " v\0"), ("\0", "\n")]), 32),
        (
            "a secret's version",
            true,
            context(&[
                ("SecretARN", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db-a1B2c3"),
                ("SecretVersionId", "3f0c8a3e-0000-4000-8000-2f6b6c0d9e11"),
            ]),
            32,
        ),
    ];
    let mut positive = vec![];
    for (name, multi_region, context, size) in good {
        let plaintext = random.bytes(*size);
        positive.push(Blob::new(&mut random, *multi_region, context.clone(), plaintext).case(name));
    }
    let plaintext = random.bytes(32);
    let blob = Blob::new(&mut random, false, some, plaintext);
    let other = Blob::new(&mut random, false, blob.context.clone(), random_plaintext());
    positive.push(blob.case("the blob that the negative cases are made of"));
    super::file("ciphertext blobs, version 1", positive, negative(&blob, &other, &mut random))
}

fn random_plaintext() -> Vec<u8> {
    Seeded::new("claviger blob-v1, another plaintext").bytes(32)
}

fn negative(blob: &Blob, other: &Blob, random: &mut Seeded) -> Vec<Value> {
    let m = &blob.message;
    let sealed = m.seal();
    let base = json!({ "material": hex::encode(&m.key), "context": blob.context });
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
        ("N", 40),
        ("commitment", 72),
        ("IV", 104),
        ("ciphertext", 116),
        ("tag", sealed.len() - 16),
    ];
    for (why, damaged) in m.damaged(&fields) {
        wrong(&why, &damaged, json!({}));
    }
    for (broken, why) in BREAKS {
        wrong(why, &m.forge(broken), json!({}));
    }
    // Sealed as the rules say, under a header that no blob may have.
    for (at, value, why) in [
        (0, 2, "another first byte, sealed in"),
        (4, b'X', "another product, sealed in"),
        (5, 2, "version 2, sealed in"),
        (6, 2, "suite 2, sealed in"),
        (7, 2, "flag bit 1, sealed in"),
        (7, 0x81, "flag bit 7, sealed in"),
    ] {
        let mut message = m.clone();
        message.header[at] = value;
        wrong(why, &message.seal(), json!({}));
    }
    let long = Message { plaintext: random.bytes(6013), ..m.clone() };
    wrong("6145 bytes, sealed as it should be", &long.seal(), json!({}));
    for label in ["claviger/v1/aad", "claviger/v1/row/kms-key", "claviger/v1/page-token", ""] {
        let message = Message { label: label.to_owned(), ..m.clone() };
        wrong(&format!("label \"{label}\""), &message.seal(), json!({}));
    }
    contexts(blob, &mut wrong);
    let halves = [
        (40, "header of one, message of the other"),
        (72, "N of one, rest of the other"),
        (104, "commitment of one, IV and ciphertext of the other"),
        (116, "ciphertext of another"),
    ];
    let others = Message { key: m.key.clone(), ..other.message.clone() };
    for (at, why) in halves {
        wrong(why, &[&sealed[..at], &others.seal()[at..]].concat(), json!({}));
    }
    let mut close = m.key.clone();
    close[31] ^= 1;
    wrong("material with one bit changed", &sealed, json!({ "material": hex::encode(close) }));
    wrong(
        "another key's material",
        &sealed,
        json!({ "material": hex::encode(&other.message.key) }),
    );
    wrong("empty", &[], json!({}));
    wrong("131 bytes, one short of the shortest", &sealed[..131], json!({}));
    out
}

fn contexts(blob: &Blob, wrong: &mut impl FnMut(&str, &[u8], Value)) {
    let sealed = blob.message.seal();
    wrong_contexts(&blob.context, |why, context| {
        wrong(why, &sealed, json!({ "context": context }));
    });
    for (why, aad) in wrong_encodings(&blob.context) {
        wrong(why, &Message { aad, ..blob.message.clone() }.forge(Broken::Nothing), json!({}));
    }
}

/// Contexts that are not the one of the negative cases, purpose: test and tenant: 42.
pub fn wrong_contexts(right: &Context, mut wrong: impl FnMut(&str, Context)) {
    for (why, pairs) in [
        ("context: none", &[][..]),
        ("context: a pair missing", &[("purpose", "test")][..]),
        ("context: a pair more", &[("purpose", "test"), ("tenant", "42"), ("x", "")][..]),
        ("context: another value", &[("purpose", "test"), ("tenant", "43")][..]),
        ("context: a key in other case", &[("Purpose", "test"), ("tenant", "42")][..]),
        ("context: a value in other case", &[("purpose", "TEST"), ("tenant", "42")][..]),
        ("context: a space more", &[("purpose", "test "), ("tenant", "42")][..]),
        ("context: values exchanged", &[("purpose", "42"), ("tenant", "test")][..]),
        ("context: keys and values exchanged", &[("test", "purpose"), ("42", "tenant")][..]),
        ("context: borders moved", &[("purposet", "est"), ("tenant", "42")][..]),
    ] {
        let context = context(pairs);
        assert_ne!(context, *right);
        wrong(why, context);
    }
}

/// The same context, written out in ways that are not the format's.
pub fn wrong_encodings(context: &Context) -> [(&'static str, Vec<u8>); 5] {
    let mut unsorted = 2u32.to_be_bytes().to_vec();
    for text in ["tenant", "42", "purpose", "test"] {
        second::item(&mut unsorted, text.as_bytes());
    }
    [
        ("context sealed unsorted", unsorted),
        ("context sealed without its count", second::blob_aad(context)[4..].to_vec()),
        ("context sealed as JSON", serde_json::to_vec(context).unwrap()),
        ("context sealed without lengths", b"purposetesttenant42".to_vec()),
        ("context not sealed in", vec![]),
    ]
}
