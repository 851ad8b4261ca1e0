//! A SoftHSM of one's own for every test.
//!
//! SoftHSM reads the environment variable SOFTHSM2_CONF once a process, and a process cannot
//! change its environment safely. So a test runs itself again in a child process that has the
//! variable, and passes if the child does. Works alike under cargo test and cargo nextest.

use claviger_hsm::pkcs11::{self, Pin, Pkcs11Config, Pkcs11Hsm};
use claviger_hsm::{HsmError, RootKeyId};
use claviger_pkcs11_shim as shim;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use std::any::type_name;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub const LABEL: &str = "claviger-test";
pub const PIN: &str = "correct-horse-7";
pub const SO_PIN: &str = "battery-staple-9";
const CHILD: &str = "CLAVIGER_HSM_TEST_DIR";

/// Runs `body` with a token labelled [`LABEL`]. `test` is the test function itself: its name is
/// what the child process is asked to run.
pub fn on_token<F: Fn()>(test: F, body: fn(&TestToken)) {
    on_softhsm(test, "", |token| {
        token.init(LABEL);
        body(token);
    });
}

/// As [`on_token`], but between the device and SoftHSM stands a module that injects faults by
/// the rules of [`TestToken::rules`].
pub fn on_shim<F: Fn()>(test: F, body: fn(&TestToken)) {
    in_child(test, "", true, |token| {
        token.init(LABEL);
        body(token);
    });
}

/// Runs `body` with a SoftHSM that has a blank token only, and `conf` in its configuration.
pub fn on_softhsm<F: Fn()>(test: F, conf: &str, body: impl FnOnce(&TestToken)) {
    in_child(test, conf, false, body);
}

fn in_child<F: Fn()>(_test: F, conf: &str, with_shim: bool, body: impl FnOnce(&TestToken)) {
    if let Some(dir) = std::env::var_os(CHILD) {
        let module = if with_shim { shim::path() } else { softhsm() };
        return body(&TestToken { module, dir: dir.into() });
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tokens")).unwrap();
    let conf_path = dir.path().join("softhsm2.conf");
    let tokens = dir.path().join("tokens");
    let base = "objectstore.backend = file\nlog.level = ERROR\n";
    let text = format!("directories.tokendir = {}\n{base}{conf}", tokens.display());
    std::fs::write(&conf_path, text).unwrap();

    let (_, name) = type_name::<F>().split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env("SOFTHSM2_CONF", &conf_path)
        .env(shim::MODULE, softhsm())
        .env(shim::CONTROL, dir.path().join("rules"))
        .env(shim::LOG, dir.path().join("calls"))
        .env(CHILD, dir.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "in the child ({}):\n{stdout}\n{stderr}", output.status);
    assert!(stdout.contains("1 passed"), "the child ran no test {name}:\n{stdout}");
    print!("{stdout}");
}

/// Where SoftHSM is. Not a reason to skip: a test that did not run proves nothing.
pub fn softhsm() -> PathBuf {
    let named = std::env::var_os("CLAVIGER_SOFTHSM_MODULE").map(PathBuf::from);
    let usual = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ];
    let found = named.into_iter().chain(usual.map(PathBuf::from)).find(|path| path.exists());
    found.expect(
        "SoftHSM is not installed. Run softhsm-setup/install.sh (or: apt-get install softhsm2), \
         or name its library in CLAVIGER_SOFTHSM_MODULE",
    )
}

pub struct TestToken {
    pub module: PathBuf,
    pub dir: PathBuf,
}

impl TestToken {
    pub fn init(&self, label: &str) {
        pkcs11::init_token(&self.module, label, &pin(SO_PIN), &pin(PIN)).unwrap();
    }

    pub fn config(&self) -> Pkcs11Config {
        Pkcs11Config::new(&self.module, LABEL, pin(PIN))
    }

    pub fn open(&self) -> Pkcs11Hsm {
        Pkcs11Hsm::open(self.config()).unwrap()
    }

    pub fn open_error(&self, change: impl FnOnce(&mut Pkcs11Config)) -> HsmError {
        let mut config = self.config();
        change(&mut config);
        Pkcs11Hsm::open(config).unwrap_err()
    }

    /// The faults from now on (see `claviger_pkcs11_shim`).
    pub fn rules(&self, rules: &str) {
        shim::set_rules(&self.dir.join("rules"), rules).unwrap();
    }

    /// How often a function of the module was called so far.
    pub fn calls(&self, function: &str) -> usize {
        let is_it = |line: &String| line.split(' ').next() == Some(function);
        shim::log(&self.dir.join("calls")).iter().filter(|line| is_it(line)).count()
    }

    /// SoftHSM without our crate between, nor a module that injects faults: what anyone who has
    /// the PIN can do.
    pub fn raw(&self) -> Pkcs11 {
        let pkcs11 = Pkcs11::new(softhsm()).unwrap();
        match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => pkcs11,
            Err(e) => panic!("{e:?}"),
        }
    }

    pub fn raw_slot(&self) -> Slot {
        let raw = self.raw();
        let ours = |slot: &Slot| raw.get_token_info(*slot).unwrap().label() == LABEL;
        raw.get_slots_with_token().unwrap().into_iter().find(ours).unwrap()
    }

    /// A read-write session of the user, logged in if nobody is.
    pub fn raw_session(&self) -> Session {
        let session = self.raw().open_rw_session(self.raw_slot()).unwrap();
        if session.get_session_info().unwrap().session_state() != SessionState::RwUser {
            session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
        }
        session
    }
}

/// Bytes of memory that this process has resident.
pub fn memory_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

pub fn pin(text: &str) -> Pin {
    Pin::new(text.into())
}

pub fn root_id() -> RootKeyId {
    RootKeyId::new("claviger/test/rk-d/1")
}

/// Every part must be in the error's sentence: what was sought and what was found.
pub fn assert_says(error: &HsmError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert!(!text.contains(PIN) && !text.contains(SO_PIN), "a PIN is in: {text}");
}

pub fn logins(module: &Path) -> u64 {
    pkcs11::login_attempts(module)
}

#[expect(clippy::disallowed_methods, reason = "measures elapsed time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Runs `body` again and again until it is true; it must be within `limit`.
pub fn wait_until(limit: Duration, mut body: impl FnMut() -> bool) -> Duration {
    let begun = now();
    while !body() {
        assert!(begun.elapsed() < limit, "not within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}
