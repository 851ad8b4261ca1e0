//! A moment, to the millisecond, and the five ways AWS writes one.
use jiff::civil::{self, DateTime};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Milliseconds since 1970-01-01T00:00:00Z.
///
/// In JSON a number of epoch seconds, whole or with a fraction (`1662345678.123`): the form of the
/// AWS JSON protocols. `Display` and `FromStr` are ISO 8601 in UTC, the form of the Query protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// The years 1 to 9999: every textual form has a four-digit year.
const EARLIEST_MS: i64 = -62_135_596_800_000;
const LATEST_MS: i64 = 253_402_300_799_999;
const MS: i64 = 1000;
const EPOCH: DateTime = civil::datetime(1970, 1, 1, 0, 0, 0, 0);

impl Timestamp {
    /// The last moment that can be written.
    pub const MAX: Self = Self(LATEST_MS);

    /// Whole seconds since the epoch; beyond the year 9999 the last moment that can be written.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(MS))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(MS)
    }

    /// This moment, `secs` later (or earlier, if negative).
    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(MS)))
    }

    /// The same moment without its milliseconds.
    #[must_use]
    pub const fn whole_secs(self) -> Self {
        Self::from_secs(self.secs())
    }

    /// Milliseconds in as many digits as an i64 needs: rows whose keys begin so lie in the order of
    /// their times.
    #[must_use]
    pub fn row_part(self) -> String {
        format!("{:019}", self.0.max(0))
    }

    /// Epoch seconds as JSON carries them; `None` outside the years 1 to 9999.
    #[must_use]
    pub fn from_epoch(secs: f64) -> Option<Self> {
        let ms = (secs * 1000.0).round();
        // Both bounds are exact as f64, so the cast below loses nothing; a NaN fails the test.
        #[expect(clippy::cast_precision_loss, reason = "both bounds are below 2^53")]
        let inside = ms >= EARLIEST_MS as f64 && ms <= LATEST_MS as f64;
        #[expect(clippy::cast_possible_truncation, reason = "a whole number inside the bounds")]
        inside.then_some(Self(ms as i64))
    }

    /// SigV4's basic format, `20260101T000000Z`.
    #[must_use]
    pub fn to_basic(self) -> String {
        self.civil().strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    /// The date of SigV4's credential scope, `20260101`.
    #[must_use]
    pub fn to_basic_date(self) -> String {
        self.civil().strftime("%Y%m%d").to_string()
    }

    /// Reads SigV4's basic format and nothing else: sixteen characters, no sign, no other zone.
    #[must_use]
    pub fn from_basic(text: &str) -> Option<Self> {
        let shape = text.bytes().enumerate().all(|(i, byte)| match i {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
        if text.len() != 16 || !shape {
            return None;
        }
        let civil = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
        // jiff folds a leap second into the one before; a signature date must mean what it says.
        let moment = Self::of(civil)?;
        (moment.to_basic() == text).then_some(moment)
    }

    /// The HTTP `Date` header, `Thu, 01 Jan 2026 00:00:00 GMT` (RFC 9110 §5.6.7).
    #[must_use]
    pub fn to_http_date(self) -> String {
        self.civil().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    // `civil::DateTime` and not `jiff::Timestamp`, which ends a day before the year 9999 does: "never"
    // is often written 9999-12-31T23:59:59Z.
    fn civil(self) -> DateTime {
        let ms = self.0.clamp(EARLIEST_MS, LATEST_MS);
        // In range by the clamp.
        EPOCH.saturating_add(jiff::SignedDuration::from_millis(ms))
    }

    fn of(civil: DateTime) -> Option<Self> {
        let ms = i64::try_from(civil.duration_since(EPOCH).as_millis()).ok()?;
        (EARLIEST_MS..=LATEST_MS).contains(&ms).then_some(Self(ms))
    }
}

/// ISO 8601 in UTC, `2026-01-01T00:00:00Z`; the milliseconds only if there are any.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand and not by `strftime`: every call has several of these in its event and conditions.
        let civil = self.civil();
        let (date, time) = (civil.date(), civil.time());
        let fields = [
            i32::from(date.year()),
            date.month().into(),
            date.day().into(),
            time.hour().into(),
            time.minute().into(),
            time.second().into(),
            time.millisecond().into(),
        ];
        let mut whole = *b"0000-00-00T00:00:00Z";
        let mut with_ms = *b"0000-00-00T00:00:00.000Z";
        let text: &mut [u8] = if self.0 % MS == 0 { &mut whole } else { &mut with_ms };
        for (field, value) in text.split_mut(|byte| !byte.is_ascii_digit()).zip(fields) {
            write_digits(field, value);
        }
        // Digits and what stands between them.
        f.write_str(std::str::from_utf8(text).unwrap_or_default())
    }
}

/// Fills the field with the last decimal digits of a number that is not negative.
fn write_digits(field: &mut [u8], mut value: i32) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
    }
}

/// The text is no ISO 8601 moment between the years 1 and 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timestamp must follow ISO8601")]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        // An offset before the Z would be passed over; the date alone has two hyphens.
        let local = text.strip_suffix('Z').ok_or(InvalidTimestamp)?;
        if local.contains(['+', '[']) || local.matches('-').count() != 2 {
            return Err(InvalidTimestamp);
        }
        local.parse().ok().and_then(Self::of).ok_or(InvalidTimestamp)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % MS == 0 {
            serializer.serialize_i64(self.0 / MS)
        } else {
            #[expect(clippy::cast_precision_loss, reason = "years up to 9999 are below 2^53 ms")]
            serializer.serialize_f64(self.0 as f64 / 1000.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Epoch;
        impl Visitor<'_> for Epoch {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("epoch seconds")
            }
            fn visit_i64<E: Error>(self, secs: i64) -> Result<Timestamp, E> {
                #[expect(clippy::cast_precision_loss, reason = "what is rounded is out of range")]
                self.visit_f64(secs as f64)
            }
            fn visit_u64<E: Error>(self, secs: u64) -> Result<Timestamp, E> {
                #[expect(clippy::cast_precision_loss, reason = "what is rounded is out of range")]
                self.visit_f64(secs as f64)
            }
            fn visit_f64<E: Error>(self, secs: f64) -> Result<Timestamp, E> {
                Timestamp::from_epoch(secs).ok_or_else(|| E::custom("epoch seconds out of range"))
            }
        }
        deserializer.deserialize_any(Epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW_YEAR: Timestamp = Timestamp::from_secs(1_767_225_600);

    #[test]
    fn every_form_of_one_moment() {
        assert_eq!(NEW_YEAR.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(NEW_YEAR.to_basic(), "20260101T000000Z");
        assert_eq!(NEW_YEAR.to_basic_date(), "20260101");
        assert_eq!(NEW_YEAR.to_http_date(), "Thu, 01 Jan 2026 00:00:00 GMT");
        assert_eq!(serde_json::to_string(&NEW_YEAR).unwrap(), "1767225600");
        let later = Timestamp(NEW_YEAR.0 + 7);
        assert_eq!(later.to_string(), "2026-01-01T00:00:00.007Z");
        assert_eq!(later.whole_secs(), NEW_YEAR);
        assert_eq!(Timestamp(-1).secs(), -1);
        assert_eq!(NEW_YEAR.plus_secs(-86_400).to_string(), "2025-12-31T00:00:00Z");
    }

    #[test]
    fn iso_is_what_strftime_writes() {
        // Some 40 000 moments of all years, whole seconds among them.
        let all = (EARLIEST_MS..=LATEST_MS).step_by(7_884_000_617);
        for ms in all.flat_map(|ms| [ms, ms - ms.rem_euclid(MS)]).chain([LATEST_MS, 0, -1]) {
            let moment = Timestamp(ms.max(EARLIEST_MS));
            let format = match moment.0 % MS {
                0 => "%Y-%m-%dT%H:%M:%SZ",
                _ => "%Y-%m-%dT%H:%M:%S.%3fZ",
            };
            let expected = moment.civil().strftime(format).to_string();
            assert_eq!(moment.to_string(), expected, "{ms}");
        }
    }

    #[test]
    fn json_keeps_every_millisecond() {
        assert_eq!(serde_json::to_string(&Timestamp(1_662_345_678_123)).unwrap(), "1662345678.123");
        for ms in (0..200_000).map(|i| 1_662_345_678_000 + i * 7_919) {
            let text = serde_json::to_string(&Timestamp(ms)).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), Timestamp(ms), "{text}");
        }
        for text in ["1.662345678123E9", "1662345678.123"] {
            assert_eq!(
                serde_json::from_str::<Timestamp>(text).unwrap(),
                Timestamp(1_662_345_678_123)
            );
        }
    }

    #[test]
    fn json_refuses_what_has_no_four_digit_year() {
        for text in
            ["253402300800", "-62135596801", "1e300", "18446744073709551615", "\"2026\"", "null"]
        {
            assert!(serde_json::from_str::<Timestamp>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn text_forms_read_back() {
        for ms in [0, 951_782_400_000, 1_709_164_800_000, 1_767_225_600_123, LATEST_MS, EARLIEST_MS]
        {
            let moment = Timestamp(ms);
            assert_eq!(moment.to_string().parse(), Ok(moment));
            assert_eq!(Timestamp::from_basic(&moment.to_basic()), Some(moment.whole_secs()));
        }
    }

    #[test]
    fn iso_is_utc() {
        assert_eq!("2026-01-01T00:00:00Z".parse(), Ok(NEW_YEAR));
        for text in [
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+01:00",
            "2026-01-01T00:00:00+01:00Z",
            "2026-01-01T00:00:00-01:00Z",
            "2026-01-01T00:00:00ZZ",
            "2026-02-30T00:00:00Z",
            "20260101T000000Z",
            "Z",
            "",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text}");
        }
    }

    #[test]
    fn basic_format_is_exact() {
        for text in [
            "20260101T000000",
            "2026-01-01T00:00:00Z",
            "20260230T000000Z",
            "20260101T240000Z",
            "20260101T000060Z",
            "20260101t000000Z",
            "+2260101T000000Z",
            " 0260101T000000Z",
            "",
        ] {
            assert_eq!(Timestamp::from_basic(text), None, "{text}");
        }
    }

    #[test]
    fn no_number_makes_it_panic() {
        for ms in [i64::MIN, i64::MAX] {
            let moment = Timestamp(ms);
            _ = (moment.to_string(), moment.to_basic(), moment.to_http_date(), moment.secs());
            _ = (moment.plus_secs(ms), Timestamp::from_secs(ms));
        }
    }
}
