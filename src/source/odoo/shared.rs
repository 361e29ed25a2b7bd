//! What a write would change beside what it is meant to: fields that a contact has from its company, and the archive.
//!
//! A contact of the type `contact` lives where its company does, and whoever has a company has its tax number. In Odoo's forms these
//! fields are locked for such contacts. Version 17 keeps what a program writes there until the company's change; from version 18.3 on,
//! it is written to the company, and to all its contacts.

use super::draft;
use super::read::Page;
use super::value::reference;
use super::Odoo;
use crate::core::EntityType;
use crate::error::Result;
use crate::source::http::Meter;
use serde_json::{json, Map, Value};

/// A contact's address, as Odoo shares it.
const ADDRESS: &[&str] = &["street", "street2", "zip", "city", "state_id", "country_id"];
/// What all contacts of a company share with it, whatever their type.
const COMMERCIAL: &[&str] = &["vat"];
/// A person's company is the one they belong to; only of people who belong to none is it a mere text.
const COMPANY: &str = "company_name";

/// What has to be known of a record that a write changes; empty where it is a new one, or nothing has to be.
#[derive(Debug, Default)]
pub(super) struct There(Value);

impl There {
    /// What a field refers to.
    pub fn refers(&self, field: &str) -> Option<u64> {
        reference(&self.0[field])
    }

    /// What a field will be.
    fn after<'a>(&'a self, vals: &'a Map<String, Value>, field: &str) -> &'a Value {
        vals.get(field).unwrap_or(&self.0[field])
    }

    /// The fields that the record has from another one.
    fn shared(&self, vals: &Map<String, Value>) -> Vec<&'static str> {
        if self.refers("parent_id").is_none() {
            return Vec::new();
        }
        let mut shared = Vec::new();
        if self.after(vals, "type") == "contact" {
            shared.extend(ADDRESS);
        }
        if self.after(vals, "is_company") != &Value::Bool(true) {
            shared.extend(COMMERCIAL);
        }
        shared
    }
}

impl Odoo {
    /// Asks for what a write has to know, in one question; for nothing where it needn't know anything.
    pub(super) fn there(
        &self,
        entity: EntityType,
        id: Option<u64>,
        vals: &Map<String, Value>,
        needs_country: bool,
        meter: &Meter,
    ) -> Result<There> {
        let mut fields = Vec::new();
        if entity == EntityType::Customers {
            let has = |names: &[&str]| names.iter().any(|name| vals.contains_key(*name));
            let shares = !self.settings.write_shared_fields && (has(ADDRESS) || has(COMMERCIAL));
            if shares || needs_country || has(&[COMPANY]) {
                fields.extend(["parent_id", "type", "is_company", "country_id"]);
            }
        }
        if vals.get("active") == Some(&Value::Bool(true)) {
            fields.push("active");
        }
        let Some(id) = id.filter(|_| !fields.is_empty()) else {
            return Ok(There::default());
        };
        let model = super::list::model(entity).name;
        let known = self.known.fields(&self.api, model, meter)?;
        let fields: Vec<String> = fields
            .into_iter()
            .filter(|name| known.contains_key(*name))
            .map(str::to_owned)
            .collect();
        let Page { mut rows, .. } = self.page(model, &json!([["id", "=", id]]), &fields, 1, meter)?;
        Ok(There(rows.pop().unwrap_or_default()))
    }

    /// Takes out of the values what isn't the record's own, and says so.
    pub(super) fn leave_out(
        &self,
        entity: EntityType,
        vals: &mut Map<String, Value>,
        there: &There,
        notes: &mut Vec<String>,
    ) {
        if there.refers("parent_id").is_some() {
            vals.remove(COMPANY);
        }
        if !self.settings.write_shared_fields {
            let shared = there.shared(vals);
            let left: Vec<&str> = shared
                .into_iter()
                .filter(|name| vals.remove(*name).is_some())
                .map(|name| draft::ours(entity, name))
                .collect();
            if !left.is_empty() {
                notes.push(format!(
                    "not written, because this contact shares it with its company: {} (write it to the company, or set write_shared_fields)",
                    left.join(", ")
                ));
            }
        }
        self.mind_the_archive(vals, there, notes);
    }

    fn mind_the_archive(&self, vals: &mut Map<String, Value>, there: &There, notes: &mut Vec<String>) {
        let was_archived = there.0["active"] == Value::Bool(false);
        if !was_archived || vals.get("active") != Some(&Value::Bool(true)) {
            return;
        }
        notes.push(if self.settings.keep_archived {
            vals.remove("active");
            "it stays archived in Odoo (keep_archived)".to_owned()
        } else {
            "it was archived in Odoo, and is active again, as its source is (keep_archived would keep it archived)".to_owned()
        });
    }
}
