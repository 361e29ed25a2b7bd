//! How deep JSON is nested, and how much it holds. What reads JSON goes down as deep as it is nested, and gives up somewhere
//! (serde_json at 128 levels, Postgres at some thousands), and what is computed of each value takes a hundred times its place:
//! so there are limits of our own where values come in, and what is beyond them is told by name instead of failing
//! whatever stands beside it.

use crate::error::{Code, Error, Result};
use serde_json::{Map, Value};

/// Deepest nesting of a record, and of JSON that a call is given.
pub const DEEPEST: usize = 64;
/// Values in a record, those within others counted too.
pub const MOST_VALUES: usize = 100_000;

/// What stands between texts: brackets, colons and commas, with their places.
fn marks(json: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    let (mut is_text, mut is_escaped) = (false, false);
    json.bytes().enumerate().filter(move |(_, byte)| {
        if is_text {
            is_text = is_escaped || *byte != b'"';
            is_escaped = !is_escaped && *byte == b'\\';
            return false;
        }
        is_text = *byte == b'"';
        matches!(byte, b'{' | b'}' | b'[' | b']' | b':' | b',')
    })
}

/// How deep a JSON text is nested; a scalar is 0.
pub fn depth_of_text(json: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for (_, mark) in marks(json) {
        match mark {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// How deep a value is nested; a scalar is 0.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(map) => depth_of(map),
        _ => 0,
    }
}

/// How deep a record is nested.
pub fn depth_of(record: &Map<String, Value>) -> usize {
    1 + record.values().map(depth).max().unwrap_or_default()
}

/// Whether a JSON text holds more values than a record may. One takes two bytes at least.
fn is_large(json: &str) -> bool {
    json.len() > MOST_VALUES && values(json) > MOST_VALUES
}

/// How many values a JSON text holds: itself, the first of each container, and one behind each comma.
fn values(json: &str) -> usize {
    let (mut values, mut opened) = (1, None);
    for (at, mark) in marks(json) {
        let is_empty =
            opened.is_some_and(|from| json.get(from + 1..at).unwrap_or_default().trim().is_empty());
        // an opening bracket that something else than its end follows
        if opened.is_some() && !(is_empty && matches!(mark, b'}' | b']')) {
            values += 1;
        }
        values += usize::from(mark == b',');
        opened = matches!(mark, b'{' | b'[').then_some(at);
    }
    values
}

/// Reads JSON that a call was given: 22023 where it is nested too deep, 54000 where it holds too much.
pub fn parse(what: &str, json: &str) -> Result<Value> {
    if is_large(json) {
        return Err(Error::new(Code::TooLarge, format!("{what} is too large"))
            .detail(format!("It has more than {MOST_VALUES} values.")));
    }
    if depth_of_text(json) > DEEPEST {
        return Err(Error::new(
            Code::Invalid,
            format!("{what} is nested deeper than {DEEPEST} levels"),
        )
        .hint("Nest it less deep, or pass deep parts as text."));
    }
    serde_json::from_str(json).map_err(|e| Error::new(Code::Invalid, format!("{what} is no JSON: {e}")))
}

/// Reads a record that is there already. A field that is nested too deep to be read, or holds too much, stands for itself, as
/// text, as it does where a row's columns are read. None: no object.
pub fn record(json: &str) -> Option<Map<String, Value>> {
    if is_large(json) {
        return by_field(json);
    }
    serde_json::from_str(json).ok().or_else(|| by_field(json))
}

fn by_field(json: &str) -> Option<Map<String, Value>> {
    let mut record = Map::new();
    let (mut depth, mut begin, mut colon) = (0usize, 0, None);
    for (at, mark) in marks(json) {
        let ends = depth == 1 && matches!(mark, b',' | b'}');
        match mark {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        match (mark, colon) {
            (b'{', _) if depth == 1 => begin = at + 1,
            (b':', None) if depth == 1 => colon = Some(at),
            (_, Some(colon)) if ends => {
                let name = serde_json::from_str(json.get(begin..colon)?.trim()).ok()?;
                record.insert(name, value(json.get(colon + 1..at)?.trim()));
            }
            _ => {}
        }
        if ends {
            (begin, colon) = (at + 1, None);
        }
    }
    json.trim_start().starts_with('{').then_some(record)
}

/// Reads a value; one that can't be read, or holds too much, stands for itself, as text.
pub(super) fn value(json: &str) -> Value {
    let read = (!is_large(json)).then(|| serde_json::from_str(json));
    read.and_then(std::result::Result::ok)
        .unwrap_or_else(|| Value::from(json))
}

/// The same JSON with what is nested deeper than so many levels as text. None: it isn't nested as deep, or no JSON.
pub fn shallow(json: &str, levels: usize) -> Option<String> {
    let (mut depth, mut begin, mut copied) = (0usize, 0, 0);
    let mut out = String::new();
    for (at, mark) in marks(json) {
        match mark {
            b'{' | b'[' => {
                depth += 1;
                if depth == levels + 1 {
                    begin = at;
                }
            }
            b'}' | b']' => {
                if depth == levels + 1 {
                    out.push_str(json.get(copied..begin)?);
                    out.push_str(&serde_json::to_string(json.get(begin..=at)?).ok()?);
                    copied = at + 1;
                }
                depth = depth.checked_sub(1)?;
            }
            _ => {}
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(json.get(copied..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn nested(levels: usize) -> String {
        "[".repeat(levels) + &"]".repeat(levels)
    }

    #[test]
    fn depth_is_told_of_text_and_value_alike() {
        for text in [
            "1",
            r#""[[[""#,
            "[]",
            r#"{"a": [1, {"b": "\"[{"}], "\\": {}}"#,
            r#"["\\", ["]"]]"#,
            &nested(100),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(depth_of_text(text), depth(&value), "{text}");
        }
        assert_eq!(depth_of_text(&nested(100_000)), 100_000);
    }

    #[test]
    fn what_a_call_is_given_has_a_limit() {
        assert!(parse("a filter", &nested(DEEPEST)).is_ok());
        let error = parse("a filter", &nested(DEEPEST + 1)).unwrap_err();
        assert_eq!(error.code, Code::Invalid);
        assert!(
            error.message.contains("a filter") && error.message.contains("64"),
            "{error}"
        );
        assert_eq!(parse("a filter", "{").unwrap_err().code, Code::Invalid);
    }

    #[test]
    fn a_field_that_is_too_deep_stands_for_itself() {
        let deep = nested(1000);
        let text = format!(r#"{{"a": [1, 2], "b,:}}": {deep}, "c": "x,\"y", "d": {{"e": {{}}}}}}"#);
        let read = record(&text).unwrap();
        let expected = json!({"a": [1, 2], "b,:}": deep, "c": "x,\"y", "d": {"e": {}}});
        assert_eq!(Value::Object(read), expected);
        assert_eq!(record("{}").unwrap(), Map::new());
        assert_eq!(record(&deep), None);
        assert_eq!(record("[1]"), None);
    }

    #[test]
    fn values_are_counted() {
        for (text, n) in [
            ("1", 1),
            ("[]", 1),
            ("[ ]", 1),
            ("[1]", 2),
            (r#"{"a": [], "b": {"c": 1}}"#, 4),
            ("[[[]], [1, 2]]", 6),
        ] {
            assert_eq!(values(text), n, "{text}");
        }
    }

    #[test]
    fn a_field_that_holds_too_much_stands_for_itself() {
        let many = format!("[{}0]", "0,".repeat(MOST_VALUES));
        let read = record(&format!(r#"{{"a": {many}, "b": [1]}}"#)).unwrap();
        assert_eq!(
            (&read["a"], &read["b"]),
            (&Value::from(many.as_str()), &json!([1]))
        );
        assert_eq!(parse("a record", &many).unwrap_err().code, Code::TooLarge);
        let fewer = format!("[{}0]", "0,".repeat(MOST_VALUES - 2));
        assert!(parse("a record", &fewer).is_ok() && value(&fewer).is_array());
    }

    #[test]
    fn deep_parts_become_text_where_they_stand() {
        let text = format!(
            r#"[{{"id": 1, "deep": {}}}, {{"id": 2, "also": [[[[]]], [[7]]]}}]"#,
            nested(500)
        );
        let flat: Value = serde_json::from_str(&shallow(&text, 4).unwrap()).unwrap();
        assert_eq!(flat[1], json!({"id": 2, "also": [["[[]]"], ["[7]"]]}));
        assert_eq!(flat[0]["id"], 1);
        assert_eq!(depth(&flat), 4);
        assert_eq!(shallow(&text, 600), None);
        assert_eq!(shallow("[[[", 1), None);
    }
}
