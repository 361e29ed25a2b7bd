//! Changes behind the API: by an administrator, a plugin, a customer, or straight in the tables.

use serde::{Deserialize, Serialize};
use serde_json::{json, Map, Value};

use super::config::Version;
use super::data::{Data, Id, Kind};
use super::shop::Shop;
use super::write::Writer;
use crate::core::clock;

/// One change. `entity` is `customers`, `products`, `variations`, `orders`, `refunds`, `categories`.
/// `at` is UTC, as seconds or as `2026-01-31T12:00:00`; without it the server's clock counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Mutation {
    /// Sets fields by path (`billing.city`). Bumps `date_modified` unless told not to.
    Edit {
        entity: String,
        id: Id,
        set: Map<String, Value>,
        #[serde(default = "yes")]
        bump: bool,
        #[serde(default)]
        at: Option<Value>,
    },
    /// Adds records with computed fields; `parent` for variations and refunds.
    Create {
        entity: String,
        #[serde(default = "one")]
        count: u32,
        #[serde(default)]
        parent: Option<Id>,
        #[serde(default)]
        set: Map<String, Value>,
        #[serde(default)]
        at: Option<Value>,
    },
    /// Deletes for good.
    Delete { entity: String, ids: Vec<Id> },
    /// Moves products, variations or orders to the trash.
    Trash { entity: String, ids: Vec<Id> },
    /// Takes them out again, with a status (`publish`, or `pending` for orders).
    Restore {
        entity: String,
        ids: Vec<Id>,
        #[serde(default)]
        status: Option<String>,
    },
    /// Edits many records in one second: the first `count`, or `ids`.
    Bulk {
        entity: String,
        #[serde(default)]
        ids: Vec<Id>,
        #[serde(default)]
        count: usize,
        set: Map<String, Value>,
        #[serde(default)]
        at: Option<Value>,
    },
    /// Writes a stock into the tables: no bump.
    Stock { entity: String, id: Id, quantity: i64 },
    /// Sets a user's role: no bump.
    Role { id: Id, role: String },
    /// Changes a line of an order: bumps, but not on version 8.
    Line {
        order: Id,
        line: usize,
        set: Map<String, Value>,
    },
    /// Refunds: bumps the order.
    Refund {
        order: Id,
        amount: String,
        #[serde(default)]
        reason: String,
    },
    /// Deletes a refund: does not bump the order.
    RefundDelete { id: Id },
    /// Breaks records: lists count them and leave them out (a variation whose product is gone from the database).
    Hide { entity: String, ids: Vec<Id> },
    /// Mends them.
    Show { entity: String, ids: Vec<Id> },
    /// Keeps records out of all lists, and out of their totals (a plugin for languages); asked for alone they answer.
    Unlist { entity: String, ids: Vec<Id> },
    /// Lets them back in.
    Relist { entity: String, ids: Vec<Id> },
    /// Sets `date_modified` alone; null where there is no `at`.
    Modified {
        entity: String,
        id: Id,
        #[serde(default)]
        at: Option<Value>,
    },
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

impl Shop {
    /// Applies a change; says which ids it touched.
    pub fn apply(&self, mutation: Mutation) -> Result<Value, String> {
        let now = self.clock.now();
        let mut data = self.write();
        let ids = run(&mut data, mutation, now)?;
        Ok(json!({ "ids": ids }))
    }
}

fn run(data: &mut Data, mutation: Mutation, now: i64) -> Result<Vec<Id>, String> {
    match mutation {
        Mutation::Edit {
            entity,
            id,
            set,
            bump,
            at,
        } => {
            let kind = Kind::parse(&entity)?;
            let at = moment(at.as_ref(), now)?;
            edit(data, kind, id, &set, bump.then_some(at)).map(|()| vec![id])
        }
        Mutation::Create {
            entity,
            count,
            parent,
            set,
            at,
        } => {
            let kind = Kind::parse(&entity)?;
            let at = moment(at.as_ref(), now)?;
            (0..count).map(|_| create(data, kind, parent, &set, at)).collect()
        }
        Mutation::Delete { entity, ids } => {
            let kind = Kind::parse(&entity)?;
            ids.into_iter().map(|id| delete(data, kind, id, now)).collect()
        }
        Mutation::Trash { entity, ids } => states(data, &entity, ids, "trash", now),
        Mutation::Restore { entity, ids, status } => {
            let default = if entity == "orders" { "pending" } else { "publish" };
            states(data, &entity, ids, status.as_deref().unwrap_or(default), now)
        }
        Mutation::Bulk {
            entity,
            ids,
            count,
            set,
            at,
        } => {
            let kind = Kind::parse(&entity)?;
            let at = moment(at.as_ref(), now)?;
            let first = || data.live(kind).iter().copied().take(count).collect();
            let ids = if ids.is_empty() { first() } else { ids };
            ids.iter()
                .try_for_each(|id| edit(data, kind, *id, &set, Some(at)))?;
            Ok(ids)
        }
        Mutation::Modified { entity, id, at } => {
            let kind = Kind::parse(&entity)?;
            there(data, kind, id)?;
            let at = at
                .filter(|v| !v.is_null())
                .map(|v| moment(Some(&v), now))
                .transpose()?;
            data.set_modified(kind, id, at);
            Ok(vec![id])
        }
        other => quiet(data, other, now),
    }
}

/// The changes that have their own rules for `date_modified`.
fn quiet(data: &mut Data, mutation: Mutation, now: i64) -> Result<Vec<Id>, String> {
    match mutation {
        Mutation::Stock { entity, id, quantity } => {
            let kind = Kind::parse(&entity)?;
            there(data, kind, id)?;
            data.set(kind, id, "manage_stock", true.into());
            data.set(kind, id, "stock_quantity", quantity.into());
            Ok(vec![id])
        }
        Mutation::Role { id, role } => {
            there(data, Kind::Customers, id)?;
            data.set_state(Kind::Customers, id, &role);
            Ok(vec![id])
        }
        Mutation::Line { order, line, set } => {
            let bump = data.config.version != Version::V8;
            let lines = data.field(Kind::Orders, order, "line_items");
            lines
                .get(line)
                .ok_or(format!("order {order} has no line {line}"))?;
            let set = set
                .into_iter()
                .map(|(k, v)| (format!("line_items.{line}.{k}"), v))
                .collect();
            edit(data, Kind::Orders, order, &set, bump.then_some(now)).map(|()| vec![order])
        }
        Mutation::Refund {
            order,
            amount,
            reason,
        } => {
            let body = json!({ "amount": amount, "reason": reason });
            let made = Writer::new(data, now, "").create(Kind::Refunds, Some(order), &body);
            let made = made.map_err(|e| e.message)?;
            Ok(made["id"].as_u64().map(|id| id as Id).into_iter().collect())
        }
        Mutation::Hide { entity, ids } => each(data, &entity, ids, |data, kind, id| {
            data.set_hidden(kind, id, true)
        }),
        Mutation::Show { entity, ids } => each(data, &entity, ids, |data, kind, id| {
            data.set_hidden(kind, id, false)
        }),
        Mutation::Unlist { entity, ids } => each(data, &entity, ids, |data, kind, id| {
            data.set_unlisted(kind, id, true)
        }),
        Mutation::Relist { entity, ids } => each(data, &entity, ids, |data, kind, id| {
            data.set_unlisted(kind, id, false)
        }),
        Mutation::RefundDelete { id } => delete(data, Kind::Refunds, id, now).map(|id| vec![id]),
        other => Err(format!("cannot be applied: {other:?}")),
    }
}

fn each(
    data: &mut Data,
    entity: &str,
    ids: Vec<Id>,
    set: fn(&mut Data, Kind, Id),
) -> Result<Vec<Id>, String> {
    let kind = Kind::parse(entity)?;
    for id in &ids {
        there(data, kind, *id)?;
        set(data, kind, *id);
    }
    Ok(ids)
}

fn there(data: &Data, kind: Kind, id: Id) -> Result<(), String> {
    if data.exists(kind, id) {
        Ok(())
    } else {
        Err(format!("{} has no {id}", kind.name()))
    }
}

fn edit(
    data: &mut Data,
    kind: Kind,
    id: Id,
    set: &Map<String, Value>,
    at: Option<i64>,
) -> Result<(), String> {
    there(data, kind, id)?;
    for (path, value) in set {
        data.set(kind, id, path, value.clone());
    }
    if let Some(at) = at.filter(|_| kind != Kind::Categories) {
        data.touch(kind, id, at);
    }
    Ok(())
}

fn create(
    data: &mut Data,
    kind: Kind,
    parent: Option<Id>,
    set: &Map<String, Value>,
    at: i64,
) -> Result<Id, String> {
    let above = match kind {
        Kind::Variations => Some(Kind::Products),
        Kind::Refunds => Some(Kind::Orders),
        _ => None,
    };
    if let Some(above) = above {
        there(data, above, parent.ok_or("parent is missing")?)?;
    }
    let id = data.insert(kind, parent.filter(|_| above.is_some()), false, at);
    edit(data, kind, id, set, (kind == Kind::Variations).then_some(at))?;
    if let (Kind::Refunds, Some(order)) = (kind, parent) {
        data.touch(Kind::Orders, order, at);
    }
    Ok(id)
}

fn delete(data: &mut Data, kind: Kind, id: Id, now: i64) -> Result<Id, String> {
    there(data, kind, id)?;
    let parent = data.parent(kind, id);
    data.remove(kind, id);
    if kind == Kind::Variations && data.exists(Kind::Products, parent) {
        data.touch(Kind::Products, parent, now);
    }
    Ok(id)
}

fn states(data: &mut Data, entity: &str, ids: Vec<Id>, state: &str, now: i64) -> Result<Vec<Id>, String> {
    let kind = Kind::parse(entity)?;
    for id in &ids {
        there(data, kind, *id)?;
        data.set_state(kind, *id, state);
        data.touch(kind, *id, now);
    }
    Ok(ids)
}

fn moment(at: Option<&Value>, now: i64) -> Result<i64, String> {
    match at {
        None | Some(Value::Null) => Ok(now),
        Some(Value::String(text)) => {
            let parsed = clock::parse_iso(text).ok_or(format!("not a date: {text}"))?;
            Ok(parsed.0 - parsed.1.unwrap_or(0))
        }
        Some(value) => value.as_i64().ok_or(format!("not a date: {value}")),
    }
}
