//! Points in time in one form: RFC 3339, UTC, `Z`, no needless zeros.

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, Timelike, Utc};
use std::borrow::Cow;

/// What came out of reading a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moment<'a> {
    /// In canonical form.
    At(Cow<'a, str>),
    /// `0000-00-00 00:00:00`: how MySQL writes "never".
    Never,
}

/// A date, or a date and a time of day with or without an offset (none is UTC); None for anything else.
pub(super) fn canonical(s: &str) -> Option<Moment<'_>> {
    if s.starts_with("0000-00-00") {
        return Some(Moment::Never);
    }
    let (naive, fraction, shift) = read(s)?;
    if is_canonical(s.as_bytes()) {
        return Some(Moment::At(Cow::Borrowed(s)));
    }
    let utc = naive.checked_sub_signed(Duration::seconds(shift))?;
    if !(1..=9999).contains(&utc.year()) {
        return None;
    }
    Some(Moment::At(Cow::Owned(write(utc, fraction))))
}

/// Whether a time that could be read is written as we write it. Without a fraction, which is the rule.
fn is_canonical(s: &[u8]) -> bool {
    matches!(
        s,
        [
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            b'T',
            _,
            _,
            _,
            _,
            _,
            b':',
            _,
            _,
            b'Z'
        ]
    )
}

/// The same as a value to calculate with.
pub(super) fn parse(s: &str) -> Option<DateTime<Utc>> {
    match canonical(s)? {
        Moment::At(text) => DateTime::parse_from_rfc3339(&text).ok().map(|t| t.to_utc()),
        Moment::Never => None,
    }
}

fn write(t: NaiveDateTime, fraction: &str) -> String {
    let point = if fraction.is_empty() { "" } else { "." };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{point}{fraction}Z",
        t.year(),
        t.month(),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// Local time, the digits of the fraction without trailing zeros, seconds east of UTC.
fn read(s: &str) -> Option<(NaiveDateTime, &str, i64)> {
    let (date, rest) = s.split_at_checked(10)?;
    let date = read_date(date)?;
    if rest.is_empty() {
        return Some((date.and_hms_opt(0, 0, 0)?, "", 0));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = match rest.as_bytes().get(5) {
        Some(b':') => rest.split_at_checked(8)?,
        _ => rest.split_at_checked(5)?,
    };
    let (hour, minute, second) = read_clock(clock)?;
    let (fraction, offset) = match clock.len() {
        8 => split_fraction(rest)?,
        _ => ("", rest),
    };
    let naive = date.and_hms_opt(hour, minute, second)?;
    Some((naive, fraction, read_offset(offset.trim_start())?))
}

fn read_date(s: &str) -> Option<NaiveDate> {
    let (year, month, day) = (s.get(0..4)?, s.get(5..7)?, s.get(8..10)?);
    if s.get(4..5)? != "-" || s.get(7..8)? != "-" {
        return None;
    }
    NaiveDate::from_ymd_opt(i32::try_from(digits(year)?).ok()?, digits(month)?, digits(day)?)
        .filter(|d| d.year() > 0)
}

/// `hh:mm` or `hh:mm:ss`.
fn read_clock(s: &str) -> Option<(u32, u32, u32)> {
    let mut parts = s.split(':');
    let hour = two(parts.next()?)?;
    let minute = two(parts.next()?)?;
    let second = parts.next().map_or(Some(0), two)?;
    Some((hour, minute, second))
}

fn split_fraction(s: &str) -> Option<(&str, &str)> {
    let Some(after) = s.strip_prefix('.') else {
        return Some(("", s));
    };
    let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    let (fraction, offset) = after.split_at_checked(end)?;
    (end > 0).then(|| (fraction.trim_end_matches('0'), offset))
}

/// `Z`, `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss`, in seconds. Nothing is UTC.
fn read_offset(s: &str) -> Option<i64> {
    let sign = match s.as_bytes().first() {
        None => return Some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return matches!(s, "Z" | "z" | "UTC" | "GMT").then_some(0),
    };
    let s = s.get(1..)?;
    let (hours, minutes, seconds) = match s.len() {
        2 => (two(s)?, 0, 0),
        4 => (two(s.get(..2)?)?, two(s.get(2..)?)?, 0),
        5 | 8 => read_clock(s)?,
        _ => return None,
    };
    let fits = hours < 16 && minutes < 60 && seconds < 60;
    fits.then(|| sign * i64::from(hours * 3600 + minutes * 60 + seconds))
}

fn two(s: &str) -> Option<u32> {
    if s.len() == 2 {
        digits(s)
    } else {
        None
    }
}

/// `parse` alone would take a sign.
fn digits(s: &str) -> Option<u32> {
    if s.bytes().all(|b| b.is_ascii_digit()) {
        s.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: &str) -> Option<String> {
        match canonical(s)? {
            Moment::At(text) => Some(text.into_owned()),
            Moment::Never => Some("never".to_owned()),
        }
    }

    #[test]
    fn forms_of_a_moment_are_one() {
        for s in [
            "2026-01-01T10:00:00",
            "2026-01-01 10:00:00",
            "2026-01-01T10:00:00Z",
            "2026-01-01T10:00:00z",
            "2026-01-01T10:00:00+00",
            "2026-01-01T10:00:00+00:00",
            "2026-01-01 12:00:00+0200",
            "2026-01-01T04:30:00.000-05:30",
            "2026-01-01 10:00",
            "2026-01-01 10:00:00.000000+00",
            "2026-01-01T10:00:00 UTC",
            "2026-01-01 10:00:00 +00:00",
            "2026-01-01t10:00:00-00:00:00",
            "2026-01-02T01:00:00+15",
            "2026-01-01T10:00   Z",
        ] {
            assert_eq!(at(s).as_deref(), Some("2026-01-01T10:00:00Z"), "{s}");
        }
    }

    #[test]
    fn fractions_keep_what_counts() {
        assert_eq!(
            at("2026-01-01 10:00:00.1200").as_deref(),
            Some("2026-01-01T10:00:00.12Z")
        );
        assert_eq!(
            at("2026-01-01T10:00:00.000001Z").as_deref(),
            Some("2026-01-01T10:00:00.000001Z")
        );
    }

    #[test]
    fn days_and_years_carry_over() {
        assert_eq!(
            at("2024-03-01T00:30:00+01:00").as_deref(),
            Some("2024-02-29T23:30:00Z")
        );
        assert_eq!(at("2026-01-01").as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(at("0000-00-00 00:00:00").as_deref(), Some("never"));
        assert_eq!(at("9999-12-31T23:59:59-01"), None);
        assert_eq!(at("0001-01-01T00:00:00+01"), None);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for s in [
            "",
            "yesterday",
            "2026",
            "2026-1-1",
            "2026-02-30",
            "2026-13-01",
            "2026-01-01T25:00:00",
            "2026-01-01T10:60:00",
            "2026-01-01T10:00:00.",
            "2026-01-01T10:00:00+1",
            "2026-01-01X10:00",
            "2026-01-01T10:00:00+24:00",
            "2026-01-01T",
            "2026-01-01T10",
            "+026-01-01",
            "2026-01-01T+1:00",
            "2026-01-01T10:00:00Europe/Warsaw",
            "infinity",
            "2026-01-01T10:00:00ZZ",
            "2026-01-0é",
            "2026-01-01T1é:00",
            "1767261600",
            "2026-01-01T10:00.00Z",
        ] {
            assert_eq!(at(s), None, "{s}");
        }
    }

    #[test]
    fn canonical_is_stable_and_parses() {
        for s in ["2026-01-01T10:00:00Z", "2026-01-01T10:00:00.5Z"] {
            assert_eq!(at(s).as_deref(), Some(s));
            assert_eq!(parse(s).map(|t| t.timestamp()), Some(1_767_261_600));
        }
        assert_eq!(parse("0000-00-00"), None);
    }
}
