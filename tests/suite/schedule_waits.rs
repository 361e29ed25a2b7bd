//! What `sync_scheduled()` does beside due items: pulls that webhooks asked for. And what items of this database do while
//! somebody else is at their records.

use postgres::Client;
use serde_json::{json, Value};
use sync_ext_tests::{wait_until, TestDb};
use sync_sandbox::odoo::{Config, Erp};
use sync_sandbox::{Fault, Rule, Sandbox, When};
use uuid::Uuid;

use crate::contract_app::text;
use crate::schedule::scheduled;
use crate::worker_shop::{Call, ConnectedShop, PATIENCE};

/// An Odoo whose automation posts are passed on.
struct Hooked {
    erp: Sandbox<Erp>,
    db: TestDb<'static>,
    org: Uuid,
    sql: Client,
}

impl Hooked {
    fn new() -> Hooked {
        let erp = Sandbox::start(Config {
            partners: 30,
            ..Config::default()
        });
        let (erp, db) = (erp.unwrap(), TestDb::new());
        db.set("sync_ext.retry_backoff", "1ms");
        db.set("sync_ext.max_retries", "0");
        let org = db.org();
        let role = db.role("admin", org);
        let mut sql = db.connect_as(&role, org);
        let credentials = json!({ "database": "lab", "login": "apiuser", "api_key": "key_apiuser", "webhook_secret": "tok" });
        sql.query_one("SELECT sync_connect('odoo', $1, $2)", &[&erp.url(), &credentials])
            .unwrap();
        sql.query_one("SELECT sync_pull('odoo', 'customers')", &[])
            .unwrap();
        Hooked { erp, db, org, sql }
    }

    /// Renames a contact, and passes on what Odoo posts of it.
    fn rename(&mut self, id: u64, name: &str) {
        let edit = json!({ "op": "edit", "entity": "res.partner", "id": id, "set": { "name": name } });
        self.erp.mutate_json(&edit).unwrap();
        let body = json!({ "_model": "res.partner", "_id": id, "id": id }).to_string();
        assert_eq!(self.post(&body), "noted");
    }

    /// Passes on a post of Odoo's.
    fn post(&mut self, body: &str) -> String {
        let call = "SELECT sync_ingest_webhook('odoo', '{\"x-webhook-token\": \"tok\"}', $1)";
        let reply: Value = self.sql.query_one(call, &[&body.as_bytes()]).unwrap().get(0);
        reply["status"].as_str().unwrap().to_owned()
    }

    fn name(&mut self, id: u64) -> String {
        let name =
            format!("SELECT remote ->> 'name' FROM sync_record WHERE entity = 1 AND external_id = '{id}'");
        text(&mut self.sql, &name)
    }

    fn pulls(&self, client: &mut Client) -> Value {
        let pulls = scheduled(client)["pulls"].clone();
        for pull in pulls.as_array().unwrap() {
            assert_eq!(pull["orgId"], self.org.to_string());
        }
        pulls
            .as_array()
            .unwrap()
            .iter()
            .map(|pull| pull["status"].clone())
            .collect()
    }
}

#[test]
fn a_webhooks_hint_becomes_a_pull_once() {
    let mut hooked = Hooked::new();
    let id = hooked.erp.truth("res.partner").unwrap()[20];
    hooked.rename(id, "Renamed");
    let mut stranger = hooked
        .db
        .connect_as(&hooked.db.role("operate", hooked.db.org()), None);
    assert_eq!(
        scheduled(&mut stranger)["pulls"],
        json!([]),
        "not granted, and told of it"
    );
    let mut cron = hooked.db.connect_as(&hooked.db.role("operate", None), None);
    let reply = scheduled(&mut cron);
    assert_eq!(
        reply["pulls"],
        json!([{ "orgId": hooked.org.to_string(), "syncType": "odoo", "entityType": "customers", "reason": "webhook",
                 "status": "success", "error": null }])
    );
    assert_eq!(hooked.name(id), "Renamed");
    assert_eq!(scheduled(&mut cron)["pulls"], json!([]));
}

#[test]
fn what_odoo_tells_of_before_it_commits_is_read_afterwards() {
    let mut hooked = Hooked::new();
    let id = hooked.erp.truth("res.partner").unwrap()[20];
    let body = json!({ "_model": "res.partner", "_id": id, "id": id }).to_string();
    hooked.post(&body);
    let mut cron = hooked.db.connect_as(&hooked.db.role("operate", None), None);
    assert_eq!(hooked.pulls(&mut cron), json!(["success"]), "at once");
    assert_eq!(hooked.pulls(&mut cron), json!([]), "and once, for the time being");
    let edit =
        json!({ "op": "edit", "entity": "res.partner", "id": id, "set": { "name": "Committed late" } });
    hooked.erp.mutate_json(&edit).unwrap();
    let age = "UPDATE sync_webhook_delivery SET received_at = received_at - interval '50 seconds'";
    hooked.db.psql(age);
    assert_eq!(hooked.pulls(&mut cron), json!([]));
    // told of again: from now on it counts
    assert_eq!(hooked.post(&body), "noted");
    assert_eq!(hooked.pulls(&mut cron), json!(["success"]));
    assert_eq!(hooked.name(id), "Committed late");
    hooked.db.psql(age);
    assert_eq!(hooked.pulls(&mut cron), json!([]));
    hooked.db.psql(age);
    assert_eq!(hooked.pulls(&mut cron), json!(["success"]));
    assert_eq!(hooked.pulls(&mut cron), json!([]), "settled");
    assert_eq!(
        text(
            &mut hooked.sql,
            "SELECT hints FROM sync_state WHERE entity_type = 'customers'"
        ),
        "0"
    );
}

#[test]
fn after_a_failure_a_hint_waits_ten_minutes() {
    let mut hooked = Hooked::new();
    let id = hooked.erp.truth("res.partner").unwrap()[20];
    hooked.rename(id, "Renamed");
    hooked.erp.fault(Rule::new("/", When::All, Fault::HtmlPage));
    let mut cron = hooked.db.connect_as(&hooked.db.role("operate", None), None);
    assert_eq!(hooked.pulls(&mut cron), json!(["failed"]));
    hooked.erp.clear_faults(None);
    assert_eq!(hooked.pulls(&mut cron), json!([]));
    hooked
        .db
        .psql("UPDATE sync_run SET started_at = started_at - interval '11 minutes'");
    assert_eq!(hooked.pulls(&mut cron), json!(["success"]));
    assert_eq!(hooked.name(id), "Renamed");
}

/// Customers to be kept here, while a pull of customers is under way that one page keeps from ending.
fn items_behind_a_pull(shop: &ConnectedShop) -> Call {
    let insert = "INSERT INTO sync_list (item_type, source_platform, source_id)
                  SELECT 'customer', 'woocommerce', id::text FROM unnest($1::bigint[]) id";
    let ids = shop.sandbox.truth("customers").unwrap();
    let ids: Vec<i64> = ids.into_iter().take(5).map(|id| id as i64).collect();
    shop.client().execute(insert, &[&ids]).unwrap();
    shop.pull_stopped_short(300)
}

const ITEMS: &str = "SELECT count(*) FILTER (WHERE last_outcome = 'created') || ' ' || count(*) FILTER (WHERE attempts > 0) || ' '
                            || count(*) FILTER (WHERE next_due_at <= now()) FROM sync_list";

#[test]
fn a_list_run_waits_for_a_pull_of_the_same_records() {
    let db = TestDb::new();
    let shop = ConnectedShop::with_customers(&db, 550);
    let pull = items_behind_a_pull(&shop);
    let delta = Call::start(shop.client(), "SELECT sync_delta() ->> 'status'");
    // their sources are read, and there is nothing but the pull to wait for, for longer than a scheduled run would
    let mut observer = db.client();
    let tried = "SELECT coalesce(bool_and(now() > created_at + interval '11 s'), false) FROM sync_history";
    wait_until(PATIENCE, || text(&mut observer, tried) == "t");
    assert!(!delta.is_over() && !pull.is_over());
    assert_eq!(db.psql(ITEMS), "0 0 5");
    shop.recover();
    pull.finish().unwrap();
    assert_eq!(delta.finish().unwrap(), "completed");
    assert_eq!(db.psql(ITEMS), "5 0 0");
}

#[test]
fn a_scheduled_run_leaves_items_that_wait_for_a_pull_to_the_next_call() {
    let db = TestDb::new();
    db.set("sync_ext.schedule_time_limit", "2s");
    let shop = ConnectedShop::with_customers(&db, 550);
    let pull = items_behind_a_pull(&shop);
    let mut cron = db.connect_as(&db.role("operate", None), None);
    let reply = scheduled(&mut cron);
    assert_eq!(
        (&reply["totalItems"], &reply["itemsProcessed"]),
        (&json!(5), &json!(0)),
        "{reply}"
    );
    assert_eq!(
        (&reply["status"], &reply["errors"]),
        (&json!("completed"), &json!([])),
        "{reply}"
    );
    // none has failed: they are due as before
    assert_eq!(db.psql(ITEMS), "0 0 5");
    shop.recover();
    pull.finish().unwrap();
    assert_eq!(scheduled(&mut cron)["itemsSucceeded"], 5);
    assert_eq!(db.psql(ITEMS), "5 0 0");
}
