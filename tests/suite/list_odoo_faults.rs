//! Sync lists whose target is Odoo: what fails there, what Odoo refuses, and nothing created twice.

use serde_json::json;
use sync_sandbox::odoo::Version;
use sync_sandbox::{Fault, When};

use crate::list_odoo::{Systems, VERSIONS};
use crate::list_remote::counts;

#[test]
fn a_creation_whose_answer_was_lost_is_looked_for_and_not_repeated() {
    for version in VERSIONS {
        let mut systems = Systems::with(version, json!({ "timeout": 0.5 }));
        let customers = systems.customers(&["lost@example.com"]);
        let product = systems.product("LOST-1");
        systems.list("customer", "shop", "erp", &customers);
        systems.list("product", "shop", "erp", &[product]);
        // both are done; of one the line breaks, of the other the answer doesn't come in time
        systems.fault("res.partner", "create", When::All, Fault::CutBody { bytes: 1 });
        systems.fault(
            "product.product",
            "create",
            When::All,
            Fault::Trickle { bytes: 1, ms: 5000 },
        );
        let reply = systems.delta();
        assert_eq!(counts(&reply), "failed 2 0 0 0 2", "{reply}");
        assert_eq!(systems.calls("create"), 2);
        assert_eq!(
            systems.one("SELECT string_agg(state, ' ') FROM sync_idempotency_log"),
            "intended intended"
        );
        systems.erp.clear_faults(None);
        let reply = systems.delta();
        assert_eq!(counts(&reply), "completed 2 0 0 2 0", "{reply}");
        assert_eq!(systems.calls("create"), 2);
        assert_eq!(systems.there("res.partner", "email", "lost@example.com").len(), 1);
        let found = &systems.there("product.product", "default_code", "LOST-1")[0]["id"];
        let known = "SELECT target_id FROM sync_list WHERE entity_type = 'products'";
        assert_eq!(systems.one(known), found.to_string());

        // one that was made and could not be read is known by its id
        let late = systems.product("");
        systems.list("product", "shop", "erp", &[late]);
        systems.fault("product.product", "search_read", When::All, Fault::HtmlPage);
        let reply = systems.delta();
        assert_eq!(
            (&reply["itemsUnchanged"], &reply["itemsFailed"]),
            (&json!(2), &json!(1)),
            "{reply}"
        );
        systems.erp.clear_faults(None);
        assert_eq!(counts(&systems.delta()), "completed 3 0 0 3 0");
        assert_eq!(systems.calls("create"), 3);
    }
}

#[test]
fn what_passes_is_tried_again_and_what_does_not_is_told() {
    for version in VERSIONS {
        let mut systems = Systems::new(version);
        let customers = systems.customers(&["a@example.com", "b@example.com", "c@example.com"]);
        systems.list("customer", "shop", "erp", &customers);
        // throttled, then busy: within one run
        let busy = Fault::Error {
            name: "psycopg2.errors.SerializationFailure".into(),
            message: "could not serialize access due to concurrent update".into(),
        };
        systems.fault(
            "res.partner",
            "create",
            When::Nth(1),
            Fault::TooManyRequests { retry_after: None },
        );
        systems.fault("res.partner", "create", When::Nth(2), busy);
        let reply = systems.delta();
        assert_eq!(counts(&reply), "completed 3 3 0 0 0", "{reply}");
        assert_eq!(systems.calls("create"), 5);
        for email in ["a@example.com", "b@example.com", "c@example.com"] {
            assert_eq!(systems.there("res.partner", "email", email).len(), 1);
        }

        // one that Odoo refuses stops nobody, and says why
        systems.erp.clear_faults(None);
        systems.product("TAKEN-1");
        let theirs = systems.erp.truth("product.product").unwrap()[0];
        systems.in_erp(json!({ "op": "edit", "entity": "product.product", "id": theirs, "set": { "barcode": "4006381333931" } }));
        let taken = systems.product("TAKEN-2");
        systems.in_shop("products", taken, json!({ "global_unique_id": "4006381333931" }));
        let fine = systems.product("FINE-1");
        systems.list("product", "shop", "erp", &[taken, fine]);
        let reply = systems.delta();
        assert_eq!(counts(&reply), "partial_success 5 1 0 3 1", "{reply}");
        let told = systems.one("SELECT error_message FROM sync_list WHERE last_sync_status = 'failed'");
        assert!(
            told.starts_with("Odoo refuses the values: Barcode(s) already assigned"),
            "{told}"
        );
        assert!(!told.contains("Traceback"), "{told}");
        let state = "SELECT state FROM sync_idempotency_log WHERE result ->> 'sourceId' = $1";
        let row = systems.sql.query_one(state, &[&taken.to_string()]).unwrap();
        assert_eq!(row.get::<_, &str>(0), "failed");
    }
}

#[test]
fn what_the_user_may_not_write_is_asked_a_few_times_and_keeps_nothing_else_back() {
    let mut systems = Systems::new(Version::V19);
    systems
        .erp
        .configure(&json!({ "user": "apiuser", "read_only": ["product.product"] }))
        .unwrap();
    let products: Vec<u64> = (0..40).map(|n| systems.product(&format!("P-{n}"))).collect();
    systems.list("product", "shop", "erp", &products);
    let customers = systems.customers(&["a@example.com"]);
    systems.list("customer", "shop", "erp", &customers);
    let reply = systems.delta();
    assert_eq!(counts(&reply), "partial_success 41 1 0 0 40", "{reply}");
    let tried = systems
        .erp
        .requests()
        .iter()
        .filter(|seen| seen.path == "/json/2/product.product/create")
        .count();
    // as many batches as there are threads, and of each the first three alone
    assert!((3..=16).contains(&tried), "{tried}");
    let told = "SELECT DISTINCT error_message FROM sync_list WHERE last_sync_status = 'failed'";
    let told = systems.one(told);
    assert!(
        told.starts_with("Odoo forbids the connector's user to write product.product")
            && told.contains("may create and change"),
        "{told}"
    );
}

#[test]
fn what_odoo_does_not_take_is_said() {
    let mut systems = Systems::new(Version::V19);
    let sale = systems.erp.truth("sale.order").unwrap()[0];
    systems
        .sql
        .batch_execute("INSERT INTO sync_sales (number) VALUES ('S1'); INSERT INTO sync_products (name, type) VALUES ('Parent', 'variable')")
        .unwrap();
    systems
        .sql
        .batch_execute(&format!(
            "INSERT INTO sync_list (item_type, source_platform, target_platform, source_id, target_id)
             SELECT 'sale', 'local', 'erp', id::text, '{sale}' FROM sync_sales UNION ALL
             SELECT 'product', 'local', 'erp', id::text, NULL FROM sync_products"
        ))
        .unwrap();
    let reply = systems.delta();
    assert_eq!(counts(&reply), "failed 2 0 0 0 2", "{reply}");
    let told = systems.one("SELECT string_agg(error_message, '|' ORDER BY item_type) FROM sync_list");
    assert!(
        told.starts_with("products of the type \"variable\" are not created in Odoo")
            && told.ends_with("sales can't be written to this kind of system"),
        "{told}"
    );
    assert_eq!(systems.calls("create") + systems.calls("write"), 0);
}
