//! Reading and writing the app's own relations with the rights of the role that bound them.

use crate::report::raise;
use crate::store::local::{self, LocalRow};
use crate::worker::caller;
use crate::worker::identity::{as_role, given, writing_as};
use pgrx::prelude::*;
use pgrx::AnyArray;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use sync_engine::error::{Code, Error, Result};

/// `sync_rows_as(role, query, is_unique, org, spec, ids) → table(local_id, value, fingerprint)`: runs a query of three
/// columns with that role's rights; `$1`, `$2`, `$3` in it are organisation, comparison and ids. `is_unique`: two rows
/// of one key are an error.
#[pg_extern(volatile)]
fn sync_rows_as(
    role: pg_sys::Oid,
    query: &str,
    is_unique: bool,
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
    let args = [org.into(), spec.into(), ids.into()];
    let cursor = as_role(role, || local::open(query, &args)).unwrap_or_else(|e| raise(e));
    let mut keys = is_unique.then(Keys::default);
    let mut batch = Vec::<LocalRow>::new().into_iter();
    let rows = std::iter::from_fn(move || {
        batch.next().or_else(|| {
            let fetched = as_role(role, || local::fetch(&cursor)).unwrap_or_else(|e| raise(e));
            if let Some(keys) = &mut keys {
                fetched
                    .iter()
                    .try_for_each(|(key, ..)| keys.add(key.as_deref()))
                    .unwrap_or_else(|e| raise(e));
            }
            batch = fetched.into_iter();
            batch.next()
        })
    });
    TableIterator::new(rows)
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
    let written = as_role(caller(), local::settle)
        .and_then(|()| writing_as(role, || local::write(query, &args)))
        .and_then(|rows| as_role(role, local::settle).map(|()| rows));
    TableIterator::new(written.unwrap_or_else(|e| raise(e)))
}

/// Keys that were met, as hashes: a million in 16 MB. Hashed anew in each call, so that two keys that share a hash,
/// once in ten million scans of a million rows, don't do so for good.
#[derive(Default)]
struct Keys {
    hasher: RandomState,
    met: HashSet<u64>,
}

impl Keys {
    fn add(&mut self, key: Option<&str>) -> Result<()> {
        let Some(key) = key else {
            return Err(keyless("a local row has no key".to_owned()));
        };
        if self.met.insert(self.hasher.hash_one(key)) {
            Ok(())
        } else {
            Err(keyless(format!("two local rows have the key {key}")))
        }
    }
}

fn keyless(message: String) -> Error {
    Error::new(Code::NotUnique, message)
        .hint("Bind with key columns that are unique in the relation, and never null.")
}
