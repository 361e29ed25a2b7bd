//! What an app does to a bound relation: renames are followed, what can't work any more is told, its own statements go on.

use serde_json::json;
use sync_ext_tests::{schema, sqlstate};

use crate::bound::{text, Bound};

const DELTA: &str = "SELECT count(*) FROM compute_delta('woocommerce', 'customers')";

fn app() -> Bound {
    let mut app = Bound::new(
        "CREATE TYPE mood AS ENUM ('ok', 'bad');
         CREATE TABLE contacts (junk int, id int PRIMARY KEY, mail text, label text, phone varchar(20), feeling mood, other int);
         ALTER TABLE contacts DROP COLUMN junk;
         INSERT INTO contacts VALUES (1, 'a@example.com', 'A', '1', 'ok')",
    );
    app.remote(&json!([{"id": "9", "email": "a@example.com", "name": "A", "billing_phone": "1", "billing_company": "ok"}]));
    app.run(
        r#"SELECT sync_bind('customers', 'contacts',
               '{"email": "mail", "name": "label", "billing_phone": "phone", "billing_company": "feeling"}', '{id}')"#,
    );
    assert_eq!(app.delta("customers"), "");
    app
}

#[test]
fn renamings_are_followed() {
    let mut app = app();
    for (n, rename) in [
        "ALTER TABLE contacts RENAME COLUMN mail TO \"E-Mail\"",
        "ALTER TABLE contacts RENAME COLUMN id TO number",
        "ALTER TABLE contacts RENAME COLUMN label TO mail",
        "ALTER TABLE contacts RENAME TO people",
        "ALTER TABLE people SET SCHEMA public",
        "ALTER TABLE public.people RENAME TO contacts; ALTER TABLE public.contacts SET SCHEMA crm",
        "ALTER SCHEMA crm RENAME TO crm2; CREATE SCHEMA crm; ALTER TABLE crm2.contacts SET SCHEMA crm",
        "ALTER TYPE crm2.mood RENAME TO humour",
        "ALTER TABLE contacts ADD COLUMN more int, DROP COLUMN other, ADD CHECK (number > 0)",
        "ALTER TABLE contacts ALTER COLUMN phone TYPE varchar(40)",
        "ALTER TABLE contacts OWNER TO CURRENT_USER",
    ]
    .iter()
    .enumerate()
    {
        app.root
            .batch_execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
            .unwrap();
        app.root
            .batch_execute(&format!(
                "SET search_path = crm, public, {}; {rename}; GRANT ALL ON SCHEMA crm TO PUBLIC",
                schema()
            ))
            .unwrap_or_else(|error| panic!("{rename}: {error:?}"));
        app.root.batch_execute("GRANT ALL ON ALL TABLES IN SCHEMA crm TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC").unwrap();
        let table = text(
            &mut app.root,
            "SELECT relation FROM sync_layout WHERE bound_by IS NOT NULL",
        );
        let name = text(
            &mut app.root,
            "SELECT column_name FROM sync_layout_column WHERE layout > 100 AND field = 'name'",
        );
        app.root
            .batch_execute(&format!("UPDATE {table} SET {name} = 'A{n}'"))
            .unwrap();
        assert_eq!(app.delta("customers"), "updated 9 1 name", "{rename}");
        app.root
            .batch_execute(&format!("UPDATE {table} SET {name} = 'A'"))
            .unwrap();
        assert_eq!(
            (app.delta("customers"), app.drift("customers")),
            (String::new(), String::new()),
            "{rename}"
        );
    }
}

#[test]
fn what_can_not_work_any_more_is_told_and_stops_nothing() {
    for (change, said) in [
        (
            "ALTER TABLE contacts DROP COLUMN label",
            "its column \"label\" was dropped",
        ),
        (
            "ALTER TABLE contacts DROP COLUMN id",
            "its column \"id\" was dropped",
        ),
        (
            "ALTER TABLE contacts ALTER COLUMN label TYPE int USING 1",
            "is of type integer now, and was text",
        ),
        (
            "ALTER TABLE contacts ALTER COLUMN id TYPE bigint",
            "is of type bigint now, and was integer",
        ),
        ("DROP TYPE mood CASCADE", "its column \"feeling\" was dropped"),
        ("DROP TABLE contacts", "it was dropped"),
        ("DROP SCHEMA crm CASCADE", "it was dropped"),
    ] {
        let mut app = app();
        app.run(change);
        if !change.starts_with("DROP TABLE") && !change.starts_with("DROP SCHEMA") {
            app.run("UPDATE contacts SET other = 4; DELETE FROM contacts; TRUNCATE contacts")
        }
        for call in [
            DELTA,
            "SELECT count(*) FROM sync_verify('woocommerce', 'customers')",
            "SELECT detect_customer_delta('woocommerce')",
        ] {
            let error = app.refused(call);
            let error = error.as_db_error().unwrap();
            assert_eq!(error.code().code(), "55000", "{change}: {error}");
            assert!(
                error.message().contains(said) && error.hint().is_some(),
                "{change}: {error}"
            );
        }
        assert!(
            app.text("SELECT broken FROM sync_bindings").contains(said),
            "{change}"
        );
        app.run("SELECT sync_unbind('customers'); INSERT INTO sync_customers (email, name) VALUES ('a@example.com', 'B')");
        assert_eq!(
            app.text("SELECT change FROM compute_delta('woocommerce', 'customers')"),
            "updated",
            "{change}"
        );
        assert_eq!(
            text(&mut app.root, "SELECT count(*) FROM sync_layout WHERE id > 100"),
            "0",
            "{change}"
        );
        assert_eq!(
            text(
                &mut app.root,
                "SELECT count(*) FROM pg_proc WHERE proname ~ '^sync_track_1..'"
            ),
            "0",
            "{change}"
        );
    }
}

#[test]
fn a_preview_of_a_broken_binding_says_so_too() {
    let mut app = app();
    app.run("ALTER TABLE contacts DROP COLUMN label");
    assert_eq!(
        sqlstate(
            app.sql
                .batch_execute("SELECT sync_map('woocommerce', 'customers', 'name', compared => false)")
        ),
        "55000"
    );
    // and may be bound anew
    app.run(r#"SELECT sync_bind('customers', 'contacts', '{"email": "mail"}', '{id}')"#);
    assert_eq!(
        (app.delta("customers"), app.drift("customers")),
        (String::new(), String::new())
    );
    app.run("UPDATE contacts SET mail = 'z@example.com'");
    assert_eq!(app.delta("customers"), "updated 9 1 email");
}

#[test]
fn what_is_gone_has_no_name_and_no_number() {
    for (first, change) in [
        ("", "DROP TABLE contacts"),
        ("", "DROP SCHEMA crm CASCADE"),
        ("ALTER TABLE contacts DROP COLUMN label", "DROP TABLE contacts"),
        (
            "CREATE VIEW shown AS SELECT id, mail FROM contacts;
             SELECT sync_bind('customers', 'shown', '{\"email\": \"mail\"}', '{id}', tracking => 'scan')",
            "ALTER TABLE contacts DROP COLUMN mail CASCADE",
        ),
    ] {
        let mut app = app();
        app.run(first);
        let shown = "SELECT coalesce(relation, 'gone') || coalesce(broken, '') FROM sync_bindings";
        assert!(!app.text(shown).starts_with("gone"), "{first}");
        app.run(change);
        assert!(
            app.text(shown).starts_with("gone"),
            "{change}: {}",
            app.text(shown)
        );
        let health = "SELECT jsonb_typeof(sync_health() #> '{brokenBindings,0,relation}')";
        assert_eq!(app.text(health), "null", "{change}");
        // a dump would carry the number to where it may be another relation's
        let kept =
            "SELECT sum(l.relation::oid::bigint + c.relation::oid::bigint) FROM sync_layout l JOIN sync_layout_column c ON c.layout = l.id
                    WHERE l.bound_by IS NOT NULL";
        assert_eq!(text(&mut app.root, kept), "0", "{change}");
    }
    // where a session fires no triggers
    let mut app = app();
    app.root
        .batch_execute("SET session_replication_role = replica; DROP TABLE crm.contacts")
        .unwrap();
    let shown = "SELECT coalesce(relation, 'gone') || broken FROM sync_bindings";
    assert_eq!(app.text(shown), "goneit was dropped");
}

#[test]
fn an_error_in_a_statement_undoes_what_was_followed() {
    let mut app = app();
    app.run("BEGIN; ALTER TABLE contacts DROP COLUMN label; ROLLBACK; BEGIN; DROP TABLE contacts; ROLLBACK");
    assert_eq!(app.delta("customers"), "");
    app.run("UPDATE contacts SET label = 'Z'");
    assert_eq!(
        (app.delta("customers"), app.drift("customers")),
        ("updated 9 1 name".into(), String::new())
    );
}

#[test]
fn json_that_only_postgres_can_read_stops_no_statement() {
    let mut app = Bound::new("CREATE TABLE goods (id int PRIMARY KEY, sku text, tags json, more jsonb)");
    app.run(r#"SELECT sync_bind('products', 'goods', '{"sku": "sku", "tags": "tags", "attributes": "more"}', '{id}')"#);
    app.run(
        r#"INSERT INTO goods VALUES (1, 'a', '["\ud800"]', (repeat('[', 500) || repeat(']', 500))::jsonb), (2, 'b', '{"a": 1, "a": 2}', '1e1000')"#,
    );
    app.run("UPDATE goods SET sku = sku || 'x'");
    assert_eq!(app.local_ids(), "1 2");
    assert_eq!(app.drift("products"), "");
}

#[test]
fn a_table_that_has_lost_its_key_is_not_followed() {
    for (key, ddl, reason) in [
        (
            "id int PRIMARY KEY",
            "ALTER TABLE contacts DROP CONSTRAINT contacts_pkey",
            "unique index",
        ),
        ("id int NOT NULL", "DROP INDEX by_id", "unique index"),
        (
            "id int NOT NULL",
            "ALTER TABLE contacts ALTER id DROP NOT NULL",
            "may be null",
        ),
    ] {
        let mut app = Bound::new(&format!(
            "CREATE TABLE contacts ({key}, mail text); CREATE UNIQUE INDEX by_id ON contacts (id)"
        ));
        if ddl.starts_with("ALTER TABLE contacts DROP") {
            app.run("DROP INDEX by_id");
        }
        app.run("SELECT sync_bind('customers', 'contacts', '{\"email\": \"mail\"}', '{id}')");
        app.run(&format!(
            "{ddl}; INSERT INTO contacts VALUES (1, 'a@example.com')"
        ));
        let broken = app.text("SELECT broken FROM sync_bindings");
        assert!(broken.contains(reason), "{ddl}: {broken}");
        assert_eq!(app.local_ids(), "", "{ddl}");
        app.run("DELETE FROM contacts; SELECT sync_unbind('customers')");
    }
}
