//! Applying: against a bare INSERT of the same rows into the same table, and against the size of the ledger.

use std::time::Duration;

use postgres::Client;
use serde_json::Value;
use sync_ext_tests::TestDb;
use uuid::Uuid;

use crate::lab::{add_connector, Lab, FUNCTIONS, MILLION};
use crate::report::{Report, Target};
use crate::timing::{median, ratio, show, timed};

const NEW: i64 = 100_000;
const CHANGES: i64 = 1000;
const SMALL: i64 = 10_000;
const ROUNDS: usize = 3;

pub fn run(lab: &Lab, report: &mut Report) {
    let db = TestDb::on(lab.server);
    db.client().batch_execute(FUNCTIONS).unwrap();
    let (mut applied, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        applied.push(Side::new(&db, NEW).apply(NEW));
        bare.push(Side::new(&db, NEW).insert());
    }
    let (applied, bare) = (median(applied), median(bare));
    report.judge(
        ratio(bare, applied),
        "x the throughput",
        Target::AtLeast(0.5),
        &format!(
            "apply of {NEW} new customers, {}, against one INSERT … ON CONFLICT of the same rows into the same table, {}",
            show(applied),
            show(bare)
        ),
    );

    let times = [SMALL, MILLION].map(|size| {
        let mut side = Side::new(&db, size);
        side.insert();
        median((0..ROUNDS).map(|_| side.change_and_apply()).collect())
    });
    let [small, large] = times;
    report.judge(
        ratio(large, small),
        "x as long",
        Target::AtMost(5.0),
        &format!(
            "apply of {CHANGES} changes among {MILLION} records, {}, against as many among {SMALL}, {}",
            show(large),
            show(small)
        ),
    );
}

/// Done by autovacuum where it is on.
pub const TIDY: &str = "VACUUM sync_record, sync_customers";

/// An organisation whose ledger holds `size` records, all of them new.
pub struct Side {
    client: Client,
    owner: Client,
    org: Uuid,
    size: i64,
}

impl Side {
    pub fn new(db: &TestDb, size: i64) -> Self {
        let org = db.org();
        let mut owner = db.client();
        add_connector(&mut owner, org);
        owner
            .execute(
                "INSERT INTO sync_record (org_id, connector, entity, external_id, match_key, remote, remote_fingerprint)
                 SELECT $1, k.connector, 1, n::text, c ->> 'email', c, sync_fingerprint(k.spec, c)
                 FROM generate_series(1, $2::bigint) n, LATERAL (SELECT bench_customer(n) AS c OFFSET 0) b,
                      sync_comparison k
                 WHERE k.org_id = $1 AND k.entity = 1",
                &[&org, &size],
            )
            .unwrap();
        owner.batch_execute("VACUUM (ANALYZE) sync_record").unwrap();
        Side {
            client: db.connect_as(&db.role("operate", org), org),
            owner,
            org,
            size,
        }
    }

    pub fn apply(&mut self, expected: i64) -> Duration {
        self.write("", expected)
    }

    pub fn apply_deletions(&mut self, expected: i64) -> Duration {
        self.write(", include_deleted => true, allow_mass_delete => true", expected)
    }

    fn write(&mut self, options: &str, expected: i64) -> Duration {
        let call =
            format!("SELECT sync_apply('woocommerce', 'customers', allow_mass_update => true{options})");
        let (time, row) = timed(|| self.client.query_one(&call, &[]).unwrap());
        let done: Value = row.get(0);
        let written: i64 = ["created", "updated", "deleted"]
            .map(|class| done[class].as_i64().unwrap())
            .iter()
            .sum();
        assert_eq!(
            (written, &done["failed"], &done["unequal"]),
            (expected, &0.into(), &0.into())
        );
        time
    }

    /// Takes the last apply back, after what autovacuum does behind that.
    pub fn undo(&mut self, expected: i64) -> Duration {
        self.owner.batch_execute(TIDY).unwrap();
        let call = "SELECT sync_undo(id) FROM sync_history WHERE metadata ->> 'operation' = 'apply' ORDER BY created_at DESC LIMIT 1";
        let (time, row) = timed(|| self.client.query_one(call, &[]).unwrap());
        let done: Value = row.get(0);
        assert_eq!(
            (&done["restored"], &done["refused"]),
            (&expected.into(), &0.into())
        );
        time
    }

    /// Everything remote is gone.
    pub fn forget_all(&mut self) {
        let gone = "UPDATE sync_record SET remote_fingerprint = NULL WHERE org_id = $1";
        self.owner.execute(gone, &[&self.org]).unwrap();
        self.owner.batch_execute(TIDY).unwrap();
    }

    /// Every remote record changes.
    pub fn change_all(&mut self) {
        self.change(1);
        self.owner.batch_execute(TIDY).unwrap();
    }

    fn insert(&mut self) -> Duration {
        let (time, rows) = timed(|| {
            self.owner
                .execute(
                    "INSERT INTO sync_customers
                     SELECT c.* FROM sync_record r, jsonb_populate_record(NULL::sync_customers,
                         r.remote || jsonb_build_object('org_id', r.org_id, 'id', gen_random_uuid(), 'updated_at', now())) c
                     WHERE r.org_id = $1 AND r.change = 'new'
                     ON CONFLICT (org_id, id) DO UPDATE SET email = excluded.email",
                    &[&self.org],
                )
                .unwrap()
        });
        assert_eq!(rows as i64, self.size);
        time
    }

    /// Every so many-th remote record changes, and is applied.
    fn change_and_apply(&mut self) -> Duration {
        self.change(self.size / CHANGES);
        self.apply(CHANGES)
    }

    fn change(&mut self, every: i64) {
        self.owner
            .execute(
                "UPDATE sync_record r SET remote = c, remote_fingerprint = sync_fingerprint(k.spec, c)
                 FROM sync_comparison k, sync_record o,
                      LATERAL (SELECT o.remote || jsonb_build_object('billing_city', gen_random_uuid()) AS c OFFSET 0) x
                 WHERE k.org_id = $1 AND k.entity = 1 AND o.org_id = $1 AND r.org_id = $1 AND r.id = o.id
                   AND o.external_id::bigint % $2 = 0",
                &[&self.org, &every],
            )
            .unwrap();
    }
}
