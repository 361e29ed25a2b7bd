//! A parallel restore loads tables in any order: whichever comes last, everything is there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use postgres::Client;
use sync_ext_tests::{server, wait_until, TestDb};

use crate::contract_app::{text, App};
use crate::contract_dump::finish;

/// An organisation with something in the tables that belong together: a bound table, an apply that partly failed.
fn used() -> App {
    let mut app = App::new(60);
    let role = app.role.clone();
    app.db
        .client()
        .batch_execute(&format!(
            "CREATE SCHEMA crm AUTHORIZATION {role}; SET ROLE {role};
             CREATE TABLE crm.people (id bigserial PRIMARY KEY, mail text, given text)"
        ))
        .unwrap();
    for statement in [
        r#"SELECT sync_bind('customers', 'crm.people', '{"email": "mail", "first_name": "given"}', '{id}')"#,
        "SELECT sync_map('woocommerce', 'customers', 'vat', '_vat')",
        "SELECT sync_pull('woocommerce', 'customers')",
        "DO $$ BEGIN
             EXECUTE format('ALTER TABLE crm.people ADD CHECK (mail <> %L)', (SELECT min(match_key) FROM sync_changes WHERE change = 'new'));
         END $$",
        "SELECT sync_apply('woocommerce', 'customers')",
        "INSERT INTO saved_search_patterns (name) VALUES ('all')",
        "SELECT sync_list_add_from_pattern(id, 'woocommerce', 'customers') FROM saved_search_patterns",
    ] {
        app.sql
            .batch_execute(statement)
            .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    app
}

fn dumped(app: &App) -> PathBuf {
    let source = app.db.name();
    let dump = std::env::temp_dir().join(format!("sync_ext-order-{}-{source}", std::process::id()));
    let mut pg_dump = server().program("pg_dump", source);
    pg_dump.args(["-Fc", "-f"]).arg(&dump);
    finish(pg_dump);
    dump
}

fn restore(target: &str, dump: &Path, options: &[&str]) {
    let mut command = server().program("pg_restore", target);
    command
        .args(["--exit-on-error", "-d", target])
        .args(options)
        .arg(dump);
    finish(command);
}

/// Every table of the extension that a dump takes along.
const TABLES: &str =
    "SELECT c.oid::regclass::text FROM pg_extension x, unnest(x.extconfig) t JOIN pg_class c ON c.oid = t
                      WHERE x.extname = 'sync_ext' AND c.relkind IN ('r', 'p') ORDER BY 1";

fn names(sql: &mut Client, query: &str) -> Vec<String> {
    let rows = sql.query(query, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// How many rows there are of each of these tables.
fn counted(sql: &mut Client, tables: &[String]) -> Vec<i64> {
    let mut count = |table: &String| {
        sql.query_one(&format!("SELECT count(*) FROM {table}"), &[])
            .unwrap()
            .get(0)
    };
    tables.iter().map(&mut count).collect()
}

#[test]
fn a_parallel_restore_is_whole_whichever_table_comes_last() {
    let app = used();
    let mut source = app.db.client();
    let dump = dumped(&app);
    let held_back = [
        "sync_history",
        "sync_layout",
        "sync_layout_column",
        "sync_binding",
        "sync_comparison",
        "integration_connector",
        "sync_record",
        "sync_apply_image",
        "saved_search_patterns",
        "sync_run",
    ];
    let history = text(
        &mut source,
        "SELECT id FROM sync_history WHERE metadata ->> 'operation' = 'apply'",
    );
    for table in held_back {
        let target = format!("{}_{table}", app.db.name());
        server()
            .client("postgres")
            .batch_execute(&format!("CREATE DATABASE {target}"))
            .unwrap();
        restore(&target, &dump, &["--section=pre-data"]);
        let mut others = names(&mut source, TABLES);
        others.retain(|name| name != table);
        let expected = counted(&mut source, &others);
        // the one table is slow: its rows can't be loaded until all others are there
        let mut holder = server().client(&target);
        holder
            .batch_execute(&format!("BEGIN; LOCK TABLE {table} IN SHARE MODE"))
            .unwrap();
        std::thread::scope(|scope| {
            let loading = scope.spawn(|| restore(&target, &dump, &["-j", "4", "--section=data"]));
            let mut observer = server().client(&target);
            wait_until(Duration::from_secs(60), || {
                loading.is_finished() || counted(&mut observer, &others) == expected
            });
            holder.batch_execute("COMMIT").unwrap();
        });
        restore(&target, &dump, &["-j", "4", "--section=post-data"]);
        all_there(&app, &mut source, &target, table);
        undoable(&app, &target, &history);
        drop(holder);
        server()
            .client("postgres")
            .batch_execute(&format!("DROP DATABASE {target} WITH (FORCE)"))
            .unwrap();
    }
    std::fs::remove_file(&dump).unwrap();
}

fn all_there(app: &App, source: &mut Client, target: &str, last: &str) {
    let mut restored = server().client(target);
    for table in names(source, TABLES) {
        // but for numbers of relations, which are others there, and layouts of built-in tables, which aren't dumped
        let rows = format!(
            "SELECT coalesce(string_agg((to_jsonb(t) - 'members')::text, E'\\n' ORDER BY to_jsonb(t) - 'members'), '') FROM {table} t
             WHERE coalesce(to_jsonb(t) -> 'bound_by' <> 'null', true)"
        );
        assert_eq!(
            text(&mut restored, &rows),
            text(source, &rows),
            "{table} of {}, where {last} came last",
            app.db.name()
        );
    }
    assert_ne!(text(&mut restored, "SELECT count(*) FROM sync_apply_image"), "0");
    assert_eq!(
        text(&mut restored, "SELECT count(*) FROM sync_apply_failure"),
        "1"
    );
}

fn undoable(app: &App, target: &str, history: &str) {
    let mut config = server().config(target);
    config
        .user(&app.role)
        .options(&format!("-c app.current_org_id={}", app.org));
    let mut sql = config.connect(postgres::NoTls).unwrap();
    let applied: i64 = text(&mut sql, "SELECT count(*) FROM crm.people").parse().unwrap();
    assert_eq!(
        text(&mut sql, &format!("SELECT sync_undo('{history}') ->> 'removed'")),
        applied.to_string()
    );
    assert_eq!(text(&mut sql, "SELECT count(*) FROM crm.people"), "0");
    assert_eq!(
        text(
            &mut sql,
            "SELECT count(*) FROM sync_verify('woocommerce', 'customers')"
        ),
        "0"
    );
}

#[test]
fn no_table_that_is_dumped_needs_another_one_to_be_there() {
    let db = TestDb::new();
    let keys =
        "SELECT coalesce(string_agg(k.conrelid::regclass || ' needs ' || k.confrelid::regclass, ', '), '')
                FROM pg_extension x, pg_constraint k
                WHERE x.extname = 'sync_ext' AND k.contype = 'f' AND k.confrelid = ANY (x.extconfig)";
    assert_eq!(db.psql(keys), "");
}

#[test]
fn images_and_failures_go_with_their_history() {
    for deletion in ["DELETE FROM sync_history", "TRUNCATE sync_history"] {
        let app = used();
        let mut root = app.db.client();
        assert_eq!(
            text(
                &mut root,
                "SELECT count(*) > 0 FROM sync_apply_image, sync_apply_failure"
            ),
            "t"
        );
        root.batch_execute(deletion).unwrap();
        for table in ["sync_apply_image", "sync_apply_failure"] {
            assert_eq!(
                text(&mut root, &format!("SELECT count(*) FROM {table}")),
                "0",
                "{deletion}: {table}"
            );
        }
    }
}
