//! Writing single records: find what is there, create, change.

use super::api::Params;
use super::draft::body;
use super::list::List;
use super::{map, WooCommerce};
use crate::core::{EntityType, Record};
use crate::error::{Code, Error, Result};
use crate::source::http::{Meter, Response};
use crate::source::{Change, Content, Unreadable, Written};
use reqwest::Method;
use serde_json::Value;

impl WooCommerce {
    /// Records with this match key, as the shop has them now.
    pub(super) fn find_by_key(&self, entity: EntityType, key: &str, meter: &Meter) -> Result<Vec<Record>> {
        let (list, name) = match entity {
            EntityType::Customers => (List::Customers, "email"),
            EntityType::Products => (List::Products, "sku"),
            EntityType::Categories => (List::Categories, "search"),
            _ => return Ok(Vec::new()),
        };
        let mut params = self.params(&list, Content::Full, None, "all", meter)?;
        params.push((name.to_owned(), key.to_owned()));
        let Some(page) = self.find_page(&list, &params, meter)? else {
            return Ok(Vec::new());
        };
        // A question by SKU finds variations as well.
        let (variations, others): (Vec<Value>, Vec<Value>) =
            page.rows.into_iter().partition(|row| row["type"] == "variation");
        let mut records = self.all_readable(&list, &others, meter)?;
        records.extend(self.all_readable(&List::Variations, &variations, meter)?);
        records.retain(|record| has_key(entity, record, key));
        Ok(records)
    }

    /// Creates or changes one record.
    pub(super) fn write_record(&self, entity: EntityType, change: &Change, meter: &Meter) -> Result<Written> {
        let list = match (entity, &change.parent_id) {
            (EntityType::Products, Some(parent)) => List::VariationsOf(digits(parent)?.to_owned()),
            _ => List::of(entity, entity.name())?,
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
            return Err(self.refusal(entity, change, &response));
        }
        let (_, row) = self.api.expect_json(response)?;
        let nothing = || Error::new(Code::Nonsense, "the remote's answer to a write is no record");
        Ok(Written {
            external_id: map::required_id(&row)?,
            record: self
                .all_readable(&list, &[row], meter)
                .and_then(|written| written.into_iter().next().ok_or_else(nothing)),
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

    fn refusal(&self, entity: EntityType, change: &Change, response: &Response) -> Error {
        let error = self.api.error(response);
        match (response.status, &change.external_id) {
            (404, Some(id)) => Error::new(
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

/// Ids go into the path.
fn digits(id: &str) -> Result<&str> {
    if !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(id);
    }
    Err(Error::new(Code::Invalid, format!("\"{id}\" is no id of a shop"))
        .hint("WooCommerce's ids are numbers."))
}

/// Categories of systems without slugs are known by their name.
fn has_key(entity: EntityType, record: &Record, key: &str) -> bool {
    record.match_key.as_deref() == Some(key)
        || entity == EntityType::Categories
            && record
                .data
                .get("name")
                .and_then(Value::as_str)
                .is_some_and(|name| name.trim().to_lowercase() == key)
}
