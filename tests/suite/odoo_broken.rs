//! A field that a user has added to Odoo and that it fails to compute: everything else is read, and nothing looks emptied.

use serde_json::{json, Value};
use sync_sandbox::odoo::Version;
use sync_sandbox::{Fault, Rule, When};

use crate::erp::{small, Erp};

const FIELD: &str = "x_legacy_code";

/// An Odoo whose contacts have been pulled with a field of a user, mapped to one of ours.
fn mapped(settings: Value) -> Erp {
    let mut erp = Erp::with(small(Version::V19), settings);
    erp.pull("customers");
    let map = format!("SELECT sync_map('odoo', 'customers', 'legacy', '{FIELD}')");
    erp.sql.query_one(&map, &[]).unwrap();
    erp
}

/// What the ledger has of the field: raw and mapped.
fn held(erp: &mut Erp) -> Vec<(String, Option<String>, Option<String>)> {
    let (sql, org) = (
        "SELECT r.external_id::text, r.remote -> 'custom' ->> 'x_legacy_code', r.remote -> 'mapped' ->> 'legacy'
         FROM sync_record r JOIN sync_entity e ON e.number = r.entity
         WHERE r.org_id = $1 AND e.name = 'customers' AND r.remote_fingerprint IS NOT NULL ORDER BY 1",
        erp.org,
    );
    let rows = erp.root.query(sql, &[&org]).unwrap();
    rows.iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect()
}

#[test]
fn what_cannot_be_computed_stays_as_it_was_and_the_rest_is_read() {
    for settings in [json!({}), json!({ "compare_limit": 0, "page_size": 20 })] {
        let mut erp = mapped(settings.clone());
        let before = held(&mut erp);
        assert!(before
            .iter()
            .any(|(_, raw, mapped)| raw.is_some() && raw == mapped));
        let fault = Fault::Error {
            name: "builtins.ZeroDivisionError".into(),
            message: "float division by zero".into(),
        };
        erp.sandbox.fault(Rule {
            query: Some(FIELD.into()),
            ..Rule::new(&erp.route("res.partner", "search_read"), When::All, fault)
        });
        let changed = erp.some("res.partner", |contact| contact["name"] != false);
        erp.change(
            json!({ "op": "edit", "entity": "res.partner", "id": changed, "set": { "name": "Renamed" } }),
        );
        for pulled in [erp.pull("customers"), erp.pull_full("customers")] {
            assert_eq!(pulled["deleted"], 0, "{pulled}");
            let warnings = pulled["warnings"].to_string();
            assert!(
                warnings.contains(FIELD) && warnings.contains("exclude_fields"),
                "{pulled}"
            );
        }
        assert_eq!(held(&mut erp), before, "{settings}");
        erp.assert_mirrored("customers");

        // who knows of it says so, and hears no more of it
        let credentials = json!({ "database": "lab", "login": "apiuser", "api_key": "key_apiuser" });
        erp.connect(&credentials, &json!({ "exclude_fields": [FIELD] }))
            .unwrap();
        let pulled = erp.pull_full("customers");
        assert_eq!(
            (&pulled["warnings"], &pulled["updated"]),
            (&json!([]), &json!(0)),
            "{pulled}"
        );
        assert_eq!(held(&mut erp), before);

        // mended
        erp.sandbox.clear_faults(None);
        erp.connect(&credentials, &json!({})).unwrap();
        erp.change(
            json!({ "op": "edit", "entity": "res.partner", "id": changed, "set": { FIELD: "L-new" } }),
        );
        erp.pull_full("customers");
        let now = held(&mut erp);
        let new = now.iter().find(|(id, ..)| *id == changed.to_string()).unwrap();
        assert_eq!(new.1.as_deref(), Some("L-new"));
    }
}
