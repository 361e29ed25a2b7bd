//! The records: computed from `(seed, id)`, with what was changed kept beside.

pub mod base;
mod document;
mod edit;
pub mod facts;
mod partner;
mod product;
mod purchase;
mod sale;
mod stock;
pub mod val;
mod words;

use std::collections::HashMap;

use super::config::{Config, Version};
pub use super::schema::Model;
pub use val::Val;

/// The id of a record; a million records cost four megabytes.
pub type Id = u32;

/// Who looks at records: some values depend on it.
#[derive(Debug, Clone)]
pub struct Look {
    /// Companies that are switched on; the first one's prices and currency are shown.
    pub companies: Vec<Id>,
    /// Translated text is shown in German.
    pub german: bool,
}

impl Look {
    /// Someone who sees all companies, in English.
    pub fn all(config: &Config) -> Self {
        Self {
            companies: (1..=config.companies).collect(),
            german: false,
        }
    }
}

/// What was changed of a record.
#[derive(Debug, Clone, Default)]
struct Over {
    /// Created by a client: fields are empty, not computed.
    blank: bool,
    created: Option<i64>,
    written: Option<i64>,
    patch: HashMap<String, Val<'static>>,
}

/// The records of one model.
#[derive(Debug, Clone, Default)]
struct Store {
    /// Ascending.
    live: Vec<Id>,
    over: HashMap<Id, Over>,
    /// Parts that were added or moved, by owner; they may have left again.
    adopted: HashMap<Id, Vec<Id>>,
    next: Id,
}

/// All records of a database.
pub struct Data {
    pub config: Config,
    stores: Vec<Store>,
}

impl Data {
    /// Seeds a database.
    pub fn new(config: Config) -> Self {
        let seed = |model: Model| {
            let live = facts::base_ids(&config, model);
            let next = live.last().map_or(1, |last| last + 1);
            Store {
                live,
                next,
                ..Store::default()
            }
        };
        let stores = Model::ALL.into_iter().map(seed).collect();
        Self { config, stores }
    }

    pub fn version(&self) -> Version {
        self.config.version
    }

    fn store(&self, model: Model) -> &Store {
        &self.stores[model as usize]
    }

    /// All ids, ascending.
    pub fn live(&self, model: Model) -> &[Id] {
        &self.store(model).live
    }

    pub fn exists(&self, model: Model, id: Id) -> bool {
        self.live(model).binary_search(&id).is_ok()
    }

    fn over(&self, model: Model, id: Id) -> Option<&Over> {
        let over = &self.store(model).over;
        if over.is_empty() {
            None
        } else {
            over.get(&id)
        }
    }

    /// Whether a record was added since the database was seeded.
    pub fn is_new(&self, model: Model, id: Id) -> bool {
        self.over(model, id).is_some_and(|o| o.created.is_some())
    }

    fn is_blank(&self, model: Model, id: Id) -> bool {
        self.over(model, id).is_some_and(|o| o.blank)
    }

    pub fn created(&self, model: Model, id: Id) -> i64 {
        let over = self.over(model, id).and_then(|o| o.created);
        over.unwrap_or_else(|| facts::created(&self.config, model, id))
    }

    /// The microsecond of the last write. A variant's is its template's, where that is later.
    pub fn written(&self, model: Model, id: Id) -> i64 {
        let over = self.over(model, id).and_then(|o| o.written);
        let own = over.unwrap_or_else(|| facts::written(&self.config, model, id));
        let template = (model == Model::Product).then(|| self.owner(model, id)).flatten();
        template.map_or(own, |t| own.max(self.written(Model::Template, t)))
    }

    fn patched(&self, model: Model, id: Id, field: &str) -> Option<&Val<'static>> {
        self.over(model, id)?.patch.get(field)
    }

    /// The record that this one is a part of, where that still exists.
    pub fn owner(&self, model: Model, id: Id) -> Option<Id> {
        let (field, of) = model.owner()?;
        let owner = match self.patched(model, id, field) {
            Some(val) => val.id(),
            None if self.is_new(model, id) => None,
            None => facts::base_owner(&self.config, model, id),
        };
        owner.filter(|id| self.exists(of, *id))
    }

    /// The parts of a record that exist, ascending.
    pub fn parts(&self, part: Model, owner: Id) -> Vec<Id> {
        let owns = part.owner().map(|(_, of)| of);
        let seeded = owns.is_some_and(|of| !self.is_new(of, owner));
        let mut ids = if seeded {
            facts::base_parts(&self.config, part, owner)
        } else {
            Vec::new()
        };
        if let Some(adopted) = self.store(part).adopted.get(&owner) {
            ids.extend_from_slice(adopted);
            ids.sort_unstable();
            ids.dedup();
        }
        ids.retain(|id| self.exists(part, *id) && self.owner(part, *id) == Some(owner));
        ids
    }

    /// The same without those that are archived.
    pub fn active_parts(&self, part: Model, owner: Id) -> Vec<Id> {
        let mut ids = self.parts(part, owner);
        ids.retain(|id| self.is_active(part, *id));
        ids
    }

    /// Whether a record is not archived.
    pub fn is_active(&self, model: Model, id: Id) -> bool {
        match self.patched(model, id, "active") {
            Some(val) => val.truthy(),
            None if self.is_blank(model, id) => true,
            None => match model {
                Model::Partner => partner::is_active(self, id),
                Model::Template | Model::Product => product::is_active(self, model, id),
                Model::Warehouse => stock::is_active(self, id),
                Model::Currency => base::currency_in_use(id),
                _ => true,
            },
        }
    }

    /// The value of a field. The name must be one of the model's.
    pub fn get<'a>(&'a self, look: &Look, model: Model, id: Id, field: &'a str) -> Val<'a> {
        match field {
            "id" => return Val::Int(id.into()),
            "create_date" => return Val::Time(self.created(model, id)),
            "write_date" => return Val::Time(self.written(model, id)),
            "create_uid" | "write_uid" => return Val::One(Model::User, self.a_user()),
            "display_name" => return Val::text(self.label(look, model, id)),
            "active" => return Val::Bool(self.is_active(model, id)),
            _ => {}
        }
        if look.german && field == "name" {
            if let Some(val) = self.patched(model, id, "name@de_DE") {
                return val.borrowed();
            }
        }
        if let Some(val) = self.patched(model, id, field) {
            return match val {
                Val::One(of, id) if !self.exists(*of, *id) => Val::No,
                val => val.borrowed(),
            };
        }
        if model.owner().is_some_and(|(owner, _)| owner == field) {
            return match model.owner() {
                Some((_, of)) => Val::one(of, self.owner(model, id)),
                None => Val::No,
            };
        }
        match self.compute(look, model, id, field) {
            // what is deleted empties what refers to it, and leaves its date
            Val::One(of, id) if !self.exists(of, id) => Val::No,
            val => val,
        }
    }

    fn compute<'a>(&'a self, look: &Look, model: Model, id: Id, field: &'a str) -> Val<'a> {
        match model {
            Model::Partner => partner::get(self, look, id, field),
            Model::Template => product::template(self, look, id, field),
            Model::Product => product::variant(self, look, id, field),
            Model::Category => product::category(self, look, id, field),
            Model::AttributeValue => product::attribute_value(self, id, field),
            Model::Sale => sale::get(self, look, id, field),
            Model::SaleLine => sale::line(self, look, id, field),
            Model::Purchase => purchase::get(self, look, id, field),
            Model::PurchaseLine => purchase::line(self, look, id, field),
            Model::Warehouse => stock::warehouse(self, id, field),
            Model::Picking => stock::picking(self, look, id, field),
            Model::Move => stock::moves(self, look, id, field),
            Model::Quant => stock::quant(self, look, id, field),
            Model::Location => stock::location(self, id, field),
            Model::PickingType => stock::picking_type(self, look, id, field),
            _ => base::get(self, model, id, field),
        }
    }

    /// What a reference to a record shows beside its id.
    pub fn label(&self, look: &Look, model: Model, id: Id) -> String {
        let text = |field| self.get(look, model, id, field).into_text();
        match model {
            Model::Partner => partner::complete_name(self, look, id),
            Model::Category | Model::Location => text("complete_name"),
            Model::Template | Model::Product => product::label(self, look, model, id),
            Model::PickingType => stock::type_label(self, look, id),
            Model::AttributeValue => product::value_label(self, id),
            Model::SaleLine => sale::line_label(self, look, id),
            Model::Move => stock::move_label(self, look, id),
            Model::Quant => stock::quant_label(self, look, id),
            _ => text("name"),
        }
    }

    /// Who created and changed everything.
    fn a_user(&self) -> Id {
        self.config.users.first().map_or(1, |u| u.id)
    }

    /// The company whose records an id falls to.
    fn company_at(&self, n: u32) -> Id {
        1 + n % self.config.companies.max(1)
    }
}
