//! Root keys that are not what they were: the server does not start, says why, and writes nothing.
use super::support::{HELLO, meddle, meddling};
use crate::harness::{Exit, copy_dir, files, machine};
use crate::resident::session;
use crate::roots::support::{Work, command, tokens};
use crate::setup::Deployment;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use serde_json::json;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

/// The root key of the token.
fn root(session: &Session) -> ObjectHandle {
    let all = session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)]).unwrap();
    assert_eq!(all.len(), 1, "the root key alone is in the token");
    all[0]
}

/// Makes another AES key of the same label and id.
fn imitate(session: &Session, real: ObjectHandle, changed: &[Attribute]) {
    let names = session.get_attributes(real, &[AttributeType::Label, AttributeType::Id]).unwrap();
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(32.into()),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Modifiable(false),
        Attribute::Copyable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Derive(false),
    ];
    let is_kept = |a: &Attribute| changed.iter().all(|c| c.attribute_type() != a.attribute_type());
    template.retain(is_kept);
    template.extend(names);
    template.extend_from_slice(changed);
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
}

fn do_it(dir: &Path, what: &str) {
    let session = session(dir);
    let real = root(&session);
    match what {
        "double" => return imitate(&session, real, &[]),
        "replace" => imitate(&session, real, &[]),
        "weaken" => imitate(&session, real, &[Attribute::Extractable(true)]),
        "widen" => imitate(&session, real, &[Attribute::Wrap(true)]),
        _ => {}
    }
    session.destroy_object(real).unwrap();
}

/// Where the tokens are, and where they are kept meanwhile.
fn put_back(deployment: &Deployment, whole: &Path) {
    let tokens = deployment.token.as_ref().unwrap().conf.with_file_name("tokens");
    std::fs::remove_dir_all(&tokens).unwrap();
    copy_dir(whole, &tokens);
}

#[test]
fn a_root_key_that_is_doubled_weak_replaced_or_gone_is_not_used() {
    if let Some((dir, what)) = meddling() {
        return do_it(&dir, &what);
    }
    let deployment = Deployment::new(true);
    let process = deployment.serve();
    let work = Work::new(&deployment, &process);
    assert_eq!(process.stop().status.code(), Some(0));
    let whole = deployment.dir.path().join("whole");
    copy_dir(&deployment.token.as_ref().unwrap().conf.with_file_name("tokens"), &whole);
    let before = files(&deployment.data());
    for (what, code, words) in [
        ("double", 4, "wanted exactly one object labelled claviger/"),
        ("weaken", 4, "CKA_EXTRACTABLE wanted false, found true"),
        ("widen", 4, "CKA_WRAP wanted false, found true"),
        ("replace", 5, "does not open domain key 1"),
        ("destroy", 5, "this is not the token that protects"),
    ] {
        meddle(a_root_key_that_is_doubled_weak_replaced_or_gone_is_not_used, &deployment, what);
        deployment.try_serve().unwrap_err().assert(code, &[words]);
        // Nor do the commands that would write under it.
        for (name, more) in [("rewrap", &[] as &[&str]), ("rotate", &["pkcs11"])] {
            let refused = crate::roots::support::root(&deployment, name, more);
            refused.assert(code, &[words]);
        }
        let doctor = deployment.run("doctor");
        assert!(!doctor.status.success(), "{what}: {doctor:#?}");
        assert!(files(&deployment.data()) == before, "{what}: something was written");
        put_back(&deployment, &whole);
    }
    let process = deployment.serve();
    work.check(&deployment, &process);
}

/// The file of the root key.
fn object_file(deployment: &Deployment) -> PathBuf {
    let dirs = tokens(deployment.token.as_ref().unwrap());
    let all = dirs.iter().flat_map(|dir| std::fs::read_dir(dir).unwrap());
    let is_object = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "object") && !path.ends_with("token.object")
    };
    let found: Vec<_> = all.map(|entry| entry.unwrap().path()).filter(is_object).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

/// Makes an account: opens the deployment, and writes to it if it opens.
fn write(deployment: &Deployment, account: u64) -> Exit {
    let account = format!("{account:012}");
    crate::harness::run(command(deployment, &["account", "create"], &[&account]))
}

#[test]
fn a_root_key_with_a_bit_flipped_on_disk_opens_right_or_not_at_all() {
    let _busy = machine(false);
    let deployment = Deployment::new(true);
    let process = deployment.serve();
    let work = Work::new(&deployment, &process);
    assert_eq!(process.stop().status.code(), Some(0));
    let file = object_file(&deployment);
    let whole = std::fs::read(&file).unwrap();
    let (mut harmless, mut refused, mut died) = (0, 0, 0);
    // Every byte of the object goes through the same in the tests of the crate hsm; here some of them,
    // with the whole server around them.
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bad = whole.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&file, &bad).unwrap();
        let before = files(&deployment.data());
        let exit = write(&deployment, 200_000_000_000 + at as u64);
        match exit.status.code() {
            Some(0) => harmless += 1,
            Some(4 | 5) => refused += 1,
            // SoftHSM itself ends the process that it is in.
            None => {
                assert!(exit.status.signal().is_some(), "{exit:#?}");
                died += 1;
            }
            Some(_) => panic!("byte {at}: {exit:#?}"),
        }
        if !exit.status.success() {
            let after = files(&deployment.data());
            assert!(after == before, "byte {at}: something was written");
        }
    }
    eprintln!("{harmless} harmless, {refused} refused, {died} ended the process");
    assert!(refused > 5, "hardly any was refused");
    std::fs::write(&file, &whole).unwrap();
    // What was written meanwhile was written under the right key: all of it opens.
    let process = deployment.serve();
    work.check(&deployment, &process);
    let mut client = deployment.client(&process);
    let sealed = client.kms("Encrypt", json!({"KeyId": work.key, "Plaintext": HELLO})).unwrap();
    let opened = client.kms("Decrypt", json!({"CiphertextBlob": sealed["CiphertextBlob"]}));
    assert_eq!(opened.unwrap()["Plaintext"], HELLO);
    assert_eq!(process.stop().status.code(), Some(0));
    let listed = crate::harness::run(command(&deployment, &["account", "list"], &["--json"]));
    assert!(listed.status.success(), "{listed:#?}");
    assert_eq!(listed.stdout.matches("\"2000000").count(), harmless, "{listed:#?}");
}
