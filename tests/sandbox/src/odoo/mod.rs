//! An Odoo server, JSON-2 and JSON-RPC, as versions 19.0 and 17.0 were recorded, and 18.0 differs from them.

mod actions;
mod call;
mod compare;
pub mod config;
mod convert;
mod data;
mod domain;
mod erp;
mod errors;
pub mod mutation;
mod query;
mod rpc;
mod schema;
mod session;
mod show;
mod write;

pub use config::{Config, User, Version};
pub use erp::Erp;
