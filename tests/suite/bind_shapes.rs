//! Tables as apps have them: wide ones, types of extensions, rows that a statement writes in unusual ways.

use std::time::Duration;

use serde_json::json;
use sync_ext_tests::{skipped, wait_until, Server};

use crate::bound::{text, Bound};

#[test]
fn a_table_with_many_columns_is_bound_by_all_of_its_fields() {
    let mut app = Bound::new("");
    let fields: Vec<String> = app
        .text("SELECT string_agg(field, ' ') FROM sync_fields('orders') WHERE compared")
        .split(' ')
        .map(str::to_owned)
        .collect();
    assert!(fields.len() > 40, "{}", fields.len());
    let columns: Vec<String> = fields
        .iter()
        .map(|f| format!("c_{f} {}", if f == "lines" { "jsonb" } else { "text" }))
        .collect();
    let bound = json!(fields
        .iter()
        .filter(|f| !f.ends_with("lines") && *f != "refunds" || *f == "lines")
        .map(|f| (f.clone(), format!("c_{f}")))
        .collect::<std::collections::BTreeMap<_, _>>());
    let unused: Vec<String> = (0..100).map(|n| format!("unused_{n} int")).collect();
    app.run(&format!(
        "CREATE TABLE wide (id int PRIMARY KEY, {}, {});
         SELECT sync_bind('orders', 'wide', '{bound}', '{{id}}')",
        columns.join(", "),
        unused.join(", ")
    ));
    app.remote_of(
        "woocommerce",
        "orders",
        &json!([{"id": "1", "number": "1", "total": "10.00", "billing_city": "Wien",
        "lines": [{"id": "7", "sku": "a", "total": "1.50"}]}]),
    );
    app.run(r#"INSERT INTO wide (id, c_number, c_total, c_billing_city, c_lines) VALUES (3, '1', '10', 'Wien', '[{"id": 7, "sku": "a", "total": 1.5}]')"#);
    assert_eq!(app.delta("orders"), "");
    app.run("UPDATE wide SET c_total = '11', c_billing_city = 'Graz', unused_7 = 1");
    assert_eq!(app.delta("orders"), "updated 1 3 billing_city,total");
    app.run("ALTER TABLE wide DROP COLUMN unused_3, ADD COLUMN unused_200 text; UPDATE wide SET c_total = '10', c_billing_city = 'Wien'");
    assert_eq!(
        (app.delta("orders"), app.drift("orders")),
        (String::new(), String::new())
    );
}

#[test]
fn a_table_without_a_column_to_match_by_is_followed() {
    let mut app = Bound::new(
        "CREATE TABLE crm.names (id int PRIMARY KEY, label text);
         SELECT sync_bind('customers', 'names', '{\"name\": \"label\"}', '{id}'); INSERT INTO names VALUES (1, 'Ada')",
    );
    app.run("UPDATE names SET label = 'Eve'; UPDATE names SET id = 2");
    assert_eq!(
        (app.local_ids(), app.drift("customers")),
        ("2".to_owned(), String::new())
    );
}

#[test]
fn columns_of_citext_are_texts() {
    if !Server::has_extension("citext") {
        return skipped("this Postgres has no citext");
    }
    let mut app = Bound::new("");
    app.root
        .batch_execute("CREATE EXTENSION citext SCHEMA public")
        .unwrap();
    app.run("CREATE TABLE contacts (id int PRIMARY KEY, mail citext UNIQUE, label citext, code citext NOT NULL UNIQUE)");
    app.remote(&json!([{"id": "1", "email": "a@example.com", "name": "Ada"}]));
    app.run(
        r#"INSERT INTO contacts VALUES (1, 'A@Example.COM', 'Ada', 'x');
           SELECT sync_bind('customers', 'contacts', '{"email": "mail", "name": "label"}', '{id}')"#,
    );
    assert_eq!(app.delta("customers"), "");
    app.run("UPDATE contacts SET label = 'ADA'");
    assert_eq!(
        (app.delta("customers"), app.drift("customers")),
        ("updated 1 1 name".into(), String::new())
    );
    // two spellings are one key to the table and two to the ledger
    let error = app.refused(r#"SELECT sync_bind('customers', 'contacts', '{"email": "mail"}', '{code}')"#);
    assert_eq!(error.code().unwrap().code(), "42804");
}

#[test]
fn a_row_that_two_foreign_keys_write_in_one_statement_is_followed() {
    let mut app = Bound::new(
        "CREATE TABLE firm (id int PRIMARY KEY, label text UNIQUE);
         CREATE TABLE people (id int PRIMARY KEY, firm int REFERENCES firm ON UPDATE CASCADE, mail text,
                              label text REFERENCES firm (label) ON UPDATE CASCADE);
         INSERT INTO firm VALUES (1, 'one'), (2, 'two'); INSERT INTO people VALUES (7, 1, 'a@example.com', 'one'), (8, 2, NULL, 'two')",
    );
    app.run(r#"SELECT sync_bind('customers', 'people', '{"email": "mail", "name": "label", "custom.firm": "firm"}', '{id}');
               SELECT sync_map('woocommerce', 'customers', 'firm', '_firm')"#);
    app.run("UPDATE firm SET id = id + 10, label = label || '!'");
    assert_eq!(
        app.text("SELECT string_agg(firm || label, ' ' ORDER BY id) FROM people"),
        "11one! 12two!"
    );
    assert_eq!(
        (app.local_ids(), app.drift("customers")),
        ("7 8".into(), String::new())
    );
}

#[test]
fn a_key_that_becomes_unique_links_at_once() {
    let mut app = Bound::new("CREATE TABLE people (id int PRIMARY KEY, mail text, label text)");
    app.remote(&json!([{"id": "8", "email": "a@example.com", "name": "A"}, {"id": "9", "email": "b@example.com", "name": "B"}]));
    app.run(
        r#"INSERT INTO people VALUES (1, 'a@example.com', 'A'), (2, 'a@example.com', 'A'), (3, 'c@example.com', 'C');
           SELECT sync_bind('customers', 'people', '{"email": "mail", "name": "label"}', '{id}')"#,
    );
    assert_eq!(app.delta("customers"), "ambiguous 8\nnew 9");
    app.run("UPDATE people SET mail = 'b@example.com', label = 'B' WHERE id = 2");
    assert_eq!(
        (app.delta("customers"), app.drift("customers")),
        (String::new(), String::new())
    );
    // keys of linked rows may change, and change places
    app.run(
        "UPDATE people SET mail = CASE id WHEN 1 THEN 'b@example.com' ELSE 'a@example.com' END WHERE id < 3",
    );
    assert_eq!(app.delta("customers"), "updated 8 1 email\nupdated 9 2 email");
    app.run(
        "UPDATE people SET mail = CASE id WHEN 1 THEN 'a@example.com' ELSE 'b@example.com' END WHERE id < 3",
    );
    assert_eq!(
        (app.delta("customers"), app.drift("customers")),
        (String::new(), String::new())
    );
}

/// Nothing of the ledger is written for rows in which nothing compared has changed.
#[test]
fn a_change_of_other_columns_writes_nothing() {
    let mut app = Bound::new("CREATE TABLE people (id int PRIMARY KEY, mail text, label text, note text)");
    app.run(
        r#"INSERT INTO people SELECT n, n || '@example.com', 'x' FROM generate_series(1, 50) n;
           SELECT sync_bind('customers', 'people', '{"email": "mail", "name": "label"}', '{id}')"#,
    );
    let places = "SELECT string_agg(ctid::text, ' ' ORDER BY id) FROM sync_record";
    let before = text(&mut app.root, places);
    app.run("UPDATE people SET note = 'n'; UPDATE people SET label = ' x ' WHERE id < 9");
    assert_eq!(text(&mut app.root, places), before);
    app.run("UPDATE people SET label = 'y' WHERE id < 9");
    assert_ne!(text(&mut app.root, places), before);
    assert_eq!(app.drift("customers"), "");
}

/// The row of the ledger that a statement has found is gone by the time it may write: what was local of it stands in the
/// remote record's row now.
#[test]
fn a_row_that_is_linked_while_it_is_written_keeps_the_change() {
    let mut app = Bound::new("CREATE TABLE people (id int PRIMARY KEY, mail text, label text)");
    app.run(
        r#"INSERT INTO people VALUES (1, 'a@example.com', 'A'), (2, 'b@example.com', 'B');
           SELECT sync_bind('customers', 'people', '{"email": "mail", "name": "label"}', '{id}')"#,
    );
    app.root.batch_execute("BEGIN").unwrap();
    app.remote(&json!([{"id": "8", "email": "a@example.com", "name": "A"}]));
    let mut writer = app.db.connect_as(&app.role, app.org);
    let written = std::thread::spawn(move || writer.batch_execute("UPDATE people SET label = 'Z'"));
    wait_until(Duration::from_secs(30), || {
        app.text("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0"
    });
    app.root.batch_execute("COMMIT").unwrap();
    written.join().unwrap().unwrap();
    assert_eq!(
        (app.delta("customers"), app.drift("customers")),
        ("updated 8 1 name".into(), String::new())
    );
    assert_eq!(app.local_ids(), "1 2");
}
