//! Odoo, by its external API. Verified against versions 17.0 and 18.0 (JSON-RPC), and 19.0 (JSON-2).

mod api;
mod batch;
mod broken;
mod config;
mod delivers;
mod draft;
mod extras;
mod hidden;
mod kind;
mod known;
mod lines;
mod list;
mod map;
mod map_document;
mod plan;
mod probe;
mod read;
mod refusal;
mod shared;
mod types;
mod value;
mod webhook;
mod write;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_access;
#[cfg(test)]
mod tests_broken;
#[cfg(test)]
mod tests_known;
#[cfg(test)]
mod tests_webhook;
#[cfg(test)]
mod tests_write;

pub(super) use kind::KIND;

use super::batch_size::BatchSize;
use super::http::Meter;
use super::kind::Config;
use super::settings::Given;
use super::{Batch, Change, Lines, Pass, Plan, Probe, Source, Task, Written};
use crate::core::{EntityType, Listing, Record};
use crate::error::Result;
use api::Api;
use broken::Broken;
use config::{Credentials, Settings};
use extras::Lookup;
use hidden::Questions;
use known::Known;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::atomic::AtomicU32;
use std::sync::Mutex;

/// An Odoo server.
pub struct Odoo {
    api: Api,
    /// Those that the connector is for.
    entities: Vec<EntityType>,
    settings: Settings,
    known: Known,
    lookup: Lookup,
    questions: Questions,
    broken: Broken,
    batch_size: BatchSize,
    /// How often pages were halved because their rows are big.
    halved: AtomicU32,
    /// Ids of the countries that were written, by what they were called.
    countries: Mutex<HashMap<String, u64>>,
}

impl Odoo {
    /// A server by its configuration. Asks nothing of it yet.
    pub fn new(config: Config, settings: &Given, credentials: &Given) -> Result<Self> {
        config::check_base_url(&config.base_url)?;
        let settings = Settings::read(settings)?;
        let entities = config.entities.clone();
        let api = Api::new(config, &settings, Credentials::read(credentials)?)?;
        Ok(Odoo {
            api,
            entities,
            settings,
            known: Known::default(),
            lookup: Lookup::default(),
            questions: Questions::default(),
            broken: Broken::default(),
            batch_size: BatchSize::default(),
            halved: AtomicU32::new(0),
            countries: Mutex::default(),
        })
    }
}

impl Source for Odoo {
    fn probe(&self) -> Result<Probe> {
        self.probe_server()
    }

    fn plan(&self, entity: EntityType, pass: Pass) -> Result<Plan> {
        self.plan_pass(entity, pass, &Meter::default())
    }

    /// What is counted is what the user may see.
    fn counts_no_records(&self, _list: &Listing) -> bool {
        false
    }

    fn lines(&self, entity: EntityType, before: Option<&Value>) -> Result<Option<Lines>> {
        self.watch_lines(entity, before, &Meter::default())
    }

    fn fetch(&self, entity: EntityType, task: &Task) -> Result<Batch> {
        let meter = Meter::default();
        let batch = self.read(entity, task, &meter)?;
        Ok(Batch {
            requests: meter.requests(),
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
        draft::draft(entity, record, current)
    }

    fn known_by(&self, entity: EntityType, record: &Record) -> Option<String> {
        write::mark(entity, record).map(|mark| mark.value)
    }

    fn exclusive(&self, entity: EntityType, record: &Record) -> Vec<String> {
        let marks = write::marks(entity, record).into_iter();
        marks.map(|mark| mark.value).collect()
    }

    fn find(&self, entity: EntityType, record: &Record, meter: &Meter) -> Result<Vec<Record>> {
        self.find_like(entity, record, meter)
    }

    fn write(&self, entity: EntityType, change: &Change, meter: &Meter) -> Result<Written> {
        self.write_record(entity, change, meter)
    }

    fn finds_at_once(&self, _entity: EntityType) -> usize {
        self.finds_at_once()
    }

    fn find_many(&self, entity: EntityType, records: &[Record], meter: &Meter) -> Vec<Result<Vec<Record>>> {
        self.find_each(entity, records, meter)
    }

    fn writes_at_once(&self, _entity: EntityType, change: &Change) -> usize {
        self.writes_at_once(change)
    }

    fn write_many(&self, entity: EntityType, changes: &[Change], meter: &Meter) -> Vec<Result<Written>> {
        self.write_each(entity, changes, meter)
    }
}
