//! Random changes to a good request: none verifies, none panics.

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri};

use super::super::*;
use super::{BODY, NOW, Random, check_at, set, sign_again, signed, unsigned};

/// What a request consists of, as bytes that can be changed anywhere.
#[derive(Clone, PartialEq)]
struct Raw {
    method: Vec<u8>,
    uri: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

impl Raw {
    fn new(head: &Parts) -> Self {
        let pair = |(n, v): (&HeaderName, &HeaderValue)| (n.as_str().into(), v.as_bytes().into());
        Self {
            method: head.method.as_str().into(),
            uri: head.uri.to_string().into(),
            headers: head.headers.iter().map(pair).collect(),
            body: BODY.into(),
        }
    }

    /// None if hyper would not have let it through.
    fn head(&self) -> Option<Parts> {
        let mut head = Request::new(()).into_parts().0;
        head.method = Method::from_bytes(&self.method).ok()?;
        head.uri = Uri::try_from(self.uri.as_slice()).ok()?;
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name).ok()?;
            head.headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        Some(head)
    }

    /// Changes one to three places.
    fn mutate(&mut self, random: &mut Random) {
        for _ in 0..=random.below(3) {
            let index = random.below(self.headers.len());
            match random.below(12) {
                0 => drop(self.headers.swap_remove(index)),
                1 => {
                    let other = self.headers[index].clone();
                    self.headers.push(other);
                }
                2 => change(&mut self.headers[index].0, random),
                3 => change(&mut self.method, random),
                4 | 5 => change(&mut self.uri, random),
                6 => change(&mut self.body, random),
                _ => change(&mut self.headers[index].1, random),
            }
            if self.headers.is_empty() {
                return;
            }
        }
    }
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    const SPECIAL: &[u8] = b" ,;=/%&?.\t\xff0aA";
    let at = random.below(bytes.len() + 1);
    let byte = match random.below(3) {
        0 => random.next() as u8,
        _ => SPECIAL[random.below(SPECIAL.len())],
    };
    match (random.below(5), bytes.get_mut(at)) {
        (0, _) => bytes.truncate(at),
        (1, Some(_)) => drop(bytes.remove(at)),
        (2, Some(old)) => *old ^= 1 << random.below(8),
        (3, Some(old)) => *old = byte,
        _ => bytes.insert(at, byte),
    }
}

/// The parts that the signature covers, or that may not change anything: if a mutation leaves these
/// as they were, it may verify.
fn meaning(head: &Parts, body: &[u8]) -> Option<(String, Vec<u8>)> {
    let claim = parse(head).ok()?;
    let mut out = Vec::new();
    let payload = text::hex(&<sha2::Sha256 as sha2::Digest>::digest(body).into());
    canonical::write(&mut out, head, claim.signed_headers(), &payload).ok()?;
    let scope = claim.scope();
    let claimed =
        format!("{:?}{:?}{:?}{:?}", claim.signature, claim.date(), scope, claim.expires());
    Some((claimed, out))
}

fn run(good: &Parts, seed: u64, rounds: usize) {
    assert_eq!(check_at(good, BODY, NOW), Ok(()));
    let raw = Raw::new(good);
    let original = meaning(good, BODY).unwrap();
    let mut random = Random(seed);
    let (mut refused, mut same) = (0, 0);
    for round in 0..rounds {
        let mut changed = raw.clone();
        changed.mutate(&mut random);
        let Some(head) = changed.head() else { continue };
        match check_at(&head, &changed.body, NOW) {
            Ok(()) => {
                same += 1;
                let meaning = meaning(&head, &changed.body);
                assert_eq!(meaning.as_ref(), Some(&original), "round {round}: {head:?}");
            }
            Err(error) => {
                refused += 1;
                let text = error.to_string();
                assert!(text.len() < 600 && text.bytes().all(|b| (32..127).contains(&b)), "{text}");
            }
        }
    }
    assert!(refused > rounds / 3, "{refused} refused, {same} the same, of {rounds}");
}

#[test]
fn a_changed_request_does_not_verify() {
    run(&signed(), 1, 30_000);
}

#[test]
fn a_changed_request_with_query_and_hash_does_not_verify() {
    let mut head = unsigned();
    head.uri = "/a/b%20c/./d?x=1&y=%2F&x=0".parse().unwrap();
    set(&mut head, "my-header", "a  b");
    set(&mut head, "x-amz-security-token", "FwoGZXIvYXdzEB==");
    sign_again(&mut head);
    run(&head, 2, 30_000);
}

#[test]
fn garbage_does_not_panic() {
    let pieces = [
        "AWS4-HMAC-SHA256",
        " ",
        ",",
        "=",
        "/",
        ";",
        "Credential=",
        "SignedHeaders=",
        "Signature=",
        "host",
        "x-amz-date",
        "aws4_request",
        "20260101",
        "0",
        "é",
        "%",
        "%2F",
        "&",
        "X-Amz-",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "&X-Amz-Credential=",
        "&X-Amz-Date=",
        "+",
        "\t",
        "&X-Amz-Signature=",
        "&X-Amz-SignedHeaders=",
        "&X-Amz-Expires=1",
    ];
    let mut random = Random(3);
    for _ in 0..20_000 {
        let mut head = signed();
        let text = random.text(&pieces, 12);
        // A query of nothing is no query.
        if text.bytes().all(|byte| byte == b'&') {
            continue;
        }
        match random.below(3) {
            0 => match Uri::try_from(format!("/?{text}")) {
                Ok(uri) => head.uri = uri,
                Err(_) => continue,
            },
            1 => set(&mut head, "x-amz-date", &text),
            _ => set(&mut head, "authorization", &text),
        }
        if random.below(2) == 0 && head.uri.query().is_some() {
            head.headers.remove("authorization");
        }
        assert_ne!(check_at(&head, BODY, NOW), Ok(()), "{text}");
    }
}
