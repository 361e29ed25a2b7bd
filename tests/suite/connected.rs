//! What tests ask of a connector, whatever is behind it.

use std::collections::{BTreeMap, BTreeSet};

use postgres::{Client, Error};
use serde_json::Value;
use sync_ext_tests::TestDb;
use uuid::Uuid;

use crate::contract_app::text;

/// What each record says and is compared by, by id.
pub type Facts = BTreeMap<String, Vec<String>>;

/// A database with an organisation, and the name of the connector that its tests are about.
pub struct Connected {
    pub db: TestDb<'static>,
    pub org: Uuid,
    /// A user that may do everything in the organisation.
    pub sql: Client,
    /// The superuser, to look behind the curtain.
    pub root: Client,
    name: &'static str,
}

impl Connected {
    pub fn new(name: &'static str) -> Connected {
        let db = TestDb::new();
        db.set("sync_ext.retry_backoff", "1ms");
        db.set("sync_ext.retry_backoff_max", "2ms");
        let org = db.org();
        let role = db.role("admin", org);
        Connected {
            sql: db.connect_as(&role, org),
            root: db.client(),
            db,
            org,
            name,
        }
    }

    /// One jsonb of a call with connector and entity type.
    pub fn try_ask(&mut self, call: &str, entity: &str) -> Result<Value, Error> {
        Ok(self.sql.query_one(call, &[&self.name, &entity])?.get(0))
    }

    /// The same, where it has to work.
    #[track_caller]
    pub fn ask(&mut self, call: &str, entity: &str) -> Value {
        self.try_ask(call, entity)
            .unwrap_or_else(|error| panic!("{call} ({entity}): {error:?}"))
    }

    pub fn try_pull(&mut self, entity: &str) -> Result<Value, Error> {
        self.try_ask("SELECT sync_pull($1, $2)", entity)
    }

    #[track_caller]
    pub fn pull(&mut self, entity: &str) -> Value {
        self.ask("SELECT sync_pull($1, $2)", entity)
    }

    #[track_caller]
    pub fn pull_full(&mut self, entity: &str) -> Value {
        self.ask("SELECT sync_pull($1, $2, mode => 'full')", entity)
    }

    #[track_caller]
    pub fn preview(&mut self, entity: &str) -> Value {
        self.ask("SELECT sync_preview($1, $2)", entity)
    }

    #[track_caller]
    pub fn fresh_preview(&mut self, entity: &str) -> Value {
        self.ask("SELECT sync_preview($1, $2, force_refresh => true)", entity)
    }

    /// One number of a statement for the organisation.
    #[track_caller]
    pub fn number(&mut self, sql: &str) -> i64 {
        let value = text(&mut self.sql, sql);
        value.parse().unwrap_or_else(|_| panic!("{sql}: {value}"))
    }

    /// What the ledger holds of an entity type, told by parent and content; each record once.
    #[track_caller]
    pub fn held(&mut self, entity: &str, facts: impl Fn(Option<&str>, &Value) -> Vec<String>) -> Facts {
        let rows = self.root.query(
            "SELECT r.external_id, r.parent_id, r.remote FROM sync_record r JOIN sync_entity e ON e.number = r.entity
             WHERE r.org_id = $1 AND e.name = $2 AND r.remote_fingerprint IS NOT NULL",
            &[&self.org, &entity],
        );
        let mut all = Facts::new();
        for row in rows.unwrap() {
            let (id, parent): (String, Option<String>) = (row.get(0), row.get(1));
            let again = all.insert(id.clone(), facts(parent.as_deref(), &row.get(2)));
            assert!(again.is_none(), "{entity} {id} is there twice");
        }
        all
    }

    /// The ledger proves right.
    #[track_caller]
    pub fn assert_verified(&mut self, entity: &str) {
        let problems = self.sql.query(
            "SELECT problem, external_id FROM sync_verify($1, $2)",
            &[&self.name, &entity],
        );
        let problems: Vec<(String, Option<String>)> = problems
            .unwrap()
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        assert!(problems.is_empty(), "{entity}: {problems:?}");
    }

    /// Fills the local table with what is new; the external ids that are linked then.
    #[track_caller]
    pub fn fill(&mut self, entity: &str) -> BTreeSet<String> {
        let table = format!("sync_{entity}");
        let columns: String = self
            .root
            .query_one(
                "SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) FROM pg_attribute
                 WHERE attrelid = $1::text::regclass AND attnum > 0 AND attname NOT IN ('org_id', 'id', 'updated_at')",
                &[&table],
            )
            .unwrap()
            .get(0);
        let fill = format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM (
                SELECT r.* FROM compute_delta($1, $2) d CROSS JOIN jsonb_populate_record(NULL::{table}, d.remote) r
                WHERE d.change = 'new') filled"
        );
        self.sql.execute(&fill, &[&self.name, &entity]).unwrap();
        let linked = self.root.query(
            "SELECT r.external_id FROM sync_record r JOIN sync_entity e ON e.number = r.entity
             WHERE r.org_id = $1 AND e.name = $2 AND r.external_id IS NOT NULL AND r.local_id IS NOT NULL",
            &[&self.org, &entity],
        );
        linked.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// The delta as rows, by external id.
    #[track_caller]
    pub fn delta(&mut self, entity: &str) -> BTreeMap<String, String> {
        let rows = self.sql.query(
            "SELECT external_id, change FROM compute_delta($1, $2)",
            &[&self.name, &entity],
        );
        rows.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Where every row of the ledger lies: a row that was written has moved.
    #[track_caller]
    pub fn places(&mut self) -> Vec<(String, String)> {
        let rows = self.root.query(
            "SELECT ctid::text, xmin::text FROM sync_record WHERE org_id = $1 ORDER BY id",
            &[&self.org],
        );
        rows.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

/// The settings of a connector for tests: as fast as it can, and what the test wants.
pub fn settings(wanted: &Value) -> Value {
    let mut all = serde_json::json!({ "requests_per_second": 10_000 });
    for (name, value) in wanted.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

#[track_caller]
pub fn assert_same(what: &str, truth: &Facts, ledger: &Facts) {
    let lost: Vec<_> = truth.keys().filter(|id| !ledger.contains_key(*id)).collect();
    let left: Vec<_> = ledger.keys().filter(|id| !truth.contains_key(*id)).collect();
    let other: Vec<_> = truth
        .iter()
        .filter_map(|(id, facts)| Some((id, facts, ledger.get(id).filter(|found| *found != facts)?)))
        .collect();
    assert!(
        lost.is_empty() && left.is_empty() && other.is_empty(),
        "{what}: missing {lost:?}, too many {left:?}, different (id, remote, ledger) {other:?}"
    );
}
