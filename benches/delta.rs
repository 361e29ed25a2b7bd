//! The delta of 1,000,000 records with 1 % changed: read from the ledger, and by the full join of two tables of
//! fingerprints that one would write without a ledger.

use std::time::Duration;

use postgres::Client;

use crate::lab::{Lab, MILLION};
use crate::report::{Report, Target};
use crate::timing::{ratio, show, take_turns, timed};

const CHANGES: usize = MILLION as usize / 100;

const FROM_LEDGER: &str = "SELECT change, external_id, local_id, match_key FROM sync_changes
    WHERE sync_type = 'woocommerce' AND entity_type = 'customers'";

const BY_JOIN: &str = "
    SELECT CASE WHEN l.id IS NULL THEN 'new' WHEN r.id IS NULL THEN 'deleted' ELSE 'updated' END, r.id, l.id
    FROM bench_remote r FULL JOIN bench_local l ON l.id = r.id
    WHERE r.fingerprint IS DISTINCT FROM l.fingerprint";

const TABLES: &str = "
    CREATE TABLE bench_remote (id bigint PRIMARY KEY, fingerprint uuid NOT NULL);
    CREATE TABLE bench_local (LIKE bench_remote INCLUDING ALL);
    INSERT INTO bench_remote SELECT external_id::bigint, remote_fingerprint FROM sync_record
        WHERE remote_fingerprint IS NOT NULL ORDER BY external_id::bigint;
    INSERT INTO bench_local SELECT external_id::bigint, local_fingerprint FROM sync_record
        WHERE local_fingerprint IS NOT NULL ORDER BY external_id::bigint;";

pub fn run(lab: &Lab, report: &mut Report) {
    let large = lab.large();
    let mut owner = large.db.client();
    owner.batch_execute(TABLES).unwrap();
    owner
        .batch_execute("VACUUM (ANALYZE) bench_remote, bench_local")
        .unwrap();
    // Enough for the join's hash table to stay in memory; the ledger needs none of it.
    owner.batch_execute("SET work_mem = '256MB'").unwrap();
    let mut reader = large.db.connect_as(&large.role, large.org);
    let mut thrifty = large.db.client();

    let [ledger, join, small_join] = take_turns(
        9,
        [
            &mut || read(&mut reader, FROM_LEDGER),
            &mut || read(&mut owner, BY_JOIN),
            &mut || read(&mut thrifty, BY_JOIN),
        ],
    );
    let join = join.min(small_join);
    report.judge(
        ratio(join, ledger),
        "x faster",
        Target::AtLeast(50.0),
        &format!(
            "all {CHANGES} changes among {MILLION} records from the view sync_changes (row-level security on), {}, \
             against the full join of two tables of fingerprints by primary key, {}",
            show(ledger),
            show(join)
        ),
    );

    let [count] = take_turns(
        9,
        [&mut || timed(|| reader.query("SELECT count(*) FROM sync_changes", &[]).unwrap()).0],
    );
    report.note(&format!(
        "counted by the view: {}, {:.0} x faster than the join",
        show(count),
        ratio(join, count)
    ));
    let whole = "SELECT * FROM compute_delta('woocommerce', 'customers')";
    let [whole] = take_turns(3, [&mut || read(&mut reader, whole)]);
    report.note(&format!(
        "compute_delta, with both records and the changed fields of each: {}, {:.1} x faster than the join",
        show(whole),
        ratio(join, whole)
    ));
}

/// Reads every row, as a client does.
fn read(client: &mut Client, sql: &str) -> Duration {
    let (time, rows) = timed(|| client.query(sql, &[]).unwrap());
    assert_eq!(rows.len(), CHANGES);
    time
}
