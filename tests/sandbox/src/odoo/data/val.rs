//! One value of one field.

use std::borrow::Cow;

use super::Id;
use crate::core::clock;
use crate::odoo::schema::Model;

/// Microseconds in a second: dates are stored that finely.
pub const SECOND: i64 = 1_000_000;

/// A value as it is stored; how it is written depends on the field and on who asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Val<'a> {
    /// Empty. Odoo writes `false`.
    No,
    Bool(bool),
    Int(i64),
    Num(f64),
    Text(Cow<'a, str>),
    One(Model, Id),
    Ids(Vec<Id>),
    /// Microseconds of Unix time.
    Time(i64),
    /// Days since 1970-01-01.
    Day(i64),
}

impl<'a> Val<'a> {
    /// Text, or nothing where it is empty.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        if text.is_empty() {
            Self::No
        } else {
            Self::Text(text)
        }
    }

    /// A reference, or nothing.
    pub fn one(model: Model, id: Option<Id>) -> Self {
        id.map_or(Self::No, |id| Self::One(model, id))
    }

    /// An amount of cents.
    pub fn cents(cents: i64) -> Self {
        Self::Num(cents as f64 / 100.0)
    }

    pub fn is_no(&self) -> bool {
        matches!(self, Self::No)
    }

    /// Whether it counts as true.
    pub fn truthy(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    pub fn id(&self) -> Option<Id> {
        match self {
            Self::One(_, id) => Some(*id),
            _ => None,
        }
    }

    pub fn num(&self) -> f64 {
        match self {
            Self::Num(n) => *n,
            Self::Int(n) => *n as f64,
            _ => 0.0,
        }
    }

    pub fn as_text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text.into_owned(),
            _ => String::new(),
        }
    }

    /// The same, living as long as it likes.
    pub fn owned(self) -> Val<'static> {
        match self {
            Self::No => Val::No,
            Self::Bool(yes) => Val::Bool(yes),
            Self::Int(n) => Val::Int(n),
            Self::Num(n) => Val::Num(n),
            Self::Text(text) => Val::Text(Cow::Owned(text.into_owned())),
            Self::One(model, id) => Val::One(model, id),
            Self::Ids(ids) => Val::Ids(ids),
            Self::Time(t) => Val::Time(t),
            Self::Day(d) => Val::Day(d),
        }
    }

    /// The same, for as long as this one lives.
    pub fn borrowed(&self) -> Val<'_> {
        match self {
            Self::Text(text) => Val::Text(Cow::Borrowed(text)),
            other => other.clone().owned(),
        }
    }
}

/// Two decimals, as money is stored.
pub fn round2(n: f64) -> f64 {
    (n * 100.0).round() / 100.0
}

/// `YYYY-MM-DD HH:MM:SS`: the microseconds are cut off.
pub fn time_text(micros: i64) -> String {
    let mut buf = Vec::with_capacity(19);
    clock::write_stamp(&mut buf, micros.div_euclid(SECOND), b' ');
    String::from_utf8(buf).unwrap_or_default()
}

/// `YYYY-MM-DD`.
pub fn day_text(days: i64) -> String {
    let mut text = time_text(days * 86_400 * SECOND);
    text.truncate(10);
    text
}

/// Microseconds of a date as text; without a time it is midnight.
pub fn parse_time(text: &str) -> Option<i64> {
    let whole = if text.len() == 10 {
        format!("{text} 00:00:00")
    } else {
        text.to_owned()
    };
    let (seconds, _) = clock::parse_iso(&whole)?;
    let fraction = whole.get(19..).and_then(|rest| rest.strip_prefix('.'));
    let digits: String = fraction
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_digit)
        .take(6)
        .collect();
    let micros = format!("{digits:0<6}").parse::<i64>().ok()?;
    Some(seconds * SECOND + micros)
}
