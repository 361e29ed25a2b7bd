//! What can't be tested here is counted, and named at the end of a run.

use std::fs::OpenOptions;
use std::io::Write;

/// Says that a test did nothing, and why; `scripts/test.sh` takes it out of what passed.
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
    let Some(list) = std::env::var_os("SYNC_EXT_SKIPPED") else {
        return;
    };
    let mut list = OpenOptions::new().append(true).create(true).open(list).unwrap();
    writeln!(list, "{why}").unwrap();
}
