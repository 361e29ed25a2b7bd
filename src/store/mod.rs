//! The only place with SPI. One named function per statement; the statements that do the work are SQL
//! functions (sql/), rows come back as json.

pub mod connector;
pub mod ledger;
pub mod run;
pub mod webhook;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Value;
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

fn internal(e: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, e.to_string())
}
