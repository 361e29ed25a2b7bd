//! Writes to contacts of a company in Odoo: nothing of the company, and of its other contacts, changes with them.

use serde_json::{json, Value};
use sync_sandbox::odoo::Version;

use crate::list_odoo::{Systems, VERSIONS};
use crate::list_remote::counts;

const ADDRESS: [&str; 5] = ["street", "street2", "zip", "city", "country_id"];

/// A company and two of its contacts; the first is the target of a shop's customer.
struct Company {
    systems: Systems,
    ids: [u64; 3],
}

impl Company {
    fn new(version: Version, settings: Value) -> Company {
        let mut systems = Systems::with(version, settings);
        let make = |set: Value| {
            let op = json!({ "op": "create", "entity": "res.partner", "set": set });
            systems.erp.mutate_json(&op).unwrap()["ids"][0].as_u64().unwrap()
        };
        let address = json!({ "street": "Main 1", "street2": "2nd", "zip": "10115", "city": "Berlin", "vat": "DE111111111",
                              "type": "contact", "active": true });
        let with = |more: Value| {
            let mut set = address.clone();
            set.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            set
        };
        let company = make(with(json!({ "name": "Works", "is_company": true })));
        let contact = |name: &str| {
            make(with(
                json!({ "name": name, "is_company": false, "parent_id": company }),
            ))
        };
        let ids = [company, contact("Ada King"), contact("Bob King")];
        let customer = systems.customers(&["ada_1@example.com"])[0];
        systems.list("customer", "shop", "erp", &[customer]);
        let set = "UPDATE sync_list SET target_id = $1";
        systems.sql.execute(set, &[&ids[1].to_string()]).unwrap();
        systems.in_shop(
            "customers",
            customer,
            json!({ "billing.city": "Bath", "billing.address_1": "Royal Crescent 1", "billing.phone": "77" }),
        );
        Company { systems, ids }
    }

    fn record(&self, which: usize) -> Value {
        self.systems
            .erp
            .record("res.partner", self.ids[which])
            .unwrap()
            .unwrap()
    }

    fn address(&self, which: usize) -> Vec<Value> {
        let record = self.record(which);
        ADDRESS
            .iter()
            .chain(&["vat"])
            .map(|name| record[*name].clone())
            .collect()
    }
}

#[test]
fn a_contact_is_written_without_what_it_shares_with_its_company() {
    for version in VERSIONS {
        let mut company = Company::new(version, json!({}));
        let before = [0, 1, 2].map(|which| company.address(which));
        let reply = company.systems.delta();
        assert_eq!(counts(&reply), "completed 1 0 1 0 0", "{reply}");
        assert_eq!(company.record(1)["phone"], "77");
        assert_eq!([0, 1, 2].map(|which| company.address(which)), before);
        let warning = reply["warnings"][0]["warning"].as_str().unwrap_or_default();
        assert!(
            warning.contains("billing_city") && warning.contains("write_shared_fields"),
            "{reply}"
        );
        let item = company.systems.one("SELECT id FROM sync_list");
        assert_eq!(reply["warnings"][0]["itemId"], item);
        let noted = "SELECT metadata -> 'warnings' FROM sync_history WHERE metadata ->> 'operation' = 'list'";
        let noted: Value = company.systems.sql.query_one(noted, &[]).unwrap().get(0);
        assert_eq!(noted, reply["warnings"]);
        // and that is that: the next run has nothing to do
        assert_eq!(counts(&company.systems.delta()), "completed 1 0 0 1 0");
    }
}

#[test]
fn who_wants_shared_fields_written_has_the_company_changed_from_19_on() {
    for version in VERSIONS {
        let mut company = Company::new(version, json!({ "write_shared_fields": true }));
        let reply = company.systems.delta();
        assert_eq!(counts(&reply), "completed 1 0 1 0 0", "{reply}");
        assert_eq!(reply["warnings"], json!([]));
        let cities = [0, 1, 2].map(|which| company.record(which)["city"].clone());
        let others = if version == Version::V19 { "Bath" } else { "Berlin" };
        assert_eq!(cities, [others, "Bath", others], "{version:?}");
    }
}

#[test]
fn an_archived_target_comes_back_with_a_word_or_stays_archived() {
    for (settings, active) in [(json!({}), true), (json!({ "keep_archived": true }), false)] {
        let mut company = Company::new(Version::V19, settings);
        let archive = json!({ "op": "archive", "entity": "res.partner", "ids": [company.ids[1]] });
        company.systems.in_erp(archive);
        let reply = company.systems.delta();
        assert_eq!(counts(&reply), "completed 1 0 1 0 0", "{reply}");
        assert_eq!(company.record(1)["active"], active);
        assert!(reply["warnings"].to_string().contains("keep_archived"), "{reply}");
    }
}
