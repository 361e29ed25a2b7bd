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

#[test]
fn statuses_and_spellings_are_translated() {
    let db = old();
    let org = db.org();
    let mut app = db.connect_as(&db.role("operate", org), org);
    app.batch_execute(
        r#"INSERT INTO sync_activity_log (sync_id, activity_type, entity_type, status, record_count, details) VALUES
             ('a', 'apply', 'customers', 'completed', 250, '{"created": 250, "updated": 0, "deleted": 0, "failed": 140}'),
             ('a', 'sync_completed', 'customers', 'completed', 390, '{}'),
             ('b', 'apply', 'customers', 'completed', 0, '{"created": 0, "updated": 0, "deleted": 0, "failed": 1}'),
             ('c', 'apply', 'customers', 'completed', 5, '{"created": 5, "updated": 0, "deleted": 0, "failed": 0}'),
             ('d', 'delta', NULL, 'completed', 3, '{"itemsProcessed": 3, "itemsFailed": 1}'),
             ('e', 'pull', 'orders', 'completed', 3, '{"records": 360, "unreadable": 1}'),
             ('f', 'pull', 'orders', 'failed', 0, '{"sqlstate": "08006"}'),
             ('g', 'batch_process', 'customer', 'completed_with_errors', NULL, '{}');
           INSERT INTO sync_progress (sync_id, entity_type, total_items, processed_count) VALUES ('p', 'customer', 10, 4);
           INSERT INTO sync_preview_cache (sync_type, entity_type, delta_data) VALUES ('woocommerce', 'customers', '{"foo": 1}');
           INSERT INTO sync_selective_config (entity_type, config, updated_at) VALUES ('orders', '{"includeNew": false}', now() - interval '1 day'),
             ('order', '{"includeDeleted": true, "order": 1}', now()), ('unicorns', '{}', now()), ('customer', '{"includeUpdated": false}', now())"#,
    )
    .unwrap();
    upgrade(&db);
    for (query, translated) in [
        (
            "SELECT string_agg(concat_ws(' ', sync_id, activity_type, entity_type, status, error_message), ', ' ORDER BY sync_id) FROM sync_activity_log",
            "a apply customers completed_with_errors 140 of 390 records failed, b apply customers failed 1 of 1 records failed, \
             c apply customers completed, d delta completed_with_errors 1 of 3 records failed, \
             e pull orders completed_with_errors records that could not be read: 1, f pull orders failed, g batch_process customers completed_with_errors",
        ),
        ("SELECT concat_ws(' ', entity_type, status, processed_count) FROM sync_progress", "customers running 4"),
        (
            "SELECT string_agg(entity_type || ' ' || config, ', ' ORDER BY entity_type) FROM sync_selective_config",
            r#"customers {"includeUpdated": false}, orders {"includeDeleted": true}"#,
        ),
        ("SELECT count(*) FROM sync_preview_cache WHERE preview_id IS NULL", "1"),
    ] {
        assert_eq!(text(&mut app, query), translated, "{query}");
    }
}

/// Each dumped table with the number of its rows and a hash of what they hold; what an upgrade adds or translates is left out,
/// and what is told with fewer zeros.
const CONTENTS: &str = "
    CREATE FUNCTION pg_temp.contents(relation regclass) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE found text;
    BEGIN
        EXECUTE format('SELECT count(*) || '' '' || md5(string_agg(j::text, '','' ORDER BY j::text))
                        FROM (SELECT to_jsonb(t) - ''{is_run,preview_id,settled,unlisted,elapsed_seconds,speed_items_per_min,eta_seconds,percent_complete,own_rows,tags}''::text[] - %L::text[] AS j FROM %s t) x',
                       CASE relation WHEN 'sync_list'::regclass THEN '{entity_type,is_stock,fields,planned_at,last_outcome,last_sync_status}' ELSE '{}' END, relation) INTO found;
        RETURN found;
    END $$;
    SELECT string_agg(c.relation || ': ' || coalesce(pg_temp.contents(c.relation), 'empty'), E'\\n' ORDER BY c.relation::text)
    FROM pg_extension x, unnest(x.extconfig) AS t (oid), LATERAL (SELECT t.oid::regclass AS relation) c
    WHERE x.extname = 'sync_ext' AND t.oid <> ALL (ARRAY(SELECT to_regclass(n) FROM unnest('{sync_given,sync_layout_column,sync_layout_loss}'::text[]) n WHERE to_regclass(n) IS NOT NULL)) AND EXISTS (SELECT FROM pg_class r WHERE r.oid = t.oid AND r.relkind <> 'S')";

#[test]
fn every_row_is_there_as_it_was() {
    let db = old();
    let org = db.org();
    let role = db.role("admin", org);
    let mut app = db.connect_as(&role, org);
    db.psql(&format!(
        "SET app.current_org_id = '{org}';
         INSERT INTO integration_connector (name, kind, base_url, system, credentials) VALUES ('main', 'woocommerce', 'http://127.0.0.1:9', '127.0.0.1:9', 'x');
         SELECT sync_join_connector('{org}', number) FROM integration_connector;
         INSERT INTO sync_customers (email, custom) SELECT n || '@example.com', '{{\"n\": 1.50}}' FROM generate_series(1, 5) n;
         INSERT INTO sync_record (org_id, connector, entity, external_id, remote_fingerprint, remote)
         SELECT '{org}', c.number, 1, n::text, gen_random_uuid(), '{{\"email\": \"a@b.example\"}}' FROM integration_connector c, generate_series(1, 5) n;
         INSERT INTO sync_run (org_id, sync_id, sync_type, kind, status, pid) VALUES ('{org}', 'r', 'main', 'pull', 'done', 1);
         INSERT INTO sync_metadata (sync_type, data_type, last_sync_count, checkpoint) VALUES ('main', 'customers', 5, '{{\"at\": 7}}');
         INSERT INTO sync_history (sync_type, status, items_processed, duration_ms) VALUES ('manual', 'completed', 5, 17);
         INSERT INTO sync_apply_image (org_id, history_id, connector, entity, layout, operation, local_ids, external_ids)
         SELECT '{org}', id, 1, 1, 1, 'insert', '{{a}}', '{{b}}' FROM sync_history;
         INSERT INTO sync_idempotency_log (idempotency_key, state) VALUES ('k', 'intended')"
    ));
    app.batch_execute(
        "INSERT INTO saved_search_patterns (name, filter_config) VALUES ('all', '{}');
         INSERT INTO sync_list (item_type, source_platform, source_id) VALUES ('customer', 'main', '1');
         INSERT INTO sync_progress (sync_id, entity_type, total_items, processed_count) VALUES ('p', 'customers', 3, 1);
         INSERT INTO sync_activity_log (activity_type, record_count, duration_seconds) VALUES ('note', 3, 0.25);
         INSERT INTO sync_selective_config (entity_type, config) VALUES ('orders', '{\"includeNew\": false}');
         INSERT INTO sync_preview_cache (sync_type, delta_data) VALUES ('main', '{\"mine\": 1}')",
    )
    .unwrap();
    let before = db.psql(CONTENTS);
    assert!(
        before.lines().filter(|table| !table.contains("empty")).count() > 12,
        "{before}"
    );
    upgrade(&db);
    assert_eq!(db.psql(CONTENTS), before);
    assert_eq!(
        db.psql("SELECT count(*) FROM sync_record"),
        "10",
        "what tracks local rows goes on"
    );
}

#[test]
fn what_a_pull_under_way_has_seen_is_told_by_columns() {
    let db = old();
    let org = db.org();
    // of both of products, the first window is at 0
    db.psql(&format!(
        r#"INSERT INTO sync_sweep (org_id, connector, entity, list, position, keyset, is_end, total, unshown, ids)
           SELECT '{org}', 1, 2, list, 0, list = 'asked', true, 7, 1, ARRAY[list]
           FROM unnest('{{products,products@1777629600,attribute values,asked,"variations:34","variations:34,35","variations:34@-1"}}'::text[]) list"#
    ));
    upgrade(&db);
    let kept = "SELECT string_agg(format('%s from %s of %s since %s', ids[1], list, parent, extract(epoch FROM since)::bigint), '; ' ORDER BY ids[1])
                FROM (SELECT ids, list, parent, nullif(since, '-infinity') AS since FROM sync_sweep
                      WHERE keyset = (list = 'asked') AND is_end AND total = 7 AND unshown = 1 AND position = 0) s";
    assert_eq!(
        db.psql(kept),
        "asked from asked of  since ; attribute values from attribute values of  since ; products from products of  since ; \
         products@1777629600 from products of  since 1777629600; variations:34 from variations of 34 since ; \
         variations:34,35 from variations of 34,35 since ; variations:34@-1 from variations of 34 since -1"
    );
}

#[test]
fn what_a_ledger_holds_and_what_is_nested_deeply_is_kept() {
    let db = old();
    let org = db.org();
    let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
    db.psql(&format!(
        "INSERT INTO sync_record (org_id, connector, entity, external_id, local_id, remote_fingerprint, local_fingerprint)
         SELECT '{org}', 1, 1, n, CASE WHEN n <> '1' THEN n END, CASE WHEN n <> '3' THEN md5(n)::uuid END, CASE WHEN n <> '1' THEN md5('2')::uuid END
         FROM unnest('{{1,2,3,4}}'::text[]) n;
         INSERT INTO sync_list (org_id, item_type, source_platform, source_id, target_platform, is_active, metadata)
         SELECT '{org}', 'customers', 'local', n, 'shop', false, m::jsonb FROM (VALUES ('a', '{deep}'), ('b', '[[1]]')) x (n, m)"
    ));
    let changes = "SELECT string_agg(coalesce(change, '-'), ' ' ORDER BY external_id) FROM sync_record";
    assert_eq!(db.psql(changes), "new - deleted updated");
    upgrade(&db);
    assert_eq!(db.psql(changes), "new - deleted updated");
    let kept = "SELECT string_agg(jsonb_typeof(metadata), ' ' ORDER BY source_id) FROM sync_list";
    assert_eq!(db.psql(kept), "string array");
    db.psql("UPDATE sync_record SET settled = sync_pair(remote_fingerprint, local_fingerprint)");
    assert_eq!(db.psql(changes), "new - deleted -");
}

#[test]
fn what_is_out_of_the_bounds_of_today_stops_no_upgrade() {
    let db = old();
    let org = db.org();
    db.psql("SELECT sync_maintain()");
    let mut app = db.connect_as(&db.role("operate", org), org);
    app.batch_execute(
        "INSERT INTO sync_activity_log (activity_type, created_at, duration_seconds) VALUES
             ('after', 'infinity', 'NaN'), ('before', '-infinity', 1e400), ('far', '294276-12-31', 1.5);
         INSERT INTO sync_preview_cache (sync_type, delta_data, expires_at) VALUES
             ('after', '{}', '294276-12-31'), ('before', '{}', '-infinity'), ('kept', '{}', 'infinity'), ('today', '{}', '2030-01-01')",
    )
    .unwrap();
    db.psql(&format!(
        "INSERT INTO sync_history (org_id, sync_type, status, created_at, user_id, metadata) VALUES
             ('{org}', 'manual', 'completed', 'infinity', repeat('u', 1000), (repeat('[', 70) || repeat(']', 70))::jsonb),
             ('{org}', 'full', 'completed', '4713-01-01 BC', 'u', '[[1]]')"
    ));
    upgrade(&db);
    for (query, kept) in [
        (
            "SELECT string_agg(concat_ws(' ', activity_type, CASE WHEN created_at > now() - interval '1 day' THEN 'now' ELSE created_at::date::text END, duration_seconds),
                               ', ' ORDER BY activity_type) FROM sync_activity_log",
            "after now, before 0001-01-01, far now 1.5",
        ),
        (
            "SELECT string_agg(concat_ws(' ', length(user_id), CASE WHEN created_at > now() - interval '1 day' THEN 'now' ELSE created_at::date::text END, jsonb_typeof(metadata)),
                               ', ' ORDER BY sync_type) FROM sync_history",
            "1 0001-01-01 array, 255 now string",
        ),
        (
            "SELECT string_agg(concat_ws(' ', sync_type, expires_at::date), ', ' ORDER BY sync_type) FROM sync_preview_cache",
            "after infinity, before 0001-01-01, kept infinity, today 2030-01-01",
        ),
    ] {
        assert_eq!(text(&mut app, query), kept, "{query}");
    }
}

#[test]
fn items_keep_what_they_are_and_how_they_went() {
    let db = old();
    let org = db.org();
    db.psql(&format!(
        "INSERT INTO integration_connector (org_id, name, kind, base_url, system, credentials)
         VALUES ('{org}', 'shop', 'woocommerce', 'https://shop.example.com', 'shop.example.com', '');
         INSERT INTO sync_list (org_id, user_id, item_type, source_platform, source_id, last_sync_status, error_message, updated_at)
         SELECT '{org}', 'ada', 'product', 'shop', s, nullif(s, 'none'), 'as it was', '2026-01-01'
         FROM unnest('{{created,unchanged,skipped,failed,none}}'::text[]) s"
    ));
    upgrade(&db);
    let kept = "SELECT string_agg(concat_ws(' ', source_id, item_type, entity_type, is_stock, last_sync_status, last_outcome, updated_at::date), ', ' ORDER BY source_id)
                FROM sync_list WHERE error_message = 'as it was'";
    assert_eq!(
        db.psql(kept),
        "created products products f success created 2026-01-01, failed products products f failed failed 2026-01-01, \
         none products products f pending 2026-01-01, skipped products products f pending skipped 2026-01-01, \
         unchanged products products f success unchanged 2026-01-01"
    );
}
