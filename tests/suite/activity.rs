//! The activity log and its partitions.

use sync_ext_tests::{schema, sqlstate, wait_until, TestDb};

use sync_sandbox::{Fault, Rule, When};

use crate::contract_app::{text, App};
use crate::worker_shop::{Call, PATIENCE};

const PARTITIONS: &str = "SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'sync_activity_log'::regclass";
const AHEAD: &str = "SELECT string_agg('sync_activity_log_' || to_char((now() AT TIME ZONE 'UTC') + make_interval(months => n), 'YYYY_MM'), ' ' ORDER BY n)
                     || ' sync_activity_log_default' FROM generate_series(0, 2) n";

#[test]
fn a_pull_makes_the_partitions_by_itself() {
    let mut app = App::new(30);
    let root = &mut app.db.client();
    assert_eq!(text(root, PARTITIONS), "sync_activity_log_default");
    app.one("SELECT sync_pull('woocommerce', 'customers')");
    assert_eq!(text(root, PARTITIONS), text(root, AHEAD));
    // what was written before its partition was there has moved into it
    assert_eq!(text(root, "SELECT count(*) FROM sync_activity_log_default"), "0");
    assert_eq!(text(root, "SELECT count(*) FROM sync_activity_log"), "1");
}

#[test]
fn who_operates_may_maintain() {
    let db = TestDb::new();
    let org = db.org();
    let mut app = db.connect_as(&db.role("operate", org), org);
    assert_eq!(text(&mut app, "SELECT sync_maintain() ->> 'partitionsMade'"), "3");
    assert_eq!(text(&mut app, "SELECT sync_maintain() ->> 'partitionsMade'"), "0");
    let mut reader = db.connect_as(&db.role("read", org), org);
    assert_eq!(sqlstate(reader.batch_execute("SELECT sync_maintain()")), "42501");
}

#[test]
fn entries_of_any_time_find_a_place() {
    let db = TestDb::new();
    let org = db.org();
    let mut app = db.connect_as(&db.role("operate", org), org);
    let write = "INSERT INTO sync_activity_log (activity_type, created_at)
                 SELECT 'note', t FROM unnest('{0001-01-02, 1970-01-01, 2200-01-01, now, 9999-12-31}'::timestamptz[]) t";
    for _ in 0..2 {
        app.batch_execute(write).unwrap();
        db.psql("SELECT sync_make_activity_partition(((now() AT TIME ZONE 'UTC')::date))");
    }
    assert_eq!(text(&mut app, "SELECT count(*) FROM sync_activity_log"), "10");
    let placed = "SELECT count(*) FROM ONLY sync_activity_log_default";
    assert_eq!(db.psql(placed), "8");
    // in a session of another time zone the months are still those of UTC
    let bounds = db.psql(
        "SET timezone = 'Pacific/Auckland'; SELECT sync_make_activity_partition('2031-03-15');
         SET timezone = 'UTC'; SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'sync_activity_log_2031_03'",
    );
    assert!(
        bounds.ends_with("FOR VALUES FROM ('2031-03-01 00:00:00+00') TO ('2031-04-01 00:00:00+00')"),
        "{bounds}"
    );
}

#[test]
fn retention_drops_what_is_old() {
    let db = TestDb::new();
    let org = db.org();
    db.set("sync_ext.activity_retention", "2 months");
    let mut app = db.connect_as(&db.role("operate", org), org);
    db.psql(
        "SELECT sync_make_activity_partition((now() - make_interval(months => n))::date) FROM generate_series(1, 4) n",
    );
    app.batch_execute(
        "INSERT INTO sync_activity_log (activity_type, created_at)
         SELECT 'note', now() - make_interval(months => n) FROM generate_series(0, 6) n",
    )
    .unwrap();
    let done = text(
        &mut app,
        "SELECT concat_ws(' ', d ->> 'partitionsMade', d ->> 'partitionsDropped', d ->> 'rowsDeleted') FROM sync_maintain() d",
    );
    assert_eq!(done, "3 2 2");
    assert_eq!(text(&mut app, "SELECT count(*) FROM sync_activity_log"), "3");
}

#[test]
fn a_retention_is_an_interval_of_more_than_nothing() {
    let db = TestDb::new();
    let mut owner = db.client();
    for setting in ["activity_retention", "history_retention"] {
        for value in ["a while", "", "-1 month", "0"] {
            let set = format!("SELECT sync_caller(); SET sync_ext.{setting} = '{value}'");
            let error = owner.batch_execute(&set).unwrap_err();
            assert_eq!(error.code().unwrap().code(), "22023", "{setting} = {value}");
        }
        let set = format!("SET sync_ext.{setting} = '1 year 2 days'");
        owner.batch_execute(&set).unwrap();
    }
}

#[test]
fn a_partition_is_no_way_around_the_policies() {
    let db = TestDb::new();
    let (org, other) = (db.org(), db.org());
    db.psql("SELECT sync_maintain()");
    for org in [org, other] {
        let mut app = db.connect_as(&db.role("operate", org), org);
        app.batch_execute("INSERT INTO sync_activity_log (activity_type) VALUES ('note')")
            .unwrap();
    }
    let role = db.role("operate", org);
    let mut app = db.connect_as(&role, org);
    assert_eq!(text(&mut app, "SELECT count(*) FROM sync_activity_log"), "1");
    for partition in text(&mut db.client(), PARTITIONS).split(' ') {
        assert_eq!(
            sqlstate(app.batch_execute(&format!("SELECT FROM {partition}"))),
            "42501"
        );
        db.psql(&format!("GRANT SELECT ON {partition} TO {role}"));
        // even a privilege given by mistake shows nothing of others
        let others = format!("SELECT count(*) FROM {partition} WHERE org_id = '{other}'");
        assert_eq!(text(&mut app, &others), "0");
    }
}

#[test]
fn an_open_transaction_that_has_logged_something_stops_nobody() {
    let mut app = App::new(30);
    let mut busy = app.db.connect_as(&app.role, app.org);
    busy.batch_execute("BEGIN; INSERT INTO sync_activity_log (activity_type) VALUES ('note')")
        .unwrap();
    assert_eq!(
        app.one("SELECT sync_pull('woocommerce', 'customers') ->> 'status'"),
        "success"
    );
    assert_eq!(app.one("SELECT sync_maintain() ->> 'busy'"), "true");
    // the caller's own transaction as well
    assert_eq!(
        text(
            &mut busy,
            "SELECT sync_pull('woocommerce', 'categories') ->> 'status'"
        ),
        "success"
    );
    busy.batch_execute("COMMIT").unwrap();
    assert_eq!(app.one("SELECT sync_maintain() ->> 'partitionsMade'"), "3");
    assert_eq!(app.one("SELECT count(*) FROM sync_activity_log"), "3");
}

#[test]
fn an_entry_that_comes_while_its_partition_is_made_finds_it() {
    let db = TestDb::new();
    let org = db.org();
    let mut maker = db.client();
    maker
        .batch_execute("BEGIN; SELECT sync_make_activity_partition(((now() AT TIME ZONE 'UTC')::date))")
        .unwrap();
    let writer = Call::start(
        db.connect_as(&db.role("operate", org), org),
        "INSERT INTO sync_activity_log (activity_type) VALUES ('note')",
    );
    wait_until(PATIENCE, || {
        let waits = format!(
            "SELECT count(*) FROM pg_locks WHERE pid = {} AND NOT granted",
            writer.pid
        );
        db.psql(&waits) == "1"
    });
    maker.batch_execute("COMMIT").unwrap();
    writer.finish().unwrap();
    assert_eq!(db.psql("SELECT count(*) FROM sync_activity_log_default"), "0");
    assert_eq!(db.psql("SELECT count(*) FROM sync_activity_log"), "1");
}

#[test]
fn the_newest_entries_are_read_by_index() {
    let db = TestDb::new();
    let org = db.org();
    db.psql("SELECT sync_maintain()");
    let mut app = db.connect_as(&db.role("operate", org), org);
    app.batch_execute(
        "INSERT INTO sync_activity_log (activity_type) SELECT 'note' FROM generate_series(1, 5000)",
    )
    .unwrap();
    db.psql("ANALYZE sync_activity_log");
    let plan: Vec<String> = app
        .query(
            "EXPLAIN SELECT * FROM sync_activity_log ORDER BY created_at DESC LIMIT 20",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(plan.iter().any(|line| line.contains("_recent")), "{plan:#?}");
    assert!(!plan.iter().any(|line| line.contains("Seq Scan")), "{plan:#?}");
}

/// Everything about a run but its reply: its one row of the log, and what progress says.
const RUN: &str = "SELECT concat_ws(' ', l.activity_type, l.status, p.status, l.entity_type = p.entity_type, l.record_count, p.failed_count, p.total_items,
                          l.error_message)
                   FROM sync_activity_log l JOIN sync_progress p ON p.sync_id = l.sync_id WHERE l.activity_type = ";

#[test]
fn an_apply_whose_records_were_refused_in_part_or_all_says_so_once() {
    let mut app = App::new(30);
    app.one("SELECT sync_pull('woocommerce', 'customers')");
    app.db.psql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN IF NEW.email < (SELECT percentile_disc(0.4) WITHIN GROUP (ORDER BY match_key) FROM sync.sync_record) THEN
                 RAISE EXCEPTION 'not on a Monday'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON sync_customers FOR EACH ROW EXECUTE FUNCTION refuse()"
            .replace("sync.", &format!("{}.", schema()))
            .as_str(),
    );
    let apply = "SELECT concat_ws(' ', a ->> 'status', a ->> 'created', a ->> 'failed') FROM sync_apply('woocommerce', 'customers') a";
    let told = app.one(apply);
    let [status, created, failed] = told.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{told}")
    };
    assert_eq!(status, "partial_success");
    let (created, failed): (u32, u32) = (created.parse().unwrap(), failed.parse().unwrap());
    assert!(created > 0 && failed > 0, "{told}");
    let run = format!("{RUN} 'apply' ORDER BY l.created_at DESC LIMIT 1");
    let entry = app.one(&run);
    let expected = format!(
        "apply completed_with_errors completed_with_errors t {created} {failed} {} {failed} of {} records failed, one of them: not on a Monday",
        created + failed,
        created + failed
    );
    assert_eq!(entry, expected);

    assert_eq!(app.one(apply), format!("failed 0 {failed}"));
    assert_eq!(
        app.one(&run),
        format!("apply failed failed t 0 {failed} {failed} {failed} of {failed} records failed, one of them: not on a Monday")
    );

    app.db.psql("DROP TRIGGER refuse ON sync_customers");
    app.one(apply);
    assert_eq!(
        app.one(&run),
        format!("apply completed completed t {failed} 0 {failed}")
    );
    // what apps ask for, and add up
    let failures = "SELECT count(*) FROM sync_activity_log WHERE status IN ('failed', 'completed_with_errors', 'timeout')";
    assert_eq!(app.one(failures), "2");
    let sums = "SELECT sum(record_count) FROM sync_activity_log WHERE activity_type <> 'pull'";
    assert_eq!(app.one(sums), (created + failed).to_string());
    assert_eq!(
        app.one("SELECT count(*) = count(DISTINCT sync_id) FROM sync_activity_log"),
        "t"
    );
}

#[test]
fn a_list_run_whose_items_failed_says_so_once() {
    let mut app = App::new(30);
    app.sql
        .batch_execute("INSERT INTO sync_list (item_type, source_platform, source_id) VALUES ('customer', 'woocommerce', '999999')")
        .unwrap();
    assert_eq!(app.one("SELECT sync_delta() ->> 'status'"), "failed");
    assert_eq!(
        app.one(&RUN.replace("l.entity_type = p.entity_type", "p.entity_type").replace("l.activity_type = ", "true")),
        "delta failed failed all 1 1 1 1 of 1 records failed, one of them: \"woocommerce\" has no customer with this id (any more)"
    );
}

/// Who has an error can find its run.
#[test]
fn an_error_of_a_run_says_by_which_id_the_log_knows_it() {
    let mut app = App::new(30);
    app.shop
        .fault(Rule::new("/wp-json/wc/v3/customers", When::All, Fault::HtmlPage));
    for call in [
        "SELECT sync_pull('woocommerce', 'customers')",
        "SELECT sync_preview('woocommerce', 'customers')",
        "SELECT sync_apply('woocommerce', 'customers', preview_id => gen_random_uuid())",
    ] {
        let error = app.sql.batch_execute(call).unwrap_err();
        let detail = error
            .as_db_error()
            .unwrap()
            .detail()
            .unwrap_or_default()
            .to_owned();
        let id = detail
            .lines()
            .last()
            .unwrap()
            .strip_prefix("requestId: ")
            .unwrap_or_default();
        let last = app.one("SELECT sync_id FROM sync_activity_log ORDER BY created_at DESC LIMIT 1");
        assert_eq!(id, last, "{call}: {detail}");
    }
}

#[test]
fn entity_types_have_one_spelling_whoever_writes_them() {
    let db = TestDb::new();
    let org = db.org();
    let mut app = db.connect_as(&db.role("operate", org), org);
    app.batch_execute(
        "INSERT INTO sync_progress (sync_id, entity_type, total_items, processed_count) VALUES ('a', 'customer', 1, 1), ('b', ' Order ', 1, 0),
             ('c', 'coupon', 1, 0);
         UPDATE sync_progress SET entity_type = 'product' WHERE sync_id = 'b';
         INSERT INTO sync_activity_log (entity_type, activity_type, details) VALUES ('customer', 'batch_process', NULL), (NULL, 'note', DEFAULT);
         UPDATE sync_activity_log SET details = NULL WHERE activity_type = 'note'",
    )
    .unwrap();
    let progress = "SELECT string_agg(entity_type, ' ' ORDER BY sync_id) FROM sync_progress";
    assert_eq!(text(&mut app, progress), "customers products coupon");
    let log = "SELECT string_agg(concat_ws(' ', activity_type, entity_type, details = '{}'), ', ' ORDER BY activity_type) FROM sync_activity_log";
    assert_eq!(
        text(&mut app, log),
        "batch_process customers t, note t, sync_completed customers f"
    );
}

#[test]
fn calls_that_no_worker_carries_out_are_logged() {
    let mut app = App::new(30);
    for call in [
        "SET app.current_user_id = 'ada'",
        "SELECT sync_preview('woocommerce', 'customers')",
        "SELECT sync_select('customer', include_deleted => true)",
        "SELECT sync_preview('woocommerce', 'customers')",
        "SELECT sync_invalidate_preview('woocommerce', 'customer')",
        "SELECT sync_apply('woocommerce', 'customers', include_deleted => false)",
        "SELECT sync_undo(id) FROM sync_history",
        "SELECT sync_reset('woocommerce', 'customers')",
    ] {
        app.sql.batch_execute(call).unwrap();
    }
    let log = "SELECT string_agg(concat_ws(' ', activity_type, entity_type, status, record_count, user_id), ', ' ORDER BY created_at) FROM sync_activity_log";
    assert_eq!(
        app.one(log),
        "preview customers completed 30 ada, select customers completed ada, preview customers completed 0 ada, \
         invalidate_preview customers completed 1 ada, apply customers completed 30 ada, undo customers completed 30 ada, \
         reset customers completed ada"
    );
}

#[test]
fn previews_from_the_cache_are_logged_where_that_is_asked_for() {
    let mut app = App::new(30);
    let hits = "SELECT count(*) FROM sync_activity_log WHERE activity_type = 'preview' AND details ->> 'cacheHit' = 'true'";
    for _ in 0..2 {
        app.one("SELECT sync_preview('woocommerce', 'customers') ->> 'syncType'");
    }
    assert_eq!(app.one(hits), "0");
    app.sql.batch_execute("SET sync_ext.log_cache_hits = on").unwrap();
    app.one("SELECT sync_preview('woocommerce', 'customers') ->> 'syncType'");
    assert_eq!(app.one(hits), "1");
    // where nothing can be written, it is answered all the same
    app.sql
        .batch_execute("BEGIN READ ONLY; SELECT sync_preview('woocommerce', 'customers'); COMMIT")
        .unwrap();
    assert_eq!(app.one(hits), "1");
}
