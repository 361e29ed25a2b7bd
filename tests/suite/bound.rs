//! An app with tables of its own, and a connector whose records are put into the ledger by hand: where tests of
//! bindings begin.

use postgres::{Client, Error};
use serde_json::Value;
use sync_ext_tests::{schema, TestDb};
use uuid::Uuid;

pub struct Bound {
    pub db: TestDb<'static>,
    pub org: Uuid,
    pub role: String,
    /// The app: owns its tables, administers the organisation.
    pub sql: Client,
    /// The superuser, to look behind the curtain.
    pub root: Client,
}

impl Bound {
    /// An app that has made these tables, with a schema `crm` in its search path.
    pub fn new(tables: &str) -> Bound {
        let db = TestDb::new();
        let org = db.org();
        let role = db.role("admin", org);
        let mut root = db.client();
        root.batch_execute(&format!(
            "CREATE SCHEMA crm AUTHORIZATION {role}; ALTER DATABASE {} SET search_path = crm, public, {}",
            db.name(),
            schema()
        ))
        .unwrap();
        let mut bound = Bound {
            sql: db.connect_as(&role, org),
            root: db.client(),
            db,
            org,
            role,
        };
        bound.connect("woocommerce");
        bound.run(tables);
        bound
    }

    /// A connector that is never asked anything.
    pub fn connect(&mut self, name: &str) {
        connect(&mut self.root, self.org, name, "woocommerce");
    }

    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        self.sql
            .batch_execute(sql)
            .unwrap_or_else(|error| panic!("{sql}: {}", plain(&error)));
    }

    #[track_caller]
    pub fn text(&mut self, sql: &str) -> String {
        text(&mut self.sql, sql)
    }

    pub fn refused(&mut self, sql: &str) -> Error {
        self.sql.batch_execute(sql).expect_err(sql)
    }

    /// Customers of the connector as a pull would write them: `[{"id": "1", "email": …}]`.
    #[track_caller]
    pub fn remote(&mut self, records: &Value) {
        self.remote_of("woocommerce", "customers", records);
    }

    #[track_caller]
    pub fn remote_of(&mut self, connector: &str, entity: &str, records: &Value) {
        let done = self
            .root
            .execute(REMOTE, &[&self.org, &connector, &entity, records]);
        done.unwrap_or_else(|error| panic!("{records}: {}", plain(&error)));
    }

    /// What `sync_verify` finds wrong with an entity type.
    #[track_caller]
    pub fn drift(&mut self, entity: &str) -> String {
        self.text(&format!(
            "SELECT coalesce(string_agg(problem || ' ' || coalesce(local_id, external_id), '; ' ORDER BY local_id), '')
             FROM sync_verify('woocommerce', '{entity}')"
        ))
    }

    /// The delta in short: `updated 1 a@b.c {name}`, line by line.
    #[track_caller]
    pub fn delta(&mut self, entity: &str) -> String {
        self.text(&format!(
            "SELECT coalesce(string_agg(concat_ws(' ', change, external_id, local_id,
                        (SELECT string_agg(f, ',' ORDER BY f) FROM jsonb_object_keys(changed_fields) f)), E'\\n'
                    ORDER BY change, external_id COLLATE \"C\", local_id COLLATE \"C\"), '')
             FROM compute_delta('woocommerce', '{entity}')"
        ))
    }

    /// Ids of the local rows that the ledger knows of, sorted.
    #[track_caller]
    pub fn local_ids(&mut self) -> String {
        text(
            &mut self.root,
            "SELECT coalesce(string_agg(local_id, ' ' ORDER BY local_id COLLATE \"C\"), '') FROM sync_record WHERE local_id IS NOT NULL",
        )
    }
}

pub fn connect(root: &mut Client, org: Uuid, name: &str, kind: &str) {
    root.execute(
        "WITH made AS (
            INSERT INTO integration_connector (org_id, name, kind, base_url, system, credentials)
            VALUES ($1, $2, $3, 'https://shop.example', $2 || '.example', '\\x00') RETURNING *)
         SELECT sync_join_connector(org_id, number) FROM made",
        &[&org, &name, &kind],
    )
    .unwrap();
    root.execute(
        "SELECT sync_join_connector(org_id, number) FROM integration_connector WHERE org_id = $1 AND name = $2",
        &[&org, &name],
    )
    .unwrap();
}

#[track_caller]
pub fn text(client: &mut Client, sql: &str) -> String {
    let row = client.query_one(&format!("SELECT ({sql})::text"), &[]);
    let row = row.unwrap_or_else(|error| panic!("{sql}: {}", plain(&error)));
    row.get::<_, Option<String>>(0).unwrap_or_default()
}

const REMOTE: &str = "
WITH k AS (
    SELECT k.*, e.name AS entity_name FROM sync_comparison k
    JOIN integration_connector i ON i.org_id = k.org_id AND i.number = k.connector
    JOIN sync_entity e ON e.number = k.entity
    WHERE k.org_id = $1 AND i.name = $2 AND e.name = $3),
records AS (
    SELECT r ->> 'id' AS id, sync_mapped(k.entity_name, r - 'id', sync_mappings(k.org_id, k.connector, k.entity)) AS record
    FROM k, jsonb_array_elements($4) r),
written AS (
    SELECT sync_upsert_remote(k.org_id, k.connector, k.entity, array_agg(r.id), array_agg(NULL::text),
               array_agg(sync_match_key(k.entity_name, r.record)), array_agg(sync_fingerprint(k.spec, r.record)),
               array_agg(NULL::timestamptz), array_agg(r.record::text)) AS counts
    FROM k, records r GROUP BY k.org_id, k.connector, k.entity)
SELECT sync_match(k.org_id, k.connector, k.entity) FROM k, written WHERE written.counts IS NOT NULL";

/// What an error says, without where in the server it was raised.
pub fn plain(error: &Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{db} [{}]\n{}", db.code().code(), db.where_().unwrap_or_default()),
        None => error.to_string(),
    }
}
