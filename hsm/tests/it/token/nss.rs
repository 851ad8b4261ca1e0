//! A module of another vendor: Mozilla's NSS softokn, with a database of one's own for every test.
//!
//! NSS hands out keys that it must keep, so it is accepted by these tests only explicitly. It is
//! the token with the most quirks: it wants parameters to start, refuses to say the length of an
//! AES-GCM output, pads the output of C_WrapKey, and has 161 mechanisms, most of them unknown here.

use super::support::{assert_says, memory_bytes, pin, root_id};
use claviger_hsm::pkcs11::{Pkcs11Config, Pkcs11Hsm};
use claviger_hsm::{Hsm, HsmError, KeyBytes, Mechanism, suite};
use cryptoki::context::Pkcs11;
use cryptoki::object::Attribute;
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use std::any::type_name;
use std::path::{Path, PathBuf};
use std::process::Command;

const PASSWORD: &str = "correct-horse-7";
const CHILD: &str = "CLAVIGER_NSS_TEST_DIR";
/// What NSS calls the token of its database.
const LABEL: &str = "NSS Certificate DB";

/// Runs `body` in a process of its own, with an empty database: a module is started once a
/// process, with one database.
fn on_nss<F: Fn()>(_test: F, body: fn(&Path)) {
    if let Some(dir) = std::env::var_os(CHILD) {
        return body(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let made = Command::new("certutil")
        .args(["-N", "-d", &format!("sql:{}", dir.path().display()), "-f"])
        .arg(&password)
        .output()
        .expect("certutil is not installed. Run softhsm-setup/install.sh nss");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (_, name) = type_name::<F>().split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, dir.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "in the child ({}):\n{stdout}\n{stderr}", output.status);
    assert!(stdout.contains("1 passed"), "the child ran no test {name}:\n{stdout}");
}

fn softokn() -> PathBuf {
    let named = std::env::var_os("CLAVIGER_NSS_MODULE").map(PathBuf::from);
    let usual = [
        "/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
        "/usr/lib/aarch64-linux-gnu/libsoftokn3.so",
        "/usr/lib/x86_64-linux-gnu/nss/libsoftokn3.so",
        "/usr/lib64/libsoftokn3.so",
    ];
    let found = named.into_iter().chain(usual.map(PathBuf::from)).find(|path| path.exists());
    found.expect(
        "NSS is not installed. Run softhsm-setup/install.sh nss, or name its libsoftokn3.so in \
         CLAVIGER_NSS_MODULE",
    )
}

fn config(dir: &Path) -> Pkcs11Config {
    let mut config = Pkcs11Config::new(softokn(), LABEL, pin(PASSWORD));
    let directory = dir.display();
    config.parameters =
        Some(format!("configDir='sql:{directory}' certPrefix='' keyPrefix='' secmod='' flags="));
    config.accept_weak_token = true;
    config
}

fn open(dir: &Path, wrap: Option<Mechanism>) -> Pkcs11Hsm {
    let mut config = config(dir);
    config.wrap = wrap;
    Pkcs11Hsm::open(config).unwrap()
}

/// The module without our crate between, once a device of ours is open or was.
fn raw_session() -> Session {
    let raw = Pkcs11::new(softokn()).unwrap();
    let ours = |slot: &Slot| raw.get_token_info(*slot).unwrap().label() == LABEL;
    let slot = raw.get_slots_with_token().unwrap().into_iter().find(ours).unwrap();
    raw.open_rw_session(slot).unwrap()
}

#[test]
fn passes_the_suite() {
    on_nss(passes_the_suite, |dir| {
        let hsm = open(dir, None);
        suite::all(&hsm);
        assert_eq!(hsm.wrap_mechanism(), Ok(Mechanism::AesGcm));
    });
}

#[test]
fn its_resident_keys_pass_the_suite() {
    on_nss(its_resident_keys_pass_the_suite, |dir| suite::resident::all(&open(dir, None)));
}

fn passes_by(dir: &Path, mechanism: Mechanism) {
    suite::all(&open(dir, Some(mechanism)));
    is_kept(dir, mechanism);
}

/// A root key keeps its mechanism, whatever new ones would have.
fn is_kept(dir: &Path, mechanism: Mechanism) {
    let hsm = open(dir, Some(mechanism));
    hsm.create_root_key(&root_id()).unwrap();
    let key = KeyBytes::new(vec![5; 32]);
    let wrapped = hsm.wrap(&root_id(), &key, b"aad").unwrap();
    // Format 02, and the mechanism in its second byte.
    assert_eq!(wrapped.bytes[..2], [2, mechanism as u8]);
    drop(hsm);
    let hsm = open(dir, None);
    hsm.check_root_key(&root_id()).unwrap();
    assert_eq!(hsm.unwrap(&wrapped, b"aad").unwrap(), key);
    assert_eq!(hsm.unwrap(&wrapped, b"aaD"), Err(HsmError::Authentication));
    assert_eq!(hsm.wrap(&root_id(), &key, b"").unwrap().bytes[..2], [2, mechanism as u8]);
    assert_eq!(hsm.wrap_mechanism(), Ok(Mechanism::AesGcm));
}

#[test]
fn passes_the_suite_by_aes_kwp() {
    on_nss(passes_the_suite_by_aes_kwp, |dir| passes_by(dir, Mechanism::AesKwp));
}

#[test]
fn passes_the_suite_by_aes_kw() {
    on_nss(passes_the_suite_by_aes_kw, |dir| passes_by(dir, Mechanism::AesKw));
}

#[test]
fn passes_the_suite_by_aes_cbc_and_hmac() {
    on_nss(passes_the_suite_by_aes_cbc_and_hmac, |dir| passes_by(dir, Mechanism::AesCbcHmac));
}

/// Not the whole suite, which is a matter of minutes: NSS takes an RSA key out of its database and
/// decrypts it for every use.
#[test]
fn wraps_by_rsa_oaep_with_either_hash() {
    on_nss(wraps_by_rsa_oaep_with_either_hash, |dir| {
        for mechanism in [Mechanism::RsaOaepSha256, Mechanism::RsaOaepSha1] {
            is_kept(dir, mechanism);
            let hsm = open(dir, None);
            let good = hsm.wrap(&root_id(), &KeyBytes::new(vec![5; 32]), b"aad").unwrap();
            for byte in (0..good.bytes.len()).step_by(37) {
                let mut bad = good.clone();
                bad.bytes[byte] ^= 0x80;
                assert_eq!(hsm.unwrap(&bad, b"aad"), Err(HsmError::Authentication), "byte {byte}");
            }
            let bits =
                good.bytes[2..4].iter().fold(0, |len, byte| len * 256 + usize::from(*byte)) * 8;
            assert_eq!(bits, 3072);
            let session = raw_session();
            for object in session.find_objects(&[Attribute::Token(true)]).unwrap() {
                session.destroy_object(object).unwrap();
            }
        }
    });
}

#[test]
fn is_refused_because_it_hands_out_keys() {
    on_nss(is_refused_because_it_hands_out_keys, |dir| {
        let mut strict = config(dir);
        strict.accept_weak_token = false;
        let error = Pkcs11Hsm::open(strict).unwrap_err();
        assert!(matches!(error, HsmError::WeakToken { .. }), "{error:?}");
        assert_says(
            &error,
            &[
                LABEL,
                "a key that is not extractable was wrapped by",
                "CKM_AES_KEY_WRAP_KWP",
                "CKA_EXTRACTABLE=true",
                "accept_weak_token",
            ],
        );
        let hsm = open(dir, None);
        let report = hsm.report().unwrap();
        assert!(report.accept_weak_token);
        let enforcement = report.enforcement.unwrap();
        assert!(!enforcement.is_enough());
        for way in ["CKM_AES_KEY_WRAP", "CKM_RSA_PKCS"] {
            assert!(enforcement.wrapped_out.contains(&way.to_owned()), "{enforcement:?}");
        }
        assert!(enforcement.ignored_allowed_mechanisms.contains(&"CKM_AES_ECB".to_owned()));
        // Nothing of the trials stays.
        assert_eq!((report.aes_keys, report.rsa_keys), (vec![], vec![]));
    });
}

/// Each key that is unwrapped is an object for a moment.
#[test]
fn unwrapping_many_keys_takes_no_memory() {
    on_nss(unwrapping_many_keys_takes_no_memory, |dir| {
        let hsm = open(dir, Some(Mechanism::AesKwp));
        hsm.create_root_key(&root_id()).unwrap();
        let key = KeyBytes::new(vec![5; 32]);
        let wrapped = hsm.wrap(&root_id(), &key, b"").unwrap();
        let unwrap = |times| {
            for _ in 0..times {
                assert_eq!(hsm.unwrap(&wrapped, b"").unwrap(), key);
            }
        };
        unwrap(500);
        let before = memory_bytes();
        unwrap(5000);
        let more = memory_bytes().saturating_sub(before);
        assert!(more < 5000 * 100, "{more} bytes for 5000 keys");
    });
}

#[test]
fn all_its_mechanisms_are_seen() {
    on_nss(all_its_mechanisms_are_seen, |dir| {
        let hsm = open(dir, None);
        let mechanisms = hsm.mechanisms();
        assert!(mechanisms.contains(&"CKM_AES_KEY_WRAP_KWP".to_owned()), "{mechanisms:?}");
        let unknown = mechanisms.iter().filter(|name| name.starts_with("0x")).count();
        assert!(mechanisms.len() > 100 && unknown > 20, "{} {unknown}", mechanisms.len());
        let report = hsm.report().unwrap();
        assert_eq!(report.profile.name, "nss");
        assert!(!report.device.hardware);
        assert!(!format!("{report:?}").contains(PASSWORD));
    });
}

#[test]
fn its_parameters_are_those_of_who_came_first() {
    on_nss(its_parameters_are_those_of_who_came_first, |dir| {
        let hsm = open(dir, None);
        let mut other = config(dir);
        other.parameters = Some("configDir='sql:/nowhere'".into());
        let error = Pkcs11Hsm::open(other).unwrap_err();
        assert_says(&error, &["libsoftokn3.so", "other parameters", "/nowhere"]);
        let mut bad = config(dir);
        bad.parameters = Some("a\0b".into());
        assert!(matches!(Pkcs11Hsm::open(bad), Err(HsmError::Refused(_))));
        drop(hsm);
    });
}

#[test]
fn a_wrong_password_is_tried_once() {
    on_nss(a_wrong_password_is_tried_once, |dir| {
        let mut wrong = config(dir);
        wrong.pin = pin("wrong-horse-7").into();
        let error = Pkcs11Hsm::open(wrong).unwrap_err();
        assert!(matches!(error, HsmError::WrongPin { .. }), "{error:?}");
        assert_eq!(claviger_hsm::pkcs11::login_attempts(&softokn()), 1);
        open(dir, None).create_root_key(&root_id()).unwrap();
    });
}
