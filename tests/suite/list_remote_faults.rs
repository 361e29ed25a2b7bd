//! Sync lists whose target is another shop: items that fail, answers that get lost, and nothing created twice.

use serde_json::json;
use sync_ext_tests::{sqlstate, wait_until};
use sync_sandbox::{Fault, Rule, When};

use crate::contract_app::text;
use crate::list_remote::{counts, Shops};
use crate::worker_shop::{Call, PATIENCE};

#[test]
fn a_creation_whose_answer_was_lost_is_not_repeated() {
    let mut shops = Shops::new();
    let id = shops.products(1)[0];
    shops.list("products", &[id]);
    // the shop has done it, and the line breaks
    let mut rule = Rule::new("/wp-json/wc/v3/products", When::All, Fault::CutBody { bytes: 10 });
    rule.method = Some("POST".into());
    let fault = shops.outlet.fault(rule);
    let reply = shops.delta();
    assert_eq!(counts(&reply), "failed 1 0 0 0 1", "{reply}");
    assert_eq!(shops.sent("POST"), 1);
    assert_eq!(shops.one("SELECT state FROM sync_idempotency_log"), "intended");
    assert!(shops
        .one("SELECT error_message FROM sync_list")
        .contains("looks for it first"));
    shops.outlet.clear_faults(Some(fault));
    let reply = shops.delta();
    assert_eq!(counts(&reply), "completed 1 0 0 1 0", "{reply}");
    assert_eq!(shops.sent("POST"), 1);
    assert_eq!(shops.outlet.truth("products").unwrap().len(), 1);
    let target = shops.one("SELECT target_id FROM sync_list");
    assert_ne!(target, "");
    assert_eq!(
        shops.one("SELECT state || ' ' || (result ->> 'externalId') FROM sync_idempotency_log"),
        format!("done {target}")
    );

    // one that could not be found again is not created a second time either
    let bare = shops.products(2)[1];
    shops.edit("products", bare, json!({ "sku": "" }));
    shops.list("products", &[bare]);
    let mut rule = Rule::new("/wp-json/wc/v3/products", When::All, Fault::CutBody { bytes: 10 });
    rule.method = Some("POST".into());
    let fault = shops.outlet.fault(rule);
    shops.delta();
    shops.outlet.clear_faults(Some(fault));
    let reply = shops.delta();
    assert!(
        reply["errors"][0]["error"]
            .as_str()
            .unwrap()
            .starts_with("it may have been created"),
        "{reply}"
    );
    assert_eq!(shops.outlet.truth("products").unwrap().len(), 2);
}

/// Shops with an item whose creation got no answer; nothing tells whether it was created.
fn unsettled() -> (Shops, String) {
    let mut shops = Shops::new();
    let id = shops.products(1)[0];
    shops.edit("products", id, json!({ "sku": "" }));
    shops.list("products", &[id]);
    let mut rule = Rule::new("/wp-json/wc/v3/products", When::All, Fault::CutBody { bytes: 10 });
    rule.method = Some("POST".into());
    let fault = shops.outlet.fault(rule);
    shops.delta();
    shops.outlet.clear_faults(Some(fault));
    assert_eq!(shops.one("SELECT state FROM sync_idempotency_log"), "intended");
    let item = shops.one("SELECT id FROM sync_list");
    let error = shops.delta()["errors"][0]["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("it may have been created"), "{error}");
    let told = shops.one("SELECT error_message FROM sync_list");
    assert!(
        told.contains(&format!("sync_settle_creation('{item}')")),
        "{told}"
    );
    (shops, item)
}

#[test]
fn who_has_looked_says_what_became_of_a_creation() {
    // it is there
    let (mut shops, item) = unsettled();
    let there = shops.outlet.truth("products").unwrap()[0].to_string();
    let settled = shops.one(&format!("SELECT sync_settle_creation('{item}', ' {there} ')"));
    assert!(
        settled.contains(&format!("\"externalId\": \"{there}\"")),
        "{settled}"
    );
    let reply = shops.delta();
    assert_eq!(counts(&reply), "completed 1 0 0 1 0", "{reply}");
    assert_eq!(shops.outlet.truth("products").unwrap().len(), 1);
    assert_eq!(shops.one("SELECT target_id FROM sync_list"), there);

    // it is not
    let (mut shops, item) = unsettled();
    let made = shops.outlet.truth("products").unwrap();
    shops
        .outlet
        .mutate_json(&json!({ "op": "delete", "entity": "products", "ids": made }))
        .unwrap();
    shops.one(&format!("SELECT sync_settle_creation('{item}')"));
    let reply = shops.delta();
    assert_eq!(counts(&reply), "completed 1 1 0 0 0", "{reply}");
    assert_eq!(shops.outlet.truth("products").unwrap().len(), 1);
    // that was an answer: there is nothing left to settle
    let call = format!("SELECT sync_settle_creation('{item}')");
    assert_eq!(sqlstate(shops.sql.simple_query(&call)), "22023");
}

#[test]
fn only_who_may_operate_settles_a_creation_of_the_own_organisation() {
    let (mut shops, item) = unsettled();
    let call = format!("SELECT sync_settle_creation('{item}')");
    let reader = shops.db.role("read", shops.org);
    assert_eq!(
        sqlstate(shops.db.connect_as(&reader, shops.org).simple_query(&call)),
        "42501"
    );
    let other = shops.db.org();
    let stranger = shops.db.role("operate", other);
    assert_eq!(
        sqlstate(shops.db.connect_as(&stranger, other).simple_query(&call)),
        "42704"
    );
    assert_eq!(
        sqlstate(shops.db.connect_as(&stranger, shops.org).simple_query(&call)),
        "42501"
    );
    for (wrong, state) in [
        (
            "SELECT sync_settle_creation(gen_random_uuid())".to_owned(),
            "42704",
        ),
        (format!("SELECT sync_settle_creation('{item}', ' ')"), "22023"),
        (
            format!("SELECT sync_settle_creation('{item}', repeat('9', 201))"),
            "22023",
        ),
        (format!("BEGIN READ ONLY; {call}"), "25006"),
    ] {
        assert_eq!(sqlstate(shops.sql.simple_query(&wrong)), state, "{wrong}");
        shops.sql.simple_query("ROLLBACK").unwrap();
    }
    assert_eq!(shops.one("SELECT state FROM sync_idempotency_log"), "intended");
    let operator = shops.db.role("operate", shops.org);
    shops
        .db
        .connect_as(&operator, shops.org)
        .simple_query(&call)
        .unwrap();
    assert_eq!(shops.one("SELECT state FROM sync_idempotency_log"), "failed");
}

#[test]
fn what_was_found_again_is_noted_at_once() {
    let mut shops = Shops::new();
    let ids = shops.products(2);
    shops.list("products", &ids[..1]);
    let post = |fault| Rule {
        method: Some("POST".into()),
        ..Rule::new("/wp-json/wc/v3/products", When::All, fault)
    };
    let fault = shops.outlet.fault(post(Fault::CutBody { bytes: 10 }));
    shops.delta();
    shops.outlet.clear_faults(Some(fault));
    // a run that ends early: what comes after hangs
    shops.list("products", &ids[1..]);
    shops.outlet.fault(post(Fault::Hang));
    let call = Call::start(shops.db.connect_as(&shops.role, shops.org), "SELECT sync_delta()");
    let state = format!(
        "SELECT state FROM sync_idempotency_log WHERE result ->> 'sourceId' = '{}'",
        ids[0]
    );
    wait_until(PATIENCE, || {
        shops.outlet.stats().running > 0 && shops.one(&state) == "done"
    });
    shops.db.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'sync_ext worker'");
    assert!(call.finish().is_err());
    shops.outlet.clear_faults(None);
    // whether the shop has carried out what hung or not
    shops.outlet.release();
    wait_until(PATIENCE, || shops.outlet.stats().running == 0);
    let reply = shops.delta();
    assert_eq!(reply["status"], "completed", "{reply}");
    assert_eq!(shops.one("SELECT count(DISTINCT target_id) FROM sync_list"), "2");
    assert_eq!(shops.outlet.truth("products").unwrap().len(), 2);
}

#[test]
fn two_items_of_one_record_create_it_once() {
    let mut shops = Shops::new();
    let ids = shops.products(2);
    // two users' lists, and two records with one SKU
    shops
        .sql
        .batch_execute("SET app.current_user_id = 'ada'")
        .unwrap();
    shops.list("products", &ids);
    shops
        .sql
        .batch_execute("SET app.current_user_id = 'bob'")
        .unwrap();
    shops.list("products", &ids);
    let sku = shops.main.record("products", ids[0]).unwrap().unwrap()["sku"].clone();
    shops.edit("products", ids[1], json!({ "sku": sku }));
    let reply = shops.delta();
    assert_eq!(reply["itemsProcessed"], 4);
    assert_eq!(reply["itemsCreated"], 1, "{reply}");
    assert_eq!(shops.outlet.truth("products").unwrap().len(), 1);
}

#[test]
fn a_failed_item_stops_nobody_and_comes_back_later() {
    let mut shops = Shops::new();
    let ids = shops.products(4);
    shops.list("products", &ids);
    shops.list("products", &[999_999]);
    shops.edit("products", ids[1], json!({ "name": "" }));
    let reply = shops.delta();
    assert_eq!(counts(&reply), "partial_success 5 3 0 0 2", "{reply}");
    let told = "SELECT string_agg(error_message, '|' ORDER BY source_id::int DESC) FROM sync_list WHERE last_sync_status = 'failed'";
    let told = shops.one(told);
    assert!(
        told.starts_with("\"main\" has no product with this id (any more)|without name"),
        "{told}"
    );
    // the wait doubles, and ends with the first success
    let wait = "SELECT attempts || ' ' || round(extract(epoch FROM next_due_at - now()) / 60) FROM sync_list WHERE source_id = '999999'";
    assert_eq!(shops.one(wait), "1 1");
    shops.delta();
    shops.delta();
    assert_eq!(shops.one(wait), "3 4");
    shops
        .sql
        .batch_execute("UPDATE sync_list SET attempts = 20")
        .unwrap();
    shops.delta();
    assert_eq!(shops.one(wait), "21 60");
    shops.edit("products", ids[1], json!({ "name": "Mended" }));
    shops.delta();
    let mended = format!("SELECT concat_ws(' ', last_sync_status, last_outcome, attempts, error_message) FROM sync_list WHERE source_id = '{}'", ids[1]);
    assert_eq!(shops.one(&mended), "success created 0");
}

#[test]
fn what_hinders_the_whole_shop_is_tried_a_few_times_only() {
    let mut shops = Shops::new();
    shops.db.set("sync_ext.max_retries", "0");
    shops.sql = shops.db.connect_as(&shops.role, shops.org);
    let ids = shops.products(12);
    shops.list("products", &ids);
    shops.outlet.fault(Rule::new("/", When::All, Fault::Reset));
    let reply = shops.delta();
    assert_eq!(counts(&reply), "failed 12 0 0 0 12", "{reply}");
    let tried = shops.outlet.requests().len();
    assert!(tried < 10, "{tried}");
    assert_ne!(
        shops.one("SELECT coalesce(last_error, '') FROM sync_connectors WHERE sync_type = 'outlet'"),
        ""
    );
    shops.outlet.clear_faults(None);
    assert_eq!(counts(&shops.delta()), "completed 12 12 0 0 0");
    assert_eq!(
        shops.one("SELECT coalesce(last_error, '') FROM sync_connectors WHERE sync_type = 'outlet'"),
        ""
    );
}

#[test]
fn a_creation_that_was_refused_is_tried_again() {
    let mut shops = Shops::new();
    let url = shops.outlet.url();
    shops.connect("outlet", &url, "ro");
    let ids = shops.products(1);
    shops.list("products", &ids);
    let reply = shops.delta();
    assert_eq!(counts(&reply), "failed 1 0 0 0 1");
    let told = shops.one("SELECT error_message FROM sync_list");
    assert!(
        told.contains("the remote refuses the credentials") && told.contains("Read/Write"),
        "{told}"
    );
    assert_eq!(shops.one("SELECT state FROM sync_idempotency_log"), "failed");
    shops.connect("outlet", &url, "rw");
    assert_eq!(counts(&shops.delta()), "completed 1 1 0 0 0");
    assert_eq!(
        shops.one("SELECT state || (result ->> 'operation') FROM sync_idempotency_log"),
        "donecreate"
    );
}

#[test]
fn what_is_read_while_the_compared_fields_change_is_read_again() {
    let mut shops = Shops::new();
    let id = shops.products(1)[0];
    shops.list("products", &[id]);
    let mut other = shops.db.connect_as(&shops.role, shops.org);
    other
        .batch_execute("BEGIN; SELECT sync_map('main', 'products', 'description', compared => false)")
        .unwrap();
    let call = Call::start(
        shops.db.connect_as(&shops.role, shops.org),
        "SELECT sync_delta() #>> '{errors,0,error}'",
    );
    let mut root = shops.db.client();
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE backend_type = 'sync_ext worker' AND wait_event_type = 'Lock' AND datname = current_database()";
    wait_until(PATIENCE, || call.is_over() || text(&mut root, waiting) == "1");
    other.batch_execute("COMMIT").unwrap();
    let error = call.finish().unwrap();
    assert!(error.contains("what is compared was changed"), "{error}");
    let wrong = "SELECT count(*) FROM sync_record r JOIN sync_comparison k USING (org_id, connector, entity)
                 WHERE r.remote_fingerprint <> sync_fingerprint(k.spec, r.remote)";
    assert_eq!(shops.delta()["itemsCreated"], 1);
    assert_eq!(text(&mut root, wrong), "0");
}

/// An e-mail address may be that of whoever runs the shop.
#[test]
fn the_account_of_an_administrator_is_not_written_to() {
    let mut shops = Shops::new();
    let before = shops.main.record("customers", 1).unwrap().unwrap();
    assert_eq!(before["role"], "administrator");
    let email = before["email"].as_str().unwrap();
    let add = "WITH made AS (INSERT INTO sync_customers (email, first_name) VALUES ($1, 'Eve') RETURNING id)
               INSERT INTO sync_list (item_type, source_platform, target_platform, source_id, target_id)
               SELECT 'customer', 'local', 'main', id::text, $2 FROM made";
    // found by the address, or named
    for target in [None, Some("1")] {
        shops
            .sql
            .batch_execute("DELETE FROM sync_list; DELETE FROM sync_customers")
            .unwrap();
        shops.sql.execute(add, &[&email, &target]).unwrap();
        let reply = shops.delta();
        assert_eq!(counts(&reply), "failed 1 0 0 0 1", "{reply}");
        let told = shops.one("SELECT error_message FROM sync_list");
        assert!(
            told.contains("administrator") && told.contains("customer"),
            "{told}"
        );
    }
    assert_eq!(shops.main.record("customers", 1).unwrap().unwrap(), before);
}

#[test]
fn an_item_of_what_a_shop_does_not_have_says_so_and_stops_no_other() {
    let mut shops = Shops::new();
    shops.db.psql(&format!(
        "INSERT INTO sync_warehouses (org_id, id, code, name) VALUES ('{0}', 'f0000000-0000-4000-8000-000000000001', 'W', 'Main');
         -- as an older version wrote them: unchecked
         SET session_replication_role = replica;
         INSERT INTO sync_list (org_id, item_type, source_platform, target_platform, source_id) VALUES
             ('{0}', 'transfers', 'main', 'local', '1'),
             ('{0}', 'warehouses', 'local', 'outlet', 'f0000000-0000-4000-8000-000000000001')",
        shops.org
    ));
    shops.list("customers", &[3]);
    let reply = shops.delta();
    assert_eq!(
        (&reply["itemsCreated"], &reply["itemsFailed"]),
        (&json!(1), &json!(2)),
        "{reply}"
    );
    let told = "SELECT string_agg(item_type || ': ' || error_message, '; ' ORDER BY item_type) FROM sync_list WHERE last_sync_status = 'failed'";
    let has = "(It has: customers, products, orders, categories.)";
    assert_eq!(
        shops.one(told),
        format!(
            "transfers: a connector of kind \"woocommerce\" has no transfers {has}; \
             warehouses: a connector of kind \"woocommerce\" has no warehouses {has}"
        )
    );
}
