//! Items that carry some fields of a record only, and the stock of products.

use serde_json::{json, Value};
use sync_sandbox::Version;

use crate::contract_app::text;
use crate::list_remote::{counts, Shops};
use crate::shop::Shop;
use crate::webhook::{deliver, know_secret};

fn item(shops: &mut Shops, kind: &str, id: u64, fields: Option<&str>) {
    shops
        .sql
        .execute(
            "INSERT INTO sync_list (item_type, source_platform, target_platform, source_id, fields) VALUES ($1, 'main', 'outlet', $2, $3::text::text[])",
            &[&kind, &id.to_string(), &fields],
        )
        .unwrap();
}

/// A product that both shops have, and its record in the outlet.
fn shared(shops: &mut Shops) -> (u64, String) {
    let id = shops.products(1)[0];
    item(shops, "product", id, None);
    assert_eq!(counts(&shops.delta()), "completed 1 1 0 0 0");
    shops.sql.batch_execute("DELETE FROM sync_list").unwrap();
    let sku = shops.main.record("products", id).unwrap().unwrap()["sku"].clone();
    (id, sku.as_str().unwrap().to_owned())
}

#[test]
fn only_the_chosen_fields_are_written() {
    let mut shops = Shops::new();
    let (id, sku) = shared(&mut shops);
    let before = shops.there("products", &sku).remove(0);
    shops.edit(
        "products",
        id,
        json!({ "name": "Another name", "regular_price": "77", "weight": "3" }),
    );
    item(&mut shops, "product", id, Some("{regular_price}"));
    assert_eq!(counts(&shops.delta()), "completed 1 0 1 0 0");
    let after = shops.there("products", &sku).remove(0);
    assert_eq!(after["regular_price"], "77");
    assert_eq!(
        (&after["name"], &after["weight"]),
        (&before["name"], &before["weight"])
    );
    // what else changes is nothing to write
    shops.edit("products", id, json!({ "name": "A third name" }));
    shops.outlet.reset_stats();
    assert_eq!(counts(&shops.delta()), "completed 1 0 0 1 0");
    assert_eq!(shops.sent("PUT"), 0);
    // not in mode full either
    assert_eq!(counts(&shops.full()), "completed 1 0 1 0 0");
    assert_eq!(shops.there("products", &sku)[0]["name"], before["name"]);
}

#[test]
fn a_phone_number_leaves_the_name_alone() {
    let mut shops = Shops::new();
    let id = shops.main.truth("customers").unwrap()[0];
    item(&mut shops, "customer", id, None);
    shops.delta();
    shops.sql.batch_execute("DELETE FROM sync_list").unwrap();
    let email = shops.main.record("customers", id).unwrap().unwrap()["email"].clone();
    let before = shops.there("customers", email.as_str().unwrap()).remove(0);
    shops.edit(
        "customers",
        id,
        json!({ "billing.phone": "030 1", "first_name": "Zoë" }),
    );
    item(&mut shops, "customer", id, Some("{billing_phone}"));
    assert_eq!(counts(&shops.delta()), "completed 1 0 1 0 0");
    let after = shops.there("customers", email.as_str().unwrap()).remove(0);
    assert_eq!(after["billing"]["phone"], "030 1");
    for field in ["first_name", "last_name"] {
        assert_eq!(after[field], before[field]);
    }
}

#[test]
fn what_could_not_be_found_again_is_not_created() {
    let mut shops = Shops::new();
    let ids = shops.products(2);
    item(&mut shops, "product", ids[0], Some("{name,price}"));
    item(&mut shops, "inventory", ids[0], None);
    item(&mut shops, "product", ids[1], Some("{sku,name}"));
    let reply = shops.delta();
    assert_eq!(counts(&reply), "partial_success 3 1 0 0 2", "{reply}");
    for one in reply["errors"].as_array().unwrap() {
        let told = one["error"].as_str().unwrap();
        assert!(
            told.starts_with("\"outlet\" has no product that this one is"),
            "{told}"
        );
    }
    assert_eq!(shops.outlet.truth("products").unwrap().len(), 1);
    let made = shops
        .outlet
        .record("products", shops.outlet.truth("products").unwrap()[0])
        .unwrap()
        .unwrap();
    assert_eq!(
        (&made["regular_price"], &made["weight"]),
        (&json!(""), &json!(""))
    );
}

#[test]
fn the_stock_of_a_product_goes_alone() {
    let mut shops = Shops::new();
    let (id, sku) = shared(&mut shops);
    shops.edit(
        "products",
        id,
        json!({ "name": "Another name", "manage_stock": true, "stock_quantity": 41 }),
    );
    item(&mut shops, "inventory", id, None);
    let only: Value = shops
        .sql
        .query_one("SELECT sync_delta(item_type => 'inventory')", &[])
        .unwrap()
        .get(0);
    assert_eq!(counts(&only), "completed 1 0 1 0 0", "{only}");
    let there = shops.there("products", &sku).remove(0);
    assert_eq!(there["stock_quantity"], 41);
    assert_ne!(there["name"], "Another name");
    let others: Value = shops
        .sql
        .query_one("SELECT sync_delta(item_type => 'product')", &[])
        .unwrap()
        .get(0);
    assert_eq!(counts(&others), "completed 0 0 0 0 0");
}

#[test]
fn a_field_that_the_target_does_not_take_is_said() {
    let mut shops = Shops::new();
    let (id, _) = shared(&mut shops);
    item(&mut shops, "product", id, Some("{category_ids}"));
    let reply = shops.delta();
    assert_eq!(counts(&reply), "failed 1 0 0 0 1", "{reply}");
    let told = reply["errors"][0]["error"].as_str().unwrap();
    assert!(
        told.starts_with(
            "\"outlet\" takes none of the item's fields of this product: They are category_ids."
        ),
        "{told}"
    );
}

#[test]
fn local_rows_take_the_chosen_fields_alone() {
    let mut shop = Shop::new(Version::V11);
    let ids = shop.listed("products")[..3].to_vec();
    let add = |shop: &mut Shop, kind: &str, id: u64, fields: Option<&str>| {
        let insert = "INSERT INTO sync_list (item_type, source_platform, source_id, fields) VALUES ($1, 'woocommerce', $2, $3::text::text[])";
        shop.sql
            .execute(insert, &[&kind, &id.to_string(), &fields])
            .unwrap();
    };
    let delta = |shop: &mut Shop| -> Value { shop.sql.query_one("SELECT sync_delta()", &[]).unwrap().get(0) };
    let row = "SELECT concat_ws(' ', name, regular_price, stock_quantity) FROM sync_products p JOIN sync_list l ON l.target_id = p.id::text LIMIT 1";
    add(&mut shop, "product", ids[0], None);
    assert_eq!(counts(&delta(&mut shop)), "completed 1 1 0 0 0");
    let before = text(&mut shop.sql, "SELECT name FROM sync_products");
    shop.sql.batch_execute("DELETE FROM sync_list").unwrap();
    let set =
        json!({ "name": "Another name", "regular_price": "77", "manage_stock": true, "stock_quantity": 41 });
    shop.change(json!({ "op": "edit", "entity": "products", "id": ids[0], "set": set }));
    add(&mut shop, "product", ids[0], Some("{regular_price}"));
    assert_eq!(counts(&delta(&mut shop)), "completed 1 0 1 0 0");
    assert!(text(&mut shop.sql, row).starts_with(&format!("{before} 77")));
    // the rest still differs, and is nothing of this item's
    let differs = "SELECT changed_fields ? 'name' AND NOT changed_fields ? 'regular_price' FROM compute_delta('woocommerce', 'products') WHERE change = 'updated'";
    assert_eq!(text(&mut shop.sql, differs), "t");
    shop.change(
        json!({ "op": "edit", "entity": "products", "id": ids[0], "set": { "name": "A third name" } }),
    );
    assert_eq!(counts(&delta(&mut shop)), "completed 1 0 0 1 0");
    add(&mut shop, "inventory", ids[0], None);
    assert_eq!(counts(&delta(&mut shop)), "completed 2 0 1 1 0");
    assert_eq!(text(&mut shop.sql, row), format!("{before} 77 41"));
    // what could not be found again is not created
    shop.sql.batch_execute("DELETE FROM sync_list").unwrap();
    add(&mut shop, "product", ids[1], Some("{name}"));
    add(&mut shop, "product", ids[2], Some("{sku,name}"));
    let reply = delta(&mut shop);
    assert_eq!(counts(&reply), "partial_success 2 1 0 0 1", "{reply}");
    let told = reply["errors"][0]["error"].as_str().unwrap();
    assert!(
        told.starts_with("no local row is this record's (42704)"),
        "{told}"
    );
    let made = "SELECT count(*) FILTER (WHERE regular_price IS NULL AND name IS NOT NULL AND modified_at IS NOT NULL) || ' ' || count(*) FROM sync_products";
    assert_eq!(text(&mut shop.sql, made), "1 2");
    let undo = "SELECT sync_undo(id) FROM sync_history ORDER BY created_at DESC LIMIT 1";
    shop.sql.batch_execute(undo).unwrap();
    assert_eq!(text(&mut shop.sql, "SELECT count(*) FROM sync_products"), "1");
    assert_eq!(
        text(
            &mut shop.sql,
            "SELECT count(*) FROM sync_verify('woocommerce', 'products')"
        ),
        "0"
    );
}

#[test]
fn a_webhook_makes_the_items_of_its_record_due() {
    let mut shop = Shop::new(Version::V11);
    know_secret(&mut shop);
    let ids = shop.listed("customers");
    for id in &ids[..2] {
        shop.sql
            .execute(
                "INSERT INTO sync_list (item_type, source_platform, source_id) VALUES ('customer', 'woocommerce', $1)",
                &[&id.to_string()],
            )
            .unwrap();
    }
    shop.sql.batch_execute("SELECT sync_delta()").unwrap();
    let due = "SELECT string_agg(source_id || ' ' || (planned_at IS NULL), ',') FROM sync_list WHERE next_due_at <= clock_timestamp()";
    assert_eq!(
        text(&mut shop.sql, &format!("SELECT coalesce(({due}), 'none')")),
        "none"
    );
    shop.change(json!({ "op": "edit", "entity": "customers", "id": ids[0], "set": { "first_name": "Zoë" } }));
    let told = deliver(&mut shop, "customer.updated", &json!({ "id": ids[0] }), "d-1");
    assert_eq!(told["status"], "pulled", "{told}");
    assert_eq!(text(&mut shop.sql, due), format!("{} false", ids[0]));
    // carried out, it is due again as was planned
    let planned = "SELECT planned_at::text FROM sync_list WHERE planned_at IS NOT NULL";
    let planned = text(&mut shop.sql, planned);
    shop.sql.batch_execute("SELECT sync_delta()").unwrap();
    let again = format!("SELECT bool_or(next_due_at = '{planned}' AND planned_at IS NULL) FROM sync_list WHERE source_id = '{}'", ids[0]);
    assert_eq!(text(&mut shop.sql, &again), "t");
}
