//! What one record costs as there are more of them: new, updated, deleted, and taken back.

use std::time::Duration;

use sync_ext_tests::TestDb;

use crate::apply::Side;
use crate::lab::{Lab, FUNCTIONS, MILLION};
use crate::report::{Report, Target};
use crate::timing::show;

const SIZES: [i64; 3] = [10_000, 100_000, MILLION];
const STEPS: [&str; 4] = ["new", "updated", "deleted", "undo of the deletions"];

pub fn run(lab: &Lab, report: &mut Report) {
    // a database each: what one leaves behind is not read by the next
    let times = SIZES.map(|size| {
        let db = TestDb::on(lab.server);
        db.client().batch_execute(FUNCTIONS).unwrap();
        let mut side = Side::new(&db, size);
        let new = side.apply(size);
        side.change_all();
        let updated = side.apply(size);
        side.forget_all();
        [new, updated, side.apply_deletions(size), side.undo(size)]
            .map(|time| time.as_secs_f64() / size as f64)
    });
    let [small, middle, large] = times;
    for (n, step) in STEPS.into_iter().enumerate() {
        let each = |time: f64| show(Duration::from_secs_f64(time));
        report.judge(
            large[n] / middle[n],
            "x as long for each record",
            Target::AtMost(1.2),
            &format!(
                "{step}: {} for each of {}, {} for each of {}, {} for each of {}",
                each(large[n]),
                SIZES[2],
                each(middle[n]),
                SIZES[1],
                each(small[n]),
                SIZES[0]
            ),
        );
    }
}
