//! Starts the program, waits until it serves, and never leaves it behind.
use crate::client::{self, Client};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_claviger");
/// A start takes a fraction of a second; the machine may be busy with other tests.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "tests measure elapsed time")]
pub fn now() -> Instant {
    Instant::now()
}

/// How a program ended that was not to go on.
#[derive(Debug)]
pub struct Exit {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Exit {
    /// Refused with this exit code, in words that hold each of `parts`, and without a panic.
    pub fn assert(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is missing in {self:#?}");
        }
        assert!(self.status.signal().is_none());
    }
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// From the start of the process to the first answer of /readyz.
    pub took: Duration,
    out: Outputs,
    ended: bool,
}

/// Where a process writes to.
#[derive(Debug)]
struct Outputs {
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Outputs {
    fn read(&self) -> (String, String) {
        let text = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        (text(&self.stdout), text(&self.stderr))
    }
}

/// `claviger` with nothing of this process's environment that could change what it does.
pub fn program(conf: Option<&Path>) -> Command {
    // Another build of it than the tests', such as one for release whose speed is to be measured.
    let other = std::env::var_os("CLAVIGER_TEST_PROGRAM");
    let mut command = Command::new(other.unwrap_or_else(|| PROGRAM.into()));
    for name in ["CLAVIGER_CONFIG", "CLAVIGER_LOG", "SOFTHSM2_CONF"] {
        command.env_remove(name);
    }
    if let Some(conf) = conf {
        command.env("SOFTHSM2_CONF", conf);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself.
#[must_use]
pub fn run(mut command: Command) -> Exit {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    Exit {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Starts a server; `address` finds out from its standard output where it listens. `Err` if it
/// ended instead of getting ready. What it prints goes into files in `scratch`.
pub fn start(
    command: Command,
    scratch: &Path,
    address: impl Fn(&str) -> Option<SocketAddr>,
) -> Result<Process, Exit> {
    start_until(command, scratch, address, 200)
}

/// Likewise, until /readyz answers with another status.
pub fn start_until(
    mut command: Command,
    scratch: &Path,
    address: impl Fn(&str) -> Option<SocketAddr>,
    ready: u16,
) -> Result<Process, Exit> {
    let began = now();
    let out = Outputs { stdout: scratch.join("stdout"), stderr: scratch.join("stderr") };
    command.stdout(File::create(&out.stdout).unwrap());
    command.stderr(File::create(&out.stderr).unwrap());
    let child = command.spawn().unwrap();
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut process = Process { child, address: nowhere, took: Duration::ZERO, out, ended: false };
    loop {
        if let Some(status) = process.child.try_wait().unwrap() {
            process.ended = true;
            return Err(process.exit(status));
        }
        let (stdout, stderr) = process.out.read();
        if let Some(address) = address(&stdout)
            && client::get(address, "/readyz").is_ok_and(|answer| answer.status == ready)
        {
            process.address = address;
            process.took = began.elapsed();
            return Ok(process);
        }
        assert!(began.elapsed() < START, "not ready after {START:?}:\n{stdout}\n{stderr}");
        std::thread::sleep(Duration::from_millis(4));
    }
}

/// A port below those that the system gives out by itself, taken by a file lock from the tests that
/// run beside this one: without it, one test could find another one's server ready.
#[derive(Debug)]
pub struct Port {
    pub number: u16,
    _lock: File,
}

impl Port {
    pub fn free() -> Self {
        let mut numbers = Numbers(u64::from(std::process::id()));
        loop {
            let number = 20_000 + u16::try_from(numbers.below(10_000)).unwrap();
            if let Some(port) = Self::take(number) {
                return port;
            }
        }
    }

    /// Two, one after the other.
    pub fn pair() -> [Self; 2] {
        loop {
            let first = Self::free();
            if let Some(second) = Self::take(first.number + 1) {
                return [first, second];
            }
        }
    }

    fn take(number: u16) -> Option<Self> {
        let lock = lock_file(&format!("port-{number}"));
        let is_free = lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok();
        is_free.then_some(Self { number, _lock: lock })
    }
}

fn lock_file(name: &str) -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.lock"));
    File::options().create(true).truncate(false).write(true).open(path).unwrap()
}

impl Process {
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn stdout(&self) -> String {
        self.out.read().0
    }

    pub fn stderr(&self) -> String {
        self.out.read().1
    }

    pub fn client(&self, key: &str, secret: &str) -> Client {
        Client::new(self.address, key, secret)
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        assert!(self.is_alive(), "it ended by itself:\n{}", self.stderr());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.ended = true;
    }

    /// Asks it to stop, as an orchestrator would.
    pub fn stop(self) -> Exit {
        kill_process(self.pid(), Signal::TERM).unwrap();
        self.ended(STOP)
    }

    /// Waits for its end.
    pub fn ended(mut self, within: Duration) -> Exit {
        let began = now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.ended = true;
                return self.exit(status);
            }
            assert!(began.elapsed() < within, "does not stop:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(4));
        }
    }

    fn exit(&self, status: ExitStatus) -> Exit {
        let (stdout, stderr) = self.out.read();
        Exit { status, stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// splitmix64: the same numbers every run.
#[derive(Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Tests that measure time want the machine for themselves: they take it exclusively, the heavy
/// ones among the others take it shared. A file, because nextest runs each test in a process.
pub fn machine(exclusive: bool) -> File {
    let file = lock_file("machine");
    if exclusive {
        file.lock().unwrap()
    } else {
        file.lock_shared().unwrap()
    }
    file
}

/// A socket that a killed server left behind is no file.
fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// Every file under a directory with its bytes.
pub fn files(dir: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !is_socket(&path) {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// Copies a directory with its modes.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, from.metadata().unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else if !is_socket(&path) {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Asks until it is so, and answers how long that took: no longer than `within`, the last question included.
pub fn wait_until(within: Duration, what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let began = now();
    loop {
        let so = is_so();
        let took = began.elapsed();
        assert!(took < within, "not within {within:?}, but {so} after {took:?}: {what}");
        if so {
            return took;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
