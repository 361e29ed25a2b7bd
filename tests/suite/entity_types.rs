//! Entity types that a connector leaves out: nothing asks for them, and nothing is ill for their sake.

use serde_json::{json, Value};
use sync_ext_tests::sqlstate;
use sync_sandbox::odoo::Version;

use crate::erp::{small, Erp};

/// An Odoo whose user may neither read purchases nor what belongs to transfers.
fn limited(settings: Value) -> Erp {
    let erp = Erp::with(small(Version::V19), settings);
    erp.user(json!({ "denied": ["purchase.order", "stock.move"] }));
    erp
}

fn asked(erp: &mut Erp, query: &str) -> Value {
    erp.sql.query_one(query, &[]).unwrap().get(0)
}

#[test]
fn what_is_left_out_makes_nothing_partial_or_degraded() {
    let mut erp = limited(json!({}));
    assert_eq!(asked(&mut erp, "SELECT sync_all('odoo')")["status"], "partial");
    assert_eq!(asked(&mut erp, "SELECT sync_health()")["status"], "degraded");
    let hint = asked(&mut erp, "SELECT sync_test_connection('odoo')");
    assert_eq!(hint["entities"]["purchases"]["readable"], false, "{hint}");

    let settings = json!({ "entity_types": ["customer", "categories", "sales"] });
    let credentials = json!({ "database": "lab", "login": "apiuser", "api_key": "key_apiuser" });
    erp.connect(&credentials, &settings).unwrap();
    erp.sandbox.reset_stats();
    let all = asked(&mut erp, "SELECT sync_all('odoo')");
    assert_eq!(all["status"], "completed", "{all}");
    let types: Vec<&String> = all["entityTypes"].as_object().unwrap().keys().collect();
    assert_eq!(types, ["categories", "customers", "sales"]);
    let health = asked(&mut erp, "SELECT sync_health()");
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(health["entityTypes"].as_array().unwrap().len(), 3);
    let states = "SELECT string_agg(entity_type, ' ' ORDER BY entity_type) FROM sync_state";
    let states: String = erp.sql.query_one(states, &[]).unwrap().get(0);
    assert_eq!(states, "categories customers sales");
    let told = asked(&mut erp, "SELECT sync_test_connection('odoo')");
    let entities: Vec<&String> = told["entities"].as_object().unwrap().keys().collect();
    assert_eq!(entities, ["categories", "customers", "sales"], "{told}");
    let seen = erp.sandbox.requests();
    assert!(
        !seen.iter().any(|seen| seen.path.contains("purchase.order")),
        "nobody asks for them"
    );
}

#[test]
fn who_asks_for_what_is_left_out_is_told_so() {
    let mut erp = limited(json!({ "entity_types": ["customers"] }));
    for call in ["sync_pull('odoo', 'sales')", "sync_preview('odoo', 'sale')"] {
        let error = erp.sql.query_one(&format!("SELECT {call}"), &[]).unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "22023", "{call}");
        assert!(error.message().contains("leaves sales out"), "{error}");
        assert!(
            error.hint().unwrap().contains("entity_types names customers"),
            "{error}"
        );
    }
    let credentials = json!({ "database": "lab", "login": "apiuser", "api_key": "key_apiuser" });
    for wrong in [json!(["sails"]), json!("sales"), json!([7])] {
        let refused = erp.connect(&credentials, &json!({ "entity_types": wrong }));
        assert_eq!(sqlstate(refused), "22023", "{wrong}");
    }
}

#[test]
fn a_pull_that_broke_off_is_not_taken_up_where_its_type_is_left_out_since() {
    let mut erp = limited(json!({}));
    erp.pull("customers");
    let org = erp.org;
    let broken = "UPDATE sync_run SET status = 'interrupted' WHERE org_id = $1 AND entity_type = 'customers'";
    erp.root.execute(broken, &[&org]).unwrap();
    let checkpoint =
        "UPDATE sync_metadata SET checkpoint = '{}' WHERE org_id = $1 AND data_type = 'customers'";
    erp.root.execute(checkpoint, &[&org]).unwrap();
    let due = "SELECT count(*) FROM sync_due_pulls((SELECT oid FROM pg_roles WHERE rolname = current_user)) WHERE org_id = $1";
    let count = |erp: &mut Erp| -> i64 { erp.root.query_one(due, &[&org]).unwrap().get(0) };
    assert_eq!(count(&mut erp), 1);
    let settings = "UPDATE integration_connector SET settings = settings || '{\"entity_types\": [\"sales\"]}' WHERE org_id = $1";
    erp.root.execute(settings, &[&org]).unwrap();
    assert_eq!(count(&mut erp), 0);
}
