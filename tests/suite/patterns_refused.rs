//! Saved search patterns: what they refuse, and whom.

use serde_json::json;
use sync_ext_tests::sqlstate;

use crate::contract_app::text;
use crate::patterns::{products, Ledger};

/// Message and hint of the refusal of a filter.
fn refused(ledger: &mut Ledger, filter: &str) -> String {
    let insert = format!("INSERT INTO saved_search_patterns (name, filter_config) VALUES ('x', '{filter}')");
    let error = ledger.sql.batch_execute(&insert).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "22023", "{filter}: {error:?}");
    format!("{} {}", error.message(), error.hint().unwrap_or_default())
}

#[test]
fn what_cannot_be_evaluated_is_refused_when_it_is_written() {
    let mut ledger = Ledger::new();
    let told = refused(&mut ledger, r#"{"status": "publish", "colour": "red"}"#);
    assert!(
        told.starts_with("unknown filter \"colour\" Known are: category, change, "),
        "{told}"
    );
    for (filter, key) in [
        (r#"{"priceMin": "cheap"}"#, "priceMin"),
        (r#"{"priceMin": {"min": 1}}"#, "priceMin"),
        (r#"{"price": 5}"#, "price"),
        (r#"{"price": {"from": 5}}"#, "price"),
        (r#"{"price": {"min": "NaN"}}"#, "price.min"),
        (r#"{"priceMin": 10, "priceMax": 9}"#, "price"),
        (r#"{"stock": {"min": 2, "max": 1}}"#, "stock"),
        (r#"{"updatedAfter": "soon"}"#, "updatedAfter"),
        (r#"{"updatedAfter": "2026-02-30"}"#, "updatedAfter"),
        (r#"{"updatedAfter": 1700000000}"#, "updatedAfter"),
        (r#"{"updatedBefore": "2026"}"#, "updatedBefore"),
        (
            r#"{"updatedAfter": "2026-02-01", "updatedBefore": "2026-01-01"}"#,
            "updatedAfter",
        ),
        (r#"{"status": {"is": "publish"}}"#, "status"),
        (r#"{"status": [null]}"#, "status"),
        (r#"{"text": ["a"]}"#, "text"),
        (r#"{"change": "renamed"}"#, "change"),
    ] {
        let told = refused(&mut ledger, filter);
        assert!(
            told.starts_with(&format!("filter \"{key}\" must be ")),
            "{filter}: {told}"
        );
    }
    assert!(refused(&mut ledger, r#"["status"]"#).starts_with("filter_config must be a JSON object"));
    // an update is looked at like an insert
    let id = ledger.pattern(&json!({ "status": "publish" }));
    let update = ledger.sql.execute(
        r#"UPDATE saved_search_patterns SET filter_config = '{"a": 1}' WHERE id = $1"#,
        &[&id],
    );
    assert_eq!(sqlstate(update), "22023");
    let nameless = ledger
        .sql
        .execute("INSERT INTO saved_search_patterns (name) VALUES (' ')", &[]);
    assert_eq!(sqlstate(nameless), "23514");
}

#[test]
fn a_filter_is_no_way_into_the_statement() {
    let mut ledger = products();
    for text in [
        "'",
        "' OR true --",
        "\\",
        "$1",
        "%",
        "*) OR (true",
        "\u{1F600}",
        "{\"a\":1}",
    ] {
        for key in ["status", "type", "sku", "text", "category", "ids", "stock"] {
            assert_eq!(
                ledger.found(json!({ key: text }), "products"),
                "",
                "{key}: {text}"
            );
        }
    }
}

#[test]
fn a_pattern_that_does_not_fit_the_entity_type_says_so() {
    let mut ledger = products();
    for (filter, entity) in [
        (json!({ "price": { "min": 1 } }), "customers"),
        (json!({ "stockMax": 1 }), "orders"),
        (json!({ "category": "Toys" }), "customers"),
        (json!({ "type": "simple" }), "orders"),
        (json!({ "email": "a@b.c" }), "products"),
        (json!({ "sku": "a" }), "customers"),
        (json!({ "status": "publish" }), "categories"),
    ] {
        let id = ledger.pattern(&filter);
        let call = ledger.sql.query_one(
            "SELECT sync_pattern_preview($1, 'woocommerce', $2)",
            &[&id, &entity],
        );
        assert_eq!(sqlstate(call), "22023", "{filter} {entity}");
    }
    let unknown = "SELECT sync_pattern_preview(gen_random_uuid(), 'woocommerce', 'products')";
    assert_eq!(sqlstate(ledger.sql.batch_execute(unknown)), "42704");
}

#[test]
fn patterns_are_an_organisations_own() {
    let mut ledger = products();
    let id = ledger.pattern(&json!({}));
    let reader = ledger.db.role("read", ledger.org);
    let mut reader = ledger.db.connect_as(&reader, ledger.org);
    assert_eq!(
        text(
            &mut reader,
            &format!("SELECT sync_pattern_preview('{id}', 'woocommerce', 'products') -> 'count'")
        ),
        "4"
    );
    assert_eq!(
        sqlstate(reader.batch_execute("INSERT INTO saved_search_patterns (name) VALUES ('x')")),
        "42501"
    );
    assert_eq!(
        sqlstate(reader.batch_execute(&format!(
            "SELECT sync_list_add_from_pattern('{id}', 'woocommerce', 'products')"
        ))),
        "42501"
    );
    let other = ledger.db.org();
    let stranger = ledger.db.role("admin", other);
    let mut stranger = ledger.db.connect_as(&stranger, other);
    assert_eq!(
        text(&mut stranger, "SELECT count(*) FROM saved_search_patterns"),
        "0"
    );
    let call = format!("SELECT sync_pattern_preview('{id}', 'woocommerce', 'products')");
    assert_eq!(sqlstate(stranger.batch_execute(&call)), "42704");
    // written by an app as it is, with what it leaves out filled in
    let mut app = ledger.db.connect_as(&ledger.role, ledger.org);
    app.batch_execute("SET app.current_user_id = 'ada'; INSERT INTO saved_search_patterns (name, description) VALUES ('mine', 'all of it')")
        .unwrap();
    assert_eq!(
        text(
            &mut app,
            "SELECT user_id || filter_config FROM saved_search_patterns WHERE name = 'mine'"
        ),
        "ada{}"
    );
}
