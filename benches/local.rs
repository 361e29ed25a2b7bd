//! What writing a local table costs while the ledger follows it.

use std::time::{Duration, Instant};

use postgres::Client;
use sync_ext_tests::TestDb;
use uuid::Uuid;

use crate::lab::{add_connector, Lab, MILLION};
use crate::report::{Report, Target};
use crate::timing::{median, ratio, show, timed};

const MANY: i64 = 10_000;
/// Statements of one row in a round; their median counts.
const SINGLES: i64 = 20;
/// Rounds go on for so long, but there is one at least and there are `ROUNDS` at most.
const BUDGET: Duration = Duration::from_secs(30);
const ROUNDS: usize = 5;
/// A statement that takes longer is given up, and counts as that long.
const PATIENCE: Duration = Duration::from_secs(15);
const OPERATIONS: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];
/// What an UPDATE may cost, of many rows and of one, against a table without triggers.
const LIMITS: [f64; 2] = [3.0, 2.0];

pub fn run(lab: &Lab, report: &mut Report) {
    let fresh = TestDb::on(lab.server);
    let org = fresh.org();
    add_connector(&mut fresh.client(), org);
    compare(report, &fresh, org, "an empty ledger");
    report.note(&format!("(a ledger of {MILLION} records is being made)"));
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
    let started = Instant::now();
    let mut round = 0;
    while round < ROUNDS && (round == 0 || started.elapsed() < BUDGET) {
        sides.iter_mut().for_each(Side::round);
        round += 1;
    }
    let [tracked, unconnected, plain] = sides.map(|side| side.times.map(|kind| kind.map(median)));
    for (kind, rows) in [MANY, 1].into_iter().enumerate() {
        for (n, operation) in OPERATIONS.into_iter().enumerate() {
            let (with, without, bare) = (tracked[kind][n], unconnected[kind][n], plain[kind][n]);
            let compared = format!(
                "{operation} of {rows} at {ledger}, {}{}, against a table without triggers, {} (without a connector \
                 {:.1} x, {})",
                show(with),
                if with >= PATIENCE { " or more" } else { "" },
                show(bare),
                ratio(without, bare),
                show(without),
            );
            let value = ratio(with, bare);
            if operation == "UPDATE" {
                report.judge(value, "x as long", Target::AtMost(LIMITS[kind]), &compared);
            } else {
                report.note(&format!("{value:.2} x as long: {compared}"));
            }
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
            .batch_execute(&format!(
                "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off;
                 SET statement_timeout = '{}s'",
                PATIENCE.as_secs()
            ))
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
            if n == 0 {
                // Statistics of before would make the planner compare each row with each of the wanted ones.
                self.client
                    .batch_execute(&format!("ANALYZE {}", self.table))
                    .unwrap();
            }
            let singles = (1..=SINGLES)
                .map(|i| self.execute(sql, MANY + i, MANY + i))
                .collect();
            self.times[1][n].push(median(singles));
        }
    }

    /// The time of a statement. One that was given up is made good without triggers, for those that follow.
    fn execute(&mut self, sql: &str, first: i64, last: i64) -> Duration {
        let (client, org) = (&mut self.client, self.org);
        let statement = client.prepare(sql).unwrap();
        let (time, done) = timed(|| client.execute(&statement, &[&org, &first, &last]));
        let rows = done.unwrap_or_else(|error| {
            assert_eq!(
                error.code(),
                Some(&postgres::error::SqlState::QUERY_CANCELED),
                "{error}"
            );
            client
                .batch_execute("SET session_replication_role = replica; SET statement_timeout = 0")
                .unwrap();
            let rows = client.execute(&statement, &[&org, &first, &last]).unwrap();
            client
                .batch_execute(&format!(
                    "RESET session_replication_role; SET statement_timeout = '{}s'",
                    PATIENCE.as_secs()
                ))
                .unwrap();
            rows
        });
        assert_eq!(rows as i64, last - first + 1);
        time
    }
}
