//! A large delta costs what is taken of it.

use postgres::Client;
use serde_json::Value;
use sync_ext_tests::TestDb;
use uuid::Uuid;

const MANY: i64 = 30_000;

/// An organisation with as many new customers, between which other records lie, and some of other classes.
fn large(db: &TestDb) -> (Uuid, Client) {
    let (org, mut root) = (db.org(), db.client());
    root.execute(
        "INSERT INTO integration_connector (org_id, name, kind, base_url, system, credentials)
         VALUES ($1, 'woocommerce', 'woocommerce', 'https://shop.example', 'shop.example', '\\x00')",
        &[&org],
    )
    .unwrap();
    root.execute(
        "SELECT sync_join_connector(i.org_id, i.number) FROM integration_connector i WHERE i.org_id = $1",
        &[&org],
    )
    .unwrap();
    // closely at first, then every third row, then every sixth
    root.execute(
        "INSERT INTO sync_record (org_id, connector, entity, external_id, match_key, remote, remote_fingerprint)
         SELECT $1, i.number, CASE WHEN n > 2 * $2::bigint AND n % 3 <> 0 OR n > 3 * $2 AND n % 2 = 0 THEN 2 ELSE 1 END, n::text, n::text,
                jsonb_build_object('email', n || '@example.org'), md5(n::text)::uuid
         FROM integration_connector i CROSS JOIN generate_series(1, 4 * $2::bigint) n WHERE i.org_id = $1",
        &[&org, &(MANY / 2)],
    )
    .unwrap();
    root.execute(
        "INSERT INTO sync_record (org_id, connector, entity, external_id, local_id, remote, remote_fingerprint, local_fingerprint)
         SELECT $1, i.number, 1, 'old' || n, gen_random_uuid(), '{}', CASE WHEN n % 2 = 0 THEN gen_random_uuid() END, gen_random_uuid()
         FROM integration_connector i CROSS JOIN generate_series(1, 40) n WHERE i.org_id = $1",
        &[&org],
    )
    .unwrap();
    root.batch_execute("VACUUM (ANALYZE) sync_record").unwrap();
    let app = db.connect_as(&db.role("read", org), org);
    (org, app)
}

/// Blocks that a query touches.
fn blocks(app: &mut Client, sql: &str) -> i64 {
    let plan: Value = app
        .query_one(&format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}"), &[])
        .unwrap()
        .get(0);
    let of = |name: &str| plan[0]["Plan"][name].as_i64().unwrap();
    of("Shared Hit Blocks") + of("Shared Read Blocks")
}

#[test]
fn the_first_rows_of_a_delta_cost_no_more_than_they_are() {
    let db = TestDb::new();
    let (_, mut app) = large(&db);
    let all = "SELECT * FROM compute_delta('woocommerce', 'customers')";
    // what a session reads of the catalog at its first call is not meant
    blocks(&mut app, &format!("{all} LIMIT 1"));
    let some = blocks(&mut app, &format!("{all} LIMIT 20"));
    assert!(some < 2000, "{some} blocks for 20 rows");
    let filtered = blocks(&mut app, &format!("{all} WHERE change = 'new' LIMIT 5"));
    assert!(filtered < 4000, "{filtered} blocks for 5 rows of a class");
    let whole = blocks(&mut app, all);
    assert!(whole > 10 * some, "{whole} blocks for all, {some} for 20 rows");
}

#[test]
fn a_delta_that_is_read_page_by_page_is_whole() {
    let db = TestDb::new();
    let (org, mut app) = large(&db);
    let classes = |client: &mut Client, sql: &str| -> Vec<(String, i64, i64)> {
        let rows = client.query(sql, &[]).unwrap();
        rows.iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect()
    };
    let read = classes(
        &mut app,
        "SELECT change, count(*), count(DISTINCT external_id) FROM compute_delta('woocommerce', 'customers') GROUP BY 1 ORDER BY 1",
    );
    let held = classes(
        &mut db.client(),
        &format!(
            "SELECT change, count(*), count(DISTINCT external_id) FROM sync_record
             WHERE org_id = '{org}' AND entity = 1 AND change IS NOT NULL GROUP BY 1 ORDER BY 1"
        ),
    );
    assert_eq!(read, held);
    assert_eq!(read.len(), 3);
}

#[test]
fn large_numbers_of_open_changes_are_estimates_that_say_so() {
    let db = TestDb::new();
    let (org, mut app) = large(&db);
    let truth: i64 = db
        .client()
        .query_one(
            "SELECT count(*) FROM sync_record WHERE org_id = $1 AND entity = 1 AND change = 'new'",
            &[&org],
        )
        .unwrap()
        .get(0);
    let near = |n: i64| (n - truth).abs() * 20 < truth;
    let row = app
        .query_one(
            "SELECT new, updated, deleted, ambiguous, estimated FROM sync_state WHERE entity_type = 'customers'",
            &[],
        )
        .unwrap();
    assert!(
        near(i64::from(row.get::<_, i32>(0))),
        "{} of {truth}",
        row.get::<_, i32>(0)
    );
    assert_eq!(
        (row.get(1), row.get(2), row.get(3), row.get(4)),
        (20i32, 20i32, 0i32, true)
    );
    let health: Value = app.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    let of = |entity: &str| {
        let types = health["entityTypes"].as_array().unwrap();
        types.iter().find(|t| t["entityType"] == entity).unwrap()["changes"].clone()
    };
    assert_eq!(of("customers")["estimated"], true);
    assert_eq!(of("orders")["estimated"], Value::Null);
    let detected: Value = app
        .query_one("SELECT detect_customer_delta('woocommerce')", &[])
        .unwrap()
        .get(0);
    let new = &detected["delta"]["new"];
    assert!(
        near(new["count"].as_i64().unwrap()) && new["estimated"] == true,
        "{new}"
    );
    assert_eq!(detected["delta"]["updated"]["estimated"], Value::Null);
    let cost = blocks(
        &mut app,
        "SELECT * FROM sync_state WHERE entity_type = 'customers'",
    );
    assert!(cost < 3000, "{cost} blocks for an estimate");
}
