//! The functions of SQL: parse, call, report. Each is a shell of a few lines.

pub mod access;
pub mod all;
pub mod apply;
pub mod connector;
pub mod list;
pub mod local;
pub mod pull;
pub mod record;
pub mod schedule;
pub mod track;
pub mod tree;
pub mod webhook;
