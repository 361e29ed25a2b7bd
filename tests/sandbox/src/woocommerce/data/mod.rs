//! The shop's records: computed from `(seed, id)`, with what was changed kept beside.

mod categories;
mod customers;
mod edit;
pub mod facts;
mod lines;
mod orders;
mod products;
mod rec;
mod refunds;
mod variations;
mod words;

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::config::{Config, Version};
use crate::core::json;
pub use rec::Rec;

/// The id of a record; a million records cost four megabytes.
pub type Id = u32;

/// The entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Customers,
    Products,
    Variations,
    Orders,
    Refunds,
    Categories,
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Customers,
        Self::Products,
        Self::Variations,
        Self::Orders,
        Self::Refunds,
        Self::Categories,
    ];

    /// Finds an entity by name, for instance `customers`.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|k| k.name() == name);
        found.ok_or_else(|| format!("no such entity: {name}"))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Products => "products",
            Self::Variations => "variations",
            Self::Orders => "orders",
            Self::Refunds => "refunds",
            Self::Categories => "categories",
        }
    }
}

/// What a test changed of a record.
#[derive(Debug, Clone, Default)]
pub struct Over {
    /// Created by a test or client: fields are empty, not computed.
    pub blank: bool,
    pub created: Option<i64>,
    pub modified: Option<Option<i64>>,
    pub parent: Option<Id>,
    /// Status, or a user's role.
    pub state: Option<String>,
    /// Counted, but not shown.
    pub hidden: bool,
    /// In no list, and not counted; by its id it answers.
    pub unlisted: bool,
    /// Top-level fields that replace the computed ones.
    pub patch: Map<String, Value>,
}

/// The records of one entity.
#[derive(Debug, Clone, Default)]
struct Store {
    /// Ascending.
    live: Vec<Id>,
    over: HashMap<Id, Over>,
    /// Children that were added, by parent.
    added: HashMap<Id, Vec<Id>>,
}

/// All records of a shop.
pub struct Data {
    pub config: Config,
    stores: [Store; 6],
    next_user: Id,
    next_post: Id,
    next_term: Id,
    next_meta: u64,
    /// Grows with every change.
    pub generation: u64,
}

/// How to show records.
pub struct Context<'a> {
    /// Scheme, host and port, escaped for JSON.
    pub site: &'a str,
    pub version: Version,
    /// Top-level fields to show.
    pub fields: Option<&'a [String]>,
    /// Whether `_links` are shown though `fields` does not name them.
    pub links: bool,
    /// Listed over all parents: links differ from those under the parent.
    pub global: bool,
}

impl Data {
    /// Seeds a shop.
    pub fn new(config: Config) -> Self {
        let stores = Kind::ALL.map(|kind| {
            let live = facts::base_ids(&config, kind);
            Store {
                live,
                ..Store::default()
            }
        });
        let last = |kind: Kind| stores[kind as usize].live.last().copied().unwrap_or(1);
        let (next_user, next_term) = (last(Kind::Customers) + 1, last(Kind::Categories) + 1);
        let next_post = facts::FIRST_NEW_POST;
        Self {
            config,
            stores,
            next_user,
            next_post,
            next_term,
            next_meta: 1_000_000,
            generation: 0,
        }
    }

    /// All ids, ascending.
    pub fn live(&self, kind: Kind) -> &[Id] {
        &self.stores[kind as usize].live
    }

    pub fn exists(&self, kind: Kind, id: Id) -> bool {
        self.live(kind).binary_search(&id).is_ok()
    }

    /// Whether a record is counted and not shown.
    pub fn is_hidden(&self, kind: Kind, id: Id) -> bool {
        self.over(kind, id).is_some_and(|over| over.hidden)
    }

    /// Whether a plugin keeps a record out of all lists.
    pub fn is_unlisted(&self, kind: Kind, id: Id) -> bool {
        self.over(kind, id).is_some_and(|over| over.unlisted)
    }

    pub fn over(&self, kind: Kind, id: Id) -> Option<&Over> {
        let over = &self.stores[kind as usize].over;
        if over.is_empty() {
            None
        } else {
            over.get(&id)
        }
    }

    pub fn created(&self, kind: Kind, id: Id) -> i64 {
        let over = self.over(kind, id).and_then(|o| o.created);
        over.unwrap_or_else(|| facts::created(&self.config, kind, id))
    }

    pub fn modified(&self, kind: Kind, id: Id) -> Option<i64> {
        let over = self.over(kind, id).and_then(|o| o.modified);
        over.unwrap_or_else(|| facts::modified(&self.config, kind, id))
    }

    /// The status, or a user's role.
    pub fn state(&self, kind: Kind, id: Id) -> Cow<'_, str> {
        match self.over(kind, id).and_then(|o| o.state.as_deref()) {
            Some(state) => Cow::Borrowed(state),
            None => facts::state(&self.config, kind, id),
        }
    }

    /// The product of a variation, the order of a refund, else 0.
    pub fn parent(&self, kind: Kind, id: Id) -> Id {
        let over = self.over(kind, id).and_then(|o| o.parent);
        over.unwrap_or_else(|| facts::parent(kind, id))
    }

    /// The variations of a product or the refunds of an order that exist, ascending.
    pub fn children(&self, kind: Kind, parent: Id) -> Vec<Id> {
        let mut ids = facts::base_children(&self.config, kind, parent);
        if let Some(added) = self.stores[kind as usize].added.get(&parent) {
            ids.extend_from_slice(added);
        }
        ids.retain(|id| self.exists(kind, *id));
        ids
    }

    /// A field that was changed, as text.
    pub fn changed_text(&self, kind: Kind, id: Id, field: &str) -> Option<&str> {
        self.over(kind, id)?.patch.get(field)?.as_str()
    }

    /// Writes a record.
    pub fn render(&self, buf: &mut Vec<u8>, kind: Kind, id: Id, context: &Context) {
        let over = self.over(kind, id);
        let mut rec = Rec::new(buf, context.fields, over.map(|o| &o.patch));
        let blank = over.is_some_and(|o| o.blank);
        match kind {
            Kind::Customers => customers::write(self, &mut rec, id, blank, context),
            Kind::Products => products::write(self, &mut rec, id, blank, context),
            Kind::Variations => variations::write(self, &mut rec, id, blank, context),
            Kind::Orders => orders::write(self, &mut rec, id, blank, context),
            Kind::Refunds => refunds::write(self, &mut rec, id, blank, context),
            Kind::Categories => categories::write(self, &mut rec, id, blank, context),
        }
        rec.end();
    }

    /// A record as a value.
    pub fn value(&self, kind: Kind, id: Id, site: &str, fields: Option<&[String]>) -> Value {
        let mut escaped = Vec::new();
        json::escape(&mut escaped, site);
        let site = String::from_utf8(escaped).unwrap_or_default();
        let version = self.config.version;
        let links = fields.is_none();
        let context = Context {
            site: &site,
            version,
            fields,
            links,
            global: false,
        };
        let mut buf = Vec::new();
        self.render(&mut buf, kind, id, &context);
        serde_json::from_slice(&buf).unwrap_or_default()
    }

    /// One field of a record as it is now.
    pub fn field(&self, kind: Kind, id: Id, field: &str) -> Value {
        let fields = [field.to_owned()];
        self.value(kind, id, "", Some(&fields))
            .get_mut(field)
            .map(Value::take)
            .unwrap_or_default()
    }
}

/// Fields that lists are filtered by, without writing whole records.
impl Data {
    /// A user's address.
    pub fn email(&self, id: Id) -> String {
        let changed = self.changed_text(Kind::Customers, id, "email");
        changed.map_or_else(|| customers::email(id), str::to_owned)
    }

    /// The user who has an address: seeded ones are found without a search.
    pub fn by_email(&self, email: &str) -> Option<Id> {
        let seeded = customers::id_of(email).filter(|id| self.exists(Kind::Customers, *id));
        let seeded = seeded.filter(|id| self.email(*id).eq_ignore_ascii_case(email));
        let changed = || self.stores[Kind::Customers as usize].over.keys().copied();
        seeded.or_else(|| changed().find(|id| self.email(*id).eq_ignore_ascii_case(email)))
    }

    /// A product's or variation's SKU.
    pub fn sku(&self, kind: Kind, id: Id) -> String {
        match kind {
            Kind::Products => products::sku(self, id),
            _ => self
                .field(kind, id, "sku")
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// The user who ordered, or 0.
    pub fn customer(&self, order: Id) -> Id {
        orders::customer(self, order)
    }
}
