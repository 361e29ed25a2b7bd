//! Many items for one shop: they share requests, and each has an outcome of its own.

use sync_sandbox::{Fault, Rule, When};

use crate::list_odoo::{Systems, VERSIONS};
use crate::list_remote::{counts, Shops};

/// Local products that are to go to the outlet.
fn local(count: usize) -> Shops {
    let mut shops = Shops::new();
    shops
        .sql
        .batch_execute(&format!(
            "INSERT INTO sync_products (sku, name, price) SELECT 'SKU-' || n, 'Product ' || n, n FROM generate_series(1, {count}) n;
             INSERT INTO sync_list (item_type, source_platform, target_platform, source_id)
             SELECT 'product', 'local', 'outlet', id::text FROM sync_products"
        ))
        .unwrap();
    shops
}

/// All of them are there, once.
fn are_there(shops: &mut Shops, count: usize) {
    assert_eq!(shops.outlet.truth("products").unwrap().len(), count);
    let distinct = shops.one("SELECT count(DISTINCT target_id) FROM sync_list");
    assert_eq!(distinct, count.to_string());
    // as the shop itself has it
    shops.one("SELECT sync_pull('outlet', 'products', 'full')");
    let same = "SELECT count(*) FROM sync_record r JOIN sync_list l ON l.target_id = r.external_id
                JOIN sync_products p ON p.id::text = l.source_id AND p.sku = r.remote ->> 'sku'";
    assert_eq!(shops.one(same), count.to_string());
}

fn batches(fault: Fault) -> Rule {
    let mut rule = Rule::new("/wp-json/wc/v3/products/batch", When::All, fault);
    rule.method = Some("POST".into());
    rule
}

#[test]
fn what_is_created_and_changed_together_shares_requests() {
    let mut shops = local(250);
    shops.outlet.reset_stats();
    let reply = shops.delta();
    assert_eq!(counts(&reply), "completed 250 250 0 0 0", "{reply}");
    let (searches, batches) = (shops.sent("GET"), shops.sent("POST"));
    assert!(
        searches < 20 && (3..40).contains(&batches),
        "{searches} {batches}"
    );
    are_there(&mut shops, 250);
    assert_eq!(
        shops.one("SELECT string_agg(DISTINCT state, ' ') FROM sync_idempotency_log"),
        "done"
    );

    shops.one("WITH changed AS (UPDATE sync_products SET name = name || '!' RETURNING 1) SELECT count(*) FROM changed");
    shops.outlet.reset_stats();
    let reply = shops.delta();
    assert_eq!(counts(&reply), "completed 250 0 250 0 0", "{reply}");
    assert_eq!(shops.sent("PUT"), 0);
    assert!(shops.sent("POST") < 40);
    assert_eq!(
        shops.one("SELECT count(*) FROM sync_record WHERE remote ->> 'name' LIKE 'Product %!'"),
        "250"
    );
    assert_eq!(counts(&shops.delta()), "completed 250 0 0 250 0");
}

#[test]
fn a_batch_whose_answer_was_lost_is_looked_for_and_not_made_again() {
    let mut shops = local(60);
    let fault = shops.outlet.fault(batches(Fault::CutBody { bytes: 10 }));
    let reply = shops.delta();
    assert_eq!(counts(&reply), "failed 60 0 0 0 60", "{reply}");
    let lost = shops.outlet.truth("products").unwrap().len();
    assert!(lost > 0, "the shop has done it");
    let intended = "SELECT count(*) FROM sync_idempotency_log WHERE state = 'intended'";
    assert!(shops.one(intended).parse::<usize>().unwrap() >= lost);
    shops.outlet.clear_faults(Some(fault));
    let reply = shops.delta();
    assert_eq!(
        (&reply["status"], &reply["itemsFailed"]),
        (&"completed".into(), &0.into()),
        "{reply}"
    );
    are_there(&mut shops, 60);
}

#[test]
fn where_batches_are_refused_items_are_written_one_by_one() {
    for (status, content_type, body) in [
        (403, "text/html", "<html>Forbidden by the firewall</html>"),
        (
            404,
            "application/json",
            r#"{"code":"rest_no_route","message":"No route.","data":{"status":404}}"#,
        ),
        (
            413,
            "application/json",
            r#"{"code":"woocommerce_rest_request_entity_too_large","message":"No.","data":{"status":413}}"#,
        ),
    ] {
        let mut shops = local(30);
        shops.outlet.fault(batches(Fault::Reply {
            status,
            content_type: content_type.into(),
            body: body.into(),
        }));
        let reply = shops.delta();
        assert_eq!(counts(&reply), "completed 30 30 0 0 0", "{status}: {reply}");
        are_there(&mut shops, 30);
    }
}

/// Nobody knows what was done before a shop broke down. Smaller batches follow, in the end single items.
#[test]
fn a_shop_that_breaks_down_over_a_batch_fails_its_items_and_no_others() {
    let mut shops = local(40);
    let fault = shops.outlet.fault(batches(Fault::PhpFatal));
    let reply = shops.delta();
    assert!(reply["itemsFailed"].as_u64().unwrap() > 0, "{reply}");
    let told = shops.one("SELECT min(error_message) FROM sync_list WHERE last_sync_status = 'failed'");
    assert!(told.contains("looks for it first"), "{told}");
    shops.outlet.clear_faults(Some(fault));
    assert_eq!(shops.delta()["itemsFailed"], 0);
    are_there(&mut shops, 40);
}

/// The shop breaks down over one product, in whatever company it comes.
#[test]
fn one_odd_item_takes_its_neighbours_down_once() {
    let mut shops = local(30);
    // a batch of several breaks, as if for one of them; alone, all are taken
    let fault = shops.outlet.fault(batches(Fault::PhpFatal));
    let reply = shops.delta();
    assert!(reply["itemsFailed"].as_u64().unwrap() > 0, "{reply}");
    let batches = shops
        .outlet
        .requests()
        .iter()
        .filter(|seen| seen.path.ends_with("/batch"))
        .count();
    // what has failed once shares no request again
    let reply = shops.delta();
    assert_eq!(reply["itemsFailed"], 0, "{reply}");
    let later = shops
        .outlet
        .requests()
        .iter()
        .filter(|seen| seen.path.ends_with("/batch"))
        .count();
    assert_eq!(later, batches);
    shops.outlet.clear_faults(Some(fault));
    are_there(&mut shops, 30);
}

/// Local products that are to go to Odoo.
fn local_for_odoo(systems: &mut Systems, skus: &str) {
    systems
        .sql
        .batch_execute(&format!(
            "WITH made AS (INSERT INTO sync_products (sku, name, price) SELECT s, 'Product ' || s, 9.9 FROM {skus} AS t (s) RETURNING id)
             INSERT INTO sync_list (item_type, source_platform, target_platform, source_id)
             SELECT 'product', 'local', 'erp', id::text FROM made"
        ))
        .unwrap();
}

/// Products that Odoo has by such SKUs, and how many of them there are twice.
fn in_odoo(systems: &mut Systems) -> String {
    systems.one("SELECT sync_pull('erp', 'products', 'full')");
    systems.one(
        "SELECT count(*) || ' ' || count(*) - count(DISTINCT remote ->> 'sku') FROM sync_record
         WHERE remote ->> 'sku' LIKE 'NEW-%' AND external_id IS NOT NULL",
    )
}

#[test]
fn odoo_creates_many_in_one_transaction_and_none_fails_for_another() {
    for version in VERSIONS {
        let mut systems = Systems::new(version);
        local_for_odoo(&mut systems, "unnest('{OLD-1}'::text[])");
        systems
            .sql
            .batch_execute("UPDATE sync_products SET barcode = '4006381333931'")
            .unwrap();
        assert_eq!(counts(&systems.delta()), "completed 1 1 0 0 0");
        systems
            .sql
            .batch_execute("UPDATE sync_products SET barcode = NULL")
            .unwrap();
        systems.sql.batch_execute("DELETE FROM sync_list").unwrap();
        let before = systems.calls("create");
        local_for_odoo(&mut systems, "(SELECT 'NEW-' || n FROM generate_series(1, 80) n)");
        // Odoo has that barcode on another product, so one creation takes those down that go with it
        systems
            .sql
            .batch_execute("UPDATE sync_products SET barcode = '4006381333931' WHERE sku = 'NEW-50'")
            .unwrap();
        let reply = systems.delta();
        assert_eq!(
            counts(&reply),
            "partial_success 80 79 0 0 1",
            "{version:?}: {reply}"
        );
        let told = systems.one("SELECT error_message FROM sync_list WHERE last_sync_status = 'failed'");
        assert!(told.contains("Barcode"), "{told}");
        let creations = systems.calls("create") - before;
        assert!(creations < 60, "{creations}");
        assert_eq!(in_odoo(&mut systems), "79 0");
    }
}

#[test]
fn creations_that_odoo_gives_no_answer_to_are_looked_for_first() {
    let mut systems = Systems::new(VERSIONS[2]);
    local_for_odoo(&mut systems, "(SELECT 'NEW-' || n FROM generate_series(1, 40) n)");
    let fault = systems.fault(
        "product.product",
        "create",
        When::All,
        Fault::CutBody { bytes: 1 },
    );
    let reply = systems.delta();
    assert_eq!(counts(&reply), "failed 40 0 0 0 40", "{reply}");
    systems.erp.clear_faults(Some(fault));
    let reply = systems.delta();
    assert_eq!(reply["status"], "completed", "{reply}");
    assert!(
        reply["itemsUnchanged"].as_u64().unwrap() > 0,
        "some were there: {reply}"
    );
    assert_eq!(in_odoo(&mut systems), "40 0");
}
