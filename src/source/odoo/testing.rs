//! Recordings of real servers, and a small Odoo that answers in their way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::Odoo;
use crate::source::http::testing::{settings, Reply, Seen, Server};
use crate::source::kind::configured;
use crate::source::HttpSettings;
use serde_json::{json, Map, Value};
use std::path::Path;

pub const KEY: &str = "3f1c9e0d5b7a4e6f8091a2b3c4d5e6f708192a3b";
pub const NOW: &str = "Sat, 21 Nov 2026 06:00:00 GMT";

/// The recordings of a version ("odoo19"), by file name: those of the project, and the whole set of which they are a selection
/// where it lies beside.
pub fn recordings(version: &str) -> Vec<(String, Value)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["tests/recordings", "../shared/recordings"].map(|folder| here.join(folder).join("odoo").join(version));
    let files = folders.into_iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let mut all: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    assert!(!all.is_empty(), "no recordings of {version}");
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

pub fn credentials() -> Value {
    json!({"database": "lab", "login": "apiuser", "api_key": KEY})
}

/// A connector to a server.
pub fn connect(server: &Server, more: Value, memo: Value) -> Odoo {
    connect_as(server, more, memo, &credentials()).unwrap()
}

pub fn connect_as(
    server: &Server,
    more: Value,
    memo: Value,
    credentials: &Value,
) -> crate::error::Result<Odoo> {
    open(server, more, memo, credentials, settings())
}

/// A connector that takes answers up to a size.
pub fn connect_narrow(server: &Server, max_body_bytes: usize) -> Odoo {
    let http = HttpSettings {
        max_body_bytes,
        ..settings()
    };
    open(server, Value::Null, Value::Null, &credentials(), http).unwrap()
}

fn open(
    server: &Server,
    more: Value,
    memo: Value,
    credentials: &Value,
    http: HttpSettings,
) -> crate::error::Result<Odoo> {
    let (config, settings, credentials) =
        configured("odoo".parse().unwrap(), &server.url(), &more, credentials, &memo, http)?;
    Odoo::new(config, &settings, &credentials)
}

/// A model of a small server.
#[derive(Clone, Default)]
pub struct Table {
    pub model: &'static str,
    pub rows: Vec<Value>,
    /// Rows that a rule hides.
    pub hidden: Vec<u64>,
    /// The user has no access at all.
    pub denied: bool,
    /// Fields that can't be computed, of these records.
    pub raising: Vec<(&'static str, u64)>,
    /// No more rows come at once.
    pub cap: Option<usize>,
}

impl Table {
    pub fn new(model: &'static str, rows: Vec<Value>) -> Self {
        Table {
            model,
            rows,
            ..Table::default()
        }
    }
}

/// What a small server holds.
#[derive(Clone, Default)]
pub struct Erp {
    pub tables: Vec<Table>,
    /// 19: speaks JSON-2.
    pub modern: bool,
}

/// A call, whichever way it came.
pub struct Call {
    pub model: String,
    pub method: String,
    pub args: Map<String, Value>,
}

/// The call that a request makes; None for one that is about something else.
pub fn call_of(seen: &Seen) -> Option<Call> {
    let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    if let Some(route) = seen.path.strip_prefix("/json/2/") {
        let (model, method) = route.split_once('/')?;
        return Some(Call {
            model: model.to_owned(),
            method: method.to_owned(),
            args: body.as_object()?.clone(),
        });
    }
    let args = &body["params"]["args"];
    let mut named = args[6].as_object()?.clone();
    let names: &[&str] = match args[4].as_str()? {
        "read" => &["ids"],
        "write" => &["ids", "vals"],
        "create" => &["vals_list"],
        _ => &["domain"],
    };
    for (name, value) in names.iter().zip(args[5].as_array()?) {
        named.insert((*name).to_owned(), value.clone());
    }
    Some(Call {
        model: args[3].as_str()?.to_owned(),
        method: args[4].as_str()?.to_owned(),
        args: named,
    })
}

struct Failed(u16, &'static str, String);

impl Erp {
    pub fn new(modern: bool, tables: Vec<Table>) -> Self {
        Erp { tables, modern }
    }

    pub fn start(self) -> Server {
        Server::start(move |seen, _| self.answer(seen).header("Date", NOW))
    }

    pub fn answer(&self, seen: &Seen) -> Reply {
        if seen.path == "/web/version" && self.modern {
            return Reply::ok(r#"{"version_info":[19,0,0,"final",0,""],"version":"19.0"}"#);
        }
        if seen.path.starts_with("/json/2/") && self.modern {
            let bearer = format!("authorization: bearer {KEY}");
            if !seen.head.to_lowercase().contains(&bearer) {
                let error = failure("werkzeug.exceptions.Unauthorized", "Invalid apikey");
                return Reply::new(401, error.to_string());
            }
            return match self.run(&call_of(seen).unwrap()) {
                Ok(value) => Reply::ok(value.to_string()),
                Err(Failed(status, name, message)) => Reply::new(status, failure(name, &message).to_string()),
            };
        }
        if seen.path != "/jsonrpc" {
            return Reply::new(404, "<!DOCTYPE html>\n<title>404 Not Found</title>");
        }
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        let result = match self.rpc(&body["params"], seen) {
            Ok(value) => json!({"jsonrpc": "2.0", "id": 1, "result": value}),
            Err(Failed(_, name, message)) => json!({"jsonrpc": "2.0", "id": 1,
                "error": {"code": 0, "message": "Odoo Server Error", "data": failure(name, &message)}}),
        };
        Reply::ok(result.to_string())
    }

    fn rpc(&self, params: &Value, seen: &Seen) -> Result<Value, Failed> {
        let args = &params["args"];
        if params["method"] == "version" {
            return Ok(json!({"server_version": if self.modern { "19.0" } else { "17.0" }}));
        }
        if args[0] != "lab" {
            let message = format!("FATAL:  database {} does not exist\n", args[0]);
            return Err(Failed(200, "psycopg2.OperationalError", message));
        }
        if params["method"] == "authenticate" {
            return Ok(if args[2] == KEY { json!(7) } else { json!(false) });
        }
        if args[1] != 7 || args[2] != KEY {
            return Err(Failed(
                200,
                "odoo.exceptions.AccessDenied",
                "Access Denied".to_owned(),
            ));
        }
        self.run(&call_of(seen).unwrap())
    }

    fn run(&self, call: &Call) -> Result<Value, Failed> {
        if call.method == "context_get" {
            return Ok(json!({"lang": "en_US", "tz": "UTC", "uid": 7}));
        }
        let Some(table) = self.tables.iter().find(|table| table.model == call.model) else {
            return Err(if self.modern {
                let message = format!("the model '{}' does not exist", call.model);
                Failed(404, "werkzeug.exceptions.NotFound", message)
            } else {
                let message = format!("Object {} doesn't exist", call.model);
                Failed(200, "odoo.exceptions.UserError", message)
            });
        };
        let context = &call.args["context"];
        assert_eq!(context["active_test"], false);
        if context["lang"] == "xx_YY" {
            let message = "Invalid language code: xx_YY".to_owned();
            return Err(Failed(422, "odoo.exceptions.UserError", message));
        }
        if table.denied && call.method != "fields_get" {
            let message = format!("Sie haben keinen Zugriff auf Datensätze ({}).", call.model);
            return Err(Failed(403, "odoo.exceptions.AccessError", message));
        }
        match call.method.as_str() {
            "fields_get" => Ok(table.fields()),
            "search_count" => Ok(json!(table.found(call)?.len())),
            "search_read" => table.search_read(call),
            "read" => table.read(call),
            other => panic!("no method {other}"),
        }
    }
}

fn failure(name: &str, message: &str) -> Value {
    json!({"name": name, "message": message, "arguments": [message], "context": {},
        "debug": format!("Traceback of {KEY}")})
}

impl Table {
    fn has(&self, name: &str) -> bool {
        name == "id" || self.rows.iter().any(|row| !row[name].is_null())
    }

    fn fields(&self) -> Value {
        let rows = self.rows.iter().filter_map(Value::as_object);
        let mut fields = Map::new();
        for (name, value) in rows.flatten() {
            let is_date = |text: &str| text.len() == 19 && text.ends_with(":00") || name.ends_with("_date");
            let kind = match value {
                Value::Bool(true) => "boolean",
                Value::Number(_) => "float",
                Value::Array(pair) if pair.get(1).is_some_and(Value::is_string) => "many2one",
                Value::Array(_) => "one2many",
                Value::String(text) if is_date(text) => "datetime",
                Value::String(_) => "char",
                // tells nothing of the type
                _ => "",
            };
            let known = fields.entry(name.clone()).or_insert_with(|| json!({"type": ""}));
            if known["type"] == "" {
                *known = json!({ "type": kind });
            }
        }
        fields.insert("x_scan".to_owned(), json!({"type": "binary"}));
        Value::Object(fields)
    }

    fn visible(&self) -> impl Iterator<Item = &Value> {
        self.rows
            .iter()
            .filter(|row| !self.hidden.contains(&row["id"].as_u64().unwrap()))
    }

    fn found(&self, call: &Call) -> Result<Vec<&Value>, Failed> {
        let domain = call.args["domain"].as_array().unwrap();
        let unknown = |term: &&Value| term[0].as_str().is_some_and(|name| !self.has(name));
        if let Some(term) = domain.iter().find(unknown) {
            let message = format!("Invalid field {}.{} in condition", self.model, term[0]);
            return Err(Failed(500, "builtins.ValueError", message));
        }
        Ok(self
            .visible()
            .filter(|row| {
                let mut terms = domain.iter();
                std::iter::from_fn(|| next_holds(row, &mut terms)).fold(true, |all, one| all & one)
            })
            .collect())
    }

    fn search_read(&self, call: &Call) -> Result<Value, Failed> {
        let mut found = self.found(call)?;
        found.sort_by_key(|row| row["id"].as_u64());
        if call.args.get("order") == Some(&json!("id desc")) {
            found.reverse();
        }
        let limit = call.args.get("limit").and_then(Value::as_u64).unwrap_or(u64::MAX);
        found.truncate(
            usize::try_from(limit)
                .unwrap_or(usize::MAX)
                .min(self.cap.unwrap_or(usize::MAX)),
        );
        self.shown(&found, &call.args["fields"])
    }

    fn read(&self, call: &Call) -> Result<Value, Failed> {
        let ids = call.args["ids"].as_array().unwrap();
        let mut wanted: Vec<&Value> = self.rows.iter().filter(|row| ids.contains(&row["id"])).collect();
        wanted.truncate(self.cap.unwrap_or(usize::MAX));
        if wanted
            .iter()
            .any(|row| self.hidden.contains(&row["id"].as_u64().unwrap()))
        {
            let message = "Oh-oh! Es sieht so aus".to_owned();
            return Err(Failed(403, "odoo.exceptions.AccessError", message));
        }
        self.shown(&wanted, &call.args["fields"])
    }

    fn shown(&self, rows: &[&Value], fields: &Value) -> Result<Value, Failed> {
        let fields: Vec<&str> = fields
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f.as_str().unwrap())
            .collect();
        if let Some(unknown) = fields.iter().find(|name| !self.has(name)) {
            let message = format!("Invalid field '{unknown}' on '{}'", self.model);
            return Err(Failed(500, "builtins.ValueError", message));
        }
        let raises =
            |(field, id): &(&str, u64)| fields.contains(field) && rows.iter().any(|row| row["id"] == *id);
        if self.raising.iter().any(raises) {
            let message = "float division by zero".to_owned();
            return Err(Failed(500, "builtins.ZeroDivisionError", message));
        }
        let show = |row: &&Value| {
            let mut out = Map::new();
            for name in fields.iter().chain(&["id"]) {
                let value = &row[*name];
                let value = if value.is_null() {
                    &Value::Bool(false)
                } else {
                    value
                };
                out.insert((*name).to_owned(), value.clone());
            }
            Value::Object(out)
        };
        Ok(rows.iter().map(show).collect())
    }
}

/// The next term of a domain, which is in Polish notation; None at its end.
fn next_holds<'a>(row: &Value, terms: &mut impl Iterator<Item = &'a Value>) -> Option<bool> {
    let term = terms.next()?;
    if term != "|" {
        return Some(holds(row, term));
    }
    let (one, other) = (next_holds(row, terms)?, next_holds(row, terms)?);
    Some(one | other)
}

fn holds(row: &Value, term: &Value) -> bool {
    let (field, operator, wanted) = (term[0].as_str().unwrap(), term[1].as_str().unwrap(), &term[2]);
    let value = match &row[field] {
        Value::Array(pair) if pair.len() == 2 && pair[1].is_string() => &pair[0],
        value => value,
    };
    let order = || match (value, wanted) {
        (Value::Number(a), Value::Number(b)) => a.as_i64().cmp(&b.as_i64()),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => panic!("{value} can't be compared with {wanted}"),
    };
    match operator {
        "=" => value == wanted,
        // as a database of the locale C: it knows the other case of no letter but A to Z
        "ilike" | "=ilike" => {
            let lower = |value: &Value| value.as_str().unwrap_or_default().to_ascii_lowercase();
            let (value, wanted) = (lower(value), lower(wanted));
            let pattern = if operator == "ilike" {
                format!("%{wanted}%")
            } else {
                wanted
            };
            is_like(value.as_bytes(), pattern.as_bytes())
        }
        "in" => wanted.as_array().unwrap().contains(value),
        ">" => order().is_gt(),
        "<" => order().is_lt(),
        ">=" => order().is_ge(),
        "<=" => order().is_le(),
        _ => panic!("no operator {operator}"),
    }
}

fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'%', rest @ ..] => (0..=text.len()).any(|at| is_like(&text[at..], rest)),
        [b'_', rest @ ..] => !text.is_empty() && is_like(&text[1..], rest),
        [b'\\', exact, rest @ ..] | [exact, rest @ ..] => {
            text.first() == Some(exact) && is_like(&text[1..], rest)
        }
    }
}

/// Partners with ids from 1 on, in steps.
pub fn partners(count: u64, step: u64) -> Vec<Value> {
    (1..=count)
        .map(|n| json!({"id": n * step, "name": format!("Partner {n}"), "write_date": "2026-01-01 00:00:00"}))
        .collect()
}
