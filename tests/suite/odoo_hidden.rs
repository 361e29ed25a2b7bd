//! Records of Odoo that the connector's user may not see any more: they are not gone, and what happened to them
//! meanwhile is found once they are seen again.

use postgres::Client;
use serde_json::{json, Value};
use sync_ext_tests::TestDb;
use sync_sandbox::odoo::{Config, Erp, Version};
use sync_sandbox::{Fault, ListFault, Rule, Sandbox, When};

struct Contacts {
    erp: Sandbox<Erp>,
    sql: Client,
    _db: TestDb<'static>,
}

impl Contacts {
    fn new(version: Version, partners: u32, settings: Value) -> Contacts {
        let erp = Sandbox::start(Config {
            version,
            partners,
            // Contacts that documents name can't be deleted.
            sales: 0,
            purchases: 0,
            ..Config::default()
        })
        .unwrap();
        let db = TestDb::new();
        let org = db.org();
        let role = db.role("admin", org);
        let mut sql = db.connect_as(&role, org);
        let credentials = json!({ "database": "lab", "login": "apiuser", "api_key": "key_apiuser" });
        let mut all = settings;
        all["requests_per_second"] = json!(10_000);
        let connect = "SELECT sync_connect('odoo', $1, $2, settings => $3)";
        sql.query_one(connect, &[&erp.url(), &credentials, &all]).unwrap();
        Contacts { erp, sql, _db: db }
    }

    #[track_caller]
    fn pull(&mut self) -> Value {
        let row = self.sql.query_one("SELECT sync_pull('odoo', 'customers')", &[]);
        row.unwrap().get(0)
    }

    fn change(&self, op: Value) {
        self.erp.mutate_json(&op).unwrap();
    }

    fn hide(&self, rules: Value) {
        self.erp
            .configure(&json!({ "user": "apiuser", "rules": rules }))
            .unwrap();
    }

    fn city_of(&mut self, id: u64) -> String {
        let sql = "SELECT remote ->> 'billing_city' FROM sync_record WHERE external_id = $1";
        self.sql.query_one(sql, &[&id.to_string()]).unwrap().get(0)
    }

    fn ids(&mut self) -> Vec<u64> {
        let sql = "SELECT external_id FROM sync_record WHERE remote_fingerprint IS NOT NULL";
        let rows = self.sql.query(sql, &[]).unwrap();
        let mut ids: Vec<u64> = rows
            .iter()
            .map(|row| row.get::<_, String>(0).parse().unwrap())
            .collect();
        ids.sort_unstable();
        ids
    }
}

#[test]
fn what_changed_while_it_was_hidden_is_found_once_it_is_seen_again() {
    for version in [Version::V17, Version::V19] {
        let mut contacts = Contacts::new(version, 200, json!({ "compare_limit": 0, "page_size": 20 }));
        contacts.pull();
        let id = contacts.ids()[60];
        contacts.hide(json!({ "res.partner": [["id", "!=", id]] }));
        let edit = json!({ "city": "Hidden Valley", "parent_id": false });
        // long before the next pull's overlap
        contacts.change(json!({ "op": "edit", "entity": "res.partner", "id": id, "set": edit, "at": -3600 }));
        let pulled = contacts.pull();
        assert!(
            pulled["warnings"]
                .to_string()
                .contains("1 customers are no longer visible"),
            "{pulled}"
        );
        assert_ne!(contacts.city_of(id), "Hidden Valley");

        contacts.hide(json!({}));
        let pulled = contacts.pull();
        assert_eq!(pulled["pass"], "incremental");
        assert_eq!((&pulled["deleted"], &pulled["warnings"]), (&json!(0), &json!([])));
        assert_eq!(contacts.city_of(id), "Hidden Valley");
        assert_eq!(contacts.ids(), contacts.erp.truth("res.partner").unwrap());
    }
}

/// A host, or something in front of it, that gives fewer rows than asked for.
#[test]
fn a_page_that_is_shorter_than_asked_for_is_not_the_end() {
    let path = "/json/2/res.partner/search_read";
    let short = |fault| Rule::new(path, When::All, Fault::List(fault));
    for settings in [json!({}), json!({ "page_size": 20, "compare_limit": 0 })] {
        let mut contacts = Contacts::new(Version::V19, 200, settings.clone());
        let fault = contacts.erp.fault(short(ListFault::Cap { rows: 7 }));
        let pulled = contacts.pull();
        assert_eq!(pulled["status"], "success", "{settings}: {pulled}");
        assert_eq!(
            contacts.ids(),
            contacts.erp.truth("res.partner").unwrap(),
            "{settings}"
        );

        contacts.erp.clear_faults(Some(fault));
        contacts.erp.fault(short(ListFault::Empty));
        let full = "SELECT sync_pull('odoo', 'customers', mode => 'full')";
        let pulled: Value = contacts.sql.query_one(full, &[]).unwrap().get(0);
        assert_eq!(
            (&pulled["status"], &pulled["deleted"]),
            (&json!("partial"), &json!(0)),
            "{settings}: {pulled}"
        );
    }
}

/// More than are asked for at a time, so that a count would be quicker: but Odoo counts only what may be seen.
#[test]
fn of_ten_thousand_records_that_are_missing_the_deleted_are_told_from_the_hidden() {
    let mut contacts = Contacts::new(Version::V19, 12_000, json!({}));
    contacts.pull();
    let all = contacts.ids();
    let (kept, rest) = all.split_at(700);
    let (hidden, gone) = rest.split_at(50);
    contacts.change(json!({ "op": "unlink", "entity": "res.partner", "ids": gone }));
    contacts.hide(json!({ "res.partner": [["id", "not in", hidden]] }));
    let pulled = contacts.pull();
    assert_eq!(pulled["deleted"], gone.len(), "{pulled}");
    assert!(
        pulled["warnings"].to_string().contains("50 customers"),
        "{pulled}"
    );
    assert_eq!(contacts.ids(), [kept, hidden].concat());
}
