//! Which kinds of systems there are, as the extension itself says it.

use std::collections::BTreeSet;

use serde_json::{json, Value};
use sync_ext_tests::{sqlstate, TestDb};

use crate::readme::root;

#[test]
fn who_reads_sees_what_a_kind_has_and_takes() {
    let db = TestDb::new();
    let org = db.org();
    let mut client = db.connect_as(&db.role("read", org), org);
    let rows = client
        .query("SELECT kind, entity_types = sync_kind_entities(kind), settings, credentials, writes FROM sync_kinds", &[])
        .unwrap();
    let kinds: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(kinds, ["woocommerce", "odoo"]);
    assert!(rows.iter().all(|row| row.get::<_, bool>(1)));
    let of = |row: usize, column: usize| rows[row].get::<_, Value>(column);
    let page = &of(0, 2)["page_size"];
    assert_eq!(
        (&page["type"], &page["minimum"], &page["maximum"]),
        (&json!("integer"), &json!(2), &json!(100))
    );
    assert_eq!(of(1, 2)["transport"]["enum"], json!(["auto", "json2", "jsonrpc"]));
    assert_eq!(of(0, 3)["consumer_key"]["type"], "string");
    assert_eq!(of(0, 4)["orders"], json!(["update"]));
    assert_eq!(
        of(1, 4),
        json!({"categories": ["create", "update"], "customers": ["create", "update"], "products": ["create", "update"]})
    );
    assert_eq!(
        sqlstate(
            db.connect_as(&db.login_role(), org)
                .query_one("SELECT kind FROM sync_kinds", &[])
        ),
        "42501"
    );
}

/// Pages: README for WooCommerce, the guide for Odoo.
#[test]
fn the_pages_name_every_setting_and_no_other() {
    let db = TestDb::new();
    for (kind, page, from, to) in [
        (
            "woocommerce",
            "README.md",
            "Settings of a WooCommerce connector",
            "What is read from Odoo",
        ),
        ("odoo", "docs/guide.md", "### Odoo", "| entity type |"),
    ] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let part = text.split_once(from).unwrap().1.split_once(to).unwrap().0;
        let rows = part
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let told: BTreeSet<&str> = rows.collect();
        let names =
            "SELECT string_agg(name, ' ') FROM sync_kinds, jsonb_object_keys(settings) name WHERE kind = ";
        let names = db.psql(&format!("{names}'{kind}'"));
        let declared: BTreeSet<&str> = names.split_whitespace().collect();
        assert_eq!(told, declared, "{page}");
    }
}

#[test]
fn a_setting_of_another_form_is_refused_where_it_is_given() {
    let db = TestDb::new();
    let org = db.org();
    let mut client = db.connect_as(&db.role("admin", org), org);
    for settings in [
        json!({"deleted_scope": "everything"}),
        json!({"deleted_scope": true}),
        json!({"requests_per_second": 0}),
        json!({"timeout": "5"}),
        json!({"page_size": 1.5}),
        json!({"colour": "blue"}),
    ] {
        let error = client
            .query_one(
                "SELECT sync_connect('woocommerce', 'https://shop.example', '{\"consumer_key\": \"k\", \"consumer_secret\": \"s\"}',
                                     settings => $1)",
                &[&settings],
            )
            .unwrap_err();
        let error = error.as_db_error().unwrap();
        let name = settings.as_object().unwrap().keys().next().unwrap();
        assert_eq!(error.code().code(), "22023", "{settings}");
        assert!(error.message().contains(name), "{error}");
    }
}
