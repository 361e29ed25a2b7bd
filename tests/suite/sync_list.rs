//! Sync lists and history as tables: what apps write, what is refused, and when an item is due.

use serde_json::json;
use sync_ext_tests::{sqlstate, TestDb};

use crate::contract_app::text;
use crate::patterns::Ledger;

const ITEM: &str =
    "INSERT INTO sync_list (item_type, source_platform, source_id) VALUES ('product', 'woocommerce', '11')";

#[test]
fn an_app_leaves_out_what_has_a_default() {
    let mut ledger = Ledger::new();
    ledger
        .sql
        .batch_execute("SET app.current_user_id = 'ada'")
        .unwrap();
    ledger.sql.batch_execute(ITEM).unwrap();
    let row = "SELECT concat_ws(' ', user_id, item_type, entity_type, target_platform, sync_mode, is_active, priority, attempts, metadata,
                                next_due_at <= now(), org_id = sync_current_org(), last_sync_status, last_outcome) FROM sync_list";
    assert_eq!(
        text(&mut ledger.sql, row),
        "ada product products local delta t 0 0 {} t t pending"
    );
    ledger
        .sql
        .batch_execute(
            "INSERT INTO sync_list (org_id, user_id, item_type, source_platform, target_platform, source_id, sync_mode, is_active, priority, metadata)
             VALUES (sync_current_org(), 'bob', 'Customers ', 'LOCAL', 'woocommerce', 'b0f2', 'full', false, 5, '{\"note\": 1}')",
        )
        .unwrap();
    assert_eq!(
        text(
            &mut ledger.sql,
            "SELECT concat_ws(' ', item_type || entity_type, source_platform) FROM sync_list WHERE user_id = 'bob'"
        ),
        "Customers customers local"
    );
    // the same item of the same user goes to a target once, however its type is spelt
    assert_eq!(sqlstate(ledger.sql.batch_execute(ITEM)), "23505");
    assert_eq!(
        sqlstate(ledger.sql.batch_execute(&ITEM.replace("'product'", "'Products'"))),
        "23505"
    );
    // its stock alone is another item
    ledger
        .sql
        .batch_execute(&ITEM.replace("'product'", "'inventory'"))
        .unwrap();
    assert_eq!(
        text(
            &mut ledger.sql,
            "SELECT concat_ws(' ', item_type, entity_type) FROM sync_list WHERE is_stock"
        ),
        "inventory products"
    );
    ledger
        .sql
        .batch_execute(&format!("SET app.current_user_id = 'eve'; {ITEM}"))
        .unwrap();
}

#[test]
fn what_is_wrong_with_an_item_is_said() {
    let mut ledger = Ledger::new();
    for (columns, values, state, told) in [
        ("item_type", "'gadgets'", "22023", "unknown item type \"gadgets\""),
        ("source_platform", "'odoo'", "42704", "no connector \"odoo\""),
        (
            "item_type",
            "'transfer'",
            "22023",
            "a connector of kind \"woocommerce\" has no transfers",
        ),
        (
            "target_platform",
            "'shopify'",
            "42704",
            "no connector \"shopify\"",
        ),
        (
            "target_platform",
            "'woocommerce'",
            "22023",
            "source and target are both \"woocommerce\"",
        ),
        (
            "time_zone",
            "'Mars/Olympus'",
            "22023",
            "unknown time zone \"Mars/Olympus\"",
        ),
        (
            "filter_config",
            "'{\"colour\": 1}'",
            "22023",
            "unknown filter \"colour\"",
        ),
        (
            "filter_config",
            "'{\"email\": \"a@b.c\"}'",
            "22023",
            "filter \"email\" does not apply to products",
        ),
        ("sync_mode", "'sometimes'", "23514", ""),
        ("schedule_interval", "'10 seconds'", "23514", ""),
        ("business_days", "'{0}'", "23514", ""),
        ("business_days", "'{}'", "23514", ""),
        ("business_hours_start", "'09:00'", "23514", ""),
        ("source_id", "''", "23514", ""),
    ] {
        let mut item =
            json!({ "item_type": "'product'", "source_platform": "'woocommerce'", "source_id": "'1'" });
        item[columns] = values.into();
        let item = item.as_object().unwrap();
        let names: Vec<&str> = item.keys().map(String::as_str).collect();
        let given: Vec<&str> = item.values().map(|v| v.as_str().unwrap()).collect();
        let insert = format!(
            "INSERT INTO sync_list ({}) VALUES ({})",
            names.join(", "),
            given.join(", ")
        );
        let error = ledger.sql.batch_execute(&insert).unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), state, "{insert}: {error:?}");
        assert!(error.message().starts_with(told), "{insert}: {error:?}");
    }
    ledger.sql.batch_execute(ITEM).unwrap();
    let update = ledger
        .sql
        .batch_execute("UPDATE sync_list SET time_zone = 'nowhere'");
    assert_eq!(sqlstate(update), "22023");
}

#[test]
fn an_item_is_of_what_its_connectors_have() {
    let mut ledger = Ledger::new();
    let from = "INSERT INTO sync_list (item_type, source_platform, source_id) VALUES ('transfer', 'woocommerce', '1')";
    let to = "INSERT INTO sync_list (item_type, source_platform, target_platform, source_id) VALUES ('warehouses', 'local', 'woocommerce', '1')";
    for refused in [from, to] {
        let error = ledger.sql.batch_execute(refused).unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "22023", "{refused}");
        assert_eq!(
            error.hint(),
            Some("Its entity types: categories, products, customers, orders.")
        );
    }
    // what is connected later is written switched off, and checked when it is switched on
    ledger
        .sql
        .batch_execute(
            &to.replace("item_type,", "is_active, item_type,")
                .replace("('ware", "(false, 'ware")
                .replace("'woocommerce'", "'erp'"),
        )
        .unwrap();
    let switch = "UPDATE sync_list SET is_active = true";
    assert_eq!(sqlstate(ledger.sql.batch_execute(switch)), "42704");
    ledger
        .sql
        .batch_execute("UPDATE sync_list SET target_platform = 'woocommerce'")
        .unwrap();
    assert_eq!(sqlstate(ledger.sql.batch_execute(switch)), "22023");
    ledger
        .sql
        .batch_execute(&format!("UPDATE sync_list SET item_type = 'inventory'; {switch}"))
        .unwrap();
}

#[test]
fn an_item_is_due_within_its_business_hours() {
    let db = TestDb::new();
    // 2026-11-20 is a Friday; Berlin is an hour ahead in winter, two in summer
    let due = |at: &str, hours: &str, days: &str| {
        db.psql(&format!(
            "SET timezone = 'UTC'; SELECT to_char(sync_next_due('{at}', {hours}, {days}, 'Europe/Berlin'), 'Dy YYYY-MM-DD HH24:MI')"
        ))
    };
    let (day, night, any) = ("'09:00', '17:00'", "'22:00', '06:00'", "NULL, NULL");
    let week = "'{1,2,3,4,5}'";
    for (at, hours, days, expected) in [
        ("2026-11-20 10:00+00", any, "NULL", "Fri 2026-11-20 10:00"),
        ("2026-11-20 10:00+00", day, week, "Fri 2026-11-20 10:00"),
        ("2026-11-20 07:59+00", day, week, "Fri 2026-11-20 08:00"),
        ("2026-11-20 16:00+00", day, week, "Mon 2026-11-23 08:00"),
        ("2026-11-21 10:00+00", day, "NULL", "Sat 2026-11-21 10:00"),
        ("2026-11-21 10:00+00", any, week, "Sun 2026-11-22 23:00"),
        ("2026-07-01 10:00+00", day, "'{1}'", "Mon 2026-07-06 07:00"),
        ("2026-11-20 10:00+00", night, "NULL", "Fri 2026-11-20 21:00"),
        // Saturday morning still belongs to Friday's night
        ("2026-11-21 03:00+00", night, "'{5}'", "Sat 2026-11-21 03:00"),
        ("2026-11-21 05:00+00", night, "'{5}'", "Fri 2026-11-27 21:00"),
        // the night in which clocks go forward: half past two doesn't exist
        (
            "2026-03-29 00:00+00",
            "'02:30', '05:00'",
            "NULL",
            "Sun 2026-03-29 01:30",
        ),
    ] {
        assert_eq!(due(at, hours, days), expected, "{at} {hours} {days}");
    }
}

#[test]
fn a_changed_schedule_is_followed_from_now_on() {
    let mut ledger = Ledger::new();
    ledger.sql.batch_execute(ITEM).unwrap();
    ledger
        .sql
        .batch_execute("UPDATE sync_list SET attempts = 3, next_due_at = now() + interval '1 day', source_fingerprint = gen_random_uuid(), target_id = 'x'")
        .unwrap();
    let due = "SELECT concat_ws(' ', next_due_at <= now(), attempts, target_id) FROM sync_list";
    assert_eq!(text(&mut ledger.sql, due), "f 3 x");
    ledger
        .sql
        .batch_execute("UPDATE sync_list SET schedule_interval = '5 minutes'")
        .unwrap();
    assert_eq!(text(&mut ledger.sql, due), "t 0 x");
    // another item: what was found out of the old one is forgotten
    ledger
        .sql
        .batch_execute("UPDATE sync_list SET source_id = '12'")
        .unwrap();
    assert_eq!(
        text(
            &mut ledger.sql,
            "SELECT num_nulls(target_id, source_fingerprint) FROM sync_list"
        ),
        "2"
    );
    ledger
        .sql
        .batch_execute("UPDATE sync_list SET schedule_interval = NULL")
        .unwrap();
    assert_eq!(
        text(&mut ledger.sql, "SELECT next_due_at IS NULL FROM sync_list"),
        "t"
    );
}

#[test]
fn an_item_carries_fields_that_its_type_has() {
    let mut ledger = Ledger::new();
    let insert = |item: &str, fields: &str| {
        format!("INSERT INTO sync_list (item_type, source_platform, source_id, fields) VALUES ('{item}', 'woocommerce', '11', '{fields}')")
    };
    for (item, fields, state, told) in [
        (
            "product",
            "{email}",
            "22023",
            "an item of type \"product\" has no field \"email\"",
        ),
        (
            "product",
            "{sku,NULL}",
            "22023",
            "an item of type \"product\" has no field \"\"",
        ),
        (
            "inventory",
            "{price}",
            "22023",
            "an item of type \"inventory\" has no field \"price\"",
        ),
        (
            "product",
            "{custom.shelf}",
            "22023",
            "field \"custom.shelf\" is not mapped for this item",
        ),
    ] {
        let error = ledger.sql.batch_execute(&insert(item, fields)).unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!((error.code().code(), error.message()), (state, told));
    }
    assert_eq!(
        sqlstate(ledger.sql.batch_execute(&insert("product", "{}"))),
        "23514"
    );
    ledger
        .sql
        .batch_execute("SELECT sync_map('woocommerce', 'products', 'shelf', 'shelf', 'number')")
        .unwrap();
    ledger
        .sql
        .batch_execute(&insert("product", "{price,custom.shelf}"))
        .unwrap();
    // what is chosen now was never written
    ledger
        .sql
        .batch_execute("UPDATE sync_list SET source_fingerprint = gen_random_uuid()")
        .unwrap();
    ledger
        .sql
        .batch_execute("UPDATE sync_list SET fields = '{price,name}'")
        .unwrap();
    assert_eq!(
        text(
            &mut ledger.sql,
            "SELECT num_nulls(source_fingerprint) FROM sync_list"
        ),
        "1"
    );
}

#[test]
fn an_item_is_due_as_planned_whenever_it_was_carried_out() {
    let mut ledger = Ledger::new();
    ledger.sql.batch_execute(ITEM).unwrap();
    let settle = |ledger: &mut Ledger, status: &str| {
        ledger
            .root
            .batch_execute(&format!(
                "SELECT sync_list_settle(org_id, jsonb_build_array(jsonb_build_object('id', id, 'status', '{status}'))) FROM sync_list"
            ))
            .unwrap();
    };
    let due = |ledger: &mut Ledger| {
        let due = "SELECT concat_ws(' ', round(extract(epoch FROM next_due_at - now()) / 60), round(extract(epoch FROM planned_at - now()) / 60)) FROM sync_list";
        text(&mut ledger.sql, due)
    };
    let late = |ledger: &mut Ledger, minutes: i32, interval: &str| {
        ledger
            .sql
            .batch_execute(&format!(
                "UPDATE sync_list SET schedule_interval = '{interval}';
                 UPDATE sync_list SET next_due_at = now() - interval '{minutes} minutes'"
            ))
            .unwrap();
    };
    // one that was carried out ten minutes late, one that missed four of its times, one that was called for too soon
    for (minutes, interval, next) in [
        (10, "1 hour", "50"),
        (250, "1 hour", "50"),
        (-20, "1 hour", "20"),
        (1440, "7 days", "8640"),
    ] {
        late(&mut ledger, minutes, interval);
        settle(&mut ledger, "updated");
        assert_eq!(due(&mut ledger), next, "{minutes} {interval}");
    }
    // a failure repeats it soon, and doesn't shift the plan
    late(&mut ledger, 10, "1 hour");
    settle(&mut ledger, "failed");
    assert_eq!(due(&mut ledger), "1 -10");
    settle(&mut ledger, "failed");
    assert_eq!(due(&mut ledger), "2 -10");
    settle(&mut ledger, "unchanged");
    assert_eq!(due(&mut ledger), "50");
    // far in the past, and by months
    for (planned, every) in [
        ("now() - interval '5000 years'", "1 minute"),
        ("now() - interval '3000 years'", "1 month"),
        ("timestamp '2020-01-31'", "1 month"),
    ] {
        let next = format!(
            "SELECT n > clock_timestamp() AND n <= clock_timestamp() + interval '{every}' + interval '3 days' FROM sync_planned_next({planned}, '{every}') n"
        );
        assert_eq!(text(&mut ledger.root, &next), "t", "{planned} {every}");
    }
    let status = "SELECT concat_ws(' ', last_sync_status, last_outcome) FROM sync_list";
    for (outcome, told) in [
        ("created", "success created"),
        ("skipped", "pending skipped"),
        ("failed", "failed failed"),
    ] {
        settle(&mut ledger, outcome);
        assert_eq!(text(&mut ledger.sql, status), told);
    }
}

#[test]
fn a_connector_that_goes_switches_its_items_off() {
    let mut ledger = Ledger::new();
    ledger.sql.batch_execute(ITEM).unwrap();
    ledger
        .sql
        .batch_execute("SELECT sync_disconnect('woocommerce')")
        .unwrap();
    let row = "SELECT concat_ws(' ', is_active, error_message) FROM sync_list";
    assert_eq!(
        text(&mut ledger.sql, row),
        "f the connector \"woocommerce\" was removed"
    );
    // still an app's to edit, but not to switch on
    ledger
        .sql
        .batch_execute("UPDATE sync_list SET time_zone = 'Europe/Berlin'")
        .unwrap();
    assert_eq!(
        sqlstate(ledger.sql.batch_execute("UPDATE sync_list SET is_active = true")),
        "42704"
    );
}

#[test]
fn a_pattern_fills_the_list_once() {
    let mut ledger = Ledger::new();
    for n in 1..=30 {
        let status = if n % 3 == 0 { "draft" } else { "publish" };
        ledger.put(
            "products",
            &n.to_string(),
            json!({ "sku": format!("SKU-{n}"), "name": format!("Product {n}"), "status": status }),
        );
    }
    ledger
        .sql
        .batch_execute("INSERT INTO sync_products (sku) VALUES ('SKU-1'), ('SKU-2')")
        .unwrap();
    ledger
        .root
        .batch_execute("SELECT sync_match(org_id, number, 2::smallint) FROM integration_connector")
        .unwrap();
    let id = ledger.pattern(&json!({ "status": "publish" }));
    let add = format!("SELECT sync_list_add_from_pattern('{id}', 'woocommerce', 'product')");
    assert_eq!(text(&mut ledger.sql, &add), "20");
    assert_eq!(text(&mut ledger.sql, &add), "0");
    let linked = "SELECT string_agg(source_id, ' ' ORDER BY source_id) FROM sync_list l
                  JOIN sync_products p ON p.id::text = l.target_id AND p.sku = 'SKU-' || l.source_id";
    assert_eq!(text(&mut ledger.sql, linked), "1 2");
    assert_eq!(
        text(
            &mut ledger.sql,
            "SELECT DISTINCT metadata ->> 'patternName' FROM sync_list"
        ),
        "a pattern"
    );
    let told = "SELECT metadata - 'patternId' FROM sync_list WHERE source_id = '1'";
    assert_eq!(
        text(&mut ledger.sql, told),
        r#"{"sku": "SKU-1", "name": "Product 1", "filter": {"status": "publish"}, "patternName": "a pattern"}"#
    );
    // what turns up later is added, what is there stays as it is
    ledger
        .sql
        .batch_execute("UPDATE sync_list SET priority = 7")
        .unwrap();
    ledger.put("products", "31", json!({ "sku": "SKU-31", "status": "publish" }));
    assert_eq!(text(&mut ledger.sql, &add), "1");
    assert_eq!(
        text(
            &mut ledger.sql,
            "SELECT count(*) FROM sync_list WHERE priority = 7"
        ),
        "20"
    );
    // another user's list is another list
    ledger
        .sql
        .batch_execute("SET app.current_user_id = 'bob'")
        .unwrap();
    assert_eq!(text(&mut ledger.sql, &add), "21");
    let to_itself = format!("SELECT sync_list_add_from_pattern('{id}', 'woocommerce', 'products', target_platform => 'woocommerce')");
    assert_eq!(sqlstate(ledger.sql.batch_execute(&to_itself)), "22023");
}

#[test]
fn items_are_an_organisations_own_and_tell_nothing_of_others() {
    let mut ledger = Ledger::new();
    ledger.sql.batch_execute(ITEM).unwrap();
    let other = ledger.db.org();
    let stranger = ledger.db.role("operate", other);
    let mut stranger = ledger.db.connect_as(&stranger, other);
    assert_eq!(text(&mut stranger, "SELECT count(*) FROM sync_list"), "0");
    // whether the other organisation has such a connector is not told
    for platform in ["woocommerce", "nothing"] {
        let insert = format!(
            "INSERT INTO sync_list (org_id, item_type, source_platform, source_id) VALUES ('{}', 'products', '{platform}', '1')",
            ledger.org
        );
        let error = stranger.batch_execute(&insert).unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "42501");
        assert_eq!(
            error.message(),
            "new row violates row-level security policy for table \"sync_list\""
        );
    }
    let reader = ledger.db.role("read", ledger.org);
    let mut reader = ledger.db.connect_as(&reader, ledger.org);
    assert_eq!(text(&mut reader, "SELECT count(*) FROM sync_list"), "1");
    assert_eq!(sqlstate(reader.batch_execute(ITEM)), "42501");
    assert_eq!(
        sqlstate(reader.batch_execute("UPDATE sync_list SET is_active = false")),
        "42501"
    );
}

#[test]
fn history_is_read_only_and_kept_as_long_as_it_is_told() {
    let mut ledger = Ledger::new();
    ledger.db.set("sync_ext.history_retention", "3 months");
    ledger
        .root
        .execute(
            "INSERT INTO sync_history (org_id, sync_type, status, created_at)
             SELECT $1, 'manual', 'completed', now() - make_interval(months => n) FROM generate_series(0, 5) n",
            &[&ledger.org],
        )
        .unwrap();
    assert_eq!(text(&mut ledger.sql, "SELECT count(*) FROM sync_history"), "6");
    let mut app = ledger.db.connect_as(&ledger.role, ledger.org);
    assert_eq!(text(&mut app, "SELECT sync_maintain() ->> 'historyDeleted'"), "3");
    assert_eq!(text(&mut app, "SELECT count(*) FROM sync_history"), "3");
    // an app adds its own, and changes none
    app.batch_execute("INSERT INTO sync_history (sync_type, status) VALUES ('manual', 'completed')")
        .unwrap();
    for change in [
        "UPDATE sync_history SET status = 'failed'",
        "DELETE FROM sync_history",
    ] {
        assert_eq!(sqlstate(app.batch_execute(change)), "42501", "{change}");
    }
    let undo = "SELECT sync_undo(id) FROM sync_history ORDER BY created_at DESC LIMIT 1";
    assert_eq!(sqlstate(app.batch_execute(undo)), "42704");
    let forged = ledger.root.batch_execute(
        "INSERT INTO sync_history (org_id, sync_type, status) VALUES (gen_random_uuid(), 'manual', 'great')",
    );
    assert_eq!(sqlstate(forged), "23514");
    let other = ledger.db.org();
    let stranger = ledger.db.role("read", other);
    assert_eq!(
        text(
            &mut ledger.db.connect_as(&stranger, other),
            "SELECT count(*) FROM sync_history"
        ),
        "0"
    );
}
