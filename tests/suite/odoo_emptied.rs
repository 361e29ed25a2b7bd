//! References that Odoo's database empties when what they lead to is deleted: no date tells, and the next pull does.

use serde_json::{json, Value};
use sync_sandbox::odoo::Version;

use crate::erp::{Erp, VERSIONS};
use crate::odoo_changes::Linked;

impl Erp {
    /// How many records of the ledger have something in a field.
    fn with_field(&mut self, entity: &str, field: &str) -> i64 {
        let (sql, org) = (
            "SELECT count(*) FROM sync_record r JOIN sync_entity e ON e.number = r.entity
             WHERE r.org_id = $1 AND e.name = $2 AND r.remote -> $3 IS NOT NULL AND r.remote_fingerprint IS NOT NULL",
            self.org,
        );
        self.root.query_one(sql, &[&org, &entity, &field]).unwrap().get(0)
    }

    fn unlink(&self, model: &str, id: u64) {
        self.change(json!({ "op": "unlink", "entity": model, "ids": [id] }));
    }
}

#[test]
fn products_of_a_category_that_is_deleted_are_without_one() {
    for version in VERSIONS {
        let mut all = Linked::new(version);
        let category = all.erp.some("product.category", |category| {
            all.erp
                .those("product.product", |product| {
                    product["categ_id"][0] == category["id"]
                })
                .len()
                > 1
        });
        all.erp.unlink("product.category", category);
        let changed = all.assert_shown();
        assert!(changed["products"].len() > 1, "{version:?}: {changed:?}");
        // and nothing more comes of it
        let pulled = all.erp.pull("products");
        assert_eq!(
            (&pulled["updated"], &pulled["pass"]),
            (&json!(0), &json!("incremental")),
            "{pulled}"
        );
    }
}

#[test]
fn teams_terms_and_users_that_are_deleted_are_gone_from_documents() {
    for (entity, model, id, field) in [
        ("sales", "crm.team", 1, "team_name"),
        ("sales", "account.payment.term", 2, "payment_term"),
        ("purchases", "account.payment.term", 1, "payment_term"),
        ("transfers", "res.users", 2, "responsible_external_id"),
    ] {
        let mut erp = Erp::new(Version::V19);
        for _ in 0..2 {
            erp.pull(entity);
        }
        assert!(erp.with_field(entity, field) > 0, "{entity} {field}");
        erp.unlink(model, id);
        let pulled = erp.pull(entity);
        assert_eq!(pulled["pass"], "incremental", "{pulled}");
        assert_eq!(erp.with_field(entity, field), 0, "{entity} {field}: {pulled}");
        let again = erp.pull(entity);
        assert_eq!(again["updated"], 0, "{again}");
        assert!(
            again["requests"].as_u64() < pulled["requests"].as_u64(),
            "{again} after {pulled}"
        );
    }
}

#[test]
fn contacts_of_a_company_that_is_deleted_belong_to_none() {
    for version in VERSIONS {
        let mut erp = Erp::new(version);
        erp.pull("customers");
        let unused = erp.unused("res.partner");
        let of = |id: u64| erp.those("res.partner", |contact| contact["parent_id"][0] == id);
        let company = unused.into_iter().find(|id| !of(*id).is_empty()).unwrap();
        let dated = |id: u64| (id, erp.record("res.partner", id)["write_date"].clone());
        let dates: Vec<(u64, Value)> = of(company).into_iter().map(dated).collect();
        let contacts: Vec<String> = dates.iter().map(|(id, _)| id.to_string()).collect();
        let org = erp.org;
        let named = |erp: &mut Erp| -> i64 {
            let sql = "SELECT count(*) FROM sync_record r JOIN sync_entity e ON e.number = r.entity
                       WHERE r.org_id = $1 AND e.name = 'customers' AND r.external_id = ANY ($2) AND r.remote ->> 'company' IS NOT NULL";
            erp.root.query_one(sql, &[&org, &contacts]).unwrap().get(0)
        };
        assert_eq!(named(&mut erp), contacts.len() as i64);
        // they were edited long ago, and the database touches none of them
        erp.unlink("res.partner", company);
        for (id, at) in &dates {
            erp.change(json!({ "op": "modified", "entity": "res.partner", "id": id, "at": at }));
        }
        let pulled: Value = erp.pull("customers");
        assert_eq!(pulled["pass"], "incremental", "{pulled}");
        let truth = |id: &String| {
            let record = erp.record("res.partner", id.parse().unwrap());
            record["commercial_company_name"] != false
        };
        let expected = contacts.iter().filter(|id| truth(id)).count() as i64;
        assert_eq!(expected, 0);
        assert_eq!(named(&mut erp), expected, "{pulled}");
    }
}
