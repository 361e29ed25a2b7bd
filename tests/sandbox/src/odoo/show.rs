//! Records and fields as JSON.

use std::io::Write;

use serde_json::{json, Map, Value};

use super::config::Version;
use super::data::val::{day_text, time_text};
use super::data::{Data, Id, Look, Val};
use super::errors::Fail;
use super::schema::{Field, Kind, Model};
use super::session::Session;

/// How records are to be shown.
pub struct Shown<'a> {
    pub data: &'a Data,
    pub look: &'a Look,
    pub fields: Vec<&'static Field>,
    /// References come with their labels.
    pub labels: bool,
}

impl Shown<'_> {
    /// A list of records.
    pub fn list(&self, model: Model, ids: &[Id]) -> Vec<u8> {
        let mut buf = Vec::with_capacity(64 + ids.len() * 24 * self.fields.len());
        buf.push(b'[');
        for (i, id) in ids.iter().enumerate() {
            if i > 0 {
                buf.extend_from_slice(b", ");
            }
            self.record(&mut buf, model, *id);
        }
        buf.push(b']');
        buf
    }

    fn record(&self, buf: &mut Vec<u8>, model: Model, id: Id) {
        push(buf, format_args!("{{\"id\": {id}"));
        for field in self.fields.iter().filter(|f| f.name != "id") {
            push(buf, format_args!(", \"{}\": ", field.name));
            let val = self.data.get(self.look, model, id, field.name);
            self.value(buf, field, &val);
        }
        buf.push(b'}');
    }

    fn value(&self, buf: &mut Vec<u8>, field: &Field, val: &Val) {
        match (val, field.kind) {
            (Val::No, Kind::Int) => buf.push(b'0'),
            (Val::No, Kind::Float | Kind::Money) => buf.extend_from_slice(b"0.0"),
            (Val::No, Kind::Children(_) | Kind::Many(_)) => buf.extend_from_slice(b"[]"),
            (Val::No, _) => buf.extend_from_slice(b"false"),
            (Val::Bool(yes), _) => push(buf, format_args!("{yes}")),
            (Val::Int(n), Kind::Float | Kind::Money) => push(buf, format_args!("{n}.0")),
            (Val::Int(n), _) => push(buf, format_args!("{n}")),
            (Val::Num(n), Kind::Int) => push(buf, format_args!("{n:.0}")),
            (Val::Num(n), _) => push(buf, format_args!("{n:?}")),
            (Val::Text(text), _) => string(buf, text),
            (Val::Time(t), _) => push(buf, format_args!("\"{}\"", time_text(*t))),
            (Val::Day(d), _) => push(buf, format_args!("\"{}\"", day_text(*d))),
            (Val::Ids(ids), _) => {
                buf.push(b'[');
                for (i, id) in ids.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    push(buf, format_args!("{comma}{id}"));
                }
                buf.push(b']');
            }
            (Val::One(_, id), _) if !self.labels => push(buf, format_args!("{id}")),
            (Val::One(model, id), _) => {
                push(buf, format_args!("[{id}, "));
                string(buf, &self.data.label(self.look, *model, *id));
                buf.push(b']');
            }
        }
    }
}

fn push(buf: &mut Vec<u8>, text: std::fmt::Arguments) {
    // Writing to a Vec cannot fail.
    let _ = buf.write_fmt(text);
}

fn string(buf: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(buf, text);
}

/// The fields that a client asks for; without any, all that it may read.
pub fn asked(session: &Session, model: Model, names: Option<&Value>) -> Result<Vec<&'static Field>, Fail> {
    let version = session.version();
    let names = names.and_then(Value::as_array).filter(|names| !names.is_empty());
    let Some(names) = names else {
        return everything(session, model);
    };
    let mut fields = Vec::new();
    for name in names {
        let name = name.as_str().unwrap_or_default();
        let field = model.field(version, name);
        let field = field.ok_or_else(|| Fail::no_field(version, model, name))?;
        if field.restricted && !session.user.admin {
            return Err(restricted(session, model, name));
        }
        fields.push(field);
    }
    Ok(fields)
}

fn everything(session: &Session, model: Model) -> Result<Vec<&'static Field>, Fail> {
    if session.version() == Version::V19 && model == Model::Partner && !session.user.admin {
        return Err(Fail::access("Failed to read field res.partner.rtc_session_ids\nYou are not allowed to access 'Mail RTC session' (discuss.channel.rtc.session) records.\n\nThis operation is allowed for the following groups:\n\t- Role / Administrator\n\nContact your administrator to request access if necessary."));
    }
    let all = model.fields(session.version());
    Ok(once(all.filter(|f| session.user.admin || !f.restricted)))
}

/// Each name once: a model may redefine a field that all have.
pub fn once(fields: impl Iterator<Item = &'static Field>) -> Vec<&'static Field> {
    let mut all: Vec<&'static Field> = Vec::new();
    for field in fields {
        if !all.iter().any(|f| f.name == field.name) {
            all.push(field);
        }
    }
    all
}

fn restricted(session: &Session, model: Model, name: &str) -> Fail {
    Fail::access(format!(
        "The requested operation can not be completed due to security restrictions.\n\nDocument type: {} ({})\nOperation: read\nUser: {}\nFields:\n- {name} (allowed for groups 'Administration / Access Rights')",
        model.label(),
        model.name(),
        session.user.id
    ))
}

/// What `fields_get` tells.
pub fn fields_get(
    session: &Session,
    model: Model,
    names: Option<&Value>,
    attributes: Option<&Value>,
) -> Value {
    let wanted = |list: Option<&Value>, name: &str| match list.and_then(Value::as_array) {
        Some(list) if !list.is_empty() => list.iter().any(|v| v == name),
        _ => true,
    };
    let readable = |f: &&Field| session.user.admin || !f.restricted;
    let fields = once(model.fields(session.version())).into_iter().filter(readable);
    let mut all = Map::new();
    for field in fields.filter(|f| wanted(names, f.name)) {
        let mut about = about(field);
        about.retain(|name, _| wanted(attributes, name));
        all.insert(field.name.into(), Value::Object(about));
    }
    Value::Object(all)
}

fn about(field: &Field) -> Map<String, Value> {
    let mut about = Map::new();
    let mut put = |name: &str, value: Value| about.insert(name.into(), value);
    put("type", field.kind.name().into());
    put("string", field.label.into());
    put("name", field.name.into());
    put("required", field.required.into());
    put("readonly", field.readonly.into());
    put("store", field.stored.into());
    put("sortable", field.stored.into());
    put("searchable", true.into());
    put("manual", field.custom.into());
    put("company_dependent", field.by_company.into());
    if let Some(relation) = field.kind.relation() {
        put("relation", relation.into());
    }
    if let Kind::Select(options) = field.kind {
        put("selection", json!(options));
    }
    about
}
