//! Saved search patterns: what they find in the ledger.

use postgres::Client;
use serde_json::{json, Value};
use sync_ext_tests::TestDb;
use uuid::Uuid;

use crate::contract_app::App;

/// A ledger whose records a test writes down itself; nobody is asked for them.
pub struct Ledger {
    pub db: TestDb<'static>,
    pub org: Uuid,
    pub role: String,
    /// A role with the level `admin`.
    pub sql: Client,
    pub root: Client,
}

impl Ledger {
    pub fn new() -> Ledger {
        let db = TestDb::new();
        let org = db.org();
        let role = db.role("admin", org);
        let mut sql = db.connect_as(&role, org);
        sql.batch_execute(
            "SELECT sync_connect('woocommerce', 'https://shop.example.com', '{\"consumer_key\": \"ck_1\", \"consumer_secret\": \"cs_1\"}')",
        )
        .unwrap();
        Ledger {
            root: db.client(),
            db,
            org,
            role,
            sql,
        }
    }

    /// Writes a record as a pull does. `modified_at` and `parent_external_id` of the record count.
    pub fn put(&mut self, entity: &str, id: &str, record: Value) {
        self.root
            .execute(
                "SELECT sync_upsert_remote($1, c.number, e.number, ARRAY[$3::text], ARRAY[r ->> 'parent_external_id'],
                                           ARRAY[sync_match_key(e.name, r)], ARRAY[sync_fingerprint(e.name, r)],
                                           ARRAY[(r ->> 'modified_at')::timestamptz], ARRAY[r::text])
                 FROM integration_connector c, sync_entity e, (SELECT $4::jsonb AS r) r
                 WHERE c.org_id = $1 AND e.name = $2::text",
                &[&self.org, &entity, &id, &record],
            )
            .unwrap();
    }

    /// Saves a pattern as an app does.
    pub fn pattern(&mut self, filter: &Value) -> Uuid {
        self.sql
            .query_one(
                "INSERT INTO saved_search_patterns (name, direction, filter_config) VALUES ('a pattern', 'woocommerce_to_local', $1) RETURNING id",
                &[filter],
            )
            .unwrap_or_else(|error| panic!("{filter}: {error:?}"))
            .get(0)
    }

    pub fn preview(&mut self, filter: Value, entity: &str) -> Value {
        let id = self.pattern(&filter);
        self.sql
            .query_one(
                "SELECT sync_pattern_preview($1, 'woocommerce', $2)",
                &[&id, &entity],
            )
            .unwrap_or_else(|error| panic!("{filter}: {error:?}"))
            .get(0)
    }

    /// The external ids that a filter finds.
    pub fn found(&mut self, filter: Value, entity: &str) -> String {
        let preview = self.preview(filter, entity);
        let ids: Vec<&str> = preview["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record["externalId"].as_str().unwrap())
            .collect();
        assert_eq!(preview["count"], ids.len());
        ids.join(" ")
    }
}

/// Categories, and products of every kind.
pub fn products() -> Ledger {
    let mut ledger = Ledger::new();
    for (id, name, parent) in [
        ("1", "Home &amp; Garden", None),
        ("2", "Garden", Some("1")),
        ("3", "Toys", None),
        ("4", "Pots", Some("2")),
    ] {
        ledger.put(
            "categories",
            id,
            json!({ "name": name, "slug": format!("slug-{id}"), "parent_external_id": parent }),
        );
    }
    let all = [
        json!({ "name": "Mug", "sku": "MUG-1", "status": "publish", "is_active": true, "type": "simple", "price": "9.90", "stock_quantity": 5,
                "stock_status": "instock", "category_ids": ["3"], "modified_at": "2026-03-01T00:00:00Z", "description": "<p>For coff&eacute;e.</p>" }),
        json!({ "name": "Pot", "sku": "POT_1", "status": "draft", "is_active": false, "type": "variable", "price": 10, "stock_quantity": "-2",
                "stock_status": "outofstock", "category_ids": ["4"], "modified_at": "2026-04-01T00:00:00Z" }),
        json!({ "name": "Pot, blue", "sku": "POT_1-B", "status": "publish", "type": "variation", "price": "10.00",
                "stock_status": "instock", "parent_external_id": "12", "modified_at": "2026-05-01T00:00:00Z" }),
        json!({ "name": "Bench", "sku": "POTX1", "status": "publish", "type": "simple", "price": "on request",
                "category_ids": ["1"], "modified_at": "2026-06-01T00:00:00Z" }),
    ];
    for (n, record) in all.into_iter().enumerate() {
        ledger.put("products", &(11 + n).to_string(), record);
    }
    ledger
}

#[test]
fn filters_find_what_they_say() {
    let mut ledger = products();
    for (filter, expected) in [
        (json!({}), "11 12 13 14"),
        (json!({ "status": "Publish" }), "11 13 14"),
        (json!({ "status": ["draft", "private"] }), "12"),
        // what a shop calls published
        (json!({ "status": ["active"] }), "11"),
        (json!({ "status": ["active", "Draft"] }), "11 12"),
        (json!({ "status": "inactive" }), "12"),
        (
            json!({ "status": [], "sku": "", "text": " ", "type": null }),
            "11 12 13 14",
        ),
        (json!({ "type": "variation" }), "13"),
        (json!({ "priceMin": 9.90, "priceMax": "10" }), "11 12 13"),
        (json!({ "priceMin": 9.91 }), "12 13"),
        (json!({ "price": { "max": 9.9 } }), "11"),
        (json!({ "price": { "min": 10, "max": 10 } }), "12 13"),
        (json!({ "stockMin": 0 }), "11"),
        (json!({ "stock": { "max": 0 } }), "12"),
        (json!({ "stock": "instock" }), "11 13"),
        (json!({ "sku": "pot_1" }), "12"),
        (json!({ "sku": "POT_1*" }), "12 13"),
        (json!({ "sku": ["MUG-1", "POTX1"] }), "11 14"),
        (json!({ "ids": [11, "14", "99"] }), "11 14"),
        (json!({ "ids": [] }), ""),
        (json!({ "updatedAfter": "2026-04-01" }), "13 14"),
        (json!({ "updatedBefore": "2026-04-01T00:00:00+01:00" }), "11"),
        (json!({ "updatedAfter": "100 years" }), "11 12 13 14"),
        (json!({ "text": "COFFÉE" }), "11"),
        (json!({ "text": "blue pot" }), "13"),
        (json!({ "text": "%" }), ""),
        (json!({ "text": "potx" }), "14"),
        (json!({ "status": "publish", "text": "pot" }), "13 14"),
    ] {
        assert_eq!(ledger.found(filter.clone(), "products"), expected, "{filter}");
    }
}

#[test]
fn a_category_is_known_by_id_name_and_slug_and_holds_those_below_it() {
    let mut ledger = products();
    for (category, expected) in [
        (json!("3"), "11"),
        (json!(3), "11"),
        (json!("toys"), "11"),
        (json!("slug-3"), "11"),
        // two levels down, and a variation is where its product is
        (json!("Home & Garden"), "12 13 14"),
        (json!("home &amp; garden"), "12 13 14"),
        (json!("Pots"), "12 13"),
        (json!(["Toys", "2"]), "11 12 13"),
        (json!("nothing like it"), ""),
    ] {
        let filter = json!({ "category": category });
        assert_eq!(ledger.found(filter.clone(), "product"), expected, "{filter}");
    }
    assert_eq!(ledger.found(json!({ "category": "Garden" }), "categories"), "2 4");
    // a loop among categories ends
    ledger.put(
        "categories",
        "1",
        json!({ "name": "Home &amp; Garden", "parent_external_id": "4" }),
    );
    assert_eq!(
        ledger.found(json!({ "category": "Garden" }), "products"),
        "12 13 14"
    );
}

#[test]
fn documents_and_customers_have_filters_of_their_own() {
    let mut ledger = Ledger::new();
    ledger.put("orders", "1", json!({ "number": "1001", "status": "processing", "total": "20.00", "customer_email": "Ada@Example.com",
                                      "lines": [{ "id": "1", "sku": "MUG-1" }, { "id": "2", "sku": "POT" }] }));
    ledger.put("orders", "2", json!({ "number": "1002", "status": "completed", "total": 99.5, "customer_email": "eve@example.org", "lines": "none" }));
    ledger.put(
        "customers",
        "1",
        json!({ "email": "ada@example.com", "name": "Ada Lovelace", "is_active": true }),
    );
    ledger.put(
        "customers",
        "2",
        json!({ "email": "eve@example.org", "name": "Eve", "is_active": false }),
    );
    for (filter, entity, expected) in [
        (json!({ "price": { "min": 50 } }), "orders", "2"),
        (json!({ "sku": "mug-*" }), "orders", "1"),
        (json!({ "email": "*@example.com" }), "orders", "1"),
        (json!({ "text": "1002" }), "orders", "2"),
        (json!({ "email": "EVE@example.org" }), "customers", "2"),
        (json!({ "status": "active" }), "customers", "1"),
        (json!({ "status": "inactive" }), "customers", "2"),
        (json!({ "text": "love" }), "customers", "1"),
    ] {
        assert_eq!(ledger.found(filter.clone(), entity), expected, "{filter}");
    }
}

#[test]
fn the_preview_says_what_would_change() {
    let mut app = App::new(60);
    for entity in ["customers", "categories", "products"] {
        app.one(&format!("SELECT sync_pull('woocommerce', '{entity}')"));
    }
    app.sql
        .batch_execute(
            "INSERT INTO sync_products (sku, name, price) SELECT d.match_key, d.remote ->> 'name', 1
             FROM compute_delta('woocommerce', 'products') d WHERE d.change = 'new' AND d.match_key IS NOT NULL",
        )
        .unwrap();
    let expected =
        app.one("SELECT count(*) FROM sync_changes WHERE entity_type = 'products' AND change = 'new'");
    app.sql
        .batch_execute("INSERT INTO saved_search_patterns (name, filter_config) VALUES ('all', '{}'), ('new', '{\"change\": \"new\"}')")
        .unwrap();
    let preview = |name: &str| {
        format!("FROM saved_search_patterns s, sync_pattern_preview(s.id, 'woocommerce', 'product') p WHERE s.name = '{name}'")
    };
    let (all, new) = (preview("all"), preview("new"));
    assert_eq!(app.one(&format!("SELECT p -> 'count' {new}")), expected);
    assert_eq!(
        app.one(&format!("SELECT p -> 'byChange' -> 'new' {all}")),
        expected
    );
    assert_eq!(app.one(&format!("SELECT p ->> 'entityType' {all}")), "products");
    assert_eq!(
        app.one(&format!("SELECT jsonb_array_length(p -> 'records') {all}")),
        "20"
    );
    assert_eq!(
        app.one(&format!(
            "SELECT (p ->> 'lastPull')::timestamptz > now() - interval '1 hour' {all}"
        )),
        "t"
    );
    assert_eq!(
        app.one(&format!("SELECT (SELECT sum(v::int) FROM jsonb_each_text(p -> 'byChange') c (k, v)) = (p ->> 'count')::int {all}")),
        "t"
    );
    // what is gone there is found by who asks for it, and by nobody else
    let gone: u64 = app
        .one("SELECT min(external_id::int) FROM sync_record WHERE change = 'updated' AND parent_id IS NULL")
        .parse()
        .unwrap();
    app.shop
        .mutate_json(&json!({ "op": "delete", "entity": "products", "ids": [gone] }))
        .unwrap();
    let before = app.one(&format!("SELECT p -> 'count' {all}"));
    app.one("SELECT sync_pull('woocommerce', 'products')");
    assert_ne!(app.one(&format!("SELECT p -> 'count' {all}")), before);
    app.sql
        .batch_execute("INSERT INTO saved_search_patterns (name, filter_config) VALUES ('gone', '{\"change\": [\"deleted\"]}')")
        .unwrap();
    let found = app.one(&format!(
        "SELECT p -> 'records' -> 0 ->> 'externalId' {}",
        preview("gone")
    ));
    assert_eq!(found, gone.to_string());
}

#[test]
fn changes_are_found_by_their_index() {
    let mut ledger = Ledger::new();
    ledger
        .root
        .execute(
            "INSERT INTO sync_record (org_id, connector, entity, external_id, remote_fingerprint, local_id, local_fingerprint, remote)
             SELECT $1, c.number, 2, n::text, md5(n::text)::uuid, n::text, md5(CASE n % 1000 WHEN 0 THEN 'x' ELSE n::text END)::uuid,
                    jsonb_build_object('name', 'product ' || n)
             FROM integration_connector c, generate_series(1, 20000) n WHERE c.org_id = $1",
            &[&ledger.org],
        )
        .unwrap();
    ledger.db.psql("ANALYZE sync_record");
    let scans = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'sync_record_change'";
    let before = ledger.db.psql(scans);
    assert_eq!(
        ledger.preview(json!({ "change": "updated" }), "products")["count"],
        20
    );
    // counted when the session ends
    drop(ledger.sql);
    sync_ext_tests::wait_until(std::time::Duration::from_secs(30), || {
        ledger.db.psql(scans) != before
    });
}
