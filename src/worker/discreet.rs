//! Keeps statements with credentials out of the server's log: by a hook that sees each report before it is logged.
//!
//! `sync_connect` itself has its failures logged without the statement. What fails before it begins (a right that lacks, an
//! argument that is misspelt or no JSON, a transaction that is aborted), and servers that log statements, can only be met
//! here; and only in sessions that have this library by then.

use pgrx::prelude::*;
use std::cell::Cell;
use std::ffi::{c_char, CStr, CString};

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
            if let Some(statement) = text(pg_sys::debug_query_string)
                .filter(|s| takes_credentials(s.to_bytes()) || executes_what_does(s))
            {
                hide(&mut *report, statement);
            }
        }
        if let Some(previous) = PREVIOUS.get() {
            previous(report);
        }
    }
}

/// Whether it names the function, and not one whose name only begins alike.
fn takes_credentials(statement: &[u8]) -> bool {
    let length = TAKES_CREDENTIALS.len();
    statement.windows(length).enumerate().any(|(at, part)| {
        let goes_on = |c: &u8| c.is_ascii_alphanumeric() || *c == b'_';
        part.eq_ignore_ascii_case(TAKES_CREDENTIALS) && !statement.get(at + length).is_some_and(goes_on)
    })
}

/// Whether it is an EXECUTE of a statement that was prepared with the function in it.
fn executes_what_does(statement: &CStr) -> bool {
    let statement = statement.to_string_lossy();
    let lower = statement.to_ascii_lowercase();
    lower.match_indices(EXECUTE).any(|(at, word)| {
        let name = statement.get(at + word.len()..).and_then(first_name);
        name.and_then(|name| CString::new(name).ok()).is_some_and(|name| {
            // SAFETY: looks into this session's own table; what it finds outlives the report.
            unsafe {
                let found = pg_sys::FetchPreparedStatement(name.as_ptr(), false);
                !found.is_null()
                    && text((*(*found).plansource).query_string)
                        .is_some_and(|prepared| takes_credentials(prepared.to_bytes()))
            }
        })
    })
}

/// The name that a text begins with, after blanks and comments.
fn first_name(text: &str) -> Option<String> {
    let mut text = text.trim_start();
    loop {
        let comment_end = match text.get(..2) {
            Some("--") => text.find('\n').map(|end| end + 1),
            Some("/*") => text.find("*/").map(|end| end + 2),
            _ => break,
        };
        text = text.get(comment_end?..)?.trim_start();
    }
    let Some(quoted) = text.strip_prefix('"') else {
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let name = text.split(|c| !is_part(c)).next()?;
        return Some(name.to_ascii_lowercase());
    };
    let mut name = String::new();
    let mut parts = quoted.split('"');
    name.push_str(parts.next()?);
    // a doubled quotation mark is one, and goes on
    while let (Some(""), Some(more)) = (parts.next(), parts.next()) {
        name.push('"');
        name.push_str(more);
    }
    Some(name)
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
        // "duration: 1 ms  statement: ...", with the parameters as its detail
        message
            .contains(&*statement)
            .then(|| message.replace(&*statement, SHOWN))
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
