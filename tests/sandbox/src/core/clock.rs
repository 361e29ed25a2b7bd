//! The server's clock, which can be told to be wrong, and dates without a date library.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds of Unix time as this server believes them.
#[derive(Debug, Default)]
pub struct Clock {
    skew: AtomicI64,
}

impl Clock {
    /// Now, with the skew.
    pub fn now(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH);
        real.map_or(0, |d| d.as_secs() as i64) + self.skew.load(Ordering::Relaxed)
    }

    /// The same in microseconds.
    pub fn now_micros(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH);
        real.map_or(0, |d| d.as_micros() as i64) + self.skew.load(Ordering::Relaxed) * 1_000_000
    }

    /// Sets how many seconds this server's clock is ahead of the real one.
    pub fn set_skew(&self, seconds: i64) {
        self.skew.store(seconds, Ordering::Relaxed);
    }
}

/// Year, month and day of a count of days since 1970-01-01.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01 of a date.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = (month + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// Writes `YYYY-MM-DDTHH:MM:SS`.
pub fn write_iso(buf: &mut Vec<u8>, seconds: i64) {
    write_stamp(buf, seconds, b'T');
}

/// Writes the same with another byte between date and time.
pub fn write_stamp(buf: &mut Vec<u8>, seconds: i64, between: u8) {
    let (y, m, d) = civil(seconds.div_euclid(86_400));
    let s = seconds.rem_euclid(86_400);
    let digits = |n: i64| [b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
    buf.extend_from_slice(&digits(y / 100));
    buf.extend_from_slice(&digits(y % 100));
    for (sep, part) in [
        (b'-', m),
        (b'-', d),
        (between, s / 3600),
        (b':', s / 60 % 60),
        (b':', s % 60),
    ] {
        buf.push(sep);
        buf.extend_from_slice(&digits(part));
    }
}

/// `YYYY-MM-DDTHH:MM:SS` as a string.
pub fn iso(seconds: i64) -> String {
    let mut buf = Vec::with_capacity(19);
    write_iso(&mut buf, seconds);
    String::from_utf8(buf).unwrap_or_default()
}

/// A date as WordPress accepts it: naive seconds, and the offset where one was given.
pub fn parse_iso(text: &str) -> Option<(i64, Option<i64>)> {
    let b = text.as_bytes();
    if b.len() < 19 || !text.is_ascii() {
        return None;
    }
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
    let shape = b[4] == b'-' && b[7] == b'-' && matches!(b[10], b'T' | b't' | b' ');
    if !shape || b[13] != b':' || b[16] != b':' {
        return None;
    }
    let (y, m, d) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (h, min, s) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    if !(1..=12).contains(&m) || !(1..=31).contains(&d) || h > 24 || min > 59 || s > 60 {
        return None;
    }
    let naive = days(y, m, d) * 86_400 + h * 3600 + min * 60 + s;
    Some((naive, parse_offset(&text[19..])?))
}

/// The rest of a date after its seconds: nothing, a fraction, `Z`, `+01:00`, `+01`.
fn parse_offset(rest: &str) -> Option<Option<i64>> {
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    match rest.as_bytes() {
        [] => Some(None),
        [b'Z'] | [b'z'] => Some(Some(0)),
        [sign @ (b'+' | b'-'), ..] => {
            let (h, m) = rest[1..].split_once(':').unwrap_or((&rest[1..], "0"));
            let seconds = h.parse::<i64>().ok()? * 3600 + m.parse::<i64>().ok()? * 60;
            Some(Some(if *sign == b'-' { -seconds } else { seconds }))
        }
        _ => None,
    }
}

/// An HTTP `Date`.
pub fn http_date(seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let day = seconds.div_euclid(86_400);
    let (y, m, d) = civil(day);
    let s = seconds.rem_euclid(86_400);
    let weekday = DAYS[day.rem_euclid(7) as usize];
    let month = MONTHS[(m - 1) as usize];
    format!(
        "{weekday}, {d:02} {month} {y} {:02}:{:02}:{:02} GMT",
        s / 3600,
        s / 60 % 60,
        s % 60
    )
}
