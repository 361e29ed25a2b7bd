//! What plugins, hosts and caches do to lists of records.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::faults::{fatal, HTML, JSON};
use super::http::{pairs, Request, Response};
use super::json;

/// One way to spoil lists (and single records, where that makes sense).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "list", rename_all = "snake_case")]
pub enum ListFault {
    /// At most so many rows, whatever `per_page` says; the total stays.
    Cap { rows: usize },
    /// Between `least` and `most` rows, another number each time.
    Uneven { least: usize, most: usize },
    /// Every k-th row of a page is left out; the total stays.
    Gaps { every: usize },
    /// No rows from that offset on (in ascending order); the total stays.
    EmptyFrom { offset: usize },
    /// No rows at all where more than so many are asked for; the total stays.
    EmptyAbove { rows: usize },
    /// No rows at all; the total stays.
    Empty,
    /// The host breaks down with this status where a page has more rows.
    Weak { rows: usize, status: u16 },
    /// `per_page` above this is refused.
    Refuse { per_page: usize },
    /// Showing one of these records is a PHP fatal error, wherever it is shown.
    Throws { ids: Vec<u64> },
    /// These records are left out of lists, and counted there; asked for alone they answer.
    Unlisted { ids: Vec<u64> },
    /// This field of these records has another value; all records where no ids are given.
    Set {
        #[serde(default)]
        ids: Vec<u64>,
        field: String,
        value: Value,
    },
    /// This field of these records isn't there.
    Unset { ids: Vec<u64>, field: String },
    /// Lists of this field are objects, as PHP sends them after an unset.
    AsObject { field: String },
    /// The rows the other way round.
    Reversed,
    /// The first answer, whatever these parameters say afterwards; `*`: whatever the query says.
    Cache { ignores: Vec<String> },
    /// Bytes ahead of the body.
    Ahead { bytes: Vec<u8> },
}

/// What a cache knows of a question. Signatures are none of it.
pub fn cache_key(request: &Request, ignores: &[String]) -> String {
    if ignores.iter().any(|name| name == "*") {
        return request.path.clone();
    }
    let mut known = request.params();
    known.retain(|(name, _)| !name.starts_with("oauth_") && !ignores.contains(name));
    format!("{} {known:?}", request.path)
}

/// What a fault makes of a reply.
pub fn transform(fault: &ListFault, request: &Request, mut reply: Response) -> Response {
    if let ListFault::Ahead { bytes } = fault {
        reply.body.splice(0..0, bytes.iter().copied());
        return reply;
    }
    if reply.status != 200 {
        return reply;
    }
    if let ListFault::Refuse { per_page } = fault {
        return match number(request, "per_page") {
            Some(asked) if asked > *per_page => refusal(*per_page),
            _ => reply,
        };
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) else {
        return reply;
    };
    let ids = match &body {
        Value::Array(rows) => rows.iter().filter_map(id).collect(),
        one => id(one).into_iter().collect::<Vec<u64>>(),
    };
    match fault {
        ListFault::Throws { ids: bad } if ids.iter().any(|id| bad.contains(id)) => return fatal(),
        ListFault::Weak { rows, status } if ids.len() > *rows => {
            return Response::new(*status, HTML, b"<html><body>Bad gateway</body></html>".to_vec());
        }
        _ => {}
    }
    match &mut body {
        Value::Array(rows) => {
            thin_out(fault, request, rows);
            rows.iter_mut().for_each(|row| spoil(fault, row));
        }
        one => spoil(fault, one),
    }
    reply.body = json::bytes(&body);
    reply
}

fn thin_out(fault: &ListFault, request: &Request, rows: &mut Vec<Value>) {
    match fault {
        ListFault::Cap { rows: most } => rows.truncate(*most),
        ListFault::Uneven { least, most } => {
            // as different as the questions are, and the same in every run of a test
            let seed =
                number(request, "offset").unwrap_or(0) * 31 + number(request, "per_page").unwrap_or(10);
            rows.truncate(least + seed % (most - least + 1));
        }
        ListFault::Gaps { every } => {
            let mut place = 0;
            rows.retain(|_| {
                place += 1;
                place % every != 0
            });
        }
        ListFault::EmptyFrom { offset } => {
            let is_ascending = pairs(&request.query).contains(&("order".into(), "asc".into()));
            if is_ascending && number(request, "offset").unwrap_or(0) >= *offset {
                rows.clear();
            }
        }
        ListFault::EmptyAbove { rows: most } if number(request, "per_page").unwrap_or(10) > *most => {
            rows.clear()
        }
        ListFault::Empty => rows.clear(),
        ListFault::Unlisted { ids } => rows.retain(|row| !id(row).is_some_and(|id| ids.contains(&id))),
        ListFault::Reversed => rows.reverse(),
        _ => {}
    }
}

fn spoil(fault: &ListFault, row: &mut Value) {
    let is_one_of = |ids: &[u64], row: &Value| id(row).is_some_and(|id| ids.contains(&id));
    match fault {
        ListFault::Set { ids, field, value }
            if row.get(field).is_some() && (ids.is_empty() || is_one_of(ids, row)) =>
        {
            row[field] = value.clone();
        }
        ListFault::Unset { ids, field } if is_one_of(ids, row) => {
            if let Some(row) = row.as_object_mut() {
                row.remove(field);
            }
        }
        ListFault::AsObject { field } => {
            if let Some(Value::Array(items)) = row.get(field) {
                let items = items.iter().enumerate();
                let map: Map<String, Value> = items
                    .map(|(n, item)| ((n + 9).to_string(), item.clone()))
                    .collect();
                row[field] = Value::Object(map);
            }
        }
        _ => {}
    }
}

fn id(row: &Value) -> Option<u64> {
    row["id"].as_u64()
}

fn number(request: &Request, name: &str) -> Option<usize> {
    let params = request.params();
    let (_, value) = params.iter().find(|(param, _)| param == name)?;
    value.parse().ok()
}

fn refusal(most: usize) -> Response {
    let why = format!("per_page must be between 1 (inclusive) and {most} (inclusive)");
    let body = serde_json::json!({
        "code": "rest_invalid_param", "message": "Invalid parameter(s): per_page",
        "data": {"status": 400, "params": {"per_page": why}},
    });
    Response::new(400, JSON, json::bytes(&body))
}
