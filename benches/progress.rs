//! What the triggers of sync_progress cost an UPDATE.

use sync_ext_tests::{Server, TestDb};

use crate::lab::Lab;
use crate::pgbench::Pgbench;
use crate::report::{Report, Target};
use crate::timing::{ratio, show, take_turns};

const DURABLE: &str = "
fsync = on
synchronous_commit = on
shared_buffers = '256MB'
autovacuum = off
";

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
            "CREATE TABLE bench_progress (LIKE sync_progress INCLUDING ALL);
             SET app.current_org_id = '{org}';
             INSERT INTO sync_progress (sync_id, entity_type, total_items)
                 SELECT 'run ' || n, 'customers', 1000000000 FROM generate_series(1, 4) n;
             INSERT INTO bench_progress SELECT * FROM sync_progress"
        ))
        .unwrap();
    db.client()
        .batch_execute("VACUUM (ANALYZE) sync_progress, bench_progress")
        .unwrap();
    // Each client has a run of its own, as workers do.
    let update = |table: &str| {
        format!(
            "UPDATE {table} SET processed_count = processed_count + 1, current_item = 'x', updated_at = now()
             WHERE org_id = '{org}' AND sync_id = 'run ' || (:client_id + 1);"
        )
    };
    let (with, without) = (update("sync_progress"), update("bench_progress"));
    for clients in [1, 4] {
        let side = |script| Pgbench {
            db: &db,
            who: None,
            clients,
            protocol: "prepared",
            script,
        };
        let (with, without) = (side(with.as_str()), side(without.as_str()));
        let [with, without] = take_turns(7, [&mut || with.latency(), &mut || without.latency()]);
        let compared = format!(
            "UPDATE of a progress row, {}, against the same on a table without triggers, {}; {} (fsync {}), \
             pgbench -c {clients}",
            show(with),
            show(without),
            if durable { "durable" } else { "not durable" },
            if durable { "on" } else { "off" },
        );
        let value = ratio(with, without);
        if durable && clients == 1 {
            report.judge(value, "x as long", Target::AtMost(1.3), &compared);
        } else {
            report.note(&format!("{value:.2} x as long: {compared}"));
        }
    }
}
