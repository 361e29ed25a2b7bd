//! The only place with SPI. One named function per statement; the statements that do the work are SQL
//! functions (sql/), rows come back as json.

pub mod apply;
pub mod connector;
pub mod ledger;
pub mod list;
pub mod local;
pub mod outcome;
pub mod run;
pub mod sweep;
pub mod transaction;
pub mod webhook;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::OwnedPreparedStatement;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::hash_map::{Entry, HashMap};
use sync_engine::error::{Code, Error, Result};

/// Runs a statement whose first column is json, and returns the first row. Not read-only: sees what other
/// sessions have committed since the caller's statement began.
fn json(sql: &str, args: &[DatumWithOid]) -> Result<Option<Value>> {
    let text = Spi::connect_mut(|client| client.update(sql, Some(1), args)?.first().get_one::<String>());
    match text {
        Ok(Some(text)) => serde_json::from_str(&text).map(Some).map_err(internal),
        Ok(None) | Err(pgrx::spi::Error::InvalidPosition) => Ok(None),
        Err(e) => Err(internal(e)),
    }
}

/// The same, as a typed row.
fn row<T: DeserializeOwned>(sql: &str, args: &[DatumWithOid]) -> Result<T> {
    let value = json(sql, args)?.unwrap_or(Value::Null);
    serde_json::from_value(value).map_err(internal)
}

/// Runs a statement for what it does.
fn run(sql: &str, args: &[DatumWithOid]) -> Result<()> {
    Spi::connect_mut(|client| client.update(sql, None, args).map(|_| ())).map_err(internal)
}

thread_local! {
    /// Plans of the statements that run once for every few pages; they live as long as the worker.
    static KEPT: RefCell<HashMap<&'static str, OwnedPreparedStatement>> = RefCell::default();
}

/// The same as [`run`] and [`row`] for statements that a pull repeats thousands of times: parsed and planned once.
/// A statement always comes with the same types of arguments, and must have a plan that suits any size of table.
fn kept<T>(
    sql: &'static str,
    args: &[DatumWithOid],
    read: impl FnOnce(pgrx::spi::SpiTupleTable) -> std::result::Result<T, pgrx::spi::Error>,
) -> Result<T> {
    KEPT.with_borrow_mut(|plans| {
        Spi::connect_mut(|client| {
            let plan = match plans.entry(sql) {
                Entry::Occupied(plan) => plan.into_mut(),
                Entry::Vacant(place) => {
                    let types: Vec<PgOid> = args.iter().map(|arg| PgOid::from(arg.oid())).collect();
                    place.insert(client.prepare_mut(sql, &types)?.keep())
                }
            };
            read(client.update(&*plan, None, args)?)
        })
    })
    .map_err(internal)
}

/// [`run`] with a kept plan.
fn run_kept(sql: &'static str, args: &[DatumWithOid]) -> Result<()> {
    kept(sql, args, |_| Ok(()))
}

/// [`row`] with a kept plan.
fn row_kept<T: DeserializeOwned>(sql: &'static str, args: &[DatumWithOid]) -> Result<T> {
    let text = kept(sql, args, |table| table.first().get_one::<String>())?;
    serde_json::from_str(text.as_deref().unwrap_or("null")).map_err(internal)
}

/// Changes settings, by a SELECT of `set_config`.
pub fn set(sql: &str) -> Result<()> {
    run(sql, &[])
}

/// Points the session's search path at the extension's schema; the version that the database has of it, None where it is not
/// there.
pub fn use_extension_schema() -> Result<Option<String>> {
    let found = json(
        "SELECT json_build_array(x.extversion, set_config('search_path', format('pg_catalog, %I, pg_temp', n.nspname), false))::text
         FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname = 'sync_ext'",
        &[],
    )?;
    Ok(found.and_then(|row| row[0].as_str().map(str::to_owned)))
}

/// A count as tables hold it: drivers hand bigint over as text.
fn counted(n: u64) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn internal(e: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, e.to_string())
}
