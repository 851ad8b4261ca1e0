//! Values that are more than text: numbers, dates, networks. One reading for what a policy says and
//! what a request brings, so that both mean the same.

use jiff::{Timestamp, civil};
use std::net::IpAddr;

/// How an order is asked about, as in `NumericLessThanEquals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Whether `actual` stands to `wanted` as the operator says.
    pub fn holds<T: PartialOrd>(self, actual: T, wanted: T) -> bool {
        match self {
            Comparison::Equal => actual == wanted,
            Comparison::Less => actual < wanted,
            Comparison::LessOrEqual => actual <= wanted,
            Comparison::Greater => actual > wanted,
            Comparison::GreaterOrEqual => actual >= wanted,
        }
    }
}

/// A decimal number. Rust also reads `inf`, `nan` and `+1`; a policy does not. Beyond 2^53 neighbours
/// are one: no condition key of AWS counts that far.
pub fn number(text: &str) -> Option<f64> {
    let decimal = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | 'e' | 'E');
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-') || !text.chars().all(decimal) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A date of ISO 8601 or seconds since 1970 (IAM User Guide, "Date condition operators"). A time
/// without a zone is UTC. Four digits alone could be a year or a second and are refused.
pub fn date(text: &str) -> Option<Timestamp> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = text.parse().ok().filter(|_| digits.len() != 4)?;
        return Timestamp::from_second(seconds).ok();
    }
    if text.contains(['[', ' ']) {
        return None; // jiff reads both; ISO 8601 knows neither.
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    let utc = |time: civil::DateTime| time.to_zoned(jiff::tz::TimeZone::UTC).ok();
    if text.contains('T') {
        return text.parse().ok().and_then(utc).map(|zoned| zoned.timestamp());
    }
    let day = match text.len() {
        7 => format!("{text}-01"),
        10 => text.to_owned(),
        _ => return None, // jiff would read more than a date, and drop what it does not need.
    };
    day.parse::<civil::Date>().ok().and_then(|date| utc(date.at(0, 0, 0, 0))).map(|z| z.timestamp())
}

pub fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// An address; IPv4 in an IPv6 coat is IPv4, or a Deny of 10.0.0.0/8 would miss ::ffff:10.0.0.1.
pub fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// A range of addresses in CIDR notation; one address when there is no slash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    pub fn parse(text: &str) -> Option<Network> {
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().ok()?;
        let bits = if base.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = match prefix {
            None => bits,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        match base.to_canonical() {
            _ if prefix > bits => None,
            v4 @ IpAddr::V4(_) if bits == 128 && prefix >= 96 => {
                Some(Network { base: v4, prefix: prefix - 96 })
            }
            _ => Some(Network { base, prefix }),
        }
    }

    /// Whether every address of its family is in it.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Whether it leaves no more of its family than a network with so many fixed bits.
    pub fn is_within(&self, ipv4_bits: u8, ipv6_bits: u8) -> bool {
        self.prefix >= if self.base.is_ipv4() { ipv4_bits } else { ipv6_bits }
    }

    /// Bits of the base beyond the prefix are ignored, as AWS does.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differing = u32::from(base) ^ u32::from(address);
                differing.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differing = u128::from(base) ^ u128::from(address);
                differing.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no address range like 10.0.0.0/8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_and_finite() {
        assert_eq!(number("7"), Some(7.0));
        assert_eq!(number("-1.50"), Some(-1.5));
        assert_eq!(number("1e2"), Some(100.0));
        for text in ["", "inf", "nan", "NaN", "-inf", "+1", " 1", "0x10", "1e999", "1,0", "e1", "-"]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn dates_in_all_their_spellings() {
        let noon = Timestamp::from_second(1_585_742_400).unwrap();
        for text in [
            "2020-04-01T12:00:00Z",
            "2020-04-01T12:00Z",
            "2020-04-01T14:00:00+02:00",
            "2020-04-01T12:00:00.000Z",
            "2020-04-01T12:00:00",
            "1585742400",
        ] {
            assert_eq!(date(text), Some(noon), "{text}");
        }
        let day = Timestamp::from_second(1_585_699_200);
        assert_eq!(date("2020-04-01"), day.clone().ok());
        assert_eq!(date("2020-04"), day.ok());
        assert_eq!(date("-1"), Timestamp::from_second(-1).ok());
        for text in [
            "",
            "2020",
            "-",
            "now",
            "2020-13-01",
            "2020-02-30",
            "99999999999999999999",
            "2020-04-01 12:00:00Z",
            "2020-04-01T12:00:00Z[UTC]",
            "01.04.2020",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn networks_beside_their_nearest_misses() {
        for (network, inside, outside) in [
            ("203.0.113.0/24", "203.0.113.255", "203.0.114.0"),
            ("203.0.113.77/24", "203.0.113.1", "203.0.112.255"),
            ("203.0.113.7", "203.0.113.7", "203.0.113.6"),
            ("203.0.113.7/32", "::ffff:203.0.113.7", "203.0.113.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "203.0.113.7"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::ffff:203.0.113.0/120", "203.0.113.9", "203.0.114.9"),
            ("2001:db8::1/128", "2001:db8::1", "2001:db8::2"),
        ] {
            let range = Network::parse(network).unwrap();
            assert!(range.contains(address(inside).unwrap()), "{network} {inside}");
            assert!(!range.contains(address(outside).unwrap()), "{network} {outside}");
        }
        for text in [
            "",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/8/8",
            "010.0.0.1",
            "10.0.0.0/255.0.0.0",
            "*",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
