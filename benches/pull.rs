//! A pull of 100,000 customers, against only fetching them and only inserting them; and pulling them again.

use std::sync::Mutex;
use std::time::Duration;

use postgres::Client;
use serde_json::Value;
use sync_engine::core::{fingerprint, Comparison, EntityType, Record};
use sync_sandbox::Sandbox;

use crate::lab::Lab;
use crate::report::{Report, Target};
use crate::shop::{fetch_all, shop, Subject};
use crate::timing::{median, paired, show, timed};

const CUSTOMERS: u32 = 100_000;
const ROUNDS: usize = 5;
/// Rows of one INSERT of the plain loader.
const BATCH: usize = 1000;

pub fn run(lab: &Lab, report: &mut Report) {
    let shop = shop(CUSTOMERS);
    let batches = batches(&shop);
    let (mut fetch, mut insert, mut indexed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pull, mut again, mut full) = (Vec::new(), Vec::new(), Vec::new());
    let (mut written, mut logged) = ([0; 2], [0; 2]);
    for _ in 0..ROUNDS {
        fetch.push(timed(|| fetch_all(&shop, drop)).0);
        let subject = Subject::new(lab.server, &shop);
        insert.push(plain_insert(&subject, &batches, PLAIN));
        indexed.push(plain_insert(&subject, &batches, INDEXED));
        pull.push(pulled(&subject, "incremental", "inserted"));
        for (n, (mode, times)) in [("incremental", &mut again), ("full", &mut full)]
            .into_iter()
            .enumerate()
        {
            let before = (tuples(&subject), wal(&subject));
            times.push(pulled(&subject, mode, "unchanged"));
            written[n] += tuples(&subject) - before.0;
            logged[n] += wal(&subject) - before.1;
        }
    }
    let slower: Vec<Duration> = fetch.iter().zip(&indexed).map(|(f, i)| *f.max(i)).collect();
    report.judge(
        paired(&slower, &pull),
        "of the throughput",
        Target::AtLeast(0.5),
        &format!(
            "a pull of {CUSTOMERS} customers, {}, against the slower of only fetching and parsing the pages, {}, and only \
             inserting the rows, {} (by unnest, {BATCH} a statement, into a logged table as the ledger is, with its indexes); \
             all on this machine, the shop too",
            show(median(pull.clone())),
            show(median(fetch)),
            show(median(indexed))
        ),
    );
    report.note(&format!(
        "inserting them into a table with no index but its primary key: {}; {:.2} of that throughput",
        show(median(insert.clone())),
        paired(&insert, &pull)
    ));
    for (times, what) in [(again, "by default"), (full, "mode full")] {
        report.judge(
            paired(&times, &pull),
            "of the time",
            Target::AtMost(0.6),
            &format!(
                "pulling again where nothing has changed ({what}), {}, against the first pull, {}",
                show(median(times)),
                show(median(pull.clone()))
            ),
        );
    }
    for (n, what) in ["by default", "mode full"].into_iter().enumerate() {
        report.judge(
            written[n] as f64,
            "tuples",
            Target::AtMost(0.0),
            &format!("written in the ledger by {ROUNDS} pulls where nothing has changed ({what})"),
        );
        report.note(&format!(
            "write-ahead log of such a pull ({what}): {:.1} MB",
            logged[n] as f64 / ROUNDS as f64 / 1e6
        ));
    }
}

/// The caller's time for a pull that must do this to all records.
fn pulled(subject: &Subject, mode: &str, what: &str) -> Duration {
    let (time, result) = timed(|| subject.pull(mode));
    let all = u64::from(CUSTOMERS);
    assert_eq!(result["records"].as_u64(), Some(all), "{result}");
    if what == "inserted" {
        assert_eq!(result["inserted"].as_u64(), Some(all), "{result}");
    } else {
        let changed = ["inserted", "updated", "deleted"].map(|key| result[key].as_u64());
        assert_eq!(changed, [Some(0); 3], "{result}");
    }
    time
}

/// Tuples ever written in the ledger.
fn tuples(subject: &Subject) -> i64 {
    subject
        .db
        .client()
        .query_one(
            "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = 'sync_record'",
            &[],
        )
        .unwrap()
        .get(0)
}

/// Bytes of write-ahead log so far.
fn wal(subject: &Subject) -> i64 {
    subject
        .db
        .client()
        .query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", &[])
        .unwrap()
        .get(0)
}

/// Parallel arrays, ready to be sent.
#[derive(Default)]
struct Rows {
    ids: Vec<String>,
    keys: Vec<Option<String>>,
    fingerprints: Vec<String>,
    modified: Vec<Option<String>>,
    data: Vec<String>,
}

impl Rows {
    fn add(&mut self, record: Record) {
        let fingerprint = fingerprint(Comparison::all(EntityType::Customers), &record.data);
        self.ids.push(record.external_id);
        self.keys.push(record.match_key);
        self.fingerprints.push(fingerprint.to_string());
        self.modified.push(record.modified_at.map(|t| t.to_rfc3339()));
        self.data.push(Value::Object(record.data).to_string());
    }
}

fn batches(shop: &Sandbox) -> Vec<Rows> {
    let records = Mutex::new(Vec::new());
    fetch_all(shop, |page| records.lock().unwrap().extend(page));
    let mut records: Vec<Record> = records.into_inner().unwrap();
    // Neighbouring windows share one.
    records.sort_by_key(|record| record.external_id.parse::<u64>().unwrap());
    records.dedup_by(|a, b| a.external_id == b.external_id);
    assert_eq!(records.len(), CUSTOMERS as usize);
    let mut batches = Vec::new();
    while !records.is_empty() {
        let mut rows = Rows::default();
        records
            .drain(..BATCH.min(records.len()))
            .for_each(|record| rows.add(record));
        batches.push(rows);
    }
    batches
}

/// What any loader would have to do at least.
const PLAIN: &str =
    "CREATE TABLE bench_record (LIKE sync_record INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING GENERATED,
                                                PRIMARY KEY (org_id, id)) WITH (fillfactor = 85)";
/// What any loader would have to do for a table as the ledger is: an insert of its rows can't be had for less.
const INDEXED: &str = "CREATE TABLE bench_record (LIKE sync_record INCLUDING ALL) WITH (fillfactor = 50)";

/// The same rows into another table.
fn plain_insert(subject: &Subject, batches: &[Rows], create: &str) -> Duration {
    let mut client: Client = subject.db.client();
    client.batch_execute(create).unwrap();
    let insert = client
        .prepare(
            "INSERT INTO bench_record (org_id, connector, entity, external_id, match_key, remote_fingerprint,
                                       remote_modified_at, remote)
             SELECT $1, 1, 1, u.id, u.key, u.fingerprint::uuid, u.modified::timestamptz, u.data::jsonb
             FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
                  AS u (id, key, fingerprint, modified, data)",
        )
        .unwrap();
    let (time, ()) = timed(|| {
        for rows in batches {
            client
                .execute(
                    &insert,
                    &[
                        &subject.org,
                        &rows.ids,
                        &rows.keys,
                        &rows.fingerprints,
                        &rows.modified,
                        &rows.data,
                    ],
                )
                .unwrap();
        }
    });
    client.batch_execute("DROP TABLE bench_record").unwrap();
    time
}
