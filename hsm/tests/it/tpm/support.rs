//! A software TPM of one's own for every test.
//!
//! libtss2 reads TSS2_LOG from the environment, and a process cannot change its environment safely.
//! So a test runs itself again in a child process that has the variable, and passes if the child
//! does. The child starts swtpm on two ports that are free, with its state in a directory of its
//! own, and kills it in the end. Works alike under cargo test and cargo nextest.

use claviger_hsm::tpm::{QUIET, TpmConfig, TpmHsm};
use claviger_hsm::{HsmError, KeyBytes, RootKeyId};
use std::any::type_name;
use std::cell::RefCell;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tss_esapi::Context;
use tss_esapi::tcti_ldr::TctiNameConf;

const CHILD: &str = "CLAVIGER_HSM_TPM_TEST";
pub const AUTH: &str = "correct-horse-7";

pub struct Swtpm {
    dir: tempfile::TempDir,
    pub port: u16,
    /// While these are held no other test takes the ports, not even between two starts.
    _ports: [File; 2],
    process: RefCell<Option<Child>>,
}

/// Runs `body` with a fresh TPM. `test` is the test function itself: its name is what the child
/// process is asked to run.
pub fn on_swtpm<F: Fn()>(_test: F, body: impl FnOnce(&Swtpm)) {
    if std::env::var_os(CHILD).is_some() {
        return body(&Swtpm::start());
    }
    let (_, name) = type_name::<F>().split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1", "--include-ignored"])
        .env(QUIET.0, QUIET.1)
        .env(CHILD, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "in the child ({}):\n{stdout}\n{stderr}", output.status);
    assert!(stdout.contains("1 passed"), "the child ran no test {name}:\n{stdout}");
}

impl Swtpm {
    pub fn start() -> Self {
        for _ in 0..20 {
            let (port, ports) = free_ports();
            let dir = tempfile::tempdir().unwrap();
            let swtpm = Self { dir, port, _ports: ports, process: RefCell::new(None) };
            if swtpm.try_start() {
                return swtpm;
            }
        }
        panic!("swtpm does not start on 20 pairs of ports");
    }

    fn try_start(&self) -> bool {
        let address = |port: u16| format!("type=tcp,bindaddr=127.0.0.1,port={port}");
        let mut child = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", self.dir.path().display())])
            .args(["--server", &address(self.port), "--ctrl", &address(self.port + 1)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("swtpm is not installed. Run softhsm-setup/install.sh swtpm");
        for _ in 0..6000 {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port + 1)).is_ok() {
                *self.process.borrow_mut() = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        false
    }

    /// As a power cut would.
    pub fn kill(&self) {
        let mut child = self.process.borrow_mut().take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// On the same state and the same ports.
    pub fn start_again(&self) {
        assert!(self.process.borrow().is_none());
        assert!((0..50).any(|_| self.try_start()), "swtpm does not start again");
    }

    /// Sends swtpm a signal by its name.
    pub fn signal(&self, name: &str) {
        let id = self.process.borrow().as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.unwrap().success());
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    pub fn config(&self) -> TpmConfig {
        TpmConfig::new(self.tcti().parse().unwrap())
    }

    pub fn open(&self) -> TpmHsm {
        TpmHsm::open(self.config()).unwrap()
    }

    pub fn open_with(&self, change: impl FnOnce(&mut TpmConfig)) -> TpmHsm {
        let mut config = self.config();
        change(&mut config);
        TpmHsm::open(config).unwrap()
    }

    /// The TPM without our crate between: what anyone who reaches it can do.
    pub fn raw(&self) -> Context {
        Context::new(self.tcti().parse::<TctiNameConf>().unwrap()).unwrap()
    }

    /// Runs one of tpm2-tools, which speak for the rest of the world.
    pub fn tool(&self, command: &str, args: &[&str]) -> String {
        let output = Command::new(command)
            .args(["-T", &self.tcti()])
            .args(args)
            .current_dir(self.dir())
            .output()
            .expect("tpm2-tools is not installed. Run softhsm-setup/install.sh swtpm");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{command} {args:?}: {stderr}");
        text(&output.stdout)
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        if self.process.borrow().is_some() {
            self.kill();
        }
    }
}

/// A port that is free and has a free one after it: below those that the system gives to whoever
/// connects, and taken by file locks from the tests that run beside this one.
fn free_ports() -> (u16, [File; 2]) {
    // Every test has a process of its own, and so begins elsewhere.
    let first = 10_000 + u16::try_from(std::process::id() * 2 % 9_000).unwrap();
    for port in (first..19_998).chain(10_000..first).step_by(2) {
        if let (Some(one), Some(other)) = (take(port), take(port + 1)) {
            return (port, [one, other]);
        }
    }
    panic!("no two free ports in a row");
}

fn take(port: u16) -> Option<File> {
    let name = format!("swtpm-{port}.lock");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let lock = File::options().create(true).truncate(false).write(true).open(path).unwrap();
    let is_free = lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok();
    is_free.then_some(lock)
}

pub fn root_id() -> RootKeyId {
    RootKeyId::new("claviger/test/rk-d/1")
}

pub fn auth(text: &str) -> Option<KeyBytes> {
    Some(KeyBytes::new(text.as_bytes().to_vec()))
}

pub fn key() -> KeyBytes {
    KeyBytes::new((100..132).collect())
}

/// Every part must be in the error's sentence: what was sought and what was found.
pub fn assert_says(error: &HsmError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert!(!text.contains(AUTH), "the auth value is in: {text}");
}
