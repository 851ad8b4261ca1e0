//! Named points at which `claviger torture` kills a server, makes its disk fail or fill up, and the
//! shift of its clock. A server that was not started by that command passes them at the price of one
//! relaxed load.
//!
//! The command names a file, the plan, in [`VARIABLE`]; a thread of the server reads it again and again, so
//! that faults begin and end while the server runs. Its lines, each of them optional:
//!
//! ```text
//! kill POINT N           SIGKILL when the point is reached for the N-th time from now on
//! fail POINT ERRNO N     the N-th call at the point from now on fails with that error of the system
//! slow POINT MS          the point takes that many milliseconds longer
//! full store|audit       no space is left for the store, for the log, until the line is gone
//! clock SECONDS          the clock is ahead by that much
//! ```
use rustix::process::{Pid, Signal, getpid, getppid, kill_process};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The environment variable that names the plan.
pub const VARIABLE: &str = "CLAVIGER_TORTURE_PLAN";

/// The environment variable that holds the process id of whoever tortures. Without it that is whoever is the
/// parent at the start.
pub const PARENT: &str = "CLAVIGER_TORTURE_PARENT";

/// How often the plan is read.
pub const POLL: Duration = Duration::from_millis(4);

const ENOSPC: i32 = 28;

/// A step of the server's work that a crash may fall into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// A group of commits was gathered; nothing of it is written.
    StoreGroup,
    /// Before a write to the store's file.
    StoreWrite,
    /// Before the store's file is synced.
    StoreSync,
    /// After the store's file was synced.
    StoreSynced,
    /// The group is durable; nobody was told.
    StoreCommitted,
    /// Before a batch of events is written.
    AuditWrite,
    /// The first half of a batch is written.
    AuditTorn,
    /// The batch is written, before it is synced.
    AuditSync,
    /// The batch is durable; nobody was told.
    AuditSynced,
    /// A call has all it needs; its answer has not left.
    Answer,
    /// Before a frame of a backup is written.
    BackupFrame,
    /// A backup is whole and on disk, and has not its name yet.
    BackupName,
    /// Before rows of a backup are written into a new store.
    RestoreRows,
    /// A restore has said that it is under way; the old store is in its place.
    RestoreMarked,
    /// The old store was put aside; the new one is not in its place.
    RestoreAside,
    /// The new store is in its place; nothing has opened it.
    RestorePlaced,
    /// What was put together was opened and logged; the restore still counts as under way.
    RestoreLogged,
}

impl Point {
    /// Those that a server under load comes to.
    pub const SERVING: [Self; 10] = [
        Self::StoreGroup,
        Self::StoreWrite,
        Self::StoreSync,
        Self::StoreSynced,
        Self::StoreCommitted,
        Self::AuditWrite,
        Self::AuditTorn,
        Self::AuditSync,
        Self::AuditSynced,
        Self::Answer,
    ];

    /// Those of `claviger backup` and `claviger restore`.
    pub const BACKUP: [Self; 7] = [
        Self::BackupFrame,
        Self::BackupName,
        Self::RestoreRows,
        Self::RestoreMarked,
        Self::RestoreAside,
        Self::RestorePlaced,
        Self::RestoreLogged,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::StoreGroup => "store.group",
            Self::StoreWrite => "store.write",
            Self::StoreSync => "store.sync",
            Self::StoreSynced => "store.synced",
            Self::StoreCommitted => "store.committed",
            Self::AuditWrite => "audit.write",
            Self::AuditTorn => "audit.torn",
            Self::AuditSync => "audit.sync",
            Self::AuditSynced => "audit.synced",
            Self::Answer => "answer",
            Self::BackupFrame => "backup.frame",
            Self::BackupName => "backup.name",
            Self::RestoreRows => "restore.rows",
            Self::RestoreMarked => "restore.marked",
            Self::RestoreAside => "restore.aside",
            Self::RestorePlaced => "restore.placed",
            Self::RestoreLogged => "restore.logged",
        }
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::SERVING.into_iter().chain(Self::BACKUP);
        let found = all.find(|point| point.name() == text);
        found.ok_or_else(|| format!("there is no point {text:?}"))
    }
}

/// What is to happen to a server. Written as the lines above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub kill: Option<(Point, u64)>,
    /// With the error's number, such as 5 (EIO).
    pub fail: Option<(Point, i32, u64)>,
    /// In milliseconds.
    pub slow: Option<(Point, u64)>,
    pub full_store: bool,
    pub full_audit: bool,
    pub clock_seconds: i64,
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((point, n)) = self.kill {
            writeln!(f, "kill {} {n}", point.name())?;
        }
        if let Some((point, errno, n)) = self.fail {
            writeln!(f, "fail {} {errno} {n}", point.name())?;
        }
        if let Some((point, ms)) = self.slow {
            writeln!(f, "slow {} {ms}", point.name())?;
        }
        if self.full_store {
            writeln!(f, "full store")?;
        }
        if self.full_audit {
            writeln!(f, "full audit")?;
        }
        writeln!(f, "clock {}", self.clock_seconds)
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut plan = Self::default();
        for line in text.lines() {
            let bad = || format!("{line:?} is no line of a plan");
            let number = |text: &str| text.parse::<u64>().map_err(|_| bad());
            match *line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["kill", point, n] => plan.kill = Some((point.parse()?, number(n)?)),
                ["fail", point, errno, n] => {
                    let errno = errno.parse().map_err(|_| bad())?;
                    plan.fail = Some((point.parse()?, errno, number(n)?));
                }
                ["slow", point, ms] => plan.slow = Some((point.parse()?, number(ms)?)),
                ["full", "store"] => plan.full_store = true,
                ["full", "audit"] => plan.full_audit = true,
                ["clock", seconds] => plan.clock_seconds = seconds.parse().map_err(|_| bad())?,
                _ => return Err(bad()),
            }
        }
        Ok(plan)
    }
}

static ARMED: AtomicBool = AtomicBool::new(false);

/// The text that was read last, and what is left of it: the counts run down.
static ACTIVE: Mutex<(String, Option<Plan>)> = Mutex::new((String::new(), None));

fn active<T>(look: impl FnOnce(&mut Plan) -> T) -> Option<T> {
    if !ARMED.load(Ordering::Relaxed) {
        return None;
    }
    let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
    active.1.as_mut().map(look)
}

/// The process may end here.
#[inline]
pub fn reach(point: Point) {
    if ARMED.load(Ordering::Relaxed) {
        come_to(point);
    }
}

/// The process may end here, or be told that the disk failed or is full.
#[inline]
pub fn strike(point: Point) -> io::Result<()> {
    if ARMED.load(Ordering::Relaxed) {
        come_to(point);
        return fail_at(point);
    }
    Ok(())
}

/// Whether the store's volume is to be taken for full.
#[inline]
pub fn store_is_full() -> bool {
    active(|plan| plan.full_store).unwrap_or_default()
}

/// Whether somebody waits for the point [`Point::AuditTorn`], which costs a second write.
#[inline]
pub fn tears(point: Point) -> bool {
    active(|plan| plan.kill.is_some_and(|(at, _)| at == point)).unwrap_or_default()
}

/// How far the clock is ahead, in milliseconds.
#[inline]
pub fn clock_ahead_ms() -> i64 {
    active(|plan| plan.clock_seconds.saturating_mul(1000)).unwrap_or_default()
}

/// Whether a count has just run down to its end.
fn strikes(left: &mut u64) -> bool {
    let struck = *left == 1;
    *left = left.saturating_sub(1);
    struck
}

#[cold]
fn come_to(point: Point) {
    let met = active(|plan| {
        let slow = plan.slow.filter(|(at, _)| *at == point).map(|(_, ms)| ms);
        let ends = plan.kill.as_mut().is_some_and(|(at, left)| *at == point && strikes(left));
        (slow, ends)
    });
    let (slow, ends) = met.unwrap_or_default();
    if let Some(ms) = slow {
        std::thread::sleep(Duration::from_millis(ms));
    }
    if ends {
        die();
    }
}

/// As a kill from outside: nothing of the process runs after it.
fn die() {
    let _ = kill_process(getpid(), Signal::KILL);
    // The signal is on its way; whoever comes here must not go on.
    loop {
        std::thread::park();
    }
}

#[cold]
fn fail_at(point: Point) -> io::Result<()> {
    let errno = active(|plan| {
        if point == Point::AuditWrite && plan.full_audit {
            return Some(ENOSPC);
        }
        let (at, errno, left) = plan.fail.as_mut()?;
        (*at == point && strikes(left)).then_some(*errno)
    });
    errno.flatten().map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
}

/// Follows the plan that the environment names, if it names one. Answers whether it does.
///
/// # Errors
/// When the plan cannot be read: a server that was to be tortured must not run without. One that cannot be read
/// later ends the process.
pub fn follow_environment() -> io::Result<bool> {
    let Some(path) = std::env::var_os(VARIABLE).map(PathBuf::from) else { return Ok(false) };
    read(&path)?;
    ARMED.store(true, Ordering::Relaxed);
    let torturer = torturer()?;
    std::thread::Builder::new().name("torture-plan".into()).spawn(move || {
        // A tortured server does not outlive its torturer.
        while getppid() == torturer {
            // A plan is replaced as a whole; one that is gone changes nothing.
            if let Err(error) = read(&path)
                && error.kind() == io::ErrorKind::InvalidData
            {
                _ = writeln!(io::stderr(), "claviger: {}: {error}", path.display());
                break;
            }
            std::thread::sleep(POLL);
        }
        die();
    })?;
    Ok(true)
}

fn torturer() -> io::Result<Option<Pid>> {
    let Some(named) = std::env::var_os(PARENT) else { return Ok(getppid()) };
    let id = named.to_str().and_then(|text| text.parse().ok()).and_then(Pid::from_raw);
    id.map(Some).ok_or_else(|| io::Error::other(format!("{PARENT} is no process id")))
}

/// Takes over a plan that is another one than before.
fn read(path: &Path) -> io::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
    if active.0 != text || active.1.is_none() {
        let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let plan = text.parse().map_err(bad)?;
        *active = (text, Some(plan));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let plan = Plan {
            kill: Some((Point::AuditTorn, 7)),
            fail: Some((Point::StoreSync, 5, 2)),
            slow: Some((Point::BackupFrame, 250)),
            full_store: true,
            full_audit: true,
            clock_seconds: -3600,
        };
        assert_eq!(plan.to_string().parse(), Ok(plan));
        assert_eq!(Plan::default().to_string().parse(), Ok(Plan::default()));
        for bad in ["kill nowhere 1", "kill answer x", "full house", "clock soon", "kill answer"] {
            assert!(bad.parse::<Plan>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_count_strikes_once() {
        let mut left = 3;
        let struck: Vec<bool> = (0..6).map(|_| strikes(&mut left)).collect();
        assert_eq!(struck, [false, false, true, false, false, false]);
    }

    #[test]
    fn nothing_happens_without_a_plan() {
        assert!(strike(Point::StoreSync).is_ok());
        assert_eq!(clock_ahead_ms(), 0);
        assert!(!store_is_full() && !tears(Point::AuditTorn));
    }
}
