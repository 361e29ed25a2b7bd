//! A server that behaves as recorded shop systems do: for tests, benches and the demo.
//!
//! `core` knows HTTP, TLS, faults, the schedule and the control calls, and nothing of any shop.
//! A folder per system (`woocommerce`, `odoo`) implements [`System`] on top of it.
//!
//! Records are computed from `(seed, id)` while they are written to the reply, and only what a
//! test changed is stored: a shop of a million customers costs a few megabytes.

pub mod core;
pub mod odoo;
mod sandbox;
pub mod woocommerce;

pub use crate::core::faults::{Fault, Rule, When};
pub use crate::core::list_faults::ListFault;
pub use crate::core::schedule::Plan;
pub use crate::core::stats::{Seen, Stats};
pub use crate::core::{Setup, System};
pub use crate::sandbox::Sandbox;
pub use crate::woocommerce::config::{Config, Key, Permission, Version};
pub use crate::woocommerce::mutation::Mutation;

/// Whatever goes wrong while the sandbox starts or is told to change something.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
