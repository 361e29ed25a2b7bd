//! Pure: entity types, canonical records, normalising, fingerprints. Knows neither Postgres nor HTTP.

pub mod entity;
pub mod record;

pub use entity::EntityType;
pub use record::{Record, Stub};
