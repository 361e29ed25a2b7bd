//! A cached preview, against a bare indexed SELECT of the same row.

use sync_ext_tests::TestDb;
use uuid::Uuid;

use crate::lab::{add_connector, Lab};
use crate::pgbench::Pgbench;
use crate::report::{Report, Target};
use crate::timing::{ratio, show, take_turns};

const CALL: &str = "SELECT sync_preview('woocommerce', 'customers');";

pub fn run(lab: &Lab, report: &mut Report) {
    let large = lab.large();
    compare(report, &large.db, large.org, &large.role);
    // The shortest there is: what the call itself costs shows most.
    let small = TestDb::on(lab.server);
    let org = small.org();
    let role = small.role("operate", org);
    add_connector(&mut small.client(), org);
    compare(report, &small, org, &role);
}

fn compare(report: &mut Report, db: &TestDb, org: Uuid, role: &str) {
    let mut client = db.client();
    let bytes: i32 = client
        .query_one(
            "SELECT length(sync_store_preview($1, 'woocommerce', 'customers', NULL, '1 hour', '{}')::text)",
            &[&org],
        )
        .unwrap()
        .get(0);
    // only a worker makes a preview of a row
    client
        .batch_execute(
            "ALTER TABLE sync_preview_cache DISABLE TRIGGER USER;
             UPDATE sync_preview_cache SET preview_id = gen_random_uuid();
             ALTER TABLE sync_preview_cache ENABLE TRIGGER USER",
        )
        .unwrap();
    client.batch_execute("VACUUM ANALYZE sync_preview_cache").unwrap();

    let bare = format!(
        "SELECT delta_data FROM sync_preview_cache
         WHERE org_id = '{org}' AND sync_type = 'woocommerce' AND entity_type = 'customers';"
    );
    for clients in [1, 2] {
        for protocol in ["prepared", "simple"] {
            let side = |who, script| Pgbench {
                db,
                who,
                clients,
                protocol,
                script,
            };
            let (cached, plain) = (side(Some((role, org)), CALL), side(None, &bare));
            let [cached, plain] = take_turns(5, [&mut || cached.latency(), &mut || plain.latency()]);
            report.judge(
                ratio(cached, plain),
                "x as long",
                Target::AtMost(3.0),
                &format!(
                    "sync_preview from the cache ({bytes} bytes), {}, against the bare SELECT of its row, {}; \
                     pgbench -c {clients} -M {protocol}",
                    show(cached),
                    show(plain),
                ),
            );
        }
    }
}
