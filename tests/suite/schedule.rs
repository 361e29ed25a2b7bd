//! `sync_scheduled()`: what is due is carried out, for every organisation, whatever happens to one of them.

use std::thread;
use std::time::Duration;

use postgres::Client;
use serde_json::{json, Value};
use sync_ext_tests::{skipped, wait_until, Server, TestDb};
use sync_sandbox::{Config, Fault, Rule, Sandbox, When};
use uuid::Uuid;

use crate::contract_app::text;
use crate::worker_shop::{ConnectedShop, PATIENCE};

/// An organisation that sends local products to a shop of its own.
pub struct Tenant {
    pub shop: Sandbox,
    pub org: Uuid,
    role: String,
}

impl Tenant {
    pub fn new(db: &TestDb, items: u32) -> Tenant {
        let config = Config {
            customers: 0,
            products: 0,
            orders: 0,
            ..Config::default()
        };
        let (shop, org) = (Sandbox::start(config).unwrap(), db.org());
        let role = db.role("admin", org);
        let tenant = Tenant { shop, org, role };
        tenant
            .client(db)
            .batch_execute(&format!(
                "SET app.current_user_id = 'user of {org}';
                 SELECT sync_connect('woocommerce', '{}', '{{\"consumer_key\": \"ck_rw\", \"consumer_secret\": \"cs_rw\"}}',
                                     settings => '{{\"requests_per_second\": 10000}}');
                 INSERT INTO sync_products (sku, name) SELECT 'SKU-' || n, 'Product ' || n FROM generate_series(1, {items}) n;
                 INSERT INTO sync_list (item_type, source_platform, target_platform, source_id)
                 SELECT 'product', 'local', 'woocommerce', id::text FROM sync_products",
                tenant.shop.url()
            ))
            .unwrap();
        tenant
    }

    pub fn client(&self, db: &TestDb) -> Client {
        db.connect_as(&self.role, self.org)
    }

    /// From now on the shop doesn't answer.
    pub fn hang(&self) {
        self.shop.fault(Rule::new("/", When::All, Fault::Hang));
    }

    /// How many products have arrived.
    pub fn arrived(&self) -> usize {
        self.shop.truth("products").unwrap().len()
    }
}

/// A database with a role that works for any organisation, and names none.
pub fn backend() -> (TestDb<'static>, String) {
    let db = TestDb::new();
    db.set("sync_ext.retry_backoff", "1ms");
    let role = db.role("operate", None);
    (db, role)
}

pub fn scheduled(client: &mut Client) -> Value {
    client
        .query_one("SELECT sync_scheduled()", &[])
        .unwrap_or_else(|error| panic!("{error:?}"))
        .get(0)
}

fn totals(reply: &Value) -> String {
    [
        "status",
        "totalUsers",
        "totalItems",
        "itemsProcessed",
        "itemsSucceeded",
        "itemsFailed",
    ]
    .map(|name| reply[name].to_string().replace('"', ""))
    .join(" ")
}

#[test]
fn every_organisation_is_served_once_its_items_are_due() {
    let (db, role) = backend();
    let tenants = [1, 2, 3].map(|n| Tenant::new(&db, 4 * n));
    let mut cron = db.connect_as(&role, None);
    let reply = scheduled(&mut cron);
    assert_eq!(totals(&reply), "completed 3 24 24 24 0", "{reply}");
    assert_eq!(tenants.each_ref().map(Tenant::arrived), [4, 8, 12]);
    for tenant in &tenants {
        let of = |result: &&Value| result["orgId"] == json!(tenant.org.to_string());
        let result = reply["userResults"].as_array().unwrap().iter().find(of).unwrap();
        assert_eq!(result["userId"], format!("user of {}", tenant.org));
        assert_eq!(result["itemsSucceeded"], tenant.arrived());
        let history = "SELECT concat_ws(' ', sync_type, status, items_created, user_id = 'user of ' || org_id) FROM sync_history WHERE user_id IS NOT NULL";
        let history = text(&mut tenant.client(&db), history);
        assert_eq!(history, format!("scheduled completed {} t", tenant.arrived()));
        // and the run as a whole, which is nobody's
        let whole = "SELECT concat_ws(' ', h.sync_type, h.status, h.items_created, h.metadata ->> 'users', h.metadata ->> 'syncId' = l.sync_id)
                     FROM sync_history h, sync_activity_log l WHERE h.user_id IS NULL";
        let whole = text(&mut tenant.client(&db), whole);
        assert_eq!(whole, format!("scheduled completed {} 1 t", tenant.arrived()));
    }
    // an hour from now
    assert_eq!(totals(&scheduled(&mut cron)), "completed 0 0 0 0 0");
    db.psql(&format!(
        "UPDATE sync_list SET next_due_at = now() WHERE org_id = '{}'",
        tenants[1].org
    ));
    assert_eq!(totals(&scheduled(&mut cron)), "completed 1 8 8 8 0");
    assert_ne!(
        db.psql("SELECT to_regclass('sync_activity_log_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'))"),
        ""
    );
}

#[test]
fn what_failed_is_told_as_texts_and_as_objects() {
    let (db, role) = backend();
    let tenant = Tenant::new(&db, 1);
    let item = text(
        &mut tenant.client(&db),
        "INSERT INTO sync_list (user_id, item_type, source_platform, source_id) VALUES ('ada', 'customer', 'woocommerce', '999999') RETURNING id",
    );
    let reply = scheduled(&mut db.connect_as(&role, None));
    let users = reply["userResults"].as_array().unwrap();
    let ada = users.iter().find(|user| user["userId"] == "ada").unwrap();
    let error = "\"woocommerce\" has no customer with this id (any more)";
    assert_eq!(ada["errors"], json!([format!("{item}: {error}")]), "{reply}");
    assert_eq!(ada["errorDetails"], json!([{ "itemId": item, "error": error }]));
}

#[test]
fn a_role_serves_the_organisations_that_it_was_granted() {
    let (db, _) = backend();
    let tenants = [Tenant::new(&db, 2), Tenant::new(&db, 2)];
    let mut one = db.connect_as(&db.role("operate", tenants[0].org), None);
    let reply = scheduled(&mut one);
    assert_eq!(totals(&reply), "completed 1 2 2 2 0");
    assert!(!reply.to_string().contains(&tenants[1].org.to_string()));
    assert_eq!(tenants.each_ref().map(Tenant::arrived), [2, 0]);
    let reader = db.role("read", tenants[1].org);
    db.psql(&format!(
        "SELECT sync_grant('{reader}', '{}', 'operate')",
        tenants[0].org
    ));
    // may call it, but not for that organisation
    assert_eq!(
        totals(&scheduled(&mut db.connect_as(&reader, None))),
        "completed 0 0 0 0 0"
    );
}

#[test]
fn one_that_hangs_keeps_nobody_waiting_and_nothing_runs_twice() {
    let (db, role) = backend();
    db.set("sync_ext.schedule_time_limit", "8s");
    let tenants = [Tenant::new(&db, 3), Tenant::new(&db, 30), Tenant::new(&db, 30)];
    tenants[0].hang();
    // due before all others
    db.psql(&format!(
        "UPDATE sync_list SET next_due_at = now() - interval '1 day' WHERE org_id = '{}'",
        tenants[0].org
    ));
    let mut cron = db.connect_as(&role, None);
    let call = thread::spawn(move || scheduled(&mut cron));
    wait_until(PATIENCE, || {
        tenants[1].arrived() == 30 && tenants[2].arrived() == 30
    });
    assert!(!call.is_finished(), "the hanging one was given up at once");
    assert_eq!(scheduled(&mut db.connect_as(&role, None))["status"], "skipped");
    let reply = call.join().unwrap();
    assert_eq!(totals(&reply), "partial_success 3 63 63 60 3", "{reply}");
    assert_eq!(tenants[0].arrived(), 0);
    let told = "SELECT DISTINCT concat_ws(' ', last_sync_status, attempts, next_due_at > now(), error_message) FROM sync_list";
    let told = text(&mut tenants[0].client(&db), told);
    assert!(
        told.starts_with("failed 1 t the time of this run was up"),
        "{told}"
    );
    // it answers again: nothing was lost, and nothing is there twice
    tenants[0].shop.clear_faults(None);
    tenants[0].shop.release();
    db.psql("UPDATE sync_list SET next_due_at = now() WHERE attempts > 0");
    assert_eq!(
        totals(&scheduled(&mut db.connect_as(&role, None))),
        "completed 1 3 3 3 0"
    );
    assert_eq!(tenants[0].arrived(), 3);
}

#[test]
fn what_does_not_fit_into_the_time_is_left_for_the_next_call() {
    let (db, role) = backend();
    db.set("sync_ext.schedule_time_limit", "2s");
    db.set("sync_ext.fetch_concurrency", "1");
    let tenant = Tenant::new(&db, 600);
    tenant
        .shop
        .fault(Rule::new("/", When::All, Fault::Slow { ms: 200 }));
    let mut cron = db.connect_as(&role, None);
    let first = scheduled(&mut cron);
    let done = first["itemsSucceeded"].as_u64().unwrap();
    assert!((1..600).contains(&done), "{first}");
    tenant.shop.clear_faults(None);
    // at most the ones that were under way wait for another attempt
    db.psql("UPDATE sync_list SET next_due_at = now() WHERE last_synced_at IS NULL");
    let left = 600 - done;
    wait_until(PATIENCE, || {
        scheduled(&mut cron);
        db.psql("UPDATE sync_list SET next_due_at = now() WHERE last_synced_at IS NULL");
        tenant.arrived() == 600
    });
    assert!(left > 0);
    assert_eq!(db.psql("SELECT count(DISTINCT target_id) FROM sync_list"), "600");
}

#[test]
fn a_pull_that_a_crash_broke_off_is_taken_up() {
    let db = TestDb::new();
    let shop = ConnectedShop::with_customers(&db, 550);
    // all but one page come, then the shop hangs, and the worker is killed
    let held = "SELECT count(*) FROM sync_record WHERE remote_fingerprint IS NOT NULL";
    let call = shop.pull_stopped_short(300);
    db.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'sync_ext worker' AND datname = current_database()");
    assert!(call.finish().is_err());
    shop.recover();
    let mut cron = db.connect_as(&db.role("operate", None), None);
    let reply = scheduled(&mut cron);
    assert_eq!(
        reply["pulls"],
        json!([{ "orgId": shop.org.to_string(), "syncType": "woocommerce", "entityType": "customers", "reason": "interrupted",
                 "status": "success", "error": null }])
    );
    assert_eq!(db.psql(held), "550");
    assert_eq!(scheduled(&mut cron)["pulls"], json!([]));
}

/// pg_cron's own smallest interval is a minute, so this takes up to two.
#[test]
fn pg_cron_calls_it_every_minute() {
    if !Server::has_extension("pg_cron") {
        return skipped("this Postgres has no pg_cron (scripts/setup.sh installs it for version 15)");
    }
    let server = Server::separate_with(
        "shared_preload_libraries = 'pg_cron'\ncron.host = '{dir}/socket'\ncron.use_background_workers = off\n",
    );
    let db = TestDb::on(&server);
    let tenants = [1, 2, 3].map(|_| Tenant::new(&db, 20));
    let role = db.role("operate", None);
    server.psql(
        "postgres",
        &format!(
            "CREATE EXTENSION pg_cron;
             SELECT cron.schedule_in_database('sync_ext', '* * * * *', 'SELECT sync_scheduled()', '{}', '{role}')",
            db.name()
        ),
    );
    wait_until(Duration::from_secs(150), || {
        tenants.iter().all(|tenant| tenant.arrived() == 20)
    });
    let runs = "SELECT string_agg(DISTINCT status || ' ' || coalesce(return_message, ''), ' ') FROM cron.job_run_details WHERE status <> 'running'";
    wait_until(PATIENCE, || server.psql("postgres", runs) == "succeeded 1 row");
    let history = "SELECT count(*) || ' ' || min(sync_type) || ' ' || sum(items_created) FROM sync_history WHERE user_id IS NOT NULL";
    assert_eq!(db.psql(history), "3 scheduled 60");
}

/// However many have waited: what is found fits into a worker's reply, and who has waited longest is in it.
#[test]
fn a_backlog_of_many_organisations_is_taken_in_parts() {
    let db = TestDb::new();
    let mut root = db.client();
    root.batch_execute(
        "LOAD 'sync_ext';
         ALTER TABLE sync_list DISABLE TRIGGER USER;
         INSERT INTO sync_list (org_id, item_type, source_platform, target_platform, source_id, sync_mode, schedule_interval, next_due_at)
         SELECT gen_random_uuid(), 'customer', 'a', 'local', '1', 'delta', '1 hour', now() - make_interval(mins => n)
         FROM generate_series(1, 700) n",
    )
    .unwrap();
    let row = root.query_one(
        "SELECT jsonb_array_length(d -> 'lists'), length(d::text),
                (d -> 'lists' -> 0 ->> 'oldest')::timestamptz = (SELECT min(next_due_at) FROM sync_list)
         FROM sync_due(current_user::regrole) d",
        &[],
    );
    let row = row.unwrap();
    let [parts, length] = [row.get::<_, i32>(0), row.get(1)];
    assert!(parts == 200 && length < 60_000 && row.get(2), "{parts} {length}");
}

/// A part is 200 organisations: what has waited less long is read when those are begun, as long as there is time.
#[test]
fn a_call_goes_on_with_the_next_organisations_until_its_time_is_over() {
    let db = TestDb::new();
    let mut root = db.client();
    root.batch_execute(
        "LOAD 'sync_ext';
         ALTER TABLE sync_list DISABLE TRIGGER USER;
         INSERT INTO sync_list (org_id, item_type, source_platform, target_platform, source_id, sync_mode, schedule_interval, next_due_at)
         SELECT md5(n::text)::uuid, 'customers', 'nobody', 'local', '1', 'delta', '1 hour', now() - make_interval(mins => n)
         FROM generate_series(1, 230) n;
         SET sync_ext.schedule_time_limit = '1h'",
    )
    .unwrap();
    let reply = scheduled(&mut root);
    assert_eq!(reply["totalItems"], 230, "{reply}");
    assert_eq!(reply["itemsFailed"], 230, "{reply}");
    let left: i64 = root
        .query_one("SELECT count(*) FROM sync_list WHERE attempts <> 1", &[])
        .unwrap()
        .get(0);
    assert_eq!(left, 0);
}
