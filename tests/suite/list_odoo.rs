//! Sync lists between a shop, this database and Odoo: what is written to Odoo, once, and what comes back.

use postgres::Client;
use serde_json::{json, Value};
use sync_ext_tests::TestDb;
use sync_sandbox::odoo::{self, Erp, Version};
use sync_sandbox::{Config, Fault, Rule, Sandbox, When};

use crate::contract_app::text;
use crate::list_remote::counts;

pub const VERSIONS: [Version; 3] = [Version::V17, Version::V18, Version::V19];

/// A shop and an Odoo of one organisation.
pub struct Systems {
    pub shop: Sandbox,
    pub erp: Sandbox<Erp>,
    version: Version,
    pub sql: Client,
    _db: TestDb<'static>,
}

impl Systems {
    pub fn new(version: Version) -> Systems {
        Systems::with(version, json!({}))
    }

    /// With settings of the connector to Odoo.
    pub fn with(version: Version, settings: Value) -> Systems {
        let shop = Sandbox::start(Config {
            customers: 20,
            products: 20,
            orders: 0,
            ..Config::default()
        });
        let erp = Sandbox::start(odoo::Config {
            version,
            partners: 40,
            templates: 20,
            sales: 5,
            purchases: 5,
            transfers: 5,
            ..odoo::Config::default()
        });
        let db = TestDb::new();
        db.set("sync_ext.retry_backoff", "1ms");
        db.set("sync_ext.retry_backoff_max", "2ms");
        let org = db.org();
        let role = db.role("admin", org);
        let mut sql = db.connect_as(&role, org);
        let (shop, erp) = (shop.unwrap(), erp.unwrap());
        let mut connect = |kind: &str, name: &str, url: String, credentials: Value, settings: &Value| {
            let mut settings = settings.clone();
            settings["requests_per_second"] = json!(10_000);
            sql.query_one(
                "SELECT sync_connect($1, $2, $3, name => $4, settings => $5)",
                &[&kind, &url, &credentials, &name, &settings],
            )
            .unwrap();
        };
        let keys = json!({ "consumer_key": "ck_rw", "consumer_secret": "cs_rw" });
        connect("woocommerce", "shop", shop.url(), keys, &json!({}));
        let key = json!({ "database": "lab", "login": "apiuser", "api_key": "key_apiuser" });
        connect("odoo", "erp", erp.url(), key, &settings);
        Systems {
            shop,
            erp,
            version,
            sql,
            _db: db,
        }
    }

    #[track_caller]
    pub fn one(&mut self, query: &str) -> String {
        text(&mut self.sql, query)
    }

    pub fn list(&mut self, entity: &str, from: &str, to: &str, ids: &[u64]) {
        for id in ids {
            let insert = "INSERT INTO sync_list (item_type, source_platform, target_platform, source_id) VALUES ($1, $2, $3, $4)";
            self.sql
                .execute(insert, &[&entity, &from, &to, &id.to_string()])
                .unwrap();
        }
    }

    #[track_caller]
    pub fn delta(&mut self) -> Value {
        self.sql.query_one("SELECT sync_delta()", &[]).unwrap().get(0)
    }

    pub fn in_shop(&self, entity: &str, id: u64, set: Value) {
        let edit = json!({ "op": "edit", "entity": entity, "id": id, "set": set });
        self.shop.mutate_json(&edit).unwrap();
    }

    pub fn in_erp(&self, op: Value) {
        self.erp.mutate_json(&op).unwrap();
    }

    /// The shop's customers, the first of them known by these addresses.
    pub fn customers(&self, emails: &[&str]) -> Vec<u64> {
        let ids = self.shop.truth("customers").unwrap()[..emails.len()].to_vec();
        for (id, email) in ids.iter().zip(emails) {
            let set = json!({ "email": email, "first_name": "Ada", "last_name": "King", "role": "customer",
                              "billing.city": "London", "billing.country": "DE", "billing.state": "", "billing.phone": "1" });
            self.in_shop("customers", *id, set);
        }
        ids
    }

    /// A plain product of the shop with this SKU.
    pub fn product(&self, sku: &str) -> u64 {
        let set = json!({ "sku": sku, "name": "Mug", "type": "simple", "status": "publish", "regular_price": "9.90",
                          "sale_price": "", "description": "<p>Blue &amp; big</p>", "weight": "0.5" });
        let made = self
            .shop
            .mutate_json(&json!({ "op": "create", "entity": "products", "set": set }));
        made.unwrap()["ids"][0].as_u64().unwrap()
    }

    /// What Odoo holds with this value.
    pub fn there(&self, model: &str, field: &str, value: &str) -> Vec<Value> {
        let all = self.erp.truth(model).unwrap().into_iter();
        all.filter_map(|id| self.erp.record(model, id).unwrap())
            .filter(|record| record[field] == value)
            .collect()
    }

    /// Answers of a method of a model go wrong in this way.
    pub fn fault(&self, model: &str, method: &str, when: When, fault: Fault) -> u64 {
        let route = match self.version {
            Version::V17 | Version::V18 => "/jsonrpc",
            Version::V19 => "/json/2",
        };
        self.erp
            .fault(Rule::new(&format!("{route}/{model}/{method}"), when, fault))
    }

    /// How many calls of a method Odoo has got.
    pub fn calls(&self, method: &str) -> usize {
        let seen = self.erp.requests();
        seen.iter()
            .filter(|seen| seen.path.ends_with(&format!("/{method}")))
            .count()
    }
}

#[test]
fn a_shops_records_are_created_in_odoo_and_follow_the_shop() {
    for version in VERSIONS {
        let mut systems = Systems::new(version);
        let customers = systems.customers(&["ada_1@example.com", "ada_2@example.com"]);
        let product = systems.product("MUG-1");
        systems.list("customer", "shop", "erp", &customers);
        systems.list("product", "shop", "erp", &[product]);
        let reply = systems.delta();
        assert_eq!(counts(&reply), "completed 3 3 0 0 0", "{reply}");

        let partner = &systems.there("res.partner", "email", "ada_1@example.com")[0];
        assert_eq!(
            ["name", "city", "phone", "country_code", "type"].map(|field| partner[field].clone()),
            ["Ada King", "London", "1", "DE", "contact"]
        );
        let mug = &systems.there("product.product", "default_code", "MUG-1")[0];
        assert_eq!(
            ["name", "lst_price", "weight", "description_sale"].map(|field| mug[field].clone()),
            [json!("Mug"), json!(9.9), json!(0.5), json!("Blue & big")]
        );
        let known = "SELECT target_id FROM sync_list WHERE entity_type = 'products'";
        assert_eq!(systems.one(known), mug["id"].to_string());

        // nothing has changed: nothing is sent
        systems.erp.reset_stats();
        assert_eq!(counts(&systems.delta()), "completed 3 0 0 3 0");
        assert_eq!(systems.erp.requests().len(), 0);

        systems.in_shop(
            "customers",
            customers[0],
            json!({ "billing.city": "Bath", "billing.phone": "" }),
        );
        systems.in_shop("products", product, json!({ "regular_price": "12" }));
        let reply = systems.delta();
        assert_eq!(counts(&reply), "completed 3 0 2 1 0", "{reply}");
        assert_eq!((systems.calls("write"), systems.calls("create")), (2, 0));
        let partner = &systems.there("res.partner", "email", "ada_1@example.com")[0];
        assert_eq!(
            (&partner["city"], &partner["phone"]),
            (&json!("Bath"), &json!(false))
        );
        let mug = &systems.there("product.product", "default_code", "MUG-1")[0];
        assert_eq!(mug["lst_price"], 12.0);

        // the ledger of the target knows what was written
        for entity in ["customers", "products"] {
            systems.one(&format!("SELECT sync_pull('erp', '{entity}')"));
            let drift = systems.one(&format!("SELECT count(*) FROM sync_verify('erp', '{entity}')"));
            assert_eq!(drift, "0");
        }
    }
}

#[test]
fn what_changes_in_odoo_goes_back_to_the_shop_and_a_touch_is_no_change() {
    for version in VERSIONS {
        let mut systems = Systems::new(version);
        let made = systems
            .erp
            .mutate_json(&json!({ "op": "create", "entity": "res.partner", "set": {
                "name": "Eve Moneypenny", "email": "eve@example.com", "type": "contact", "city": "Bonn", "parent_id": false,
                "is_company": false, "active": true } }))
            .unwrap();
        let partner = made["ids"][0].as_u64().unwrap();
        systems.list("customer", "erp", "shop", &[partner]);
        let reply = systems.delta();
        assert_eq!(counts(&reply), "completed 1 1 0 0 0", "{reply}");
        let customer: u64 = systems.one("SELECT target_id FROM sync_list").parse().unwrap();
        let shown = |systems: &Systems| {
            let record = systems.shop.record("customers", customer).unwrap().unwrap();
            ["email", "first_name", "last_name"].map(|field| record[field].clone())
        };
        assert_eq!(shown(&systems), ["eve@example.com", "Eve", "Moneypenny"]);

        // the same written again bumps write_date: looked at, and left alone
        let fingerprint = systems.one("SELECT source_fingerprint FROM sync_list");
        systems.in_erp(json!({ "op": "edit", "entity": "res.partner", "id": partner, "set": { "city": "Bonn" }, "at": "2027-01-01 00:00:00" }));
        systems.shop.reset_stats();
        assert_eq!(counts(&systems.delta()), "completed 1 0 0 1 0");
        let written = |systems: &Systems| {
            let seen = systems.shop.requests();
            seen.iter().filter(|seen| seen.method != "GET").count()
        };
        assert_eq!(written(&systems), 0);
        let noted = "SELECT concat_ws(' ', source_fingerprint, source_modified_at = '2027-01-01 00:00:00Z') FROM sync_list";
        assert_eq!(systems.one(noted), format!("{fingerprint} t"));

        systems.in_erp(
            json!({ "op": "edit", "entity": "res.partner", "id": partner, "set": { "name": "Eve Bond" } }),
        );
        assert_eq!(counts(&systems.delta()), "completed 1 0 1 0 0");
        assert_eq!(shown(&systems), ["eve@example.com", "Eve", "Bond"]);
        // and there again: both are one, by the e-mail address
        systems.list("customer", "shop", "erp", &[customer]);
        let reply = systems.delta();
        assert_eq!(reply["itemsCreated"], 0, "{reply}");
        assert_eq!(systems.there("res.partner", "email", "eve@example.com").len(), 1);
        let linked = format!("SELECT target_id FROM sync_list WHERE source_id = '{customer}'");
        assert_eq!(systems.one(&linked), partner.to_string());
    }
}

#[test]
fn what_is_there_already_is_found_and_what_may_be_several_is_not_guessed() {
    let mut systems = Systems::new(Version::V19);
    let ids = systems.customers(&["Once@Example.com", "twice@example.com"]);
    for email in ["once@example.com ", "twice@example.com", "TWICE@example.com"] {
        systems.in_erp(
            json!({ "op": "create", "entity": "res.partner", "set": { "name": "N", "email": email } }),
        );
    }
    let barcode = systems.product("");
    systems.in_shop(
        "products",
        barcode,
        json!({ "global_unique_id": "4006381333931" }),
    );
    let theirs = systems.erp.truth("product.product").unwrap()[0];
    systems.in_erp(json!({ "op": "edit", "entity": "product.product", "id": theirs, "set": { "barcode": "4006381333931" } }));
    systems.list("customer", "shop", "erp", &ids);
    systems.list("product", "shop", "erp", &[barcode]);
    let reply = systems.delta();
    assert_eq!(counts(&reply), "partial_success 3 0 2 0 1", "{reply}");
    let told = reply["errors"][0]["error"].as_str().unwrap();
    assert!(
        told.starts_with("\"erp\" has several customers that this one may be"),
        "{told}"
    );
    assert_eq!(
        systems.there("product.product", "barcode", "4006381333931")[0]["name"],
        "Mug"
    );
}

#[test]
fn local_rows_and_categories_are_written_to_odoo() {
    for version in VERSIONS {
        let mut systems = Systems::new(version);
        systems
            .sql
            .batch_execute(
                "INSERT INTO sync_customers (name, email, is_company, billing_country) VALUES ('Without', NULL, true, 'de'), ('Lost', 'x@example.com', NULL, 'Atlantis');
                 INSERT INTO sync_categories (name, slug) VALUES ('Cups & Mugs', 'cups');
                 INSERT INTO sync_list (item_type, source_platform, target_platform, source_id)
                 SELECT 'customer', 'local', 'erp', id::text FROM sync_customers UNION ALL
                 SELECT 'category', 'local', 'erp', id::text FROM sync_categories",
            )
            .unwrap();
        systems.in_erp(
            json!({ "op": "create", "entity": "product.category", "set": { "name": "cups & mugs" } }),
        );
        let reply = systems.delta();
        assert_eq!(counts(&reply), "partial_success 3 1 1 0 1", "{reply}");
        assert_eq!(
            systems.one("SELECT error_message FROM sync_list WHERE last_sync_status = 'failed'"),
            "Odoo has no country \"Atlantis\" (Give its code of two letters, or its name as Odoo spells it.)"
        );
        let made = &systems.there("res.partner", "name", "Without")[0];
        assert_eq!(
            (&made["is_company"], &made["country_code"]),
            (&json!(true), &json!("DE"))
        );
        assert_eq!(systems.there("product.category", "name", "Cups & Mugs").len(), 1);
        // linked without a match key: no pull takes it for a new one
        systems.one("SELECT sync_pull('erp', 'customers')");
        let linked = format!(
            "SELECT change IS NULL OR change = 'updated' FROM sync_record WHERE entity = 1 AND external_id = '{}' AND local_id IS NOT NULL",
            made["id"]
        );
        assert_eq!(systems.one(&linked), "t");
    }
}
