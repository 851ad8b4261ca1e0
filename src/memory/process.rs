//! Closing the ways by which secrets leave a process: core dumps, tracers, files others can read.
//!
//! Call [`harden`] first thing in `main`, before any thread starts: `no_new_privs` holds for the
//! calling thread and those it starts later. A measure that fails does not stop the start; the report
//! says so, and `claviger doctor` and the log pass it on.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Files and sockets are for the owner alone unless a program asks otherwise.
const UMASK: u32 = 0o077;

/// One measure of [`harden`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// No core dump, no tracing by processes of the same user, /proc/PID for root only.
    NotDumpable,
    /// A core file of at most zero bytes, also for the processes it starts.
    NoCoreFiles,
    /// No program it runs gains rights by set-user-id bits or file capabilities.
    NoNewPrivileges,
    /// New files without any right for group and others.
    PrivateFiles,
    /// A full file-size quota makes a write fail instead of ending the process.
    FileSizeSignal,
    /// A connection closed by the other side makes a write fail instead of ending the process.
    PipeSignal,
}

/// What came of each measure.
#[derive(Debug)]
pub struct Hardening(pub Vec<(Measure, std::io::Result<()>)>);

impl Hardening {
    /// The measures that do not hold, with the system's reason.
    pub fn failures(&self) -> impl Iterator<Item = (Measure, &std::io::Error)> {
        self.0.iter().filter_map(|(measure, result)| Some((*measure, result.as_ref().err()?)))
    }
}

/// Takes every measure there is.
pub fn harden() -> Hardening {
    rustix::process::umask(Mode::from_raw_mode(UMASK));
    Hardening(vec![
        (Measure::NotDumpable, not_dumpable()),
        (Measure::NoCoreFiles, no_core_files()),
        (Measure::NoNewPrivileges, no_new_privileges()),
        (Measure::PrivateFiles, Ok(())),
        (Measure::FileSizeSignal, outlive(signal_hook::consts::SIGXFSZ)),
        (Measure::PipeSignal, outlive(signal_hook::consts::SIGPIPE)),
    ])
}

fn not_dumpable() -> std::io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

fn no_core_files() -> std::io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    Ok(rustix::process::setrlimit(Resource::Core, none)?)
}

fn no_new_privileges() -> std::io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Survives `signal`, by a handler that does nothing: unlike an ignored signal, which programs started
/// from here would inherit, a handler ends with them.
fn outlive(signal: i32) -> std::io::Result<()> {
    signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs this test alone in a process of its own, where hardening harms no other test.
    #[test]
    fn every_measure_holds() {
        const ALONE: &str = "CLAVIGER_TEST_HARDEN_ALONE";
        if std::env::var_os(ALONE).is_none() {
            let output = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["memory::process::tests::every_measure_holds", "--exact", "--nocapture"])
                .env(ALONE, "1")
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            return;
        }
        let report = harden();
        assert_eq!(report.failures().count(), 0, "{report:?}");
        assert_eq!(report.0.len(), 6);

        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.lines().any(|line| line == "NoNewPrivs:\t1"), "{status}");
        assert!(status.lines().any(|line| line == "Umask:\t0077"), "{status}");
        let dumpable = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(dumpable, DumpableBehavior::NotDumpable);
        assert_eq!(rustix::process::getrlimit(Resource::Core).maximum, Some(0));

        let own = rustix::process::getpid();
        for signal in [rustix::process::Signal::XFSZ, rustix::process::Signal::PIPE] {
            rustix::process::kill_process(own, signal).unwrap();
        }
        // And the real thing: a file may grow to one byte, the second write fails and no more.
        let one = Rlimit { current: Some(1), maximum: Some(1) };
        rustix::process::setrlimit(Resource::Fsize, one).unwrap();
        let path = std::env::temp_dir().join(format!("claviger-xfsz-{}", own.as_raw_nonzero()));
        let mut file = std::fs::File::create(&path).unwrap();
        std::io::Write::write_all(&mut file, b"1").unwrap();
        let second = std::io::Write::write_all(&mut file, b"2");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::FileTooLarge);
    }
}
