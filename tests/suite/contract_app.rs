//! An app: a connected shop, and a session that may do everything in its organisation.

use postgres::Client;
use sync_ext_tests::TestDb;
use sync_sandbox::{Config, Sandbox};
use uuid::Uuid;

pub struct App {
    pub shop: Sandbox,
    pub db: TestDb<'static>,
    pub org: Uuid,
    pub role: String,
    pub sql: Client,
}

impl App {
    pub fn new(customers: u32) -> App {
        let config = Config {
            customers,
            products: 20,
            orders: 20,
            ..Config::default()
        };
        let shop = Sandbox::start(config).unwrap();
        let db = TestDb::new();
        db.set("sync_ext.retry_backoff", "1ms");
        let org = db.org();
        let role = db.role("admin", org);
        let mut sql = db.connect_as(&role, org);
        let connect = format!(
            "SELECT sync_connect('woocommerce', '{}', '{{\"consumer_key\": \"ck_rw\", \"consumer_secret\": \"cs_rw\"}}',
                                 settings => '{{\"requests_per_second\": 1000}}')",
            shop.url()
        );
        sql.batch_execute(&connect).unwrap();
        App {
            shop,
            db,
            org,
            role,
            sql,
        }
    }

    /// One value, as text.
    #[track_caller]
    pub fn one(&mut self, query: &str) -> String {
        text(&mut self.sql, query)
    }
}

/// The first column of the only row, as text; NULL is "".
#[track_caller]
pub fn text(client: &mut Client, query: &str) -> String {
    let messages = client
        .simple_query(query)
        .unwrap_or_else(|error| panic!("{query}: {error:?}"));
    let rows: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(rows.len(), 1, "{query}: {rows:?}");
    rows[0].clone()
}
