//! Store rows.

use serde_json::{Value, json};

use super::{BREAKS, Message, Seeded, second, with};

struct Row {
    message: Message,
    cluster: Vec<u8>,
    table: &'static str,
    record_key: Vec<u8>,
    generation: u32,
    revision: u64,
}

fn header(table: &str, generation: u32) -> Vec<u8> {
    let mut out = b"CLVR\x01\x01".to_vec();
    out.push(table.len() as u8);
    out.extend(table.as_bytes());
    out.extend(generation.to_be_bytes());
    out
}

impl Row {
    fn new(
        random: &mut Seeded,
        table: &'static str,
        record_key: &[u8],
        (generation, revision): (u32, u64),
        plaintext: Vec<u8>,
    ) -> Self {
        let (key, cluster) = (random.bytes(32), random.bytes(16));
        let message = Message {
            key,
            header: header(table, generation),
            label: format!("claviger/v1/row/{table}"),
            aad: second::row_aad(&cluster, table, record_key, revision),
            n: random.bytes(32),
            iv: random.bytes(12),
            plaintext,
        };
        Self { message, cluster, table, record_key: record_key.to_vec(), generation, revision }
    }

    fn place(&self) -> Value {
        json!({
            "key": hex::encode(&self.message.key),
            "cluster": hex::encode(&self.cluster),
            "table": self.table,
            "record_key": hex::encode(&self.record_key),
            "revision": self.revision,
        })
    }

    fn case(&self, name: &str) -> Value {
        with(
            &self.place(),
            json!({
                "name": name,
                "generation": self.generation,
                "n": hex::encode(&self.message.n),
                "iv": hex::encode(&self.message.iv),
                "plaintext": hex::encode(&self.message.plaintext),
                "sealed": hex::encode(self.message.seal()),
            }),
        )
    }
}

pub fn file() -> Value {
    let mut random = Seeded::new("claviger row-v1");
    let long_key = [0xff; 300];
    let good: [(_, _, &[u8], _, _); 13] = [
        ("a key record", "kms-key", b"111122223333/eu-central-1/k1", (1, 1), 300),
        ("an empty record", "kms-key", b"k", (1, 1), 0),
        ("an empty record key", "kms-key", b"", (1, 1), 32),
        ("record key with zero bytes", "alias", b"a\0b\0", (1, 1), 32),
        ("a long record key", "alias", &long_key, (1, 1), 32),
        ("the shortest table", "a", b"k", (1, 1), 32),
        ("the longest table", "a2345678-0123456789-0123456789-x", b"k", (1, 1), 32),
        ("generation 0, revision 0", "secret", b"k", (0, 0), 32),
        ("the last generation", "secret", b"k", (u32::MAX, 7), 32),
        ("the last revision", "secret", b"k", (2, u64::MAX), 32),
        ("a revision beyond 2^53", "secret", b"k", (2, (1 << 53) + 1), 32),
        ("one byte", "grant", b"k", (3, 9), 1),
        ("a large record", "secret-version", b"k", (3, 9), 5000),
    ];
    let mut positive = vec![];
    for (name, table, record_key, numbers, size) in good {
        let plaintext = random.bytes(size);
        positive.push(Row::new(&mut random, table, record_key, numbers, plaintext).case(name));
    }
    let plaintext = random.bytes(40);
    let row = Row::new(&mut random, "kms-key", b"acct/k1", (5, 41), plaintext);
    positive.push(row.case("the row that the negative cases are made of"));
    super::file("store rows, version 1", positive, negative(&row, &mut random))
}

fn negative(row: &Row, random: &mut Seeded) -> Vec<Value> {
    let m = &row.message;
    let sealed = m.seal();
    let base = row.place();
    let mut out = vec![];
    let mut wrong = |why: &str, sealed: &[u8], members: Value| {
        let case = with(&base, json!({ "name": why, "sealed": hex::encode(sealed) }));
        out.push(with(&case, members));
    };
    let fields = [
        ("product", 0),
        ("version", 4),
        ("suite", 5),
        ("length of the table's name", 6),
        ("table", 7),
        ("generation", 14),
        ("N", 18),
        ("commitment", 50),
        ("IV", 82),
        ("ciphertext", 94),
        ("tag", sealed.len() - 16),
    ];
    for (why, damaged) in m.damaged(&fields) {
        wrong(&why, &damaged, json!({}));
    }
    for (broken, why) in BREAKS {
        wrong(why, &m.forge(broken), json!({}));
    }
    let mut other_cluster = row.cluster.clone();
    other_cluster[0] ^= 1;
    let others = [
        ("read in another cluster", json!({ "cluster": hex::encode(other_cluster) })),
        ("read in another table", json!({ "table": "alias" })),
        ("read in a table with a longer name", json!({ "table": "kms-keys" })),
        ("read under another record key", json!({ "record_key": hex::encode("acct/k2") })),
        ("read under a longer record key", json!({ "record_key": hex::encode("acct/k1\0") })),
        ("read under an empty record key", json!({ "record_key": "" })),
        ("an older revision put back", json!({ "revision": row.revision + 1 })),
        ("a revision that is not yet", json!({ "revision": row.revision - 1 })),
        ("revision 0", json!({ "revision": 0 })),
        ("another row key", json!({ "key": hex::encode(random.bytes(32)) })),
    ];
    for (why, members) in others {
        wrong(why, &sealed, members);
    }
    // Sealed as the rules say, but something about the header or the associated data is not right.
    let again = |change: &dyn Fn(&mut Message)| {
        let mut message = m.clone();
        change(&mut message);
        message.seal()
    };
    wrong("version 2, sealed in", &again(&|m| m.header[4] = 2), json!({}));
    wrong("suite 2, sealed in", &again(&|m| m.header[5] = 2), json!({}));
    wrong(
        "a token's header",
        &again(&|m| m.header = b"CLVT\x01\x01\0\0\0\x05".to_vec()),
        json!({}),
    );
    wrong("header without a table", &again(&|m| m.header = header("", 5)), json!({}));
    wrong("header of another table", &again(&|m| m.header = header("alias", 5)), json!({}));
    wrong(
        "label of another table",
        &again(&|m| m.label = "claviger/v1/row/alias".into()),
        json!({}),
    );
    wrong("label of blobs", &again(&|m| m.label = "claviger/v1/enc".into()), json!({}));
    let revision = row.revision.to_be_bytes();
    let (cluster, record_key) = (&row.cluster[..], &row.record_key[..]);
    let joined = [cluster, row.table.as_bytes(), record_key, &revision].concat();
    wrong("place sealed without lengths", &again(&|m| m.aad = joined.clone()), json!({}));
    let three = second::list(&[cluster, row.table.as_bytes(), record_key]);
    wrong("revision not sealed in", &again(&|m| m.aad = three.clone()), json!({}));
    let moved = second::list(&[cluster, b"kms-keya", b"cct/k1", &revision]);
    wrong("border between table and key moved", &again(&|m| m.aad = moved.clone()), json!({}));
    wrong("empty", &[], json!({}));
    out
}
