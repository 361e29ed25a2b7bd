//! Reading the app's own relations with the rights of the role that bound them.

use crate::report::raise;
use crate::store::local::{self, LocalRow};
use crate::worker::identity::as_role;
use pgrx::prelude::*;
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
