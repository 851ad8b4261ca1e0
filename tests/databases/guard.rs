//! Starts a server so that it does not outlive the test's process: a shell waits at the end of a pipe
//! that only this process holds. When the pipe closes, the server and its directory go.
#![expect(clippy::disallowed_methods, reason = "these tests measure elapsed time")]
use std::fs::File;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where no database server runs as root, ours run as this user and group, `nobody`'s.
const NOBODY: u32 = 65_534;
/// A machine that is building at the same time is slow.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// `$1` is the directory, `$2` the signal that ends the server, the rest its command.
const GUARD: &str = r#"
directory=$1; signal=$2; shift 2
"$@" &
server=$!
cat >/dev/null
kill -s "$signal" $server
wait $server
rm -rf -- "$directory"
"#;

/// A directory for one server, owned by the user it runs as.
pub(super) fn directory() -> PathBuf {
    let directory = tempfile::Builder::new().prefix("claviger-db-").tempdir().unwrap().keep();
    give(&directory);
    directory
}

pub(super) fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Gives a file to the user that servers run as.
pub(super) fn give(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// The words that run a program as the servers' user.
fn as_user(program: &Path) -> Vec<String> {
    let mut words = Vec::new();
    if is_root() {
        let id = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
        words.extend(["setpriv".to_owned(), "--clear-groups".into()]);
        words.extend(id);
    }
    words.push(program.to_str().unwrap().to_owned());
    words
}

/// Runs a program that ends, as the servers' user.
pub(super) fn run(program: &Path, arguments: &[String], log: &Path) {
    let words = as_user(program);
    let out = File::create(log).unwrap();
    let status = Command::new(&words[0])
        .args(&words[1..])
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .status()
        .unwrap();
    assert!(status.success(), "{program:?} failed: {}", super::text_of(log));
}

/// Starts a server and waits until its log has these words. None if it ended before.
pub(super) fn start(
    directory: &Path,
    signal: &str,
    program: &Path,
    arguments: &[String],
    log: &Path,
    ready: &str,
) -> Option<Child> {
    let out = File::create(log).unwrap();
    let mut guard = Command::new("sh")
        .args(["-c", GUARD, "guard", directory.to_str().unwrap(), signal])
        .args(as_user(program))
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        // What ends the test's group must not end the guard before it has cleaned up.
        .process_group(0)
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while begun.elapsed() < START_DEADLINE {
        let text = super::text_of(log);
        if text.contains(ready) {
            return Some(guard);
        }
        if text.contains("ddress already in use") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let text = super::text_of(log);
    drop(guard.stdin.take());
    guard.wait().unwrap();
    assert!(text.contains("ddress already in use"), "{program:?} did not start: {text}");
    None
}
