//! A simulated Odoo that is connected: where tests of its pulls and previews begin.

use std::collections::{BTreeMap, BTreeSet};

use postgres::{Client, Error};
use serde_json::{json, Value};
use sync_ext_tests::TestDb;
use sync_sandbox::odoo::{Config, Erp as Server, Version};
use sync_sandbox::{Rule, Sandbox};
use uuid::Uuid;

use crate::erp_facts::ours;
use crate::shop::{assert_same, Facts};

pub const BOTH: [Version; 2] = [Version::V17, Version::V19];
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
    pub db: TestDb<'static>,
    pub org: Uuid,
    /// A user that may do everything in the organisation.
    pub sql: Client,
    /// The superuser, to look behind the curtain.
    pub root: Client,
    version: Version,
}

impl Erp {
    pub fn new(version: Version) -> Erp {
        Erp::with(small(version), by_date())
    }

    /// With settings of the connector.
    pub fn with(config: Config, settings: Value) -> Erp {
        let version = config.version;
        let db = TestDb::new();
        db.set("sync_ext.retry_backoff", "1ms");
        db.set("sync_ext.retry_backoff_max", "2ms");
        let org = db.org();
        let role = db.role("admin", org);
        let mut erp = Erp {
            sandbox: Sandbox::start(config).unwrap(),
            sql: db.connect_as(&role, org),
            root: db.client(),
            db,
            org,
            version,
        };
        let credentials = json!({ "database": "lab", "login": "apiuser", "api_key": "key_apiuser" });
        erp.connect(&credentials, &settings).unwrap();
        erp
    }

    /// Connects anew.
    pub fn connect(&mut self, credentials: &Value, settings: &Value) -> Result<(), Error> {
        let mut all = json!({ "requests_per_second": 10_000 });
        for (name, value) in settings.as_object().unwrap() {
            all[name] = value.clone();
        }
        self.sql
            .query_one(
                "SELECT sync_connect(kind => 'odoo', base_url => $1, credentials => $2, settings => $3)",
                &[&self.sandbox.url(), credentials, &all],
            )
            .map(|_| ())
    }

    /// Where calls of a model's method go.
    pub fn route(&self, model: &str, method: &str) -> String {
        let api = match self.version {
            Version::V17 => "/jsonrpc",
            Version::V19 => "/json/2",
        };
        format!("{api}/{model}/{method}")
    }

    /// Breaks the reading of an entity type's pages.
    pub fn fault(&self, entity: &str, when: sync_sandbox::When, fault: sync_sandbox::Fault) {
        let path = self.route(model(entity), "search_read");
        self.sandbox.fault(Rule::new(&path, when, fault));
    }

    pub fn try_pull(&mut self, entity: &str) -> Result<Value, Error> {
        let row = self
            .sql
            .query_one("SELECT sync_pull($1, $2)", &[&NAME, &entity])?;
        Ok(row.get(0))
    }

    #[track_caller]
    pub fn pull(&mut self, entity: &str) -> Value {
        self.try_pull(entity)
            .unwrap_or_else(|error| panic!("pull of {entity}: {error:?}"))
    }

    #[track_caller]
    pub fn pull_full(&mut self, entity: &str) -> Value {
        self.ask("SELECT sync_pull($1, $2, mode => 'full')", entity)
    }

    /// One jsonb of a call with connector and entity type.
    #[track_caller]
    pub fn ask(&mut self, call: &str, entity: &str) -> Value {
        self.sql
            .query_one(call, &[&NAME, &entity])
            .unwrap_or_else(|error| panic!("{call} ({entity}): {error:?}"))
            .get(0)
    }

    /// One number, as the superuser sees it.
    #[track_caller]
    pub fn number(&mut self, sql: &str) -> i64 {
        self.root
            .query_one(sql, &[])
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
            .get(0)
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
        let rows = self.root.query(
            "SELECT r.external_id, r.remote FROM sync_record r JOIN sync_entity e ON e.number = r.entity
             WHERE r.org_id = $1 AND e.name = $2 AND r.remote_fingerprint IS NOT NULL",
            &[&self.org, &entity],
        );
        let mut all = Facts::new();
        for row in rows.unwrap() {
            let id: String = row.get(0);
            let again = all.insert(id.clone(), ours(entity, &row.get(1)));
            assert!(again.is_none(), "{entity} {id} is there twice");
        }
        all
    }

    /// The ledger holds what Odoo has, all of it once, and proves right.
    #[track_caller]
    pub fn assert_mirrored(&mut self, entity: &str) {
        let (truth, ledger) = (self.truth(entity), self.ledger(entity));
        assert_same(entity, &truth, &ledger);
        let problems = self
            .sql
            .query(
                "SELECT problem, external_id FROM sync_verify($1, $2)",
                &[&NAME, &entity],
            )
            .unwrap();
        let problems: Vec<(String, Option<String>)> =
            problems.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert!(problems.is_empty(), "{entity}: {problems:?}");
    }

    /// Fills the local table with what is new; the external ids that are linked then.
    #[track_caller]
    pub fn fill(&mut self, entity: &str) -> BTreeSet<String> {
        let table = format!("sync_{entity}");
        let columns: String = self
            .root
            .query_one(
                "SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) FROM pg_attribute
                 WHERE attrelid = $1::text::regclass AND attnum > 0 AND attname NOT IN ('org_id', 'id', 'updated_at')",
                &[&table],
            )
            .unwrap()
            .get(0);
        let fill = format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM (
                SELECT r.* FROM compute_delta($1, $2) d CROSS JOIN jsonb_populate_record(NULL::{table}, d.remote) r
                WHERE d.change = 'new') filled"
        );
        self.sql.execute(&fill, &[&NAME, &entity]).unwrap();
        let linked = self.root.query(
            "SELECT r.external_id FROM sync_record r JOIN sync_entity e ON e.number = r.entity
             WHERE r.org_id = $1 AND e.name = $2 AND r.external_id IS NOT NULL AND r.local_id IS NOT NULL",
            &[&self.org, &entity],
        );
        linked.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// The delta as rows, by external id.
    #[track_caller]
    pub fn delta(&mut self, entity: &str) -> BTreeMap<String, String> {
        let rows = self.sql.query(
            "SELECT external_id, change FROM compute_delta($1, $2)",
            &[&NAME, &entity],
        );
        rows.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Where every row of the ledger lies: a row that was written has moved.
    #[track_caller]
    pub fn places(&mut self) -> Vec<(String, String)> {
        let rows = self.root.query(
            "SELECT ctid::text, xmin::text FROM sync_record WHERE org_id = $1 ORDER BY id",
            &[&self.org],
        );
        rows.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}
