//! Variations: products that belong to a product.

use super::by_id::is_gone;
use super::list::List;
use super::{map, WooCommerce};
use crate::core::Record;
use crate::error::Result;
use crate::source::http::Meter;
use crate::source::Content;
use chrono::Utc;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// Beyond this many, SKUs are asked for again rather than kept.
const KEPT: usize = 10_000;

/// SKUs of products whose variations are yet to be read, to tell inherited ones.
#[derive(Debug, Default)]
pub(super) struct Skus(Mutex<HashMap<String, String>>);

impl Skus {
    fn keep(&self, id: &str, sku: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.insert(id.to_owned(), sku.to_owned());
        }
    }

    fn take(&self, id: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }
}

impl WooCommerce {
    /// Keeps a product's SKU for when its variations are read.
    pub(super) fn remember_sku(&self, id: &str, row: &Value) {
        if let Some(sku) = row["sku"].as_str() {
            self.skus.keep(id, sku);
        }
    }

    /// A variation without a SKU shows its parent's; that is no key to match it by. Nor is one of which that can't be told.
    pub(super) fn tell_inherited(&self, records: &mut [Record], meter: &Meter) -> Result<()> {
        let parents: BTreeSet<String> = records
            .iter()
            .filter(|r| r.match_key.is_some())
            .filter_map(|r| r.parent_id.clone())
            .collect();
        let skus = self.parent_skus(parents, meter)?;
        for record in records {
            let Some(parents) = record.parent_id.as_ref().and_then(|id| skus.get(id)) else {
                continue;
            };
            let own = record.data.get("sku").and_then(Value::as_str);
            if parents.is_none() || parents.as_deref() == own {
                record.match_key = None;
            }
        }
        Ok(())
    }

    /// The SKUs of products; None for one that the shop doesn't show.
    fn parent_skus(
        &self,
        parents: BTreeSet<String>,
        meter: &Meter,
    ) -> Result<HashMap<String, Option<String>>> {
        let kept = self.api.memo().unlisted_skus;
        let mut skus = HashMap::new();
        let mut unknown = Vec::new();
        for id in parents {
            match self.skus.take(&id).or_else(|| kept.get(&id).cloned()) {
                Some(sku) => drop(skus.insert(id, Some(sku))),
                None => unknown.push(id),
            }
        }
        for ids in unknown.chunks(super::page::PER_PAGE as usize) {
            let broken = self.pages_of(&List::Products, Content::Ids, ids, meter, &mut |page| {
                skus.extend(page.rows.iter().filter_map(|row| Some((map::id(row)?, sku(row)))));
                Ok(())
            })?;
            skus.extend(broken.into_iter().map(|unread| (unread.id, None)));
            let lacking: Vec<&String> = ids.iter().filter(|id| !skus.contains_key(*id)).collect();
            for id in lacking {
                skus.insert(id.clone(), self.unlisted_sku(id, meter)?);
            }
        }
        Ok(skus)
    }

    /// The SKU of a product that a list of ids lacks, which proves nothing. One that is gone has none to inherit.
    fn unlisted_sku(&self, id: &str, meter: &Meter) -> Result<Option<String>> {
        let params = vec![("_fields".to_owned(), "id,sku".to_owned())];
        let response = self.api.get(&format!("products/{id}"), &params, meter)?;
        let found = match is_gone(&response) {
            true => Some(String::new()),
            false => (response.json.as_ref())
                .filter(|row| response.is_success() && map::id(row).as_deref() == Some(id))
                .and_then(sku),
        };
        if let Some(sku) = &found {
            self.api
                .note(|memo| memo.note_sku(id, sku, Utc::now().timestamp()));
        }
        Ok(found)
    }
}

fn sku(row: &Value) -> Option<String> {
    Some(row["sku"].as_str()?.to_owned())
}
