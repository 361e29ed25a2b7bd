//! What belongs to records but is kept in other models: the lines of documents, and what references stand for.

use super::api::Args;
use super::list::{self, Model};
use super::refusal::Cause;
use super::types::oddity;
use super::value::{reference, references};
use super::Odoo;
use crate::core::EntityType;
use crate::error::Result;
use crate::source::http::Meter;
use crate::source::session::lock;
use serde_json::{json, Value};
use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

/// Rows kept for other pages of the run.
const KEPT: usize = 5_000;

static COUNTRIES: Model = Model {
    name: "res.country",
    fields: &["code"],
};
static STATES: Model = Model {
    name: "res.country.state",
    fields: &["code"],
};
/// Whom documents name: all that an address consists of.
static CONTACTS: Model = Model {
    name: "res.partner",
    fields: &[
        "email",
        "phone",
        "mobile",
        "commercial_company_name",
        "parent_id",
        "street",
        "street2",
        "city",
        "zip",
        "state_id",
        "country_id",
        "country_code",
    ],
};
/// What lines name.
static VARIANTS: Model = Model {
    name: "product.product",
    fields: &["default_code"],
};
/// What contacts are tagged with.
static TAGS: Model = Model {
    name: "res.partner.category",
    fields: &["name"],
};
static PICKING_TYPES: Model = Model {
    name: "stock.picking.type",
    fields: &["code", "warehouse_id"],
};
static ATTRIBUTE_VALUES: Model = Model {
    name: "product.template.attribute.value",
    fields: &["name", "attribute_id"],
};

/// Rows of a model, by id.
pub(super) type Rows = HashMap<u64, Arc<Value>>;

/// Rows that references lead to, by model. Null: asked for, not there (or not for us).
#[derive(Debug, Default)]
pub(super) struct Lookup(Mutex<HashMap<&'static str, Rows>>);

/// What the records of one page need beside their own rows.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// The types of the records' fields, by name.
    pub types: Arc<HashMap<String, String>>,
    /// The types of the lines' fields.
    pub line_types: Arc<HashMap<String, String>>,
    /// The lines of documents, by the document's id.
    pub lines: HashMap<u64, Vec<Value>>,
    pub countries: Rows,
    pub states: Rows,
    pub contacts: Rows,
    pub tags: Rows,
    pub variants: Rows,
    pub picking_types: Rows,
    pub attribute_values: Rows,
}

impl Extras {
    /// The lines of a document, in the order of their ids.
    pub fn lines_of(&self, document: u64) -> &[Value] {
        self.lines.get(&document).map_or(&[], Vec::as_slice)
    }

    /// What of a record, or of a line of it, holds something else than it should.
    pub fn oddity(&self, row: &Value) -> Option<String> {
        let odd = oddity(row, &self.types);
        odd.or_else(|| {
            let lines = self.lines_of(reference(&row["id"])?).iter();
            let mut odd = lines.filter_map(|line| oddity(line, &self.line_types));
            odd.next().map(|odd| format!("of one of its lines, {odd}"))
        })
    }

    /// The contact that a reference names, where it may be seen.
    pub fn contact(&self, reference: &Value) -> Option<&Value> {
        found(&self.contacts, reference)
    }

    /// The variant that a reference names, where it may be seen.
    pub fn variant(&self, reference: &Value) -> Option<&Value> {
        found(&self.variants, reference)
    }
}

fn found<'a>(rows: &'a Rows, named: &Value) -> Option<&'a Value> {
    let row = rows.get(&reference(named)?)?;
    (!row.is_null()).then_some(row.as_ref())
}

/// The ids that these fields of rows hold.
fn named<'a, T: Borrow<Value> + 'a>(rows: impl IntoIterator<Item = &'a T>, fields: &[&str]) -> BTreeSet<u64> {
    let mut ids = BTreeSet::new();
    for row in rows {
        ids.extend(fields.iter().filter_map(|field| reference(&row.borrow()[*field])));
    }
    ids
}

impl Odoo {
    /// Reads what these records need.
    pub(super) fn extras(&self, entity: EntityType, rows: &[Value], meter: &Meter) -> Result<Extras> {
        let model = list::model(entity).name;
        let line_types = match list::lines(entity).filter(|_| !rows.is_empty()) {
            Some((lines, _)) => self.known.fields(&self.api, lines.name, meter)?,
            None => Arc::default(),
        };
        let mut extras = Extras {
            types: self.known.fields(&self.api, model, meter)?,
            line_types,
            lines: self.lines(entity, rows, meter)?,
            ..Extras::default()
        };
        match entity {
            EntityType::Customers => {
                self.look_up_places(&mut extras, rows, meter)?;
                let ids = rows
                    .iter()
                    .flat_map(|row| references(&row["category_id"]))
                    .collect();
                extras.tags = self.look_up(&TAGS, ids, meter)?;
            }
            EntityType::Products => {
                let theirs = "product_template_attribute_value_ids";
                let ids = rows.iter().flat_map(|row| references(&row[theirs])).collect();
                extras.attribute_values = self.look_up(&ATTRIBUTE_VALUES, ids, meter)?;
            }
            EntityType::Orders | EntityType::Sales => {
                let who = ["partner_id", "partner_invoice_id", "partner_shipping_id"];
                extras.contacts = self.look_up(&CONTACTS, named(rows, &who), meter)?;
                let contacts: Vec<Arc<Value>> = extras.contacts.values().cloned().collect();
                self.look_up_places(&mut extras, &contacts, meter)?;
            }
            EntityType::Purchases | EntityType::Transfers => {
                extras.picking_types =
                    self.look_up(&PICKING_TYPES, named(rows, &["picking_type_id"]), meter)?;
            }
            EntityType::Categories | EntityType::Warehouses => {}
        }
        let lines = extras.lines.values().flatten();
        extras.variants = self.look_up(&VARIANTS, named(lines, &["product_id"]), meter)?;
        Ok(extras)
    }

    /// The states and countries of addresses.
    fn look_up_places<T: Borrow<Value>>(
        &self,
        extras: &mut Extras,
        addresses: &[T],
        meter: &Meter,
    ) -> Result<()> {
        extras.states = self.look_up(&STATES, named(addresses, &["state_id"]), meter)?;
        extras.countries = self.look_up(&COUNTRIES, named(addresses, &["country_id"]), meter)?;
        Ok(())
    }

    /// The lines of these documents, page by page, so that no number of them is too large.
    fn lines(&self, entity: EntityType, rows: &[Value], meter: &Meter) -> Result<HashMap<u64, Vec<Value>>> {
        let mut lines: HashMap<u64, Vec<Value>> = HashMap::new();
        let Some((model, link)) = list::lines(entity).filter(|_| !rows.is_empty()) else {
            return Ok(lines);
        };
        let ids: Vec<u64> = rows.iter().filter_map(|row| reference(&row["id"])).collect();
        let fields = self.known.wanted(&self.api, model, meter)?;
        let mut after = 0;
        loop {
            let domain = json!([[link, "in", ids], ["id", ">", after]]);
            let page = self.page(model.name, &domain, &fields, self.settings.page_size, meter)?;
            after = super::read::last_id(&page.rows, after)?;
            let full = page.full;
            for row in page.rows {
                if let Some(document) = reference(&row[link]) {
                    lines.entry(document).or_default().push(row);
                }
            }
            if !full {
                return Ok(lines);
            }
        }
    }

    /// The rows that these ids lead to. What the connector's user may not see stays away: then the label that
    /// came with the reference has to do.
    fn look_up(&self, model: &'static Model, ids: BTreeSet<u64>, meter: &Meter) -> Result<Rows> {
        let mut found = Rows::new();
        let mut unknown = Vec::new();
        {
            let mut kept = lock(&self.lookup.0);
            let kept = kept.entry(model.name).or_default();
            for id in ids {
                match kept.get(&id) {
                    Some(row) => drop(found.insert(id, Arc::clone(row))),
                    None => unknown.push(id),
                }
            }
        }
        for ids in unknown.chunks(1000) {
            let rows = self.read_unknown(model, ids, meter)?;
            let mut kept = lock(&self.lookup.0);
            let kept = kept.entry(model.name).or_default();
            if kept.len() + rows.len() > KEPT {
                kept.clear();
            }
            kept.extend(rows.iter().map(|(id, row)| (*id, Arc::clone(row))));
            found.extend(rows);
        }
        Ok(found)
    }

    fn read_unknown(&self, model: &'static Model, ids: &[u64], meter: &Meter) -> Result<Rows> {
        let mut rows: Rows = ids.iter().map(|id| (*id, Arc::new(Value::Null))).collect();
        let fields = self.known.wanted(&self.api, model, meter);
        let answer = fields.and_then(|fields| {
            let mut args = Args::new();
            args.insert("domain".to_owned(), json!([["id", "in", ids]]));
            args.insert("fields".to_owned(), json!(fields));
            self.api.call(model.name, "search_read", args, meter)
        });
        let answer = match answer {
            Err(refusal) if matches!(refusal.cause, Cause::Forbidden | Cause::NoModel) => return Ok(rows),
            answer => answer?,
        };
        for row in answer.value.as_array().into_iter().flatten() {
            if let Some(id) = reference(&row["id"]) {
                rows.insert(id, Arc::new(row.clone()));
            }
        }
        Ok(rows)
    }
}
