//! A cached preview, against a bare indexed SELECT of the same row.

use crate::lab::Lab;
use crate::pgbench::Pgbench;
use crate::report::{Report, Target};
use crate::timing::{ratio, show, take_turns};

const CALL: &str = "SELECT sync_preview('woocommerce', 'customers');";

pub fn run(lab: &Lab, report: &mut Report) {
    let large = lab.large();
    let mut client = large.db.client();
    let bytes: i32 = client
        .query_one(
            "SELECT length(sync_store_preview($1, 'woocommerce', 'customers', NULL, '1 hour', '{}')::text)",
            &[&large.org],
        )
        .unwrap()
        .get(0);
    client.batch_execute("VACUUM ANALYZE sync_preview_cache").unwrap();
    report.note(&format!("the preview is {bytes} bytes of JSON"));

    let bare = format!(
        "SELECT delta_data FROM sync_preview_cache
         WHERE org_id = '{}' AND sync_type = 'woocommerce' AND entity_type = 'customers';",
        large.org
    );
    let who = Some((large.role.as_str(), large.org));
    for clients in [1, 2] {
        for protocol in ["prepared", "simple"] {
            let side = |who, script| Pgbench {
                db: &large.db,
                who,
                clients,
                protocol,
                script,
            };
            let (cached, plain, guarded) = (side(who, CALL), side(None, &bare), side(who, &bare));
            let [cached, plain, guarded] = take_turns(
                5,
                [&mut || cached.latency(), &mut || plain.latency(), &mut || {
                    guarded.latency()
                }],
            );
            report.judge(
                ratio(cached, plain),
                "x as long",
                Target::AtMost(3.0),
                &format!(
                    "sync_preview from the cache, {}, against the bare SELECT of its row, {} (with row-level \
                     security {}); pgbench -c {clients} -M {protocol}",
                    show(cached),
                    show(plain),
                    show(guarded)
                ),
            );
        }
    }
}
