//! What the triggers of sync_progress cost an UPDATE.

use std::time::{Duration, Instant};

use sync_ext_tests::{Server, TestDb};
use uuid::Uuid;

use crate::lab::Lab;
use crate::pgbench::Pgbench;
use crate::report::{Report, Target};
use crate::timing::{median, ratio, show, take_turns, timed};

const DURABLE: &str = "
fsync = on
synchronous_commit = on
shared_buffers = '256MB'
autovacuum = off
";

const TABLES: [&str; 2] = ["sync_progress", "bench_progress"];

pub fn run(lab: &Lab, report: &mut Report) {
    let durable = Server::separate_with(DURABLE);
    compare(&durable, report, true);
    compare(lab.server, report, false);
}

fn compare(server: &Server, report: &mut Report, durable: bool) {
    let db = TestDb::on(server);
    let org = db.org();
    db.client()
        .batch_execute(&format!(
            "CREATE TABLE bench_progress (LIKE sync_progress INCLUDING ALL) WITH (fillfactor = 70);
             SET app.current_org_id = '{org}';
             INSERT INTO sync_progress (sync_id, entity_type, total_items)
                 SELECT 'run ' || n, 'customers', 1000000000 FROM generate_series(1, 4) n;
             INSERT INTO bench_progress SELECT * FROM sync_progress"
        ))
        .unwrap();
    db.client()
        .batch_execute("VACUUM (ANALYZE) sync_progress, bench_progress")
        .unwrap();
    let [with, without] = alternate(&db, org);
    let server = if durable { "durable, fsync on" } else { "fsync off" };
    let compared = format!(
        "UPDATE of a progress row, {}, against the same on a table without triggers, {} ({server}, one client, \
         statement by statement in turn)",
        show(median(with.clone())),
        show(median(without.clone())),
    );
    let value = ratio(median(with), median(without));
    if durable {
        report.judge(value, "x as long", Target::AtMost(1.3), &compared);
    } else {
        report.note(&format!("{value:.2} x as long: {compared}"));
    }

    // Each client has a run of its own, as workers do.
    let [with, without] = TABLES.map(|table| {
        format!(
            "UPDATE {table} SET processed_count = processed_count + 1, current_item = 'x', updated_at = now()
             WHERE org_id = '{org}' AND sync_id = 'run ' || (:client_id + 1);"
        )
    });
    let side = |script| Pgbench {
        db: &db,
        who: None,
        clients: 4,
        protocol: "prepared",
        script,
    };
    let (with, without) = (side(with.as_str()), side(without.as_str()));
    let [with, without] = take_turns(5, [&mut || with.latency(), &mut || without.latency()]);
    report.note(&format!(
        "{:.2} x as long with 4 clients on rows of their own: {}, {} ({server})",
        ratio(with, without),
        show(with),
        show(without)
    ));
}

/// The same UPDATE on both tables in turn, so that both meet the same disk.
fn alternate(db: &TestDb, org: Uuid) -> [Vec<Duration>; 2] {
    let mut client = db.client();
    let updates = TABLES.map(|table| {
        let sql = format!(
            "UPDATE {table} SET processed_count = processed_count + 1, current_item = 'x', updated_at = now()
             WHERE org_id = $1 AND sync_id = 'run 1'"
        );
        client.prepare(&sql).unwrap()
    });
    let mut times = [Vec::new(), Vec::new()];
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        for (update, times) in updates.iter().zip(&mut times) {
            times.push(timed(|| client.execute(update, &[&org]).unwrap()).0);
        }
    }
    times
}
