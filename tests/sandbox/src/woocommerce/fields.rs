//! `_fields`: which fields of a record are shown.

use serde_json::{Map, Value};

use crate::core::json;

/// Wanted fields: their first parts, and the paths where any goes deeper.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    pub top: Vec<String>,
    deep: Vec<String>,
}

impl Fields {
    /// Reads the parameter's value.
    pub fn parse(values: &[String]) -> Self {
        let paths: Vec<String> = values
            .iter()
            .map(|f| f.trim().to_owned())
            .filter(|f| !f.is_empty())
            .collect();
        let first = |p: &String| p.split('.').next().unwrap_or_default().to_owned();
        let top = paths.iter().map(first).collect();
        let deep = if paths.iter().any(|p| p.contains('.')) {
            paths
        } else {
            Vec::new()
        };
        Self { top, deep }
    }

    /// Whether a part of a field was asked for.
    pub fn is_deep(&self) -> bool {
        !self.deep.is_empty()
    }

    /// Leaves the wanted parts of a record.
    pub fn filter(&self, record: &Value) -> Value {
        let mut out = Value::Object(Map::new());
        for path in &self.deep {
            copy(record, &mut out, path);
        }
        out
    }

    /// The same for bytes that were just written, from a position on.
    pub fn filter_tail(&self, buf: &mut Vec<u8>, from: usize) {
        let record: Value = serde_json::from_slice(&buf[from..]).unwrap_or_default();
        buf.truncate(from);
        json::value(buf, &self.filter(&record));
    }
}

/// Copies what a path names; WordPress does not look into lists.
fn copy(from: &Value, to: &mut Value, path: &str) {
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    let Some(value) = from.get(head) else { return };
    if rest.is_empty() {
        to[head] = value.clone();
        return;
    }
    let last = rest.split('.').try_fold(value, |v, part| v.get(part));
    if last.is_none() {
        return;
    }
    if !to[head].is_object() {
        to[head] = Value::Object(Map::new());
    }
    copy(value, &mut to[head], rest);
}
