//! A database of the version before: its data is kept, and it becomes what a new one is.

use std::fs;
use std::path::Path;

use postgres::Client;
use sync_ext_tests::{schema, sqlstate, TestDb};

use crate::contract_app::text;

const CATALOGUE: &str = include_str!("../upgrade/catalogue.sql");
/// The versions that an upgrade begins at: tests/upgrade has their installation scripts.
const BEFORE: &str = "0.1.0";

/// A database with the extension as it was.
fn old() -> TestDb<'static> {
    let db = TestDb::new();
    db.psql(&format!(
        "DROP EXTENSION sync_ext; CREATE EXTENSION sync_ext WITH SCHEMA {} VERSION '{BEFORE}'",
        schema()
    ));
    db
}

fn upgrade(db: &TestDb) {
    db.psql("ALTER EXTENSION sync_ext UPDATE");
}

fn lines(client: &mut Client) -> Vec<String> {
    let rows = client.query(CATALOGUE, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// What is in one of them only.
fn difference(left: &[String], right: &[String]) -> String {
    let only = |a: &[String], b: &[String], sign: &str| -> Vec<String> {
        let lone = a.iter().filter(|line| !b.contains(line));
        lone.map(|line| format!("{sign} {line}")).collect()
    };
    [only(left, right, "fresh:"), only(right, left, "upgraded:")]
        .concat()
        .join("\n")
}

#[test]
fn an_upgraded_database_is_what_a_fresh_one_is() {
    let (fresh, upgraded) = (TestDb::new(), old());
    upgrade(&upgraded);
    for db in [&fresh, &upgraded] {
        db.psql("SELECT sync_maintain()");
    }
    let difference = difference(&lines(&mut fresh.client()), &lines(&mut upgraded.client()));
    assert_eq!(difference, "");
}

/// So that nobody forgets the script, or the installation script that it is tested from.
#[test]
fn every_version_before_has_an_upgrade() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = format!("{BEFORE}--{}.sql", env!("CARGO_PKG_VERSION"));
    assert!(
        root.join("../sql/upgrade").join(&name).exists(),
        "sql/upgrade/{name}"
    );
    let kept = fs::read_dir(root.join("upgrade")).unwrap();
    let kept: Vec<String> = kept
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("sync_ext--"))
        .collect();
    assert_eq!(kept, [format!("sync_ext--{BEFORE}.sql")]);
}

#[test]
fn what_roles_hold_is_held_after_an_upgrade() {
    let db = old();
    let org = db.org();
    let (reader, operator, granted) = (db.role("read", org), db.role("operate", org), db.login_role());
    db.psql(&format!(
        "GRANT SELECT ON sync_progress_live, sync_progress TO {granted};
         GRANT SELECT ON sync_state TO {granted} WITH GRANT OPTION"
    ));
    upgrade(&db);
    let held = |role: &str, what: &str| {
        let asked = format!("SELECT has_table_privilege('{role}', '{what}', 'SELECT')");
        db.psql(&asked)
    };
    for relation in ["sync_progress_live", "sync_progress", "sync_state"] {
        for role in [&reader, &operator, &granted] {
            assert_eq!(held(role, relation), "t", "{role} {relation}");
        }
    }
    assert_eq!(held(&granted, "sync_list"), "f");
    let passes_on =
        format!("SELECT has_table_privilege('{granted}', 'sync_state', 'SELECT WITH GRANT OPTION')");
    assert_eq!(db.psql(&passes_on), "t");
    // what sync_grant gave is still known as that
    db.psql(&format!("SELECT sync_revoke('{reader}', '{org}')"));
    assert_eq!(held(&reader, "sync_progress_live"), "f");
    let public =
        "SELECT count(*) FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                  WHERE p.pronamespace = 'schema'::regnamespace AND a.grantee = 0";
    assert_eq!(db.psql(&public.replace("schema", &schema())), "0");
}

#[test]
fn a_bound_table_is_followed_and_written_after_an_upgrade() {
    let db = old();
    let org = db.org();
    let admin = db.role("admin", org);
    db.psql(&format!(
        "CREATE SCHEMA crm AUTHORIZATION {admin};
         SET ROLE {admin}; SET app.current_org_id = '{org}';
         CREATE TABLE crm.people (id int PRIMARY KEY, mail text, name text);
         SELECT sync_bind('customers', 'crm.people', '{{\"email\": \"mail\", \"name\": \"name\"}}', '{{id}}')"
    ));
    upgrade(&db);
    let mut app = db.connect_as(&admin, org);
    assert_eq!(
        text(
            &mut app,
            "SELECT count(*) FROM sync_bindings WHERE broken IS NULL"
        ),
        "1"
    );
    let members = "SELECT count(*) FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
                   WHERE d.deptype = 'e' AND p.proname ~ '^sync_(write|track)_[0-9]{3}'";
    assert_eq!(
        db.psql(members),
        "0",
        "generated functions are no members, or a dump would leave them out"
    );
    let callable = format!(
        "SELECT bool_and(has_function_privilege('{admin}', p.oid, 'EXECUTE')) FROM pg_proc p WHERE p.proname ~ '^sync_write_[0-9]{{3}}'"
    );
    assert_eq!(db.psql(&callable), "t");
    let triggers =
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'crm.people'::regclass AND tgname ~ '^sync_track_'";
    assert_eq!(db.psql(triggers), "4");
}

#[test]
fn a_worker_does_nothing_in_a_database_of_another_version() {
    let db = old();
    let org = db.org();
    let mut app = db.connect_as(&db.role("operate", org), org);
    let refused = app.batch_execute("SELECT sync_pull('woocommerce', 'customers')");
    let hint = refused
        .as_ref()
        .unwrap_err()
        .as_db_error()
        .unwrap()
        .hint()
        .map(str::to_owned);
    assert_eq!(sqlstate(refused), "55000");
    assert_eq!(
        hint.as_deref(),
        Some("ALTER EXTENSION sync_ext UPDATE, as a superuser.")
    );
    upgrade(&db);
    let refused = app.batch_execute("SELECT sync_pull('woocommerce', 'customers')");
    assert_eq!(sqlstate(refused), "42704");
}

#[test]
fn counts_and_durations_keep_their_values() {
    let db = old();
    let org = db.org();
    db.psql("SELECT sync_maintain()");
    let mut app = db.connect_as(&db.role("operate", org), org);
    app.batch_execute(
        "INSERT INTO sync_progress (sync_id, entity_type, total_items, processed_count, failed_count) VALUES ('a', 'orders', 300, 120, 3);
         INSERT INTO sync_progress (sync_id, entity_type, total_items, processed_count, failed_count, skipped_count)
         VALUES ('beyond', 'orders', 9000000000, 3000000000, 2999999999, 3000000001);
         INSERT INTO sync_activity_log (activity_type, record_count, duration_seconds) VALUES ('note', 77, 12.345), ('beyond', 9000000000, 1);
         INSERT INTO sync_activity_log (activity_type, record_count, created_at) VALUES ('old', 5, '2001-01-01')",
    )
    .unwrap();
    db.psql(&format!(
        "INSERT INTO sync_history (org_id, sync_type, status, items_processed, duration_ms) VALUES ('{org}', 'manual', 'completed', 12, 99000000000);
         INSERT INTO sync_metadata (org_id, sync_type, data_type, last_sync_count, hidden_count) VALUES ('{org}', 'shop', 'orders', 360, 2)"
    ));
    upgrade(&db);
    for (query, kept) in [
        ("SELECT concat_ws(' ', total_items, processed_count, failed_count, percent_complete, status) FROM sync_progress WHERE sync_id = 'a'", "300 120 3 41 running"),
        ("SELECT total_items FROM sync_progress WHERE sync_id = 'beyond'", "2147483647"),
        ("SELECT string_agg(activity_type || ' ' || record_count, ', ' ORDER BY activity_type) FROM sync_activity_log WHERE sync_id IS NULL", "beyond 2147483647, note 77, old 5"),
        ("SELECT duration_seconds FROM sync_activity_log WHERE activity_type = 'note'", "12.345"),
        ("SELECT concat_ws(' ', items_processed, duration_ms) FROM sync_history", "12 2147483647"),
        ("SELECT concat_ws(' ', last_sync_count, hidden_count) FROM sync_metadata", "360 2"),
    ] {
        assert_eq!(text(&mut app, query), kept, "{query}");
    }
    app.batch_execute("UPDATE sync_progress SET processed_count = 297 WHERE sync_id = 'a'")
        .unwrap();
    let ended = "SELECT concat_ws(' ', status, percent_complete) FROM sync_progress WHERE sync_id = 'a'";
    assert_eq!(text(&mut app, ended), "completed_with_errors 100");
}
