//! What an apply costs for each record does not depend on how many there are, nor on what the statistics say: told by the
//! blocks that are read, as time would also tell how busy the machine is.

use std::time::Duration;

use postgres::Client;
use serde_json::Value;
use sync_ext_tests::{wait_until, TestDb};
use uuid::Uuid;

const SMALL: i64 = 3_000;
const LARGE: i64 = 15_000;
/// Rows of another organisation, which statistics know; of this one they then say that there is none.
const OTHERS: i64 = 2_000;
/// An index is a level higher here and there, and autovacuum has been at one and not yet at the other; a ledger that is read
/// anew for each thousand would make it five.
const AT_MOST: f64 = 2.5;

struct Ledger<'s> {
    db: TestDb<'s>,
    org: Uuid,
    root: Client,
    app: Client,
    size: i64,
}

impl Ledger<'_> {
    /// A ledger of new customers that no ANALYZE has met, as a first pull leaves it; one has met so many rows of another
    /// organisation.
    fn new(size: i64, others: i64) -> Self {
        let db = TestDb::new();
        let mut root = db.client();
        root.batch_execute(
            "ALTER TABLE sync_record SET (autovacuum_enabled = off);
             ALTER TABLE sync_customers SET (autovacuum_enabled = off);
             ALTER TABLE sync_list SET (autovacuum_enabled = off)",
        )
        .unwrap();
        if others > 0 {
            fill(&mut root, db.org(), others);
            root.batch_execute(
                "INSERT INTO sync_customers (org_id, email) SELECT org_id, match_key FROM sync_record;
                 INSERT INTO sync_list (org_id, item_type, source_platform, source_id)
                 SELECT org_id, 'customer', 'woocommerce', external_id FROM sync_record;
                 ANALYZE sync_record, sync_customers, sync_list",
            )
            .unwrap();
        }
        let org = db.org();
        fill(&mut root, org, size);
        let app = db.connect_as(&db.role("operate", org), org);
        Ledger {
            db,
            org,
            root,
            app,
            size,
        }
    }

    /// Blocks that a call touches of the tables that it reads and writes, for each record.
    fn cost(&mut self, call: &str, expected: &str) -> f64 {
        let before = self.touched();
        let done: Value = self.app.query_one(call, &[]).unwrap().get(0);
        assert_eq!(done[expected].as_i64(), Some(self.size), "{call}: {done}");
        (self.touched() - before) / self.size as f64
    }

    /// What a session has counted is told when it ends: so both begin anew.
    fn tell(&mut self) {
        let role: String = self
            .app
            .query_one("SELECT current_user::text", &[])
            .unwrap()
            .get(0);
        let ended = [&mut self.root, &mut self.app]
            .map(|client| -> i32 { client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0) });
        self.root = self.db.client();
        self.app = self.db.connect_as(&role, self.org);
        let root = &mut self.root;
        wait_until(Duration::from_secs(10), || {
            let left = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1)";
            root.query_one(left, &[&ended.as_slice()])
                .unwrap()
                .get::<_, i64>(0)
                == 0
        });
    }

    fn touched(&mut self) -> f64 {
        self.tell();
        let sql = "SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::float8
                   FROM pg_statio_user_tables WHERE relname IN ('sync_record', 'sync_customers', 'sync_preview_item', 'sync_list')";
        self.root.query_one(sql, &[]).unwrap().get(0)
    }
}

/// The ledger of an organisation's connector, which has so many new customers.
fn fill(root: &mut Client, org: Uuid, size: i64) {
    root.execute(
        "INSERT INTO integration_connector (org_id, name, kind, base_url, system, credentials)
         VALUES ($1, 'woocommerce', 'woocommerce', 'https://shop.example', 'shop.example', '\\x00')",
        &[&org],
    )
    .unwrap();
    root.execute(
        "SELECT sync_join_connector(i.org_id, i.number) FROM integration_connector i WHERE i.org_id = $1",
        &[&org],
    )
    .unwrap();
    root.execute(
        "INSERT INTO sync_record (org_id, connector, entity, external_id, match_key, remote, remote_fingerprint)
         SELECT $1, k.connector, 1, n::text, c ->> 'email', c, sync_fingerprint(k.spec, c)
         FROM sync_comparison k CROSS JOIN generate_series(1, $2::bigint) n
         CROSS JOIN LATERAL jsonb_build_object('email', 'c' || n || '@example.org', 'first_name', 'F' || n) c
         WHERE k.org_id = $1 AND k.entity = 1",
        &[&org, &size],
    )
    .unwrap();
}

/// The costs of everything that an apply can do, by name.
fn costs(size: i64, others: i64) -> Vec<(&'static str, f64)> {
    let mut ledger = Ledger::new(size, others);
    let undo = "SELECT sync_undo(id) FROM sync_history
                WHERE metadata ->> 'operation' = 'apply' AND NOT metadata ? 'undoneBy' ORDER BY created_at DESC LIMIT 1";
    let mut all = vec![(
        "new",
        ledger.cost("SELECT sync_apply('woocommerce', 'customers')", "created"),
    )];
    ledger
        .root
        .execute(
            "UPDATE sync_record r
             SET remote = r.remote || '{\"billing_city\": \"Elsewhere\"}',
                 remote_fingerprint = sync_fingerprint(k.spec, r.remote || '{\"billing_city\": \"Elsewhere\"}')
             FROM sync_comparison k WHERE k.org_id = $1 AND k.entity = 1 AND r.org_id = $1",
            &[&ledger.org],
        )
        .unwrap();
    all.push((
        "updated",
        ledger.cost(
            "SELECT sync_apply('woocommerce', 'customers', allow_mass_update => true)",
            "updated",
        ),
    ));
    all.push(("undo of updates", ledger.cost(undo, "restored")));
    ledger
        .root
        .execute(
            "UPDATE sync_record SET remote_fingerprint = NULL WHERE org_id = $1",
            &[&ledger.org],
        )
        .unwrap();
    let delete =
        "SELECT sync_apply('woocommerce', 'customers', include_deleted => true, allow_mass_delete => true)";
    all.push(("deleted", ledger.cost(delete, "deleted")));
    all.push(("undo of deletions", ledger.cost(undo, "restored")));
    all
}

/// What `measure` tells of a few records is what it tells of many, and of those of an organisation that is new.
#[track_caller]
fn assert_flat(measure: fn(i64, i64) -> Vec<(&'static str, f64)>) {
    let few = measure(SMALL, 0);
    for (size, others) in [(LARGE, 0), (SMALL, OTHERS), (LARGE, OTHERS)] {
        for ((what, few), (_, cost)) in few.iter().zip(measure(size, others)) {
            assert!(
                cost / few < AT_MOST,
                "{what}: {cost:.0} blocks for each of {size}, {few:.0} for each of {SMALL}; statistics know {others} of another organisation"
            );
        }
    }
}

#[test]
fn what_a_record_costs_does_not_depend_on_how_many_there_are() {
    assert_flat(costs);
}

/// Items of a sync list, in a run over all of them and in one that names them; the shop can't be asked, so they fail.
fn listed(size: i64, others: i64) -> Vec<(&'static str, f64)> {
    let mut ledger = Ledger::new(size, others);
    ledger
        .root
        .execute(
            "INSERT INTO sync_list (org_id, item_type, source_platform, source_id)
             SELECT org_id, 'customer', 'woocommerce', external_id FROM sync_record WHERE org_id = $1",
            &[&ledger.org],
        )
        .unwrap();
    [
        "SELECT sync_delta()",
        "SELECT sync_delta(ARRAY(SELECT id FROM sync_list))",
    ]
    .map(|call| (call, ledger.cost(call, "itemsFailed")))
    .to_vec()
}

#[test]
fn what_an_item_of_a_list_costs_does_not_depend_on_how_many_there_are() {
    assert_flat(listed);
}
