//! The object that is the root key is destroyed, replaced, doubled or damaged underneath us: never
//! is anything wrapped under it, and never is what was wrapped before called forged.

use super::recovery::{key, with_root};
use super::support::{TestToken, on_token, root_id, wait_until};
use claviger_hsm::pkcs11::{finalize_modules, restarts};
use claviger_hsm::{Hsm, HsmError, RootKeyId};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use std::time::Duration;

fn root_object(session: &Session) -> ObjectHandle {
    let found = session.find_objects(&[Attribute::Label(root_id().as_str().into())]).unwrap();
    assert_eq!(found.len(), 1);
    found[0]
}

#[test]
fn a_root_key_destroyed_underneath_is_absent() {
    on_token(a_root_key_destroyed_underneath_is_absent, |token| {
        let (hsm, wrapped) = with_root(token);
        let session = token.raw_session();
        session.destroy_object(root_object(&session)).unwrap();
        let opened = hsm.unwrap(&wrapped, b"");
        assert!(matches!(opened, Err(HsmError::NoSuchKey { .. })), "{opened:?}");
        // Made anew by ourselves under the same name it is another key, and known to be.
        hsm.create_root_key(&root_id()).unwrap();
        assert_eq!(hsm.unwrap(&wrapped, b""), Err(HsmError::Authentication));
        assert_eq!(restarts(&token.module), 0);
    });
}

#[test]
fn a_root_key_replaced_underneath_is_refused() {
    on_token(a_root_key_replaced_underneath_is_refused, |token| {
        let (hsm, wrapped) = with_root(token);
        let session = token.raw_session();
        session.destroy_object(root_object(&session)).unwrap();
        // Somebody else makes a good key of the same name.
        token.open().create_root_key(&root_id()).unwrap();
        for _ in 0..2 {
            // Nothing is written under it, nothing is called forged because of it.
            let made = hsm.wrap(&root_id(), &key(), b"");
            assert!(matches!(made, Err(HsmError::WrongRootKey { .. })), "{made:?}");
            let opened = hsm.unwrap(&wrapped, b"");
            assert!(matches!(opened, Err(HsmError::WrongRootKey { .. })), "{opened:?}");
            let checked = hsm.check_root_key(&root_id());
            assert!(matches!(checked, Err(HsmError::WrongRootKey { .. })), "{checked:?}");
        }
        assert_eq!(restarts(&token.module), 0);
    });
}

#[test]
fn a_second_root_key_of_the_same_name_is_refused_when_it_is_met() {
    on_token(a_second_root_key_of_the_same_name_is_refused_when_it_is_met, |token| {
        let (hsm, wrapped) = with_root(token);
        let other = RootKeyId::new("claviger/test/rk-d/2");
        hsm.create_root_key(&other).unwrap();
        let twin = [
            Attribute::Class(cryptoki::object::ObjectClass::SECRET_KEY),
            Attribute::KeyType(cryptoki::object::KeyType::AES),
            Attribute::ValueLen(32.into()),
            Attribute::Label(root_id().as_str().into()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
        ];
        let session = token.raw_session();
        session.generate_key(&cryptoki::mechanism::Mechanism::AesKeyGen, &twin).unwrap();
        session.logout().unwrap();
        let opened = hsm.unwrap(&wrapped, b"");
        assert!(matches!(opened, Err(HsmError::DuplicateKey { count: 2, .. })), "{opened:?}");
        // It stands in nobody else's way.
        hsm.check_root_key(&other).unwrap();
    });
}

#[test]
fn a_root_key_cut_short_on_disk_is_never_used() {
    on_token(a_root_key_cut_short_on_disk_is_never_used, |token| {
        let (hsm, wrapped) = with_root(token);
        let file = object_file(token);
        let whole = std::fs::read(&file).unwrap();
        let mut refused = 0;
        for len in (0..whole.len()).step_by(whole.len() / 40) {
            // SoftHSM reads objects when it starts.
            finalize_modules();
            std::fs::write(&file, &whole[..len]).unwrap();
            match hsm.unwrap(&wrapped, b"") {
                Ok(opened) => assert_eq!(opened, key(), "cut at {len}"),
                Err(HsmError::Authentication) => panic!("cut at {len}: called forged"),
                Err(_) => refused += 1,
            }
            if let Ok(made) = hsm.wrap(&root_id(), &key(), b"") {
                finalize_modules();
                std::fs::write(&file, &whole).unwrap();
                wait_until(Duration::from_secs(4), || hsm.unwrap(&made, b"") == Ok(key()));
            }
        }
        assert!(refused > 20, "{refused} refused");
        finalize_modules();
        std::fs::write(&file, &whole).unwrap();
        wait_until(Duration::from_secs(4), || hsm.unwrap(&wrapped, b"") == Ok(key()));
    });
}

const FROM_BYTE: &str = "CLAVIGER_HSM_TEST_FROM_BYTE";

/// SoftHSM ends the process over some lengths that are out of all reason. So a process of its own
/// goes on from byte to byte, and another takes over where it ended.
#[test]
fn a_root_key_with_any_byte_changed_on_disk_is_never_used() {
    on_token(a_root_key_with_any_byte_changed_on_disk_is_never_used, |token| {
        let (whole, at) = (token.dir.join("whole"), token.dir.join("at"));
        if let Some(from) = std::env::var_os(FROM_BYTE) {
            let from = from.to_str().unwrap().parse().unwrap();
            return change_bytes(token, &std::fs::read(whole).unwrap(), from, &at);
        }
        let (hsm, wrapped) = with_root(token);
        drop(hsm);
        let file = object_file(token);
        std::fs::copy(&file, &whole).unwrap();
        let (mut from, mut ended) = (0, 0);
        loop {
            std::fs::copy(&whole, &file).unwrap();
            let test = "token::damaged::a_root_key_with_any_byte_changed_on_disk_is_never_used";
            let output = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", test, "--test-threads=1", "--nocapture"])
                .env(FROM_BYTE, from.to_string())
                .output()
                .unwrap();
            // 101 is a panic of ours; else SoftHSM has ended the process.
            let text = String::from_utf8_lossy(&output.stderr);
            assert_ne!(output.status.code(), Some(101), "from byte {from}: {text}");
            if output.status.success() {
                break;
            }
            let died_at: usize = std::fs::read_to_string(&at).unwrap().parse().unwrap();
            assert!(died_at >= from, "{text}");
            (from, ended) = (died_at + 1, ended + 1);
        }
        println!("SoftHSM ended the process {ended} times");
        std::fs::copy(&whole, &file).unwrap();
        finalize_modules();
        assert_eq!(token.open().unwrap(&wrapped, b""), Ok(key()));
    });
}

fn change_bytes(token: &TestToken, whole: &[u8], from: usize, at: &std::path::Path) {
    let file = object_file(token);
    std::fs::write(&file, whole).unwrap();
    let hsm = token.open();
    let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
    let mut made = Vec::new();
    for n in from..whole.len() {
        std::fs::write(at, n.to_string()).unwrap();
        finalize_modules();
        let mut bad = whole.to_vec();
        bad[n] ^= 0x01;
        std::fs::write(&file, &bad).unwrap();
        match hsm.unwrap(&wrapped, b"") {
            Ok(opened) => assert_eq!(opened, key(), "byte {n}"),
            Err(HsmError::Authentication) => panic!("byte {n}: called forged"),
            Err(_) => {}
        }
        made.extend(hsm.wrap(&root_id(), &key(), b"").ok().map(|wrapped| (n, wrapped)));
    }
    finalize_modules();
    std::fs::write(&file, whole).unwrap();
    wait_until(Duration::from_secs(4), || hsm.unwrap(&wrapped, b"") == Ok(key()));
    assert!(made.len() < (whole.len() - from) / 2, "{} of them harmless", made.len());
    // What was wrapped all the same opens with the key as it was.
    for (n, made) in made {
        assert_eq!(hsm.unwrap(&made, b""), Ok(key()), "byte {n}");
    }
}

/// The file of the one object there is.
fn object_file(token: &TestToken) -> std::path::PathBuf {
    let tokens = std::fs::read_dir(token.dir.join("tokens")).unwrap();
    let files = tokens.flat_map(|dir| std::fs::read_dir(dir.unwrap().path()).unwrap());
    let is_object = |path: &std::path::PathBuf| {
        path.extension().is_some_and(|e| e == "object") && !path.ends_with("token.object")
    };
    let found: Vec<_> = files.map(|file| file.unwrap().path()).filter(is_object).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}
