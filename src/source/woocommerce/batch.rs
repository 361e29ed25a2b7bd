//! Many at once: questions for several SKUs, and batches of changes, each of which has an outcome of its own.

use super::list::List;
use super::write::has_key;
use super::WooCommerce;
use crate::core::{match_key, EntityType, Record};
use crate::error::{Code, Error, Result};
use crate::source::http::{is_late, is_too_big, Meter, Response};
use crate::source::in_turn::in_turn;
use crate::source::{Change, Written};
use reqwest::Method;
use serde_json::{json, Value};

/// What a shop takes in one batch.
const MOST: usize = 100;
/// Servers refuse addresses of more than 8,000 characters or so, of which one may take three.
const LONGEST_LIST: usize = 1500;

impl WooCommerce {
    /// Only SKUs can be asked for as a list.
    pub(super) fn finds_at_once(&self, entity: EntityType) -> usize {
        match entity {
            EntityType::Products => MOST,
            _ => 1,
        }
    }

    /// [`WooCommerce::find_like`] for several records.
    pub(super) fn find_each(
        &self,
        entity: EntityType,
        records: &[Record],
        meter: &Meter,
    ) -> Vec<Result<Vec<Record>>> {
        let mut outcomes = Vec::with_capacity(records.len());
        while let Some(record) = records.get(outcomes.len()) {
            let listed = match entity {
                EntityType::Products => listable(&records[outcomes.len()..]),
                _ => &[],
            };
            match listed {
                [] | [_] => outcomes.push(self.find_like(entity, record, meter)),
                several => match self.find_by_skus(several, meter) {
                    Ok(found) => outcomes.extend(found.into_iter().map(Ok)),
                    // one that is counted and not shown, or can't be read, fails alone
                    Err(error) if error.code == Code::Nonsense => {
                        outcomes.extend(in_turn(several, |record| self.find_like(entity, record, meter)));
                    }
                    Err(error) => outcomes.extend(several.iter().map(|_| Err(error.clone()))),
                },
            }
        }
        outcomes
    }

    fn find_by_skus(&self, records: &[Record], meter: &Meter) -> Result<Vec<Vec<Record>>> {
        let keys: Vec<&str> = records.iter().filter_map(sku).collect();
        let found = self.find_by(&List::Products, "sku", &keys.join(","), meter)?;
        let of = |record: &Record| {
            let is_same = |one: &&Record| sku(record).is_some_and(|key| has_key(EntityType::Products, one, key));
            found.iter().filter(is_same).cloned().collect()
        };
        Ok(records.iter().map(of).collect())
    }

    /// Batches don't check their items as single writes are: of a status that it doesn't know, a shop makes "pending" (seen
    /// on 8.0 and 11.0). Drafts of the others hold nothing of that kind. Variations have a batch for each product.
    pub(super) fn writes_at_once(&self, entity: EntityType, change: &Change) -> usize {
        // what is no number is refused by name where it is written alone
        let has_number = change.external_id.as_ref().is_none_or(|id| id.parse::<u64>().is_ok());
        match has_number && change.parent_id.is_none() && entity != EntityType::Orders {
            true => self.batch_size.get(),
            false => 1,
        }
    }

    /// [`WooCommerce::write_record`] for several changes.
    pub(super) fn write_each(&self, entity: EntityType, changes: &[Change], meter: &Meter) -> Vec<Result<Written>> {
        let mut outcomes = Vec::with_capacity(changes.len());
        while outcomes.len() < changes.len() {
            let left = &changes[outcomes.len()..];
            let fits = |change: &&Change| self.writes_at_once(entity, change) > 1;
            let size = left.iter().take(self.batch_size.get()).take_while(fits).count();
            if size < 2 {
                outcomes.extend(in_turn(left, |change| self.write_record(entity, change, meter)));
            } else {
                outcomes.extend(self.try_batch(entity, &left[..size], meter).unwrap_or_default());
            }
        }
        outcomes
    }

    /// The outcomes of a batch; None where nothing was done, and the changes are to be made in another way.
    fn try_batch(&self, entity: EntityType, changes: &[Change], meter: &Meter) -> Option<Vec<Result<Written>>> {
        let all = |error: Error| Some(changes.iter().map(|_| Err(error.clone())).collect());
        let list = match List::main(entity) {
            Ok(list) => list,
            Err(error) => return all(error),
        };
        let route = format!("{}/batch", list.route());
        let body = body(changes);
        let answer = self.api.write(Method::POST, &route, &Vec::new(), &body, meter);
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                if is_late(&error) || is_too_big(&error) {
                    self.batch_size.halve(changes.len());
                }
                return all(error);
            }
        };
        match response.status {
            200..=299 => {
                self.batch_size.note(changes.len(), response.elapsed);
                Some(self.outcomes(entity, &list, changes, response, meter))
            }
            413 => {
                self.batch_size.halve(changes.len());
                None
            }
            // it says no to all: a firewall, a plugin, a right that batches need and single writes don't
            400 | 403..=407 | 409..=428 => {
                self.batch_size.give_up();
                None
            }
            _ => {
                if response.may_be_size() {
                    self.batch_size.halve(changes.len());
                }
                all(self.api.error(&response))
            }
        }
    }

    /// The outcomes that an answer to a batch has, in the order of its changes.
    fn outcomes(
        &self,
        entity: EntityType,
        list: &List,
        changes: &[Change],
        response: Response,
        meter: &Meter,
    ) -> Vec<Result<Written>> {
        let parts = self.api.expect_json(response).and_then(|(_, json)| parts(changes, json));
        let parts = match parts {
            Ok(parts) => parts,
            Err(error) => return changes.iter().map(|_| Err(error.clone())).collect(),
        };
        let outcomes = changes.iter().zip(parts).map(|(change, mut row)| {
            if row["error"].is_object() {
                let error = row["error"].take();
                let status = error["data"]["status"].as_u64().and_then(|status| u16::try_from(status).ok());
                let refused = Response::part(status.unwrap_or(400), error);
                return self.refused(entity, change, &refused, meter);
            }
            let written = self.written(list, row, meter)?;
            match is_about(entity, change, &written) {
                true => Ok(written),
                false => Err(Error::new(Code::Nonsense, "the shop answers to a batch in another order")),
            }
        });
        outcomes.collect()
    }
}

/// The first records whose SKUs can be asked for together.
fn listable(records: &[Record]) -> &[Record] {
    let mut length = 0;
    let fits = |record: &&Record| {
        sku(record).is_some_and(|sku| {
            length += sku.len() + 1;
            !sku.contains(',') && length <= LONGEST_LIST
        })
    };
    &records[..records.iter().take(MOST).take_while(fits).count()]
}

fn sku(record: &Record) -> Option<&str> {
    record.match_key.as_deref()
}

fn body(changes: &[Change]) -> Value {
    let mut body = json!({});
    for (verb, is_new) in [("create", true), ("update", false)] {
        let of = changes.iter().filter(|change| change.external_id.is_none() == is_new);
        let items: Vec<Value> = of
            .map(|change| {
                let mut item = super::draft::body(&change.fields);
                if let Some(id) = &change.external_id {
                    item["id"] = json!(id.parse::<u64>().unwrap_or_default());
                }
                item
            })
            .collect();
        if !items.is_empty() {
            body[verb] = Value::Array(items);
        }
    }
    body
}

/// What the answer says of each change.
fn parts(changes: &[Change], mut json: Value) -> Result<Vec<Value>> {
    let mut told = |verb: &str| match json.get_mut(verb).map(Value::take) {
        Some(Value::Array(rows)) => rows,
        _ => Vec::new(),
    };
    let (mut created, mut updated) = (told("create").into_iter(), told("update").into_iter());
    let mut of = |change: &Change| match change.external_id {
        None => created.next(),
        Some(_) => updated.next(),
    };
    let parts: Option<Vec<Value>> = changes.iter().map(&mut of).collect();
    parts
        .filter(|_| created.next().is_none() && updated.next().is_none())
        .ok_or_else(|| Error::new(Code::Nonsense, "the shop doesn't answer to each change of a batch"))
}

/// Whether what was written is what a change was about, as far as it shows.
fn is_about(entity: EntityType, change: &Change, written: &Written) -> bool {
    match (&change.external_id, &written.record) {
        (Some(id), _) => *id == written.external_id,
        (None, Ok(record)) => match_key(entity, &change.fields).is_none_or(|key| has_key(entity, record, &key)),
        (None, Err(_)) => true,
    }
}
