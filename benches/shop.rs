//! A shop of customers, an organisation connected to it, and reading the shop without Postgres.

use std::sync::Mutex;

use postgres::Client;
use serde_json::{json, Value};
use sync_engine::core::{EntityType, Record};
use sync_engine::source::{self, HttpSettings, Pass, Task};
use sync_ext_tests::{Server, TestDb};
use sync_sandbox::{Config, Sandbox};
use uuid::Uuid;

/// What `sync_ext.fetch_concurrency` is by default.
const THREADS: usize = 4;

pub fn shop(customers: u32) -> Sandbox {
    Sandbox::start(Config {
        customers,
        products: 0,
        orders: 0,
        categories: 1,
        ..Config::default()
    })
    .unwrap()
}

fn keys() -> Value {
    json!({"consumer_key": "ck_rw", "consumer_secret": "cs_rw"})
}

/// An organisation with an empty ledger, in a database of its own.
pub struct Subject<'s> {
    pub db: TestDb<'s>,
    pub org: Uuid,
    role: String,
}

impl<'s> Subject<'s> {
    pub fn new(server: &'s Server, shop: &Sandbox) -> Self {
        let db = TestDb::on(server);
        let org = db.org();
        let role = db.role("admin", org);
        let subject = Subject { db, org, role };
        subject
            .client()
            .execute(
                "SELECT sync_connect(kind => 'woocommerce', base_url => $1, credentials => $2,
                                     settings => '{\"requests_per_second\": 10000}')",
                &[&shop.url(), &keys()],
            )
            .unwrap();
        subject
    }

    pub fn client(&self) -> Client {
        self.db.connect_as(&self.role, self.org)
    }

    /// One pull of the customers; its report.
    pub fn pull(&self, mode: &str) -> Value {
        self.client()
            .query_one("SELECT sync_pull('woocommerce', 'customers', $1)", &[&mode])
            .unwrap()
            .get(0)
    }
}

/// Reads every window of the listing, with as many threads as a pull, and hands each page to `keep`.
pub fn fetch_all(shop: &Sandbox, keep: impl Fn(Vec<Record>) + Sync) {
    let http = HttpSettings {
        allowed_hosts: vec!["127.0.0.1".into()],
        ..HttpSettings::default()
    };
    let source = source::open(
        "woocommerce".parse().unwrap(),
        &shop.url(),
        &json!({}),
        &keys(),
        &Value::Null,
        http,
    )
    .unwrap();
    let mut tasks = source.plan(EntityType::Customers, Pass::Full).unwrap().tasks;
    // The first window tells all the others.
    while let [_] = tasks[..] {
        let batch = source.fetch(EntityType::Customers, &tasks[0]).unwrap();
        keep(batch.records);
        tasks = batch.more;
    }
    let tasks = Mutex::new(tasks);
    let next = || -> Option<Task> { tasks.lock().unwrap().pop() };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(task) = next() {
                    let batch = source.fetch(EntityType::Customers, &task).unwrap();
                    tasks.lock().unwrap().extend(batch.more);
                    keep(batch.records);
                }
            });
        }
    });
}
