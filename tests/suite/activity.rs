//! The activity log and its partitions.

use sync_ext_tests::{sqlstate, wait_until, TestDb};

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
                 SELECT 'note', t FROM unnest('{1970-01-01, 2200-01-01, now, infinity, -infinity}'::timestamptz[]) t";
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
