//! Models and their fields, as `fields_get` tells of them.

mod base;
mod partner;
mod product;
mod purchase;
mod sale;
mod stock;

pub use partner::TYPES_19 as PARTNER_TYPES;

use crate::odoo::config::Version;

/// The models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Model {
    Partner,
    Template,
    Product,
    Category,
    Sale,
    SaleLine,
    Purchase,
    PurchaseLine,
    Warehouse,
    Picking,
    Move,
    Quant,
    Company,
    Currency,
    User,
    Location,
    PickingType,
    Country,
    State,
    Tag,
    Unit,
    Attribute,
    AttributeValue,
    Tax,
    Team,
    Term,
    ApiKey,
}

/// What is known of a model, by its place in `Model::ALL`.
const NAMES: [(&str, &str); Model::COUNT] = [
    ("res.partner", "Contact"),
    ("product.template", "Product"),
    ("product.product", "Product Variant"),
    ("product.category", "Product Category"),
    ("sale.order", "Sales Order"),
    ("sale.order.line", "Sales Order Line"),
    ("purchase.order", "Purchase Order"),
    ("purchase.order.line", "Purchase Order Line"),
    ("stock.warehouse", "Warehouse"),
    ("stock.picking", "Transfer"),
    ("stock.move", "Stock Move"),
    ("stock.quant", "Quants"),
    ("res.company", "Companies"),
    ("res.currency", "Currency"),
    ("res.users", "User"),
    ("stock.location", "Inventory Locations"),
    ("stock.picking.type", "Picking Type"),
    ("res.country", "Country"),
    ("res.country.state", "Country state"),
    ("res.partner.category", "Partner Tags"),
    ("uom.uom", "Product Unit of Measure"),
    ("product.attribute", "Product Attribute"),
    (
        "product.template.attribute.value",
        "Product Template Attribute Value",
    ),
    ("account.tax", "Tax"),
    ("crm.team", "Sales Team"),
    ("account.payment.term", "Payment Terms"),
    ("res.users.apikeys", "Users API Keys"),
];

impl Model {
    pub const COUNT: usize = 27;

    pub const ALL: [Self; Self::COUNT] = [
        Self::Partner,
        Self::Template,
        Self::Product,
        Self::Category,
        Self::Sale,
        Self::SaleLine,
        Self::Purchase,
        Self::PurchaseLine,
        Self::Warehouse,
        Self::Picking,
        Self::Move,
        Self::Quant,
        Self::Company,
        Self::Currency,
        Self::User,
        Self::Location,
        Self::PickingType,
        Self::Country,
        Self::State,
        Self::Tag,
        Self::Unit,
        Self::Attribute,
        Self::AttributeValue,
        Self::Tax,
        Self::Team,
        Self::Term,
        Self::ApiKey,
    ];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }

    pub fn name(self) -> &'static str {
        NAMES[self as usize].0
    }

    /// How the model is called in messages.
    pub fn label(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The field that says which record of which model a record is a part of.
    pub fn owner(self) -> Option<(&'static str, Self)> {
        match self {
            Self::Partner | Self::Category => Some(("parent_id", self)),
            Self::Product | Self::AttributeValue => Some(("product_tmpl_id", Self::Template)),
            Self::SaleLine => Some(("order_id", Self::Sale)),
            Self::PurchaseLine => Some(("order_id", Self::Purchase)),
            Self::Move => Some(("picking_id", Self::Picking)),
            Self::Quant => Some(("product_id", Self::Product)),
            _ => None,
        }
    }

    /// What goes when a record goes.
    pub fn parts(self) -> &'static [Self] {
        match self {
            Self::Template => &[Self::Product, Self::AttributeValue],
            Self::Product => &[Self::Quant],
            Self::Category => &[Self::Category],
            Self::Sale => &[Self::SaleLine],
            Self::Purchase => &[Self::PurchaseLine],
            Self::Picking => &[Self::Move],
            _ => &[],
        }
    }

    /// The order of a list when none is asked for.
    pub fn order(self) -> &'static str {
        match self {
            Self::Partner => "complete_name asc, id desc",
            Self::Template | Self::Category => "name asc, id asc",
            Self::Product => "default_code asc, id asc",
            Self::Sale => "date_order desc, id desc",
            Self::SaleLine => "order_id asc, sequence asc, id asc",
            Self::Picking => "priority desc, scheduled_date asc, id desc",
            _ => "id asc",
        }
    }

    /// The fields that a version has.
    pub fn fields(self, version: Version) -> impl Iterator<Item = &'static Field> {
        let own = self.table().iter().chain(base::COMMON);
        own.filter(move |f| f.from <= version && version <= f.to)
    }

    /// A field by its name.
    pub fn field(self, version: Version, name: &str) -> Option<&'static Field> {
        self.fields(version).find(|f| f.name == name)
    }

    /// Whether records can be archived.
    pub fn archives(self) -> bool {
        self.table().iter().any(|f| f.name == "active")
    }

    /// Whether records may belong to a company.
    pub fn has_company(self) -> bool {
        self.table().iter().any(|f| f.name == "company_id")
    }

    fn table(self) -> &'static [Field] {
        match self {
            Self::Partner => partner::PARTNER,
            Self::Template => product::TEMPLATE,
            Self::Product => product::PRODUCT,
            Self::Category => product::CATEGORY,
            Self::Sale => sale::SALE,
            Self::SaleLine => sale::LINE,
            Self::Purchase => purchase::PURCHASE,
            Self::PurchaseLine => purchase::LINE,
            Self::Warehouse => stock::WAREHOUSE,
            Self::Picking => stock::PICKING,
            Self::Move => stock::MOVE,
            Self::Quant => stock::QUANT,
            Self::Location => stock::LOCATION,
            Self::PickingType => stock::PICKING_TYPE,
            Self::Company => base::COMPANY,
            Self::Currency => base::CURRENCY,
            Self::User => base::USER,
            Self::Country => base::COUNTRY,
            Self::State => base::STATE,
            Self::Tag | Self::Attribute | Self::Team | Self::Term => base::NAMED,
            Self::Unit => base::UNIT,
            Self::AttributeValue => product::ATTRIBUTE_VALUE,
            Self::Tax => base::TAX,
            Self::ApiKey => base::API_KEY,
        }
    }
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Char,
    Text,
    Html,
    Bool,
    Int,
    Float,
    Money,
    Date,
    Datetime,
    Select(&'static [(&'static str, &'static str)]),
    /// The model's name: not every one is simulated.
    One(&'static str),
    Children(&'static str),
    Many(&'static str),
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Char => "char",
            Self::Text => "text",
            Self::Html => "html",
            Self::Bool => "boolean",
            Self::Int => "integer",
            Self::Float => "float",
            Self::Money => "monetary",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::Select(_) => "selection",
            Self::One(_) => "many2one",
            Self::Children(_) => "one2many",
            Self::Many(_) => "many2many",
        }
    }

    pub fn relation(self) -> Option<&'static str> {
        match self {
            Self::One(name) | Self::Children(name) | Self::Many(name) => Some(name),
            _ => None,
        }
    }
}

/// A field of a model.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub kind: Kind,
    pub required: bool,
    pub readonly: bool,
    pub stored: bool,
    pub by_company: bool,
    /// Made by an administrator, not by an app.
    pub custom: bool,
    /// For administrators alone.
    pub restricted: bool,
    /// The versions that have it.
    pub from: Version,
    pub to: Version,
}

const fn f(name: &'static str, label: &'static str, kind: Kind) -> Field {
    Field {
        name,
        label,
        kind,
        required: false,
        readonly: false,
        stored: true,
        by_company: false,
        custom: false,
        restricted: false,
        from: Version::V17,
        to: Version::V19,
    }
}

impl Field {
    const fn req(mut self) -> Self {
        self.required = true;
        self
    }

    const fn ro(mut self) -> Self {
        self.readonly = true;
        self
    }

    /// Computed whenever it is read.
    const fn live(mut self) -> Self {
        self.stored = false;
        self
    }

    const fn per_company(mut self) -> Self {
        self.by_company = true;
        self
    }

    const fn studio(mut self) -> Self {
        self.custom = true;
        self
    }

    const fn guarded(mut self) -> Self {
        self.restricted = true;
        self
    }

    /// Version 17 has it, and none after.
    const fn v17(mut self) -> Self {
        self.to = Version::V17;
        self
    }

    /// Gone with version 19.
    const fn old(mut self) -> Self {
        self.to = Version::V18;
        self
    }

    /// Came with version 18.
    const fn v18(mut self) -> Self {
        self.from = Version::V18;
        self
    }

    /// Came with version 19.
    const fn v19(mut self) -> Self {
        self.from = Version::V19;
        self
    }
}
