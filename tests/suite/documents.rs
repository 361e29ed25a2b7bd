//! Two connectors of one organisation: documents with the same number are different ones; customers are shared.

use std::thread;

use serde_json::{json, Value};
use sync_ext_tests::wait_until;
use uuid::Uuid;

use crate::bound::{text, Bound};
use crate::worker_shop::PATIENCE;

const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";

/// An organisation with a shop, an outlet and an ERP, and tables of its own.
fn three(tables: &str) -> Bound {
    let mut app = Bound::new(tables);
    app.connect("outlet");
    crate::bound::connect(&mut app.root, app.org, "erp", "odoo");
    app
}

fn orders(from: u32, status: &str) -> Value {
    let one = |n: u32| json!({ "id": n.to_string(), "number": format!("{}", 1000 + n), "status": status, "total": n });
    (from..from + 3).map(one).collect()
}

#[track_caller]
fn apply(app: &mut Bound, sync_type: &str, entity: &str) -> Value {
    reply(
        app,
        &format!("sync_apply('{sync_type}', '{entity}', include_deleted => true, allow_mass_delete => true)"),
    )
}

#[track_caller]
fn reply(app: &mut Bound, call: &str) -> Value {
    serde_json::from_str(&app.text(call)).unwrap()
}

/// Created, updated, deleted, kept.
fn counts(done: &Value) -> [i64; 4] {
    ["created", "updated", "deleted", "kept"].map(|name| done[name].as_i64().unwrap())
}

/// New, updated, deleted, ambiguous.
#[track_caller]
fn delta(app: &mut Bound, sync_type: &str, entity: &str) -> [i64; 4] {
    ["new", "updated", "deleted", "ambiguous"].map(|class| {
        let count =
            format!("SELECT count(*) FROM compute_delta('{sync_type}', '{entity}') WHERE change = '{class}'");
        app.text(&count).parse().unwrap()
    })
}

#[test]
fn two_shops_and_an_erp_with_the_same_numbers_keep_their_orders_apart() {
    let mut app = three("");
    for entity in ["orders", "sales"] {
        let names: &[&str] = match entity {
            "orders" => &["woocommerce", "outlet", "erp"],
            _ => &["erp"],
        };
        for name in names {
            app.remote_of(name, entity, &orders(1, name));
        }
        for name in names {
            assert_eq!(counts(&apply(&mut app, name, entity)), [3, 0, 0, 0], "{name}");
        }
        for name in names {
            assert_eq!(delta(&mut app, name, entity), [0; 4], "{name}");
            assert_eq!(app.text(&format!("SELECT string_agg(number, ' ' ORDER BY number) FROM sync_{entity} WHERE sync_type = '{name}' AND status = '{name}'")),
                "1001 1002 1003");
        }
    }
    // each goes its own way
    app.remote_of("outlet", "orders", &orders(2, "shipped"));
    assert_eq!(counts(&apply(&mut app, "outlet", "orders")), [1, 2, 0, 0]);
    for name in ["woocommerce", "erp"] {
        assert_eq!(delta(&mut app, name, "orders"), [0; 4], "{name}");
    }
    assert_eq!(app.drift("orders"), "");
}

#[test]
fn an_order_of_the_apps_own_is_whose_that_takes_it_first() {
    let mut app = three("INSERT INTO sync_orders (number, status) VALUES ('1001', 'mine'), ('1002', 'mine')");
    app.remote_of("outlet", "orders", &orders(1, "o"));
    app.remote_of("woocommerce", "orders", &orders(1, "w"));
    assert_eq!(delta(&mut app, "outlet", "orders"), [1, 2, 0, 0]);
    assert_eq!(delta(&mut app, "woocommerce", "orders"), [3, 0, 0, 0]);
    assert_eq!(counts(&apply(&mut app, "woocommerce", "orders")), [3, 0, 0, 0]);
    assert_eq!(counts(&apply(&mut app, "outlet", "orders")), [1, 2, 0, 0]);
    assert_eq!(delta(&mut app, "woocommerce", "orders"), [0; 4]);
    assert_eq!(
        app.text("SELECT string_agg(number || sync_type, ' ' ORDER BY number, sync_type) FROM sync_orders"),
        "1001outlet 1001woocommerce 1002outlet 1002woocommerce 1003outlet 1003woocommerce"
    );
    assert_eq!(app.drift("orders"), "");
}

/// The trigger's short way compares keys as they stand.
#[test]
fn an_order_that_the_app_gives_to_another_connector_is_matched_there() {
    let mut app =
        three("INSERT INTO sync_orders (number, status, sync_type) VALUES ('1001', 'mine', 'outlet')");
    app.remote_of("woocommerce", "orders", &orders(1, "w"));
    assert_eq!(delta(&mut app, "woocommerce", "orders"), [3, 0, 0, 0]);
    for (to, new) in [("''", 2), ("'outlet'", 2), ("'woocommerce'", 2), ("NULL", 2)] {
        app.run(&format!("UPDATE sync_orders SET sync_type = {to}"));
        assert_eq!(
            delta(&mut app, "woocommerce", "orders")[0],
            new,
            "{to}: a link stays"
        );
        assert_eq!(app.drift("orders"), "", "{to}");
    }
    app.run("DELETE FROM sync_orders; INSERT INTO sync_orders (number, sync_type) VALUES ('1002', 'nobody')");
    assert_eq!(delta(&mut app, "woocommerce", "orders"), [3, 0, 0, 0]);
    app.run("UPDATE sync_orders SET sync_type = 'woocommerce'");
    assert_eq!(delta(&mut app, "woocommerce", "orders"), [2, 1, 0, 0]);
    assert_eq!(app.drift("orders"), "");
}

const SALES: &str = "CREATE TABLE crm.bills (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, no text, state text, source text);";

/// A table without such a column has the ledger alone to tell by.
#[test]
fn a_bound_table_is_shared_with_and_without_a_column_for_the_connector() {
    for (column, bind_again) in [(r#", "sync_type": "source""#, [0; 4]), ("", [0, 0, 0, 3])] {
        for tracking in ["trigger", "scan"] {
            let mut app = three(SALES);
            let bind = format!(
                "SELECT sync_bind('orders', 'bills', '{{\"number\": \"no\", \"status\": \"state\"{column}}}', '{{id}}', tracking => '{tracking}')"
            );
            app.run(&bind);
            for name in ["woocommerce", "outlet"] {
                app.remote_of(name, "orders", &orders(1, name));
            }
            for name in ["woocommerce", "outlet"] {
                assert_eq!(
                    counts(&apply(&mut app, name, "orders")),
                    [3, 0, 0, 0],
                    "{name}{column}"
                );
            }
            for name in ["woocommerce", "outlet"] {
                assert_eq!(delta(&mut app, name, "orders"), [0; 4], "{name}{column}");
            }
            if tracking == "trigger" {
                assert_eq!(app.drift("orders"), "");
            }
            // where links are made anew, the column is what is left to tell by, and nothing is guessed
            app.run(&format!("SELECT sync_unbind('orders'); {bind}"));
            for name in ["woocommerce", "outlet"] {
                assert_eq!(delta(&mut app, name, "orders"), bind_again, "{name}{column}");
            }
        }
    }
}

#[test]
fn two_who_match_the_same_order_at_once_do_so_one_after_the_other() {
    let mut app = three("INSERT INTO sync_orders (number) SELECT '100' || n FROM generate_series(1, 3) n");
    // as two pulls leave it, before either matches
    for name in ["woocommerce", "outlet"] {
        let put = "SELECT sync_upsert_remote($1, c.number, 3::smallint, '{1,2,3}', '{NULL,NULL,NULL}', '{1001,1002,1003}',
                    ARRAY[gen_random_uuid(), gen_random_uuid(), gen_random_uuid()], '{NULL,NULL,NULL}', '{\"{}\",\"{}\",\"{}\"}')
                   FROM integration_connector c WHERE c.org_id = $1 AND c.name = $2";
        app.root.execute(put, &[&app.org, &name]).unwrap();
    }
    let call = |name: &str, org: Uuid| {
        format!("SELECT sync_match('{org}', c.number, 3::smallint) FROM integration_connector c WHERE c.name = '{name}'")
    };
    let (mut first, mut second) = (app.db.client(), app.db.client());
    first.batch_execute("BEGIN").unwrap();
    assert_eq!(text(&mut first, &call("woocommerce", app.org)), "3");
    let waits = call("outlet", app.org);
    let other = thread::spawn(move || text(&mut second, &waits));
    wait_until(PATIENCE, || text(&mut app.root, WAITING) == "1");
    first.batch_execute("COMMIT").unwrap();
    assert_eq!(other.join().unwrap(), "0");
    assert_eq!(delta(&mut app, "outlet", "orders"), [3, 0, 0, 0]);
}

#[test]
fn a_removed_shop_gets_its_orders_back_and_another_of_that_name_doesnt() {
    let mut app = three("");
    app.remote_of("outlet", "orders", &orders(1, "o"));
    apply(&mut app, "outlet", "orders");
    app.run("SELECT sync_disconnect('outlet')");
    assert_eq!(
        app.text("SELECT DISTINCT sync_type FROM sync_orders"),
        "outlet.example (removed)"
    );
    // they are nobody's to match, whoever has the numbers
    app.remote_of("woocommerce", "orders", &orders(1, "w"));
    assert_eq!(delta(&mut app, "woocommerce", "orders"), [3, 0, 0, 0]);
    app.connect("outlet");
    app.remote_of("outlet", "orders", &orders(1, "o"));
    assert_eq!(delta(&mut app, "outlet", "orders"), [0; 4]);
    assert_eq!(app.text("SELECT DISTINCT sync_type FROM sync_orders"), "outlet");

    app.run("SELECT sync_disconnect('outlet')");
    app.root
        .execute("UPDATE sync_orders SET sync_type = 'other.example (removed)' WHERE sync_type = 'outlet.example (removed)'", &[])
        .unwrap();
    app.connect("outlet");
    app.remote_of("outlet", "orders", &orders(1, "o"));
    assert_eq!(delta(&mut app, "outlet", "orders"), [3, 0, 0, 0]);
}

fn people(names: &[&str]) -> Value {
    let one = |name: &&str| json!({ "id": format!("{name}-id"), "email": format!("{name}@x.org"), "first_name": name, "billing_city": "Bath" });
    names.iter().map(one).collect()
}

fn gone(app: &mut Bound, sync_type: &str, name: &str) {
    let sql = "SELECT sync_mark_gone($1, c.number, 1::smallint, ARRAY[$3::text]) FROM integration_connector c WHERE c.org_id = $1 AND c.name = $2";
    app.root
        .execute(sql, &[&app.org, &sync_type, &format!("{name}-id")])
        .unwrap();
}

#[test]
fn customers_are_shared_and_a_preview_names_who_else_has_them_otherwise() {
    let mut app = three("");
    app.remote(&people(&["ada", "bob"]));
    apply(&mut app, "woocommerce", "customers");
    app.remote_of("outlet", "customers", &people(&["ada", "eve"]));
    assert_eq!(delta(&mut app, "outlet", "customers"), [1, 0, 0, 0]);
    let updated = |app: &mut Bound, name: &str| {
        reply(
            app,
            &format!("detect_customer_delta('{name}') #> '{{delta,updated}}'"),
        )
    };
    assert_eq!(updated(&mut app, "outlet").get("sharedWith"), None);
    let mut moved = people(&["ada", "eve"]);
    moved[0]["billing_city"] = json!("York");
    app.remote_of("outlet", "customers", &moved);
    let told = updated(&mut app, "outlet");
    assert_eq!(
        (&told["count"], &told["sharedWith"]),
        (&json!(1), &json!({ "woocommerce": 1 }))
    );
    apply(&mut app, "outlet", "customers");
    // there and back again: the other one has it as it was
    assert_eq!(
        updated(&mut app, "woocommerce")["sharedWith"],
        json!({ "outlet": 1 })
    );
    app.run("UPDATE sync_customers SET billing_city = 'Hull' WHERE email = 'bob@x.org'");
    let told = updated(&mut app, "woocommerce");
    assert_eq!(
        (&told["count"], &told["sharedWith"]),
        (&json!(2), &json!({ "outlet": 1 }))
    );
}

#[test]
fn what_is_gone_from_one_shop_stays_while_another_has_it() {
    let mut app = three("");
    for name in ["woocommerce", "outlet"] {
        app.remote_of(name, "customers", &people(&["ada", "bob", name]));
        apply(&mut app, name, "customers");
    }
    assert_eq!(app.text("SELECT count(*) FROM sync_customers"), "4");
    for name in ["ada", "woocommerce"] {
        gone(&mut app, "woocommerce", name);
    }
    assert_eq!(delta(&mut app, "woocommerce", "customers"), [0, 0, 2, 0]);
    let done = apply(&mut app, "woocommerce", "customers");
    assert_eq!(
        (counts(&done), &done["status"]),
        ([0, 0, 1, 1], &json!("completed")),
        "{done}"
    );
    assert_eq!(
        app.text("SELECT string_agg(first_name, ' ' ORDER BY first_name) FROM sync_customers"),
        "ada bob outlet"
    );
    for name in ["woocommerce", "outlet"] {
        assert_eq!(delta(&mut app, name, "customers"), [0; 4], "{name}");
    }
    // the last one takes it along
    gone(&mut app, "outlet", "ada");
    assert_eq!(counts(&apply(&mut app, "outlet", "customers")), [0, 0, 1, 0]);
    assert_eq!(
        app.text("SELECT string_agg(first_name, ' ' ORDER BY first_name) FROM sync_customers"),
        "bob outlet"
    );
    assert_eq!(app.drift("customers"), "");
}

#[test]
fn a_mirror_deletes_nothing_that_another_connector_has() {
    let mut app = three("INSERT INTO sync_customers (email) VALUES ('nobody@x.org')");
    let mirror = "UPDATE integration_connector SET settings = '{\"deleted_scope\": \"all\"}' WHERE name = 'woocommerce'";
    app.root.execute(mirror, &[]).unwrap();
    app.remote(&people(&["ada"]));
    app.remote_of("outlet", "customers", &people(&["bob"]));
    app.remote_of("outlet", "orders", &orders(1, "o"));
    apply(&mut app, "woocommerce", "customers");
    assert_eq!(
        app.text("SELECT count(*) FROM sync_customers"),
        "1",
        "nobody is gone"
    );
    for (entity, detect) in [
        ("customers", "detect_customer_delta"),
        ("orders", "detect_order_delta"),
    ] {
        apply(&mut app, "outlet", entity);
        let preview = reply(
            &mut app,
            &format!("{detect}('woocommerce') #> '{{delta,deleted}}'"),
        );
        assert_eq!(preview, json!({ "count": 0, "records": [] }), "{entity}");
        assert_eq!(
            counts(&apply(&mut app, "woocommerce", entity)),
            [0; 4],
            "{entity}"
        );
    }
    assert_eq!(app.text("SELECT count(*) FROM sync_customers"), "2");
    assert_eq!(app.text("SELECT count(*) FROM sync_orders"), "3");
}

#[test]
fn an_undo_restores_a_link_that_ended() {
    let mut app = three("");
    for name in ["woocommerce", "outlet"] {
        app.remote_of(name, "customers", &people(&["ada", "bob"]));
        apply(&mut app, name, "customers");
    }
    for name in ["ada", "bob"] {
        gone(&mut app, "woocommerce", name);
    }
    let links = "SELECT string_agg(concat_ws(' ', external_id, match_key, remote ->> 'first_name', change), ', ' ORDER BY external_id)
                 FROM sync_record r JOIN integration_connector i ON i.number = r.connector AND i.name = 'woocommerce'
                 WHERE r.external_id IS NOT NULL";
    let before = text(&mut app.root, links);
    let done = apply(&mut app, "woocommerce", "customers");
    assert_eq!(counts(&done), [0, 0, 0, 2], "{done}");
    assert_eq!(text(&mut app.root, links), "");
    // one of them has come back meanwhile, and found its row by itself
    app.remote(&people(&["bob"]));
    let undone = reply(
        &mut app,
        &format!("sync_undo({})", done["historyId"].to_string().replace('"', "'")),
    );
    assert_eq!(
        [
            &undone["relinked"],
            &undone["refused"],
            &undone["removed"],
            &undone["restored"]
        ],
        [&json!(1), &json!(1), &json!(0), &json!(0)],
        "{undone}"
    );
    let after = text(&mut app.root, links);
    let ada = before.split(", ").next().unwrap();
    assert!(
        ada.ends_with("deleted") && after.starts_with(ada),
        "{before} / {after}"
    );
    assert_eq!(delta(&mut app, "woocommerce", "customers"), [0, 0, 1, 0]);
    assert_eq!(app.drift("customers"), "");
}

#[test]
fn documents_of_others_are_neither_unlinked_nor_a_mirrors() {
    let mut app = three("INSERT INTO sync_orders (number) VALUES ('77'), (NULL)");
    app.remote_of("outlet", "orders", &orders(1, "o"));
    apply(&mut app, "outlet", "orders");
    let unlinked = |app: &mut Bound, name: &str| {
        app.text(&format!("SELECT detect_order_delta('{name}') ->> 'unlinked'"))
    };
    for (name, own) in [("woocommerce", "2"), ("outlet", "2"), ("erp", "2")] {
        assert_eq!(unlinked(&mut app, name), own, "{name}");
    }
    // nor when the other one's link has ended
    app.root
        .batch_execute("UPDATE sync_record SET external_id = NULL, remote_fingerprint = NULL, match_key = NULL, remote = NULL WHERE entity = 3")
        .unwrap();
    assert_eq!(unlinked(&mut app, "woocommerce"), "2");
    assert_eq!(unlinked(&mut app, "outlet"), "5");
    let mirror = "UPDATE integration_connector SET settings = '{\"deleted_scope\": \"all\"}' WHERE name = 'woocommerce'";
    app.root.execute(mirror, &[]).unwrap();
    let done = apply(&mut app, "woocommerce", "orders");
    assert_eq!(counts(&done), [0, 0, 2, 0], "{done}");
    assert_eq!(app.text("SELECT count(*) FROM sync_orders"), "3");
}

#[test]
fn systems_of_two_kinds_differ_where_a_field_of_both_does() {
    let mut app = three("");
    app.remote(&people(&["ada"]));
    apply(&mut app, "woocommerce", "customers");
    // an ERP has fields that a shop lacks, and lacks others
    let mut there = people(&["ada"]);
    there[0]["tax_number"] = json!("ATU1");
    app.remote_of("erp", "customers", &there);
    app.run("UPDATE sync_customers SET tax_number = 'ATU1', name = 'Z', billing_company = 'only the shop compares it'");
    let shared = |app: &mut Bound, name: &str| {
        app.text(&format!(
            "SELECT coalesce(detect_customer_delta('{name}') #>> '{{delta,updated,sharedWith}}', 'nobody')"
        ))
    };
    for name in ["woocommerce", "erp"] {
        assert_eq!(delta(&mut app, name, "customers"), [0, 1, 0, 0], "{name}");
        assert_eq!(shared(&mut app, name), "nobody", "{name}");
    }
    there[0]["name"] = json!("Ada Countess");
    app.remote_of("erp", "customers", &there);
    assert_eq!(shared(&mut app, "woocommerce"), r#"{"erp": 1}"#);
    assert_eq!(shared(&mut app, "erp"), r#"{"woocommerce": 1}"#);
}
