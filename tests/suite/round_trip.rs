//! Whatever a remote record may hold, the local row written from it says the same.

use postgres::Client;
use serde_json::{json, Value};
use sync_ext_tests::TestDb;
use uuid::Uuid;

/// Values that a field of that kind can hold, in the forms in which remotes send them. (What stands for nothing, records
/// don't have.)
fn values(kind: &str) -> Vec<Value> {
    match kind {
        "text" | "email" => vec![
            json!("Ünïcode e\u{301} 漢字 🛒 \u{200f}ש\u{200d}"),
            json!("<p class=\"x\">a &amp; b</p>\r\n\tO'Brien; DROP TABLE x; -- \\N \\\\ $1 {}"),
            json!("  padded \u{a0} "),
            json!("true"),
            json!("0012.50"),
            json!(12.50),
            json!(9007199254740993u64),
            json!(true),
            json!("x".repeat(20_000)),
            json!("NULL"),
        ],
        "number" => vec![
            json!("19.90"),
            json!(" 1e3 "),
            json!(-0.0),
            json!("0.1000000000000000000000000000001"),
            json!("123456789012345678901234567890.123456789"),
            json!(-7),
            json!("-0.00"),
            json!("1E-20"),
            json!("1e400"),
        ],
        "bool" => vec![
            json!(true),
            json!("yes"),
            json!(0),
            json!("1"),
            Value::Null,
            json!(false),
        ],
        "time" => vec![
            json!("2026-11-21T16:00:00"),
            json!("2026-11-21 16:00:00.123456"),
            json!("2026-11-21T16:00:00.5+05:30"),
            json!("1970-01-01T00:00:00Z"),
            json!("2026-11-21"),
            json!("9999-12-31T23:59:59Z"),
        ],
        "set" | "sequence" => vec![
            json!(["b", "a", "b", "", null]),
            json!([10, 9, "9"]),
            json!("one"),
            json!([]),
            json!(["ä,\"{}\\", "NULL", "https://shop.example/a b.jpg?x=1&y=2"]),
        ],
        _ => vec![
            json!([{"id": 10, "name": "b", "quantity": 2, "total": "1.50", "unknown": 1}, {"id": 9, "name": "a"}]),
            json!([{"name": "no id", "total": 0.1, "sku": null}]),
            json!({"id": "single"}),
            json!([]),
            json!({"a": [1, 1.0, "1", {"z": null, "y": false}], "\u{e9}\"": 1e30}),
            Value::Null,
        ],
    }
}

/// Records of an entity type that hold each value of each field at least once.
fn records(fields: &[(String, String)]) -> Vec<Value> {
    let most = fields
        .iter()
        .map(|(_, kind)| values(kind).len())
        .max()
        .unwrap_or(0);
    (0..most)
        .map(|n| {
            let pick = |(place, (name, kind)): (usize, &(String, String))| {
                let values = values(kind);
                (name.clone(), values[(n + place) % values.len()].clone())
            };
            Value::Object(fields.iter().enumerate().map(pick).collect())
        })
        .collect()
}

/// Connectors that are never asked anything: number and kind.
fn connectors(owner: &mut Client, org: Uuid) -> Vec<(i32, &'static str)> {
    let add = "INSERT INTO integration_connector (org_id, name, kind, base_url, system, credentials)
               VALUES ($1, $2, $2, 'https://remote.example', 'remote.example', '\\x00') RETURNING number";
    let mut number = |kind| owner.query_one(add, &[&org, &kind]).unwrap().get(0);
    let all = ["odoo", "woocommerce"].map(|kind| (number(kind), kind));
    for (number, _) in all {
        owner
            .execute("SELECT sync_join_connector($1, $2)", &[&org, &number])
            .unwrap();
    }
    all.to_vec()
}

/// Fields and kinds of an entity type.
fn fields(owner: &mut Client, entity: &str) -> Vec<(String, String)> {
    let rows = owner.query("SELECT field, kind FROM sync_fields($1)", &[&entity]);
    rows.unwrap().iter().map(|f| (f.get(0), f.get(1))).collect()
}

const FILL: &str = "
    INSERT INTO sync_record (org_id, connector, entity, external_id, remote, remote_fingerprint)
    SELECT $1, $2, $3, n::text, r, sync_fingerprint(k.spec, r)
    FROM jsonb_array_elements($4) WITH ORDINALITY AS x (r, n), sync_comparison k
    WHERE k.org_id = $1 AND k.connector = $2 AND k.entity = $3";
const DIFFERENCES: &str = "
    SELECT coalesce(jsonb_agg(sync_diff(k.spec, x.record, r.remote)), '[]')
    FROM sync_record r, sync_comparison k, sync_local_records(k.layout, $1, ARRAY[r.local_id]) x
    WHERE k.org_id = $1 AND k.connector = $2 AND k.entity = $3 AND (r.org_id, r.connector, r.entity) = ($1, $2, $3)
      AND r.change = 'updated'";

#[test]
fn every_value_of_every_field_comes_back_as_it_was() {
    let db = TestDb::new();
    let org = db.org();
    let mut owner = db.client();
    let mut app = db.connect_as(&db.role("operate", org), org);
    let mut tried = 0;
    for (connector, kind) in connectors(&mut owner, org) {
        let entities =
            "SELECT e.number, e.name FROM sync_comparison k JOIN sync_entity e ON e.number = k.entity
                        WHERE k.org_id = $1 AND k.connector = $2";
        for row in owner.query(entities, &[&org, &connector]).unwrap() {
            let (entity, name): (i16, String) = (row.get(0), row.get(1));
            let records = records(&fields(&mut owner, &name));
            let all = Value::Array(records.clone());
            owner.execute(FILL, &[&org, &connector, &entity, &all]).unwrap();
            let done: Value = app
                .query_one("SELECT sync_apply($1, $2)", &[&kind, &name])
                .unwrap()
                .get(0);
            let differences: Value = owner
                .query_one(DIFFERENCES, &[&org, &connector, &entity])
                .unwrap()
                .get(0);
            let counts = ["created", "failed", "unequal"].map(|key| done[key].as_u64());
            assert_eq!(
                counts,
                [Some(records.len() as u64), Some(0), Some(0)],
                "{kind} {name}: {differences:#} {done:#}"
            );
            tried += 1;
        }
    }
    assert_eq!(tried, 12, "entity types of both kinds");
}
