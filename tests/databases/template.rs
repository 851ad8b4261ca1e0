//! What a server's own program makes of an empty directory, kept for the next process: where each test
//! is a process, as under nextest, each would wait for it. Nothing is taken on trust that an earlier
//! run left: what is not whole is made anew.
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const DIGEST_BYTES: usize = 32;

/// Fills the directory `data`, which is not there yet: with what was kept under this key, or else by
/// `make`, whose work is kept. `key` says all that `make` depends on.
pub(super) fn fill(folder: &Path, key: &str, data: &Path, make: impl FnOnce()) {
    std::fs::create_dir_all(folder).unwrap();
    let name: String =
        Sha256::digest(key).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let file = folder.join(format!("database-{name}"));
    let lock = folder.join(format!("database-{name}.lock"));
    let lock = File::options().create(true).truncate(false).write(true).open(lock).unwrap();
    // One makes it, the others wait.
    lock.lock().unwrap();
    match whole(&file) {
        Some(archive) => {
            drop(lock);
            unpack(&archive, data);
        }
        None => {
            make();
            keep(data, &file);
        }
    }
}

/// The archive in the file, if it is as it was written.
fn whole(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(file).ok()?;
    let archive = bytes.split_off(DIGEST_BYTES.min(bytes.len()));
    (Sha256::digest(&archive)[..] == bytes[..]).then_some(archive)
}

fn keep(data: &Path, file: &Path) {
    let made = tar(data).args(["--create", "."]).output().unwrap();
    assert!(made.status.success(), "tar: {}", String::from_utf8_lossy(&made.stderr));
    let mut kept = tempfile::NamedTempFile::new_in(file.parent().unwrap()).unwrap();
    kept.write_all(&Sha256::digest(&made.stdout)).unwrap();
    kept.write_all(&made.stdout).unwrap();
    kept.persist(file).unwrap();
}

fn unpack(archive: &[u8], data: &Path) {
    std::fs::create_dir(data).unwrap();
    let mut child = tar(data)
        .args(["--extract", "--preserve-permissions"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(archive).unwrap();
    assert!(child.wait().unwrap().success(), "tar cannot unpack into {data:?}");
}

/// Owners stay, where there is a right to give files away.
fn tar(directory: &Path) -> Command {
    let mut command = Command::new("tar");
    command.args(["--numeric-owner", "--file=-", "--directory"]).arg(directory);
    command
}

#[test]
fn it_is_made_once_and_again_when_it_is_not_whole() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let filled = |key: &str| {
        let place = tempfile::tempdir().unwrap();
        let (data, mut made) = (place.path().join("data"), false);
        fill(folder.path(), key, &data, || {
            std::fs::create_dir_all(data.join("empty")).unwrap();
            std::fs::write(data.join("file"), "what was made").unwrap();
            std::fs::set_permissions(data.join("file"), PermissionsExt::from_mode(0o600)).unwrap();
            std::fs::set_permissions(&data, PermissionsExt::from_mode(0o700)).unwrap();
            made = true;
        });
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert!(data.join("empty").is_dir());
        assert_eq!(std::fs::read(data.join("file")).unwrap(), b"what was made");
        assert_eq!((mode(&data), mode(&data.join("file"))), (0o700, 0o600));
        made
    };
    assert!(filled("one"));
    let kept = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let kept = kept.into_iter().find(|path| path.extension().is_none()).unwrap();
    assert!(!filled("one"));
    assert!(filled("two"));
    let whole = std::fs::read(&kept).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for broken in [&flipped[..], &whole[..whole.len() - 1], &whole[..DIGEST_BYTES], b"x", b""] {
        std::fs::write(&kept, broken).unwrap();
        assert!(filled("one"), "{} bytes", broken.len());
        assert!(!filled("one"));
    }
}
