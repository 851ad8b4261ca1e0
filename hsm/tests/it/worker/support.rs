//! Helpers for tests: the real program, and the test's own binary as a helper whose device, or
//! whose way of answering, is at fault.

use crate::timing::MS;
use claviger_hsm::worker::{OpenRequest, run_child_with, serve};
use claviger_hsm::{
    DeviceInfo, HelperConfig, HelperHsm, Hsm, HsmError, KeyBytes, RootKeyId, SoftwareHsm,
    WrappedKey,
};
use std::any::type_name;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

/// Says that this process is a helper, and how it misbehaves.
const MODE: &str = "CLAVIGER_HSM_TEST_HELPER";
/// Where a helper notes what it was asked to do.
const NOTES: &str = "CLAVIGER_HSM_TEST_NOTES";

/// The helper program of this crate, as it is.
pub fn helper() -> HelperConfig {
    let mut config = HelperConfig::new(env!("CARGO_BIN_EXE_claviger-device-helper"));
    config.env = std::env::vars_os().collect();
    config
}

/// Runs `body` with a helper that is this test itself, run again: there it serves a [`Faulty`]
/// device in the way that `mode` says. `body` gets its configuration and a file for its notes.
pub fn on_faulty<F: Fn()>(_test: F, mode: &str, body: impl FnOnce(HelperConfig, &Path)) {
    if let Ok(mode) = std::env::var(MODE) {
        misbehave(&mode);
        std::process::exit(0);
    }
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("notes");
    let (_, name) = type_name::<F>().split_once("::").unwrap();
    let mut config = HelperConfig::new(std::env::current_exe().unwrap());
    config.args =
        ["--exact", name, "--nocapture", "--test-threads=1"].map(Into::into).into_iter().collect();
    config.env = std::env::vars_os().collect();
    config.env.push((MODE.into(), mode.into()));
    config.env.push((NOTES.into(), notes.clone().into()));
    config.deadline = 500 * MS;
    config.start_deadline = 5000 * MS;
    body(config, &notes);
}

pub fn software() -> OpenRequest {
    OpenRequest::Software { seed: KeyBytes::new(vec![7; 32]) }
}

pub fn start(config: HelperConfig) -> HelperHsm {
    HelperHsm::start(config, software()).unwrap()
}

pub fn root() -> RootKeyId {
    RootKeyId::new("claviger/test/rk-d/1")
}

pub fn key() -> KeyBytes {
    KeyBytes::new(vec![5; 32])
}

pub fn wrap(hsm: &dyn Hsm, aad: &[u8]) -> Result<WrappedKey, HsmError> {
    hsm.wrap(&root(), &key(), aad)
}

/// The error says that the device is unavailable, and this.
pub fn unavailable<T: std::fmt::Debug>(result: Result<T, HsmError>, says: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, HsmError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains(says), "{says:?} is missing in: {error}");
}

/// Whether there is a process of this number that has not ended.
pub fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name in parentheses: the state. Z has ended and waits for its parent.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status();
    assert!(status.unwrap().success(), "kill -{name} {pid}");
}

fn misbehave(mode: &str) {
    match mode {
        "device" => {
            run_child_with(|_| Ok(Arc::new(Faulty::new())));
        }
        "slow-open" => {
            run_child_with(|_| {
                thread::sleep(3000 * MS);
                Ok(Arc::new(Faulty::new()))
            });
        }
        "crash-on-open" => {
            note("open");
            run_child_with(|_| std::process::abort());
        }
        "silent" => thread::sleep(600_000 * MS),
        "another-version" => {
            socket().write_all(b"claviH\0\x7f").unwrap();
            thread::sleep(600_000 * MS);
        }
        mode => meddle(mode),
    }
}

pub fn socket() -> UnixStream {
    UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap())
}

fn note(what: &str) {
    let path = PathBuf::from(std::env::var_os(NOTES).unwrap());
    let mut notes = OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(notes, "{what}").unwrap();
}

/// Serves a device that works, but changes the answers to wraps with "meddle" as `mode` says.
fn meddle(mode: &str) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    thread::spawn(move || serve(theirs, |_| Ok(Arc::new(Faulty::new()))));
    let (mut from_parent, mut to_helper) = (socket(), ours.try_clone().unwrap());
    let lives_on = mode == "closed";
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_parent, &mut to_helper);
        if !lives_on {
            std::process::exit(0);
        }
    });
    let (mut from_helper, mut to_parent) = (ours, socket());
    let mut preamble = [0; 8];
    from_helper.read_exact(&mut preamble).unwrap();
    to_parent.write_all(&preamble).unwrap();
    for answer in 0.. {
        let mut frame = vec![0; 4];
        from_helper.read_exact(&mut frame).unwrap();
        let len = u32::from_be_bytes(frame[..4].try_into().unwrap());
        frame.resize(4 + len as usize, 0);
        from_helper.read_exact(&mut frame[4..]).unwrap();
        // The first opens the device, the second and third wrap a key and a witness.
        if answer < 3 {
            to_parent.write_all(&frame).unwrap();
            continue;
        }
        // Fails when it has been killed for it.
        let _ = corrupt(mode, &frame, &mut to_parent);
    }
}

fn corrupt(mode: &str, frame: &[u8], to: &mut UnixStream) -> std::io::Result<()> {
    match mode {
        "random" => to.write_all(&[0xa5; 4096]),
        "oversized" => to.write_all(&u32::MAX.to_be_bytes()),
        "undersized" => to.write_all(&[0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8]),
        "cut-short" => {
            to.write_all(&frame[..frame.len() / 2])?;
            std::process::exit(0)
        }
        "stalled" => {
            to.write_all(&frame[..frame.len() / 2])?;
            thread::sleep(600_000 * MS);
            Ok(())
        }
        "another-number" => {
            let mut frame = frame.to_vec();
            frame[4] ^= 1;
            to.write_all(&frame)
        }
        "twice" => {
            to.write_all(frame)?;
            to.write_all(frame)
        }
        // "Done", which postcard encodes as Ok (0) and the second variant (1).
        "another-answer" => to.write_all(&[&[0, 0, 0, 10], &frame[4..12], &[0, 1]].concat()),
        "longer" => {
            let len = u32::try_from(frame.len() - 4 + 1).unwrap().to_be_bytes();
            to.write_all(&[&len, &frame[4..], &[0]].concat())
        }
        "empty" => to.write_all(&[&[0, 0, 0, 8], &frame[4..12]].concat()),
        "flood" => loop {
            to.write_all(&[0; 65536])?;
        },
        "closed" => {
            to.shutdown(std::net::Shutdown::Both)?;
            thread::sleep(600_000 * MS);
            Ok(())
        }
        mode => unreachable!("no such mode: {mode}"),
    }
}

/// A device whose wraps do what their associated data says.
#[derive(Debug)]
struct Faulty(SoftwareHsm);

impl Faulty {
    fn new() -> Self {
        note("open");
        let inner = SoftwareHsm::seeded([7; 32]);
        inner.create_root_key(&root()).unwrap();
        Self(inner)
    }
}

fn obey(order: &[u8]) -> Result<(), HsmError> {
    if !order.starts_with(b"do ") {
        return Ok(());
    }
    note(std::str::from_utf8(order).unwrap());
    match order {
        b"do hang" => thread::sleep(600_000 * MS),
        b"do exit" => std::process::exit(3),
        b"do segv" => {
            // Rust's own handler looks for a stack overflow first, and is gone after that.
            signal("SEGV", std::process::id());
            signal("SEGV", std::process::id());
            thread::sleep(1000 * MS);
        }
        b"do spawn" => {
            let spawn = ["-c", "sleep 600 >/dev/null 2>&1 & echo $!"];
            let spawned = Command::new("sh").args(spawn).output().unwrap().stdout;
            note(&format!("spawned {}", String::from_utf8_lossy(&spawned).trim()));
        }
        b"do abort" => std::process::abort(),
        b"do panic" => panic!("a bug in the driver"),
        b"do sleep" => thread::sleep(100 * MS),
        b"do print" => {
            println!("a module that says hello");
            eprintln!("and complains");
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            assert_eq!((read.unwrap(), text.as_str()), (0, ""), "stdin is not empty");
        }
        b"do inspect" => return Err(HsmError::Refused(inspect())),
        order => unreachable!("no such order: {order:?}"),
    }
    Ok(())
}

/// What a helper sees of itself.
fn inspect() -> String {
    let link = |fd| std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let core: Vec<&str> = core.split_whitespace().collect();
    format!(
        "fds: {:?} {:?} {:?}; core: {}; args: {:?}; env: {:?}",
        link(0),
        link(1),
        link(2),
        core[4..6].join(" "),
        std::env::args().collect::<Vec<_>>(),
        std::env::vars().collect::<Vec<_>>()
    )
}

impl Hsm for Faulty {
    fn info(&self) -> DeviceInfo {
        self.0.info()
    }
    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        self.0.random(out)
    }
    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        if id.as_str().contains("crash") {
            note("create");
            std::process::abort();
        }
        self.0.create_root_key(id)
    }
    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.0.destroy_root_key(id)
    }
    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        self.0.root_keys()
    }
    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.0.check_root_key(id)
    }
    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        obey(aad)?;
        self.0.wrap(root, key, aad)
    }
    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.0.unwrap(wrapped, aad)
    }
}
