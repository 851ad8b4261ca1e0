//! Windows, beside an evaluator that goes through the calendar hour by hour and shares nothing with the
//! code: its own leap years, its own weekdays, its own reading of fields.
use super::super::Rules;
use super::{Schedule, Since};
use crate::random::{Random, SeededRandom};
use crate::secrets::SecretError;
use crate::types::Timestamp;

/// 2026-01-01T00:00:00Z, a Thursday.
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn rules(days: Option<i64>, schedule: Option<&str>, duration: Option<&str>) -> Rules {
    Rules {
        after_days: days,
        schedule: schedule.map(str::to_owned),
        duration: duration.map(str::to_owned),
    }
}

fn made(schedule: &str) -> Result<Schedule, String> {
    made_with(schedule, None)
}

fn made_with(schedule: &str, duration: Option<&str>) -> Result<Schedule, String> {
    Schedule::new(&rules(None, Some(schedule), duration), NOW).map_err(|e| match e {
        SecretError::InvalidParameter(text) => text,
        other => panic!("{other:?}"),
    })
}

fn since(rules: Timestamp) -> Since {
    Since { rules, rotation: None, change: None }
}

/// The next windows: `2026-01-01T08:00:00Z-23:59:59`.
fn windows(schedule: &Schedule, count: usize) -> Vec<String> {
    let mut after = NOW;
    (0..count)
        .map(|_| {
            let (begin, end) = schedule.next_window(since(NOW), after).unwrap();
            after = begin;
            format!("{begin}-{}", &end.to_string()[11..19])
        })
        .collect()
}

#[test]
fn the_examples_of_the_guide() {
    for (text, first) in [
        ("rate(10 days)", &["2026-01-11T00:00:00Z-23:59:59", "2026-01-21T00:00:00Z-23:59:59"][..]),
        ("rate(1 day)", &["2026-01-02T00:00:00Z-23:59:59"]),
        ("rate(4 hours)", &["2026-01-01T04:00:00Z-04:59:59", "2026-01-01T08:00:00Z-08:59:59"]),
        (
            "rate(10 hours)",
            &[
                "2026-01-01T10:00:00Z-10:59:59",
                "2026-01-01T20:00:00Z-20:59:59",
                "2026-01-02T06:00:00Z-06:59:59",
            ],
        ),
        (
            "cron(0 /8 * * ? *)",
            &[
                "2026-01-01T08:00:00Z-08:59:59",
                "2026-01-01T16:00:00Z-16:59:59",
                "2026-01-02T00:00:00Z-00:59:59",
            ],
        ),
        (
            "cron(0 8/8 * * ? *)",
            &[
                "2026-01-01T08:00:00Z-08:59:59",
                "2026-01-01T16:00:00Z-16:59:59",
                "2026-01-02T08:00:00Z-08:59:59",
            ],
        ),
        (
            "cron(0 2/10 * * ? *)",
            &[
                "2026-01-01T02:00:00Z-02:59:59",
                "2026-01-01T12:00:00Z-12:59:59",
                "2026-01-01T22:00:00Z-22:59:59",
                "2026-01-02T02:00:00Z-02:59:59",
            ],
        ),
        ("cron(0 8 * * ? *)", &["2026-01-01T08:00:00Z-23:59:59", "2026-01-02T08:00:00Z-23:59:59"]),
        (
            "cron(0 18 ? * SAT *)",
            &["2026-01-03T18:00:00Z-23:59:59", "2026-01-10T18:00:00Z-23:59:59"],
        ),
        (
            "cron(0 1 ? 1/3 SUN#1 *)",
            &["2026-01-04T01:00:00Z-23:59:59", "2026-04-05T01:00:00Z-23:59:59"],
        ),
        ("cron(0 17 L * ? *)", &["2026-01-31T17:00:00Z-23:59:59", "2026-02-28T17:00:00Z-23:59:59"]),
        (
            "cron(0 8 ? * MON-FRI *)",
            &[
                "2026-01-01T08:00:00Z-23:59:59",
                "2026-01-02T08:00:00Z-23:59:59",
                "2026-01-05T08:00:00Z-23:59:59",
            ],
        ),
        (
            "cron(0 16 1,15 * ? *)",
            &["2026-01-01T16:00:00Z-23:59:59", "2026-01-15T16:00:00Z-23:59:59"],
        ),
        (
            "cron(0 0 29 FEB ? *)",
            &["2028-02-29T00:00:00Z-23:59:59", "2032-02-29T00:00:00Z-23:59:59"],
        ),
        ("cron(0 0 ? 6 6L *)", &["2026-06-26T00:00:00Z-23:59:59"]),
        ("cron(0 0 ? * L *)", &["2026-01-03T00:00:00Z-23:59:59"]),
    ] {
        assert_eq!(windows(&made(text).unwrap(), first.len()), first, "{text}");
    }
}

#[test]
fn a_window_is_as_long_as_wanted_and_ends_with_its_day() {
    for (text, duration, window) in [
        ("rate(1 day)", "3h", "2026-01-02T00:00:00Z-02:59:59"),
        ("rate(1 day)", "24h", "2026-01-02T00:00:00Z-23:59:59"),
        ("rate(6 hours)", "6h", "2026-01-01T06:00:00Z-11:59:59"),
        ("cron(0 8/8 * * ? *)", "8h", "2026-01-01T08:00:00Z-15:59:59"),
        ("cron(0 21 * * ? *)", "3h", "2026-01-01T21:00:00Z-23:59:59"),
        ("cron(0 21 * * ? *)", "2h", "2026-01-01T21:00:00Z-22:59:59"),
    ] {
        let schedule = made_with(text, Some(duration)).unwrap();
        assert_eq!(windows(&schedule, 1), [window], "{text} {duration}");
    }
    // At the third of ten hours the window would reach into the next day.
    let schedule = made_with("rate(10 hours)", Some("10h")).unwrap();
    assert_eq!(windows(&schedule, 2)[1], "2026-01-01T20:00:00Z-23:59:59");
}

#[test]
fn what_is_not_a_schedule_is_refused_in_awss_words() {
    let invalid = "Invalid schedule expression.";
    for text in [
        "rate(30 minutes)",
        "rate(1 week)",
        "rate(4)",
        "rate(hours)",
        "rate()",
        "rate(-4 hours)",
        "rate(+4 hours)",
        "rate(4.5 hours)",
        "rate(4 hours",
        "rate 4 hours",
        "rates(4 hours)",
        "4 hours",
        "",
        "cron()",
        "cron(0 8 * * ?)",
        "cron(0 8 * * ? * *)",
        "cron(5 8 * * ? *)",
        "cron(* 8 * * ? *)",
        "cron(0 8 * * ? 2027)",
        "cron(0 8 * * * *)",
        "cron(0 8 ? * ? *)",
        "cron(0 8 1 * MON *)",
        "cron(0 24 * * ? *)",
        "cron(0 -1 * * ? *)",
        "cron(0 ? * * ? *)",
        "cron(0 * * * ? *)",
        "cron(0 1-9 * * ? *)",
        "cron(0 8,10 * * ? *)",
        "cron(0 0/3 * * ? *)",
        "cron(0 8 0 * ? *)",
        "cron(0 8 32 * ? *)",
        "cron(0 8 1-32 * ? *)",
        "cron(0 8 9-1 * ? *)",
        "cron(0 8 * 13 ? *)",
        "cron(0 8 * JANUARY ? *)",
        "cron(0 8 * 0 ? *)",
        "cron(0 8 * ? ? *)",
        "cron(0 8 * L ? *)",
        "cron(0 8 ? * 0 *)",
        "cron(0 8 ? * 8 *)",
        "cron(0 8 ? * MON#0 *)",
        "cron(0 8 ? * MON#6 *)",
        "cron(0 8 ? * MON#+1 *)",
        "cron(0 8 ? * #1 *)",
        "cron(0 8 ? * MO *)",
        "cron(0 8 1W * ? *)",
        "cron(0 8 , * ? *)",
        "cron(0 8 1, * ? *)",
        "cron(0 8 */0 * ? *)",
        "cron(0 8 */ * ? *)",
        "cron(0 8 1/+2 * ? *)",
        "cron(0 8 1/99999999999 * ? *)",
        "cron(0 /0 * * ? *)",
        "cron(0 001 * * ? *)",
        // Days that never come.
        "cron(0 8 30 FEB ? *)",
        "cron(0 8 31 2,4,6,9,11 ? *)",
    ] {
        assert_eq!(made(text).unwrap_err(), invalid, "{text}");
    }
    let hours = "Rate in hour should be least 4 and less than 24.";
    for text in
        ["rate(3 hours)", "rate(0 hours)", "rate(24 hours)", "rate(99999999999999999999 hours)"]
    {
        assert_eq!(made(text).unwrap_err(), hours, "{text}");
    }
    let days = "Rate in day should be greater than 0 and less than 1000.";
    for text in ["rate(0 days)", "rate(1000 days)", "rate(99999999999999999999 days)"] {
        assert_eq!(made(text).unwrap_err(), days, "{text}");
    }
    for text in ["rate(4 hour)", "rate(999 days)", "cron(0 8 * * ? *)", "cron(0  8 * jan,Feb ? *)"]
    {
        assert!(made(text).is_ok(), "{text}");
    }
}

#[test]
fn rules_that_contradict_each_other_are_refused() {
    let text = |rules: &Rules| Schedule::new(rules, NOW).unwrap_err().to_string();
    let both = "You cannot specify both rotation frequency and schedule expression together.";
    assert_eq!(text(&rules(Some(1), Some("rate(1 day)"), None)), both);
    let neither = "You must specify either AutomaticallyAfterDays or ScheduleExpression.";
    assert_eq!(text(&rules(None, None, Some("3h"))), neither);
    for duration in ["0h", "25h", "99h"] {
        let wanted = "Duration must be at least 1 hour, at most 24 hour.";
        assert_eq!(text(&rules(Some(1), None, Some(duration))), wanted);
    }
    let overlaps = "Duration cannot be greater than Rate in hour.";
    assert_eq!(made_with("rate(4 hours)", Some("5h")).unwrap_err(), overlaps);
    assert_eq!(made_with("cron(0 0/6 * * ? *)", Some("7h")).unwrap_err(), overlaps);
    let beyond = "Starting hour and duration must be within a day.";
    assert_eq!(made_with("cron(0 22 * * ? *)", Some("3h")).unwrap_err(), beyond);
    assert!(made_with("cron(0 4/10 * * ? *)", Some("10h")).is_ok());
}

#[test]
fn days_count_from_the_last_rotation_or_change() {
    let schedule = Schedule::new(&rules(Some(30), None, None), NOW).unwrap();
    let noon = NOW.plus_secs(12 * HOUR);
    let day =
        |at: Timestamp, days: i64| NOW.plus_secs((at.secs() - NOW.secs()) / DAY * DAY + days * DAY);
    let begin = |since: Since, after| schedule.next_window(since, after).unwrap().0;
    assert_eq!(begin(since(noon), noon), day(noon, 30));
    let rotated = Some(NOW.plus_secs(10 * DAY + 7));
    assert_eq!(begin(Since { rotation: rotated, ..since(noon) }, noon), NOW.plus_secs(40 * DAY));
    let changed = Some(NOW.plus_secs(12 * DAY + 7));
    let both = Since { rotation: rotated, change: changed, ..since(noon) };
    assert_eq!(begin(both, noon), NOW.plus_secs(42 * DAY));
    // Once that has passed without a rotation: the day after as many days again.
    assert_eq!(begin(both, NOW.plus_secs(42 * DAY)), NOW.plus_secs(72 * DAY));
    assert_eq!(begin(both, NOW.plus_secs(42 * DAY - 1)), NOW.plus_secs(42 * DAY));
    // A rate counts from the rotation, whoever puts values.
    let rate = made("rate(30 days)").unwrap();
    assert_eq!(rate.next_window(both, noon).unwrap().0, NOW.plus_secs(40 * DAY));
    assert!(schedule.counts_changes() && !rate.counts_changes());
}

#[test]
fn no_moment_makes_it_panic_or_hang() {
    let all = ["rate(4 hours)", "rate(999 days)", "cron(0 8 29 2 ? *)", "cron(0 0 ? * SUN#5 *)"];
    for text in all {
        let schedule = made(text).unwrap();
        for after in [i64::MIN, -1, 0, 253_402_300_799_999, i64::MAX].map(Timestamp) {
            for from in [i64::MIN, 0, i64::MAX].map(Timestamp) {
                if let Some((begin, end)) = schedule.next_window(since(from), after) {
                    assert!(begin > after && begin < end, "{text} {after:?} {from:?}");
                }
            }
        }
    }
    // In the year 2096 the next leap day is eight years away.
    let leap = made("cron(0 8 29 2 ? *)").unwrap();
    let after: Timestamp = "2096-03-01T00:00:00Z".parse().unwrap();
    let (begin, _) = leap.next_window(since(NOW), after).unwrap();
    assert_eq!(begin.to_string(), "2104-02-29T08:00:00Z");
}

/// Every hour from the beginning of 2023 to the end of 2032, as (seconds, hour, day, days of the month,
/// month, weekday with Sunday as 1).
fn calendar() -> Vec<(i64, u32, u32, u32, u32, u32)> {
    let mut all = Vec::new();
    // 2023-01-01 was a Sunday.
    let (mut secs, mut weekday) = (1_672_531_200, 1);
    for year in 2023..=2032 {
        for month in 1..=12 {
            let length = match month {
                2 if year % 4 == 0 => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            for day in 1..=length {
                for hour in 0..24 {
                    all.push((secs, hour, day, length, month, weekday));
                    secs += HOUR;
                }
                weekday = weekday % 7 + 1;
            }
        }
    }
    all
}

/// Whether a number is in a field, read anew for each number.
fn naive_field(text: &str, n: u32, least: u32, most: u32, names: &str) -> bool {
    let value = |text: &str| match names.split(' ').position(|name| name == text) {
        Some(at) if !names.is_empty() => u32::try_from(at).unwrap() + 1,
        _ => text.parse().unwrap(),
    };
    text.split(',').any(|element| {
        let (range, step) = element.split_once('/').map_or((element, None), |(r, s)| (r, Some(s)));
        let (from, to) = match range {
            "*" | "" => (least, most),
            range if range.contains('-') => {
                let (from, to) = range.split_once('-').unwrap();
                (value(from), value(to))
            }
            range if step.is_some() => (value(range), most),
            range => (value(range), value(range)),
        };
        n >= from
            && n <= to
            && (n - from).is_multiple_of(step.map_or(1, |step| step.parse().unwrap()))
    })
}

fn naive(text: &str, moment: (i64, u32, u32, u32, u32, u32)) -> bool {
    const MONTHS: &str = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC";
    const DAYS: &str = "SUN MON TUE WED THU FRI SAT";
    let (_, hour, day, length, month, weekday) = moment;
    let fields: Vec<&str> =
        text.strip_prefix("cron(").unwrap().strip_suffix(')').unwrap().split(' ').collect();
    let of_month = |field: &str| {
        field.split(',').any(|one| match one {
            "L" => day == length,
            one => naive_field(one, day, 1, 31, ""),
        })
    };
    let of_week = |field: &str| {
        field.split(',').any(|one| {
            if let Some((name, nth)) = one.split_once('#') {
                let nth: u32 = nth.parse().unwrap();
                let in_week = day > (nth - 1) * 7 && day <= nth * 7;
                in_week && naive_field(name, weekday, 1, 7, DAYS)
            } else if one == "L" {
                weekday == 7
            } else if let Some(name) = one.strip_suffix('L') {
                day + 7 > length && naive_field(name, weekday, 1, 7, DAYS)
            } else {
                naive_field(one, weekday, 1, 7, DAYS)
            }
        })
    };
    naive_field(fields[1], hour, 0, 23, "")
        && naive_field(fields[3], month, 1, 12, MONTHS)
        && if fields[4] == "?" { of_month(fields[2]) } else { of_week(fields[4]) }
}

/// Compares all windows of ten years with what the calendar says.
fn compare(text: &str, calendar: &[(i64, u32, u32, u32, u32, u32)]) {
    let schedule =
        Schedule::parse(&rules(None, Some(text), None)).unwrap_or_else(|_| panic!("{text}"));
    let fires: Vec<i64> =
        calendar.iter().filter(|at| naive(text, **at)).map(|(secs, ..)| *secs).collect();
    let first = calendar[0].0;
    let next = |after: i64| {
        let found = schedule.next_window(since(NOW), Timestamp::from_secs(after));
        found.map(|(begin, _)| begin.secs())
    };
    assert!(fires.is_empty() || next(first - 1) == Some(fires[0]), "{text}");
    for pair in fires.windows(2) {
        for after in [pair[0], pair[0] + 1, pair[1] - 1] {
            assert_eq!(next(after), Some(pair[1]), "{text} after {after}");
        }
    }
    if fires.is_empty() {
        let end = calendar.last().unwrap().0;
        assert!(next(first).is_none_or(|begin| begin > end), "{text}");
    }
}

#[test]
fn windows_are_those_of_the_calendar() {
    let calendar = calendar();
    for text in [
        "cron(0 8 * * ? *)",
        "cron(0 /8 * * ? *)",
        "cron(0 2/10 * * ? *)",
        "cron(0 0 L * ? *)",
        "cron(0 23 29 FEB ? *)",
        "cron(0 5 ? * SUN#5 *)",
        "cron(0 5 ? FEB MON#5 *)",
        "cron(0 6 ? * 1L *)",
        "cron(0 6 31 * ? *)",
        "cron(0 6 */10 */5 ? *)",
        "cron(0 6 ? JAN-MAR,DEC TUE,SATL,1#2 *)",
        "cron(0 0,12 15,L FEB,JUL ? *)",
    ] {
        compare(text, &calendar);
    }
}

/// A field of up to three elements.
fn made_up(random: &dyn Random, least: u32, most: u32, names: &[&str]) -> String {
    let below = |n: u32| u32::from_be_bytes(random.bytes::<4>()) % n;
    let number = || least + below(most - least + 1);
    let shown = |n: u32| match names.get((n - least) as usize) {
        Some(name) if below(2) == 0 => (*name).to_owned(),
        _ => n.to_string(),
    };
    let element = || match below(6) {
        0 => format!("{}/{}", shown(number()), 1 + below(most)),
        1 => format!("*/{}", 1 + below(most)),
        2 => {
            let (one, other) = (number(), number());
            format!("{}-{}", shown(one.min(other)), shown(one.max(other)))
        }
        _ => shown(number()),
    };
    (0..=below(3)).map(|_| element()).collect::<Vec<_>>().join(",")
}

#[test]
fn made_up_schedules_have_the_windows_of_the_calendar() {
    let calendar = calendar();
    let random: &dyn Random = &SeededRandom::new(5);
    let below = |n: u32| u32::from_be_bytes(random.bytes::<4>()) % n;
    let months =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let days = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    for _ in 0..60 {
        let hours = match below(3) {
            0 => format!("{}/{}", below(24), 4 + below(20)),
            _ => below(24).to_string(),
        };
        let month = match below(2) {
            0 => "*".to_owned(),
            _ => made_up(random, 1, 12, &months),
        };
        let (of_month, of_week) = match below(4) {
            0 => (made_up(random, 1, 31, &[]), "?".to_owned()),
            1 => ("L".to_owned(), "?".to_owned()),
            2 => ("?".to_owned(), format!("{}#{}", days[below(7) as usize], 1 + below(5))),
            _ => ("?".to_owned(), made_up(random, 1, 7, &days)),
        };
        compare(&format!("cron(0 {hours} {of_month} {month} {of_week} *)"), &calendar);
    }
}
