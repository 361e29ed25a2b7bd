//! Writing single records: find what is there, create, change.

use super::api::Params;
use super::draft::body;
use super::list::List;
use super::page::another;
use super::{map, WooCommerce};
use crate::core::{match_key, EntityType, Record};
use crate::error::{Code, Error, Result};
use crate::source::http::{Meter, Response};
use crate::source::{Change, Content, Unreadable, Written};
use reqwest::Method;
use serde_json::{json, Map, Value};
use std::collections::HashSet;

impl WooCommerce {
    /// Records with this one's match key, as the shop has them now.
    pub(super) fn find_like(
        &self,
        entity: EntityType,
        record: &Record,
        meter: &Meter,
    ) -> Result<Vec<Record>> {
        let Some(key) = record.match_key.as_deref() else {
            return Ok(Vec::new());
        };
        let (list, name) = match entity {
            EntityType::Customers => (List::Customers, "email"),
            EntityType::Products => (List::Products, "sku"),
            // Systems without slugs know categories by their name, which can only be searched for.
            EntityType::Categories if has_slug(&record.data) => (List::Categories, "slug"),
            EntityType::Categories => (List::Categories, "search"),
            _ => return Ok(Vec::new()),
        };
        let mut records = self.find_by(&list, name, key, meter)?;
        records.retain(|record| has_key(entity, record, key));
        Ok(records)
    }

    /// What a listing shows for a parameter. A question by SKU finds variations as well.
    pub(super) fn find_by(&self, list: &List, name: &str, value: &str, meter: &Meter) -> Result<Vec<Record>> {
        let mut params = self.params(list, Content::Full, None, "all", meter)?;
        params.push((name.to_owned(), value.to_owned()));
        let (variations, others): (Vec<Value>, Vec<Value>) = self
            .all_rows(list, &params, meter)?
            .into_iter()
            .partition(|row| row["type"] == "variation");
        let mut records = self.all_readable(list, &others, meter)?;
        records.extend(self.all_readable(&List::Variations, &variations, meter)?);
        Ok(records)
    }

    /// All rows of an answer that may have several pages: one that is taken for the whole of it would have what stands on the
    /// next page created a second time.
    fn all_rows(&self, list: &List, params: &Params, meter: &Meter) -> Result<Vec<Value>> {
        let mut rows: Vec<Value> = Vec::new();
        let mut met = HashSet::new();
        loop {
            let mut params = params.clone();
            if !rows.is_empty() {
                params.push(("offset".to_owned(), rows.len().to_string()));
            }
            let Some(page) = self.find_page(list, &params, meter)? else {
                return Ok(rows);
            };
            let is_empty = page.rows.is_empty();
            let new = page.rows.into_iter().filter(|row| met.insert(map::id(row)));
            let before = rows.len();
            rows.extend(new);
            if !is_empty && rows.len() == before {
                return Err(another(list, "the same records wherever it is asked to begin"));
            }
            match page.total {
                Some(total) if rows.len() as u64 == total => return Ok(rows),
                Some(total) if is_empty && (rows.len() as u64) < total => {
                    let message = format!(
                        "the shop counts {total} {} and shows {}",
                        list.route(),
                        rows.len()
                    );
                    return Err(Error::new(Code::Nonsense, message)
                        .hint("Nothing was written: the record may be among those. A plugin or cache may filter the shop's answers."));
                }
                _ if is_empty => return Ok(rows),
                _ => {}
            }
        }
    }

    /// Creates or changes one record.
    pub(super) fn write_record(&self, entity: EntityType, change: &Change, meter: &Meter) -> Result<Written> {
        let list = match (entity, &change.parent_id) {
            (EntityType::Products, Some(parent)) => List::VariationsOf(digits(parent)?.to_owned()),
            _ => List::main(entity)?,
        };
        let (method, route) = match &change.external_id {
            Some(id) => (Method::PUT, format!("{}/{}", list.route(), digits(id)?)),
            None => (Method::POST, list.route()),
        };
        let params: Params = vec![("_fields".to_owned(), list.fields(Content::Full).to_owned())];
        let response = self
            .api
            .write(method, &route, &params, &body(&change.fields), meter)?;
        if !response.is_success() {
            return self.refused(entity, change, &response, meter);
        }
        let (_, row) = self.api.expect_json(response)?;
        self.written(&list, row, meter)
    }

    /// What a refusal of a change comes to.
    pub(super) fn refused(
        &self,
        entity: EntityType,
        change: &Change,
        response: &Response,
        meter: &Meter,
    ) -> Result<Written> {
        let refusal = self.refusal(entity, change, response);
        match taken(change, response) {
            Some(id) => self.take_over(entity, change, &id, refusal, meter),
            None => Err(refusal),
        }
    }

    /// A record that a shop shows when it has written it.
    pub(super) fn written(&self, list: &List, row: Value, meter: &Meter) -> Result<Written> {
        let nothing = || Error::new(Code::Nonsense, "the remote's answer to a write is no record");
        Ok(Written {
            external_id: map::required_id(&row)?,
            record: self
                .all_readable(list, &[row], meter)
                .and_then(|written| written.into_iter().next().ok_or_else(nothing)),
            notes: Vec::new(),
        })
    }

    /// The records of rows, all of them.
    fn all_readable(&self, list: &List, rows: &[Value], meter: &Meter) -> Result<Vec<Record>> {
        let (records, unreadable) = self.records(list, rows, meter)?;
        match unreadable.into_iter().next() {
            Some(Unreadable { id, reason }) => Err(Error::new(
                Code::Nonsense,
                format!("the shop's record {id} can't be read"),
            )
            .detail(reason)),
            None => Ok(records),
        }
    }

    /// A creation that the shop refuses because it has the record, which no listing has shown: that one is changed, where
    /// it is the same by its match key.
    fn take_over(
        &self,
        entity: EntityType,
        change: &Change,
        id: &str,
        refusal: Error,
        meter: &Meter,
    ) -> Result<Written> {
        let refusal = refusal.hint(format!(
            "The shop says that it is {id} already. If that is the one that is meant, set target_id to it."
        ));
        let list = List::main(entity)?;
        let params: Params = vec![("_fields".to_owned(), list.fields(Content::Full).to_owned())];
        let (_, row) = self
            .api
            .get_json(&format!("{}/{}", list.route(), digits(id)?), &params, meter)?;
        if row["type"] == "variation" {
            return Err(refusal);
        }
        let there = self.all_readable(&list, &[row], meter)?;
        let key = match_key(entity, &change.fields);
        let is_same = |record: &Record| key.as_deref().is_some_and(|key| has_key(entity, record, key));
        if !there.first().is_some_and(is_same) {
            return Err(refusal);
        }
        let change = Change {
            external_id: Some(id.to_owned()),
            ..change.clone()
        };
        self.write_record(entity, &change, meter)
    }

    fn refusal(&self, entity: EntityType, change: &Change, response: &Response) -> Error {
        let error = self.api.error(response);
        // in a batch it is a 400
        let is_unknown = response.status == 404 || response.remote_code().ends_with("_invalid_id");
        match (response.status, &change.external_id) {
            (400 | 404, Some(id)) if is_unknown => Error::new(
                Code::NotFound,
                format!(
                    "the shop has no {} with the id {id} (any more)",
                    entity.singular()
                ),
            )
            .hint("Clear target_id to have it looked for, or created, anew."),
            // what is wrong with the values themselves
            (400, _) => Error {
                code: Code::Invalid,
                message: "the shop refuses the values".to_owned(),
                hint: Some("The detail is what the shop says of them.".to_owned()),
                ..error
            },
            _ => error,
        }
    }
}

/// The record that stands in the way of a creation, as the shop names it: a category of that name, a product with that SKU.
fn taken(change: &Change, response: &Response) -> Option<String> {
    let json = response
        .json
        .as_ref()
        .filter(|_| response.status == 400 && change.external_id.is_none())?;
    let is_taken = matches!(response.remote_code(), "term_exists" | "product_invalid_sku");
    map::id(&json!({ "id": json["data"]["resource_id"] })).filter(|_| is_taken)
}

/// Ids go into the path.
fn digits(id: &str) -> Result<&str> {
    if !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(id);
    }
    Err(Error::new(Code::Invalid, format!("\"{id}\" is no id of a shop"))
        .hint("WooCommerce's ids are numbers."))
}

fn has_slug(record: &Map<String, Value>) -> bool {
    record
        .get("slug")
        .and_then(Value::as_str)
        .is_some_and(|slug| !slug.trim().is_empty())
}

/// Categories of systems without slugs are known by their name.
pub(super) fn has_key(entity: EntityType, record: &Record, key: &str) -> bool {
    record.match_key.as_deref() == Some(key)
        || entity == EntityType::Categories
            && record
                .data
                .get("name")
                .and_then(Value::as_str)
                .is_some_and(|name| name.trim().to_lowercase() == key)
}
