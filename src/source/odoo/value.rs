//! Taking values out of Odoo's rows. `false` stands for nothing in every field but those that hold a yes or no.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;

/// Canonical fields under construction.
pub(super) type Fields = Map<String, Value>;

/// Decimal places of prices and quantities: more than Odoo's users set, fewer than its arithmetic leaves behind.
const PLACES: usize = 8;
/// Decimal places of amounts of money.
const PLACES_OF_MONEY: usize = 6;
/// As many digits as a binary float holds for certain.
const DIGITS: usize = 15;

/// Sets a field from a text or a number.
pub(super) fn put(out: &mut Fields, name: &str, value: &Value) {
    let value = match value {
        Value::Number(number) => Value::Number(tidy(number, PLACES)),
        Value::String(text) if !text.is_empty() => value.clone(),
        _ => return,
    };
    out.insert(name.to_owned(), value);
}

/// Sets a field from an amount that Odoo gets by taking one from another: the error is the larger ones'.
pub(super) fn put_difference(out: &mut Fields, name: &str, value: &Value) {
    if let Value::Number(number) = value {
        out.insert(name.to_owned(), Value::Number(tidy(number, PLACES_OF_MONEY)));
    }
}

/// A number without the error of binary arithmetic. What Odoo stores comes as it was entered; what it computes when it is
/// asked (a variant's price) or keeps as a binary float (a line's tax, which is its total less its subtotal) doesn't: 53.62
/// comes as 53.620000000000005, 0.17 as 0.16999999999999993. No column of type `numeric(12, 2)` would ever equal that.
fn tidy(number: &Number, places: usize) -> Number {
    let digits = number.as_str();
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = !digits.contains(['e', 'E']);
    if plain && fraction.len() <= PLACES_OF_MONEY {
        return number.clone();
    }
    let Some(float) = number.as_f64().filter(|float| float.is_finite()) else {
        return number.clone();
    };
    let whole = if plain {
        whole.trim_start_matches(['-', '0']).len()
    } else if float.abs() < 1.0 {
        0
    } else {
        return number.clone();
    };
    let rounded = format!("{float:.*}", places.min(DIGITS.saturating_sub(whole)));
    let rounded = match rounded.contains('.') {
        true => rounded.trim_end_matches('0').trim_end_matches('.'),
        false => rounded.as_str(),
    };
    let rounded = if rounded == "-0" { "0" } else { rounded };
    rounded.parse().unwrap_or_else(|_| number.clone())
}

/// Sets fields: ours, theirs.
pub(super) fn put_all(out: &mut Fields, row: &Value, names: &[(&str, &str)]) {
    for (ours, theirs) in names {
        put(out, ours, &row[*theirs]);
    }
}

/// Sets a field from the first of these that has something.
pub(super) fn put_first(out: &mut Fields, name: &str, row: &Value, theirs: &[&str]) {
    for their in theirs {
        if !out.contains_key(name) {
            put(out, name, &row[*their]);
        }
    }
}

/// Sets a field from a yes or no.
pub(super) fn put_flag(out: &mut Fields, name: &str, value: &Value) {
    if value.is_boolean() {
        out.insert(name.to_owned(), value.clone());
    }
}

/// Sets a field to the id that a many2one holds.
pub(super) fn put_reference(out: &mut Fields, name: &str, value: &Value) {
    if let Some(id) = reference(value) {
        out.insert(name.to_owned(), Value::String(id.to_string()));
    }
}

/// Sets a field to the label that a many2one shows.
pub(super) fn put_label(out: &mut Fields, name: &str, value: &Value) {
    put(out, name, &value[1]);
}

/// Sets references and their labels: our prefix, theirs.
pub(super) fn put_named(out: &mut Fields, row: &Value, names: &[(&str, &str)]) {
    for (prefix, theirs) in names {
        put_reference(out, &format!("{prefix}_external_id"), &row[*theirs]);
        put_label(out, &format!("{prefix}_name"), &row[*theirs]);
    }
}

/// Sets a field from a time. Days stay days.
pub(super) fn put_time(out: &mut Fields, name: &str, value: &Value) {
    match time(value) {
        Some(time) => {
            let text = time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            out.insert(name.to_owned(), Value::String(text));
        }
        None => put(out, name, &day(value)),
    }
}

/// Sets times: ours, theirs.
pub(super) fn put_times(out: &mut Fields, row: &Value, names: &[(&str, &str)]) {
    for (ours, theirs) in names {
        put_time(out, ours, &row[*theirs]);
    }
}

/// The id that a many2one holds, with its label or without.
pub(super) fn reference(value: &Value) -> Option<u64> {
    let id = value.get(0).unwrap_or(value);
    id.as_u64().filter(|id| *id > 0)
}

/// The ids that a list holds.
pub(super) fn references(value: &Value) -> impl Iterator<Item = u64> + '_ {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64)
}

/// A time as Odoo writes it: UTC, without saying so.
pub(super) fn time(value: &Value) -> Option<DateTime<Utc>> {
    let text = with_its_century(value.as_str()?);
    let naive = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(naive.and_utc())
}

/// A day, or whatever else it is, in four digits of a year.
pub(super) fn day(value: &Value) -> Value {
    match value.as_str() {
        Some(text) => Value::String(with_its_century(text).into_owned()),
        None => value.clone(),
    }
}

/// Years before 1000 come without their zeros: `22-05-01` is a day in the year 22, and others would take it for one in 2022.
fn with_its_century(text: &str) -> Cow<'_, str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.get(digits..).unwrap_or_default().as_bytes();
    let is_date =
        matches!(rest, [b'-', m, n, b'-', d, e, ..] if [m, n, d, e].into_iter().all(u8::is_ascii_digit));
    match (1..4).contains(&digits) && is_date {
        true => Cow::Owned(format!("{text:0>width$}", width = text.len() + 4 - digits)),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn tidied(text: &str, places: usize) -> String {
        tidy(&text.parse().unwrap(), places).to_string()
    }

    #[test]
    fn the_error_of_binary_arithmetic_is_taken_off() {
        for (from, to) in [
            ("53.620000000000005", "53.62"),
            ("98.96000000000001", "98.96"),
            ("0.16999999999999993", "0.17"),
            ("-0.30000000000000004", "-0.3"),
            ("5.999999999999998", "6"),
            ("110000000.25000001", "110000000.25"),
            ("1.1102230246251565e-16", "0"),
            ("-1e-12", "0"),
        ] {
            assert_eq!(tidied(from, PLACES), to, "{from}");
        }
        // a price list of electronic parts, a tax of a large order
        assert_eq!(tidied("0.0000125", PLACES), "0.0000125");
        assert_eq!(tidied("1.25e-05", PLACES), "0.0000125");
        assert_eq!(tidied("0.7799999999988358", PLACES_OF_MONEY), "0.78");
        assert_eq!(tidied("0.2499998807907104", PLACES_OF_MONEY), "0.25");
    }

    #[test]
    fn years_before_1000_have_four_digits() {
        for (from, to) in [
            ("22-05-01", "0022-05-01"),
            ("1-01-31", "0001-01-31"),
            ("199-12-01", "0199-12-01"),
            ("1999-12-01", "1999-12-01"),
            ("22-05-01 10:00:01", "0022-05-01T10:00:01Z"),
            ("2022-05-01 10:00:01", "2022-05-01T10:00:01Z"),
            // what is no date stays what it is
            ("22-5-1", "22-5-1"),
            ("12-34-56-78", "0012-34-56-78"),
            ("+49 30-12", "+49 30-12"),
            ("", ""),
        ] {
            let mut out = Fields::new();
            put_time(&mut out, "at", &Value::from(from));
            assert_eq!(
                out.get("at").and_then(Value::as_str).unwrap_or_default(),
                to,
                "{from}"
            );
        }
    }

    #[test]
    fn what_was_entered_stays_as_it_is() {
        for text in [
            "0",
            "10",
            "10.0",
            "-3.25",
            "0.333333",
            "123456789012345678",
            "1e+16",
            "99999999999.99",
        ] {
            assert_eq!(tidied(text, PLACES), text.parse::<Number>().unwrap().to_string());
        }
        let mut out = Fields::new();
        for (name, value) in [
            ("a", serde_json::json!(false)),
            ("b", serde_json::json!("")),
            ("c", Value::Null),
        ] {
            put(&mut out, name, &value);
            put_difference(&mut out, name, &value);
        }
        assert!(out.is_empty());
    }
}
