//! Which fields Odoo has: that differs by version, installed apps, and the user's groups. Asking for one that
//! is not there fails the whole call.

use super::api::{Api, Args};
use super::list::Model;
use super::refusal::Refusal;
use crate::error::{Code, Error};
use crate::source::http::Meter;
use crate::source::session::lock;
use serde_json::{json, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Fields and their types, by model.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<&'static str, Arc<HashMap<String, String>>>>);

impl Known {
    /// A model's fields; asked once in a run, as a field may be added between two.
    pub fn fields(
        &self,
        api: &Api,
        model: &'static str,
        meter: &Meter,
    ) -> Result<Arc<HashMap<String, String>>, Refusal> {
        if let Some(known) = lock(&self.0).get(model) {
            return Ok(Arc::clone(known));
        }
        let mut args = Args::new();
        args.insert("attributes".to_owned(), json!(["type"]));
        let answer = api.call(model, "fields_get", args, meter)?;
        let Value::Object(fields) = answer.value else {
            return Err(
                Error::new(Code::Nonsense, format!("Odoo doesn't tell the fields of {model}")).into(),
            );
        };
        let types = fields.into_iter().filter_map(|(name, about)| {
            let kind = about["type"].as_str()?.to_owned();
            Some((name, kind))
        });
        let found = Arc::new(types.collect::<HashMap<_, _>>());
        lock(&self.0).insert(model, Arc::clone(&found));
        Ok(found)
    }

    /// Those of the wanted fields that the model has.
    pub fn wanted(&self, api: &Api, model: &'static Model, meter: &Meter) -> Result<Vec<String>, Refusal> {
        let known = self.fields(api, model.name, meter)?;
        let there = model.fields.iter().filter(|name| known.contains_key(**name));
        Ok(there.map(|name| (*name).to_owned()).collect())
    }

    /// The same with all fields that users have added. Files and pictures among them are left out.
    pub fn wanted_and_custom(
        &self,
        api: &Api,
        model: &'static Model,
        meter: &Meter,
    ) -> Result<Vec<String>, Refusal> {
        let mut names = self.wanted(api, model, meter)?;
        let known = self.fields(api, model.name, meter)?;
        let custom = known
            .iter()
            .filter(|(name, kind)| is_custom(name) && kind.as_str() != "binary")
            .map(|(name, _)| name.clone());
        names.extend(custom);
        Ok(names)
    }
}

/// Whether users have added that field.
pub(super) fn is_custom(name: &str) -> bool {
    name.starts_with("x_")
}
