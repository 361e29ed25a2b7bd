//! Custom fields: taken by path from what a shop or an ERP keeps beside its own fields, and compared.

use serde_json::{json, Value};
use sync_ext_tests::sqlstate;

use crate::bound::{connect, text, Bound};

/// `[local, remote]` of each field that differs, by field.
fn changes(app: &mut Bound, connector: &str) -> Value {
    let rows = app.text(&format!(
        "SELECT coalesce(jsonb_object_agg(f.key, jsonb_build_array(f.value -> 'old', f.value -> 'new')), '{{}}')
         FROM compute_delta('{connector}', 'customers') d, jsonb_each(d.changed_fields) f"
    ));
    serde_json::from_str(&rows).unwrap()
}

#[track_caller]
fn asked(app: &mut Bound, call: &str) -> Value {
    serde_json::from_str(&app.text(&format!("SELECT {call}"))).unwrap()
}

#[test]
fn meta_data_is_compared_with_custom_of_the_built_in_table() {
    let mut app = Bound::new("");
    app.remote(&json!([
        {"id": "1", "email": "a@example.com", "name": "A", "custom": {"_vat_number": "ATU1", "loyalty": {"points": "10.0"}}},
        {"id": "2", "email": "b@example.com", "name": "B"}]));
    app.run(
        r#"INSERT INTO sync_customers (email, name, custom) VALUES
             ('a@example.com', 'A', '{"vat": " ATU1", "points": 10, "unknown": 1}'), ('b@example.com', 'B', NULL)"#,
    );
    assert_eq!(changes(&mut app, "woocommerce"), json!({}));
    let made = asked(
        &mut app,
        "sync_map('woocommerce', 'customer', 'vat', 'meta_data._vat_number')",
    );
    assert_eq!(
        (&made["found"], &made["fullPull"], &made["path"]),
        (&json!(1), &json!(false), &json!("_vat_number"))
    );
    asked(
        &mut app,
        "sync_map('woocommerce', 'customers', 'custom.points', 'loyalty.points', type => 'number')",
    );
    assert_eq!(changes(&mut app, "woocommerce"), json!({}));
    assert_eq!(app.drift("customers"), "");

    app.run(r#"UPDATE sync_customers SET custom = '{"vat": "ATU2", "points": "11"}' WHERE name = 'A'"#);
    let both = json!({"custom.vat": ["ATU2", "ATU1"], "custom.points": [11, 10]});
    assert_eq!(changes(&mut app, "woocommerce"), both);
    assert_eq!(app.drift("customers"), "");
    let gone = asked(&mut app, "sync_unmap('woocommerce', 'customers', 'vat')");
    assert_eq!((&gone["fullPull"], &gone["path"]), (&json!(false), &Value::Null));
    assert_eq!(
        changes(&mut app, "woocommerce"),
        json!({"custom.points": [11, 10]})
    );
    // what comes later is mapped as it comes
    app.remote(
        &json!([{"id": "1", "email": "a@example.com", "name": "A", "custom": {"loyalty": {"points": 11}}}]),
    );
    assert_eq!(changes(&mut app, "woocommerce"), json!({}));
    assert_eq!(app.drift("customers"), "");
}

#[test]
fn each_type_goes_to_a_column_of_its_own() {
    let mut app = Bound::new(
        "CREATE TABLE contacts (id int PRIMARY KEY, mail text, vat_no varchar(20), points numeric(9, 3), vip boolean,
                                since timestamptz, tags jsonb, second text)",
    );
    app.remote(&json!([{"id": "1", "email": "a@example.com", "custom": {
        "_vat": " ATU1 ", "points": "10.50", "vip": "yes", "since": "2026-01-02T03:00:00", "tags": ["a", {"b": 1.0}], "_mail": "B@Example.com"}}]));
    let columns = r#"'{"email": "mail", "custom.vat": "vat_no", "custom.points": "points", "custom.vip": "vip",
                       "custom.since": "since", "custom.labels": "tags", "custom.second": "second"}'"#;
    app.run(&format!(
        r#"INSERT INTO contacts VALUES (1, 'a@example.com', 'ATU1', 10.5, true, '2026-01-02 03:00:00+00', '["a", {{"b": 1}}]', 'b@example.com');
           SELECT sync_bind('customers', 'contacts', {columns}, '{{id}}')"#
    ));
    for (field, path, kind) in [
        ("vat", "_vat", "text"),
        ("points", "points", "number"),
        ("vip", "vip", "boolean"),
        ("since", "since", "timestamp"),
        ("labels", "tags", "json"),
        ("second", "_mail", "email"),
    ] {
        let made = asked(
            &mut app,
            &format!("sync_map('woocommerce', 'customers', '{field}', '{path}', type => '{kind}')"),
        );
        assert_eq!(
            (&made["found"], &made["fullPull"]),
            (&json!(1), &json!(false)),
            "{field}"
        );
        assert_eq!(changes(&mut app, "woocommerce"), json!({}), "{field}");
    }
    assert_eq!(app.drift("customers"), "");
    app.run("UPDATE contacts SET vat_no = NULL, points = 1, vip = false, since = '2026-01-02 03:00:01+00', tags = '[]', second = 'c@example.com'");
    assert_eq!(changes(&mut app, "woocommerce").as_object().unwrap().len(), 6);
    assert_eq!(app.drift("customers"), "");
}

#[test]
fn fields_of_an_odoo_are_mapped_for_that_connector_alone() {
    let mut app = Bound::new("");
    connect(&mut app.root, app.org, "odoo", "odoo");
    app.remote(
        &json!([{"id": "1", "email": "a@example.com", "name": "A", "custom": {"x_studio_vat": "shop"}}]),
    );
    app.remote_of(
        "odoo",
        "customers",
        &json!([
        {"id": "5", "email": "a@example.com", "name": "A", "custom": {"x_studio_vat": "ATU1", "x_level": 3}},
        {"id": "6", "email": "b@example.com", "name": "B", "custom": {"x_studio_vat": false}}]),
    );
    app.run(
        r#"INSERT INTO sync_customers (email, name, custom) VALUES ('a@example.com', 'A', '{"vat": "ATU9"}'), ('b@example.com', 'B', '{"vat": ""}')"#,
    );
    assert_eq!(
        asked(&mut app, "sync_map('odoo', 'customers', 'vat', 'x_studio_vat')")["found"],
        1
    );
    assert_eq!(changes(&mut app, "odoo"), json!({"custom.vat": ["ATU9", "ATU1"]}));
    assert_eq!(changes(&mut app, "woocommerce"), json!({}));
    assert_eq!(app.text("SELECT string_agg(local_id, '') IS NOT NULL FROM compute_delta('odoo', 'customers') WHERE changed_fields ? 'custom.vat'"), "true");
}

#[test]
fn a_known_field_may_come_from_elsewhere_and_go_back_by_a_full_pull() {
    let mut app = Bound::new("");
    app.remote(&json!([{"id": "1", "email": "a@example.com", "name": "A", "custom": {"_vat": "ATU1", "_display": "Shown"}}]));
    app.run("INSERT INTO sync_customers (email, name, tax_number) VALUES ('a@example.com', 'A', 'ATU2')");
    app.root
        .execute(
            "INSERT INTO sync_metadata (org_id, sync_type, data_type, last_sync_timestamp, last_full_at) VALUES ($1, 'woocommerce', 'customers', now(), now())",
            &[&app.org],
        )
        .unwrap();
    let pulled = "SELECT last_sync_timestamp IS NOT NULL AND last_full_at IS NOT NULL FROM sync_metadata";
    // a WooCommerce customer has no tax number of its own, so it wasn't compared
    let made = asked(
        &mut app,
        "sync_map('woocommerce', 'customers', 'tax_number', '_vat')",
    );
    assert_eq!(made["fullPull"], false);
    assert_eq!(
        changes(&mut app, "woocommerce"),
        json!({"tax_number": ["ATU2", "ATU1"]})
    );
    asked(
        &mut app,
        "sync_map('woocommerce', 'customers', 'name', '_display')",
    );
    assert_eq!(
        changes(&mut app, "woocommerce"),
        json!({"tax_number": ["ATU2", "ATU1"], "name": ["A", "Shown"]})
    );
    assert_eq!(text(&mut app.root, pulled), "true");
    // the shop's own name was replaced: only the shop knows it
    assert_eq!(
        asked(&mut app, "sync_unmap('woocommerce', 'customers', 'name')")["fullPull"],
        true
    );
    assert_eq!(text(&mut app.root, pulled), "false");
}

#[test]
fn what_is_compared_is_chosen() {
    let mut app = Bound::new("");
    app.remote(&json!([{"id": "1", "email": "a@example.com", "name": "A", "billing_phone": "1"}]));
    app.run("INSERT INTO sync_customers (email, name) VALUES ('a@example.com', 'Z')");
    assert_eq!(changes(&mut app, "woocommerce").as_object().unwrap().len(), 2);
    asked(
        &mut app,
        "sync_map('woocommerce', 'customers', 'billing_phone', compared => false)",
    );
    assert_eq!(changes(&mut app, "woocommerce"), json!({"name": ["Z", "A"]}));
    asked(
        &mut app,
        "sync_map('woocommerce', 'customers', 'name', compared => false)",
    );
    assert_eq!(changes(&mut app, "woocommerce"), json!({}));
    app.run("UPDATE sync_customers SET name = 'Y', billing_phone = '2'");
    assert_eq!(
        (changes(&mut app, "woocommerce"), app.drift("customers")),
        (json!({}), String::new())
    );
    assert_eq!(
        asked(&mut app, "sync_unmap('woocommerce', 'customers', 'name')")["fullPull"],
        false
    );
    assert_eq!(changes(&mut app, "woocommerce"), json!({"name": ["Y", "A"]}));
    assert_eq!(app.drift("customers"), "");
}

#[test]
fn all_that_was_added_is_compared_as_one() {
    let mut app = Bound::new("CREATE TABLE contacts (id int PRIMARY KEY, mail text, meta jsonb)");
    let added = json!({"_vat": "ATU1", "loyalty": {"points": "10"}});
    app.remote(&json!([{"id": "1", "email": "a@example.com", "custom": added}, {"id": "2", "email": "b@example.com"}]));
    app.run(
        r#"INSERT INTO contacts VALUES (1, 'a@example.com', '{"loyalty": {"points": "10"}, "_vat": "ATU1"}'), (2, 'b@example.com', NULL);
           SELECT sync_bind('customers', 'contacts', '{"email": "mail", "custom.metadata": "meta"}', '{id}')"#,
    );
    let made = asked(
        &mut app,
        "sync_map('woocommerce', 'customers', 'metadata', 'meta_data.*')",
    );
    assert_eq!((&made["found"], &made["path"]), (&json!(1), &json!("*")));
    assert_eq!(changes(&mut app, "woocommerce"), json!({}));
    app.run(r#"UPDATE contacts SET meta = '{"_vat": "ATU2"}' WHERE id = 1"#);
    assert_eq!(
        changes(&mut app, "woocommerce"),
        json!({"custom.metadata": [{"_vat": "ATU2"}, added]})
    );
    assert_eq!(app.drift("customers"), "");
    for wrong in ["'all', '*', type => 'text'", "'name', '*'"] {
        let call = format!("SELECT sync_map('woocommerce', 'customers', {wrong})");
        assert_eq!(sqlstate(app.sql.batch_execute(&call)), "22023", "{wrong}");
    }
}

#[test]
fn what_can_not_be_mapped_is_refused_and_leaves_nothing() {
    let mut app =
        Bound::new("CREATE TABLE contacts (id int PRIMARY KEY, mail text, points numeric, vip boolean)");
    app.run(r#"SELECT sync_bind('customers', 'contacts', '{"email": "mail", "custom.points": "points"}', '{id}')"#);
    for (call, code) in [
        (
            "sync_map('woocommerce', 'customers', 'vat', '_vat', type => 'money')",
            "22023",
        ),
        ("sync_map('woocommerce', 'customers', 'vat')", "22023"),
        ("sync_map('woocommerce', 'customers', 'vat', '  ')", "22023"),
        ("sync_map('woocommerce', 'customers', 'V A T', '_vat')", "22023"),
        ("sync_map('woocommerce', 'customers', 'custom', '_vat; --')", "0"),
        (
            "sync_map('woocommerce', 'customers', 'email', '_mail', type => 'text')",
            "22023",
        ),
        ("sync_map('woocommerce', 'warehouses', 'vat', '_vat')", "22023"),
        ("sync_map('woocommerce', 'invoices', 'vat', '_vat')", "22023"),
        ("sync_map('nobody', 'customers', 'vat', '_vat')", "42704"),
        ("sync_unmap('woocommerce', 'customers', 'never')", "42704"),
        (
            "sync_map('woocommerce', 'customers', 'points', '_points', type => 'boolean')",
            "42804",
        ),
        (
            "sync_map('woocommerce', 'customers', 'points', '_points', type => 'json')",
            "42804",
        ),
    ] {
        if code == "0" {
            // whatever stands in a path is looked for, and nothing else
            assert_eq!(asked(&mut app, call)["found"], 0, "{call}");
            asked(&mut app, "sync_unmap('woocommerce', 'customers', 'custom')");
            continue;
        }
        let error = app.refused(&format!("SELECT {call}"));
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), code, "{call}: {error}");
        assert!(error.hint().is_some(), "{call}: {error}");
    }
    assert_eq!(app.text("SELECT count(*) FROM sync_field_map"), "0");
    // the other way round: first the mapping, then a column that can't hold it
    app.run("SELECT sync_map('woocommerce', 'customers', 'points', '_points', type => 'number')");
    let rebind =
        r#"SELECT sync_bind('customers', 'contacts', '{"email": "mail", "custom.points": "vip"}', '{id}')"#;
    assert_eq!(sqlstate(app.sql.batch_execute(rebind)), "42804");
    assert_eq!(app.drift("customers"), "");
    let operator = app.db.role("operate", app.org);
    let mut sql = app.db.connect_as(&operator, app.org);
    let call = "SELECT sync_map('woocommerce', 'customers', 'vat', '_vat')";
    assert_eq!(sqlstate(sql.batch_execute(call)), "42501");
}
