//! `cron(0 Hours Day-of-month Month Day-of-week *)`, as Secrets Manager takes it: windows open on the
//! hour, and a schedule comes back every year. (Secrets Manager user guide, "Rotation schedules".)
use jiff::civil::Date;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const LAST_HOUR: u32 = 23;
const LAST_DAY: u32 = 31;
/// Weeks of a month that a day of the week can be counted in.
const WEEKS: u32 = 5;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    /// Ascending, at least one.
    pub hours: Vec<u32>,
    months: Set,
    days: Days,
}

/// Small numbers, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Set(u64);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    OfMonth {
        days: Set,
        last: bool,
    },
    /// 1 is Sunday.
    OfWeek {
        days: Set,
        /// Those that are meant in the last week of the month that has them.
        last: Set,
        /// A day, and the how many-th of the month is meant.
        nth: Vec<(u32, u32)>,
    },
}

impl Set {
    fn contains(self, n: u32) -> bool {
        n < u64::BITS && self.0 & (1 << n) != 0
    }
    fn add(&mut self, n: u32) {
        if n < u64::BITS {
            self.0 |= 1 << n;
        }
    }
    fn iter(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |n| self.contains(*n))
    }
}

/// What numbers a field has, and the names that some have.
struct Field<'a> {
    least: u32,
    most: u32,
    names: &'a [&'a str],
}

impl Field<'_> {
    fn number(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().zip(self.least..).find(|(name, _)| {
            // Names are read whatever their case.
            name.eq_ignore_ascii_case(text)
        });
        if let Some((_, n)) = named {
            return Some(n);
        }
        // `parse` would take a sign.
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let n = text.parse().ok().filter(|_| digits)?;
        (self.least..=self.most).contains(&n).then_some(n)
    }

    /// `*`, `5`, `5-9`, each perhaps with `/2` behind it; `/2` alone counts from the least number.
    fn add(&self, element: &str, set: &mut Set) -> Option<()> {
        let (range, step) = match element.split_once('/') {
            Some((range, step)) => {
                let step: u32 = step.parse().ok().filter(|_| is_number(step))?;
                (range, Some(step).filter(|step| (1..=self.most).contains(step))?)
            }
            None => (element, 0),
        };
        let (from, to) = match range {
            "*" => (self.least, self.most),
            "" if step > 0 => (self.least, self.most),
            range => match range.split_once('-') {
                Some((from, to)) => (self.number(from)?, self.number(to)?),
                // `5/2` goes on to the end; `5` is itself.
                None if step > 0 => (self.number(range)?, self.most),
                None => (self.number(range)?, self.number(range)?),
            },
        };
        if from > to {
            return None;
        }
        let step = usize::try_from(step.max(1)).ok()?;
        (from..=to).step_by(step).for_each(|n| set.add(n));
        Some(())
    }

    fn set(&self, text: &str) -> Option<Set> {
        let mut set = Set::default();
        text.split(',').try_for_each(|element| self.add(element, &mut set))?;
        Some(set)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl Cron {
    /// Reads what stands between the parentheses.
    pub fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let ["0", hours, of_month, months, of_week, "*"] = *fields.as_slice() else { return None };
        let hours = Field { least: 0, most: LAST_HOUR, names: &[] }.set(hours)?;
        let months = Field { least: 1, most: 12, names: &MONTHS }.set(months)?;
        let days = match (of_month, of_week) {
            ("?", "?") => return None,
            (of_month, "?") => Days::of_month(of_month)?,
            ("?", of_week) => Days::of_week(of_week)?,
            _ => return None,
        };
        Some(Self { hours: hours.iter().collect(), months, days })
    }

    /// Whether windows open on that day.
    pub fn matches(&self, date: Date) -> bool {
        self.months.contains(number(date.month())) && self.days.matches(date)
    }
}

impl Days {
    fn of_month(text: &str) -> Option<Self> {
        let field = Field { least: 1, most: LAST_DAY, names: &[] };
        let (mut days, mut last) = (Set::default(), false);
        for element in text.split(',') {
            match element {
                "L" | "l" => last = true,
                element => field.add(element, &mut days)?,
            }
        }
        Some(Self::OfMonth { days, last })
    }

    fn of_week(text: &str) -> Option<Self> {
        let field = Field { least: 1, most: 7, names: &DAYS };
        let (mut days, mut last, mut nth) = (Set::default(), Set::default(), Vec::new());
        for element in text.split(',') {
            if let Some((day, week)) = element.split_once('#') {
                let week: u32 = week.parse().ok().filter(|_| is_number(week))?;
                nth.push((field.number(day)?, Some(week).filter(|n| (1..=WEEKS).contains(n))?));
            } else if let Some(day) = element.strip_suffix(['L', 'l']) {
                // Alone it is the last day of the week.
                match day {
                    "" => days.add(7),
                    day => last.add(field.number(day)?),
                }
            } else {
                field.add(element, &mut days)?;
            }
        }
        Some(Self::OfWeek { days, last, nth })
    }

    fn matches(&self, date: Date) -> bool {
        let day = number(date.day());
        let in_month = number(date.days_in_month());
        match self {
            Self::OfMonth { days, last } => days.contains(day) || (*last && day == in_month),
            Self::OfWeek { days, last, nth } => {
                let of_week = number(date.weekday().to_sunday_one_offset());
                let week = day.saturating_sub(1) / 7 + 1;
                days.contains(of_week)
                    || (last.contains(of_week) && day + 7 > in_month)
                    || nth.contains(&(of_week, week))
            }
        }
    }
}

/// Of a date's parts, none of which is negative.
fn number(part: i8) -> u32 {
    u32::try_from(part).unwrap_or(0)
}
