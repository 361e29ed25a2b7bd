//! What is known of every shop without asking it.

use super::config::{self, CREDENTIALS, SETTINGS};
use super::{delivers, webhook, WooCommerce};
use crate::core::EntityType;
use crate::error::Result;
use crate::source::address::place;
use crate::source::kind::{Config, Kind, Verb};
use crate::source::settings::{Given, Setting};
use crate::source::webhook::{Headers, Notice};
use crate::source::Source;
use reqwest::Url;

/// WooCommerce.
pub struct Shops;

pub static KIND: Shops = Shops;

impl Kind for Shops {
    fn name(&self) -> &'static str {
        "woocommerce"
    }

    fn entities(&self) -> &'static [EntityType] {
        &[
            EntityType::Customers,
            EntityType::Products,
            EntityType::Orders,
            EntityType::Categories,
        ]
    }

    fn fields(&self, entity: EntityType) -> &'static [&'static str] {
        delivers::fields(entity)
    }

    fn carried(&self, entity: EntityType) -> &'static [&'static str] {
        delivers::carried(entity)
    }

    /// An order is what somebody has bought there.
    fn writes(&self, entity: EntityType) -> &'static [Verb] {
        match entity {
            EntityType::Customers | EntityType::Products | EntityType::Categories => &[Verb::Create, Verb::Update],
            EntityType::Orders => &[Verb::Update],
            _ => &[],
        }
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn credentials(&self) -> &'static [Setting] {
        CREDENTIALS
    }

    fn validate(&self, base_url: &Url, settings: &Given, credentials: &Given) -> Result<String> {
        config::check_base_url(base_url)?;
        config::Settings::read(settings)?;
        config::keys(credentials)?;
        Ok(place(base_url))
    }

    fn open(&self, config: Config, settings: &Given, credentials: &Given) -> Result<Box<dyn Source>> {
        Ok(Box::new(WooCommerce::new(config, settings, credentials)?))
    }

    fn read_webhook(&self, secret: Option<&str>, headers: &Headers, body: &str) -> Result<Notice> {
        webhook::read(secret, headers, body)
    }
}
