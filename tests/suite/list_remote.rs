//! Sync lists whose target is another shop: what is written there, and written once.

use postgres::Client;
use serde_json::{json, Value};
use sync_ext_tests::{sqlstate, TestDb};
use sync_sandbox::{Config, Sandbox};
use uuid::Uuid;

use crate::contract_app::text;

/// Two shops of one organisation: `main`, and `outlet` without anything in it.
pub struct Shops {
    pub main: Sandbox,
    pub outlet: Sandbox,
    pub db: TestDb<'static>,
    pub org: Uuid,
    pub role: String,
    pub sql: Client,
}

impl Shops {
    pub fn new() -> Shops {
        let sized = |customers, products, seed| Config {
            customers,
            products,
            orders: 20,
            seed,
            ..Config::default()
        };
        let db = TestDb::new();
        db.set("sync_ext.retry_backoff", "1ms");
        db.set("sync_ext.retry_backoff_max", "2ms");
        let org = db.org();
        let role = db.role("admin", org);
        let mut shops = Shops {
            main: Sandbox::start(sized(40, 40, 1)).unwrap(),
            outlet: Sandbox::start(sized(0, 0, 2)).unwrap(),
            sql: db.connect_as(&role, org),
            db,
            org,
            role,
        };
        for (name, url) in [("main", shops.main.url()), ("outlet", shops.outlet.url())] {
            shops.connect(name, &url, "rw");
        }
        shops
    }

    pub fn connect(&mut self, name: &str, url: &str, key: &str) {
        let connect = format!(
            "SELECT sync_connect('woocommerce', '{url}', '{{\"consumer_key\": \"ck_{key}\", \"consumer_secret\": \"cs_{key}\"}}',
                                 name => '{name}', settings => '{{\"requests_per_second\": 10000}}')"
        );
        self.sql.batch_execute(&connect).unwrap();
    }

    #[track_caller]
    pub fn one(&mut self, query: &str) -> String {
        text(&mut self.sql, query)
    }

    /// Puts records of the main shop into the list, to go to the outlet.
    pub fn list(&mut self, entity: &str, ids: &[u64]) {
        for id in ids {
            self.sql
                .execute(
                    "INSERT INTO sync_list (item_type, source_platform, target_platform, source_id) VALUES ($1, 'main', 'outlet', $2)",
                    &[&entity, &id.to_string()],
                )
                .unwrap();
        }
    }

    #[track_caller]
    pub fn delta(&mut self) -> Value {
        self.sql.query_one("SELECT sync_delta()", &[]).unwrap().get(0)
    }

    #[track_caller]
    pub fn full(&mut self) -> Value {
        self.sql.query_one("SELECT sync_full()", &[]).unwrap().get(0)
    }

    /// How many requests with this method the outlet has got.
    pub fn sent(&self, method: &str) -> usize {
        let seen = self.outlet.requests();
        seen.iter().filter(|seen| seen.method == method).count()
    }

    /// Products of the main shop that have a SKU and no variations.
    pub fn products(&self, count: usize) -> Vec<u64> {
        let all = self.main.truth("products").unwrap().into_iter();
        let fits = |id: &u64| {
            let record = self.main.record("products", *id).unwrap().unwrap();
            record["sku"].as_str().is_some_and(|sku| !sku.is_empty())
                && record["type"] == "simple"
                && record["status"] == "publish"
        };
        all.filter(fits).take(count).collect()
    }

    pub fn edit(&self, entity: &str, id: u64, set: Value) {
        self.main
            .mutate_json(&json!({ "op": "edit", "entity": entity, "id": id, "set": set }))
            .unwrap();
    }

    /// What the outlet holds, by SKU or e-mail.
    pub fn there(&self, entity: &str, key: &str) -> Vec<Value> {
        let all = self.outlet.truth(entity).unwrap().into_iter();
        let records = all.filter_map(|id| self.outlet.record(entity, id).unwrap());
        records
            .filter(|record| record["sku"] == key || record["email"] == key)
            .collect()
    }
}

pub fn counts(reply: &Value) -> String {
    [
        "status",
        "itemsProcessed",
        "itemsCreated",
        "itemsUpdated",
        "itemsUnchanged",
        "itemsFailed",
    ]
    .map(|name| reply[name].to_string().replace('"', ""))
    .join(" ")
}

#[test]
fn what_is_new_is_created_and_what_changes_is_changed_there() {
    let mut shops = Shops::new();
    let ids = shops.products(3);
    shops.list("product", &ids);
    let reply = shops.delta();
    assert_eq!(counts(&reply), "completed 3 3 0 0 0", "{reply}");
    assert_eq!(reply["errors"], json!([]));
    for id in &ids {
        let ours = shops.main.record("products", *id).unwrap().unwrap();
        let theirs = shops.there("products", ours["sku"].as_str().unwrap());
        assert_eq!(theirs.len(), 1, "{ours}");
        for field in ["name", "regular_price", "status", "stock_quantity", "weight"] {
            assert_eq!(theirs[0][field], ours[field], "{field}");
        }
        let known =
            format!("SELECT target_id || ' ' || last_outcome FROM sync_list WHERE source_id = '{id}'");
        assert_eq!(shops.one(&known), format!("{} created", theirs[0]["id"]));
    }
    // nothing has changed: nothing is sent
    shops.outlet.reset_stats();
    assert_eq!(counts(&shops.delta()), "completed 3 0 0 3 0");
    assert_eq!(shops.sent("POST") + shops.sent("PUT"), 0);

    shops.edit(
        "products",
        ids[0],
        json!({ "name": "Another name", "regular_price": "77" }),
    );
    shops.outlet.reset_stats();
    assert_eq!(counts(&shops.delta()), "completed 3 0 1 2 0");
    assert_eq!((shops.sent("POST"), shops.sent("PUT")), (0, 1));
    let sku = shops.main.record("products", ids[0]).unwrap().unwrap()["sku"].clone();
    let theirs = &shops.there("products", sku.as_str().unwrap())[0];
    assert_eq!(
        (&theirs["name"], &theirs["regular_price"]),
        (&json!("Another name"), &json!("77"))
    );
    // the ledger of the target knows what was written: a pull has nothing to add
    let pulled = shops.one("SELECT concat_ws(' ', p -> 'records', p -> 'inserted', p -> 'updated') FROM sync_pull('outlet', 'products') p");
    assert_eq!(pulled, "3 0 0");
    assert_eq!(
        shops.one("SELECT count(*) FROM sync_verify('outlet', 'products')"),
        "0"
    );

    shops.outlet.reset_stats();
    assert_eq!(counts(&shops.full()), "completed 3 0 3 0 0");
    assert_eq!((shops.sent("POST"), shops.sent("PUT")), (0, 3));
}

#[test]
fn what_is_there_already_is_taken_for_the_same() {
    let mut shops = Shops::new();
    let email = "somebody@example.com";
    let customer = shops.main.truth("customers").unwrap()[3];
    shops.edit(
        "customers",
        customer,
        json!({ "email": email, "first_name": "Ada", "billing.city": "London" }),
    );
    shops
        .outlet
        .mutate_json(&json!({ "op": "create", "entity": "customers", "set": { "email": email, "first_name": "A.", "role": "customer" } }))
        .unwrap();
    shops.list("customers", &[customer]);
    assert_eq!(counts(&shops.delta()), "completed 1 0 1 0 0");
    let theirs = shops.there("customers", email);
    assert_eq!(theirs.len(), 1);
    assert_eq!(
        (&theirs[0]["first_name"], &theirs[0]["billing"]["city"]),
        (&json!("Ada"), &json!("London"))
    );
    let id = theirs[0]["id"].to_string();
    assert_eq!(shops.one("SELECT target_id FROM sync_list"), id);
}

#[test]
fn an_order_gets_its_status_and_no_order_is_created() {
    let mut shops = Shops::new();
    let order = shops.outlet.truth("orders").unwrap()[0];
    let ours = shops.main.truth("orders").unwrap()[0];
    shops.edit("orders", ours, json!({ "status": "completed" }));
    shops
        .outlet
        .mutate_json(
            &json!({ "op": "edit", "entity": "orders", "id": order, "set": { "status": "processing" } }),
        )
        .unwrap();
    shops.list("orders", &[ours]);
    let reply = shops.delta();
    assert_eq!(counts(&reply), "failed 1 0 0 0 1");
    assert_eq!(reply["errors"][0]["error"], "orders are not created in a shop");
    shops
        .sql
        .execute("UPDATE sync_list SET target_id = $1", &[&order.to_string()])
        .unwrap();
    assert_eq!(counts(&shops.delta()), "completed 1 0 1 0 0");
    assert_eq!(
        shops.outlet.record("orders", order).unwrap().unwrap()["status"],
        "completed"
    );
}

#[test]
fn items_are_carried_out_by_priority_and_only_those_that_are_meant() {
    let mut shops = Shops::new();
    let ids = shops.products(3);
    shops.list("products", &ids);
    let customer = shops.main.truth("customers").unwrap()[0];
    shops.list("customers", &[customer]);
    shops
        .sql
        .batch_execute(&format!(
            "UPDATE sync_list SET priority = 5 WHERE source_id = '{}'; UPDATE sync_list SET is_active = false WHERE source_id = '{}'",
            ids[2], ids[1]
        ))
        .unwrap();
    let only: Value = shops
        .sql
        .query_one("SELECT sync_delta(item_type => 'product')", &[])
        .unwrap()
        .get(0);
    assert_eq!(counts(&only), "completed 2 2 0 0 0");
    let named =
        "SELECT sync_delta(array_agg(id)) FROM sync_list WHERE item_type = 'customers' OR NOT is_active";
    let named: Value = shops.sql.query_one(named, &[]).unwrap().get(0);
    assert_eq!(counts(&named), "completed 2 1 0 0 0");
    assert_eq!(
        (&named["itemsSkipped"], &named["errors"]),
        (&json!(1), &json!([]))
    );
    // an id that is no item's is told of, and stops nobody
    let some = "SELECT sync_delta(ARRAY['00000000-0000-4000-8000-000000000000', id]) FROM sync_list WHERE item_type = 'customers'";
    let some: Value = shops.sql.query_one(some, &[]).unwrap().get(0);
    assert_eq!(counts(&some), "partial_success 2 0 0 1 1");
    let nobody = "00000000-0000-4000-8000-000000000000";
    let told = json!([{ "itemId": nobody, "error": format!("the sync list has no item \"{nobody}\"") }]);
    assert_eq!(some["errors"], told);
    assert_eq!(
        sqlstate(
            shops
                .sql
                .query_one("SELECT sync_delta(item_type => 'gadgets')", &[])
        ),
        "22023"
    );
    let none: Value = shops
        .sql
        .query_one("SELECT sync_delta('{}'::uuid[])", &[])
        .unwrap()
        .get(0);
    assert_eq!(counts(&none), "completed 0 0 0 0 0");
}

#[test]
fn an_item_waits_until_its_record_meets_its_filter() {
    let mut shops = Shops::new();
    let ids = shops.products(2);
    shops.list("products", &ids);
    shops
        .sql
        .batch_execute("UPDATE sync_list SET filter_config = '{\"price\": {\"min\": 1000}}'")
        .unwrap();
    shops.edit(
        "products",
        ids[0],
        json!({ "regular_price": "1500", "sale_price": "" }),
    );
    let reply = shops.delta();
    assert_eq!(
        (&reply["itemsCreated"], &reply["itemsSkipped"]),
        (&json!(1), &json!(1)),
        "{reply}"
    );
    shops.edit(
        "products",
        ids[1],
        json!({ "regular_price": "1000", "sale_price": "" }),
    );
    assert_eq!(counts(&shops.delta()), "completed 2 1 0 1 0");
}

#[test]
fn history_tells_what_was_done() {
    let mut shops = Shops::new();
    shops
        .sql
        .batch_execute("SET app.current_user_id = 'ada'")
        .unwrap();
    let ids = shops.products(2);
    shops.list("products", &ids);
    shops.list("products", &[999_999]);
    let reply = shops.delta();
    let row = format!(
        "SELECT concat_ws(' ', user_id, sync_type, status, items_processed, items_created, items_updated, items_failed,
                          duration_ms > 0, metadata #>> '{{errors,0,error}}')
         FROM sync_history WHERE id = '{}'",
        reply["syncHistoryId"].as_str().unwrap()
    );
    assert_eq!(
        shops.one(&row),
        "ada delta partial_success 3 2 0 1 t \"main\" has no product with this id (any more)"
    );
    shops.full();
    assert_eq!(
        shops.one("SELECT string_agg(sync_type, ' ' ORDER BY created_at) FROM sync_history"),
        "delta full"
    );
    let progress = "SELECT concat_ws(' ', status, entity_type, total_items, processed_count, failed_count) FROM sync_progress ORDER BY started_at LIMIT 1";
    assert_eq!(shops.one(progress), "completed_with_errors all 3 2 1");
    assert_eq!(shops.one("SELECT string_agg(activity_type || ' ' || record_count, ' ' ORDER BY created_at) FROM sync_activity_log"), "delta 3 full 3");
}

#[test]
fn a_local_row_is_written_to_a_shop_and_linked_with_what_was_created() {
    let mut shops = Shops::new();
    shops
        .sql
        .batch_execute(
            "INSERT INTO sync_products (sku, name, price, stock_quantity) VALUES ('HERE-1', 'From here', 12.5, 3), (NULL, 'Without a SKU', 4, NULL);
             INSERT INTO sync_list (item_type, source_platform, target_platform, source_id)
             SELECT 'product', 'local', 'outlet', id::text FROM sync_products
             UNION ALL VALUES ('product', 'local', 'outlet', 'no-uuid'), ('product', 'local', 'outlet', gen_random_uuid()::text)",
        )
        .unwrap();
    let reply = shops.delta();
    assert_eq!(counts(&reply), "partial_success 4 2 0 0 2", "{reply}");
    let theirs = shops.there("products", "HERE-1");
    assert_eq!(
        (&theirs[0]["name"], &theirs[0]["stock_quantity"]),
        (&json!("From here"), &json!(3))
    );
    assert_eq!(theirs[0]["regular_price"], "12.5");
    // linked, with or without a match key: no pull takes them for new ones
    shops.one("SELECT sync_pull('outlet', 'products')");
    assert_eq!(
        shops.one(
            "SELECT count(*) FROM sync_changes WHERE sync_type = 'outlet' AND change IN ('new', 'ambiguous')"
        ),
        "0"
    );
    assert_eq!(
        shops.one("SELECT count(*) FROM sync_record WHERE entity = 2 AND external_id IS NOT NULL AND local_id IS NOT NULL"),
        "2"
    );
    assert_eq!(
        shops.one("SELECT count(*) FROM sync_verify('outlet', 'products')"),
        "0"
    );
    // what a local row lacks is not cleared there; what it has is written
    shops
        .outlet
        .mutate_json(&json!({ "op": "edit", "entity": "products", "id": theirs[0]["id"], "set": { "description": "kept" } }))
        .unwrap();
    shops
        .sql
        .batch_execute("UPDATE sync_products SET name = 'Renamed' WHERE sku = 'HERE-1'")
        .unwrap();
    assert_eq!(shops.delta()["itemsUpdated"], 1);
    let theirs = shops.there("products", "HERE-1");
    assert_eq!(
        (&theirs[0]["name"], &theirs[0]["description"]),
        (&json!("Renamed"), &json!("kept"))
    );
}
