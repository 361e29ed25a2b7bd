//! Creating, writing and deleting, with what each brings along.

use std::collections::HashSet;

use serde_json::{json, Map, Value};

use super::config::Version;
use super::convert::{self, dangling, unknown};
use super::data::{Data, Id, Look, Val};
use super::errors::Fail;
use super::schema::{Kind, Model};

/// Fields of a contact that its own contacts share or show.
const SHARED: [&str; 9] = [
    "name",
    "parent_id",
    "is_company",
    "street",
    "street2",
    "zip",
    "city",
    "state_id",
    "country_id",
];
const ADDRESS: [&str; 6] = ["street", "street2", "zip", "city", "state_id", "country_id"];
/// Fields of a line that an order's sums are made of.
const SUMMED: [&str; 6] = [
    "product_uom_qty",
    "product_qty",
    "price_unit",
    "discount",
    "tax_id",
    "tax_ids",
];
/// Fields that a template with one variant has from it.
const FROM_VARIANT: [&str; 3] = ["default_code", "barcode", "standard_price"];

/// Values by field.
pub type Vals = Map<String, Value>;

/// One transaction: everything it writes has its date.
pub struct Writer<'a> {
    pub data: &'a mut Data,
    pub at: i64,
    pub look: Look,
}

impl<'a> Writer<'a> {
    pub fn new(data: &'a mut Data, at: i64, look: Look) -> Self {
        Self { data, at, look }
    }

    /// Writes values into records, and dates them and what depends on them.
    pub fn write(&mut self, model: Model, ids: &[Id], vals: &Vals) -> Result<(), Fail> {
        self.check(model, ids, vals)?;
        for id in ids {
            self.set(model, *id, vals)?;
            if model == Model::Partner {
                self.share_up(*id, vals)?;
                self.share_down(*id, vals)?;
            }
            self.touch(model, *id, vals);
        }
        Ok(())
    }

    /// Writes values and leaves all dates as they are, as a direct UPDATE does.
    pub fn set(&mut self, model: Model, id: Id, vals: &Vals) -> Result<(), Fail> {
        for (name, value) in vals {
            self.set_one(model, id, name, value)?;
        }
        Ok(())
    }

    fn set_one(&mut self, model: Model, id: Id, name: &str, value: &Value) -> Result<(), Fail> {
        // Until version 17 the type is computed from this one.
        let name = match (model, name) {
            (Model::Template, "detailed_type") => "type",
            (_, name) => name,
        };
        // A translation, for instance `name@de_DE`.
        let (plain, translated) = name.split_once('@').map_or((name, false), |(n, _)| (n, true));
        let version = self.data.version();
        let field = model.field(version, plain);
        let field = field.ok_or_else(|| unknown(version, model, plain))?;
        if (model, name) == (Model::Product, "lst_price") {
            return self.set_price(id, value);
        }
        if let Some((of, owner)) = self.kept_elsewhere(model, id, name) {
            return self.set_one(of, owner, name, value);
        }
        match field.kind {
            Kind::Children(part) => self.command(model, id, part, value),
            Kind::Many(_) => {
                let before = match self.data.get(&self.look, model, id, field.name) {
                    Val::Ids(ids) => ids,
                    _ => Vec::new(),
                };
                let ids = convert::ids(before, value);
                self.data.set(model, id, field.name, Val::Ids(ids));
                Ok(())
            }
            _ => {
                let val = convert::value(model, field, value)?;
                if let Val::One(of, target) = &val {
                    if !self.data.exists(*of, *target) {
                        return Err(dangling(version, model, field));
                    }
                }
                let key = if translated { name } else { field.name };
                self.data.set(model, id, key, val);
                Ok(())
            }
        }
    }

    /// A variant's price is its template's with what the variant costs more.
    fn set_price(&mut self, id: Id, value: &Value) -> Result<(), Fail> {
        let extra = self.data.get(&self.look, Model::Product, id, "price_extra").num();
        let price = json!(value.as_f64().unwrap_or_default() - extra);
        self.set_one(Model::Product, id, "list_price", &price)
    }

    /// The record that really holds a field: a variant's name is its template's, a template's code that of
    /// its one variant.
    fn kept_elsewhere(&self, model: Model, id: Id, name: &str) -> Option<(Model, Id)> {
        match model {
            Model::Product => {
                let field = model.field(self.data.version(), name)?;
                let own = field.stored || FROM_VARIANT.contains(&name);
                let template = self.data.owner(Model::Product, id)?;
                (!own).then_some((Model::Template, template))
            }
            Model::Template if FROM_VARIANT.contains(&name) => {
                match self.data.parts(Model::Product, id)[..] {
                    [one] => Some((Model::Product, one)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Commands on the parts of a record: `[0, 0, vals]`, `[1, id, vals]`, `[2, id]`.
    fn command(&mut self, model: Model, id: Id, part: &str, value: &Value) -> Result<(), Fail> {
        let Some((part, owner)) = Model::parse(part).and_then(|p| Some((p, p.owner()?.0))) else {
            return Ok(());
        };
        for command in value.as_array().into_iter().flatten() {
            let which = command.get(0).and_then(Value::as_u64);
            let target = command.get(1).and_then(Value::as_u64).unwrap_or(0) as Id;
            let vals = command.get(2).and_then(Value::as_object).cloned();
            match which {
                Some(0) => {
                    let mut vals = vals.unwrap_or_default();
                    vals.insert(owner.into(), id.into());
                    self.create(part, &vals)?;
                }
                Some(1) => self.write(part, &[target], &vals.unwrap_or_default())?,
                Some(2) => {
                    self.data.remove(part, &[target]);
                    self.data.touch(model, id, self.at);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Creates a record as a client does: what it doesn't name is empty.
    pub fn create(&mut self, model: Model, vals: &Vals) -> Result<Id, Fail> {
        self.check(model, &[], vals)?;
        let nameless = vals
            .get("name")
            .is_none_or(|v| v.as_str().unwrap_or_default().is_empty());
        if nameless {
            match model {
                Model::Partner => {
                    let message = "The operation cannot be completed: Contacts require a name";
                    return Err(Fail::validation(message));
                }
                Model::Product if vals.contains_key("product_tmpl_id") => {}
                Model::Template | Model::Product | Model::Category | Model::Warehouse => {
                    return Err(Fail::validation(
                        "Missing required value for the field 'Name' (name)",
                    ));
                }
                _ => {}
            }
        }
        let id = self.data.reserve(model);
        self.data.insert(model, id, true, self.at);
        let template = match model {
            Model::Product if !vals.contains_key("product_tmpl_id") => Some(self.template_of(id)),
            _ => None,
        };
        if let Err(fail) = self.set(model, id, vals) {
            // All or nothing.
            self.data.remove(model, &[id]);
            self.data.remove(Model::Template, template.as_slice());
            return Err(fail);
        }
        self.born(model, id);
        Ok(id)
    }

    /// A product that is created by itself gets a template.
    fn template_of(&mut self, product: Id) -> Id {
        let template = self.data.reserve(Model::Template);
        self.data.insert(Model::Template, template, true, self.at);
        let owner = Val::One(Model::Template, template);
        self.data.set(Model::Product, product, "product_tmpl_id", owner);
        template
    }

    /// What comes with a new record.
    pub fn born(&mut self, model: Model, id: Id) {
        if model == Model::Template && self.data.parts(Model::Product, id).is_empty() {
            let variant = self.data.reserve(Model::Product);
            let blank = true;
            self.data.insert(Model::Product, variant, blank, self.at);
            let owner = Val::One(Model::Template, id);
            self.data.set(Model::Product, variant, "product_tmpl_id", owner);
        }
        if !matches!(model, Model::SaleLine | Model::PurchaseLine) {
            return;
        }
        // A line keeps what it was made with.
        for field in ["product_id", "name", "price_unit"] {
            let val = self.data.get(&self.look, model, id, field).owned();
            self.data.set(model, id, field, val);
        }
        if let (Some((_, of)), Some(owner)) = (model.owner(), self.data.owner(model, id)) {
            self.data.touch(of, owner, self.at);
        }
    }

    /// Deletes records.
    pub fn unlink(&mut self, model: Model, ids: &[Id]) -> Result<(), Fail> {
        if model == Model::Sale {
            let fixed = |id: &Id| {
                let state = self.data.get(&self.look, model, *id, "state").into_text();
                matches!(state.as_str(), "sent" | "sale")
            };
            if ids.iter().any(fixed) {
                return Err(Fail::user("You can not delete a sent quotation or a confirmed sales order. You must first cancel it."));
            }
        }
        self.unused(model, ids)?;
        self.remove(model, ids);
        Ok(())
    }

    /// What documents name can't be deleted.
    pub fn unused(&self, model: Model, ids: &[Id]) -> Result<(), Fail> {
        if model == Model::Template {
            let variants: Vec<Id> = ids
                .iter()
                .flat_map(|id| self.data.parts(Model::Product, *id))
                .collect();
            return self.unused(Model::Product, &variants);
        }
        let users: &[(Model, &str)] = match model {
            Model::Product => &[
                (Model::SaleLine, "product_id"),
                (Model::PurchaseLine, "product_id"),
                (Model::Move, "product_id"),
            ],
            Model::Partner => &[(Model::Sale, "partner_id"), (Model::Purchase, "partner_id")],
            _ => &[],
        };
        let ids: HashSet<Id> = ids.iter().copied().collect();
        for (user, field) in users {
            let names = |id: &Id| {
                let named = self.data.get(&self.look, *user, *id, field).id();
                named.is_some_and(|n| ids.contains(&n))
            };
            if self.data.live(*user).iter().any(names) {
                let version = self.data.version();
                let field = user.field(version, field);
                return Err(field.map_or_else(Fail::denied, |f| dangling(version, *user, f)));
            }
        }
        Ok(())
    }

    /// Deletes records whatever their state.
    pub fn remove(&mut self, model: Model, ids: &[Id]) {
        for id in ids {
            match model {
                Model::Picking => self.touch_document(*id),
                // Contacts stay, and are no longer those of a company.
                Model::Partner => self.touch_below(model, *id),
                _ => {}
            }
            // A section, a note or a present goes without the document changing.
            let summed = matches!(model, Model::SaleLine | Model::PurchaseLine)
                && self.data.get(&self.look, model, *id, "price_subtotal").num() != 0.0;
            if let (true, Some((_, of)), Some(owner)) = (summed, model.owner(), self.data.owner(model, *id)) {
                self.data.touch(of, owner, self.at);
            }
        }
        self.data.remove(model, ids);
    }

    fn check(&self, model: Model, ids: &[Id], vals: &Vals) -> Result<(), Fail> {
        let version = self.data.version();
        for name in vals.keys() {
            let plain = name.split('@').next().unwrap_or(name);
            model
                .field(version, plain)
                .ok_or_else(|| unknown(version, model, plain))?;
        }
        let barcode = vals
            .get("barcode")
            .and_then(Value::as_str)
            .filter(|code| !code.is_empty());
        if let (Model::Product, Some(barcode)) = (model, barcode) {
            self.check_barcode(ids, barcode)?;
        }
        let parent = vals.get("parent_id").and_then(Value::as_u64);
        let own = |id: &Id| Some(u64::from(*id)) == parent;
        if model == Model::Partner && ids.iter().any(own) {
            return Err(Fail::validation(
                "You cannot create recursive Partner hierarchies.",
            ));
        }
        Ok(())
    }

    fn check_barcode(&self, ids: &[Id], barcode: &str) -> Result<(), Fail> {
        let has = |id: &Id| {
            self.data
                .get(&self.look, Model::Product, *id, "barcode")
                .as_text()
                == barcode
        };
        let mut others = self
            .data
            .live(Model::Product)
            .iter()
            .filter(|id| !ids.contains(id));
        let Some(other) = others.find(|id| has(id)) else {
            return Ok(());
        };
        let label = self.data.label(&self.look, Model::Product, *other);
        Err(Fail::validation(format!(
            "Barcode(s) already assigned:\n\n- Barcode \"{barcode}\" already assigned to product(s): {label}\n\nNote: products that you don't have access to will not be shown above."
        )))
    }

    /// Dates a record that was written, and those that its change changes.
    pub fn touch(&mut self, model: Model, id: Id, vals: &Vals) {
        let at = self.at;
        self.data.touch(model, id, at);
        let wrote = |names: &[&str]| vals.keys().any(|k| names.contains(&k.as_str()));
        match model {
            Model::Partner if wrote(&SHARED) => self.touch_below(model, id),
            Model::Category if wrote(&["name", "parent_id"]) => self.touch_below(model, id),
            Model::Template => {
                for variant in self.data.parts(Model::Product, id) {
                    if let Some(active) = vals.get("active") {
                        let val = Val::Bool(active == &json!(true));
                        self.data.set(Model::Product, variant, "active", val);
                    }
                    self.data.touch(Model::Product, variant, at);
                }
            }
            Model::Product => {
                // What a template keeps of its one variant, or holds for all.
                let kept = vals.keys().any(|k| self.kept_elsewhere(model, id, k).is_some());
                let template = self.data.owner(Model::Product, id);
                let one = template.is_some_and(|t| self.data.parts(Model::Product, t).len() == 1);
                if let (true, Some(t)) = (kept || one && wrote(&["default_code"]), template) {
                    self.data.touch(Model::Template, t, at);
                }
            }
            Model::SaleLine | Model::PurchaseLine if wrote(&SUMMED) => {
                if let (Some((_, of)), Some(owner)) = (model.owner(), self.data.owner(model, id)) {
                    self.data.touch(of, owner, at);
                }
            }
            Model::Sale if wrote(&["state", "partner_id", "company_id"]) => {
                for line in self.data.parts(Model::SaleLine, id) {
                    self.data.touch(Model::SaleLine, line, at);
                }
            }
            _ => {}
        }
    }

    /// Which of these values a contact shares with its company: where it lives if it is a plain contact, the tax number
    /// unless it is a company itself.
    fn shared(&self, id: Id, vals: &Vals) -> Vals {
        let get = |field| self.data.get(&self.look, Model::Partner, id, field);
        let (plain, company) = (get("type").as_text() == "contact", get("is_company").truthy());
        let of = |name: &str| plain && ADDRESS.contains(&name) || !company && name == "vat";
        let some = vals.iter().filter(|(name, _)| of(name));
        some.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// From version 18.3 on, what is written to a contact is written to its company.
    fn share_up(&mut self, id: Id, vals: &Vals) -> Result<(), Fail> {
        let shared = self.shared(id, vals);
        match self.data.owner(Model::Partner, id) {
            Some(parent) if self.data.version() == Version::V19 && !shared.is_empty() => {
                self.write(Model::Partner, &[parent], &shared)
            }
            _ => Ok(()),
        }
    }

    /// In every version, the contacts of a company follow it.
    fn share_down(&mut self, id: Id, vals: &Vals) -> Result<(), Fail> {
        for child in self.data.parts(Model::Partner, id) {
            let shared = self.shared(child, vals);
            if child != id && !shared.is_empty() {
                self.set(Model::Partner, child, &shared)?;
                self.data.touch(Model::Partner, child, self.at);
                self.share_down(child, &shared)?;
            }
        }
        Ok(())
    }

    fn touch_below(&mut self, model: Model, id: Id) {
        for child in self.data.parts(model, id) {
            if child != id {
                self.data.touch(model, child, self.at);
                self.touch_below(model, child);
            }
        }
    }
}
