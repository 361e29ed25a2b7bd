//! Odoo, by its external API.

pub(super) mod delivers;
