//! The one form of a value that fingerprints, differences and normalised records are all made of, so
//! that they can't disagree. Borrows what needs no change.

use super::field::{Field, Kind};
use super::number::{self, Decimal};
use super::text;
use super::time::{self, Moment};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;

/// A present value in its one form. Absent is `None`: null, missing, `""` and `false` (but for flags) are all that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Canon<'a> {
    True,
    False,
    Number(Cow<'a, str>),
    Text(Cow<'a, str>),
    List(Vec<Canon<'a>>),
    /// Sorted by key.
    Object(Vec<(&'a str, Canon<'a>)>),
}

/// The form of a field's value.
pub(super) fn of<'a>(field: &Field, record: &'a Map<String, Value>) -> Option<Canon<'a>> {
    canon(field.kind, record.get(field.name)?)
}

/// The form of a value written as text, as a column's output function does; None for the kinds that a text can't hold.
pub(super) fn of_text(kind: Kind, text: &str) -> Option<Canon<'_>> {
    match kind {
        Kind::Text => present(text::clean(text)),
        Kind::Email => present(text::clean_lower(text)),
        Kind::Number => number_in(text),
        Kind::Bool => yes(answer_in(present(text::clean(text))?)),
        Kind::Flag => present(text::clean(text)).map(answer_in),
        Kind::Time => moment_in(present(text::clean(text))?),
        Kind::Set | Kind::Sequence | Kind::List(_) | Kind::Any => None,
    }
}

/// The form of a value of that kind. What doesn't fit its kind is kept as it is: hiding it would hide
/// a change.
pub(super) fn canon(kind: Kind, value: &Value) -> Option<Canon<'_>> {
    match kind {
        Kind::Text => scalar(value, text::clean),
        Kind::Email => scalar(value, text::clean_lower),
        Kind::Number => number(value),
        Kind::Bool => answer(value).and_then(yes),
        Kind::Flag => answer(value),
        Kind::Time => moment(value),
        Kind::Set => scalars(value, true),
        Kind::Sequence => scalars(value, false),
        Kind::List(fields) => elements(value, fields),
        Kind::Any => any(value),
    }
}

fn present(text: Cow<'_, str>) -> Option<Canon<'_>> {
    (!text.is_empty()).then_some(Canon::Text(text))
}

fn scalar<'a>(value: &'a Value, clean: fn(&'a str) -> Cow<'a, str>) -> Option<Canon<'a>> {
    match value {
        Value::String(s) => present(clean(s)),
        Value::Number(n) => match number_of(n) {
            Canon::Number(digits) => Some(Canon::Text(digits)),
            other => Some(other),
        },
        Value::Bool(true) => Some(Canon::Text(Cow::Borrowed("true"))),
        other => any(other),
    }
}

/// Numbers too large to be written out are text.
fn number_of(n: &Number) -> Canon<'_> {
    match number::canonical(n.as_str()) {
        Some(Decimal::Plain(digits)) => Canon::Number(digits),
        Some(Decimal::Scientific(digits)) => Canon::Text(Cow::Owned(digits)),
        None => Canon::Text(Cow::Borrowed(n.as_str())),
    }
}

fn number(value: &Value) -> Option<Canon<'_>> {
    match value {
        Value::Number(n) => Some(number_of(n)),
        Value::String(s) => number_in(s),
        other => scalar(other, text::clean),
    }
}

fn number_in(s: &str) -> Option<Canon<'_>> {
    let text = text::clean(s);
    let digits = match &text {
        Cow::Borrowed(b) => number::canonical(b),
        Cow::Owned(o) => number::canonical(o).map(owned),
    };
    match digits {
        Some(Decimal::Plain(digits)) => Some(Canon::Number(digits)),
        Some(Decimal::Scientific(digits)) => Some(Canon::Text(Cow::Owned(digits))),
        None => present(text),
    }
}

fn owned<'b>(number: Decimal<'_>) -> Decimal<'b> {
    match number {
        Decimal::Plain(digits) => Decimal::Plain(Cow::Owned(digits.into_owned())),
        Decimal::Scientific(digits) => Decimal::Scientific(digits),
    }
}

fn answer(value: &Value) -> Option<Canon<'_>> {
    match value {
        Value::Bool(true) => Some(Canon::True),
        Value::Bool(false) => Some(Canon::False),
        other => scalar(other, text::clean).map(answer_in),
    }
}

/// What a word says. A variation's `manage_stock` may say "parent": neither, and kept.
fn answer_in(found: Canon<'_>) -> Canon<'_> {
    let Canon::Text(word) = &found else {
        return found;
    };
    let is = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(word));
    if is(&["true", "yes", "1", "t", "y", "on"]) {
        return Canon::True;
    }
    match is(&["false", "no", "0", "f", "n", "off"]) {
        true => Canon::False,
        false => found,
    }
}

/// A no is nothing.
fn yes(answer: Canon<'_>) -> Option<Canon<'_>> {
    (answer != Canon::False).then_some(answer)
}

fn moment(value: &Value) -> Option<Canon<'_>> {
    moment_in(scalar(value, text::clean)?)
}

fn moment_in(found: Canon<'_>) -> Option<Canon<'_>> {
    let Canon::Text(text) = found else {
        return Some(found);
    };
    let moment = match &text {
        Cow::Borrowed(b) => time::canonical(b),
        Cow::Owned(o) => time::canonical(o).map(|m| match m {
            Moment::At(t) => Moment::At(Cow::Owned(t.into_owned())),
            Moment::Never => Moment::Never,
        }),
    };
    match moment {
        Some(Moment::At(t)) => Some(Canon::Text(t)),
        Some(Moment::Never) => None,
        None => Some(Canon::Text(text)),
    }
}

/// A list of scalars. One alone is a list of one.
fn scalars(value: &Value, is_set: bool) -> Option<Canon<'_>> {
    let mut list: Vec<_> = match value {
        Value::Array(items) => items.iter().filter_map(|v| scalar(v, text::clean)).collect(),
        other => scalar(other, text::clean).into_iter().collect(),
    };
    if is_set {
        list.sort_unstable();
        list.dedup();
    }
    (!list.is_empty()).then_some(Canon::List(list))
}

/// A list of objects. One alone is a list of one.
fn elements<'a>(value: &'a Value, fields: &'static [Field]) -> Option<Canon<'a>> {
    let element = |v: &'a Value| match v {
        Value::Object(map) => object(map, fields),
        other => any(other),
    };
    let mut list: Vec<_> = match value {
        Value::Array(items) => items.iter().filter_map(element).collect(),
        other => element(other).into_iter().collect(),
    };
    // Stable, so that elements without an id, or with the same one, keep their order.
    list.sort_by(|a, b| id_of(a).cmp(&id_of(b)));
    (!list.is_empty()).then_some(Canon::List(list))
}

fn object<'a>(map: &'a Map<String, Value>, fields: &'static [Field]) -> Option<Canon<'a>> {
    // Declared sorted by name.
    let present: Vec<(&str, _)> = fields
        .iter()
        .filter(|f| f.compared)
        .filter_map(|f| Some((f.name, of(f, map)?)))
        .collect();
    (!present.is_empty()).then_some(Canon::Object(present))
}

/// What an element is sorted by: the shorter id first, so that 9 comes before 10; none comes last.
fn id_of<'c>(element: &'c Canon<'_>) -> (bool, usize, &'c str) {
    let found = match element {
        Canon::Object(fields) => fields.iter().find(|(name, _)| *name == "id"),
        _ => None,
    };
    match found {
        Some((_, Canon::Text(id))) => (false, id.len(), id),
        _ => (true, 0, ""),
    }
}

fn any(value: &Value) -> Option<Canon<'_>> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(Canon::True),
        Value::Number(n) => Some(number_of(n)),
        Value::String(s) => present(text::plain(s)),
        Value::Array(items) => {
            let list: Vec<_> = items.iter().filter_map(any).collect();
            (!list.is_empty()).then_some(Canon::List(list))
        }
        Value::Object(map) => {
            let mut list: Vec<(&str, _)> = map
                .iter()
                .filter_map(|(k, v)| Some((k.as_str(), any(v)?)))
                .collect();
            // The map is sorted or not, as the features of serde_json have it in the whole build.
            list.sort_by_key(|(k, _)| *k);
            (!list.is_empty()).then_some(Canon::Object(list))
        }
    }
}

impl From<Canon<'_>> for Value {
    fn from(canon: Canon<'_>) -> Value {
        match canon {
            Canon::True => Value::Bool(true),
            Canon::False => Value::Bool(false),
            Canon::Number(digits) => match digits.parse::<Number>() {
                Ok(n) => Value::Number(n),
                Err(_) => Value::String(digits.into_owned()),
            },
            Canon::Text(text) => Value::String(text.into_owned()),
            Canon::List(list) => Value::Array(list.into_iter().map(Value::from).collect()),
            Canon::Object(fields) => Value::Object(
                fields
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), Value::from(v)))
                    .collect(),
            ),
        }
    }
}
