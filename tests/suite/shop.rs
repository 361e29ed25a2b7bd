//! A simulated shop that is connected: where tests of pulls and previews begin.

use std::collections::{BTreeMap, BTreeSet};

use postgres::{Client, Error};
use serde_json::{json, Value};
use sync_ext_tests::TestDb;
use sync_sandbox::{Config, Sandbox, Version};
use uuid::Uuid;

pub const ENTITIES: [&str; 4] = ["customers", "products", "orders", "categories"];
const NAME: &str = "woocommerce";

/// A shop of a size that is read in a few requests.
pub fn small(version: Version) -> Config {
    Config {
        version,
        customers: 120,
        products: 60,
        orders: 50,
        big_variations: 5,
        ..Config::default()
    }
}

/// What a record is compared by, and who it belongs to.
pub type Facts = BTreeMap<String, Vec<String>>;

/// A shop and the database that it is connected to.
pub struct Shop {
    pub sandbox: Sandbox,
    pub db: TestDb<'static>,
    pub org: Uuid,
    /// A user that may do everything in the organisation.
    pub sql: Client,
    /// The superuser, to look behind the curtain.
    pub root: Client,
    parents: BTreeMap<u64, u64>,
    /// Users that were customers.
    former: BTreeSet<u64>,
    version: Version,
}

impl Shop {
    pub fn new(version: Version) -> Shop {
        Shop::with(small(version), json!({}))
    }

    /// With settings of the connector; over https where the shop has it.
    pub fn with(config: Config, settings: Value) -> Shop {
        let version = config.version;
        let sandbox = Sandbox::start(config).unwrap();
        let db = TestDb::new();
        db.set("sync_ext.retry_backoff", "1ms");
        db.set("sync_ext.retry_backoff_max", "2ms");
        let org = db.org();
        let role = db.role("admin", org);
        let mut shop = Shop {
            sql: db.connect_as(&role, org),
            root: db.client(),
            sandbox,
            db,
            org,
            parents: BTreeMap::new(),
            former: BTreeSet::new(),
            version,
        };
        let url = shop.sandbox.https_url().unwrap_or_else(|| shop.sandbox.url());
        let mut all = json!({ "requests_per_second": 10_000 });
        if let Some(pem) = shop.sandbox.ca_pem() {
            all["ca_certificate"] = pem.into();
        }
        for (name, value) in settings.as_object().unwrap() {
            all[name] = value.clone();
        }
        shop.connect(&url, "rw", &all).unwrap();
        shop
    }

    /// Connects anew with the key of that name (`ck_NAME`, `cs_NAME`).
    pub fn connect(&mut self, url: &str, key: &str, settings: &Value) -> Result<(), Error> {
        let credentials =
            json!({ "consumer_key": format!("ck_{key}"), "consumer_secret": format!("cs_{key}") });
        self.sql
            .query_one(
                "SELECT sync_connect(kind => 'woocommerce', base_url => $1, credentials => $2, settings => $3)",
                &[&url, &credentials, settings],
            )
            .map(|_| ())
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

    #[track_caller]
    pub fn preview(&mut self, entity: &str) -> Value {
        self.ask("SELECT sync_preview($1, $2)", entity)
    }

    #[track_caller]
    pub fn fresh_preview(&mut self, entity: &str) -> Value {
        self.ask("SELECT sync_preview($1, $2, force_refresh => true)", entity)
    }

    /// One jsonb of a call with connector and entity type.
    #[track_caller]
    pub fn ask(&mut self, call: &str, entity: &str) -> Value {
        self.sql
            .query_one(call, &[&NAME, &entity])
            .unwrap_or_else(|error| panic!("{call} ({entity}): {error:?}"))
            .get(0)
    }

    /// The same, where it may fail.
    pub fn try_ask(&mut self, call: &str, entity: &str) -> Result<Value, Error> {
        Ok(self.sql.query_one(call, &[&NAME, &entity])?.get(0))
    }

    /// One number of a statement for the organisation.
    #[track_caller]
    pub fn number(&mut self, sql: &str) -> i64 {
        self.sql
            .query_one(sql, &[])
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
            .get(0)
    }

    /// Changes the shop behind its API; the ids that it touched.
    #[track_caller]
    pub fn change(&mut self, op: Value) -> Vec<u64> {
        self.try_change(&op)
            .unwrap_or_else(|error| panic!("{op}: {error}"))
    }

    pub fn try_change(&mut self, op: &Value) -> Result<Vec<u64>, String> {
        let done = self.sandbox.mutate_json(op).map_err(|error| error.to_string())?;
        let ids: Vec<u64> = serde_json::from_value(done["ids"].clone()).unwrap();
        if op["op"] == "create" && op["entity"] == "variations" {
            let parent = op["parent"].as_u64().unwrap();
            self.parents.extend(ids.iter().map(|id| (*id, parent)));
        }
        if op["op"] == "role" {
            self.former.extend(&ids);
        }
        Ok(ids)
    }

    /// The product of a variation. Old shops don't tell.
    pub fn parent(&self, variation: u64) -> u64 {
        let seeded = || 23 + 3 * (10 * ((variation - 50_000_000) / 1000) + 3);
        self.parents.get(&variation).copied().unwrap_or_else(seeded)
    }

    pub fn variations(&self, product: u64) -> Vec<u64> {
        let all = self.sandbox.truth("variations").unwrap().into_iter();
        all.filter(|id| self.parent(*id) == product).collect()
    }

    /// The ids that a listing of the shop shows.
    pub fn listed(&self, list: &str) -> Vec<u64> {
        let ids = self.sandbox.truth(list).unwrap().into_iter();
        ids.filter(|id| self.is_listed(list, *id)).collect()
    }

    fn is_listed(&self, list: &str, id: u64) -> bool {
        let Some(record) = self.sandbox.record(list, id).unwrap() else {
            return false;
        };
        match list {
            "customers" => record["role"] == "customer",
            "categories" => true,
            "variations" => record["status"] != "trash" && self.is_listed("products", self.parent(id)),
            _ => record["status"] != "trash",
        }
    }

    /// What the ledger has to hold of an entity type.
    pub fn truth(&self, entity: &str) -> Facts {
        let lists: &[&str] = match entity {
            "products" => &["products", "variations"],
            _ => &[entity],
        };
        let mut all = Facts::new();
        for list in lists {
            let mut ids = self.listed(list);
            if *list == "customers" {
                ids.extend(&self.former);
            }
            for id in ids {
                let Some(record) = self.sandbox.record(list, id).unwrap() else {
                    continue;
                };
                let parent = match *list {
                    "variations" => self.parent(id).to_string(),
                    _ => String::new(),
                };
                all.insert(id.to_string(), [vec![parent], theirs(list, &record)].concat());
            }
        }
        all
    }

    /// What the ledger holds of an entity type; each record once.
    #[track_caller]
    pub fn ledger(&mut self, entity: &str) -> Facts {
        let rows = self.root.query(
            "SELECT r.external_id, r.parent_id, r.remote FROM sync_record r JOIN sync_entity e ON e.number = r.entity
             WHERE r.org_id = $1 AND e.name = $2 AND r.remote_fingerprint IS NOT NULL",
            &[&self.org, &entity],
        );
        let mut all = Facts::new();
        for row in rows.unwrap() {
            let (id, parent): (String, Option<String>) = (row.get(0), row.get(1));
            let list = match (entity, &parent) {
                ("products", Some(_)) => "variations",
                _ => entity,
            };
            let facts = [vec![parent.unwrap_or_default()], ours(list, &row.get(2))].concat();
            assert!(
                all.insert(id.clone(), facts).is_none(),
                "{entity} {id} is there twice"
            );
        }
        all
    }

    /// The ledger holds what the shop lists, all of it once, and proves right.
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

    pub fn version(&self) -> Version {
        self.version
    }
}

#[track_caller]
pub fn assert_same(what: &str, truth: &Facts, ledger: &Facts) {
    let lost: Vec<_> = truth.keys().filter(|id| !ledger.contains_key(*id)).collect();
    let left: Vec<_> = ledger.keys().filter(|id| !truth.contains_key(*id)).collect();
    let other: Vec<_> = truth
        .iter()
        .filter_map(|(id, facts)| Some((id, facts, ledger.get(id).filter(|found| *found != facts)?)))
        .collect();
    assert!(
        lost.is_empty() && left.is_empty() && other.is_empty(),
        "{what}: missing {lost:?}, too many {left:?}, different (id, shop, ledger) {other:?}"
    );
}

/// What the shop says of a record.
fn theirs(list: &str, record: &Value) -> Vec<String> {
    let at = |path: &str| plain(record.pointer(path).unwrap_or(&Value::Null));
    match list {
        "customers" => ["/email", "/first_name", "/last_name", "/role", "/billing/city"]
            .map(at)
            .to_vec(),
        "products" => ["/name", "/sku", "/status", "/regular_price", "/stock_quantity"]
            .map(at)
            .to_vec(),
        "variations" => ["/status", "/regular_price", "/stock_quantity"].map(at).to_vec(),
        "orders" => {
            let facts = ["/number", "/status", "/total", "/customer_note"]
                .map(at)
                .to_vec();
            let parts = [
                parts(&record["line_items"], "quantity"),
                parts(&record["refunds"], "total"),
            ];
            [facts, parts.concat()].concat()
        }
        _ => ["/name", "/slug"].map(at).to_vec(),
    }
}

/// The same of the canonical record.
fn ours(list: &str, record: &Value) -> Vec<String> {
    let at = |name: &str| plain(&record[name]);
    match list {
        "customers" => ["email", "first_name", "last_name", "role", "billing_city"]
            .map(at)
            .to_vec(),
        "products" => ["name", "sku", "status", "regular_price", "stock_quantity"]
            .map(at)
            .to_vec(),
        "variations" => ["status", "regular_price", "stock_quantity"].map(at).to_vec(),
        "orders" => {
            let facts = ["number", "status", "total", "customer_note"].map(at).to_vec();
            let parts = [
                parts(&record["lines"], "quantity"),
                parts(&record["refunds"], "total"),
            ];
            [facts, parts.concat()].concat()
        }
        _ => ["name", "slug"].map(at).to_vec(),
    }
}

/// The parts of an order, by id.
fn parts(list: &Value, of: &str) -> Vec<String> {
    let parts = list.as_array().into_iter().flatten();
    let mut parts: Vec<String> = parts
        .map(|part| format!("{}: {}", plain(&part["id"]), plain(&part[of])))
        .collect();
    parts.sort();
    parts
}

fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.trim().replace("&amp;", "&"),
        other => other.to_string(),
    };
    match text.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => text,
    }
}
