//! A shop, a connector to it, and calls that are under way: what the tests of workers and of security share.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use postgres::{CancelToken, Client, Error, SimpleQueryMessage};
use serde_json::Value;
use sync_ext_tests::{wait_until, TestDb};
use sync_sandbox::{Config, Fault, Rule, Sandbox, When};
use uuid::Uuid;

/// Whatever has to happen "at once" may take this long on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const CUSTOMERS: &str = "SELECT sync_pull('woocommerce', 'customers')";

/// An organisation with a connector to a shop of its own, and a role that may do everything there.
pub struct ConnectedShop<'a> {
    pub db: &'a TestDb<'a>,
    pub sandbox: Sandbox,
    pub org: Uuid,
    pub admin: String,
}

impl<'a> ConnectedShop<'a> {
    #[track_caller]
    pub fn new(db: &'a TestDb<'a>) -> Self {
        ConnectedShop::with_customers(db, 250)
    }

    #[track_caller]
    pub fn with_customers(db: &'a TestDb<'a>, customers: u32) -> Self {
        let org = db.org();
        let config = Config {
            customers,
            products: 20,
            orders: 20,
            ..Config::default()
        };
        let shop = ConnectedShop {
            db,
            sandbox: Sandbox::start(config).unwrap(),
            org,
            admin: db.role("admin", org),
        };
        shop.client().batch_execute(&shop.connect_sql()).unwrap();
        shop
    }

    /// A connection as the organisation's administrator.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.db.connect_as(&self.admin, self.org)
    }

    /// The statement that connects the shop, at a rate that doesn't slow a test down.
    pub fn connect_sql(&self) -> String {
        format!(
            "SELECT sync_connect('woocommerce', '{}', '{{\"consumer_key\": \"ck_rw\", \"consumer_secret\": \"cs_rw\"}}',
                                 settings => '{{\"requests_per_second\": 1000}}')",
            self.sandbox.url()
        )
    }

    /// From now on the shop doesn't answer.
    pub fn hang(&self) {
        self.sandbox.fault(Rule::new("/", When::All, Fault::Hang));
    }

    /// The shop answers again.
    pub fn recover(&self) {
        self.sandbox.clear_faults(None);
        self.sandbox.release();
    }

    /// Starts a pull of customers that hangs at the shop.
    #[track_caller]
    pub fn hanging_pull(&self) -> Call {
        self.hang();
        let call = Call::start(self.client(), CUSTOMERS);
        self.wait_for_request();
        call
    }

    /// Waits until a request is held up by the shop.
    #[track_caller]
    pub fn wait_for_request(&self) {
        wait_until(PATIENCE, || self.sandbox.stats().running > 0);
    }

    /// Pulls customers, which has to go well.
    #[track_caller]
    pub fn pull(&self) -> Value {
        self.pull_of("customers", "incremental")
    }

    #[track_caller]
    pub fn pull_of(&self, entity: &str, mode: &str) -> Value {
        let row = self
            .client()
            .query_one("SELECT sync_pull('woocommerce', $1, $2)", &[&entity, &mode]);
        row.unwrap_or_else(|error| panic!("{error:?}\n{}", self.db.server().log()))
            .get(0)
    }

    /// Starts a pull, lets it read and save everything but one page, and returns it while that page hangs.
    #[track_caller]
    pub fn pull_stopped_short(&self, records_at_least: i32) -> Call {
        let hang = Rule {
            query: Some("offset=495".into()),
            ..Rule::new("/", When::All, Fault::Hang)
        };
        self.sandbox.fault(hang);
        let call = Call::start(self.client(), CUSTOMERS);
        let mut observer = self.db.client();
        wait_until(PATIENCE, || {
            let row = observer
                .query_one("SELECT coalesce(max(processed_count), 0) FROM sync_progress", &[])
                .unwrap();
            row.get::<_, i32>(0) >= records_at_least
        });
        self.wait_for_request();
        call
    }

    /// The ledger holds what the shop holds: it agrees with itself, and a reading of everything changes nothing.
    #[track_caller]
    pub fn assert_nothing_lost(&self) {
        let full = self.pull_of("customers", "full");
        for change in ["inserted", "updated", "deleted"] {
            assert_eq!(full[change], 0, "{full}");
        }
        let drift: i64 = self
            .client()
            .query_one(
                "SELECT count(*) FROM sync_verify('woocommerce', 'customers')",
                &[],
            )
            .unwrap()
            .get(0);
        assert_eq!(drift, 0);
    }
}

/// How many workers of this extension are at work in the database.
#[track_caller]
pub fn workers(db: &TestDb) -> i64 {
    db.client()
        .query_one(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'sync_ext worker' AND datname = current_database()",
            &[],
        )
        .unwrap()
        .get(0)
}

#[track_caller]
pub fn wait_for_workers(db: &TestDb, number: i64) {
    wait_until(PATIENCE, || workers(db) == number);
}

/// Sessions of a database that wait for the turn of others: those who call, or workers.
#[track_caller]
pub fn waiting(observer: &mut Client, backend_type: &str) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity
                 WHERE wait_event = 'advisory' AND backend_type = $1 AND datname = current_database()";
    observer.query_one(count, &[&backend_type]).unwrap().get(0)
}

#[track_caller]
pub fn wait_for_callers(db: &TestDb, number: i64) {
    let mut observer = db.client();
    wait_until(PATIENCE, || waiting(&mut observer, "client backend") == number);
}

/// The server came through: it is the same process, and logged no crash since `mark`.
#[track_caller]
pub fn assert_no_crash(db: &TestDb, mark: u64) {
    let log = db.server().log_since(mark);
    for sign in ["PANIC", "was terminated by signal", "reinitializing", "TRAP:"] {
        assert!(!log.contains(sign), "{sign} in the log:\n{log}");
    }
    assert_eq!(db.psql("SELECT 1"), "1");
}

/// A statement under way on another thread.
pub struct Call {
    pub token: CancelToken,
    pub pid: i32,
    thread: JoinHandle<Result<String, Error>>,
}

impl Call {
    #[track_caller]
    pub fn start(mut client: Client, sql: &str) -> Call {
        let pid = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        let (token, sql) = (client.cancel_token(), sql.to_string());
        let thread = thread::spawn(move || first_value(&mut client, &sql));
        Call { token, pid, thread }
    }

    /// The first value that came, once the statement is over.
    #[track_caller]
    pub fn finish(self) -> Result<String, Error> {
        wait_until(PATIENCE, || self.thread.is_finished());
        self.thread.join().unwrap()
    }

    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }
}

/// Runs a statement as psql does; the first value of the last row.
pub fn first_value(client: &mut Client, sql: &str) -> Result<String, Error> {
    let mut value = String::new();
    for message in client.simple_query(sql)? {
        if let SimpleQueryMessage::Row(row) = message {
            value = row.get(0).unwrap_or_default().to_string();
        }
    }
    Ok(value)
}

/// Message, detail and hint of a statement that has to fail with this SQLSTATE.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T, Error>, sqlstate: &str) -> String {
    let error = result.expect_err("the statement should have failed");
    let Some(told) = error.as_db_error() else {
        panic!("not an error of the server: {error:?}");
    };
    assert_eq!(told.code().code(), sqlstate, "{told:?}");
    [Some(told.message()), told.detail(), told.hint()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("\n")
}
