//! Values as clients write them.

use serde_json::Value;

use super::config::Version;
use super::data::val::{parse_time, SECOND};
use super::data::{Id, Val};
use super::domain::repr;
use super::errors::Fail;
use super::schema::{Field, Kind, Model};

/// What a client wants in a field.
pub fn value(model: Model, field: &Field, value: &Value) -> Result<Val<'static>, Fail> {
    let wrong = || {
        let message = format!("Wrong value for {}.{}: {}", model.name(), field.name, repr(value));
        Fail::value(message)
    };
    let empty = value.is_null() || value == &Value::Bool(false) || value == "";
    Ok(match field.kind {
        Kind::Bool => Val::Bool(!empty && value != &Value::from(0)),
        Kind::Int if empty => Val::Int(0),
        Kind::Int => Val::Int(value.as_i64().ok_or_else(wrong)?),
        Kind::Float | Kind::Money if empty => Val::Num(0.0),
        Kind::Float | Kind::Money => Val::Num(number(value).ok_or_else(wrong)?),
        _ if empty => Val::No,
        Kind::Char | Kind::Text | Kind::Html => match value {
            Value::String(text) => Val::text(text.clone()),
            other => Val::text(other.to_string()),
        },
        Kind::Select(options) => {
            let text = value.as_str().ok_or_else(wrong)?;
            let known = options.iter().any(|(key, _)| *key == text);
            Val::text(known.then(|| text.to_owned()).ok_or_else(wrong)?)
        }
        Kind::Datetime => Val::Time(value.as_str().and_then(parse_time).ok_or_else(wrong)?),
        Kind::Date => {
            let at = value.as_str().and_then(parse_time).ok_or_else(wrong)?;
            Val::Day(at.div_euclid(86_400 * SECOND))
        }
        Kind::One(of) => {
            // Either the id or what a client has read: `[id, label]`.
            let id = value
                .as_array()
                .map_or(value, |pair| pair.first().unwrap_or(value));
            let id = Id::try_from(id.as_u64().ok_or_else(wrong)?).map_err(|_| wrong())?;
            Model::parse(of).map_or(Val::No, |of| Val::One(of, id))
        }
        Kind::Children(_) | Kind::Many(_) => Val::Ids(Vec::new()),
    })
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// What commands (`[6, 0, ids]`, `[4, id]`, ...) or a plain list make of a list of ids.
pub fn ids(before: Vec<Id>, value: &Value) -> Vec<Id> {
    let mut ids = before;
    let id = |v: &Value| v.as_u64().and_then(|n| Id::try_from(n).ok());
    for item in value.as_array().into_iter().flatten() {
        let Some(command) = item.as_array() else {
            ids.extend(id(item));
            continue;
        };
        let target = command.get(1).and_then(id);
        match command.first().and_then(Value::as_u64) {
            Some(4) => ids.extend(target),
            Some(2 | 3) => ids.retain(|i| Some(*i) != target),
            Some(5) => ids.clear(),
            Some(6) => {
                let list = command.get(2).and_then(Value::as_array);
                ids = list.into_iter().flatten().filter_map(id).collect();
            }
            _ => {}
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// A field that a client writes which the model doesn't have.
pub fn unknown(version: Version, model: Model, name: &str) -> Fail {
    match version {
        Version::V19 => Fail::value(format!("Invalid field '{name}' in '{}'", model.name())),
        _ => Fail::no_field(version, model, name),
    }
}

/// A reference to a record that is not there.
pub fn dangling(version: Version, model: Model, field: &Field) -> Fail {
    let (label, name) = (model.label(), model.name());
    Fail::validation(match version {
        Version::V19 => format!("The operation cannot be completed: Another model is using the record you are trying to delete.\n\nThe troublemaker is: '{label}' ({name})\nThanks to the following constraint: '{}' ({})\nHow about archiving the record instead?", field.label, field.name),
        _ => format!("The operation cannot be completed: another model requires the record being deleted. If possible, archive it instead.\n\nModel: {label} ({name})\nConstraint: {}_{}_fkey\n", name.replace('.', "_"), field.name),
    })
}
