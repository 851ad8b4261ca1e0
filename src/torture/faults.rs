//! What happens to a server in a round: how it dies, and what else goes wrong before.
use super::database::Outage;
use super::numbers::Numbers;
use crate::failpoints::{Plan, Point};

/// The end of the names of those that may come too late: the start is over sooner than the point is reached.
pub(super) const OF_THE_START: &str = " of the start";
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// The points that a server comes to whose rows are in a database.
const WITH_DATABASE: [Point; 8] = [
    Point::StoreGroup,
    Point::StoreSync,
    Point::StoreCommitted,
    Point::AuditWrite,
    Point::AuditTorn,
    Point::AuditSync,
    Point::AuditSynced,
    Point::Answer,
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Killed at any moment; the clock may be moved before, by so many seconds.
    Kill { clock_jump_seconds: i64 },
    /// Killed when it comes to a point for the n-th time.
    KillAt(Point, u64),
    /// Likewise while it starts, after the kill of the round before.
    KillAtStart(Point, u64),
    /// A sync fails: nothing may be acknowledged any more until a restart.
    SyncFails(Point, u64),
    /// Something fails that passes: writes fail, and go on without a restart.
    Passes(Passing),
    /// Likewise of the database.
    Outage(Outage),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    StoreFull,
    AuditFull,
    /// The n-th write to the store's file fails.
    WriteFails(i32, u64),
}

impl Fault {
    /// The next one, as often as docs/torture.md says.
    pub(super) fn choose(numbers: &mut Numbers, has_database: bool) -> Self {
        if has_database { Self::with_database(numbers) } else { Self::embedded(numbers) }
    }

    fn embedded(numbers: &mut Numbers) -> Self {
        let (at, n) = point(numbers, &Point::SERVING, 60);
        let (at_start, first) =
            point(numbers, &[Point::StoreWrite, Point::StoreSync, Point::StoreSynced], 6);
        let (sync, nth) = point(numbers, &[Point::StoreSync, Point::AuditSync], 40);
        match numbers.below(100) {
            0..32 => Self::Kill { clock_jump_seconds: 0 },
            32..36 => Self::Kill { clock_jump_seconds: 120 },
            36..40 => Self::Kill { clock_jump_seconds: -120 },
            40..76 => Self::KillAt(at, n),
            76..82 => Self::KillAtStart(at_start, first),
            82..88 => Self::SyncFails(sync, nth),
            88..92 => Self::Passes(Passing::StoreFull),
            92..95 => Self::Passes(Passing::AuditFull),
            95..98 => Self::Passes(Passing::WriteFails(EIO, nth)),
            _ => Self::Passes(Passing::WriteFails(ENOSPC, nth)),
        }
    }

    fn with_database(numbers: &mut Numbers) -> Self {
        let (at, n) = point(numbers, &WITH_DATABASE, 30);
        let nth = 1 + numbers.below(40);
        let outage = numbers.one_of(&Outage::ALL).copied().unwrap_or(Outage::Killed);
        match numbers.below(100) {
            0..22 => Self::Kill { clock_jump_seconds: 0 },
            22..26 => Self::Kill { clock_jump_seconds: 120 },
            26..30 => Self::Kill { clock_jump_seconds: -120 },
            30..60 => Self::KillAt(at, n),
            60..64 => Self::SyncFails(Point::AuditSync, nth),
            64..67 => Self::Passes(Passing::AuditFull),
            _ => Self::Outage(outage),
        }
    }

    /// The name in reports.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Kill { clock_jump_seconds: 0 } => "kill".into(),
            Self::Kill { .. } => "clock moved, kill".into(),
            Self::KillAt(point, _) => format!("kill at {}", point.name()),
            Self::KillAtStart(point, _) => format!("kill at {}{OF_THE_START}", point.name()),
            Self::SyncFails(point, _) => format!("{} fails", point.name()),
            Self::Passes(Passing::StoreFull) => "store full".into(),
            Self::Passes(Passing::AuditFull) => "audit log full".into(),
            Self::Passes(Passing::WriteFails(ENOSPC, _)) => "store.write without space".into(),
            Self::Passes(Passing::WriteFails(..)) => "store.write fails".into(),
            Self::Outage(outage) => outage.name().into(),
        }
    }

    /// What the server is told while it runs, its clock being ahead by so much.
    pub(super) fn plan(&self, clock_seconds: i64) -> Plan {
        let mut plan = Plan { clock_seconds, ..Plan::default() };
        match *self {
            Self::Kill { clock_jump_seconds } => plan.clock_seconds += clock_jump_seconds,
            Self::KillAt(point, n) | Self::KillAtStart(point, n) => plan.kill = Some((point, n)),
            Self::SyncFails(point, n) => plan.fail = Some((point, EIO, n)),
            Self::Passes(Passing::StoreFull) => plan.full_store = true,
            Self::Passes(Passing::AuditFull) => plan.full_audit = true,
            Self::Passes(Passing::WriteFails(errno, n)) => {
                plan.fail = Some((Point::StoreWrite, errno, n));
            }
            Self::Outage(_) => {}
        }
        plan
    }
}

/// One of these, and a count of at most `most`.
fn point(numbers: &mut Numbers, from: &[Point], most: u64) -> (Point, u64) {
    let point = numbers.one_of(from).copied().unwrap_or(Point::Answer);
    (point, 1 + numbers.below(most))
}

/// By how much a server's clock is ahead for a round: mostly not at all, else by up to a day, either way.
pub(super) fn clock(numbers: &mut Numbers) -> i64 {
    const DAY: u64 = 86_400;
    let seconds = i64::try_from(numbers.below(2 * DAY)).unwrap_or_default() - 86_400;
    if numbers.below(5) == 0 { seconds } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_same_seed_chooses_the_same_and_every_fault_comes() {
        let choose = |seed, has_database| {
            let mut numbers = Numbers(seed);
            (0..3000).map(|_| Fault::choose(&mut numbers, has_database)).collect::<Vec<_>>()
        };
        assert_eq!(choose(7, false), choose(7, false));
        assert_ne!(choose(7, false), choose(8, false));
        let names = |has_database| {
            choose(7, has_database).iter().map(Fault::name).collect::<BTreeSet<String>>()
        };
        // Two kills, ten points, three of the start, two syncs, four that pass.
        assert_eq!(names(false).len(), 2 + 10 + 3 + 2 + 4, "{:?}", names(false));
        // Two kills, eight points, the log's sync, the full log, six outages.
        assert_eq!(names(true).len(), 2 + 8 + 1 + 1 + 6, "{:?}", names(true));
    }
}
