//! What is known of every Odoo without asking it.

use super::config::{self, Credentials, CREDENTIALS, SETTINGS};
use super::{delivers, webhook, Odoo};
use crate::core::EntityType;
use crate::error::Result;
use crate::source::address::place;
use crate::source::kind::{Config, Kind, Verb};
use crate::source::settings::{Given, Setting};
use crate::source::webhook::{Headers, Notice};
use crate::source::Source;
use reqwest::Url;

/// Odoo.
pub struct Servers;

pub static KIND: Servers = Servers;

impl Kind for Servers {
    fn name(&self) -> &'static str {
        "odoo"
    }

    fn entities(&self) -> &'static [EntityType] {
        &EntityType::ALL
    }

    fn fields(&self, entity: EntityType) -> &'static [&'static str] {
        delivers::fields(entity)
    }

    fn carried(&self, entity: EntityType) -> &'static [&'static str] {
        delivers::carried(entity)
    }

    fn writes(&self, entity: EntityType) -> &'static [Verb] {
        match entity {
            EntityType::Customers | EntityType::Products | EntityType::Categories => &[Verb::Create, Verb::Update],
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
        Ok(match Credentials::read(credentials)?.database {
            Some(database) => format!("{}, database {database}", place(base_url)),
            None => place(base_url),
        })
    }

    fn open(&self, config: Config, settings: &Given, credentials: &Given) -> Result<Box<dyn Source>> {
        Ok(Box::new(Odoo::new(config, settings, credentials)?))
    }

    fn read_webhook(&self, secret: Option<&str>, headers: &Headers, body: &str) -> Result<Notice> {
        webhook::read(secret, headers, body)
    }
}
