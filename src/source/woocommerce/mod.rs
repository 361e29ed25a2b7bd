//! WooCommerce, by its REST API v3. Verified against versions 8.0 (orders as posts) and 11.0 (HPOS).

mod api;
mod auth;
mod batch;
mod by_id;
mod config;
mod currency;
mod delivers;
mod draft;
mod halve;
mod hints;
mod kind;
mod list;
mod map;
mod map_order;
mod map_product;
mod page;
mod plan;
mod probe;
mod read;
mod site;
mod value;
mod variations;
mod webhook;
mod window;
mod write;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_absence;
#[cfg(test)]
mod tests_access;
#[cfg(test)]
mod tests_batch;
#[cfg(test)]
mod tests_by_id;
#[cfg(test)]
mod tests_webhook;
#[cfg(test)]
mod tests_write;

pub(super) use kind::KIND;

use super::batch_size::BatchSize;
use super::http::Meter;
use super::kind::Config;
use super::settings::Given;
use super::{Batch, Change, Counted, Pass, Plan, Probe, Source, Task, Written};
use crate::core::{EntityType, Listing, Record};
use crate::error::Result;
use api::Api;
use chrono::Utc;
use config::Settings;
use currency::Currency;
use list::{List, VARIATIONS};
use page::PER_PAGE;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use variations::Skus;

/// A WooCommerce shop.
pub struct WooCommerce {
    api: Api,
    /// Those that the connector is for.
    entities: Vec<EntityType>,
    settings: Settings,
    skus: Skus,
    currency: Currency,
    batch_size: BatchSize,
    /// Statuses that the settings name and the shop doesn't know.
    unlistable: Mutex<BTreeSet<String>>,
}

impl WooCommerce {
    /// A shop by its configuration. Asks nothing of it yet.
    pub fn new(config: Config, settings: &Given, credentials: &Given) -> Result<Self> {
        config::check_base_url(&config.base_url)?;
        let settings = Settings::read(settings)?;
        let entities = config.entities.clone();
        let api = Api::new(config, &settings, config::keys(credentials)?)?;
        Ok(WooCommerce {
            api,
            entities,
            settings,
            skus: Skus::default(),
            currency: Currency::default(),
            batch_size: BatchSize::default(),
            unlistable: Mutex::default(),
        })
    }

    /// How many rows of a listing are asked for at once.
    fn page_size(&self, list: &List) -> u64 {
        let known = self.api.memo().page_sizes.get(list.kind()).copied();
        known.unwrap_or(PER_PAGE).min(self.settings.page_size)
    }

    /// No more of them come at once, for now.
    fn note_page_size(&self, list: &List, rows: u64) {
        let now = Utc::now().timestamp();
        self.api.note(|memo| memo.note_page_size(list.kind(), rows, now));
    }

    /// The settings name an order status that the shop doesn't know (any more).
    fn note_unlistable(&self, status: String) {
        let mut unlistable = self.unlistable.lock().unwrap_or_else(PoisonError::into_inner);
        unlistable.insert(status);
    }

    /// What that means, for people.
    fn unlistable(&self) -> Option<String> {
        let unlistable = self.unlistable.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<&str> = unlistable.iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| {
            format!(
                "The shop doesn't know the order status {} (any more), so orders in it are in no listing: those that were read \
                 before are kept, and read one by one; others can't be found.",
                names.join(", ")
            )
        })
    }
}

impl Source for WooCommerce {
    fn probe(&self) -> Result<Probe> {
        self.probe_shop()
    }

    fn plan(&self, entity: EntityType, pass: Pass) -> Result<Plan> {
        self.plan_pass(entity, pass, &Meter::default())
    }

    /// A user of another role is no customer, though found by id.
    fn lists(&self, entity: EntityType, record: &Record) -> bool {
        let wanted = self.settings.customer_role.as_str();
        entity != EntityType::Customers
            || wanted == "all"
            || record.data.get("role").and_then(Value::as_str) == Some(wanted)
    }

    /// Product by product is how every version lists variations; newer ones have one listing for all.
    fn list_of(&self, entity: EntityType, parent: Option<&str>) -> Listing {
        match parent {
            None => Listing::of(entity.name()),
            Some(_) if self.api.memo().global_variations == Some(true) => Listing::of(VARIATIONS),
            Some(parent) => Listing::children_of(VARIATIONS, parent),
        }
    }

    fn children(&self, entity: EntityType) -> Option<&'static str> {
        (entity == EntityType::Products).then_some(VARIATIONS)
    }

    fn alone(&self, entity: EntityType, parent: Option<&str>) -> Option<Listing> {
        Some(match parent {
            Some(parent) => Listing::children_of(VARIATIONS, parent),
            None => Listing::of(entity.name()),
        })
    }

    /// Variations whose product is gone from the database count, and are shown nowhere (seen on 11.0).
    fn counts_no_records(&self, list: &Listing) -> bool {
        list.name() == VARIATIONS
    }

    fn count(&self, entity: EntityType, first: &Task) -> Result<Counted> {
        let meter = Meter::default();
        let page = self.count_list(&List::of(entity, &first.list)?, &meter)?;
        Ok(Counted {
            total: page.map_or(Some(0), |page| page.total),
            requests: meter.requests(),
        })
    }

    fn fetch(&self, entity: EntityType, task: &Task) -> Result<Batch> {
        let meter = Meter::default();
        let batch = self.read(entity, task, &meter)?;
        Ok(Batch {
            requests: meter.requests(),
            is_strained: meter.is_strained(),
            ..batch
        })
    }

    fn memo(&self) -> Value {
        self.api.kept()
    }

    fn draft(
        &self,
        entity: EntityType,
        record: &Map<String, Value>,
        current: Option<&Record>,
    ) -> Result<Map<String, Value>> {
        if let Some(current) = current.filter(|_| entity == EntityType::Customers) {
            draft::require_customer(current, &self.settings.customer_role)?;
        }
        draft::draft(entity, record, current)
    }

    fn find(&self, entity: EntityType, record: &Record, meter: &Meter) -> Result<Vec<Record>> {
        self.find_like(entity, record, meter)
    }

    fn write(&self, entity: EntityType, change: &Change, meter: &Meter) -> Result<Written> {
        self.write_record(entity, change, meter)
    }

    fn finds_at_once(&self, entity: EntityType) -> usize {
        self.finds_at_once(entity)
    }

    fn find_many(&self, entity: EntityType, records: &[Record], meter: &Meter) -> Vec<Result<Vec<Record>>> {
        self.find_each(entity, records, meter)
    }

    fn writes_at_once(&self, entity: EntityType, change: &Change) -> usize {
        self.writes_at_once(entity, change)
    }

    fn write_many(&self, entity: EntityType, changes: &[Change], meter: &Meter) -> Vec<Result<Written>> {
        self.write_each(entity, changes, meter)
    }
}
