//! Pure: entity types, canonical records, normalising, fingerprints. Knows neither Postgres nor HTTP.

pub mod backoff;
mod canon;
mod catalogue;
pub mod diff;
pub mod entity;

pub mod fingerprint;
pub mod normalise;
mod number;
#[cfg(test)]
mod properties;
pub mod record;
pub mod schema;
pub mod seal;
mod text;
mod time;

pub use backoff::Backoff;
pub use diff::diff;
pub use entity::EntityType;
pub use fingerprint::{fingerprint, spec, Fingerprint};
pub use normalise::{match_key, normalise, normalise_value, strip_nul};
pub use record::{Record, Stub};
pub use schema::{compared, field, fields, Field, Kind};
