//! What any device with resident keys must do. Run [`all`] on a device that is open and may be
//! written to; it makes keys of its own and destroys them again.

mod aes;
mod ec;
mod mac;
mod rsa;

use crate::{
    Curve, Hash, Hsm, HsmError, KeyBytes, ResidentId, ResidentKeys, ResidentSpec, SignatureScheme,
};

/// Every test of the suite, for the kinds of keys that the device offers; of RSA only the shortest.
pub fn all(hsm: &dyn Hsm) {
    let keys = resident(hsm);
    let specs = keys.specs();
    assert!(!specs.is_empty(), "the device offers no kind of key");
    names_are_kept_apart(keys);
    what_is_not_offered_is_refused(keys);
    keys_do_what_they_are_for_and_nothing_else(keys);
    a_destroyed_key_is_gone(keys);
    for spec in specs {
        each(keys, spec);
    }
    many_threads_may_call(keys);
}

/// Every test of one kind of key.
pub fn each(keys: &dyn ResidentKeys, spec: ResidentSpec) {
    match spec {
        ResidentSpec::Aes256 => aes::all(keys),
        ResidentSpec::Hmac(hash) => mac::all(keys, hash),
        ResidentSpec::RsaSign(2048) => rsa::signing(keys, 2048),
        ResidentSpec::RsaDecrypt(2048) => rsa::decrypting(keys, 2048),
        ResidentSpec::RsaSign(_) | ResidentSpec::RsaDecrypt(_) => {}
        ResidentSpec::EcSign(curve) => ec::signing(keys, curve),
        ResidentSpec::EcAgree(curve) => ec::agreeing(keys, curve),
    }
}

/// The longer RSA keys, which take their time to make.
pub fn long_rsa_keys(hsm: &dyn Hsm) {
    for bits in [3072, 4096] {
        rsa::signing(resident(hsm), bits);
        rsa::decrypting(resident(hsm), bits);
    }
}

/// What was made is found, and is the same key, after the device was opened anew.
pub fn survives_reopening(open: &dyn Fn() -> Box<dyn Hsm>) {
    let device = open();
    let made: Vec<Made> = resident(&*device)
        .specs()
        .into_iter()
        .filter(|spec| {
            !matches!(spec, ResidentSpec::RsaSign(3072..) | ResidentSpec::RsaDecrypt(3072..))
        })
        .map(|spec| Made::new(resident(&*device), spec))
        .collect();
    drop(device);
    let device = open();
    let keys = resident(&*device);
    for made in made {
        made.is_unchanged(keys);
        let report = ok("checking", keys.check(&made.id, made.public.as_deref()));
        assert_eq!(report.spec, made.spec);
        assert!(ok("listing", keys.resident_keys()).contains(&made.id));
        ok("destroying", keys.destroy(&made.id));
    }
}

/// A key, and something that only it can do again.
struct Made {
    id: ResidentId,
    spec: ResidentSpec,
    public: Option<Vec<u8>>,
    proof: Vec<u8>,
}

impl Made {
    fn new(keys: &dyn ResidentKeys, spec: ResidentSpec) -> Self {
        let (id, public) = make(keys, "reopened", spec);
        let proof = match spec {
            ResidentSpec::Aes256 => ok("encrypting", keys.encrypt(&id, &text(32), b"aad")),
            ResidentSpec::Hmac(hash) => ok("mac", keys.mac(&id, hash, b"message")),
            _ => Vec::new(),
        };
        Self { id, spec, public, proof }
    }

    fn is_unchanged(&self, keys: &dyn ResidentKeys) {
        match self.spec {
            ResidentSpec::Aes256 => {
                assert_eq!(keys.decrypt(&self.id, &self.proof, b"aad"), Ok(text(32)));
            }
            ResidentSpec::Hmac(hash) => {
                assert_eq!(keys.mac(&self.id, hash, b"message").as_ref(), Ok(&self.proof));
            }
            ResidentSpec::RsaSign(_) => rsa::signs(keys, &self.id, self.public()),
            ResidentSpec::RsaDecrypt(_) => rsa::decrypts(keys, &self.id, self.public()),
            ResidentSpec::EcSign(curve) => ec::signs(keys, &self.id, curve, self.public()),
            ResidentSpec::EcAgree(curve) => ec::agrees(keys, &self.id, curve, self.public()),
        }
    }

    fn public(&self) -> &[u8] {
        self.public.as_deref().unwrap_or_default()
    }
}

fn resident(hsm: &dyn Hsm) -> &dyn ResidentKeys {
    match hsm.resident() {
        Some(keys) => keys,
        None => unreachable!("the device has no resident keys"),
    }
}

/// What must not fail.
fn ok<T>(what: &str, result: Result<T, HsmError>) -> T {
    match result {
        Ok(done) => done,
        Err(error) => unreachable!("{what}: {error}"),
    }
}

fn text(len: usize) -> KeyBytes {
    KeyBytes::new((0..len).map(|i| (i % 251) as u8).collect())
}

fn name(name: &str, spec: ResidentSpec) -> ResidentId {
    ResidentId::new(format!("claviger/suite/{name}/{}", spec.to_string().replace(' ', "-")))
}

/// A key for one test, named after it and its kind, with its public half if it is a pair.
fn make(keys: &dyn ResidentKeys, test: &str, spec: ResidentSpec) -> (ResidentId, Option<Vec<u8>>) {
    let id = name(test, spec);
    let public = ok(&format!("making {id}"), keys.generate(&id, spec));
    assert_eq!(public.is_some(), spec.is_pair(), "{id}");
    (id, public)
}

/// The same of a pair.
fn make_pair(keys: &dyn ResidentKeys, test: &str, spec: ResidentSpec) -> (ResidentId, Vec<u8>) {
    let (id, public) = make(keys, test, spec);
    (id, public.unwrap_or_default())
}

/// The cheapest kind that a device offers.
fn cheapest(keys: &dyn ResidentKeys) -> ResidentSpec {
    match keys.specs().first() {
        Some(spec) => *spec,
        None => unreachable!("the device offers no kind of key"),
    }
}

pub fn names_are_kept_apart(keys: &dyn ResidentKeys) {
    let spec = cheapest(keys);
    for bad in ["", "with space", "with\0nul", "ключ", &"x".repeat(129)] {
        let made = keys.generate(&ResidentId::new(bad), spec);
        assert!(matches!(made, Err(HsmError::Refused(_))), "{bad:?}: {made:?}");
        let gone = keys.destroy(&ResidentId::new(bad));
        assert!(matches!(gone, Err(HsmError::Refused(_))), "{bad:?}: {gone:?}");
    }
    let (id, _) = make(keys, "names", spec);
    let again = keys.generate(&id, spec);
    assert!(matches!(again, Err(HsmError::ResidentKeyExists { .. })), "{again:?}");
    // A name that begins like another's, or ends like it, is another name.
    for near in [format!("{id}x"), id.as_str().trim_end_matches('M').to_owned(), format!("x{id}")] {
        let near = ResidentId::new(near);
        let found = keys.check(&near, None);
        assert!(matches!(found, Err(HsmError::NoSuchResidentKey { .. })), "{near}: {found:?}");
        ok("destroying what is not there", keys.destroy(&near));
    }
    assert_eq!(ok("checking", keys.check(&id, None)).spec, spec);
    assert!(ok("listing", keys.resident_keys()).contains(&id));
    assert_eq!(keys.broken(), Ok(Vec::new()));
    ok("destroying", keys.destroy(&id));
}

pub fn what_is_not_offered_is_refused(keys: &dyn ResidentKeys) {
    let offered = keys.specs();
    let others = ResidentSpec::ALL.into_iter().filter(|spec| !offered.contains(spec));
    let impossible = [
        ResidentSpec::RsaSign(1024),
        ResidentSpec::RsaDecrypt(2049),
        ResidentSpec::Hmac(Hash::Sha1),
        ResidentSpec::EcAgree(Curve::Secp256k1),
    ];
    for spec in others.chain(impossible) {
        let id = name("not-offered", spec);
        let made = keys.generate(&id, spec);
        assert!(matches!(made, Err(HsmError::Unsupported(_))), "{spec}: {made:?}");
        assert!(!ok("listing", keys.resident_keys()).contains(&id), "{spec}");
    }
}

/// Every kind of request, and whether a kind of key is for it.
fn requests(keys: &dyn ResidentKeys, id: &ResidentId) -> Vec<(&'static str, Result<(), HsmError>)> {
    let digest = [7; 32];
    let sign = |scheme| keys.sign(id, scheme, &digest).map(drop);
    vec![
        ("encrypt", keys.encrypt(id, &text(5), b"").map(drop)),
        ("decrypt", keys.decrypt(id, &[&[12][..], &[1; 40]].concat(), b"").map(drop)),
        ("mac", keys.mac(id, Hash::Sha256, b"m").map(drop)),
        ("ecdsa", sign(SignatureScheme::Ecdsa)),
        ("pss", sign(SignatureScheme::RsaPss(Hash::Sha256))),
        ("pkcs1", sign(SignatureScheme::RsaPkcs1(Hash::Sha256))),
        ("oaep", keys.decrypt_oaep(id, Hash::Sha256, &[1; 256]).map(drop)),
        ("agree", keys.agree(id, b"no key").map(drop)),
    ]
}

pub fn keys_do_what_they_are_for_and_nothing_else(keys: &dyn ResidentKeys) {
    let offered = keys.specs();
    let tried: [(ResidentSpec, &[&str]); 6] = [
        (ResidentSpec::Aes256, &["encrypt", "decrypt"]),
        (ResidentSpec::Hmac(Hash::Sha256), &["mac"]),
        (ResidentSpec::RsaSign(2048), &["pss", "pkcs1"]),
        (ResidentSpec::RsaDecrypt(2048), &["oaep"]),
        (ResidentSpec::EcSign(Curve::P256), &["ecdsa"]),
        (ResidentSpec::EcAgree(Curve::P256), &["agree"]),
    ];
    for (spec, can) in tried.into_iter().filter(|(spec, _)| offered.contains(spec)) {
        let (id, _) = make(keys, "uses", spec);
        for (request, answer) in requests(keys, &id) {
            let is_wrong_use = matches!(answer, Err(HsmError::WrongUse { .. }));
            assert_eq!(is_wrong_use, !can.contains(&request), "{spec} {request}: {answer:?}");
        }
        ok("destroying", keys.destroy(&id));
        for (request, answer) in requests(keys, &id) {
            let is_gone = matches!(answer, Err(HsmError::NoSuchResidentKey { .. }));
            assert!(is_gone, "{spec} {request}: {answer:?}");
        }
    }
}

pub fn a_destroyed_key_is_gone(keys: &dyn ResidentKeys) {
    for spec in [ResidentSpec::Aes256, ResidentSpec::Hmac(Hash::Sha256)] {
        if !keys.specs().contains(&spec) {
            continue;
        }
        let (id, _) = make(keys, "destroyed", spec);
        let made = |keys: &dyn ResidentKeys| match spec {
            ResidentSpec::Aes256 => keys.encrypt(&id, &text(16), b""),
            _ => keys.mac(&id, Hash::Sha256, b"m"),
        };
        let before = ok("using", made(keys));
        ok("destroying", keys.destroy(&id));
        assert!(!ok("listing", keys.resident_keys()).contains(&id));
        assert!(matches!(made(keys), Err(HsmError::NoSuchResidentKey { .. })));
        ok("destroying again", keys.destroy(&id));
        // Made again under its name it is another key: what the old one encrypted stays shut.
        ok("making again", keys.generate(&id, spec));
        match spec {
            ResidentSpec::Aes256 => {
                assert_eq!(keys.decrypt(&id, &before, b""), Err(HsmError::Authentication));
            }
            _ => assert_ne!(made(keys), Ok(before)),
        }
        ok("destroying", keys.destroy(&id));
    }
}

pub fn many_threads_may_call(keys: &dyn ResidentKeys) {
    let spec = cheapest(keys);
    let hash = match spec {
        ResidentSpec::Aes256 => None,
        ResidentSpec::Hmac(hash) => Some(hash),
        _ => return,
    };
    let ids = ["threads-one", "threads-two"].map(|test| make(keys, test, spec).0);
    std::thread::scope(|scope| {
        for thread in 0..16_u8 {
            let ids = &ids;
            scope.spawn(move || {
                for round in 0..8 {
                    let [id, other] = ids;
                    let (plain, aad) = (KeyBytes::new(vec![thread; 33]), [thread, round]);
                    if let Some(hash) = hash {
                        assert_ne!(keys.mac(id, hash, &aad), keys.mac(other, hash, &aad));
                        continue;
                    }
                    let sealed = ok("encrypting", keys.encrypt(id, &plain, &aad));
                    assert_eq!(keys.decrypt(id, &sealed, &aad), Ok(plain));
                    let forged = keys.decrypt(other, &sealed, &aad);
                    assert_eq!(forged, Err(HsmError::Authentication));
                }
            });
        }
    });
    for id in ids {
        ok("destroying", keys.destroy(&id));
    }
}
