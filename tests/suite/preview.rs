//! Previews: what would change, before anything changes.

use serde_json::{json, Value};
use sync_ext_tests::sqlstate;
use sync_sandbox::Version;

use crate::shop::{small, Shop};

/// A shop whose customers are all in the local table.
fn filled(settings: Value) -> Shop {
    let mut shop = Shop::with(small(Version::V11), settings);
    shop.pull("customers");
    shop.fill("customers");
    shop
}

fn edit(shop: &mut Shop, place: usize, name: &str) -> u64 {
    let id = shop.listed("customers")[place];
    shop.change(json!({ "op": "edit", "entity": "customers", "id": id, "set": { "first_name": name } }));
    id
}

#[test]
fn a_preview_says_what_would_be_new_updated_and_deleted() {
    let mut shop = filled(json!({}));
    let updated = edit(&mut shop, 4, "Zoë").to_string();
    let new = shop.change(json!({ "op": "create", "entity": "customers" }))[0].to_string();
    let deleted = shop.listed("customers")[9];
    let before = shop.sandbox.record("customers", deleted).unwrap().unwrap();
    shop.change(json!({ "op": "delete", "entity": "customers", "ids": [deleted] }));
    shop.sql
        .execute(
            "INSERT INTO sync_customers (email) VALUES ('only@here.example')",
            &[],
        )
        .unwrap();

    let preview = shop.preview("customer");
    assert_eq!(
        (&preview["syncType"], &preview["entityType"]),
        (&json!("woocommerce"), &json!("customers"))
    );
    assert_eq!(
        (&preview["cacheHit"], &preview["unlinked"]),
        (&json!(false), &json!(1))
    );
    assert!(preview["computedAt"].as_str() < preview["expiresAt"].as_str());
    assert!(preview["meta"]["requestId"].is_string() && preview["meta"]["processingTime"].is_u64());
    assert_eq!(preview["meta"]["pull"]["status"], "success");

    let delta = &preview["delta"];
    for class in ["new", "updated", "deleted"] {
        assert_eq!(delta[class]["count"], 1, "{class}: {delta}");
        assert_eq!(delta[class]["records"].as_array().unwrap().len(), 1);
    }
    assert_eq!(delta["new"]["records"][0]["externalId"], new);
    assert!(delta["new"]["records"][0]["record"]["email"].is_string());

    let record = &delta["updated"]["records"][0];
    assert_eq!(record["externalId"], updated);
    assert!(record["localId"].is_string());
    let fields = record["changedFields"].as_object().unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["first_name", "name"]);
    assert_eq!(fields["first_name"]["new"], "Zoë");
    assert_ne!(fields["first_name"]["old"], "Zoë");

    let record = &delta["deleted"]["records"][0];
    assert_eq!(record["externalId"], deleted.to_string());
    assert_eq!(record["record"]["email"], before["email"]);
    assert_eq!(delta["deleted"]["massDelete"], Value::Null);
}

#[test]
fn a_second_preview_comes_from_the_cache_and_asks_nobody() {
    let mut shop = filled(json!({}));
    edit(&mut shop, 4, "Ann");
    let first = shop.preview("customers");
    shop.sandbox.reset_stats();
    let second = shop.preview("customers");
    assert_eq!(
        (&first["cacheHit"], &second["cacheHit"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(shop.sandbox.stats().requests, 0);
    for part in ["delta", "computedAt", "expiresAt", "meta", "unlinked"] {
        assert_eq!(first[part], second[part]);
    }
    // which request has computed it, and when
    assert_eq!(second["meta"]["requestId"], second["meta"]["pull"]["syncId"]);
    assert_eq!(second["meta"]["timestamp"], second["computedAt"]);

    edit(&mut shop, 5, "Bob");
    assert_eq!(shop.preview("customers")["delta"]["updated"]["count"], 1);
    let third = shop.fresh_preview("customers");
    assert_eq!(
        (&third["cacheHit"], &third["delta"]["updated"]["count"]),
        (&json!(false), &json!(2))
    );
    assert_ne!(third["meta"]["requestId"], first["meta"]["requestId"]);
    assert_eq!(shop.preview("customers")["meta"], third["meta"]);
}

#[test]
fn a_pull_drops_the_cached_preview_only_where_it_changed_something() {
    let mut shop = filled(json!({}));
    shop.preview("customers");
    shop.pull("customers");
    assert_eq!(shop.preview("customers")["cacheHit"], true);
    edit(&mut shop, 4, "Ann");
    shop.pull("customers");
    let preview = shop.preview("customers");
    assert_eq!(
        (&preview["cacheHit"], &preview["delta"]["updated"]["count"]),
        (&json!(false), &json!(1))
    );
    let id = shop.listed("customers")[7];
    shop.change(json!({ "op": "delete", "entity": "customers", "ids": [id] }));
    shop.pull("customers");
    assert_eq!(shop.preview("customers")["delta"]["deleted"]["count"], 1);
}

#[test]
fn previews_are_dropped_by_hand_all_or_some() {
    let mut shop = Shop::new(Version::V11);
    let dropped = |shop: &mut Shop, arguments: &str| {
        for entity in ["customers", "orders"] {
            shop.preview(entity);
        }
        shop.number(&format!("SELECT sync_invalidate_preview({arguments})::bigint"))
    };
    assert_eq!(dropped(&mut shop, "'woocommerce', 'order'"), 1);
    assert_eq!(shop.preview("customers")["cacheHit"], true);
    assert_eq!(dropped(&mut shop, "sync_type => 'woocommerce'"), 2);
    assert_eq!(dropped(&mut shop, "sync_type => 'another'"), 0);
    assert_eq!(dropped(&mut shop, ""), 2);
    assert_eq!(dropped(&mut shop, "NULL, 'all'"), 0);
}

#[test]
fn an_expired_preview_is_computed_anew_and_cleaned_up() {
    let mut shop = Shop::new(Version::V11);
    shop.preview("customers");
    shop.preview("orders");
    let expire = "UPDATE sync_preview_cache SET expires_at = now() - interval '1 second' WHERE entity_type = 'customers'";
    shop.sql.execute(expire, &[]).unwrap();
    assert_eq!(shop.preview("customers")["cacheHit"], false);
    assert_eq!(shop.number("SELECT auto_cleanup_preview_cache()::bigint"), 0);
    shop.sql.execute(expire, &[]).unwrap();
    assert_eq!(shop.number("SELECT auto_cleanup_preview_cache()::bigint"), 1);
    assert_eq!(shop.number("SELECT count(*) FROM sync_preview_cache"), 1);
}

#[test]
fn a_preview_lives_as_long_as_the_setting_says() {
    let mut shop = Shop::new(Version::V11);
    shop.sql
        .batch_execute("SET sync_ext.preview_ttl = '5min'")
        .unwrap();
    shop.preview("categories");
    let life =
        shop.number("SELECT extract(epoch FROM expires_at - computed_at)::bigint FROM sync_preview_cache");
    assert_eq!(life, 300);
}

#[test]
fn local_rows_that_were_never_linked_are_deletions_only_in_a_mirror() {
    for (settings, deleted) in [(json!({}), 0), (json!({ "deleted_scope": "all" }), 3)] {
        let mut shop = filled(settings);
        shop.sql
            .execute(
                "INSERT INTO sync_customers (email) VALUES ('a@here.example'), ('b@here.example'), (NULL)",
                &[],
            )
            .unwrap();
        let preview = shop.preview("customers");
        assert_eq!(
            (&preview["unlinked"], &preview["delta"]["deleted"]["count"]),
            (&json!(3), &json!(deleted))
        );
        assert_eq!(
            preview["delta"]["deleted"]["records"].as_array().unwrap().len(),
            deleted
        );
    }
}

#[test]
fn an_emptied_shop_shows_its_deletions_as_massive() {
    for settings in [json!({}), json!({ "compare_limit": 0 })] {
        let mut shop = filled(settings);
        let all = shop.sandbox.truth("customers").unwrap();
        let listed = shop.listed("customers");
        shop.change(json!({ "op": "delete", "entity": "customers", "ids": listed[..20] }));
        let some = shop.fresh_preview("customers");
        assert_eq!(some["delta"]["deleted"]["count"], 20);
        assert_eq!(some["delta"]["deleted"]["massDelete"], Value::Null);

        let rest: Vec<u64> = all.into_iter().filter(|id| !listed[..20].contains(id)).collect();
        shop.change(json!({ "op": "delete", "entity": "customers", "ids": rest }));
        let preview = shop.fresh_preview("customers");
        let deleted = &preview["delta"]["deleted"];
        assert_eq!(
            (&deleted["count"], &deleted["massDelete"]),
            (&json!(listed.len()), &json!(true))
        );
        assert_eq!(deleted["records"].as_array().unwrap().len(), 20);
        assert_eq!(
            shop.number("SELECT count(*) FROM sync_customers"),
            listed.len() as i64
        );
    }
}

#[test]
fn a_preview_holds_twenty_records_of_a_class_and_the_delta_all() {
    let mut shop = Shop::new(Version::V11);
    let preview = shop.preview("customers");
    assert_eq!(preview["delta"]["new"]["count"], 120);
    assert_eq!(preview["delta"]["new"]["records"].as_array().unwrap().len(), 20);
    assert_eq!(shop.delta("customers").len(), 120);
}

#[test]
fn the_delta_of_each_entity_type_is_told_without_asking_the_shop() {
    let mut shop = Shop::new(Version::V11);
    for (call, entity) in [
        ("SELECT detect_customer_delta('woocommerce')", "customers"),
        ("SELECT detect_product_delta('woocommerce')", "products"),
        ("SELECT detect_order_delta('woocommerce')", "orders"),
    ] {
        let preview = shop.preview(entity);
        shop.sandbox.reset_stats();
        let detected: Value = shop.sql.query_one(call, &[]).unwrap().get(0);
        assert_eq!(
            (&detected["entityType"], &detected["delta"]),
            (&json!(entity), &preview["delta"])
        );
        for change in ["new", "updated", "deleted"] {
            assert_eq!(
                detected[change], preview["delta"][change]["records"],
                "{call}: {change}"
            );
        }
        assert_eq!(shop.sandbox.stats().requests, 0);
    }
    let changes =
        shop.number("SELECT count(*) FROM sync_changes WHERE entity_type = 'orders' AND change = 'new'");
    assert_eq!(changes, shop.truth("orders").len() as i64);
}

#[test]
fn a_local_edit_shows_at_once_in_the_delta() {
    let mut shop = filled(json!({}));
    shop.sql
        .execute(
            "UPDATE sync_customers SET billing_city = 'Rome' WHERE email LIKE 'cust2@%'",
            &[],
        )
        .unwrap();
    let row = shop
        .sql
        .query_one(
            "SELECT change, changed_fields, local FROM compute_delta('woocommerce', 'customers')",
            &[],
        )
        .unwrap();
    assert_eq!(row.get::<_, String>(0), "updated");
    assert_eq!(row.get::<_, Value>(1)["billing_city"]["old"], "Rome");
    assert_eq!(row.get::<_, Value>(2)["billing_city"], "Rome");
}

#[test]
fn which_changes_are_wanted_is_kept_per_entity_type() {
    let mut shop = Shop::new(Version::V11);
    let select = "SELECT sync_select('order', include_updated => false, include_deleted => true)";
    let chosen: Value = shop.sql.query_one(select, &[]).unwrap().get(0);
    let expected = json!({ "includeNew": true, "includeUpdated": false, "includeDeleted": true });
    let keys: Vec<_> = chosen.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["appliedAt", "entityType", "selectiveSyncConfig"]);
    assert_eq!(
        (&chosen["entityType"], &chosen["selectiveSyncConfig"]),
        (&json!("orders"), &expected)
    );
    let stored = "SELECT config FROM sync_selective_config WHERE entity_type = 'orders'";
    assert_eq!(
        shop.sql.query_one(stored, &[]).unwrap().get::<_, Value>(0),
        expected
    );
    shop.sql.query_one("SELECT sync_select('orders')", &[]).unwrap();
    let config: Value = shop.sql.query_one(stored, &[]).unwrap().get(0);
    assert_eq!(config["includeDeleted"], false);
}

#[test]
fn what_is_chosen_drops_the_previews_of_that_entity_type() {
    let mut shop = Shop::new(Version::V11);
    for entity in ["categories", "customers"] {
        shop.preview(entity);
    }
    shop.sql.query_one("SELECT sync_select('category')", &[]).unwrap();
    assert_eq!(shop.preview("customers")["cacheHit"], true);
    assert_eq!(shop.preview("categories")["cacheHit"], false);
}

#[test]
fn the_eleventh_fresh_preview_within_a_minute_is_refused() {
    let mut shop = Shop::new(Version::V11);
    for _ in 0..10 {
        shop.fresh_preview("categories");
    }
    shop.sandbox.reset_stats();
    let error = shop
        .sql
        .query_one("SELECT sync_preview('woocommerce', 'categories', true)", &[])
        .unwrap_err();
    let hint = error.as_db_error().unwrap().hint().unwrap_or_default().to_owned();
    assert!(hint.starts_with("Try again in "), "{hint}");
    assert_eq!(sqlstate::<()>(Err(error)), "53400");
    assert_eq!(shop.sandbox.stats().requests, 0);
    assert_eq!(shop.preview("categories")["cacheHit"], true);
}

/// As a webhook does that comes between the worker's end and the answer.
#[test]
fn a_preview_that_is_dropped_before_it_is_read_is_told_from_the_ledger() {
    let mut shop = filled(json!({}));
    shop.root
        .batch_execute(
            "CREATE FUNCTION lost() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER lost BEFORE INSERT ON sync_preview_cache FOR EACH ROW EXECUTE FUNCTION lost()",
        )
        .unwrap();
    edit(&mut shop, 2, "Renamed");
    let preview = shop.preview("customers");
    assert_eq!(
        (&preview["delta"]["updated"]["count"], &preview["cacheHit"]),
        (&json!(1), &json!(false)),
        "{preview}"
    );
}
