//! The cache hits only what is the same, and stays bounded.

use super::super::*;
use super::*;

#[test]
fn a_key_is_derived_once_and_anew_for_every_difference() {
    let cache = SigningKeyCache::new();
    let head = signed();
    let claim = parse(&head).unwrap();
    let key = cache.key(&claim, 1, || SECRET, true);
    assert_eq!(verify(&claim, &head, BODY, &key), Ok(()));
    let again = cache.key(&claim, 1, || -> &str { unreachable!("it is there") }, true);
    assert_eq!(verify(&claim, &head, BODY, &again), Ok(()));
    // A changed secret has another revision.
    let changed = cache.key(&claim, 2, || "another", true);
    assert_eq!(verify(&claim, &head, BODY, &changed), Err(AuthError::SignatureMismatch));
    for (from, to) in [
        (ID, "AKIDOTHER"),
        ("/20260101/", "/20260102/"),
        ("eu-west-1", "eu-west-2"),
        ("/kms/", "/sts/"),
    ] {
        let mut other = signed();
        let text = other.headers["authorization"].to_str().unwrap().replace(from, to);
        set(&mut other, "authorization", &text);
        let mut asked = false;
        let secret = || {
            asked = true;
            SECRET
        };
        cache.key(&parse(&other).unwrap(), 1, secret, true);
        assert!(asked, "{to}");
    }
    assert_eq!(cache.len(), 6);
    // What is not to be kept is right all the same.
    let passing = cache.key(&claim, 3, || SECRET, false);
    assert_eq!(verify(&claim, &head, BODY, &passing), Ok(()));
    assert_eq!(cache.len(), 6);
    cache.clear();
    assert!(cache.is_empty());
}

#[test]
fn the_cache_is_bounded() {
    let cache = SigningKeyCache::with_capacity(64);
    let head = signed();
    let claim = parse(&head).unwrap();
    for revision in 0..1000 {
        cache.key(&claim, revision, || SECRET, true);
        assert!(cache.len() <= 64);
    }
    assert!(!cache.is_empty());
}

#[test]
fn nothing_shows_a_secret() {
    let mut head = unsigned();
    let credentials =
        Credentials { access_key_id: ID, secret: SECRET, session_token: Some("TOKEN") };
    sign(&mut head, BODY, &credentials, ("eu-west-1", "kms"), NOW).unwrap();
    let claim = parse(&head).unwrap();
    let cache = SigningKeyCache::new();
    let key = cache.key(&claim, 1, || SECRET, true);
    let shown = format!("{claim:?} {credentials:?} {key:?} {:?} {cache:?} {head:?}", *key);
    let authorization = head.headers["authorization"].to_str().unwrap();
    let signature = authorization.rsplit('=').next().unwrap();
    for secret in [SECRET, "TOKEN", signature] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
