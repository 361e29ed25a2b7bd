//! From the project's error to a Postgres ERROR, and back from a caught one: the only two places that know both.

use super::raised;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use pgrx::prelude::*;
use sync_engine::error::{Code, Error, Place, SqlState};

fn postgres_code(code: Code) -> PgSqlErrorCode {
    match code {
        Code::NoOrganisation => PgSqlErrorCode::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
        Code::NotGranted => PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        Code::Invalid => PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        Code::NotFound => PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        Code::LocalLimit | Code::Throttled => PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
        Code::RemoteAuth => PgSqlErrorCode::ERRCODE_INVALID_PASSWORD,
        Code::Unreachable => PgSqlErrorCode::ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
        Code::TimedOut => PgSqlErrorCode::ERRCODE_CONNECTION_FAILURE,
        Code::Nonsense => PgSqlErrorCode::ERRCODE_PROTOCOL_VIOLATION,
        Code::Cancelled | Code::OutOfTime => PgSqlErrorCode::ERRCODE_QUERY_CANCELED,
        Code::WrongTransaction => PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
        Code::ReadOnly => PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
        Code::NotReady => PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        Code::Moved => PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
        Code::TooLarge => PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        Code::MassDelete => PgSqlErrorCode::ERRCODE_CHECK_VIOLATION,
        Code::NotUnique => PgSqlErrorCode::ERRCODE_CARDINALITY_VIOLATION,
        Code::Busy => PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
        Code::Locked => PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
        // what pgrx has no name for is put in its place where the error is raised
        Code::Internal | Code::Other(_) => PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
    }
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
    let code = match state.as_str() {
        "28000" => Code::NoOrganisation,
        "42501" => Code::NotGranted,
        "22023" => Code::Invalid,
        "42704" => Code::NotFound,
        "21000" => Code::NotUnique,
        "40001" => Code::Moved,
        "23514" => Code::MassDelete,
        "55006" => Code::Busy,
        "55P03" | "40P01" => Code::Locked,
        "57014" => Code::Cancelled,
        "XX000" => Code::Internal,
        _ => Code::Other(state),
    };
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
