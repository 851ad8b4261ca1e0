//! A PostgreSQL of the torture's own, and what can happen to it: killed, restarted, standing still, with
//! no connection left, throwing transactions back.
use super::process::LOOK;
use super::{Trouble, now, wait};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::fs::{DirBuilder, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// PostgreSQL does not run as root: then it runs as this user and group, `nobody`'s.
const NOBODY: u32 = 65_534;
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);
const MAX_CONNECTIONS: u32 = 40;
/// How long it stands still, is full, or throws transactions back.
const OUTAGE: Duration = Duration::from_secs(5);
/// The server's role and its database have the same name.
const ROLE: &str = "claviger";
const ADMINISTRATOR: &str = "torture";

/// What happens to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outage {
    Killed,
    /// Told to stop at once, without a checkpoint; and started again.
    Immediate,
    /// Told to stop as soon as it has thrown its clients out; and started again.
    Fast,
    Paused,
    /// Every connection that the role may have is somebody else's.
    NoConnection,
    /// Every second commit is thrown back (40001).
    Serialization,
}

impl Outage {
    pub(super) const ALL: [Self; 6] = [
        Self::Killed,
        Self::Immediate,
        Self::Fast,
        Self::Paused,
        Self::NoConnection,
        Self::Serialization,
    ];

    /// The name in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Killed => "database killed",
            Self::Immediate => "database restarted (immediate)",
            Self::Fast => "database restarted (fast)",
            Self::Paused => "database paused",
            Self::NoConnection => "database without connections",
            Self::Serialization => "serialization failures",
        }
    }
}

/// Ended when dropped, and when the torture ends in whatever way.
#[derive(Debug)]
pub(super) struct Database {
    dir: PathBuf,
    /// Where `initdb`, `postgres` and `psql` are.
    programs: PathBuf,
    address: SocketAddr,
    server: Mutex<Option<Child>>,
}

impl Database {
    /// Makes one in a new directory, starts it, and gives it the role and the database for a deployment.
    pub(super) fn new(dir: PathBuf, programs: &Path, address: SocketAddr) -> Result<Self, Trouble> {
        let made = DirBuilder::new().mode(0o700).create(&dir);
        made.map_err(Trouble::setup(dir.display()))?;
        if geteuid().is_root() {
            chown(&dir, Some(NOBODY), Some(NOBODY)).map_err(Trouble::setup(dir.display()))?;
            // Or `nobody` would not get there.
            for above in dir.ancestors().skip(1).take(2) {
                let passable = std::fs::set_permissions(above, Permissions::from_mode(0o711));
                passable.map_err(Trouble::setup(above.display()))?;
            }
        }
        let database =
            Self { dir, programs: programs.to_owned(), address, server: Mutex::new(None) };
        let mut initdb = database.program("initdb");
        initdb.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        initdb.arg(format!("--username={ADMINISTRATOR}")).arg("--pgdata").arg(database.data());
        succeed(&mut initdb)?;
        database.start()?;
        database.administrate(&format!("CREATE ROLE {ROLE} LOGIN"))?;
        database.administrate(&format!("CREATE DATABASE {ROLE} OWNER {ROLE}"))?;
        Ok(database)
    }

    pub(super) fn url(&self) -> String {
        format!("postgresql://{ROLE}@{}/{ROLE}?sslmode=disable", self.address)
    }

    /// A program of PostgreSQL, as a user that it runs as. What it starts ends with it.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT"]);
        if geteuid().is_root() {
            command.arg(format!("--reuid={NOBODY}")).arg(format!("--regid={NOBODY}"));
            command.arg("--clear-groups");
        }
        command.arg(self.programs.join(name)).current_dir("/").stdin(Stdio::null());
        // What is typed to end the torture is not for it.
        command.process_group(0);
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn server(&self) -> MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it, as often as it takes: what is left of a killed one is in the way for a moment.
    fn start(&self) -> Result<(), Trouble> {
        let began = now();
        while began.elapsed() < START {
            let log = self.dir.join("log");
            let output = File::options().create(true).append(true).open(&log);
            let output = output.map_err(Trouble::setup(log.display()))?;
            let mut command = self.program("postgres");
            command.arg("-D").arg(self.data());
            for setting in [
                format!("listen_addresses={}", self.address.ip()),
                format!("port={}", self.address.port()),
                format!("max_connections={MAX_CONNECTIONS}"),
                "unix_socket_directories=".into(),
                "shared_buffers=16MB".into(),
                "lc_messages=C".into(),
            ] {
                command.arg("-c").arg(setting);
            }
            command.stdout(output.try_clone().map_err(Trouble::setup(log.display()))?);
            command.stderr(output);
            let child = command.spawn().map_err(Trouble::setup("starting PostgreSQL"))?;
            *self.server() = Some(child);
            if wait(START, &|| self.takes_clients() || !self.runs()) && self.runs() {
                return Ok(());
            }
        }
        Err(Trouble::Setup(format!("PostgreSQL does not start: {}", self.dir.display())))
    }

    fn runs(&self) -> bool {
        self.server().as_mut().is_some_and(|server| matches!(server.try_wait(), Ok(None)))
    }

    fn takes_clients(&self) -> bool {
        self.psql(ADMINISTRATOR, "SELECT 1").status().is_ok_and(|status| status.success())
    }

    fn psql(&self, role: &str, statement: &str) -> Command {
        let mut command = self.program("psql");
        let database = if role == ROLE { ROLE } else { "postgres" };
        let to = format!(
            "host={} port={} user={role} dbname={database} connect_timeout=20",
            self.address.ip(),
            self.address.port()
        );
        command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", &to]);
        command.args(["--command", statement]).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn administrate(&self, statement: &str) -> Result<(), Trouble> {
        succeed(&mut self.psql(ADMINISTRATOR, statement))
    }

    /// Lets it happen. What was to pass has passed when this ends.
    pub(super) fn suffer(&self, outage: Outage) -> Result<(), Trouble> {
        match outage {
            Outage::Killed => self.restart(Signal::KILL),
            Outage::Immediate => self.restart(Signal::QUIT),
            Outage::Fast => self.restart(Signal::INT),
            Outage::Paused => self.pause(),
            Outage::NoConnection => self.take_all_connections(),
            Outage::Serialization => self.throw_back(),
        }
    }

    fn restart(&self, how: Signal) -> Result<(), Trouble> {
        self.stop(how)?;
        self.start()
    }

    fn stop(&self, how: Signal) -> Result<(), Trouble> {
        let mut server = self.server();
        let Some(mut child) = server.take() else { return Ok(()) };
        signal(Pid::from_child(&child), how);
        let began = now();
        while began.elapsed() < STOP {
            if child.try_wait().map_err(Trouble::setup("waiting for PostgreSQL"))?.is_some() {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        signal(Pid::from_child(&child), Signal::KILL);
        child.wait().map_err(Trouble::setup("waiting for PostgreSQL"))?;
        Err(Trouble::Setup(format!("PostgreSQL does not stop within {STOP:?}")))
    }

    /// All of its processes stand still.
    fn pause(&self) -> Result<(), Trouble> {
        let Some(main) = self.server().as_ref().map(Pid::from_child) else { return Ok(()) };
        // First the one that starts the others.
        signal(main, Signal::STOP);
        let others = children(main);
        if let Ok(others) = &others {
            others.iter().for_each(|pid| signal(*pid, Signal::STOP));
            std::thread::sleep(OUTAGE);
            others.iter().for_each(|pid| signal(*pid, Signal::CONT));
        }
        // Also if the others are not known: one that stands still cannot be told to stop.
        signal(main, Signal::CONT);
        others.map(drop)
    }

    /// Takes every connection as soon as it is free, those of the servers among them.
    fn take_all_connections(&self) -> Result<(), Trouble> {
        let began = now();
        let throw_out = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = '{ROLE}'"
        );
        let sleep = format!("SELECT pg_sleep({})", OUTAGE.as_secs());
        let mut held: Vec<Child> = Vec::new();
        while began.elapsed() < OUTAGE {
            held.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            for _ in held.len()..usize::try_from(MAX_CONNECTIONS).unwrap_or_default() {
                let taken = self.psql(ROLE, &sleep).spawn();
                held.push(taken.map_err(Trouble::setup("starting psql"))?);
            }
            // Those that are kept for an administrator are still to be had.
            drop(self.administrate(&throw_out));
            std::thread::sleep(LOOK * 50);
        }
        for mut child in held {
            // Both fail only if it has ended.
            drop(child.kill());
            drop(child.wait());
        }
        self.administrate(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE usename = '{ROLE}' AND application_name = 'psql'"
        ))
    }

    /// Every second commit fails as one does that lost against another.
    fn throw_back(&self) -> Result<(), Trouble> {
        let begin = format!(
            "CREATE FUNCTION {ROLE}.throw_back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                IF random() < 0.5 THEN RAISE EXCEPTION 'tortured' USING ERRCODE = '40001'; END IF; \
                RETURN NEW; END $$; \
             CREATE TRIGGER throw_back BEFORE INSERT ON {ROLE}.feed \
                FOR EACH ROW EXECUTE FUNCTION {ROLE}.throw_back()"
        );
        succeed(&mut self.psql(ROLE, &begin))?;
        std::thread::sleep(OUTAGE);
        succeed(&mut self.psql(ROLE, &format!("DROP FUNCTION {ROLE}.throw_back() CASCADE")))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Nothing of it is needed any more.
        drop(self.stop(Signal::QUIT));
    }
}

fn succeed(command: &mut Command) -> Result<(), Trouble> {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().map_err(Trouble::setup(format!("{command:?}")))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Trouble::Setup(format!("{command:?}: {}: {why}", output.status)))
}

/// A process that is gone needs none.
fn signal(to: Pid, signal: Signal) {
    let _ = kill_process(to, signal);
}

/// The processes that this one has started.
fn children(of: Pid) -> Result<Vec<Pid>, Trouble> {
    let processes = std::fs::read_dir("/proc").map_err(Trouble::setup("/proc"))?;
    let found = processes.flatten().filter_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
        // `pid (name) state parent …`, and a name may hold anything.
        let parent: i32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        (parent == of.as_raw_nonzero().get()).then(|| Pid::from_raw(pid))?
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_of_a_process() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(children(rustix::process::getpid()).unwrap().contains(&Pid::from_child(&child)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
