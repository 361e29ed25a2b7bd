//! Sync lists whose target is this database: the records that are listed arrive, and no others.

use serde_json::{json, Value};
use sync_sandbox::Version;

use crate::list_remote::counts;
use crate::shop::Shop;

fn delta(shop: &mut Shop) -> Value {
    shop.sql.query_one("SELECT sync_delta()", &[]).unwrap().get(0)
}

fn one(shop: &mut Shop, sql: &str) -> String {
    crate::contract_app::text(&mut shop.sql, sql)
}

fn list(shop: &mut Shop, entity: &str, ids: &[u64]) {
    for id in ids {
        shop.sql
            .execute(
                "INSERT INTO sync_list (item_type, source_platform, source_id) VALUES ($1, 'woocommerce', $2)",
                &[&entity, &id.to_string()],
            )
            .unwrap();
    }
}

fn edit(shop: &mut Shop, entity: &str, id: u64, set: Value) {
    shop.change(json!({ "op": "edit", "entity": entity, "id": id, "set": set }));
}

#[test]
fn listed_records_become_local_rows_and_follow_their_source() {
    let mut shop = Shop::new(Version::V11);
    let ids = shop.listed("customers")[..5].to_vec();
    list(&mut shop, "customers", &ids);
    // nothing was pulled before
    let reply = delta(&mut shop);
    assert_eq!(counts(&reply), "completed 5 5 0 0 0", "{reply}");
    let there = "SELECT string_agg(l.source_id, ' ' ORDER BY l.source_id::int) FROM sync_list l JOIN sync_customers c ON c.id::text = l.target_id";
    let listed: Vec<String> = ids.iter().map(u64::to_string).collect();
    assert_eq!(one(&mut shop, there), listed.join(" "));
    assert_eq!(one(&mut shop, "SELECT count(*) FROM sync_customers"), "5");
    assert_eq!(one(&mut shop, "SELECT count(*) FROM sync_changes"), "0");
    assert_eq!(counts(&delta(&mut shop)), "completed 5 0 0 5 0");

    edit(
        &mut shop,
        "customers",
        ids[2],
        json!({ "first_name": "Ada", "billing.city": "London" }),
    );
    assert_eq!(counts(&delta(&mut shop)), "completed 5 0 1 4 0");
    let row = format!(
        "SELECT first_name || ' ' || billing_city FROM sync_customers c JOIN sync_list l ON l.target_id = c.id::text WHERE l.source_id = '{}'",
        ids[2]
    );
    assert_eq!(one(&mut shop, &row), "Ada London");
    // what somebody edits here stays until the source changes, or until all is written
    shop.sql
        .batch_execute("UPDATE sync_customers SET first_name = 'mine'")
        .unwrap();
    assert_eq!(counts(&delta(&mut shop)), "completed 5 0 0 5 0");
    let full: Value = shop.sql.query_one("SELECT sync_full()", &[]).unwrap().get(0);
    assert_eq!(counts(&full), "completed 5 0 5 0 0");
    assert_eq!(
        one(
            &mut shop,
            "SELECT count(*) FROM sync_customers WHERE first_name = 'mine'"
        ),
        "0"
    );
    assert_eq!(
        one(
            &mut shop,
            "SELECT count(*) FROM sync_verify('woocommerce', 'customers')"
        ),
        "0"
    );
}

#[test]
fn a_row_that_is_there_already_is_linked_and_an_ambiguous_one_is_not_guessed() {
    let mut shop = Shop::new(Version::V11);
    let ids = shop.listed("customers")[..2].to_vec();
    for (id, email) in [(ids[0], "once@example.com"), (ids[1], "twice@example.com")] {
        edit(&mut shop, "customers", id, json!({ "email": email }));
    }
    shop.sql
        .batch_execute("INSERT INTO sync_customers (email) VALUES ('once@example.com'), ('twice@example.com'), ('twice@example.com')")
        .unwrap();
    list(&mut shop, "customers", &ids);
    let reply = delta(&mut shop);
    assert_eq!(counts(&reply), "partial_success 2 0 1 0 1", "{reply}");
    let told = reply["errors"][0]["error"].as_str().unwrap();
    assert!(
        told.contains("\"twice@example.com\": nothing is guessed"),
        "{told}"
    );
    assert_eq!(one(&mut shop, "SELECT count(*) FROM sync_customers"), "3");
}

#[test]
fn what_the_local_table_refuses_fails_alone() {
    let mut shop = Shop::new(Version::V8);
    let ids = shop.listed("products")[..6].to_vec();
    edit(&mut shop, "products", ids[1], json!({ "name": "Forbidden" }));
    let variation = *shop.listed("variations").last().unwrap();
    shop.root
        .batch_execute("ALTER TABLE sync_products ADD CONSTRAINT no_such_name CHECK (name <> 'Forbidden')")
        .unwrap();
    list(&mut shop, "products", &ids);
    let reply = delta(&mut shop);
    assert_eq!(counts(&reply), "partial_success 6 5 0 0 1", "{reply}");
    let told = reply["errors"][0]["error"].as_str().unwrap();
    assert!(told.contains("no_such_name") && told.contains("23514"), "{told}");
    edit(&mut shop, "products", ids[1], json!({ "name": "Allowed" }));
    assert_eq!(counts(&delta(&mut shop)), "completed 6 1 0 5 0");
    // a variation is known as one once products were pulled
    list(&mut shop, "products", &[variation]);
    assert_eq!(counts(&delta(&mut shop)), "partial_success 7 0 0 6 1");
    shop.pull("products");
    let reply = delta(&mut shop);
    assert_eq!(counts(&reply), "completed 7 1 0 6 0", "{reply}");
}

#[test]
fn a_list_run_can_be_undone() {
    let mut shop = Shop::new(Version::V11);
    let ids = shop.listed("customers")[..3].to_vec();
    list(&mut shop, "customers", &ids);
    let reply = delta(&mut shop);
    let undo = format!(
        "SELECT sync_undo('{}') ->> 'removed'",
        reply["syncHistoryId"].as_str().unwrap()
    );
    assert_eq!(one(&mut shop, &undo), "3");
    assert_eq!(one(&mut shop, "SELECT count(*) FROM sync_customers"), "0");
    assert_eq!(
        one(
            &mut shop,
            "SELECT count(*) FROM sync_verify('woocommerce', 'customers')"
        ),
        "0"
    );
}

#[test]
fn an_apps_own_table_is_written_with_its_owners_rights() {
    let mut shop = Shop::new(Version::V11);
    let ids = shop.listed("customers")[..3].to_vec();
    shop.root
        .batch_execute("CREATE TABLE people (org uuid NOT NULL, no serial PRIMARY KEY, mail text UNIQUE, first text, city text,
                                             by_whom text DEFAULT current_user)")
        .unwrap();
    let role = one(&mut shop, "SELECT current_user");
    shop.root
        .batch_execute(&format!(
            "ALTER TABLE people OWNER TO {role}; GRANT ALL ON SCHEMA public TO {role}"
        ))
        .unwrap();
    shop.sql
        .batch_execute(
            "SELECT sync_bind('customers', 'people', '{\"email\": \"mail\", \"first_name\": \"first\", \"billing_city\": \"city\"}',
                              key_columns => '{no}', org_column => 'org')",
        )
        .unwrap();
    list(&mut shop, "customers", &ids);
    let reply = delta(&mut shop);
    assert_eq!(counts(&reply), "completed 3 3 0 0 0", "{reply}");
    let there =
        "SELECT count(*) FROM people p JOIN sync_list l ON l.target_id = p.no::text WHERE p.mail IS NOT NULL";
    assert_eq!(one(&mut shop, there), "3");
    assert_eq!(
        one(&mut shop, "SELECT string_agg(DISTINCT by_whom, ' ') FROM people"),
        role
    );
    // what the table doesn't hold is noticed all the same, and changes nothing here
    edit(&mut shop, "customers", ids[0], json!({ "last_name": "Other" }));
    edit(&mut shop, "customers", ids[1], json!({ "first_name": "Other" }));
    assert_eq!(counts(&delta(&mut shop)), "completed 3 0 1 2 0");
    assert_eq!(
        one(&mut shop, "SELECT count(*) FROM people WHERE first = 'Other'"),
        "1"
    );
}

#[test]
fn a_list_run_and_an_apply_at_once_write_each_record_once() {
    let mut shop = Shop::new(Version::V11);
    let ids = shop.listed("customers");
    list(&mut shop, "customers", &ids);
    shop.pull("customers");
    let role = one(&mut shop, "SELECT current_user");
    let mut other = shop.db.connect_as(&role, shop.org);
    let apply = std::thread::spawn(move || {
        let row = other
            .query_one("SELECT sync_apply('woocommerce', 'customers')", &[])
            .unwrap();
        row.get::<_, Value>(0)
    });
    let reply = delta(&mut shop);
    let applied = apply.join().unwrap();
    assert_eq!(reply["itemsFailed"], 0, "{reply}");
    let emails = "SELECT count(*) - count(DISTINCT email) FROM sync_customers";
    assert_eq!(one(&mut shop, emails), "0", "{reply} {applied}");
    assert_eq!(
        one(&mut shop, "SELECT count(*) FROM sync_customers"),
        ids.len().to_string()
    );
}

#[test]
fn variations_of_many_products_are_read_together_where_the_shop_can() {
    for (version, at_most) in [(Version::V11, 3), (Version::V8, 100)] {
        let mut shop = Shop::new(version);
        shop.pull("products");
        let ids = shop.listed("variations");
        list(&mut shop, "products", &ids);
        shop.sandbox.reset_stats();
        let n = ids.len();
        assert_eq!(counts(&delta(&mut shop)), format!("completed {n} {n} 0 0 0"));
        let requests = shop.sandbox.stats().requests;
        assert!(
            requests <= at_most,
            "{version:?}: {requests} requests for {n} variations"
        );
        let strays = "SELECT count(*) FROM sync_list l JOIN sync_products p ON p.id::text = l.target_id WHERE p.type IS DISTINCT FROM 'variation'";
        assert_eq!(one(&mut shop, strays), "0");
    }
}
