//! Pages that Odoo fails to compute. One field that a user has added, and that divides by zero for one contact, fails every page
//! that shows it; so does one record that an app's own field chokes on. Which it is, is found by asking for less: fields of
//! users that raise are left out for the rest of the run, and records that raise by themselves are named and left as they were.

use super::hidden::Questions;
use super::known::is_custom;
use super::list;
use super::map;
use super::read::{last_id, Page};
use super::Odoo;
use crate::core::EntityType;
use crate::error::{Code, Error, Result};
use crate::source::http::Meter;
use crate::source::Unreadable;
use crate::source::session::lock;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// What was found in this run.
#[derive(Debug, Default)]
pub(super) struct Broken {
    /// Fields that raise, with what Odoo says, by model.
    fields: Mutex<BTreeMap<&'static str, BTreeMap<String, String>>>,
    /// What may still be spent on finding it.
    questions: Questions,
}

/// A page in full.
pub(super) struct Whole {
    pub page: Page,
    /// Where it ends, records included that can't be read.
    pub last: Option<u64>,
    pub unreadable: Vec<Unreadable>,
}

impl Broken {
    fn of(&self, model: &str) -> BTreeMap<String, String> {
        lock(&self.fields).get(model).cloned().unwrap_or_default()
    }

    fn note(&self, model: &'static str, found: Vec<(String, String)>) {
        lock(&self.fields).entry(model).or_default().extend(found);
    }
}

impl Odoo {
    /// Fields of users that are not read: those that the settings exclude, and those that raise.
    pub(super) fn withheld(&self, entity: EntityType) -> Vec<String> {
        let raising = self.broken.of(list::model(entity).name).into_keys();
        raising
            .chain(self.settings.exclude_fields.iter().cloned())
            .collect()
    }

    /// A word about each field that raises.
    pub(super) fn raising_fields(&self, entity: EntityType) -> Vec<String> {
        let model = list::model(entity).name;
        let told = |(field, reason): (String, String)| {
            format!(
                "The field {field} of {model} can't be computed by Odoo ({reason}): it is left out, and what is known of it stays. \
                 Mend it in Odoo, or name it in the setting exclude_fields."
            )
        };
        self.broken.of(model).into_iter().map(told).collect()
    }

    /// What is read of a record in full.
    pub(super) fn whole_fields(&self, entity: EntityType, meter: &Meter) -> Result<Vec<String>> {
        let withheld = self.withheld(entity);
        let mut fields = self
            .known
            .wanted_and_custom(&self.api, list::model(entity), meter)?;
        fields.retain(|field| !withheld.contains(field));
        Ok(fields)
    }

    /// A page in full, but for what can't be computed.
    pub(super) fn whole_page(
        &self,
        entity: EntityType,
        domain: &Value,
        most: u64,
        meter: &Meter,
    ) -> Result<Whole> {
        let model = list::model(entity).name;
        loop {
            let fields = self.whole_fields(entity, meter)?;
            let error = match self.page(model, domain, &fields, most, meter) {
                Err(error) if is_raised(&error) => error,
                page => {
                    let page = page?;
                    return Ok(Whole {
                        last: None,
                        unreadable: Vec::new(),
                        page,
                    });
                }
            };
            // where nothing can be read at all, it is no matter of fields or records
            let Ok(bare) = self.page(model, domain, &["id".to_owned()], most, meter) else {
                return Err(error);
            };
            let custom = fields.iter().filter(|name| is_custom(name)).cloned().collect();
            let raising = self.raising(model, domain, custom, most, meter)?;
            if raising.is_empty() {
                return self.by_halves(model, bare, &fields, error, meter);
            }
            self.broken.note(model, raising);
        }
    }

    /// Which of these fields raise on that page.
    fn raising(
        &self,
        model: &'static str,
        domain: &Value,
        fields: Vec<String>,
        most: u64,
        meter: &Meter,
    ) -> Result<Vec<(String, String)>> {
        let (mut open, mut found) = (vec![fields], Vec::new());
        while let Some(mut part) = open.pop() {
            if part.is_empty() || !self.broken.questions.take() {
                continue;
            }
            match self.page(model, domain, &part, most, meter) {
                Ok(_) => {}
                Err(error) if is_raised(&error) => match part.len() {
                    1 => found.extend(part.pop().map(|field| (field, reason(&error)))),
                    len => {
                        let rest = part.split_off(len / 2);
                        open.extend([part, rest]);
                    }
                },
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// A page without the records that raise. Where all of them do, or there are no questions left, it is no matter of single
    /// records.
    fn by_halves(
        &self,
        model: &'static str,
        bare: Page,
        fields: &[String],
        error: Error,
        meter: &Meter,
    ) -> Result<Whole> {
        let ids = bare
            .rows
            .iter()
            .map(map::required_id)
            .collect::<Result<Vec<u64>>>()?;
        let last = last_id(&bare.rows, 0)?;
        let (mut open, mut rows, mut unreadable) = (vec![ids], Vec::new(), Vec::new());
        while let Some(mut part) = open.pop() {
            if part.is_empty() {
                continue;
            }
            if !self.broken.questions.take() {
                return Err(error);
            }
            let domain = json!([["id", "in", part]]);
            match self.search_read(model, &domain, fields, part.len() as u64, meter) {
                Ok(page) => rows.extend(page.rows),
                Err(error) if is_raised(&error) && part.len() == 1 => unreadable.push(Unreadable {
                    id: part[0].to_string(),
                    reason: reason(&error),
                }),
                Err(error) if is_raised(&error) => {
                    let rest = part.split_off(part.len() / 2);
                    open.extend([part, rest]);
                }
                Err(error) => return Err(error),
            }
        }
        if rows.is_empty() && unreadable.len() > 1 {
            return Err(error);
        }
        rows.sort_by_key(|row| row["id"].as_u64());
        Ok(Whole {
            page: Page { rows, ..bare },
            last: Some(last),
            unreadable,
        })
    }
}

/// Whether Odoo has failed for a reason of its own that it names, and that the next try would meet too.
fn is_raised(error: &Error) -> bool {
    error.code == Code::Nonsense && error.stays
}

fn reason(error: &Error) -> String {
    match &error.detail {
        Some(detail) => format!("{error}: {detail}"),
        None => error.to_string(),
    }
}
