//! From the project's error to a Postgres ERROR, and back from a caught one: the only two places that know both.

use super::raised;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use pgrx::prelude::*;
use sync_engine::error::{Code, Error, Place, SqlState};

/// Where pgrx has no name for an SQLSTATE, that is put in its place as the error is raised.
fn postgres_code(code: Code) -> PgSqlErrorCode {
    let state = SqlState::parse(code.sqlstate()).filter(|_| !matches!(code, Code::Other(_)));
    state.map_or(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, |state| {
        PgSqlErrorCode::from(state.packed())
    })
}

/// Raises the error as a Postgres ERROR with all that it says.
pub fn raise(error: Error) -> ! {
    if matches!(error.code, Code::Other(_)) || error.place.is_some() {
        if let Some(state) = SqlState::parse(error.code.sqlstate()) {
            raised::pass(&error.message, state, error.place.as_deref());
        }
    }
    let mut report = ErrorReport::new(postgres_code(error.code), error.message, "sync_ext");
    if let Some(detail) = error.detail {
        report = report.set_detail(detail);
    }
    if let Some(hint) = error.hint {
        report = report.set_hint(hint);
    }
    report.report(PgLogLevel::ERROR);
    unreachable!("a report at level ERROR doesn't return")
}

/// What a caught Postgres error was: what the extension itself raises by its name, all else by its own SQLSTATE.
pub fn caught(error: &CaughtError) -> Error {
    let report = match error {
        CaughtError::PostgresError(r) | CaughtError::ErrorReport(r) => r,
        CaughtError::RustPanic { ereport, .. } => ereport,
    };
    let (state, place) = raised::lost(report.message()).unwrap_or_else(|| {
        let packed = report.sql_error_code() as i32;
        (SqlState::unpacked(packed), Place::default())
    });
    let code = Code::raised(state);
    let mut out = Error::new(code, report.message());
    out.detail = report.detail().map(str::to_owned);
    out.hint = match code {
        Code::Locked => Some(
            "The calling transaction, or another one, holds locks on rows that the worker must write: commit it first."
                .to_owned(),
        ),
        _ => report.hint().map(str::to_owned),
    };
    out.place = (place != Place::default()).then(|| Box::new(place));
    out
}
