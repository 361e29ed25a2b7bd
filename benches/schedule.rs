//! `sync_scheduled` with ten thousand items of three organisations: against the same requests without Postgres.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use postgres::Client;
use serde_json::{json, Map, Value};
use sync_engine::core::{EntityType, Record};
use sync_engine::source::{self, Change, HttpSettings, Meter};
use sync_ext_tests::TestDb;
use sync_sandbox::{Config, Fault, Rule, Sandbox, When};
use uuid::Uuid;

use crate::lab::Lab;
use crate::report::{Report, Target};
use crate::timing::{ratio, show, timed};

const ITEMS: usize = 10_000;
const ORGANISATIONS: usize = 3;
/// What `sync_ext.fetch_concurrency` is by default.
const THREADS: usize = 4;
/// A call gives each organisation `schedule_time_limit`, 55 s by default.
const SERVED: Duration = Duration::from_secs(55);

pub fn run(lab: &Lab, report: &mut Report) {
    let db = TestDb::on(lab.server);
    db.set("sync_ext.schedule_time_limit", "600s");
    let tenants: Vec<Tenant> = (0..ORGANISATIONS).map(|n| Tenant::new(&db, share(n))).collect();
    let mut cron = db.connect_as(&db.role("operate", None), None);

    let bare = (0..ORGANISATIONS).map(|_| shop()).collect::<Vec<_>>();
    let (requests, ()) = timed(|| create_all(&bare));
    drop(bare);
    let created = call(&mut cron, "created");
    report.note(&format!(
        "sync_scheduled() creating {ITEMS} items of {ORGANISATIONS} organisations in their shops: {}, {:.2} x the throughput of the \
         same requests without Postgres, {}",
        rate(created),
        ratio(requests, created),
        rate(requests)
    ));
    make_due(&db);
    let unchanged = call(&mut cron, "unchanged");
    report.note(&format!(
        "the same items again, of which none has changed: {}",
        rate(unchanged)
    ));
    for tenant in &tenants {
        tenant.turn_around(&db);
    }
    let local = call(&mut cron, "taken over");
    report.note(&format!(
        "as many from the shops to local tables: {}",
        rate(local)
    ));

    make_due(&db);
    db.set("sync_ext.schedule_time_limit", "20s");
    let mut cron = db.connect_as(&db.role("operate", None), None);
    tenants[0].shop.fault(Rule::new("/", When::All, Fault::Hang));
    let (others, reply) = timed(|| scheduled(&mut cron));
    let served = reply["itemsSucceeded"].as_u64().unwrap_or_default();
    let whole = (ITEMS - tenants[0].items()) as u64;
    assert!(served >= whole, "{reply}");
    report.judge(
        ratio(others, SERVED),
        "of a time limit",
        Target::AtMost(1.0),
        &format!(
            "{served} items of the other organisations, while the shop of one hangs, {}",
            show(others)
        ),
    );
}

/// The items of the n-th organisation.
fn share(n: usize) -> usize {
    ITEMS / ORGANISATIONS + usize::from(n < ITEMS % ORGANISATIONS)
}

fn rate(time: Duration) -> String {
    format!(
        "{} ({:.0} items/s)",
        show(time),
        ITEMS as f64 / time.as_secs_f64()
    )
}

fn scheduled(cron: &mut Client) -> Value {
    cron.query_one("SELECT sync_scheduled()", &[]).unwrap().get(0)
}

/// One call that carries out everything.
fn call(cron: &mut Client, what: &str) -> Duration {
    let (time, reply) = timed(|| scheduled(cron));
    assert_eq!(reply["itemsSucceeded"], ITEMS, "{what}: {reply}");
    time
}

fn make_due(db: &TestDb) {
    db.psql("UPDATE sync_list SET next_due_at = now() - interval '1 minute'");
}

fn shop() -> Sandbox {
    Sandbox::start(Config {
        customers: 0,
        products: 0,
        orders: 0,
        ..Config::default()
    })
    .unwrap()
}

fn keys() -> Value {
    json!({"consumer_key": "ck_rw", "consumer_secret": "cs_rw"})
}

/// An organisation that sends products to a shop of its own.
struct Tenant {
    shop: Sandbox,
    org: Uuid,
    role: String,
}

impl Tenant {
    fn new(db: &TestDb, items: usize) -> Self {
        let (shop, org) = (shop(), db.org());
        let tenant = Tenant {
            shop,
            org,
            role: db.role("admin", org),
        };
        let connect =
            "SELECT sync_connect('woocommerce', $1, $2, settings => '{\"requests_per_second\": 10000}')";
        let mut client = db.connect_as(&tenant.role, org);
        client.execute(connect, &[&tenant.shop.url(), &keys()]).unwrap();
        client
            .execute(
                "INSERT INTO sync_products (sku, name, price) SELECT 'SKU-' || n, 'Product ' || n, n FROM generate_series(1, $1::bigint) n",
                &[&(items as i64)],
            )
            .unwrap();
        client
            .batch_execute(
                "INSERT INTO sync_list (item_type, source_platform, target_platform, source_id)
                 SELECT 'product', 'local', 'woocommerce', id::text FROM sync_products",
            )
            .unwrap();
        tenant
    }

    fn items(&self) -> usize {
        self.shop.truth("products").unwrap().len()
    }

    /// What was sent comes back, to tables that are empty.
    fn turn_around(&self, db: &TestDb) {
        db.connect_as(&self.role, self.org)
            .batch_execute(
                "CREATE TEMP TABLE there AS SELECT target_id FROM sync_list; DELETE FROM sync_list; DELETE FROM sync_products;
                 INSERT INTO sync_list (item_type, source_platform, source_id) SELECT 'product', 'woocommerce', target_id FROM there",
            )
            .unwrap();
    }
}

/// Looks for each product and creates it, as many at a time as workers do.
fn create_all(shops: &[Sandbox]) {
    std::thread::scope(|scope| {
        for (nth, shop) in shops.iter().enumerate() {
            let http = HttpSettings {
                allowed_hosts: vec!["127.0.0.1".into()],
                ..HttpSettings::default()
            };
            let kind = "woocommerce".parse().unwrap();
            let source = source::open(kind, &shop.url(), &json!({}), &keys(), &Value::Null, http).unwrap();
            let (source, left) = (Arc::new(source), Arc::new(Mutex::new(share(nth))));
            for _ in 0..THREADS {
                let (source, left) = (source.clone(), left.clone());
                scope.spawn(move || loop {
                    let n = {
                        let mut left = left.lock().unwrap();
                        if *left == 0 {
                            return;
                        }
                        *left -= 1;
                        *left
                    };
                    let fields =
                        json!({"sku": format!("SKU-{n}"), "name": format!("Product {n}"), "price": n});
                    let fields: Map<String, Value> = fields.as_object().unwrap().clone();
                    let entity = EntityType::Products;
                    let fields = source.draft(entity, &fields, None).unwrap();
                    let record = Record::new(entity, n.to_string(), fields.clone());
                    assert!(source
                        .find(entity, &record, &Meter::default())
                        .unwrap()
                        .is_empty());
                    let change = Change {
                        external_id: None,
                        parent_id: None,
                        fields,
                    };
                    source.write(entity, &change, &Meter::default()).unwrap();
                });
            }
        }
    });
}
