//! How far it is: what apps write, and what the trigger makes of it.

use std::time::Duration;

use postgres::fallible_iterator::FallibleIterator;
use postgres::Client;
use sync_ext_tests::{sqlstate, TestDb};

use crate::contract_app::text;

fn app() -> (TestDb<'static>, Client) {
    let db = TestDb::new();
    let org = db.org();
    let client = db.connect_as(&db.role("operate", org), org);
    (db, client)
}

fn begin(client: &mut Client, total: u32) {
    let insert = format!(
        "INSERT INTO sync_progress (sync_id, entity_type, total_items) VALUES ('run', 'customers', {total})"
    );
    client.batch_execute(&insert).unwrap();
}

const LOGGED: &str = "SELECT count(*) FROM sync_activity_log WHERE sync_id = 'run'";

#[test]
fn an_update_returns_what_is_computed() {
    let (_db, mut app) = app();
    begin(&mut app, 200);
    app.batch_execute(
        "UPDATE sync_progress SET started_at = now() - interval '60 s', window_started_at = NULL",
    )
    .unwrap();
    let row = app
        .query_one(
            "UPDATE sync_progress SET processed_count = 45, failed_count = 3, skipped_count = 2 WHERE sync_id = 'run'
             RETURNING percent_complete, elapsed_seconds, speed_items_per_min, eta_seconds, status",
            &[],
        )
        .unwrap();
    let near = |column: usize, expected: f64| {
        let found: f64 = row.get(column);
        assert!(
            (found - expected).abs() <= expected * 0.1,
            "column {column}: {found}, not {expected}"
        );
    };
    near(0, 25.0);
    near(1, 60.0);
    near(2, 50.0);
    near(3, 180.0);
    assert_eq!(row.get::<_, &str>(4), "running");
}

/// A speed of next to nothing has no end that could be told.
#[test]
fn what_would_take_for_ever_has_no_eta() {
    let (_db, mut app) = app();
    begin(&mut app, 1_000_000_000);
    let set = "UPDATE sync_progress SET started_at = now() - interval '100 min', window_started_at = NULL, processed_count = ";
    let seen = "SELECT concat_ws(' ', p.speed_items_per_min, coalesce(p.eta_seconds::text, 'none'), coalesce(l.eta::text, 'none'))
                FROM sync_progress p, sync_progress_live l";
    for (done, shown) in [("0", "0 none none"), ("1", "0.01 none none")] {
        app.batch_execute(&format!("{set}{done}")).unwrap();
        assert_eq!(text(&mut app, seen), shown);
    }
    app.batch_execute(&format!("{set}600000000")).unwrap();
    assert_eq!(
        text(
            &mut app,
            "SELECT eta BETWEEN '50 min' AND '80 min' FROM sync_progress_live"
        ),
        "t"
    );
}

#[test]
fn an_eta_follows_a_slowdown() {
    let (_db, mut app) = app();
    begin(&mut app, 1000);
    // 400 in the first 100 seconds; then 10 in the last 20
    app.batch_execute(
        "UPDATE sync_progress SET processed_count = 400, started_at = now() - interval '120 s',
             window_started_at = now() - interval '20 s', window_count = 400,
             next_window_at = now() - interval '10 s', next_window_count = 405;
         UPDATE sync_progress SET processed_count = 410",
    )
    .unwrap();
    let eta: f64 = app
        .query_one("SELECT eta_seconds FROM sync_progress", &[])
        .unwrap()
        .get(0);
    assert!(
        (1000.0..1400.0).contains(&eta),
        "590 are left at 30 a minute: {eta}"
    );
}

#[test]
fn the_window_moves_on() {
    let (_db, mut app) = app();
    begin(&mut app, 1000);
    app.batch_execute(
        "UPDATE sync_progress SET processed_count = 400, started_at = now() - interval '120 s',
             window_started_at = now() - interval '40 s', window_count = 100,
             next_window_at = now() - interval '20 s', next_window_count = 390",
    )
    .unwrap();
    let speed: f64 = app
        .query_one("SELECT speed_items_per_min FROM sync_progress", &[])
        .unwrap()
        .get(0);
    assert!(
        (27.0..33.0).contains(&speed),
        "10 in the last 20 seconds: {speed}"
    );
}

#[test]
fn reaching_the_total_completes_a_row_and_logs_it_once() {
    let (_db, mut app) = app();
    begin(&mut app, 10);
    app.batch_execute("UPDATE sync_progress SET processed_count = 9")
        .unwrap();
    assert_eq!(text(&mut app, LOGGED), "0");
    app.batch_execute("UPDATE sync_progress SET processed_count = 10")
        .unwrap();
    let row = text(
        &mut app,
        "SELECT concat_ws(' ', status, percent_complete, eta_seconds, completed_at IS NOT NULL) FROM sync_progress",
    );
    assert_eq!(row, "completed 100 0 t");
    app.batch_execute(
        "UPDATE sync_progress SET current_item = 'again', updated_at = now();
         UPDATE sync_progress SET processed_count = 10",
    )
    .unwrap();
    assert_eq!(text(&mut app, LOGGED), "1");
    let entry = "SELECT concat_ws(' ', activity_type, status, record_count, details ->> 'total') FROM sync_activity_log";
    assert_eq!(text(&mut app, entry), "sync_completed completed 10 10");
}

#[test]
fn a_row_that_is_taken_up_again_is_no_longer_complete() {
    let (_db, mut app) = app();
    begin(&mut app, 10);
    app.batch_execute("UPDATE sync_progress SET processed_count = 10")
        .unwrap();
    app.batch_execute("UPDATE sync_progress SET status = 'running', processed_count = 4")
        .unwrap();
    let row = "SELECT concat_ws(' ', status, percent_complete, completed_at IS NULL) FROM sync_progress";
    assert_eq!(text(&mut app, row), "running 40 t");
    app.batch_execute("UPDATE sync_progress SET processed_count = 10")
        .unwrap();
    let row = "SELECT concat_ws(' ', status, percent_complete, completed_at IS NULL) FROM sync_progress";
    assert_eq!(text(&mut app, row), "completed 100 f");
}

#[test]
fn failures_make_it_completed_with_errors() {
    let (_db, mut app) = app();
    begin(&mut app, 10);
    app.batch_execute("UPDATE sync_progress SET processed_count = 7, failed_count = 2, skipped_count = 1")
        .unwrap();
    assert_eq!(
        text(&mut app, "SELECT status FROM sync_progress"),
        "completed_with_errors"
    );
    assert_eq!(
        text(&mut app, "SELECT status FROM sync_activity_log"),
        "completed_with_errors"
    );
    assert_eq!(
        text(&mut app, "SELECT error_message FROM sync_activity_log"),
        "2 of 10 items failed"
    );
}

#[test]
fn a_row_that_is_inserted_complete_is_logged_too() {
    let (_db, mut app) = app();
    app.batch_execute(
        "INSERT INTO sync_progress (sync_id, entity_type, total_items, processed_count) VALUES ('run', 'orders', 3, 3)",
    )
    .unwrap();
    assert_eq!(text(&mut app, LOGGED), "1");
}

#[test]
fn more_than_the_total_is_refused() {
    let (_db, mut app) = app();
    begin(&mut app, 10);
    for counts in [
        "processed_count = 11",
        "processed_count = 8, failed_count = 2, skipped_count = 1",
        "processed_count = -1",
    ] {
        assert_eq!(
            sqlstate(app.batch_execute(&format!("UPDATE sync_progress SET {counts}"))),
            "23514",
            "{counts}"
        );
    }
    let second = "INSERT INTO sync_progress (sync_id, entity_type) VALUES ('run', 'orders')";
    assert_eq!(sqlstate(app.batch_execute(second)), "23505");
}

#[test]
fn a_change_is_announced_with_ids_only() {
    let db = TestDb::new();
    let org = db.org();
    let mut app = db.connect_as(&db.role("operate", org), org);
    let mut listener = db.client();
    listener.batch_execute("LISTEN sync_progress").unwrap();
    app.batch_execute(
        "INSERT INTO sync_progress (sync_id, entity_type, total_items, current_item) VALUES ('run', 'customers', 5, 'secret@person.example')",
    )
    .unwrap();
    let mut notifications = listener.notifications();
    let got = notifications
        .timeout_iter(Duration::from_secs(10))
        .next()
        .unwrap()
        .expect("a notification");
    assert_eq!(got.channel(), "sync_progress");
    let payload: serde_json::Value = serde_json::from_str(got.payload()).unwrap();
    assert_eq!(
        payload,
        serde_json::json!({ "org_id": org.to_string(), "sync_id": "run" })
    );
}

#[test]
fn an_update_without_a_time_gets_one() {
    let (_db, mut app) = app();
    begin(&mut app, 10);
    app.batch_execute("UPDATE sync_progress SET processed_count = 1")
        .unwrap();
    assert_eq!(
        text(&mut app, "SELECT updated_at > started_at FROM sync_progress"),
        "t"
    );
}

#[test]
fn the_bar_is_full_at_the_end_only_and_never_fails() {
    let (_db, mut app) = app();
    begin(&mut app, 1000);
    let bar = "SELECT progress FROM sync_progress_live";
    app.batch_execute("UPDATE sync_progress SET processed_count = 999")
        .unwrap();
    assert_eq!(text(&mut app, bar), "[###################.]  99 %");
    app.batch_execute("UPDATE sync_progress SET processed_count = 1000")
        .unwrap();
    assert_eq!(text(&mut app, bar), "[####################] 100 %");
    app.batch_execute(
        "DELETE FROM sync_progress;
         INSERT INTO sync_progress (sync_id, entity_type, total_items, started_at) VALUES ('run', 'customers', 2147483647, now() - interval '1 year');
         UPDATE sync_progress SET processed_count = 600",
    )
    .unwrap();
    assert_eq!(text(&mut app, bar), "[....................]   0 %");
}

#[test]
fn a_sync_of_nothing_is_complete_and_one_of_an_unknown_number_is_not() {
    let (_db, mut app) = app();
    app.batch_execute(
        "INSERT INTO sync_progress (sync_id, entity_type, total_items) VALUES ('nothing', 'customers', 0), ('unknown', 'customers', NULL);
         INSERT INTO sync_progress (sync_id, entity_type) VALUES ('left out', 'customers')",
    )
    .unwrap();
    let ends = "SELECT string_agg(concat_ws(' ', sync_id, status, total_items, percent_complete), ', ' ORDER BY sync_id) FROM sync_progress";
    assert_eq!(
        text(&mut app, ends),
        "left out running 0 0, nothing completed 0 100, unknown running 0 0"
    );
    let logged =
        "SELECT string_agg(concat_ws(' ', sync_id, status, record_count), ', ') FROM sync_activity_log";
    assert_eq!(text(&mut app, logged), "nothing completed 0");
    // it turns out that there is something
    app.batch_execute(
        "UPDATE sync_progress SET total_items = 5, processed_count = 2 WHERE sync_id = 'nothing'",
    )
    .unwrap();
    let row = "SELECT concat_ws(' ', status, percent_complete, completed_at IS NULL) FROM sync_progress WHERE sync_id = 'nothing'";
    assert_eq!(text(&mut app, row), "running 40 t");
}

#[test]
fn an_app_that_is_silent_for_a_day_has_ended() {
    let (db, mut app) = app();
    app.batch_execute(
        "INSERT INTO sync_progress (sync_id, entity_type, total_items, status, updated_at) VALUES
             ('silent', 'customers', 10, 'running', now() - interval '25 hours'), ('waiting', 'customers', 10, 'pending', now() - interval '25 hours'),
             ('paused', 'customers', 10, 'paused', now() - interval '25 hours'), ('alive', 'customers', 10, 'running', now() - interval '23 hours')",
    )
    .unwrap();
    for _ in 0..2 {
        db.psql("SELECT sync_maintain()");
    }
    let ends = "SELECT string_agg(concat_ws(' ', sync_id, status, percent_complete), ', ' ORDER BY sync_id) FROM sync_progress";
    assert_eq!(
        text(&mut app, ends),
        "alive running 0, paused paused 0, silent interrupted 100, waiting interrupted 100"
    );
    let logged = "SELECT string_agg(concat_ws(' ', sync_id, status, error_message), ', ' ORDER BY sync_id) FROM sync_activity_log";
    assert_eq!(
        text(&mut app, logged),
        "silent failed nothing was heard of it for a day, waiting failed nothing was heard of it for a day"
    );
}
