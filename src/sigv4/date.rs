//! The two forms of a date in a request: ISO 8601 basic format and RFC 1123.

use std::fmt;

use super::AuthError;
use super::text::echo;

/// `YYYYMMDDTHHMMSSZ`.
const BASIC: usize = 16;

/// When the client says it signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestDate {
    basic: [u8; BASIC],
    seconds: i64,
}

impl RequestDate {
    /// Reads `YYYYMMDDTHHMMSSZ`, the only form of `X-Amz-Date`.
    pub(super) fn from_basic(text: &str) -> Result<Self, AuthError> {
        Self::read_basic(text).ok_or_else(|| AuthError::BadDate(echo(text)))
    }

    /// Reads the `Date` header: RFC 1123 as HTTP has it, or basic format as AWS also takes it.
    pub(super) fn from_http(text: &str) -> Result<Self, AuthError> {
        Self::read_basic(text)
            .or_else(|| read_rfc1123(text).and_then(Self::from_seconds))
            .ok_or_else(|| AuthError::BadDate(echo(text)))
    }

    /// The date of a point in time; none outside of the years 0 to 9999.
    pub(super) fn from_seconds(seconds: i64) -> Option<Self> {
        let (year, month, day) = civil(seconds.div_euclid(86_400));
        let time = seconds.rem_euclid(86_400);
        if !(0..=9999).contains(&year) {
            return None;
        }
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        let text = format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z");
        Some(Self { basic: text.as_bytes().try_into().ok()?, seconds })
    }

    fn read_basic(text: &str) -> Option<Self> {
        let basic: [u8; BASIC] = text.as_bytes().try_into().ok()?;
        let [y1, y2, y3, y4, o1, o2, d1, d2, b'T', h1, h2, m1, m2, s1, s2, b'Z'] = basic else {
            return None;
        };
        let year = number(&[y1, y2, y3, y4])?;
        let day = days(year, number(&[o1, o2])?, number(&[d1, d2])?)?;
        let time = time_of_day(&[h1, h2], &[m1, m2], &[s1, s2])?;
        Some(Self { basic, seconds: day * 86_400 + time })
    }

    /// `YYYYMMDDTHHMMSSZ`: as sent, or made of the `Date` header.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.basic).unwrap_or_default()
    }

    /// `YYYYMMDD`.
    pub fn day(&self) -> &str {
        self.as_str().get(..8).unwrap_or_default()
    }

    /// Seconds since 1970.
    pub fn seconds(&self) -> i64 {
        self.seconds
    }
}

impl fmt::Debug for RequestDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A point in time for an error message.
pub(super) fn basic(seconds: i64) -> Box<str> {
    RequestDate::from_seconds(seconds).map_or_else(Box::default, |date| date.as_str().into())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7, IMF-fixdate). The weekday must be the right
/// one: a date that contradicts itself is no date.
fn read_rfc1123(text: &str) -> Option<i64> {
    let (weekday, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let mut time = parts.next()?.split(':');
    let (hour, minute, second) = (time.next()?, time.next()?, time.next()?);
    if parts.next()? != "GMT" || parts.next().is_some() || time.next().is_some() || year.len() != 4
    {
        return None;
    }
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == month)?.0;
    let day = days(number(year.as_bytes())?, month, two_digits(day)?)?;
    // The first of January 1970 was a Thursday.
    if WEEKDAYS.iter().zip(0..).find(|(name, _)| **name == weekday)?.1 != (day + 3).rem_euclid(7) {
        return None;
    }
    Some(day * 86_400 + time_of_day(hour.as_bytes(), minute.as_bytes(), second.as_bytes())?)
}

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn time_of_day(hour: &[u8], minute: &[u8], second: &[u8]) -> Option<i64> {
    let within = |digits: &[u8], end: i64| {
        let value = (digits.len() == 2).then(|| number(digits))??;
        (value < end).then_some(value)
    };
    Some(within(hour, 24)? * 3600 + within(minute, 60)? * 60 + within(second, 60)?)
}

fn two_digits(text: &str) -> Option<i64> {
    (text.len() == 2).then(|| number(text.as_bytes()))?
}

/// Up to four decimal digits.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

/// Days from 1970-01-01 to a date which must exist (Howard Hinnant, "chrono-compatible low-level
/// date algorithms").
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) {
        return None;
    }
    let shifted = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let count = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    // A day which the month does not have comes back as another date.
    (civil(count) == (year, month, day)).then_some(count)
}

/// Year, month and day of the days since 1970-01-01 (the inverse, from the same source).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let index = (5 * of_year + 2) / 153;
    let month = if index < 10 { index + 3 } else { index - 9 };
    let day = of_year - (153 * index + 2) / 5 + 1;
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_second() {
        let iso = RequestDate::from_basic("20150830T123600Z").unwrap();
        assert_eq!(iso.seconds(), 1_440_938_160);
        assert_eq!(RequestDate::from_http("Sun, 30 Aug 2015 12:36:00 GMT"), Ok(iso));
        assert_eq!(RequestDate::from_http("20150830T123600Z"), Ok(iso));
        assert_eq!(iso.day(), "20150830");
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for day in -719_528..=146_097 {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), Some(day));
            let seconds = day * 86_400 + 86_399;
            let text = RequestDate::from_seconds(seconds).unwrap();
            assert_eq!(RequestDate::from_basic(text.as_str()).unwrap().seconds(), seconds);
        }
        assert_eq!(basic(i64::MAX), Box::default());
        assert_eq!(basic(253_402_300_800), Box::default());
    }

    #[test]
    fn what_is_no_date_is_refused_with_its_text() {
        for text in [
            "",
            "2015",
            "20150830T123600",
            "20150830T123600z",
            "20150830 123600Z",
            "20151330T123600Z",
            "20150230T123600Z",
            "20150230T123600Z",
            "20150830T240000Z",
            "20150830T126000Z",
            "20150830T123660Z",
            "2015083０T12360Z",
            "+0150830T123600Z",
            "2015-08-30T12:36:00Z",
            "20150830T123600ZZ",
            "00000000T000000Z",
        ] {
            let error = RequestDate::from_basic(text).unwrap_err().to_string();
            let shown = text.replace('０', "?");
            assert_eq!(
                error,
                format!(
                    "Date must be in ISO-8601 'basic format'. Got '{shown}'. See http://en.wikipedia.org/wiki/ISO_8601"
                )
            );
        }
        for text in [
            "Mon, 30 Aug 2015 12:36:00 GMT",
            "Sun, 30 Aug 2015 12:36:00 UTC",
            "Sun, 30 Aug 2015 12:36:00 GMT ",
            "Sun, 30 aug 2015 12:36:00 GMT",
            "Sunday, 30-Aug-15 12:36:00 GMT",
            "Sun, 31 Feb 2015 12:36:00 GMT",
            "Sun, 30 Aug 2015 12:36 GMT",
            "Sun, 30 Aug 99999 12:36:00 GMT",
            "Sun, 30 Aug 2015 12:36:00:00 GMT",
            "Sun, +3 Aug 2015 12:36:00 GMT",
        ] {
            assert!(RequestDate::from_http(text).is_err(), "{text}");
        }
    }
}
