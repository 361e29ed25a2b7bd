//! Which remote record is which local row: what is not certain is never linked.

use serde_json::{json, Value};
use sync_sandbox::Version;

use crate::shop::Shop;

fn links(shop: &mut Shop) -> i64 {
    shop.number("SELECT count(*) FROM sync_record WHERE external_id IS NOT NULL AND local_id IS NOT NULL")
}

/// The e-mail address of the customer at a place.
fn email(shop: &Shop, place: usize) -> (u64, String) {
    let id = shop.listed("customers")[place];
    let record = shop.sandbox.record("customers", id).unwrap().unwrap();
    (id, record["email"].as_str().unwrap().to_owned())
}

fn change_of(shop: &mut Shop, entity: &str, id: u64) -> Option<String> {
    shop.delta(entity).remove(&id.to_string())
}

fn add(shop: &mut Shop, email: &str) {
    shop.sql
        .execute("INSERT INTO sync_customers (email) VALUES ($1)", &[&email])
        .unwrap();
}

#[test]
fn a_local_row_is_linked_by_its_address_however_it_is_written() {
    let mut shop = Shop::new(Version::V11);
    let (id, address) = email(&shop, 3);
    add(&mut shop, &format!("  {} ", address.to_uppercase()));
    assert_eq!(shop.pull("customers")["linked"], 1);
    assert_eq!(change_of(&mut shop, "customers", id).as_deref(), Some("updated"));
    assert_eq!(links(&mut shop), 1);
}

#[test]
fn two_local_rows_with_one_address_are_ambiguous_until_one_is_gone() {
    let mut shop = Shop::new(Version::V11);
    let (id, address) = email(&shop, 3);
    for before in [true, false] {
        if before {
            add(&mut shop, &address);
            add(&mut shop, &address);
            shop.pull("customers");
        } else {
            shop.sql.execute("DELETE FROM sync_customers", &[]).unwrap();
            assert_eq!(change_of(&mut shop, "customers", id).as_deref(), Some("new"));
            shop.sql
                .execute(
                    "INSERT INTO sync_customers (email) VALUES ($1), ($1)",
                    &[&address],
                )
                .unwrap();
        }
        assert_eq!(links(&mut shop), 0);
        assert_eq!(
            change_of(&mut shop, "customers", id).as_deref(),
            Some("ambiguous")
        );
        let preview = shop.fresh_preview("customers");
        assert_eq!(preview["delta"]["ambiguous"]["count"], 1);
        assert_eq!(preview["delta"]["new"]["count"], 119);
        assert_eq!(preview["unlinked"], 2);
    }
    shop.sql
        .execute(
            "DELETE FROM sync_customers WHERE id = (SELECT id FROM sync_customers LIMIT 1)",
            &[],
        )
        .unwrap();
    assert_eq!(links(&mut shop), 1);
    assert_eq!(change_of(&mut shop, "customers", id).as_deref(), Some("updated"));
    shop.assert_mirrored("customers");
}

#[test]
fn two_products_with_one_sku_are_never_linked() {
    let mut shop = Shop::new(Version::V11);
    let pair = shop.change(
        json!({ "op": "create", "entity": "products", "count": 2, "set": { "sku": "TWIN", "type": "simple" } }),
    );
    shop.sql
        .execute(
            "INSERT INTO sync_products (sku, name) VALUES ('TWIN', 'Twin')",
            &[],
        )
        .unwrap();
    assert_eq!(shop.pull("products")["linked"], 0);
    for id in &pair {
        assert_eq!(
            change_of(&mut shop, "products", *id).as_deref(),
            Some("ambiguous")
        );
    }
    assert_eq!(links(&mut shop), 0);

    shop.change(json!({ "op": "delete", "entity": "products", "ids": [pair[0]] }));
    assert_eq!(shop.pull("products")["linked"], 1);
    assert_eq!(
        change_of(&mut shop, "products", pair[1]).as_deref(),
        Some("updated")
    );
    shop.assert_mirrored("products");
}

#[test]
fn records_without_a_key_are_never_linked() {
    let mut shop = Shop::new(Version::V11);
    let ids = shop.change(json!({ "op": "create", "entity": "products", "count": 3, "set": { "sku": "" } }));
    shop.sql
        .execute(
            "INSERT INTO sync_products (sku, name) VALUES (NULL, 'One'), ('', 'Two'), ('  ', 'Three')",
            &[],
        )
        .unwrap();
    assert_eq!(shop.pull("products")["linked"], 0);
    assert_eq!(links(&mut shop), 0);
    for id in ids {
        assert_eq!(change_of(&mut shop, "products", id).as_deref(), Some("new"));
    }
    assert_eq!(shop.preview("products")["unlinked"], 3);
}

#[test]
fn a_customer_who_changes_the_address_stays_linked() {
    for settings in [json!({}), json!({ "compare_limit": 0 })] {
        let mut shop = Shop::with(crate::shop::small(Version::V11), settings);
        shop.pull("customers");
        shop.fill("customers");
        let (id, address) = email(&shop, 3);
        shop.change(
            json!({ "op": "edit", "entity": "customers", "id": id, "set": { "email": "moved@lab.example" } }),
        );
        shop.pull("customers");
        assert_eq!(change_of(&mut shop, "customers", id).as_deref(), Some("updated"));
        // Who takes over the address is somebody else.
        let other =
            shop.change(json!({ "op": "create", "entity": "customers", "set": { "email": address } }))[0];
        shop.pull("customers");
        assert_ne!(
            change_of(&mut shop, "customers", other).as_deref(),
            Some("updated")
        );
        assert_eq!(links(&mut shop), 120);
        shop.assert_mirrored("customers");
    }
}

#[test]
fn a_record_that_comes_back_is_linked_as_before() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("orders");
    shop.fill("orders");
    let id = shop.listed("orders")[4];
    let local = |shop: &mut Shop| -> Option<String> {
        let sql = "SELECT local_id FROM sync_record WHERE external_id = $1";
        shop.sql.query_one(sql, &[&id.to_string()]).unwrap().get(0)
    };
    let before = local(&mut shop);
    assert!(before.is_some());
    shop.change(json!({ "op": "trash", "entity": "orders", "ids": [id] }));
    shop.pull("orders");
    assert_eq!(change_of(&mut shop, "orders", id).as_deref(), Some("deleted"));
    shop.change(json!({ "op": "restore", "entity": "orders", "ids": [id], "status": "completed" }));
    shop.pull("orders");
    assert_ne!(change_of(&mut shop, "orders", id).as_deref(), Some("deleted"));
    assert_eq!(local(&mut shop), before);
    shop.assert_mirrored("orders");
}

#[test]
fn a_variation_that_shows_its_products_sku_does_not_make_it_ambiguous() {
    for version in [Version::V8, Version::V11] {
        let mut shop = Shop::new(version);
        let variation = shop.listed("variations")[0];
        let product = shop.parent(variation);
        for (entity, id) in [("products", product), ("variations", variation)] {
            shop.change(json!({ "op": "edit", "entity": entity, "id": id, "set": { "sku": "FAMILY" } }));
        }
        shop.sql
            .execute(
                "INSERT INTO sync_products (sku, name) VALUES ('FAMILY', 'Family')",
                &[],
            )
            .unwrap();
        shop.pull("products");
        assert_eq!(
            change_of(&mut shop, "products", product).as_deref(),
            Some("updated")
        );
        assert_eq!(
            change_of(&mut shop, "products", variation).as_deref(),
            Some("new")
        );
        shop.assert_mirrored("products");
    }
}

#[test]
fn what_a_row_would_become_is_in_the_delta() {
    let mut shop = Shop::new(Version::V11);
    let (_, address) = email(&shop, 3);
    add(&mut shop, &address);
    shop.pull("customers");
    let row = shop
        .sql
        .query_one(
            "SELECT remote, local, match_key, changed_fields FROM compute_delta('woocommerce', 'customers') WHERE change = 'updated'",
            &[],
        )
        .unwrap();
    let (remote, local): (Value, Value) = (row.get(0), row.get(1));
    assert_eq!(
        (&remote["email"], &local["email"]),
        (&json!(address), &json!(address))
    );
    assert_eq!(row.get::<_, String>(2), address.to_lowercase());
    let changed: Value = row.get(3);
    assert_eq!(changed["email"], Value::Null);
    assert_eq!(changed["role"]["new"], "customer");
}
