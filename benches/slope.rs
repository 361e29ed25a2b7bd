//! What one record costs as there are more of them: new, updated, deleted, taken back, and as items of a sync list.

use std::time::Duration;

use serde_json::Value;
use sync_ext_tests::TestDb;

use crate::apply::{Side, TIDY};
use crate::lab::{Lab, FUNCTIONS, MILLION};
use crate::report::{Report, Target};
use crate::shop::{shop, Subject};
use crate::timing::{show, timed};

const SIZES: [i64; 3] = [10_000, 100_000, MILLION];
const STEPS: [&str; 4] = ["new", "updated", "deleted", "undo of the deletions"];
/// Of sync lists: each item is asked of a shop.
const LISTED: [u32; 3] = [10_000, 100_000, 1_000_000];
const LIST_STEPS: [&str; 4] = [
    "items of a sync list, taken over",
    "the same again, unchanged",
    "and by name, as many as a call takes",
    "undo of the list run",
];
/// As many ids fit into a call.
const NAMED: i64 = 100_000;

/// Of applies and their undo.
pub fn applies(lab: &Lab, report: &mut Report) {
    // a database each: what one leaves behind is not read by the next
    let times = SIZES.map(|size| {
        let db = TestDb::on(lab.server);
        db.client().batch_execute(FUNCTIONS).unwrap();
        let mut side = Side::new(&db, size);
        let new = side.apply(size);
        side.change_all();
        let updated = side.apply(size);
        side.forget_all();
        [new, updated, side.apply_deletions(size), side.undo(size)].map(|time| each(time, size))
    });
    judge(report, &STEPS, &SIZES, &times);
}

/// Of list runs.
pub fn lists(lab: &Lab, report: &mut Report) {
    let times = LISTED.map(|size| listed(lab, size));
    judge(report, &LIST_STEPS, &LISTED.map(i64::from), &times);
}

fn each(time: Duration, size: i64) -> f64 {
    time.as_secs_f64() / size as f64
}

/// The largest size against the one before.
fn judge<const N: usize>(report: &mut Report, steps: &[&str; N], sizes: &[i64], times: &[[f64; N]]) {
    let [.., middle, large] = times else { return };
    for (n, step) in steps.iter().enumerate() {
        let told: Vec<String> = sizes
            .iter()
            .zip(times)
            .map(|(size, times)| format!("{} for each of {size}", show(Duration::from_secs_f64(times[n]))))
            .collect();
        report.judge(
            large[n] / middle[n],
            "x as long for each record",
            Target::AtMost(1.2),
            &format!("{step}: {}", told.join(", ")),
        );
    }
}

/// All customers of a shop, as items of a list.
fn listed(lab: &Lab, customers: u32) -> [f64; 4] {
    let shop = shop(customers);
    let subject = Subject::new(lab.server, &shop);
    subject.pull("full");
    let mut root = subject.db.client();
    let items = root
        .execute(
            "INSERT INTO sync_list (org_id, item_type, source_platform, source_id)
             SELECT org_id, 'customer', 'woocommerce', external_id FROM sync_record WHERE external_id IS NOT NULL",
            &[],
        )
        .unwrap() as i64;
    let mut client = subject.client();
    let named = items.min(NAMED);
    let mut call = |sql: &str, field: &str, items: i64| {
        root.batch_execute(TIDY).unwrap();
        let (time, row) = timed(|| client.query_one(sql, &[]).unwrap());
        let reply: Value = row.get(0);
        assert_eq!(reply[field], items, "{sql}: {reply}");
        each(time, items)
    };
    [
        call("SELECT sync_delta()", "itemsCreated", items),
        call("SELECT sync_delta()", "itemsUnchanged", items),
        call(
            &format!("SELECT sync_delta(ARRAY(SELECT id FROM sync_list LIMIT {named}))"),
            "itemsUnchanged",
            named,
        ),
        call(
            "SELECT sync_undo(id) FROM sync_history WHERE items_created > 0 ORDER BY created_at LIMIT 1",
            "removed",
            items,
        ),
    ]
}
