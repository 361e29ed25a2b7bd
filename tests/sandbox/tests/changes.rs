//! Changes through the API and behind it, and what each does to `date_modified`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Client;
use serde_json::{json, Value};
use sync_sandbox::{Config, Plan, Sandbox, Version};

const ORDER: u64 = 5_000_009;

fn start(version: Version) -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Config {
        version,
        https: true,
        ..Config::default()
    })
    .unwrap();
    let client = Client::new(&sandbox.https_url().unwrap(), sandbox.ca_pem());
    (sandbox, client)
}

fn path(query: &str) -> String {
    format!("/wp-json/wc/v3/{query}")
}

fn modified(sandbox: &Sandbox, entity: &str, id: u64) -> Value {
    sandbox.record(entity, id).unwrap().unwrap()["date_modified_gmt"].clone()
}

/// Whether a mutation changes the date of a record.
fn bumps(sandbox: &Sandbox, entity: &str, id: u64, op: Value) -> bool {
    let before = modified(sandbox, entity, id);
    sandbox.mutate_json(&op).unwrap();
    before != modified(sandbox, entity, id)
}

#[test]
fn what_bumps_and_what_does_not() {
    let (sandbox, _client) = start(Version::V11);
    let cases = [
        (
            "products",
            23,
            json!({"op": "edit", "entity": "products", "id": 23, "set": {"name": "a"}}),
            true,
        ),
        (
            "products",
            26,
            json!({"op": "edit", "entity": "products", "id": 26, "bump": false, "set": {"name": "a"}}),
            false,
        ),
        (
            "products",
            26,
            json!({"op": "stock", "entity": "products", "id": 26, "quantity": -3}),
            false,
        ),
        (
            "products",
            32,
            json!({"op": "edit", "entity": "variations", "id": 50_000_000, "set": {"regular_price": "5.00"}}),
            true,
        ),
        (
            "products",
            29,
            json!({"op": "edit", "entity": "categories", "id": 15, "set": {"name": "x"}}),
            false,
        ),
        (
            "products",
            35,
            json!({"op": "trash", "entity": "products", "ids": [35]}),
            true,
        ),
        (
            "customers",
            7,
            json!({"op": "role", "id": 7, "role": "subscriber"}),
            false,
        ),
        (
            "orders",
            ORDER,
            json!({"op": "refund_delete", "id": ORDER + 1}),
            false,
        ),
        (
            "orders",
            ORDER,
            json!({"op": "refund", "order": ORDER, "amount": "0.50"}),
            true,
        ),
    ];
    for (entity, id, op, bump) in cases {
        assert_eq!(bumps(&sandbox, entity, id, op.clone()), bump, "{op}");
    }
    assert_eq!(
        sandbox.record("products", 26).unwrap().unwrap()["stock_quantity"],
        -3
    );
    assert_eq!(
        sandbox.record("variations", 50_000_000).unwrap().unwrap()["regular_price"],
        "5.00"
    );
}

#[test]
fn lines_of_an_order_bump_on_version_11_only() {
    for (version, bump) in [(Version::V11, true), (Version::V8, false)] {
        let (sandbox, mut client) = start(version);
        let op = json!({"op": "line", "order": ORDER, "line": 0, "set": {"quantity": 9}});
        assert_eq!(bumps(&sandbox, "orders", ORDER, op), bump);
        let record = sandbox.record("orders", ORDER).unwrap().unwrap();
        assert_eq!(record["line_items"][0]["quantity"], 9);
        let before = modified(&sandbox, "orders", ORDER + 2);
        let body = json!({"meta_data": [{"key": "k", "value": {"a": 1}}]});
        let put = client.write("PUT", &path(&format!("orders/{}", ORDER + 2)), &body);
        assert_eq!(put.status, 200);
        assert_eq!(before != modified(&sandbox, "orders", ORDER + 2), bump);
    }
}

#[test]
fn customers_are_written_through_the_api() {
    let (sandbox, mut client) = start(Version::V11);
    let body = json!({"email": "new@lab.example", "first_name": "Ñ/", "billing": {"city": "Łódź"}});
    let made = client.write("POST", &path("customers"), &body);
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_u64().unwrap();
    assert_eq!(made.json()["billing"]["postcode"], "");
    let again = client.write("POST", &path("customers"), &body);
    assert_eq!(again.json()["code"], "registration-error-email-exists");
    let put = client.write(
        "PUT",
        &path(&format!("customers/{id}")),
        &json!({"billing": {"phone": "1"}}),
    );
    assert_eq!(
        (&put.json()["billing"]["city"], &put.json()["billing"]["phone"]),
        (&json!("Łódź"), &json!("1"))
    );
    let soft = client.ask(
        "DELETE",
        &path(&format!("customers/{id}")),
        &[common::basic("rw")],
        &[],
    );
    assert_eq!(
        (soft.status, &soft.json()["code"]),
        (501, &json!("woocommerce_rest_trash_not_supported"))
    );
    let hard = client.ask(
        "DELETE",
        &path(&format!("customers/{id}?force=true")),
        &[common::basic("rw")],
        &[],
    );
    assert_eq!(hard.status, 200);
    assert!(!sandbox.truth("customers").unwrap().contains(&id));
    assert_eq!(client.get(&path(&format!("customers/{id}"))).status, 404);
}

#[test]
fn products_and_orders_are_written_through_the_api() {
    let (sandbox, mut client) = start(Version::V11);
    let body = json!({"name": "Neu", "sku": "NEW-1", "regular_price": "12.50"});
    let made = client.write("POST", &path("products"), &body).json();
    assert_eq!(
        (&made["price"], &made["type"]),
        (&json!("12.50"), &json!("simple"))
    );
    let taken = client.write("POST", &path("products"), &json!({"name": "x", "sku": "NEW-1"}));
    assert_eq!(taken.json()["code"], "product_invalid_sku");
    let wrong = client.write("PUT", &path("products/23"), &json!({"regular_price": 12.5}));
    assert_eq!(
        wrong.json()["data"]["params"]["regular_price"],
        "regular_price is not of type string."
    );
    let trashed = client.ask("DELETE", &path("products/23"), &[common::basic("rw")], &[]);
    assert_eq!(trashed.json()["status"], "trash");
    assert!(sandbox.truth("products").unwrap().contains(&23));
    let lines = json!({"line_items": [{"product_id": made["id"], "quantity": 2}]});
    let order = client.write("POST", &path("orders"), &lines).json();
    assert_eq!(
        (&order["total"], &order["status"]),
        (&json!("25.00"), &json!("pending"))
    );
    let refunds = path(&format!("orders/{}/refunds", order["id"]));
    let much = client.write("POST", &refunds, &json!({"amount": "99.00"}));
    assert_eq!((much.status, &much.json()["data"]), (500, &json!(500)));
    assert_eq!(
        client.write("POST", &refunds, &json!({"amount": "5.00"})).status,
        201
    );
    assert_eq!(client.get(&refunds).total(), 1);
}

#[test]
fn a_batch_tells_each_outcome() {
    let (_sandbox, mut client) = start(Version::V11);
    let body = json!({
        "create": [{"email": "cust7@lab.example"}, {"email": "b@lab.example"}],
        "update": [{"id": 8, "first_name": "U"}, {"first_name": "no id"}],
        "delete": [9, 999_999],
    });
    let reply = client.write("POST", &path("customers/batch"), &body).json();
    assert_eq!(reply["create"][0]["id"], 0);
    assert_eq!(reply["create"][1]["username"], "b");
    assert_eq!(reply["update"][0]["first_name"], "U");
    assert!(reply["update"][1]["error"]["code"].is_string());
    assert_eq!(reply["delete"][0]["id"], 9);
    assert_eq!(reply["delete"][1]["error"]["data"]["status"], 404);
    let many: Vec<_> = (0..101).map(|id| json!({"id": id})).collect();
    assert_eq!(
        client
            .write("POST", &path("customers/batch"), &json!({"update": many}))
            .status,
        413
    );
}

#[test]
fn deletions_while_paging_hide_records_upwards_but_not_downwards() {
    let (sandbox, mut client) = start(Version::V11);
    let ops = vec![
        json!({"op": "delete", "entity": "customers", "ids": [6, 7]}),
        json!({"op": "create", "entity": "customers", "count": 2}),
    ];
    let plan = Plan::after(&path("customers"), 1, ops);
    let walk = |client: &mut Client, pages: &[usize]| {
        let mut ids = Vec::new();
        for page in pages {
            let query = format!("customers?per_page=100&orderby=id&order=asc&role=all&page={page}");
            ids.extend(client.get(&path(&query)).ids());
        }
        ids
    };
    let lost = |sandbox: &Sandbox, seen: &[u64]| {
        sandbox
            .truth("customers")
            .unwrap()
            .iter()
            .filter(|id| !seen.contains(id))
            .count()
    };
    sandbox.schedule(plan.clone());
    let up = walk(&mut client, &[1, 2, 3, 4]);
    assert_eq!(lost(&sandbox, &up), 2);
    sandbox.reset();
    sandbox.schedule(plan);
    let down = walk(&mut client, &[4, 3, 2, 1]);
    // Only the two that were made after the last page was read.
    assert!(lost(&sandbox, &down) <= 2, "{}", lost(&sandbox, &down));
    assert_eq!(sandbox.truth("customers").unwrap().len(), 304);
}

#[test]
fn many_records_share_a_second_after_a_bulk_edit() {
    let (sandbox, mut client) = start(Version::V11);
    let op = json!({"op": "bulk", "entity": "orders", "count": 250, "set": {"customer_note": "n"}, "at": "2026-02-01T00:00:00"});
    sandbox.mutate_json(&op).unwrap();
    let query =
        "orders?status=any,trash,checkout-draft&modified_after=2026-01-31T23:59:59&dates_are_gmt=true";
    let shown = client.get(&path(query)).total();
    assert!(shown > 230, "{shown}");
    let reply = client.get(&path(&format!(
        "{query}&_fields=date_modified_gmt,customer_note&per_page=100"
    )));
    assert!(reply
        .json()
        .as_array()
        .unwrap()
        .iter()
        .all(|r| r["customer_note"] == "n"));
}
