//! Whatever statement writes a bound table, the ledger follows.

use serde_json::json;
use sync_ext_tests::server;

use crate::bound::Bound;

const COLUMNS: &str = r#"'{"email": "mail", "name": "label"}'"#;

fn ledger_follows(app: &mut Bound, statements: &[(&str, &str)]) {
    for (statement, ids) in statements {
        app.run(statement);
        assert_eq!(app.local_ids(), *ids, "{statement}");
        assert_eq!(app.drift("customers"), "", "{statement}");
    }
}

fn partitioned() -> Bound {
    let mut app = Bound::new(
        "CREATE TABLE people (id int, region text, mail text, label text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
         CREATE TABLE people_eu PARTITION OF people FOR VALUES IN ('eu') PARTITION BY RANGE (id);
         CREATE TABLE people_eu_1 PARTITION OF people_eu FOR VALUES FROM (0) TO (100);
         CREATE TABLE people_eu_2 PARTITION OF people_eu FOR VALUES FROM (100) TO (200);
         CREATE TABLE people_us (label text, junk int, id int NOT NULL, mail text, region text NOT NULL);
         ALTER TABLE people_us DROP COLUMN junk;
         ALTER TABLE people ATTACH PARTITION people_us FOR VALUES IN ('us');
         INSERT INTO people VALUES (1, 'eu', 'a@example.com', 'A'), (101, 'eu', 'b@example.com', 'B'), (1, 'us', 'c@example.com', 'C')",
    );
    app.remote(&json!([{"id": "9", "email": "a@example.com", "name": "A"}]));
    app.run(&format!(
        "SELECT sync_bind('customers', 'people', {COLUMNS}, '{{region,id}}')"
    ));
    app
}

#[test]
fn every_statement_that_writes_rows_is_followed() {
    let mut app = Bound::new(
        "CREATE TABLE people (id int PRIMARY KEY, mail text UNIQUE, label text);
         CREATE VIEW shown AS SELECT id, mail, label FROM people WHERE id < 1000",
    );
    app.run(&format!(
        "SELECT sync_bind('customers', 'people', {COLUMNS}, '{{id}}')"
    ));
    let merge =
        "MERGE INTO people p USING (VALUES (1, 'M'), (7, 'N'), (5, NULL)) AS s (id, label) ON p.id = s.id
                 WHEN MATCHED AND s.label IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET label = s.label
                 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'm@example.com', s.label)";
    ledger_follows(
        &mut app,
        &[
            ("INSERT INTO people SELECT n, n || '@example.com', 'x' FROM generate_series(1, 5) n", "1 2 3 4 5"),
            ("UPDATE people SET label = label || id", "1 2 3 4 5"),
            ("UPDATE people SET label = label WHERE id = 2", "1 2 3 4 5"),
            ("UPDATE people SET id = id + 10 WHERE id > 3", "1 14 15 2 3"),
            ("UPDATE people SET id = CASE id WHEN 14 THEN 4 ELSE 5 END, mail = mail || 'x' WHERE id > 3", "1 2 3 4 5"),
            ("UPDATE people SET id = -id; UPDATE people SET id = 6 + id", "1 2 3 4 5"),
            ("INSERT INTO people VALUES (1, 'n@example.com', 'n'), (6, 'o@example.com', 'o') ON CONFLICT (id) DO UPDATE SET label = excluded.label", "1 2 3 4 5 6"),
            ("INSERT INTO people VALUES (1, 'z', 'z') ON CONFLICT DO NOTHING", "1 2 3 4 5 6"),
            ("INSERT INTO shown VALUES (8, 'v@example.com', 'v'); UPDATE shown SET label = 'w' WHERE id = 8; DELETE FROM shown WHERE id = 6", "1 2 3 4 5 8"),
            ("WITH gone AS (DELETE FROM people WHERE id = 8 RETURNING *) INSERT INTO people SELECT 9, mail || '.', label FROM gone", "1 2 3 4 5 9"),
            ("BEGIN; DELETE FROM people; INSERT INTO people VALUES (50); ROLLBACK", "1 2 3 4 5 9"),
            ("BEGIN; INSERT INTO people VALUES (50); SAVEPOINT s; DELETE FROM people; ROLLBACK TO s; COMMIT", "1 2 3 4 5 50 9"),
            ("DELETE FROM people WHERE id IN (9, 50)", "1 2 3 4 5"),
        ],
    );
    if server()
        .client("postgres")
        .query_one(
            "SELECT 1 WHERE current_setting('server_version_num')::int >= 150000",
            &[],
        )
        .is_ok()
    {
        ledger_follows(&mut app, &[(merge, "1 2 3 4 7")]);
        app.run("DELETE FROM people WHERE id = 7");
    }
    ledger_follows(
        &mut app,
        &[
            ("TRUNCATE people", ""),
            ("INSERT INTO people VALUES (3, 'a@example.com')", "3"),
        ],
    );
}

#[test]
fn copy_is_followed() {
    use std::io::Write;
    let mut app = partitioned();
    for (target, columns, rows) in [
        ("people", "id, region, mail", "2\teu\tn@example.com\n3\tus\t\\N\n"),
        ("people_eu_2", "id, region, mail", "150\teu\tm@example.com\n"),
    ] {
        let mut copy = app
            .sql
            .copy_in(&format!("COPY {target} ({columns}) FROM STDIN"))
            .unwrap();
        copy.write_all(rows.as_bytes()).unwrap();
        copy.finish().unwrap();
        assert_eq!(app.drift("customers"), "", "{target}");
    }
    assert_eq!(app.local_ids().matches('[').count(), 6);
}

#[test]
fn partitions_are_followed() {
    let mut app = partitioned();
    assert_eq!(app.delta("customers"), "");
    let (a, b, c) = (r#"["eu", "1"]"#, r#"["eu", "101"]"#, r#"["us", "1"]"#);
    let all = format!("{a} {b} {c}");
    ledger_follows(
        &mut app,
        &[
            ("UPDATE people_eu_1 SET label = 'direct'", &all),
            (
                "INSERT INTO people_us (id, region, mail) VALUES (2, 'us', 'd@example.com')",
                &format!(r#"{all} ["us", "2"]"#),
            ),
            ("DELETE FROM people_us WHERE id = 2", &all),
            (
                "UPDATE people SET region = 'us', id = 2 WHERE id = 101",
                &format!(r#"{a} {c} ["us", "2"]"#),
            ),
            ("UPDATE people SET region = 'eu', id = 101 WHERE id = 2", &all),
            ("TRUNCATE people_eu_1", &format!("{b} {c}")),
            (
                "CREATE TABLE people_eu_3 PARTITION OF people_eu FOR VALUES FROM (200) TO (300)",
                &format!("{b} {c}"),
            ),
            (
                "INSERT INTO people VALUES (200, 'eu'); UPDATE people_eu_3 SET label = 'x'",
                &format!(r#"{b} ["eu", "200"] {c}"#),
            ),
            (
                "ALTER TABLE people_eu DETACH PARTITION people_eu_2",
                &format!(r#"["eu", "200"] {c}"#),
            ),
            (
                "UPDATE people_eu_2 SET label = 'no part of it'",
                &format!(r#"["eu", "200"] {c}"#),
            ),
            (
                "INSERT INTO people_eu_2 VALUES (102, 'eu', 'e@example.com', 'E')",
                &format!(r#"["eu", "200"] {c}"#),
            ),
            (
                "ALTER TABLE people_eu ATTACH PARTITION people_eu_2 FOR VALUES FROM (100) TO (200)",
                &format!(r#"{b} ["eu", "102"] ["eu", "200"] {c}"#),
            ),
            (
                "UPDATE people_eu_2 SET label = 'again'",
                &format!(r#"{b} ["eu", "102"] ["eu", "200"] {c}"#),
            ),
            ("DROP TABLE people_eu_2", &format!(r#"["eu", "200"] {c}"#)),
            ("TRUNCATE people_eu", c),
            ("DROP TABLE people_us", ""),
            (
                "INSERT INTO people VALUES (5, 'eu', 'a@example.com', 'A')",
                r#"["eu", "5"]"#,
            ),
            ("TRUNCATE people", ""),
        ],
    );
    assert_eq!(app.text("SELECT string_agg(tgname, ' ') FROM pg_trigger WHERE tgrelid = 'people_eu_1'::regclass AND tgname LIKE 'sync%'").matches("sync_track").count(), 4);
    app.run("SELECT sync_unbind('customers')");
    assert_eq!(
        app.text("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'sync!_track!_10_!_%' ESCAPE '!'"),
        "0"
    );
}

#[test]
fn tables_that_inherit_are_part_of_it() {
    let mut app = Bound::new(
        "CREATE TABLE people (id int PRIMARY KEY, mail text, label text);
         CREATE TABLE staff (salary int, PRIMARY KEY (id)) INHERITS (people)",
    );
    app.run(&format!(
        "SELECT sync_bind('customers', 'people', {COLUMNS}, '{{id}}')"
    ));
    ledger_follows(
        &mut app,
        &[
            (
                "INSERT INTO people VALUES (1); INSERT INTO staff VALUES (2)",
                "1 2",
            ),
            ("UPDATE people SET label = 'x'", "1 2"),
            ("UPDATE staff SET label = 'y'", "1 2"),
            ("DELETE FROM people WHERE id = 2", "1"),
        ],
    );
}

#[test]
fn cascades_of_foreign_keys_are_followed() {
    let mut app = Bound::new(
        "CREATE TABLE firm (id int PRIMARY KEY);
         CREATE TABLE people (firm int REFERENCES firm ON DELETE CASCADE ON UPDATE CASCADE, n int, mail text, label text, PRIMARY KEY (firm, n));
         INSERT INTO firm VALUES (1), (2); INSERT INTO people (firm, n) VALUES (1, 1), (1, 2), (2, 1)",
    );
    app.run(&format!(
        "SELECT sync_bind('customers', 'people', {COLUMNS}, '{{firm,n}}')"
    ));
    ledger_follows(
        &mut app,
        &[
            ("DELETE FROM firm WHERE id = 2", r#"["1", "1"] ["1", "2"]"#),
            ("UPDATE firm SET id = 7", r#"["7", "1"] ["7", "2"]"#),
            ("TRUNCATE firm CASCADE", ""),
        ],
    );
}

#[test]
fn what_triggers_do_not_see_is_found_and_mended() {
    let mut app = partitioned();
    app.root
        .batch_execute(
            "SET session_replication_role = replica;
             UPDATE people SET label = 'silent' WHERE id = 1; DELETE FROM people WHERE id = 101;
             INSERT INTO people VALUES (3, 'eu', 's@example.com', 'S')",
        )
        .unwrap();
    let drift = app.drift("customers");
    assert_eq!(drift.matches("local fingerprint differs").count(), 2, "{drift}");
    assert!(
        drift.contains(r#"missing from the ledger ["eu", "3"]"#),
        "{drift}"
    );
    assert!(drift.contains(r#"does not exist ["eu", "101"]"#), "{drift}");
    assert_eq!(
        app.text("SELECT count(*) FROM sync_verify('woocommerce', 'customers', repair => true)"),
        "4"
    );
    assert_eq!(app.drift("customers"), "");
    assert_eq!(app.delta("customers"), r#"updated 9 ["eu", "1"] name"#);
    app.run("UPDATE people SET label = 'A' WHERE mail = 'a@example.com'");
    assert_eq!(
        (app.delta("customers"), app.drift("customers")),
        (String::new(), String::new())
    );
}

#[test]
fn a_table_that_is_rewritten_is_read_anew() {
    let mut app = Bound::new("CREATE TABLE people (id int PRIMARY KEY, mail text, label text); INSERT INTO people VALUES (1, 'a@example.com', 'a')");
    app.remote(&json!([{"id": "9", "email": "a@example.com", "name": "A"}]));
    app.run(&format!(
        "SELECT sync_bind('customers', 'people', {COLUMNS}, '{{id}}')"
    ));
    assert_eq!(app.delta("customers"), "updated 9 1 name");
    app.run("ALTER TABLE people ALTER COLUMN label TYPE text USING upper(label)");
    assert_eq!(
        (app.delta("customers"), app.drift("customers")),
        (String::new(), String::new())
    );
}

#[test]
fn soft_deleted_rows_are_gone() {
    for (mark, set, unset) in [
        ("boolean", "true", "false"),
        ("timestamptz", "now()", "NULL"),
        ("date", "'2026-01-01'", "NULL"),
    ] {
        let mut app = Bound::new(&format!(
            "CREATE TABLE people (id int PRIMARY KEY, mail text, label text, gone {mark})"
        ));
        app.remote(&json!([{"id": "9", "email": "a@example.com", "name": "A"}]));
        app.run("INSERT INTO people VALUES (1, 'a@example.com', 'A'), (2, 'b@example.com', 'B')");
        app.run(&format!("UPDATE people SET gone = {set} WHERE id = 2"));
        app.run(&format!(
            "SELECT sync_bind('customers', 'people', {COLUMNS}, '{{id}}', deleted_column => 'gone')"
        ));
        ledger_follows(
            &mut app,
            &[
                ("SELECT 1", "1"),
                (&format!("UPDATE people SET gone = {set}"), ""),
                (
                    &format!("UPDATE people SET gone = {unset}, label = 'B' WHERE id = 1"),
                    "1",
                ),
                (
                    &format!("INSERT INTO people VALUES (3, 'a@example.com', 'A', {set})"),
                    "1",
                ),
            ],
        );
        assert_eq!(app.delta("customers"), "updated 9 1 name", "{mark}");
    }
}
