//! What writing a local table costs while the ledger follows it. For information: nothing is claimed.

use std::time::Duration;

use postgres::Client;
use sync_ext_tests::TestDb;
use uuid::Uuid;

use crate::lab::{add_connector, Lab, MILLION};
use crate::report::Report;
use crate::timing::{median, ratio, show, timed};

const MANY: i64 = 10_000;
const ROUNDS: usize = 3;
/// Statements of one row in a round; their median counts.
const SINGLES: i64 = 100;
const OPERATIONS: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];

pub fn run(lab: &Lab, report: &mut Report) {
    let fresh = TestDb::on(lab.server);
    let org = fresh.org();
    add_connector(&mut fresh.client(), org);
    compare(report, &fresh, org, "an empty ledger");
    let large = lab.large();
    compare(
        report,
        &large.db,
        large.org,
        &format!("a ledger of {MILLION} records"),
    );
}

fn compare(report: &mut Report, db: &TestDb, org: Uuid, ledger: &str) {
    db.client()
        .batch_execute("CREATE TABLE bench_customers (LIKE sync_customers INCLUDING ALL)")
        .unwrap();
    let mut sides = [
        Side::new(db, "sync_customers", org),
        Side::new(db, "sync_customers", db.org()),
        Side::new(db, "bench_customers", org),
    ];
    for _ in 0..ROUNDS {
        sides.iter_mut().for_each(Side::round);
    }
    let [tracked, unconnected, plain] = sides.map(|side| side.times.map(|kind| kind.map(median)));
    for (kind, rows) in [MANY, 1].into_iter().enumerate() {
        for (n, operation) in OPERATIONS.into_iter().enumerate() {
            let (with, without, bare) = (tracked[kind][n], unconnected[kind][n], plain[kind][n]);
            report.note(&format!(
                "{operation} of {rows} at {ledger}: {}; {:.1} x as long as without a connector, {}, {:.1} x as \
                 without triggers, {}",
                show(with),
                ratio(with, without),
                show(without),
                ratio(with, bare),
                show(bare),
            ));
        }
    }
}

struct Side {
    client: Client,
    table: &'static str,
    org: Uuid,
    /// Of many rows and of one; of each operation.
    times: [[Vec<Duration>; 3]; 2],
}

impl Side {
    fn new(db: &TestDb, table: &'static str, org: Uuid) -> Self {
        let mut client = db.client();
        // The rows are found by key in all tables, whatever the planner thinks of their sizes.
        client
            .batch_execute("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off")
            .unwrap();
        Side {
            client,
            table,
            org,
            times: Default::default(),
        }
    }

    fn round(&mut self) {
        let chosen = "org_id = $1 AND id IN (
                 SELECT md5('bench' || n)::uuid FROM generate_series($2::bigint, $3::bigint) n)";
        let statements = [
            format!(
                "INSERT INTO {} (org_id, id, email, name, first_name, last_name, billing_city, billing_country)
                 SELECT $1, md5('bench' || n)::uuid, 'bench' || n || '@example.org', 'First Last ' || n, 'First',
                        'Last ' || n, 'Springfield', 'US'
                 FROM generate_series($2::bigint, $3::bigint) n",
                self.table
            ),
            format!("UPDATE {} SET name = name || '!' WHERE {chosen}", self.table),
            format!("DELETE FROM {} WHERE {chosen}", self.table),
        ];
        for (n, sql) in statements.iter().enumerate() {
            let time = self.execute(sql, 1, MANY);
            self.times[0][n].push(time);
            let singles = (1..=SINGLES)
                .map(|i| self.execute(sql, MANY + i, MANY + i))
                .collect();
            self.times[1][n].push(median(singles));
        }
    }

    fn execute(&mut self, sql: &str, first: i64, last: i64) -> Duration {
        let (client, org) = (&mut self.client, self.org);
        let statement = client.prepare(sql).unwrap();
        let (time, rows) = timed(|| client.execute(&statement, &[&org, &first, &last]).unwrap());
        assert_eq!(rows as i64, last - first + 1);
        time
    }
}
