//! Everything of sync_ext that knows nothing of Postgres.
//!
//! `core` is pure: records, normalising, fingerprints. `source` speaks HTTP. Imports run one way:
//! `core <- source`; `error` is shared by all.

pub mod core;
pub mod error;
pub mod source;
