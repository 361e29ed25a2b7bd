//! Pure: entity types, canonical records, normalising, fingerprints. Knows neither Postgres nor HTTP.

pub mod backoff;
mod canon;
mod catalogue;
mod catalogue_erp;
pub mod comparison;
pub mod delivery;
pub mod diff;
pub mod entity;
pub mod field;
pub mod fingerprint;
pub mod item;
pub mod listing;
pub mod mapping;
pub mod nesting;
pub mod normalise;
mod number;
#[cfg(test)]
mod properties;
pub mod record;
pub mod row;
pub mod schema;
pub mod seal;
pub mod spelling;
mod text;
mod time;
pub mod tree;

pub use backoff::Backoff;
pub use comparison::{Compared, Comparison};
pub use delivery::Delivery;
pub use diff::{diff, emptied};
pub use entity::EntityType;
pub use field::{Field, Kind};
pub use fingerprint::{fingerprint, pair, spec, Fingerprint};
pub use item::ItemType;
pub use listing::{Listing, Series};
pub use mapping::{apply as apply_mappings, Mapping};
pub use normalise::{match_fields, match_key, match_key_by, normalise, normalise_value, strip_nul};
pub use record::{Record, Stub};
pub use row::Layout;
pub use schema::{compared, field, fields};
