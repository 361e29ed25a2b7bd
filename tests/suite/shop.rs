//! A simulated shop that is connected: where tests of pulls and previews begin.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use postgres::Error;
use serde_json::{json, Value};
use sync_sandbox::{Config, Fault, ListFault, Rule, Sandbox, Version, When};

use crate::connected::{self, assert_same, Connected, Facts};

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

/// A shop and the database that it is connected to.
pub struct Shop {
    pub sandbox: Sandbox,
    connected: Connected,
    parents: BTreeMap<u64, u64>,
    /// Users that were customers.
    former: BTreeSet<u64>,
    version: Version,
}

impl Deref for Shop {
    type Target = Connected;

    fn deref(&self) -> &Connected {
        &self.connected
    }
}

impl DerefMut for Shop {
    fn deref_mut(&mut self) -> &mut Connected {
        &mut self.connected
    }
}

impl Shop {
    pub fn new(version: Version) -> Shop {
        Shop::with(small(version), json!({}))
    }

    /// With settings of the connector; over https where the shop has it.
    pub fn with(config: Config, settings: Value) -> Shop {
        let version = config.version;
        let mut shop = Shop {
            sandbox: Sandbox::start(config).unwrap(),
            connected: Connected::new(NAME),
            parents: BTreeMap::new(),
            former: BTreeSet::new(),
            version,
        };
        let url = shop.sandbox.https_url().unwrap_or_else(|| shop.sandbox.url());
        let mut all = connected::settings(&settings);
        if let (Some(pem), None) = (shop.sandbox.ca_pem(), all.get("ca_certificate")) {
            all["ca_certificate"] = pem.into();
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
                "SELECT sync_connect('woocommerce', $1, $2, settings => $3, same_system => true)",
                &[&url, &credentials, settings],
            )
            .map(|_| ())
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

    /// What a plugin, a host or a cache does from now on to all lists of an entity.
    pub fn lie(&mut self, entity: &str, fault: ListFault) -> u64 {
        let route = match entity {
            "categories" => "products/categories",
            other => other,
        };
        let path = format!("/wp-json/wc/v3/{route}");
        self.sandbox
            .fault(Rule::new(&path, When::All, Fault::List(fault)))
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
        self.held(entity, |parent, record| {
            let list = match (entity, parent) {
                ("products", Some(_)) => "variations",
                _ => entity,
            };
            [vec![parent.unwrap_or_default().to_owned()], ours(list, record)].concat()
        })
    }

    /// The ledger holds what the shop lists, all of it once, and proves right.
    #[track_caller]
    pub fn assert_mirrored(&mut self, entity: &str) {
        assert_same(entity, &self.truth(entity), &self.ledger(entity));
        self.assert_verified(entity);
    }

    pub fn version(&self) -> Version {
        self.version
    }
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
