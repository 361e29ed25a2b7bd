//! Reading and writing the app's own relations with the rights of the role that bound them.

use super::record::layout_of;
use crate::pg::identity::{as_caller, as_role, given, writing_as};
use crate::pg::raised;
use crate::pg::report::raise;
use crate::store::local;
use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::AnyArray;
use std::hash::{BuildHasher, RandomState};
use sync_engine::error::{Code, Error, Place, Result};

/// `sync_rows_of(role, relation, query, org, spec, ids) → table(local_id, value, fingerprint)`: runs a query of three columns of
/// that relation with that role's rights; `$1`, `$2`, `$3` in it are organisation, comparison and ids.
#[pg_extern(volatile)]
fn sync_rows_of(
    role: pg_sys::Oid,
    relation: pg_sys::Oid,
    query: &str,
    org: pgrx::Uuid,
    spec: Option<&str>,
    ids: Option<Vec<Option<String>>>,
) -> TableIterator<
    'static,
    (
        name!(local_id, Option<String>),
        name!(value, Option<String>),
        name!(fingerprint, Option<pgrx::Uuid>),
    ),
> {
    let reader = Reader::new(role, relation, org);
    let cursor = reader.open(query, &[org.into(), spec.into(), ids.into()]);
    TableIterator::new(reader.batches(move || local::fetch(&cursor)))
}

/// `sync_scan_of(role, relation, query, is_unique, org, comparison, layout) → table(local_id, match_key, fingerprint)`: the same
/// for a query of two columns, keys and `sync_row_fingerprint`'s texts; a million rows are compared in half the time
/// that calls of that function would take. `is_unique`: two rows of one key are an error.
#[pg_extern(volatile)]
fn sync_scan_of(
    role: pg_sys::Oid,
    relation: pg_sys::Oid,
    query: &str,
    is_unique: bool,
    org: pgrx::Uuid,
    comparison: &str,
    layout: &str,
) -> TableIterator<
    'static,
    (
        name!(local_id, Option<String>),
        name!(match_key, Option<String>),
        name!(fingerprint, Option<pgrx::Uuid>),
    ),
> {
    let layout = layout_of(comparison, layout).unwrap_or_else(|e| raise(e));
    let query = query.to_owned();
    let reader = Reader::new(role, relation, org);
    let cursor = reader.open(&query, &[org.into()]);
    let mut rows = reader.clone().batches(move || local::scan(&cursor, &layout));
    let mut keys = is_unique.then(Keys::default);
    TableIterator::new(std::iter::from_fn(move || {
        let row = rows.next();
        match (&mut keys, &row) {
            (Some(keys), Some((key, ..))) => {
                keys.add(key.as_deref()).unwrap_or_else(|e| reader.raise_about(e))
            }
            (Some(keys), None) => {
                if let Some(twice) = keys.twice() {
                    let cursor = reader.open(&query, &[org.into()]);
                    let mut again = reader.clone().batches(move || local::keys(&cursor));
                    reader.raise_about(repeated(again.find(|key| keys.is(key, twice)).flatten()))
                }
            }
            (None, _) => {}
        }
        row
    }))
}

/// What databases of the version before call until they are upgraded: without the relation.
#[pg_extern(volatile, sql = false)]
fn sync_rows_as(
    role: pg_sys::Oid,
    query: &str,
    org: pgrx::Uuid,
    spec: Option<&str>,
    ids: Option<Vec<Option<String>>>,
) -> TableIterator<
    'static,
    (
        name!(local_id, Option<String>),
        name!(value, Option<String>),
        name!(fingerprint, Option<pgrx::Uuid>),
    ),
> {
    sync_rows_of(role, pg_sys::InvalidOid, query, org, spec, ids)
}

/// The same.
#[pg_extern(volatile, sql = false)]
fn sync_scan_as(
    role: pg_sys::Oid,
    query: &str,
    is_unique: bool,
    org: pgrx::Uuid,
    comparison: &str,
    layout: &str,
) -> TableIterator<
    'static,
    (
        name!(local_id, Option<String>),
        name!(match_key, Option<String>),
        name!(fingerprint, Option<pgrx::Uuid>),
    ),
> {
    sync_scan_of(
        role,
        pg_sys::InvalidOid,
        query,
        is_unique,
        org,
        comparison,
        layout,
    )
}

/// Reads a relation with the rights of a role. What goes wrong meanwhile is told as something of that relation.
#[derive(Clone)]
struct Reader {
    role: pg_sys::Oid,
    org: pgrx::Uuid,
    relation: Place,
}

impl Reader {
    fn new(role: pg_sys::Oid, relation: pg_sys::Oid, org: pgrx::Uuid) -> Self {
        Reader {
            role,
            org,
            relation: raised::relation(relation),
        }
    }

    fn read<T>(&self, body: impl FnOnce() -> Result<T>) -> T {
        as_role(self.role, self.org, || {
            let _about = raised::about(&self.relation);
            body()
        })
        .unwrap_or_else(|e| raise(e))
    }

    fn open(&self, query: &str, args: &[DatumWithOid]) -> String {
        self.read(|| local::open(query, args))
    }

    /// Rows one by one, from batches.
    fn batches<T>(self, fetch: impl Fn() -> Result<Vec<T>>) -> impl Iterator<Item = T> {
        std::iter::from_fn(move || Some(self.read(&fetch)))
            .take_while(|batch| !batch.is_empty())
            .flatten()
    }

    fn raise_about(&self, mut error: Error) -> ! {
        error.place = Some(Box::new(self.relation.clone()));
        raise(error)
    }
}

/// `sync_write_as(role, query, op, org, ids, records, fields, images, prints) → table(local_id, image, print)`: calls a
/// layout's writing function with that role's rights; `$1` to `$7` in the query are what follows it here. What is
/// deferred fires before this returns: what the session had deferred itself with the rights of the session, then what
/// the written rows have caused with those of the role. Left for the end of the transaction, it would run as anybody.
#[pg_extern(volatile)]
#[allow(clippy::too_many_arguments)]
fn sync_write_as(
    role: pg_sys::Oid,
    query: &str,
    op: &str,
    org: pgrx::Uuid,
    ids: Option<Vec<Option<String>>>,
    records: Option<AnyArray>,
    fields: Option<Vec<Option<String>>>,
    images: Option<Vec<Option<String>>>,
    prints: Option<Vec<Option<i64>>>,
) -> TableIterator<
    'static,
    (
        name!(local_id, Option<String>),
        name!(image, Option<String>),
        name!(print, Option<i64>),
    ),
> {
    let args = [
        op.into(),
        org.into(),
        ids.into(),
        given(records, pg_sys::JSONBARRAYOID),
        fields.into(),
        images.into(),
        prints.into(),
    ];
    // through the writing function as well, which knows how to tell the app's own errors
    let settle = [
        "settle".into(),
        org.into(),
        None::<Vec<Option<String>>>.into(),
        given(None, pg_sys::JSONBARRAYOID),
        None::<Vec<Option<String>>>.into(),
        None::<Vec<Option<String>>>.into(),
        None::<Vec<Option<i64>>>.into(),
    ];
    let written = as_caller(local::settle)
        .and_then(|()| writing_as(role, org, || local::write(query, &args)))
        .and_then(|rows| as_role(role, org, || local::write(query, &settle)).map(|_| rows));
    TableIterator::new(written.unwrap_or_else(|e| raise(e)))
}

/// Keys that were met, as hashes: a million in 8 MB. They are sorted at the end, which takes a quarter of the time that a
/// set would. Hashed anew in each call, so that two keys that share a hash, once in ten million scans of a million rows,
/// don't do so for good.
#[derive(Default)]
struct Keys {
    hasher: RandomState,
    met: Vec<u64>,
}

impl Keys {
    fn add(&mut self, key: Option<&str>) -> Result<()> {
        let key = key.ok_or_else(|| keyless("a local row has no key".to_owned()))?;
        self.met.push(self.hasher.hash_one(key));
        Ok(())
    }

    /// The hash of a key that was met twice.
    fn twice(&mut self) -> Option<u64> {
        self.met.sort_unstable();
        let pair = self.met.windows(2).find(|pair| pair.first() == pair.last());
        pair.and_then(|pair| pair.first().copied())
    }

    fn is(&self, key: &Option<String>, hash: u64) -> bool {
        key.as_ref().is_some_and(|key| self.hasher.hash_one(key) == hash)
    }
}

/// Its rows may have changed since they were read first.
fn repeated(key: Option<String>) -> Error {
    keyless(match key {
        Some(key) => format!("two local rows have the key {key}"),
        None => "two local rows have one key".to_owned(),
    })
}

fn keyless(message: String) -> Error {
    Error::new(Code::NotUnique, message)
        .hint("Bind with key columns that are unique in the relation, and never null.")
}
