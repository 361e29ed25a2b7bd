//! Decimal numbers in one form, by their digits alone: no float is involved.

use std::borrow::Cow;

/// More zeros than this are not written out: `1e999999999` must not become a gigabyte.
const MOST_ZEROS: u64 = 64;
/// Beyond this an exponent is not taken for a number.
const LARGEST_EXPONENT: i64 = 1_000_000_000_000;
/// Up to this length digits without an exponent can't need more zeros than allowed.
const SHORT: usize = 64;

/// A number in canonical form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decimal<'a> {
    /// `-12.5`: no sign but `-`, no needless zeros, no exponent.
    Plain(Cow<'a, str>),
    /// `12e500`: digits that don't end in zero, and the exponent. Treated as text.
    Scientific(String),
}

struct Parts<'a> {
    negative: bool,
    /// Without leading zeros.
    whole: &'a str,
    /// Without trailing zeros.
    fraction: &'a str,
    exponent: Option<i64>,
}

/// The canonical form of `[+-]digits[.digits][e[+-]digits]`; None for anything else.
pub(super) fn canonical(s: &str) -> Option<Decimal<'_>> {
    let p = split(s)?;
    if p.whole.is_empty() && p.fraction.is_empty() {
        return Some(Decimal::Plain(Cow::Borrowed("0")));
    }
    match p.exponent {
        None if s.len() <= SHORT => Some(Decimal::Plain(short(s, &p))),
        Some(e) if e.abs() > LARGEST_EXPONENT => None,
        given => Some(long(&p, given.unwrap_or_default())),
    }
}

fn split(s: &str) -> Option<Parts<'_>> {
    let (negative, unsigned) = match s.as_bytes().first()? {
        b'-' => (true, s.get(1..)?),
        b'+' => (false, s.get(1..)?),
        _ => (false, s),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(parse_exponent(exponent)?)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    Some(Parts {
        negative,
        whole: whole.trim_start_matches('0'),
        fraction: fraction.trim_end_matches('0'),
        exponent,
    })
}

/// Too large ones saturate, so that a zero with any exponent is still a zero.
fn parse_exponent(s: &str) -> Option<i64> {
    let digits = s.strip_prefix(['+', '-']).unwrap_or(s);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i64>().unwrap_or(i64::MAX);
    Some(if s.starts_with('-') { -size } else { size })
}

/// No exponent: the canonical form is mostly a piece of what was given.
fn short<'a>(s: &'a str, p: &Parts<'_>) -> Cow<'a, str> {
    let tidy = s.strip_prefix('+').unwrap_or(s);
    let tidy = match tidy.contains('.') {
        true => tidy.trim_end_matches('0').trim_end_matches('.'),
        false => tidy,
    };
    let unsigned = tidy.strip_prefix('-').unwrap_or(tidy);
    if unsigned.starts_with("0.") || !unsigned.starts_with(['0', '.']) {
        return Cow::Borrowed(tidy);
    }
    let sign = if p.negative { "-" } else { "" };
    let whole = if p.whole.is_empty() { "0" } else { p.whole };
    let dot = if p.fraction.is_empty() { "" } else { "." };
    Cow::Owned([sign, whole, dot, p.fraction].concat())
}

/// Any exponent, any length: decided by the value alone, so that all forms of a number become one.
fn long(p: &Parts<'_>, exponent: i64) -> Decimal<'static> {
    let all = [p.whole, p.fraction].concat();
    let digits = all.trim_start_matches('0').trim_end_matches('0');
    let trailing = all.len() - all.trim_end_matches('0').len();
    let exponent = exponent - length(p.fraction.len()) + length(trailing);
    let sign = if p.negative { "-" } else { "" };
    // Where the point stands, counted from the first digit.
    let point = length(digits.len()) + exponent;
    if zeros(exponent, point) > MOST_ZEROS {
        return Decimal::Scientific(format!("{sign}{digits}e{exponent}"));
    }
    let plain = match usize::try_from(point) {
        Ok(at) if at >= digits.len() => format!("{sign}{digits}{}", "0".repeat(at - digits.len())),
        Ok(at) if at > 0 => {
            let (whole, fraction) = digits.split_at(at);
            format!("{sign}{whole}.{fraction}")
        }
        _ => {
            let zeros = usize::try_from(-point).unwrap_or_default();
            format!("{sign}0.{}{digits}", "0".repeat(zeros))
        }
    };
    Decimal::Plain(Cow::Owned(plain))
}

/// How many zeros would have to be written before or after the digits.
fn zeros(exponent: i64, point: i64) -> u64 {
    if exponent > 0 {
        exponent.unsigned_abs()
    } else if point < 0 {
        point.unsigned_abs()
    } else {
        0
    }
}

fn length(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(s: &str) -> Option<String> {
        match canonical(s)? {
            Decimal::Plain(text) => Some(text.into_owned()),
            Decimal::Scientific(text) => Some(format!("text {text}")),
        }
    }

    #[test]
    fn forms_of_a_number_are_one() {
        for form in [
            "10", "10.00", "10.0", "1e1", "+10", "010", "10.", "1E+1", "100e-1", "0.1e2", "10.0e0",
        ] {
            assert_eq!(plain(form).as_deref(), Some("10"), "{form}");
        }
        for form in [
            "0",
            "-0",
            "0.00",
            "-0.0",
            "+0",
            ".0",
            "0.",
            "0e99999999999999999999",
            "000",
        ] {
            assert_eq!(plain(form).as_deref(), Some("0"), "{form}");
        }
        for form in ["-0.5", "-.50", "-5e-1", "-00.5", "-0.05e1", "-500e-3"] {
            assert_eq!(plain(form).as_deref(), Some("-0.5"), "{form}");
        }
        for form in ["0.07", ".07", "00.070", "7e-2"] {
            assert_eq!(plain(form).as_deref(), Some("0.07"), "{form}");
        }
    }

    #[test]
    fn no_digit_is_lost() {
        let long = "123456789012345678901234567890.123456789012345678901234567891";
        assert_eq!(plain(long).as_deref(), Some(long));
        assert_eq!(plain("0.1").as_deref(), Some("0.1"));
        assert_eq!(plain("9007199254740993").as_deref(), Some("9007199254740993"));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for s in [
            "",
            " ",
            "+",
            "-",
            ".",
            "e1",
            "1e",
            "1e+",
            "1,5",
            "1.2.3",
            "0x10",
            "1_000",
            "NaN",
            "inf",
            "--1",
            "+-1",
            "1 2",
            "１",
            "1e1.5",
            "1e99999999999999999999",
        ] {
            assert_eq!(plain(s), None, "{s}");
        }
    }

    #[test]
    fn exponents_do_not_explode() {
        assert_eq!(plain("1e64"), Some(format!("1{}", "0".repeat(64))));
        assert_eq!(plain("1e65").as_deref(), Some("text 1e65"));
        assert_eq!(
            plain(&format!("-1{}.0", "0".repeat(65))).as_deref(),
            Some("text -1e65")
        );
        assert_eq!(plain("120e999999999").as_deref(), Some("text 12e1000000000"));
        assert_eq!(plain("1e-64"), Some(format!("0.{}1", "0".repeat(63))));
        assert_eq!(plain("0.5e-900").as_deref(), Some("text 5e-901"));
        assert_eq!(plain("5e-901").as_deref(), Some("text 5e-901"));
    }

    proptest! {
        #[test]
        fn canonical_is_stable(s in "[+-]?[0-9]{0,70}([.][0-9]{0,70})?([eE][+-]?[0-9]{1,4})?") {
            if let Some(Decimal::Plain(once)) = canonical(&s) {
                prop_assert_eq!(canonical(&once), Some(Decimal::Plain(Cow::Borrowed(&*once))));
            }
        }

        #[test]
        fn shifting_the_point_changes_nothing(n in any::<i64>(), by in 0i32..80) {
            let expected = plain(&n.to_string());
            let zeros = "0".repeat(by.unsigned_abs() as usize);
            prop_assert_eq!(plain(&format!("{n}{zeros}e-{by}")), expected.clone());
            prop_assert_eq!(plain(&format!("{n}.{zeros}")), expected);
        }

        #[test]
        fn different_integers_stay_different(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(plain(&a.to_string()) == plain(&b.to_string()), a == b);
        }
    }
}
