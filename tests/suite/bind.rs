//! A table of the app as the local side: what it may look like, and what its rows become.

use serde_json::json;
use sync_ext_tests::sqlstate;

use crate::bound::{text, Bound};

const CONTACTS: &str = "CREATE TABLE contacts (id int PRIMARY KEY, mail text, full_name text, city text)";
const BIND: &str = r#"SELECT sync_bind('customer', 'contacts', '{"email": "mail", "name": "full_name", "billing_city": "city"}', '{id}')"#;

#[test]
fn the_rows_of_a_bound_table_are_the_local_side() {
    let mut app = Bound::new(CONTACTS);
    app.remote(&json!([
        {"id": "1", "email": "ada@example.com", "name": "Ada", "role": "customer"},
        {"id": "2", "email": "bob@example.com", "name": "Bob"},
        {"id": "3", "email": "new@example.com", "name": "New"}]));
    app.run("INSERT INTO contacts VALUES (10, 'Ada@Example.com', 'Ada', NULL), (11, 'bob@example.com', 'Robert', NULL), (12, NULL, 'x', NULL)");
    let bound = app.text(BIND);
    assert!(
        bound.contains(r#""rows": 3"#) && bound.contains(r#""linked": 2"#),
        "{bound}"
    );
    assert_eq!(app.delta("customers"), "new 3\nupdated 2 11 name");
    assert_eq!(app.drift("customers"), "");
    app.run("UPDATE contacts SET full_name = 'Bob' WHERE id = 11; INSERT INTO contacts VALUES (13, 'new@example.com', 'New')");
    assert_eq!(app.delta("customers"), "");
    app.run("DELETE FROM contacts WHERE id = 10; UPDATE contacts SET id = 20 WHERE id = 13");
    assert_eq!(app.delta("customers"), "new 1");
    assert_eq!(app.local_ids(), "11 12 20");
    assert_eq!(app.drift("customers"), "");
    let shown = app.text("SELECT row_to_json(b) FROM sync_bindings b");
    assert!(
        shown.contains(r#""relation":"contacts""#) && shown.contains(r#""broken":null"#),
        "{shown}"
    );
}

#[test]
fn a_field_that_a_table_has_no_column_for_is_not_compared() {
    let mut app = Bound::new(CONTACTS);
    app.remote(&json!([{"id": "1", "email": "a@example.com", "name": "A", "billing_phone": "1"}]));
    app.run("INSERT INTO contacts VALUES (1, 'a@example.com', 'A', NULL)");
    app.run(BIND);
    assert_eq!(app.delta("customers"), "");
    app.run("SELECT sync_unbind('customers')");
    app.run("INSERT INTO sync_customers (email, name) VALUES ('a@example.com', 'A')");
    assert!(app.delta("customers").contains("billing_phone"));
    assert_eq!(app.drift("customers"), "");
}

/// Everything about a relation that a binding could leave behind.
const STATE: &str = "
SELECT json_build_object(
    'triggers', (SELECT json_agg(tgname) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'e' AND classid = 'pg_class'::regclass)),
    'functions', (SELECT json_agg(proname ORDER BY proname) FROM pg_proc WHERE proname ~ '^sync_'),
    'privileges', (SELECT json_agg(relacl::text ORDER BY relname) FROM pg_class WHERE relnamespace = 'crm'::regnamespace),
    'columns', (SELECT json_agg(attname) FROM pg_attribute WHERE attrelid = 'contacts'::regclass),
    'rows', (SELECT json_agg(c) FROM contacts c),
    'layouts', (SELECT count(*) FROM sync_layout), 'layout columns', (SELECT count(*) FROM sync_layout_column))";

#[test]
fn unbinding_leaves_the_table_as_it_was_found() {
    let mut app = Bound::new(CONTACTS);
    app.run("INSERT INTO contacts VALUES (1, 'a@example.com', 'A', NULL)");
    let before = text(&mut app.root, STATE);
    app.run(BIND);
    assert_ne!(text(&mut app.root, STATE), before);
    assert_eq!(app.text("SELECT sync_unbind('customers')"), "true");
    assert_eq!(text(&mut app.root, STATE), before);
    assert_eq!(app.local_ids(), "");
    assert_eq!(app.text("SELECT sync_unbind('customers')"), "false");
    // and it can be bound anew, in another way, twice over
    app.run(BIND);
    app.run(r#"SELECT sync_bind('customer', 'contacts', '{"email": "mail"}', '{id}')"#);
    assert_eq!(app.drift("customers"), "");
    app.run("SELECT sync_unbind('customers')");
    assert_eq!(text(&mut app.root, STATE), before);
}

#[test]
fn the_extension_goes_and_the_table_stays() {
    let mut app = Bound::new(CONTACTS);
    app.run("INSERT INTO contacts VALUES (1, 'a@example.com', 'A', NULL)");
    app.run(BIND);
    app.root.batch_execute("DROP EXTENSION sync_ext").unwrap();
    app.run("INSERT INTO contacts VALUES (2, 'b@example.com', 'B', NULL); ALTER TABLE contacts RENAME COLUMN mail TO email");
    assert_eq!(app.text("SELECT count(*) FROM contacts"), "2");
    let left = "SELECT count(*) FROM (SELECT FROM pg_trigger WHERE NOT tgisinternal UNION ALL SELECT FROM pg_proc WHERE proname LIKE 'sync!_%' ESCAPE '!' UNION ALL SELECT FROM pg_event_trigger) x";
    assert_eq!(text(&mut app.root, left), "0");
}

#[test]
fn keys_of_every_type_are_found_again() {
    let types = [
        ("int", "7", "8"),
        ("bigint", "9007199254740993", "9007199254740994"),
        ("smallint", "7", "8"),
        ("text", "'it''s \"a\", {key}'", "'B\\b'"),
        ("varchar(20)", "'x'", "'y'"),
        ("char(6)", "'ab'", "'cd'"),
        (
            "uuid",
            "'7b0e4f0a-3f5c-4b56-9d0e-2f6b1c9e8a11'",
            "'7b0e4f0a-3f5c-4b56-9d0e-2f6b1c9e8a12'",
        ),
        ("date", "'2026-02-01'", "'2026-02-02'"),
        (
            "timestamptz",
            "'2026-02-01 10:00:00.000001+05'",
            "'2026-02-02 10:00+05'",
        ),
        ("timestamp", "'2026-02-01 10:00'", "'infinity'"),
        ("numeric", "10.50", "10.51"),
        ("boolean", "true", "false"),
        ("size", "'large'", "'small'"),
        ("number", "7", "8"),
    ];
    let mut app = Bound::new(
        "CREATE TYPE size AS ENUM ('small', 'large'); CREATE DOMAIN number AS bigint CHECK (VALUE > 0)",
    );
    app.remote(&json!([{"id": "1", "email": "a@example.com", "name": "A"}]));
    for (kind, one, other) in types {
        for key in ["k", "k, part"] {
            app.run(&format!(
                "SET timezone = 'America/New_York'; SET datestyle = 'SQL, DMY';
                 CREATE TABLE contacts (k {kind}, part int DEFAULT 1, mail text, full_name text, PRIMARY KEY ({key}));
                 INSERT INTO contacts VALUES ({one}, 1, 'a@example.com', 'Other');
                 SELECT sync_bind('customers', 'contacts', '{{\"email\": \"mail\", \"name\": \"full_name\"}}', '{{{key}}}');
                 SET timezone = 'Asia/Kolkata'; SET datestyle = 'Postgres, MDY'"
            ));
            let case = format!("{kind} ({key})");
            assert_eq!(
                app.text("SELECT local ->> 'name' FROM compute_delta('woocommerce', 'customers')"),
                "Other",
                "{case}"
            );
            assert_eq!(app.drift("customers"), "", "{case}");
            app.run(&format!(
                "INSERT INTO contacts VALUES ({other}, 2, 'b@example.com', 'B'); UPDATE contacts SET full_name = 'A' WHERE k = {one}"
            ));
            assert_eq!(app.drift("customers"), "", "{case}");
            app.run(&format!("DELETE FROM contacts WHERE k = {one}"));
            assert_eq!(
                app.text("SELECT change FROM compute_delta('woocommerce', 'customers')"),
                "new",
                "{case}"
            );
            assert_eq!(app.drift("customers"), "", "{case}");
            app.run("SELECT sync_unbind('customers'); DROP TABLE contacts");
        }
    }
}

#[test]
fn names_that_need_quoting_are_quoted() {
    let mut app = Bound::new("");
    app.root
        .batch_execute(&format!(
            "CREATE SCHEMA \"My \"\"Shop'; --\" AUTHORIZATION {}",
            app.role
        ))
        .unwrap();
    app.run(
        r#"CREATE TABLE "My ""Shop'; --"."Tab ""le'; DROP TABLE x; --%s%I$1" (
               "I'd ""; --" int, "Or''g" uuid, "E-mail $1 %L" text, "select" text, "Gone?" boolean DEFAULT false,
               PRIMARY KEY ("Or''g", "I'd ""; --"));"#,
    );
    app.remote(&json!([{"id": "1", "email": "a@example.com", "name": "A"}]));
    app.sql
        .execute(
            r#"SELECT sync_bind('customers', '"My ""Shop''; --"."Tab ""le''; DROP TABLE x; --%s%I$1"',
                  '{"email": "E-mail $1 %L", "name": "select"}', ARRAY['Or''''g', 'I''d "; --'],
                  org_column => 'Or''''g', deleted_column => 'Gone?')"#,
            &[],
        )
        .unwrap();
    let table = r#""My ""Shop'; --"."Tab ""le'; DROP TABLE x; --%s%I$1""#;
    let org = app.org;
    app.run(&format!(
        "INSERT INTO {table} VALUES (1, '{org}', 'a@example.com', 'B')"
    ));
    assert_eq!(
        app.text("SELECT changed_fields ->> 'name' FROM compute_delta('woocommerce', 'customers')"),
        r#"{"new": "A", "old": "B"}"#
    );
    assert_eq!(app.drift("customers"), "");
    app.run(&format!(r#"UPDATE {table} SET "Gone?" = true"#));
    assert_eq!(app.delta("customers"), "new 1");
    app.run(&format!(r#"UPDATE {table} SET "Gone?" = NULL"#));
    app.root
        .batch_execute(r#"ALTER SCHEMA "My ""Shop'; --" RENAME TO "x""y""#)
        .unwrap();
    assert_eq!(
        app.delta("customers"),
        format!("updated 1 [\"{org}\", \"1\"] name")
    );
    assert_eq!(app.drift("customers"), "");
}

#[test]
fn two_entity_types_may_share_a_table() {
    let mut app = Bound::new("CREATE TABLE things (id int PRIMARY KEY, mail text, code text, label text)");
    app.run(
        r#"SELECT sync_bind('customers', 'things', '{"email": "mail", "name": "label"}', '{id}');
           SELECT sync_bind('products', 'things', '{"sku": "code", "name": "label"}', '{id}');
           INSERT INTO things VALUES (1, 'a@example.com', 'A-1', 'A'), (2, NULL, 'B-1', 'B')"#,
    );
    assert_eq!(app.local_ids(), "1 1 2 2");
    app.remote_of(
        "woocommerce",
        "products",
        &json!([{"id": "5", "sku": "A-1", "name": "A"}]),
    );
    assert_eq!(app.delta("products"), "");
    app.run("SELECT sync_unbind('customers'); UPDATE things SET label = 'Z'");
    assert_eq!(app.delta("products"), "updated 5 1 name");
    assert_eq!(
        (app.drift("products"), app.drift("customers")),
        (String::new(), String::new())
    );
    assert_eq!(app.local_ids(), "1 2");
}

#[test]
fn what_can_not_be_bound_is_refused_and_leaves_nothing() {
    let mut app = Bound::new(
        "CREATE TABLE contacts (id int PRIMARY KEY, mail text, full_name text, other int, price money, place point, gone text, org int, u int NOT NULL);
         CREATE UNIQUE INDEX ON contacts (u) WHERE u > 0;
         CREATE VIEW listed AS SELECT * FROM contacts;
         CREATE TYPE pair AS (a int, b int);
         CREATE TABLE odd (p pair PRIMARY KEY, n int UNIQUE, mail text)",
    );
    let before = text(&mut app.root, "SELECT count(*) FROM pg_depend");
    let columns = r#"'{"email": "mail"}'"#;
    for (call, code) in [
        (
            format!("sync_bind('invoices', 'contacts', {columns}, '{{id}}')"),
            "22023",
        ),
        (
            format!("sync_bind('customers', 'nothing', {columns}, '{{id}}')"),
            "42P01",
        ),
        (
            format!("sync_bind('customers', 'contacts', {columns}, '{{}}')"),
            "22023",
        ),
        (
            format!("sync_bind('customers', 'contacts', {columns}, '{{id,id}}')"),
            "22023",
        ),
        (
            format!("sync_bind('customers', 'contacts', {columns}, '{{mail}}')"),
            "42830",
        ),
        (
            format!("sync_bind('customers', 'contacts', {columns}, '{{u}}')"),
            "42830",
        ),
        (
            format!("sync_bind('customers', 'odd', {columns}, '{{n}}')"),
            "42830",
        ),
        (
            format!("sync_bind('customers', 'odd', {columns}, '{{p}}')"),
            "42804",
        ),
        (
            format!("sync_bind('customers', 'contacts', {columns}, '{{nobody}}')"),
            "42703",
        ),
        (
            format!("sync_bind('customers', 'contacts', {columns}, '{{id}}', org_column => 'org')"),
            "42804",
        ),
        (
            format!("sync_bind('customers', 'contacts', {columns}, '{{id}}', deleted_column => 'gone')"),
            "42804",
        ),
        (
            format!("sync_bind('customers', 'contacts', {columns}, '{{id}}', tracking => 'maybe')"),
            "22023",
        ),
        (
            format!("sync_bind('customers', 'listed', {columns}, '{{id}}')"),
            "42809",
        ),
        (
            format!("sync_bind('customers', 'sync_customers', {columns}, '{{id}}')"),
            "42809",
        ),
        (
            format!("sync_bind('customers', 'pg_class', {columns}, '{{oid}}')"),
            "42809",
        ),
        (
            r#"sync_bind('customers', 'contacts', '{"email": "ctid"}', '{id}')"#.into(),
            "42703",
        ),
        (
            r#"sync_bind('customers', 'contacts', '{"shoe_size": "mail"}', '{id}')"#.into(),
            "22023",
        ),
        (
            r#"sync_bind('customers', 'contacts', '{"custom.": "mail"}', '{id}')"#.into(),
            "22023",
        ),
        (
            r#"sync_bind('customers', 'contacts', '{"email": null}', '{id}')"#.into(),
            "22023",
        ),
        (
            r#"sync_bind('customers', 'contacts', '{"email": 3}', '{id}')"#.into(),
            "22023",
        ),
        (
            r#"sync_bind('customers', 'contacts', '["mail"]', '{id}')"#.into(),
            "22023",
        ),
        (
            r#"sync_bind('customers', 'contacts', NULL, '{id}')"#.into(),
            "22023",
        ),
        (
            r#"sync_bind('products', 'contacts', '{"price": "price"}', '{id}')"#.into(),
            "42804",
        ),
        (
            r#"sync_bind('products', 'contacts', '{"category_ids": "mail"}', '{id}')"#.into(),
            "42804",
        ),
        (
            r#"sync_bind('products', 'contacts', '{"is_virtual": "other"}', '{id}')"#.into(),
            "42804",
        ),
        (
            r#"sync_bind('products', 'contacts', '{"sale_from": "other"}', '{id}')"#.into(),
            "42804",
        ),
        (
            r#"sync_bind('products', 'contacts', '{"name": "place"}', '{id}')"#.into(),
            "42804",
        ),
    ] {
        let error = app.refused(&format!("SELECT {call}"));
        let db_error = error.as_db_error().unwrap();
        assert_eq!(db_error.code().code(), code, "{call}: {db_error}");
        assert!(
            code.starts_with("42P") || db_error.hint().is_some(),
            "{call}: {db_error}"
        );
    }
    assert_eq!(text(&mut app.root, "SELECT count(*) FROM pg_depend"), before);
    assert_eq!(
        sqlstate(app.sql.batch_execute("SELECT sync_unbind('nothing')")),
        "22023"
    );
}
