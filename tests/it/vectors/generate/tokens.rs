//! Tokens.

use serde_json::{Value, json};

use super::{BREAKS, Message, Seeded, second, with};

const KINDS: [&str; 5] =
    ["page-token", "grant-token", "import-token", "sts-session", "console-session"];

struct Token {
    message: Message,
    generation: u32,
    context: Vec<Vec<u8>>,
}

impl Token {
    fn new(
        random: &mut Seeded,
        kind: &str,
        generation: u32,
        context: &[&[u8]],
        plaintext: Vec<u8>,
    ) -> Self {
        let message = Message {
            key: random.bytes(32),
            header: [&b"CLVT\x01\x01"[..], &generation.to_be_bytes()].concat(),
            label: format!("claviger/v1/{kind}"),
            aad: second::list(context),
            n: random.bytes(32),
            iv: random.bytes(12),
            plaintext,
        };
        Self { message, generation, context: context.iter().map(|part| part.to_vec()).collect() }
    }

    fn opener(&self) -> Value {
        let context: Vec<_> = self.context.iter().map(hex::encode).collect();
        json!({
            "key": hex::encode(&self.message.key),
            "label": self.message.label,
            "context": context,
        })
    }

    fn case(&self, name: &str) -> Value {
        with(
            &self.opener(),
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
    let mut random = Seeded::new("claviger token-v1");
    let mut positive = vec![];
    let alice: &[u8] = b"arn:aws:iam::111122223333:user/alice";
    for kind in KINDS {
        let payload = random.bytes(40);
        let token = Token::new(&mut random, kind, 1, &[alice, b"ListKeys"], payload);
        positive.push(token.case(&format!("a {kind}")));
    }
    let good: &[(&str, u32, &[&[u8]], usize)] = &[
        ("no payload", 1, &[alice], 0),
        ("no context", 1, &[], 32),
        ("one empty part", 1, &[b""], 32),
        ("two empty parts", 1, &[b"", b""], 32),
        ("parts that run together the same (1)", 1, &[b"ab", b"c"], 32),
        ("parts that run together the same (2)", 1, &[b"a", b"bc"], 32),
        ("generation 0", 0, &[alice], 32),
        ("the last generation", u32::MAX, &[alice], 32),
        ("a long payload", 2, &[alice], 3000),
    ];
    for (name, generation, context, size) in good {
        let payload = random.bytes(*size);
        positive
            .push(Token::new(&mut random, "page-token", *generation, context, payload).case(name));
    }
    let payload = random.bytes(40);
    let token = Token::new(&mut random, "page-token", 5, &[alice, b"ListKeys"], payload);
    positive.push(token.case("the token that the negative cases are made of"));
    super::file("tokens, version 1", positive, negative(&token, &mut random))
}

fn negative(token: &Token, random: &mut Seeded) -> Vec<Value> {
    let m = &token.message;
    let sealed = m.seal();
    let base = token.opener();
    let mut out = vec![];
    let mut wrong = |why: &str, sealed: &[u8], members: Value| {
        let case = with(&base, json!({ "name": why, "sealed": hex::encode(sealed) }));
        out.push(with(&case, members));
    };
    let fields = [
        ("product", 0),
        ("version", 4),
        ("suite", 5),
        ("generation", 6),
        ("N", 10),
        ("commitment", 42),
        ("IV", 74),
        ("ciphertext", 86),
        ("tag", sealed.len() - 16),
    ];
    for (why, damaged) in m.damaged(&fields) {
        wrong(&why, &damaged, json!({}));
    }
    for (broken, why) in BREAKS {
        wrong(why, &m.forge(broken), json!({}));
    }
    for kind in &KINDS[1..] {
        let label = format!("claviger/v1/{kind}");
        wrong(&format!("handed in as a {kind}"), &sealed, json!({ "label": label }));
    }
    let alice = &token.context[0][..];
    let contexts: [(&str, &[&[u8]]); 8] = [
        ("context: none", &[]),
        ("context: a part missing", &[alice]),
        ("context: an empty part more", &[alice, b"ListKeys", b""]),
        ("context: parts exchanged", &[b"ListKeys", alice]),
        ("context: another principal", &[b"arn:aws:iam::111122223333:user/bob", b"ListKeys"]),
        ("context: another resource", &[alice, b"ListAliases"]),
        ("context: other case", &[alice, b"listkeys"]),
        ("context: border moved", &[&alice[..alice.len() - 1], b"eListKeys"]),
    ];
    for (why, context) in contexts {
        let context: Vec<_> = context.iter().map(hex::encode).collect();
        wrong(why, &sealed, json!({ "context": context }));
    }
    wrong("another key", &sealed, json!({ "key": hex::encode(random.bytes(32)) }));
    let again = |change: &dyn Fn(&mut Message)| {
        let mut message = m.clone();
        change(&mut message);
        message.seal()
    };
    wrong("version 2, sealed in", &again(&|m| m.header[4] = 2), json!({}));
    wrong("suite 2, sealed in", &again(&|m| m.header[5] = 2), json!({}));
    wrong("a row's product, sealed in", &again(&|m| m.header[3] = b'R'), json!({}));
    wrong("context sealed without lengths", &again(&|m| m.aad = token.context.concat()), json!({}));
    wrong("context not sealed in", &again(&|m| m.aad.clear()), json!({}));
    wrong("empty", &[], json!({}));
    out
}
