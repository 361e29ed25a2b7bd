//! Starts the private cluster and the sandbox.
//!
//! A test takes a [`TestDb`] (a database of its own on the one [`server`] of its process), acts by SQL and asserts
//! on what a user sees. A test that restarts or crashes the server takes [`Server::separate`].

mod database;
mod place;
mod process;
mod server;
mod skip;
mod wait;

pub use database::TestDb;
pub use server::{schema, server, Server, SUPERUSER};
pub use skip::skipped;
pub use wait::{sqlstate, wait_until};
