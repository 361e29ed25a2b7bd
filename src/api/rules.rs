//! Rules: what the rows of an organisation are compared by. Who changes them keeps the organisation's own writers waiting, in
//! whatever relation they share with others, and nobody else's.
//!
//! A writer must have the lock before the statement begins that reads the rules, and only then are the rows known. So it takes the
//! locks that it will probably need: the organisation of the session, and the one whose rows were written last. Rows of others are
//! left, as they pass, for a statement that begins when theirs are taken too.

use crate::pg::lock::Lock;
use crate::pg::session::set_organisation;
use pgrx::prelude::*;
use pgrx::Array;
use std::cell::RefCell;

/// Above so many organisations in one statement, a writer shares the rules of all.
const MANY: usize = 64;
/// Relations of which it is remembered whose rows were written last.
const REMEMBERED: usize = 16;

type Org = [u8; 16];

thread_local! {
    /// Whose rules this statement's trigger has shared.
    static SHARED: RefCell<Vec<Org>> = const { RefCell::new(Vec::new()) };
    /// Whose rows were written last, by layout.
    static LAST: RefCell<Vec<(i32, Org)>> = const { RefCell::new(Vec::new()) };
}

fn of_one(layout: i32, org: &Org) -> Lock {
    Lock::named(&format!(
        "sync_ext:rules:{layout}:{}",
        uuid::Uuid::from_bytes(*org)
    ))
}

fn of_all(layout: i32) -> Lock {
    Lock::named(&format!("sync_ext:rules:{layout}"))
}

/// `sync_shares_rules_of(org) → boolean`: whether the rules of this row's organisation were shared before this statement.
#[pg_extern(volatile, strict)]
fn sync_shares_rules_of(org: pgrx::Uuid) -> bool {
    SHARED.with_borrow(|shared| shared.contains(org.as_bytes()))
}

/// `sync_share_rules(layout) → boolean`: keeps the rules of those organisations as they are, until the transaction ends, whose rows a
/// statement probably writes.
#[pg_extern(volatile)]
fn sync_share_rules(layout: i32) -> bool {
    let of_session = set_organisation().ok().flatten().map(uuid::Uuid::into_bytes);
    let last = LAST.with_borrow(|last| last.iter().find(|(of, _)| *of == layout).map(|(_, org)| *org));
    let mut orgs: Vec<Org> = of_session.into_iter().chain(last).collect();
    orgs.dedup();
    orgs.iter().for_each(|org| of_one(layout, org).hold_shared());
    SHARED.set(orgs);
    true
}

/// `sync_share_rules_of(layout, orgs)`: the same for those whose rows it has written.
#[pg_extern(volatile)]
fn sync_share_rules_of(layout: i32, orgs: Array<'_, pgrx::Uuid>) {
    let mut orgs: Vec<Org> = orgs.iter().flatten().map(|org| *org.as_bytes()).collect();
    orgs.sort_unstable();
    orgs.dedup();
    if orgs.len() > MANY {
        return of_all(layout).hold_shared();
    }
    orgs.iter().for_each(|org| of_one(layout, org).hold_shared());
    if let Some(org) = orgs.last() {
        LAST.with_borrow_mut(|last| {
            last.retain(|(of, _)| *of != layout);
            last.truncate(REMEMBERED - 1);
            last.insert(0, (layout, *org));
        });
    }
}

/// `sync_claim_rules(layout, org)`: keeps writers of the organisation's rows, and nobody else, waiting until the transaction ends.
#[pg_extern(volatile, strict)]
fn sync_claim_rules(layout: i32, org: pgrx::Uuid) {
    of_all(layout).hold_beside_others();
    of_one(layout, org.as_bytes()).hold();
}
