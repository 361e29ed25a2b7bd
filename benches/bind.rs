//! A table of the app with 1,000,000 rows as the local side: what binding it costs, writing it while triggers follow, and
//! scanning a view of it.

use std::time::Duration;

use postgres::Client;
use sync_ext_tests::{wait_until, TestDb};
use uuid::Uuid;

use crate::lab::{add_connector, Lab, MILLION};
use crate::report::{Report, Target};
use crate::timing::{median, paired, ratio, show, take_turns, timed};

const MANY: i64 = 10_000;
/// Statements of one row in a round; their median counts.
const SINGLES: i64 = 20;
const ROUNDS: i64 = 9;

const TABLES: &str = "
    CREATE TABLE people (id bigint PRIMARY KEY, mail text NOT NULL, full_name text, first text, last text, phone text,
                         street text, city text, zip text, country text, note text, updated_at timestamptz DEFAULT now());
    INSERT INTO people SELECT n, 'c' || n || '@example.org', 'First Last ' || n, 'First', 'Last ' || n, '+1 555 ' || n,
        n || ' Long Street', 'Springfield', lpad((n % 100000)::text, 5, '0'), 'US', repeat('x', 40)
    FROM generate_series(1, 1000000) n;
    CREATE TABLE untracked (LIKE people INCLUDING ALL);
    INSERT INTO untracked SELECT * FROM people;
    CREATE VIEW listed AS SELECT * FROM people;
    CREATE TABLE remote_people AS SELECT * FROM people;
    CREATE UNIQUE INDEX ON remote_people (mail);
    ALTER TABLE remote_people ADD PRIMARY KEY (id);";

const COLUMNS: &str = r#"'{"email": "mail", "name": "full_name", "first_name": "first", "last_name": "last", "billing_phone": "phone",
    "billing_address_1": "street", "billing_city": "city", "billing_postcode": "zip", "billing_country": "country"}'"#;

/// Rows from there on, as if a pull had met them as they are.
const LINKED: &str = "
    UPDATE sync_record r
    SET external_id = local_id, match_key = local_match_key, remote_fingerprint = local_fingerprint,
        agreed_fingerprint = local_fingerprint,
        remote = (SELECT to_jsonb(p) FROM people p WHERE p.id = r.local_id::bigint)
    WHERE r.local_id::bigint > $1";

/// What one would write without a ledger.
const PRINT: &str =
    "md5(concat_ws('|', %.mail, %.full_name, %.first, %.last, %.phone, %.street, %.city, %.zip, %.country))";

pub fn run(lab: &Lab, report: &mut Report) {
    let db = TestDb::on(lab.server);
    let org = db.org();
    add_connector(&mut db.client(), org);
    let mut client = db.client();
    client.batch_execute(TABLES).unwrap();
    client
        .batch_execute(&format!("SET app.current_org_id = '{org}'"))
        .unwrap();
    vacuum(&mut client, "people, untracked, remote_people");
    backfill(report, &mut client);
    vacuum(&mut client, "sync_record");
    client.batch_execute("CHECKPOINT").unwrap();
    for (n, (durable, first)) in [(true, MANY), (true, 1), (false, MANY), (false, 1)]
        .into_iter()
        .enumerate()
    {
        set_durable(&mut client, durable);
        updates(report, &db, n as i64, first, durable);
    }
    other_updates(report, &db);
    scan(report, &mut client, org);
}

/// Alone in its message: it can't be in a transaction.
fn vacuum(client: &mut Client, tables: &str) {
    client
        .batch_execute(&format!("VACUUM (ANALYZE) {tables}"))
        .unwrap();
}

fn bind(client: &mut Client, relation: &str, tracking: &str) -> Duration {
    let sql = format!("SELECT sync_bind('customers', '{relation}', {COLUMNS}, '{{id}}', '{tracking}')");
    timed(|| client.batch_execute(&sql).unwrap()).0
}

fn backfill(report: &mut Report, client: &mut Client) {
    let (mut binding, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        client.batch_execute("SELECT sync_unbind('customers')").unwrap();
        vacuum(client, "sync_record");
        binding.push(bind(client, "people", "trigger"));
        client
            .batch_execute("CREATE TABLE bare (LIKE sync_record INCLUDING ALL) WITH (fillfactor = 50)")
            .unwrap();
        let insert = "INSERT INTO bare (org_id, connector, entity, local_id, local_match_key, local_fingerprint)
                      SELECT org_id, connector, entity, local_id, local_match_key, local_fingerprint FROM sync_record";
        bare.push(timed(|| assert_eq!(client.execute(insert, &[]).unwrap() as i64, MILLION)).0);
        client.batch_execute("DROP TABLE bare").unwrap();
    }
    report.judge(
        paired(&binding, &bare),
        "x as long",
        Target::AtMost(3.0),
        &format!(
            "sync_bind of a table of {MILLION} rows, {}, against a bare INSERT .. SELECT of the same ledger rows, {}",
            show(median(binding.clone())),
            show(median(bare.clone()))
        ),
    );
}

/// Whether a commit waits for the disk, as on every server that is not a test's. The rest of the bench needs none of it.
fn set_durable(client: &mut Client, durable: bool) {
    let value = if durable { "on" } else { "off" };
    for sql in [
        &format!("ALTER SYSTEM SET fsync = {value}"),
        "SELECT pg_reload_conf()",
    ] {
        client.batch_execute(sql).unwrap();
    }
    wait_until(Duration::from_secs(10), || {
        let shown: String = client.query_one("SHOW fsync", &[]).unwrap().get(0);
        shown == value
    });
}

/// Statements of many rows and of one, in a session of their own: what comes first must not spoil what follows. Each meets
/// rows that no other has met, in the same order in both tables, which have the same index and the same columns.
fn updates(report: &mut Report, db: &TestDb, turn: i64, first: i64, durable: bool) {
    let mut sides = ["people", "untracked"].map(|table| (db.client(), table));
    let mut times: [[Vec<Duration>; 2]; 2] = Default::default();
    for block in turn * ROUNDS..(turn + 1) * ROUNDS {
        for size in [first, MANY + 1 - first] {
            for ((client, table), times) in sides.iter_mut().zip(&mut times) {
                let (kind, count) = if size == 1 { (1, SINGLES) } else { (0, 1) };
                let turns = (0..count)
                    .map(|n| update(client, table, "full_name", 1 + block * 2 * MANY + n * 7, size))
                    .collect();
                times[kind].push(median(turns));
            }
        }
    }
    let [tracked, plain] = times;
    for (kind, (rows, limit)) in [(MANY, 3.0), (1, 2.0)].into_iter().enumerate() {
        let value = paired(&tracked[kind], &plain[kind]);
        let compared = format!(
            "UPDATE of {rows} in a bound table of {MILLION} rows (a statement of {first} came first), {}, against the same table \
             without triggers, {} ({})",
            show(median(tracked[kind].clone())),
            show(median(plain[kind].clone())),
            if durable { "durable, fsync on" } else { "fsync off" }
        );
        if durable {
            report.judge(value, "x as long", Target::AtMost(limit), &compared);
        } else {
            report.note(&format!("{value:.2} x as long: {compared}"));
        }
    }
}

/// What else an UPDATE of many rows may meet: a column that isn't compared, and rows that are linked, in sync and not.
fn other_updates(report: &mut Report, db: &TestDb) {
    let mut sides = ["people", "untracked"].map(|table| (db.client(), table));
    const MET: i64 = 4 * ROUNDS * 2 * MANY;
    let blocks = || (0..ROUNDS).map(|n| MET + 1 + n * 2 * MANY);
    sides[0].0.execute(LINKED, &[&MET]).unwrap();
    vacuum(&mut sides[0].0, "sync_record");
    for (column, what) in [
        ("note", "of a column that is not compared"),
        ("full_name", "of linked rows that were in sync"),
        ("full_name", "of linked rows that were not"),
    ] {
        let mut times: [Vec<Duration>; 2] = Default::default();
        for from in blocks() {
            for ((client, table), times) in sides.iter_mut().zip(&mut times) {
                times.push(update(client, table, column, from, MANY));
            }
        }
        let [tracked, plain] = times;
        report.note(&format!(
            "UPDATE of {MANY} {what}: {:.2} x as long, {} against {}",
            paired(&tracked, &plain),
            show(median(tracked.clone())),
            show(median(plain.clone()))
        ));
    }
}

fn update(client: &mut Client, table: &str, column: &str, from: i64, rows: i64) -> Duration {
    let sql = format!("UPDATE {table} SET {column} = {column} || '!' WHERE id BETWEEN $1 AND $2");
    let statement = client.prepare(&sql).unwrap();
    let (time, done) = timed(|| client.execute(&statement, &[&from, &(from + rows - 1)]).unwrap());
    assert_eq!(done as i64, rows);
    time
}

fn scan(report: &mut Report, client: &mut Client, org: Uuid) {
    bind(client, "listed", "scan");
    vacuum(client, "sync_record");
    client.batch_execute("SET jit = off").unwrap();
    let scan = format!("SELECT sync_scan_local('{org}', number, 1::smallint) FROM integration_connector WHERE org_id = '{org}'");
    let joined = |key: &str| {
        format!(
            "SELECT count(*) FROM listed v FULL JOIN remote_people r ON r.{key} = v.{key} WHERE {} IS DISTINCT FROM {}",
            PRINT.replace('%', "v"),
            PRINT.replace('%', "r")
        )
    };
    let (by_mail, by_id) = (joined("mail"), joined("id"));
    let client = std::cell::RefCell::new(client);
    let run = |sql: &str| timed(|| client.borrow_mut().batch_execute(sql).unwrap()).0;
    let [scanned, mail, id] = take_turns(
        5,
        [&mut || run(&scan), &mut || run(&by_mail), &mut || run(&by_id)],
    );
    report.judge(
        ratio(scanned, mail),
        "x as long",
        Target::AtMost(1.0),
        &format!(
            "a scan of a view of {MILLION} rows, {}, against a FULL JOIN by e-mail that computes md5(concat_ws(..)) of both \
             sides' columns, {}",
            show(scanned),
            show(mail)
        ),
    );
    report.note(&format!(
        "against the same join by a number that both sides had, {}: {:.2} x as long",
        show(id),
        ratio(scanned, id)
    ));
}
