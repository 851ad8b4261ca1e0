//! Blobs of suite 03: a key in an external key store, whose proxy encrypts what the material sealed.
//!
//! The proxy of these cases does AES-256-GCM as the protocol has it: with metadata, what it binds is
//! `u16be(len aad) ‖ aad ‖ u8(len metadata) ‖ metadata`, else `aad` alone.

use serde_json::{Value, json};

use super::blobs::{Context, context, key_id, wrong_contexts};
use super::{Message, Seeded, second, with};

/// The rule that a forged blob breaks.
#[derive(Clone, Copy, PartialEq)]
enum Broken {
    Nothing,
    /// What the proxy binds is HDR alone.
    NoDigest,
    /// … AH alone.
    NoHeader,
    /// … nothing.
    Nowhere,
    /// AH over the header without R.
    DigestWithoutRandom,
    /// AH with no lengths before its parts.
    DigestWithoutLengths,
    /// Inside, the header ends before R.
    InnerWithoutRandom,
    /// Inside, nothing of the context.
    InnerWithoutContext,
    /// Inside, the label of suite 01.
    InnerLabel,
    /// The proxy encrypted the plaintext itself.
    NoInner,
}

const BREAKS: [(Broken, &str); 9] = [
    (Broken::NoDigest, "the proxy's associated data without AH"),
    (Broken::NoHeader, "the proxy's associated data without HDR"),
    (Broken::Nowhere, "the proxy binds nothing"),
    (Broken::DigestWithoutRandom, "AH over a header without R"),
    (Broken::DigestWithoutLengths, "AH without the lengths of its parts"),
    (Broken::InnerWithoutRandom, "sealed under a header without R"),
    (Broken::InnerWithoutContext, "sealed without the context"),
    (Broken::InnerLabel, "sealed under the label of suite 01"),
    (Broken::NoInner, "only the proxy encrypted"),
];

#[derive(Clone)]
struct Blob {
    inner: Message,
    key_id: String,
    context: Context,
    r: Vec<u8>,
    proxy_key: Vec<u8>,
    metadata: Vec<u8>,
    proxy_iv: Vec<u8>,
}

impl Blob {
    fn new(
        random: &mut Seeded,
        context: Context,
        (m, v): (usize, usize),
        plaintext: usize,
    ) -> Self {
        let (material, id, r) = (random.bytes(32), random.bytes(16), random.bytes(16));
        let key_id = key_id(&id, false);
        let material_id = second::key_material_id(&material, &key_id);
        let header = [&[1, 2, 2, 0, 0x43, 1, 3, 0], &id[..], &material_id[..16], &r].concat();
        let inner = Message {
            key: material,
            header,
            label: "claviger/v1/xks-enc".to_owned(),
            aad: second::blob_aad(&context),
            n: random.bytes(32),
            iv: random.bytes(12),
            plaintext: random.bytes(plaintext),
        };
        let (proxy_key, metadata, proxy_iv) = (random.bytes(32), random.bytes(m), random.bytes(v));
        Self { inner, key_id, context, r, proxy_key, metadata, proxy_iv }
    }

    fn seal(&self) -> Vec<u8> {
        self.forge(Broken::Nothing)
    }

    fn forge(&self, broken: Broken) -> Vec<u8> {
        let (hdr, m) = (&self.inner.header, &self.inner);
        let mut inner = m.clone();
        match broken {
            Broken::InnerWithoutRandom => inner.header.truncate(40),
            Broken::InnerWithoutContext => inner.aad.clear(),
            Broken::InnerLabel => inner.label = "claviger/v1/enc".to_owned(),
            _ => {}
        }
        let sealed = match broken {
            Broken::NoInner => m.plaintext.clone(),
            _ => inner.seal()[inner.header.len()..].to_vec(),
        };
        let digest = match broken {
            Broken::DigestWithoutRandom => second::aad_digest(&hdr[..40], &m.aad),
            Broken::DigestWithoutLengths => {
                second::sha256(&[b"claviger/v1/aad\0", &hdr[..], &m.aad].concat())
            }
            _ => second::aad_digest(hdr, &m.aad),
        };
        let associated = match broken {
            Broken::NoDigest => hdr.clone(),
            Broken::NoHeader => digest,
            Broken::Nowhere => vec![],
            _ => [&hdr[..], &digest].concat(),
        };
        self.proxied(&sealed, &associated)
    }

    /// The blob of what the proxy makes of this.
    fn proxied(&self, sealed: &[u8], associated: &[u8]) -> Vec<u8> {
        let bound = second::proxy_aad(associated, &self.metadata);
        let body = second::gcm_seal(&self.proxy_key, &self.proxy_iv, &bound, sealed);
        let (ciphertext, tag) = body.split_at(body.len() - 16);
        let len = |bytes: &[u8]| [u8::try_from(bytes.len()).unwrap()];
        [
            &self.inner.header[..],
            &len(&self.metadata),
            &self.metadata,
            &len(&self.proxy_iv),
            &self.proxy_iv,
            tag,
            ciphertext,
        ]
        .concat()
    }

    fn case(&self, name: &str) -> Value {
        let m = &self.inner;
        json!({
            "name": name,
            "material": hex::encode(&m.key),
            "key_id": self.key_id,
            "material_id": hex::encode(&m.header[24..40]),
            "context": self.context,
            "r": hex::encode(&self.r),
            "n": hex::encode(&m.n),
            "iv": hex::encode(&m.iv),
            "proxy_key": hex::encode(&self.proxy_key),
            "proxy_metadata": hex::encode(&self.metadata),
            "proxy_iv": hex::encode(&self.proxy_iv),
            "plaintext": hex::encode(&m.plaintext),
            "blob": hex::encode(self.seal()),
        })
    }
}

pub fn file() -> Value {
    let mut random = Seeded::new("claviger blob-v1-suite-03");
    let some = context(&[("purpose", "test"), ("tenant", "42")]);
    let good: &[(&str, Context, (usize, usize), usize)] = &[
        ("no context, a data key", context(&[]), (0, 12), 32),
        ("no context, no plaintext", context(&[]), (0, 12), 0),
        ("one byte", some.clone(), (0, 12), 1),
        ("one block", some.clone(), (0, 12), 16),
        ("4096 bytes, the most Encrypt takes", some.clone(), (0, 12), 4096),
        ("5966 bytes, the most a blob holds", context(&[]), (0, 12), 5966),
        ("an IV of 16 bytes", some.clone(), (0, 16), 32),
        ("a byte of metadata", some.clone(), (1, 12), 32),
        ("20 bytes of metadata", some.clone(), (20, 12), 32),
        ("20 bytes of metadata and an IV of 16 bytes", some.clone(), (20, 16), 32),
        ("empty key and value", context(&[("", "")]), (0, 12), 32),
        ("keys sort by UTF-8", context(&[("\u{1f511}", "b"), ("\u{ff5e}", "a")]), (0, 12), 32),
    ];
    let mut positive = vec![];
    for (name, context, parts, plaintext) in good {
        positive.push(Blob::new(&mut random, context.clone(), *parts, *plaintext).case(name));
    }
    let blob = Blob::new(&mut random, some.clone(), (4, 12), 32);
    let other = Blob::new(&mut random, some, (4, 12), 32);
    positive.push(blob.case("the blob that the negative cases are made of"));
    let what = "ciphertext blobs, version 1, suite 03: keys in an external key store";
    super::file(what, positive, negative(&blob, &other, &mut random))
}

fn negative(blob: &Blob, other: &Blob, random: &mut Seeded) -> Vec<Value> {
    let sealed = blob.seal();
    let base = json!({
        "material": hex::encode(&blob.inner.key),
        "proxy_key": hex::encode(&blob.proxy_key),
        "context": blob.context,
    });
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
        ("R", 40),
        ("length of the metadata", 56),
        ("metadata", 57),
        ("length of the IV", 61),
        ("IV", 62),
        ("tag", 74),
        ("ciphertext", 90),
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
        (6, 2, "suite 2, sealed in"),
        (7, 2, "flag bit 1, sealed in"),
    ] {
        let mut forged = blob.clone();
        forged.inner.header[at] = value;
        wrong(why, &forged.seal(), json!({}));
    }
    for len in [11, 13, 17] {
        let forged = Blob { proxy_iv: random.bytes(len), ..blob.clone() };
        wrong(&format!("an IV of {len} bytes, sealed in"), &forged.seal(), json!({}));
    }
    let forged = Blob { metadata: random.bytes(21), ..blob.clone() };
    wrong("21 bytes of metadata, sealed in", &forged.seal(), json!({}));
    let mut long = blob.clone();
    long.inner.plaintext = random.bytes(5963);
    wrong("6145 bytes, sealed as it should be", &long.seal(), json!({}));
    wrong_contexts(&blob.context, |why, context| {
        wrong(why, &sealed, json!({ "context": context }));
    });
    for (why, aad) in super::blobs::wrong_encodings(&blob.context) {
        let mut forged = blob.clone();
        forged.inner.aad = aad;
        wrong(why, &forged.seal(), json!({}));
    }
    // A proxy that answers with the inside of another blob, of the same key and context.
    let mut sibling = blob.clone();
    sibling.inner.header.truncate(40);
    sibling.inner.header.extend(random.bytes(16));
    let inside = sibling.inner.seal()[56..].to_vec();
    let digest = second::aad_digest(&blob.inner.header, &blob.inner.aad);
    let associated = [&blob.inner.header[..], &digest].concat();
    wrong("the inside of another blob", &blob.proxied(&inside, &associated), json!({}));
    wrong("other material", &sealed, json!({ "material": hex::encode(&other.inner.key) }));
    wrong(
        "another key of the proxy",
        &sealed,
        json!({ "proxy_key": hex::encode(&other.proxy_key) }),
    );
    wrong("empty", &[], json!({}));
    wrong("177 bytes, one short of the shortest", &sealed[..177], json!({}));
    out
}
