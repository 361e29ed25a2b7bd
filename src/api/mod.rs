//! The functions of SQL: parse, call, report. Each is a shell of a few lines.

pub mod access;
pub mod all;
pub mod apply;
pub mod connector;
mod json;
mod kind;
pub mod list;
pub mod local;
pub mod pull;
pub mod record;
mod rules;
pub mod schedule;
pub mod track;
pub mod tree;
pub mod webhook;

use sync_engine::error::{Code, Error, Result};

/// An argument that has no default, and that was NULL.
fn needed<T>(name: &str, argument: Option<T>) -> Result<T> {
    argument.ok_or_else(|| {
        Error::new(Code::Invalid, format!("{name} must not be NULL"))
            .hint("A variable of the app may be empty.")
    })
}
