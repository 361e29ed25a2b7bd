//! Changes behind the API: by users, by scheduled actions, or straight in the tables.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{json, Map, Value};

use super::data::val::{parse_time, SECOND};
use super::data::{Data, Id, Look};
use super::erp::Erp;
use super::schema::Model;
use super::write::Writer;

/// One change. `entity` is a model. `at` is UTC, as `2026-01-31 12:00:00.5` or as seconds; below zero it
/// is so long ago. Without it the server's clock counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Mutation {
    /// Writes fields of one or more records, all at one moment, and bumps `write_date` as Odoo does, of
    /// what depends on them too. With `bump` false it is a direct UPDATE.
    Edit {
        entity: String,
        #[serde(default)]
        id: Option<Id>,
        #[serde(default)]
        ids: Vec<Id>,
        /// The first so many, instead of ids.
        #[serde(default)]
        count: usize,
        set: Map<String, Value>,
        #[serde(default = "yes")]
        bump: bool,
        #[serde(default)]
        at: Option<Value>,
    },
    /// Adds records with computed fields, into `parent` where they are parts.
    Create {
        entity: String,
        #[serde(default = "one")]
        count: usize,
        #[serde(default)]
        parent: Option<Id>,
        #[serde(default)]
        set: Map<String, Value>,
        #[serde(default)]
        at: Option<Value>,
    },
    /// Deletes for good, with parts.
    Unlink {
        entity: String,
        ids: Vec<Id>,
    },
    /// Sets `active`.
    Archive {
        entity: String,
        ids: Vec<Id>,
        #[serde(default)]
        active: bool,
    },
    /// Sets what lies in a warehouse: the product is not dated.
    Stock {
        product: Id,
        quantity: f64,
        #[serde(default = "first")]
        warehouse: Id,
    },
    /// Confirms or cancels a sale or purchase.
    Confirm {
        entity: String,
        id: Id,
    },
    Cancel {
        entity: String,
        id: Id,
    },
    /// Carries out a transfer.
    Validate {
        picking: Id,
    },
    /// Sets `write_date` alone.
    Modified {
        entity: String,
        id: Id,
        #[serde(default)]
        at: Option<Value>,
    },
    /// Begins a transaction, which takes so many ids of each model.
    Begin {
        tx: String,
        #[serde(default)]
        reserve: HashMap<String, usize>,
    },
    /// Commits it: what it does appears now, with the date and the ids of its beginning.
    Commit {
        tx: String,
        #[serde(rename = "do")]
        ops: Vec<Mutation>,
    },
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

fn first() -> Id {
    1
}

/// When a transaction began, and the ids that it took.
#[derive(Debug, Default)]
struct Begun {
    at: i64,
    ids: HashMap<String, Vec<Id>>,
}

/// Transactions that have begun.
#[derive(Debug, Default)]
pub struct Open(Mutex<HashMap<String, Begun>>);

impl Open {
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Erp {
    /// Applies a change; says which ids it touched.
    pub fn apply(&self, mutation: Mutation) -> Result<Value, String> {
        let now = self.now();
        let mut data = self.write();
        let mut open = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = match mutation {
            Mutation::Begin { tx, reserve } => {
                let mut begun = Begun {
                    at: now,
                    ..Begun::default()
                };
                for (entity, count) in reserve {
                    let model = parse(&entity)?;
                    let ids = (0..count).map(|_| data.reserve(model)).collect();
                    begun.ids.insert(entity, ids);
                }
                open.insert(tx, begun);
                Vec::new()
            }
            Mutation::Commit { tx, ops } => {
                let begun = open.remove(&tx);
                let mut begun = begun.ok_or_else(|| format!("{tx} has not begun"))?;
                let mut all = Vec::new();
                for op in ops {
                    all.extend(run(&mut data, op, &mut begun)?);
                }
                all
            }
            other => run(
                &mut data,
                other,
                &mut Begun {
                    at: now,
                    ..Begun::default()
                },
            )?,
        };
        Ok(json!({ "ids": ids }))
    }
}

fn run(data: &mut Data, mutation: Mutation, begun: &mut Begun) -> Result<Vec<Id>, String> {
    let look = Look::all(&data.config);
    let mut writer = Writer::new(data, begun.at, look);
    match mutation {
        Mutation::Edit {
            entity,
            id,
            ids,
            count,
            set,
            bump,
            at,
        } => {
            let model = parse(&entity)?;
            writer.at = moment(at.as_ref(), begun.at)?;
            let first = writer.data.live(model).iter().copied().take(count);
            let ids: Vec<Id> = id.into_iter().chain(ids).chain(first).collect();
            there(writer.data, model, &ids)?;
            let done = match bump {
                true => writer.write(model, &ids, &set),
                false => ids.iter().try_for_each(|id| writer.set(model, *id, &set)),
            };
            done.map(|()| ids).map_err(|f| f.message)
        }
        Mutation::Create {
            entity,
            count,
            parent,
            set,
            at,
        } => {
            let model = parse(&entity)?;
            writer.at = moment(at.as_ref(), begun.at)?;
            let mut reserved = begun.ids.remove(&entity).unwrap_or_default().into_iter();
            (0..count)
                .map(|_| create(&mut writer, model, reserved.next(), parent, &set))
                .collect()
        }
        other => act(&mut writer, other),
    }
}

fn act(writer: &mut Writer, mutation: Mutation) -> Result<Vec<Id>, String> {
    match mutation {
        Mutation::Unlink { entity, ids } => {
            let model = parse(&entity)?;
            there(writer.data, model, &ids)?;
            writer.unused(model, &ids).map_err(|f| f.message)?;
            writer.remove(model, &ids);
            Ok(ids)
        }
        Mutation::Archive { entity, ids, active } => {
            let model = parse(&entity)?;
            there(writer.data, model, &ids)?;
            let set = Map::from_iter([("active".to_owned(), active.into())]);
            writer.write(model, &ids, &set).map_err(|f| f.message)?;
            Ok(ids)
        }
        Mutation::Stock {
            product,
            quantity,
            warehouse,
        } => {
            there(writer.data, Model::Product, &[product])?;
            let place = writer
                .data
                .get(&writer.look, Model::Warehouse, warehouse, "lot_stock_id")
                .id();
            let place = place.ok_or("no such warehouse")?;
            let quant = writer.quant_at(product, place);
            Ok(vec![writer.stock(product, place, quantity, quant)])
        }
        Mutation::Confirm { entity, id } => {
            let model = parse(&entity)?;
            there(writer.data, model, &[id])?;
            writer
                .confirm(model, id)
                .map(|()| vec![id])
                .map_err(|f| f.message)
        }
        Mutation::Cancel { entity, id } => {
            let model = parse(&entity)?;
            there(writer.data, model, &[id])?;
            writer.cancel(model, id).map(|()| vec![id]).map_err(|f| f.message)
        }
        Mutation::Validate { picking } => {
            there(writer.data, Model::Picking, &[picking])?;
            let done = writer.validate(picking);
            done.map(|()| vec![picking]).map_err(|f| f.message)
        }
        Mutation::Modified { entity, id, at } => {
            let model = parse(&entity)?;
            there(writer.data, model, &[id])?;
            let at = moment(at.as_ref(), writer.at)?;
            writer.data.touch(model, id, at);
            Ok(vec![id])
        }
        other => Err(format!("cannot be applied: {other:?}")),
    }
}

fn create(
    writer: &mut Writer,
    model: Model,
    reserved: Option<Id>,
    parent: Option<Id>,
    set: &Map<String, Value>,
) -> Result<Id, String> {
    let id = reserved.unwrap_or_else(|| writer.data.reserve(model));
    let at = writer.at;
    writer.data.insert(model, id, false, at);
    let owner = model.owner();
    if let (Some((field, of)), Some(parent)) = (owner, parent) {
        there(writer.data, of, &[parent])?;
        let val = super::data::Val::One(of, parent);
        writer.data.set(model, id, field, val);
    } else if owner.is_some_and(|(_, of)| of != model) {
        return Err("parent is missing".into());
    }
    writer.set(model, id, set).map_err(|f| f.message)?;
    writer.born(model, id);
    let part = match model {
        Model::Sale => Some(Model::SaleLine),
        Model::Purchase => Some(Model::PurchaseLine),
        Model::Picking => Some(Model::Move),
        _ => None,
    };
    // A document is nothing without a line.
    if let Some(part) = part.filter(|p| writer.data.parts(*p, id).is_empty()) {
        create(writer, part, None, Some(id), &Map::new())?;
    }
    Ok(id)
}

fn parse(entity: &str) -> Result<Model, String> {
    Model::parse(entity).ok_or_else(|| format!("no such model: {entity}"))
}

fn there(data: &Data, model: Model, ids: &[Id]) -> Result<(), String> {
    match ids.iter().find(|id| !data.exists(model, **id)) {
        Some(id) => Err(format!("{} has no {id}", model.name())),
        None => Ok(()),
    }
}

/// Microseconds.
fn moment(at: Option<&Value>, now: i64) -> Result<i64, String> {
    match at {
        None | Some(Value::Null) => Ok(now),
        Some(Value::String(text)) => parse_time(text).ok_or(format!("not a date: {text}")),
        Some(value) => {
            let seconds = value.as_f64().ok_or(format!("not a date: {value}"))?;
            let micros = (seconds * SECOND as f64).round() as i64;
            Ok(if micros < 0 { now + micros } else { micros })
        }
    }
}
