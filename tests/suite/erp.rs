//! A simulated Odoo that is connected: where tests of its pulls and previews begin.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};

use postgres::Error;
use serde_json::{json, Value};
use sync_sandbox::odoo::{Config, Erp as Server, Version};
use sync_sandbox::{Rule, Sandbox};

use crate::connected::{self, assert_same, Connected, Facts};
use crate::erp_facts::ours;

pub const VERSIONS: [Version; 3] = [Version::V17, Version::V18, Version::V19];
pub const ENTITIES: [&str; 8] = [
    "categories",
    "customers",
    "orders",
    "products",
    "purchases",
    "sales",
    "transfers",
    "warehouses",
];
const NAME: &str = "odoo";

/// A database of a size that is read in a few requests.
pub fn small(version: Version) -> Config {
    Config {
        version,
        partners: 90,
        templates: 60,
        categories: 14,
        sales: 50,
        purchases: 24,
        transfers: 12,
        ..Config::default()
    }
}

/// Settings that make it read pages of 20, and after the first time only what changed.
pub fn by_date() -> Value {
    json!({ "compare_limit": 0, "page_size": 20 })
}

/// The model behind an entity type.
pub fn model(entity: &str) -> &'static str {
    match entity {
        "customers" => "res.partner",
        "products" => "product.product",
        "categories" => "product.category",
        "warehouses" => "stock.warehouse",
        "purchases" => "purchase.order",
        "transfers" => "stock.picking",
        _ => "sale.order",
    }
}

/// An Odoo and the database that it is connected to.
pub struct Erp {
    pub sandbox: Sandbox<Server>,
    connected: Connected,
    version: Version,
}

impl Deref for Erp {
    type Target = Connected;

    fn deref(&self) -> &Connected {
        &self.connected
    }
}

impl DerefMut for Erp {
    fn deref_mut(&mut self) -> &mut Connected {
        &mut self.connected
    }
}

impl Erp {
    pub fn new(version: Version) -> Erp {
        Erp::with(small(version), by_date())
    }

    /// With settings of the connector.
    pub fn with(config: Config, settings: Value) -> Erp {
        let version = config.version;
        let mut erp = Erp {
            sandbox: Sandbox::start(config).unwrap(),
            connected: Connected::new(NAME),
            version,
        };
        let credentials = json!({ "database": "lab", "login": "apiuser", "api_key": "key_apiuser" });
        erp.connect(&credentials, &settings).unwrap();
        erp
    }

    /// Connects anew.
    pub fn connect(&mut self, credentials: &Value, settings: &Value) -> Result<(), Error> {
        let url = self.sandbox.url();
        self.sql
            .query_one(
                "SELECT sync_connect(kind => 'odoo', base_url => $1, credentials => $2, settings => $3)",
                &[&url, credentials, &connected::settings(settings)],
            )
            .map(|_| ())
    }

    /// Where calls of a model's method go.
    pub fn route(&self, model: &str, method: &str) -> String {
        let api = match self.version {
            Version::V17 | Version::V18 => "/jsonrpc",
            Version::V19 => "/json/2",
        };
        format!("{api}/{model}/{method}")
    }

    /// Breaks the reading of an entity type's pages.
    pub fn fault(&self, entity: &str, when: sync_sandbox::When, fault: sync_sandbox::Fault) {
        let path = self.route(model(entity), "search_read");
        self.sandbox.fault(Rule::new(&path, when, fault));
    }

    /// Changes Odoo behind its API; the ids that it touched.
    #[track_caller]
    pub fn change(&self, op: Value) -> Vec<u64> {
        let done = self.sandbox.mutate_json(&op);
        let done = done.unwrap_or_else(|error| panic!("{op}: {error}"));
        serde_json::from_value(done["ids"].clone()).unwrap()
    }

    /// Changes the connector's user.
    pub fn user(&self, changes: Value) {
        let mut options = json!({ "user": "apiuser" });
        for (name, value) in changes.as_object().unwrap() {
            options[name] = value.clone();
        }
        self.sandbox.configure(&options).unwrap();
    }

    pub fn ids(&self, model: &str) -> Vec<u64> {
        self.sandbox.truth(model).unwrap()
    }

    #[track_caller]
    pub fn record(&self, model: &str, id: u64) -> Value {
        let record = self.sandbox.record(model, id).unwrap();
        record.unwrap_or_else(|| panic!("{model} {id} is gone"))
    }

    /// The ids of records that pass a test.
    pub fn those(&self, model: &str, test: impl Fn(&Value) -> bool) -> Vec<u64> {
        let ids = self.ids(model).into_iter();
        ids.filter(|id| test(&self.record(model, *id))).collect()
    }

    /// The first record that passes a test.
    #[track_caller]
    pub fn some(&self, model: &str, test: impl Fn(&Value) -> bool) -> u64 {
        let mut ids = self.ids(model).into_iter();
        ids.find(|id| test(&self.record(model, *id)))
            .unwrap_or_else(|| panic!("no such record of {model}"))
    }

    /// The ids of records that no document names: the only ones that can be deleted.
    pub fn unused(&self, model: &str) -> Vec<u64> {
        let users: &[(&str, &str)] = match model {
            "product.product" => &[
                ("sale.order.line", "product_id"),
                ("purchase.order.line", "product_id"),
                ("stock.move", "product_id"),
            ],
            "res.partner" => &[("sale.order", "partner_id"), ("purchase.order", "partner_id")],
            _ => &[],
        };
        let mut used = BTreeSet::new();
        for (user, field) in users {
            let ids = self.ids(user).into_iter();
            used.extend(ids.filter_map(|id| self.record(user, id)[*field][0].as_u64()));
        }
        let ids = self.ids(model).into_iter();
        ids.filter(|id| !used.contains(id)).collect()
    }

    /// What the ledger has to hold of an entity type.
    pub fn truth(&self, entity: &str) -> Facts {
        let ids = self.ids(model(entity)).into_iter();
        ids.map(|id| {
            (
                id.to_string(),
                self.theirs(entity, &self.record(model(entity), id)),
            )
        })
        .collect()
    }

    /// What the ledger holds of an entity type; each record once.
    #[track_caller]
    pub fn ledger(&mut self, entity: &str) -> Facts {
        self.held(entity, |_, record| ours(entity, record))
    }

    /// The ledger holds what Odoo has, all of it once, and proves right.
    #[track_caller]
    pub fn assert_mirrored(&mut self, entity: &str) {
        assert_same(entity, &self.truth(entity), &self.ledger(entity));
        self.assert_verified(entity);
    }
}
