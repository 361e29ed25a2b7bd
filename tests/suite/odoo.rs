//! Odoo's records in the ledger, and who may read them.

use serde_json::{json, Value};
use sync_ext_tests::sqlstate;
use sync_sandbox::odoo::Version;

use crate::erp::{by_date, model, small, Erp, ENTITIES, VERSIONS};

#[test]
fn every_record_of_every_type_is_there_once() {
    for version in VERSIONS {
        for settings in [json!({}), by_date()] {
            let mut erp = Erp::with(small(version), settings);
            for entity in ENTITIES {
                let pulled = erp.pull(entity);
                assert_eq!(pulled["inserted"], erp.ids(model(entity)).len(), "{pulled}");
                erp.assert_mirrored(entity);
            }
        }
    }
}

#[test]
fn archived_records_are_there_and_known_as_such() {
    for version in VERSIONS {
        let mut erp = Erp::new(version);
        for entity in ["customers", "products", "warehouses"] {
            erp.pull(entity);
            let archived = erp.those(model(entity), |record| record["active"] == false);
            assert!(!archived.is_empty(), "{entity}");
            let org = erp.org;
            let known: i64 = erp
                .root
                .query_one(
                    "SELECT count(*) FROM sync_record r JOIN sync_entity e ON e.number = r.entity
                     WHERE r.org_id = $1 AND e.name = $2 AND r.remote ->> 'is_active' = 'false'",
                    &[&org, &entity],
                )
                .unwrap()
                .get(0);
            assert_eq!(known, archived.len() as i64, "{entity}");
        }
    }
}

#[test]
fn an_idle_pull_writes_nothing() {
    for version in VERSIONS {
        let mut erp = Erp::new(version);
        for entity in ENTITIES {
            erp.pull(entity);
        }
        let places = erp.places();
        for entity in ENTITIES {
            for pulled in [erp.pull(entity), erp.pull_full(entity)] {
                let counts = ["inserted", "updated", "deleted"].map(|name| pulled[name].as_u64());
                assert_eq!(counts, [Some(0); 3], "{entity}: {pulled}");
            }
        }
        assert_eq!(erp.places(), places);
    }
}

#[test]
fn a_test_of_the_connection_tells_version_transport_counts_and_companies() {
    for (version, number, transport) in [
        (Version::V17, "17.0", "jsonrpc"),
        (Version::V18, "18.0", "jsonrpc"),
        (Version::V19, "19.0", "json2"),
    ] {
        let mut erp = Erp::new(version);
        let told: Value = erp
            .sql
            .query_one("SELECT sync_test_connection('odoo')", &[])
            .unwrap()
            .get(0);
        assert_eq!(
            (&told["version"], &told["authMode"]),
            (&json!(number), &json!(transport)),
            "{told}"
        );
        for entity in ENTITIES {
            let count = &told["entities"][entity]["count"];
            assert_eq!(count, &json!(erp.ids(model(entity)).len()), "{entity}: {told}");
        }
        let companies: Vec<&Value> = told["companies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| &c["id"])
            .collect();
        assert_eq!(companies, [&json!(1), &json!(2)]);
    }
}

#[test]
fn an_expired_key_is_an_authentication_failure() {
    for version in VERSIONS {
        let mut erp = Erp::new(version);
        erp.pull("customers");
        let before = erp.ledger("customers");
        erp.user(json!({ "expired": true }));
        assert_eq!(sqlstate(erp.try_pull("customers")), "28P01");
        assert_eq!(erp.ledger("customers"), before);
        erp.user(json!({ "expired": false }));
        erp.pull("customers");
        erp.assert_mirrored("customers");
    }
}

const HIDDEN: &str = "no longer visible to the connector's user, but not proven deleted";

/// Hides records from the connector's user; nothing may look deleted, and it is said why.
#[track_caller]
fn hides(version: Version, entity: &str, changes: Value, warning: &str) {
    let mut erp = Erp::new(version);
    erp.pull(entity);
    erp.fill(entity);
    let (before, delta) = (erp.ledger(entity), erp.delta(entity));
    erp.user(changes.clone());
    for pulled in [erp.pull(entity), erp.pull_full(entity)] {
        assert_eq!(pulled["deleted"], 0, "{pulled}");
        let warnings = pulled["warnings"].to_string();
        assert!(warnings.contains(warning), "{changes}: {pulled}");
    }
    assert_eq!(erp.ledger(entity), before, "{changes}");
    assert_eq!(erp.delta(entity), delta);
}

#[test]
fn what_a_rule_hides_is_not_deleted() {
    for version in VERSIONS {
        let rule = |entity: &str, domain: Value| json!({ "rules": { model(entity): domain } });
        for entity in ["customers", "sales", "transfers"] {
            let nothing = rule(entity, json!([["id", "=", 0]]));
            hides(version, entity, nothing, HIDDEN);
        }
        let some = rule("customers", json!([["id", "<", 30]]));
        hides(version, "customers", some, HIDDEN);
        hides(version, "sales", json!({ "companies": [1] }), HIDDEN);
    }
}
