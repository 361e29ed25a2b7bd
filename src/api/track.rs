//! What the tracking triggers ask of each row that a statement has changed. To count in the statement that updates the
//! ledger, by RETURNING or by another one, costs a sixth of an update of one row; so rows are counted here as they pass.

use super::record::{layout_of, row};
use crate::pg::report::raise;
use pgrx::prelude::*;
use pgrx::Array;
use std::cell::Cell;

thread_local! {
    /// Rows that were met, less those that the ledger holds already. What a failed statement leaves here can't make a later
    /// one look complete: it only adds.
    static OPEN: Cell<i64> = const { Cell::new(0) };
}

/// `sync_track_print(comparison, layout, texts) → uuid`: `sync_row_fingerprint` of a row that counts as open from now on;
/// NULL where nothing compares it.
#[pg_extern(volatile)]
fn sync_track_print<'a>(
    comparison: Option<&str>,
    layout: &str,
    texts: Array<'a, &'a str>,
) -> Option<pgrx::Uuid> {
    OPEN.set(OPEN.get() + 1);
    let made = layout_of(comparison?, layout).map(|l| l.fingerprint(&row(&texts)));
    Some(pgrx::Uuid::from_bytes(made.unwrap_or_else(|e| raise(e)).0))
}

/// `sync_track_stale(held, made) → boolean`: whether the ledger holds another fingerprint of a row than the one just made;
/// where it holds the same, the row isn't open any more. For the end of a WHERE: only of a row that matches in all else
/// may this be asked. Its cost says so, as the planner asks what is cheap first.
#[pg_extern(volatile, cost = 10000)]
fn sync_track_stale(held: Option<pgrx::Uuid>, made: Option<pgrx::Uuid>) -> bool {
    let is_same = made.is_some() && held == made;
    if is_same {
        OPEN.set(OPEN.get() - 1);
    }
    made.is_some() && !is_same
}

/// `sync_track_open() → bigint`: how many rows are open; they are counted from zero again.
#[pg_extern(volatile)]
fn sync_track_open() -> i64 {
    OPEN.take()
}
