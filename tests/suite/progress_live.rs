//! What is to be seen while a pull runs, and after it.

use std::thread;
use std::time::Duration;

use sync_ext_tests::{sqlstate, wait_until};
use sync_sandbox::{Fault, Rule, When};

use crate::contract_app::{text, App};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_pull_fills_progress_activity_and_run() {
    let mut app = App::new(250);
    app.one("SELECT sync_pull('woocommerce', 'customers')");
    let progress = app.one(
        "SELECT concat_ws(' ', entity_type, source_system, status, phase, total_items, processed_count, percent_complete,
                          completed_at IS NOT NULL, eta_seconds) FROM sync_progress",
    );
    assert_eq!(progress, "customers woocommerce completed done 250 250 100 t 0");
    let logged = "SELECT concat_ws(' ', l.activity_type, l.status, l.entity_type, l.record_count, l.details ->> 'inserted', l.duration_seconds > 0,
                                   l.sync_id = r.sync_id, r.status, r.kind)
                  FROM sync_activity_log l, sync_run r";
    assert_eq!(app.one(logged), "pull completed customers 250 250 t t done pull");
    assert_eq!(
        app.one("SELECT progress FROM sync_progress_live"),
        "[####################] 100 %"
    );
    assert_eq!(app.one("SELECT count(*) FROM sync_workers"), "0");
}

#[test]
fn a_failed_pull_is_logged_though_the_caller_rolls_back() {
    let mut app = App::new(120);
    app.shop
        .fault(Rule::new("/wp-json/wc/v3/customers", When::All, Fault::HtmlPage));
    let call = "BEGIN; SELECT sync_pull('woocommerce', 'customers')";
    assert_eq!(sqlstate(app.sql.batch_execute(call)), "08P01");
    app.sql.batch_execute("ROLLBACK").unwrap();
    let logged = "SELECT concat_ws(' ', l.status, l.details ->> 'sqlstate', l.error_message IS NOT NULL, p.status, p.percent_complete, p.eta_seconds, r.status)
                  FROM sync_activity_log l, sync_progress p, sync_run r";
    assert_eq!(app.one(logged), "failed 08P01 t failed 100 0 failed");
}

#[test]
fn a_running_pull_is_seen_in_both_views() {
    let mut app = App::new(900);
    // the seventh page and those after it wait until they are released
    let rule = Rule {
        query: Some("per_page=100".into()),
        ..Rule::new("/wp-json/wc/v3/customers", When::Nth(7), Fault::Hang)
    };
    app.shop.fault(rule);
    let mut caller = app.db.connect_as(&app.role, app.org);
    let pull = thread::spawn(move || {
        text(
            &mut caller,
            "SELECT sync_pull('woocommerce', 'customers') ->> 'status'",
        )
    });
    wait_until(PATIENCE, || {
        app.one("SELECT count(*) FROM sync_progress_live WHERE status = 'running' AND per_minute > 0") == "1"
    });
    let live = app.one(
        "SELECT concat_ws(' ', entity_type, source_system, status, phase, progress LIKE '[#%.] % \\%', items LIKE '% / 900')
         FROM sync_progress_live",
    );
    assert_eq!(live, "customers woocommerce running fetching t t");
    let worker = app.one(
        "SELECT concat_ws(' ', kind, sync_type, entity_type, phase, alive, silent_for >= '0') FROM sync_workers",
    );
    assert_eq!(worker, "pull woocommerce customers fetching t t");
    let pid = app.one("SELECT pid FROM sync_workers");
    let process = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'sync_ext worker' AND datname = current_database()";
    assert_eq!(app.db.psql(process), pid);
    // another organisation sees nothing of it
    let other = app.db.org();
    let mut stranger = app.db.connect_as(&app.db.role("read", other), other);
    assert_eq!(
        text(&mut stranger, "SELECT count(*) FROM sync_progress_live"),
        "0"
    );
    assert_eq!(text(&mut stranger, "SELECT count(*) FROM sync_workers"), "0");

    app.shop.clear_faults(None);
    app.shop.release();
    assert_eq!(pull.join().unwrap(), "success");
    assert_eq!(app.one("SELECT count(*) FROM sync_workers"), "0");
    assert_eq!(app.one("SELECT status FROM sync_progress_live"), "completed");
}
