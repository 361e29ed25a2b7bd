//! Searches: which records, in which order.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::config::Version;
use super::data::{Id, Val};
use super::domain::Node;
use super::errors::Fail;
use super::schema::Model;
use super::session::Session;

/// What to search for, and which part of it.
pub struct Query {
    nodes: Vec<Node>,
    least: Id,
    order: Vec<(&'static str, bool)>,
    offset: usize,
    limit: Option<usize>,
}

impl Query {
    /// Reads the arguments of a search.
    pub fn read(session: &Session, model: Model, args: &Map<String, Value>) -> Result<Self, Fail> {
        session.may_read(model)?;
        let domain = args.get("domain").unwrap_or(&Value::Null);
        let node = Node::parse(session.version(), model, domain)?;
        let mut nodes = Vec::new();
        if session.active_test && model.archives() && !node.names("active") {
            let active = serde_json::json!([["active", "=", true]]);
            nodes.push(Node::parse(session.version(), model, &active)?);
        }
        let least = node.least_id();
        nodes.insert(0, node);
        nodes.extend(session.rules(model)?);
        let order = args.get("order").and_then(Value::as_str).unwrap_or(model.order());
        Ok(Self {
            nodes,
            least,
            order: order_by(session.version(), model, order)?,
            offset: count(args.get("offset"), "OFFSET")?.unwrap_or(0),
            limit: count(args.get("limit"), "LIMIT")?,
        })
    }

    /// How many records there are.
    pub fn count(&self, session: &Session, model: Model) -> usize {
        let all = self.found(session, model, false).count();
        self.limit.map_or(all, |limit| all.min(limit))
    }

    /// The ids, in order.
    pub fn ids(&self, session: &Session, model: Model) -> Vec<Id> {
        let limit = self.limit.unwrap_or(usize::MAX);
        match self.order.first() {
            None | Some(("id", false)) => self
                .found(session, model, false)
                .skip(self.offset)
                .take(limit)
                .collect(),
            Some(("id", true)) => self
                .found(session, model, true)
                .skip(self.offset)
                .take(limit)
                .collect(),
            _ => {
                let sorted = self.sorted(session, model).into_iter();
                sorted.skip(self.offset).take(limit).collect()
            }
        }
    }

    fn found<'s>(
        &'s self,
        session: &'s Session,
        model: Model,
        down: bool,
    ) -> Box<dyn Iterator<Item = Id> + 's> {
        let live = session.data.live(model);
        let quick = self.nodes.iter().find_map(|n| n.candidates(session.data, model));
        let holds = move |id: &Id| self.nodes.iter().all(|n| n.holds(session, *id));
        match (quick, down) {
            (Some(ids), false) => Box::new(ids.into_iter().filter(holds)),
            (Some(ids), true) => Box::new(ids.into_iter().rev().filter(holds)),
            (None, false) => {
                let from = live.partition_point(|id| *id < self.least);
                Box::new(live[from..].iter().copied().filter(holds))
            }
            (None, true) => Box::new(live.iter().rev().copied().filter(holds)),
        }
    }

    fn sorted(&self, session: &Session, model: Model) -> Vec<Id> {
        let key = |id: Id| -> Vec<Key> {
            let fields = self.order.iter();
            fields
                .map(|(field, _)| Key::of(session, session.data.get(&session.look, model, id, field)))
                .collect()
        };
        let mut all: Vec<(Vec<Key>, Id)> = self
            .found(session, model, false)
            .map(|id| (key(id), id))
            .collect();
        all.sort_by(|(a, _), (b, _)| {
            let pairs = a.iter().zip(b).zip(&self.order);
            let mut each = pairs.map(|((a, b), (_, down))| if *down { b.cmp(a) } else { a.cmp(b) });
            each.find(|o| *o != Ordering::Equal).unwrap_or(Ordering::Equal)
        });
        all.into_iter().map(|(_, id)| id).collect()
    }
}

/// What records are sorted by; nothing comes last.
#[derive(Debug, PartialEq)]
enum Key {
    Num(f64),
    Text(String),
    Nothing,
}

impl Key {
    fn of(session: &Session, val: Val) -> Self {
        match val {
            Val::No | Val::Ids(_) => Self::Nothing,
            Val::Bool(yes) => Self::Num(f64::from(u8::from(yes))),
            Val::Int(n) | Val::Time(n) | Val::Day(n) => Self::Num(n as f64),
            Val::Num(n) => Self::Num(n),
            Val::Text(text) => Self::Text(text.to_lowercase()),
            Val::One(model, id) => Self::Text(session.data.label(&session.look, model, id).to_lowercase()),
        }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Num(a), Self::Num(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Nothing, Self::Nothing) => Ordering::Equal,
            (Self::Nothing, _) => Ordering::Greater,
            (_, Self::Nothing) => Ordering::Less,
            (Self::Num(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Num(_)) => Ordering::Greater,
        }
    }
}

fn order_by(version: Version, model: Model, order: &str) -> Result<Vec<(&'static str, bool)>, Fail> {
    let mut keys = Vec::new();
    for part in order.split(',') {
        let mut words = part.split_whitespace();
        let name = words.next().unwrap_or_default();
        let down = match words.next().map(str::to_lowercase).as_deref() {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(Fail::user(format!("Invalid \"order\" specified ({order})."))),
        };
        let Some(field) = model.field(version, name) else {
            let message = format!("Invalid field '{name}' on model '{}'", model.name());
            return Err(Fail::value(message));
        };
        // A variant has its template's fields as its own.
        let inherited =
            model == Model::Product && Model::Template.field(version, name).is_some_and(|f| f.stored);
        match (field.stored || inherited, version) {
            (true, _) => keys.push((field.name, down)),
            // Left out without a word.
            (false, version) if version < Version::V19 => {}
            (false, _) => {
                let message = format!(
                    "Cannot convert {}.{name} to SQL because it is not stored",
                    model.name()
                );
                return Err(Fail::value(message));
            }
        }
    }
    Ok(keys)
}

fn count(value: Option<&Value>, clause: &str) -> Result<Option<usize>, Fail> {
    match value.and_then(Value::as_i64) {
        Some(n) if n < 0 => {
            let name = format!("psycopg2.errors.InvalidRowCountIn{}Clause", title(clause));
            Err(Fail::new(&name, format!("{clause} must not be negative\n")))
        }
        // None asked for means all, and so does zero.
        Some(n) if n > 0 => Ok(Some(n as usize)),
        _ => Ok(None),
    }
}

fn title(clause: &str) -> &'static str {
    if clause == "LIMIT" {
        "Limit"
    } else {
        "ResultOffset"
    }
}
