//! Keeps statements with credentials out of the server's log: by a hook that sees each report before it is logged.
//!
//! `sync_connect` itself has its failures logged without the statement. What fails before it begins (a right that lacks, an
//! argument that is misspelt or no JSON, a transaction that is aborted), and servers that log statements, can only be met
//! here; and only in sessions that have this library by then.

use pgrx::prelude::*;
use std::cell::Cell;
use std::ffi::{c_char, CStr, CString};
use sync_engine::core::spelling::{first_names, names};

/// What takes credentials, and what is logged in place of a statement that calls it.
const TAKES_CREDENTIALS: &[u8] = b"sync_connect";
const EXECUTE: &str = "execute";
const SHOWN: &str = "SELECT sync_connect(...)";
/// What a quotation begins with, in whatever language the server speaks.
const QUOTES: [char; 7] = ['"', '\'', '«', '„', '“', '‘', '»'];

thread_local! {
    static PREVIOUS: Cell<pg_sys::emit_log_hook_type> = const { Cell::new(None) };
}

/// Called once, from `_PG_init`.
pub fn install() {
    // SAFETY: on the main thread; the function stays loaded for as long as the process lives.
    unsafe {
        PREVIOUS.set(pg_sys::emit_log_hook);
        pg_sys::emit_log_hook = Some(look);
    }
}

unsafe extern "C-unwind" fn look(report: *mut pg_sys::ErrorData) {
    // SAFETY: Postgres hands over its report, to be changed; statement and texts end in a NUL.
    unsafe {
        if (*report).output_to_server {
            let statement = text(pg_sys::debug_query_string).unwrap_or_default();
            // what a function or a DO block has put together shows there only
            let parts = [(*report).internalquery, (*report).context, (*report).message];
            let takes = takes_credentials(statement)
                || executes_what_does(statement)
                || parts
                    .into_iter()
                    .filter_map(|part| text(part))
                    .any(takes_credentials);
            if takes {
                hide(&mut *report, statement);
            }
        }
        if let Some(previous) = PREVIOUS.get() {
            previous(report);
        }
    }
}

fn takes_credentials(sql: &CStr) -> bool {
    names(sql.to_bytes(), TAKES_CREDENTIALS)
}

/// Whether it is an EXECUTE of a statement that was prepared with the function in it.
fn executes_what_does(statement: &CStr) -> bool {
    let statement = statement.to_string_lossy();
    let lower = statement.to_ascii_lowercase();
    lower.match_indices(EXECUTE).any(|(at, word)| {
        let after = statement.get(at + word.len()..).unwrap_or_default();
        let mut named = first_names(after)
            .into_iter()
            .filter_map(|name| CString::new(name).ok());
        named.any(|name| {
            // SAFETY: looks into this session's own table; what it finds outlives the report.
            unsafe {
                let found = pg_sys::FetchPreparedStatement(name.as_ptr(), false);
                !found.is_null() && text((*(*found).plansource).query_string).is_some_and(takes_credentials)
            }
        })
    })
}

/// What the function itself reports names no credential; what is found wrong with the statement may quote it.
unsafe fn hide(report: &mut pg_sys::ErrorData, statement: &CStr) {
    report.hide_stmt = true;
    // a statement within it, as of a DO block: it would be printed as QUERY
    report.internalquery = std::ptr::null_mut();
    report.internalpos = 0;
    // SAFETY: see `look`.
    let Some(message) = (unsafe { text(report.message) }) else {
        return;
    };
    let (message, statement) = (message.to_string_lossy(), statement.to_string_lossy());
    let is_of_the_log = report.elevel < PgLogLevel::INFO as i32;
    let shown = if is_of_the_log {
        // "duration: 1 ms  statement: ...", with the parameters as its detail; or a statement within it, as auto_explain has them
        let shown = match statement.is_empty() {
            true => message.to_string(),
            false => message.replace(&*statement, SHOWN),
        };
        let within = shown.replace(SHOWN, "");
        Some(match names(within.as_bytes(), TAKES_CREDENTIALS) {
            true => SHOWN.to_owned(),
            false => shown,
        })
    } else if is_about_the_text(report.sqlerrcode) {
        let cut =
            |(before, _): (&str, &str)| format!("{before}... (not shown: the statement takes credentials)");
        Some(
            message
                .split_once(QUOTES)
                .map_or_else(|| message.to_string(), cut),
        )
    } else {
        report.context = std::ptr::null_mut();
        None
    };
    if let Some(shown) = shown {
        let shown = CString::new(shown).unwrap_or_default();
        report.detail = std::ptr::null_mut();
        report.detail_log = std::ptr::null_mut();
        report.context = std::ptr::null_mut();
        // SAFETY: the copy lives as long as the report.
        report.message = unsafe { pg_sys::MemoryContextStrdup(report.assoc_context, shown.as_ptr()) };
    }
}

/// Syntax errors, and values that a type doesn't take: they quote what they are about. The function raises none of these.
fn is_about_the_text(code: i32) -> bool {
    [
        PgSqlErrorCode::ERRCODE_SYNTAX_ERROR,
        PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION,
        PgSqlErrorCode::ERRCODE_INVALID_BINARY_REPRESENTATION,
        PgSqlErrorCode::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
        PgSqlErrorCode::ERRCODE_UNTRANSLATABLE_CHARACTER,
        PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
        PgSqlErrorCode::ERRCODE_INVALID_ESCAPE_SEQUENCE,
        PgSqlErrorCode::ERRCODE_NONSTANDARD_USE_OF_ESCAPE_CHARACTER,
    ]
    .iter()
    .any(|known| *known as i32 == code)
}

unsafe fn text<'a>(at: *const c_char) -> Option<&'a CStr> {
    // SAFETY: null, or a text of Postgres that outlives the report.
    unsafe { (!at.is_null()).then(|| CStr::from_ptr(at)) }
}
