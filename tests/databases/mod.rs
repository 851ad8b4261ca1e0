//! Real databases for tests: a PostgreSQL and a MariaDB, each started when a test first wants it, on
//! a free port of loopback, in a directory of its own. They end with the test's process, however that
//! ends, and their directories with them. The tests of a process share them, and each makes users and
//! databases of its own. Under nextest, where a process is one test, what takes long of a start is done
//! once for all of them.
mod certificates;
mod guard;
mod mariadb;
mod postgres;
mod template;

pub use certificates::{Certified, stranger};
pub use mariadb::MariaDb;
pub use postgres::Postgres;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Who may do everything in both of them.
pub const ADMINISTRATOR: &str = "administrator";
pub const ADMINISTRATOR_PASSWORD: &str = "of the test's administrator";
pub const HOST: &str = "127.0.0.1";

/// The address of a database of a PostgreSQL, for the administrator.
pub fn url(port: u16, database: &str) -> String {
    let password = ADMINISTRATOR_PASSWORD.replace(' ', "%20").replace('\'', "%27");
    format!("postgresql://{ADMINISTRATOR}:{password}@{HOST}:{port}/{database}")
}

/// The process's PostgreSQL.
pub fn postgres() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(Postgres::start)
}

/// The process's MariaDB.
pub fn mariadb() -> &'static MariaDb {
    static SHARED: OnceLock<MariaDb> = OnceLock::new();
    SHARED.get_or_init(MariaDb::start)
}

/// A name that no other test of this process has.
pub fn fresh(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A program by its name: where Debian puts servers, then everywhere in the path.
pub fn program(name: &str) -> PathBuf {
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.map(|version| version.unwrap().path().join("bin")));
    }
    folders.sort();
    folders.reverse();
    folders.extend(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not installed: softhsm-setup/install.sh postgresql mariadb")
    })
}

/// Fills a server's directory as `make` does, who runs a program of this server's version with these
/// settings.
fn filled(server: &Path, settings: &[&str], data: &Path, make: impl FnOnce()) {
    let version = Command::new(server).arg("--version").output().unwrap();
    assert!(version.status.success(), "{server:?} --version failed");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let who = (ADMINISTRATOR, ADMINISTRATOR_PASSWORD, guard::is_root());
    let key = format!("{version:?} {settings:?} {who:?}");
    // Only tests that are programs of their own are given such a folder.
    let folder = option_env!("CARGO_TARGET_TMPDIR").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("claviger-test-databases"));
    template::fill(&folder, &key, data, make);
}

/// What a server wrote to this file, or nothing yet.
fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind((HOST, 0)).unwrap().local_addr().unwrap().port()
}
