//! A dump of a database with a bound table, restored into another one: the binding goes on there.

use postgres::Client;
use serde_json::json;
use sync_ext_tests::{schema, server};

use crate::bound::{text, Bound};
use crate::contract_dump::finish;

fn drift(sql: &mut Client) -> String {
    text(
        sql,
        "SELECT coalesce(string_agg(problem || ' ' || local_id, '; '), '') FROM sync_verify('woocommerce', 'customers')",
    )
}

fn delta(sql: &mut Client) -> String {
    text(
        sql,
        "SELECT coalesce(string_agg(concat_ws(' ', change, external_id, local_id), ', ' ORDER BY change), '')
         FROM compute_delta('woocommerce', 'customers')",
    )
}

#[test]
fn a_bound_table_is_restored_with_its_binding() {
    // dropped columns: in the restored table, every number behind them is another
    let mut app = Bound::new(
        "CREATE TABLE people (junk text, id int, region text, more text, mail text, label text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
         CREATE TABLE people_eu PARTITION OF people FOR VALUES IN ('eu');
         CREATE TABLE people_us (label text, mail text, more text, junk text, region text NOT NULL, id int NOT NULL);
         ALTER TABLE people ATTACH PARTITION people_us FOR VALUES IN ('us');
         ALTER TABLE people DROP COLUMN junk, DROP COLUMN more;
         INSERT INTO people VALUES (1, 'eu', 'a@example.com', 'A'), (2, 'us', 'b@example.com', 'B')",
    );
    app.remote(&json!([
        {"id": "8", "email": "a@example.com", "name": "A", "custom": {"_vat": "1"}},
        {"id": "9", "email": "b@example.com", "name": "Other"}]));
    app.run(
        r#"SELECT sync_bind('customers', 'people', '{"email": "mail", "name": "label"}', '{region,id}');
           SELECT sync_map('woocommerce', 'customers', 'vat', '_vat')"#,
    );
    let before = app.delta("customers");
    assert_eq!(before, r#"updated 9 ["us", "2"] name"#);

    let source = app.db.name().to_owned();
    let dump = std::env::temp_dir().join(format!("sync_ext-bound-{}-{source}", std::process::id()));
    let mut pg_dump = server().program("pg_dump", &source);
    pg_dump.args(["-Fc", "-f"]).arg(&dump);
    finish(pg_dump);
    for (name, options) in [
        ("single", &["--single-transaction"][..]),
        ("parallel", &["-j", "4"][..]),
    ] {
        let target = format!("{source}_{name}");
        let mut root = server().client("postgres");
        root.batch_execute(&format!("CREATE DATABASE {target}")).unwrap();
        let mut pg_restore = server().program("pg_restore", &target);
        pg_restore
            .args(["--exit-on-error", "-d", &target])
            .args(options)
            .arg(&dump);
        finish(pg_restore);

        let mut config = server().config(&target);
        config.user(&app.role);
        config.options(&format!(
            "-c app.current_org_id={} -c search_path=crm,public,{}",
            app.org,
            schema()
        ));
        let mut sql = config.connect(postgres::NoTls).unwrap();
        assert_eq!(
            (delta(&mut sql), drift(&mut sql)),
            (r#"updated 9 ["us", "2"]"#.into(), String::new()),
            "{name}"
        );
        assert_eq!(
            text(&mut sql, "SELECT coalesce(broken, relation) FROM sync_bindings"),
            "people"
        );
        // triggers, partitions, renamings, what is mapped: all of it goes on
        for (statement, shown) in [
            ("UPDATE people SET label = 'Other' WHERE id = 2", ""),
            ("UPDATE people_eu SET label = 'Z'", r#"updated 8 ["eu", "1"]"#),
            ("ALTER TABLE people RENAME COLUMN label TO caption; UPDATE people SET caption = 'A' WHERE id = 1", ""),
            ("CREATE TABLE people_uk PARTITION OF people FOR VALUES IN ('uk'); INSERT INTO people_uk (id, region) VALUES (5, 'uk')", ""),
            ("DELETE FROM people WHERE id = 1", "new 8"),
        ] {
            sql.batch_execute(statement).unwrap();
            assert_eq!((delta(&mut sql), drift(&mut sql)), (shown.into(), String::new()), "{name}: {statement}");
        }
        sql.batch_execute("SELECT sync_unbind('customers')").unwrap();
        let left = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'sync!_track!_10_!_%' ESCAPE '!'";
        assert_eq!(text(&mut sql, left), "0");
        drop(sql);
        root.batch_execute(&format!("DROP DATABASE {target} WITH (FORCE)"))
            .unwrap();
    }
    std::fs::remove_file(&dump).unwrap();
}
