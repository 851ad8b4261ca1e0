//! When a secret is rotated: `RotationRules`, and the windows that they mean. All of it is in UTC, and
//! every window opens on the hour. (Secrets Manager user guide, "Rotation schedules".)
use super::Rules;
use super::cron::Cron;
use crate::secrets::SecretError;
use crate::types::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, date};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const HOURS_OF_DAY: i64 = 24;
/// AWS: a secret is rotated every four hours at most.
const LEAST_HOURS: i64 = 4;
const MOST_RATE_DAYS: i64 = 999;
/// A schedule that comes no more within five years is refused, …
const ACCEPTED_DAYS: i64 = 5 * 366;
/// … and one that was accepted is found again: the 29th of February is eight years away around 2100.
const SEARCHED_DAYS: i64 = 9 * 366;

/// Rules that were understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    every: Every,
    /// How many hours a window is open, if the rules say it.
    hours: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Every {
    /// `AutomaticallyAfterDays`
    DaysAfterChange(i64),
    /// `rate(… days)`
    Days(i64),
    /// `rate(… hours)`
    Hours(i64),
    Cron(Cron),
}

/// What windows are counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// When the rules were given.
    pub rules: Timestamp,
    /// When the secret was rotated last.
    pub rotation: Option<Timestamp>,
    /// When somebody put a value last: AWS counts it for `AutomaticallyAfterDays`.
    pub change: Option<Timestamp>,
}

fn invalid(text: &str) -> SecretError {
    SecretError::InvalidParameter(text.into())
}

impl Schedule {
    /// Understands rules, or refuses them in AWS's words. A schedule that never comes is refused, too.
    pub fn new(rules: &Rules, now: Timestamp) -> Result<Self, SecretError> {
        let schedule = Self::parse(rules)?;
        let since = Since { rules: now, rotation: None, change: None };
        let soon = now.plus_secs(ACCEPTED_DAYS * DAY);
        match schedule.next_window(since, now) {
            Some((begin, _)) if begin <= soon => Ok(schedule),
            _ => Err(invalid("Invalid schedule expression.")),
        }
    }

    /// The same for rules that were accepted once.
    pub fn parse(rules: &Rules) -> Result<Self, SecretError> {
        let every = match (rules.after_days, &rules.schedule) {
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "You cannot specify both rotation frequency and schedule expression together.",
                ));
            }
            (None, None) => {
                return Err(invalid(
                    "You must specify either AutomaticallyAfterDays or ScheduleExpression.",
                ));
            }
            // The model holds it between 1 and 1000.
            (Some(days), None) => Every::DaysAfterChange(days.clamp(1, 1000)),
            (None, Some(text)) => Every::parse(text)?,
        };
        let hours = rules.duration.as_deref().map(duration).transpose()?;
        if let Some(hours) = hours {
            every.check_duration(hours)?;
        }
        Ok(Self { every, hours })
    }

    /// The next window that begins after `after`: its first and its last second. None if there is none
    /// within the years that are searched.
    pub fn next_window(&self, since: Since, after: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let begin = match &self.every {
            Every::DaysAfterChange(days) => {
                let base = latest(since.rules, [since.rotation, since.change]);
                periodic(midnight(base), days * DAY, after, 1)
            }
            Every::Days(days) => {
                periodic(midnight(latest(since.rules, [since.rotation])), days * DAY, after, 1)
            }
            Every::Hours(hours) => periodic(midnight(since.rules), hours * HOUR, after, 0),
            Every::Cron(cron) => next_of(cron, after),
        }?;
        // Later than that nothing can be written.
        let begin = Some(begin).filter(|begin| *begin <= Timestamp::MAX.secs())?;
        let end_of_day = midnight_after(begin);
        let length = self.hours.or_else(|| self.every.default_hours());
        // It never reaches into the next day.
        let end = length.map_or(end_of_day, |hours| begin.saturating_add(hours * HOUR));
        let last = end.min(end_of_day).saturating_sub(1);
        Some((Timestamp::from_secs(begin), Timestamp::from_secs(last)))
    }

    /// Whether a value that somebody puts moves the next window.
    pub fn counts_changes(&self) -> bool {
        matches!(self.every, Every::DaysAfterChange(_))
    }
}

impl Every {
    fn parse(text: &str) -> Result<Self, SecretError> {
        let unreadable = || invalid("Invalid schedule expression.");
        let inside = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(text) = inside("cron") {
            let cron = Cron::parse(text).ok_or_else(unreadable)?;
            if gaps(&cron.hours).any(|gap| gap < LEAST_HOURS) {
                return Err(unreadable());
            }
            return Ok(Self::Cron(cron));
        }
        let words: Vec<&str> = inside("rate").unwrap_or("").split_ascii_whitespace().collect();
        let [number, unit] = *words.as_slice() else { return Err(unreadable()) };
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(unreadable());
        }
        // Of more digits than a number has: too many in any case.
        let number = number.parse().unwrap_or(i64::MAX);
        match unit {
            "hour" | "hours" if (LEAST_HOURS..HOURS_OF_DAY).contains(&number) => {
                Ok(Self::Hours(number))
            }
            "hour" | "hours" => Err(invalid("Rate in hour should be least 4 and less than 24.")),
            "day" | "days" if (1..=MOST_RATE_DAYS).contains(&number) => Ok(Self::Days(number)),
            "day" | "days" => {
                Err(invalid("Rate in day should be greater than 0 and less than 1000."))
            }
            _ => Err(unreadable()),
        }
    }

    fn check_duration(&self, hours: i64) -> Result<(), SecretError> {
        let overlaps = match self {
            Self::Hours(rate) => hours > *rate,
            Self::Cron(cron) => gaps(&cron.hours).any(|gap| hours > gap),
            Self::Days(_) | Self::DaysAfterChange(_) => false,
        };
        if overlaps {
            return Err(invalid("Duration cannot be greater than Rate in hour."));
        }
        let last = match self {
            Self::Cron(cron) => cron.hours.last().copied().map_or(0, i64::from),
            Self::Days(_) | Self::DaysAfterChange(_) | Self::Hours(_) => 0,
        };
        match last + hours > HOURS_OF_DAY {
            true => Err(invalid("Starting hour and duration must be within a day.")),
            false => Ok(()),
        }
    }

    /// An hour where windows come more than once a day; else to the end of the day.
    fn default_hours(&self) -> Option<i64> {
        match self {
            Self::Hours(_) => Some(1),
            Self::Cron(cron) if cron.hours.len() > 1 => Some(1),
            Self::Cron(_) | Self::Days(_) | Self::DaysAfterChange(_) => None,
        }
    }
}

/// `3h`
fn duration(text: &str) -> Result<i64, SecretError> {
    let hours = text.strip_suffix('h').and_then(|hours| hours.parse().ok());
    let refused = || invalid("Duration must be at least 1 hour, at most 24 hour.");
    hours.filter(|hours| (1..=HOURS_OF_DAY).contains(hours)).ok_or_else(refused)
}

/// The hours between one window and the next on the same day.
fn gaps(hours: &[u32]) -> impl Iterator<Item = i64> {
    hours.iter().zip(hours.iter().skip(1)).map(|(one, next)| i64::from(next.saturating_sub(*one)))
}

/// The first of `base + k * step` after `after`, with `k` no less than `least`.
fn periodic(base: i64, step: i64, after: Timestamp, least: i64) -> Option<i64> {
    let passed = after.secs().checked_sub(base)?.checked_div_euclid(step)?;
    base.checked_add(passed.checked_add(1)?.max(least).checked_mul(step)?)
}

fn midnight(at: Timestamp) -> i64 {
    at.secs() - at.secs().rem_euclid(DAY)
}

fn midnight_after(secs: i64) -> i64 {
    secs.saturating_sub(secs.rem_euclid(DAY)).saturating_add(DAY)
}

fn next_of(cron: &Cron, after: Timestamp) -> Option<i64> {
    let today = midnight(after);
    let mut day = day_of(today)?;
    for n in 0..SEARCHED_DAYS {
        if cron.matches(day) {
            let begins = cron.hours.iter().map(|hour| today + n * DAY + i64::from(*hour) * HOUR);
            if let Some(begin) = begins.into_iter().find(|begin| *begin > after.secs()) {
                return Some(begin);
            }
        }
        day = day.tomorrow().ok()?;
    }
    None
}

fn day_of(secs: i64) -> Option<Date> {
    let days = i32::try_from(secs.div_euclid(DAY)).ok()?;
    date(1970, 1, 1).checked_add(days.days()).ok()
}

/// The latest of those that are there.
fn latest<const N: usize>(first: Timestamp, others: [Option<Timestamp>; N]) -> Timestamp {
    others.into_iter().flatten().fold(first, Timestamp::max)
}

#[cfg(test)]
mod tests;
