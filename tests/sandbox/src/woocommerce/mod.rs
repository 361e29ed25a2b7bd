//! A WooCommerce shop, REST API v3, as versions 11.0 and 8.0 were recorded.

mod auth;
mod batch;
pub mod config;
mod data;
mod errors;
mod fields;
mod list;
mod misc;
pub mod mutation;
mod oauth;
mod params;
mod reply;
mod route;
mod shop;
mod views;
mod write;

pub use config::{Config, Key, Permission, Version};
pub use mutation::Mutation;
pub use shop::Shop;
