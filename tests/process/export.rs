//! Whoever has the PIN can use the root key of a real `dev` run, but not take it out. The crate
//! claviger-hsm tries more ways; this is the key that the program itself made.
use crate::dev::{admin, dev, exports};
use crate::setup::softhsm;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use serde_json::json;
use std::path::Path;
use std::process::Command;

const CHILD: &str = "CLAVIGER_EXPORT_TEST_DIR";

#[test]
fn the_root_key_does_not_leave_its_token() {
    // SoftHSM's configuration comes from the environment, so the attack runs in a child process.
    if let Some(dir) = std::env::var_os(CHILD) {
        return attack(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let process = dev(dir.path(), &[]);
    let env = exports(&dir.path().join("dev").join("env"));
    let made = admin(&process, &env).kms("CreateKey", json!({})).unwrap();
    let id = made["KeyMetadata"]["KeyId"].clone();
    let softhsm = dir.path().join("dev").join("softhsm");
    // While it serves, and after it stopped.
    assault(&softhsm);
    assert!(process.stop().status.success());
    assault(&softhsm);
    // The key is the one it was.
    let process = dev(dir.path(), &[]);
    let env = exports(&dir.path().join("dev").join("env"));
    admin(&process, &env).kms("Encrypt", json!({"KeyId": id, "Plaintext": "YQ=="})).unwrap();
}

fn assault(softhsm: &Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "export::the_root_key_does_not_leave_its_token", "--nocapture"])
        .env("SOFTHSM2_CONF", softhsm.join("softhsm2.conf"))
        .env(CHILD, softhsm)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
}

fn rv<T>(result: Result<T, Error>) -> RvError {
    match result {
        Err(Error::Pkcs11(rv, _)) => rv,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was allowed"),
    }
}

fn attack(dir: &Path) {
    let pin = std::fs::read_to_string(dir.join("pin")).unwrap();
    let pkcs11 = Pkcs11::new(softhsm()).unwrap();
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slots = pkcs11.get_slots_with_token().unwrap();
    let ours = |slot: &&cryptoki::slot::Slot| {
        pkcs11.get_token_info(**slot).unwrap().label() == "claviger-dev"
    };
    let session = pkcs11.open_rw_session(*slots.iter().find(ours).unwrap()).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(pin.trim().into()))).unwrap();
    let all = session.find_objects(&[]).unwrap();
    let [root] = all[..] else { panic!("not one object: {all:?}") };

    let info = session.get_attribute_info(root, &[AttributeType::Value]).unwrap();
    assert!(matches!(info[..], [AttributeInfo::Sensitive]), "{info:?}");
    assert!(session.get_attributes(root, &[AttributeType::Value]).is_ok_and(|v| v.is_empty()));
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(32.into()),
        Attribute::Token(false),
        Attribute::Extractable(true),
        Attribute::Sensitive(false),
        Attribute::Wrap(true),
    ];
    let mine = session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
    for mechanism in [Mechanism::AesKeyWrap, Mechanism::AesKeyWrapPad] {
        assert_eq!(rv(session.wrap_key(&mechanism, mine, root)), RvError::KeyUnextractable);
    }
    let weaker = [Attribute::Extractable(true), Attribute::Sensitive(false)];
    assert_eq!(rv(session.copy_object(root, &weaker)), RvError::ActionProhibited);
    for change in weaker {
        let refused = rv(session.update_attributes(root, std::slice::from_ref(&change)));
        let expected = [RvError::ActionProhibited, RvError::AttributeReadOnly];
        assert!(expected.contains(&refused), "{change:?}: {refused:?}");
    }
    assert_eq!(rv(session.encrypt(&Mechanism::AesEcb, root, &[0; 16])), RvError::MechanismInvalid);
}
