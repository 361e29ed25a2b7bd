//! Variations: products that belong to a product.

use super::{map, WooCommerce};
use crate::core::Record;
use crate::error::Result;
use crate::source::http::Meter;
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

    /// A variation without a SKU shows its parent's; that is no key to match it by.
    pub(super) fn tell_inherited(&self, records: &mut [Record], meter: &Meter) -> Result<()> {
        let parents: BTreeSet<String> = records
            .iter()
            .filter(|r| r.match_key.is_some())
            .filter_map(|r| r.parent_id.clone())
            .collect();
        let skus = self.parent_skus(parents, meter)?;
        for record in records {
            let parents = record.parent_id.as_ref().and_then(|id| skus.get(id));
            if parents.is_some_and(|sku| Some(sku.as_str()) == record.data.get("sku").and_then(Value::as_str))
            {
                record.match_key = None;
            }
        }
        Ok(())
    }

    fn parent_skus(&self, parents: BTreeSet<String>, meter: &Meter) -> Result<HashMap<String, String>> {
        let mut skus = HashMap::new();
        let mut unknown = Vec::new();
        for id in parents {
            match self.skus.take(&id) {
                Some(sku) => drop(skus.insert(id, sku)),
                None => unknown.push(id),
            }
        }
        for ids in unknown.chunks(super::page::PER_PAGE as usize) {
            let params = [
                ("include", ids.join(",")),
                ("status", "any".to_owned()),
                ("per_page", ids.len().to_string()),
                ("_fields", "id,sku".to_owned()),
            ];
            let params = params.map(|(name, value)| (name.to_owned(), value)).to_vec();
            let (_, json) = self.api.get_json("products", &params, meter)?;
            let found = json.as_array().into_iter().flatten();
            skus.extend(found.filter_map(|row| Some((map::id(row)?, row["sku"].as_str()?.to_owned()))));
        }
        Ok(skus)
    }
}
