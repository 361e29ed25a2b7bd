//! From the project's error to a Postgres ERROR, and back from a caught one: the only two places that know both.

use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use pgrx::prelude::*;
use sync_engine::error::{Code, Error};

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
        Code::Cancelled => PgSqlErrorCode::ERRCODE_QUERY_CANCELED,
        Code::WrongTransaction => PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
        Code::NotReady => PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        Code::Moved => PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
        Code::MassDelete => PgSqlErrorCode::ERRCODE_CHECK_VIOLATION,
        Code::NotUnique => PgSqlErrorCode::ERRCODE_CARDINALITY_VIOLATION,
        Code::Busy => PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
        Code::Locked => PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
        Code::Internal => PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
    }
}

/// Raises the error as a Postgres ERROR with code, detail and hint.
pub fn raise(error: Error) -> ! {
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

/// What a caught Postgres error was.
pub fn caught(error: &CaughtError) -> Error {
    let report = match error {
        CaughtError::PostgresError(r) | CaughtError::ErrorReport(r) => r,
        CaughtError::RustPanic { ereport, .. } => ereport,
    };
    let code = match report.sql_error_code() {
        PgSqlErrorCode::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION => Code::NoOrganisation,
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE => Code::NotGranted,
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE => Code::Invalid,
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT => Code::NotFound,
        PgSqlErrorCode::ERRCODE_CARDINALITY_VIOLATION => Code::NotUnique,
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE => Code::NotReady,
        PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE => Code::Moved,
        PgSqlErrorCode::ERRCODE_CHECK_VIOLATION => Code::MassDelete,
        PgSqlErrorCode::ERRCODE_OBJECT_IN_USE => Code::Busy,
        PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE | PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED => {
            Code::Locked
        }
        PgSqlErrorCode::ERRCODE_QUERY_CANCELED => Code::Cancelled,
        _ => Code::Internal,
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
    out
}
