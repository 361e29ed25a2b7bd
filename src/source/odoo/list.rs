//! Odoo's listings: the models behind them, the fields that are read of each, and what else tells that a
//! record has changed.

use crate::core::{EntityType, Listing};
use crate::error::{Code, Error, Result};

/// A model whose rows are (a part of) records, and the fields wanted of it where it has them.
#[derive(Debug)]
pub(super) struct Model {
    pub name: &'static str,
    pub fields: &'static [&'static str],
}

static PARTNERS: Model = Model {
    name: "res.partner",
    fields: &[
        "name",
        "email",
        "phone",
        "mobile",
        "is_company",
        "vat",
        "type",
        "category_id",
        "commercial_company_name",
        "parent_id",
        "street",
        "street2",
        "city",
        "zip",
        "state_id",
        "country_id",
        "country_code",
        "company_id",
        "active",
        "create_date",
        "write_date",
    ],
};

static PRODUCTS: Model = Model {
    name: "product.product",
    fields: &[
        "name",
        "default_code",
        "barcode",
        "type",
        "is_storable",
        "description_sale",
        "lst_price",
        "currency_id",
        "weight",
        "categ_id",
        "product_tmpl_id",
        "product_template_attribute_value_ids",
        "qty_available",
        "company_id",
        "active",
        "create_date",
        "write_date",
    ],
};

static CATEGORIES: Model = Model {
    name: "product.category",
    fields: &["name", "parent_id", "write_date"],
};

static WAREHOUSES: Model = Model {
    name: "stock.warehouse",
    fields: &[
        "code",
        "name",
        "company_id",
        "partner_id",
        "lot_stock_id",
        "reception_steps",
        "delivery_steps",
        "active",
        "create_date",
        "write_date",
    ],
};

static SALES: Model = Model {
    name: "sale.order",
    fields: &[
        "name",
        "state",
        "currency_id",
        "partner_id",
        "client_order_ref",
        "partner_invoice_id",
        "partner_shipping_id",
        "origin",
        "company_id",
        "warehouse_id",
        "user_id",
        "team_id",
        "amount_untaxed",
        "amount_tax",
        "amount_total",
        "date_order",
        "validity_date",
        "commitment_date",
        "invoice_status",
        "delivery_status",
        "payment_term_id",
        "note",
        "create_date",
        "write_date",
    ],
};

static PURCHASES: Model = Model {
    name: "purchase.order",
    fields: &[
        "name",
        "state",
        "currency_id",
        "partner_id",
        "partner_ref",
        "origin",
        "company_id",
        "picking_type_id",
        "user_id",
        "amount_untaxed",
        "amount_tax",
        "amount_total",
        "date_order",
        "date_approve",
        "date_planned",
        "invoice_status",
        "receipt_status",
        "payment_term_id",
        // the same, after and before version 19
        "note",
        "notes",
        "create_date",
        "write_date",
    ],
};

static TRANSFERS: Model = Model {
    name: "stock.picking",
    fields: &[
        "name",
        "state",
        "picking_type_id",
        "picking_type_code",
        "partner_id",
        "origin",
        "company_id",
        "location_id",
        "location_dest_id",
        "backorder_id",
        "user_id",
        "priority",
        "carrier_tracking_ref",
        "scheduled_date",
        "date_deadline",
        "date_done",
        "note",
        "create_date",
        "write_date",
    ],
};

static SALE_LINES: Model = Model {
    name: "sale.order.line",
    fields: &[
        "order_id",
        "name",
        "product_id",
        "product_uom_qty",
        "qty_delivered",
        "qty_invoiced",
        "price_unit",
        "discount",
        "price_subtotal",
        "price_tax",
        "price_total",
        // the same, before and from version 19 on
        "product_uom",
        "product_uom_id",
    ],
};

static PURCHASE_LINES: Model = Model {
    name: "purchase.order.line",
    fields: &[
        "order_id",
        "name",
        "product_id",
        "product_qty",
        "qty_received",
        "qty_invoiced",
        "price_unit",
        "discount",
        "price_subtotal",
        "price_tax",
        "price_total",
        "date_planned",
        "product_uom",
        "product_uom_id",
    ],
};

static MOVES: Model = Model {
    name: "stock.move",
    fields: &[
        "picking_id",
        "name",
        "description_picking",
        // from version 19 on, where the one above is made up from the product
        "description_picking_manual",
        "state",
        "product_id",
        "product_uom_qty",
        // what was done: until version 16, and since
        "quantity_done",
        "quantity",
        "product_uom",
    ],
};

/// The model behind an entity type.
pub(super) fn model(entity: EntityType) -> &'static Model {
    match entity {
        EntityType::Customers => &PARTNERS,
        EntityType::Products => &PRODUCTS,
        EntityType::Categories => &CATEGORIES,
        EntityType::Warehouses => &WAREHOUSES,
        EntityType::Orders | EntityType::Sales => &SALES,
        EntityType::Purchases => &PURCHASES,
        EntityType::Transfers => &TRANSFERS,
    }
}

/// The model of an entity type's lines, and its field that names the document.
pub(super) fn lines(entity: EntityType) -> Option<(&'static Model, &'static str)> {
    match entity {
        EntityType::Orders | EntityType::Sales => Some((&SALE_LINES, "order_id")),
        EntityType::Purchases => Some((&PURCHASE_LINES, "order_id")),
        EntityType::Transfers => Some((&MOVES, "picking_id")),
        _ => None,
    }
}

/// What a record shows of another one that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    Id,
    /// The id, as the only one of a list.
    Ids,
    Label,
    /// The company that a contact belongs to, by its name.
    Company,
}

/// A reference that may be emptied, or replaced, without the record's date changing: by the database, where what it names is
/// deleted, or by a merge. Those that are required can't be; what they name can't be deleted either.
#[derive(Debug)]
pub(super) struct Named {
    pub ours: &'static str,
    pub theirs: &'static str,
    model: &'static str,
    pub shows: Shows,
}

impl Named {
    /// The model's fields that tell it.
    pub fn fields(&self) -> Vec<&'static str> {
        match self.shows {
            Shows::Company => vec![self.theirs, "commercial_company_name"],
            _ => vec![self.theirs],
        }
    }
}

const fn named_one(ours: &'static str, theirs: &'static str, model: &'static str, shows: Shows) -> Named {
    Named {
        ours,
        theirs,
        model,
        shows,
    }
}

const fn contact(ours: &'static str, theirs: &'static str) -> Named {
    named_one(ours, theirs, "res.partner", Shows::Id)
}

const INVOICE: Named = contact("invoice_partner_external_id", "partner_invoice_id");
const SHIPPING: Named = contact("shipping_partner_external_id", "partner_shipping_id");
const PARTNER: Named = contact("partner_external_id", "partner_id");
const RESPONSIBLE: Named = named_one("responsible_external_id", "user_id", "res.users", Shows::Id);
const TEAM: Named = named_one("team_name", "team_id", "crm.team", Shows::Label);
const TERM: Named = named_one(
    "payment_term",
    "payment_term_id",
    "account.payment.term",
    Shows::Label,
);

static BY_CUSTOMERS: &[Named] = &[named_one(
    "billing_company",
    "parent_id",
    "res.partner",
    Shows::Company,
)];
static BY_PRODUCTS: &[Named] = &[named_one(
    "category_ids",
    "categ_id",
    "product.category",
    Shows::Ids,
)];
static BY_ORDERS: &[Named] = &[contact("customer_external_id", "partner_id"), INVOICE, SHIPPING];
static BY_SALES: &[Named] = &[PARTNER, INVOICE, SHIPPING, RESPONSIBLE, TEAM, TERM];
static BY_PURCHASES: &[Named] = &[PARTNER, RESPONSIBLE, TERM];
static BY_TRANSFERS: &[Named] = &[
    PARTNER,
    RESPONSIBLE,
    named_one(
        "backorder_of_external_id",
        "backorder_id",
        "stock.picking",
        Shows::Id,
    ),
];
static BY_WAREHOUSES: &[Named] = &[PARTNER];

/// What records of a type name.
pub(super) fn named(entity: EntityType) -> &'static [Named] {
    match entity {
        EntityType::Customers => BY_CUSTOMERS,
        EntityType::Products => BY_PRODUCTS,
        EntityType::Orders => BY_ORDERS,
        EntityType::Sales => BY_SALES,
        EntityType::Purchases => BY_PURCHASES,
        EntityType::Transfers => BY_TRANSFERS,
        EntityType::Warehouses => BY_WAREHOUSES,
        // a category goes with the one above it
        EntityType::Categories => &[],
    }
}

/// The models to watch for what is gone; the records' own is counted anyway.
pub(super) fn watched(entity: EntityType) -> Vec<&'static str> {
    let own = model(entity).name;
    let mut models: Vec<&str> = named(entity).iter().map(|named| named.model).collect();
    models.retain(|model| *model != own);
    models.sort_unstable();
    models.dedup();
    models
}

/// Whether there are few rows of a model as a rule.
pub(super) fn is_small(model: &str) -> bool {
    matches!(
        model,
        "product.category" | "crm.team" | "account.payment.term" | "res.users"
    )
}

/// The field in which a document of that type holds the ids of its lines.
pub(super) fn line_ids(entity: EntityType) -> Option<&'static str> {
    match entity {
        EntityType::Orders | EntityType::Sales | EntityType::Purchases => Some("order_line"),
        EntityType::Transfers => Some("move_ids"),
        _ => None,
    }
}

/// Rows of another model whose change is a change of records, though it leaves their `write_date` as it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Satellite {
    pub list: &'static str,
    pub model: &'static str,
    /// Its field that leads to the records.
    pub link: &'static str,
    /// The records' field that it leads to.
    pub field: &'static str,
}

const fn satellite(
    list: &'static str,
    model: &'static str,
    link: &'static str,
    field: &'static str,
) -> Satellite {
    Satellite {
        list,
        model,
        link,
        field,
    }
}

static OF_PRODUCTS: &[Satellite] = &[
    satellite("templates", "product.template", "id", "product_tmpl_id"),
    // what a variant costs more
    satellite(
        "attribute values",
        "product.template.attribute.value",
        "product_tmpl_id",
        "product_tmpl_id",
    ),
    satellite("quants", "stock.quant", "product_id", "id"),
    // a quant that comes to nothing is deleted; the move that took it stays
    satellite("moves", "stock.move", "product_id", "id"),
];
static OF_SALES: &[Satellite] = &[satellite("lines", "sale.order.line", "order_id", "id")];
static OF_PURCHASES: &[Satellite] = &[satellite("lines", "purchase.order.line", "order_id", "id")];
static OF_TRANSFERS: &[Satellite] = &[satellite("moves", "stock.move", "picking_id", "id")];

/// What to watch beside an entity type's own model.
pub(super) fn satellites(entity: EntityType) -> &'static [Satellite] {
    match entity {
        EntityType::Products => OF_PRODUCTS,
        EntityType::Orders | EntityType::Sales => OF_SALES,
        EntityType::Purchases => OF_PURCHASES,
        EntityType::Transfers => OF_TRANSFERS,
        EntityType::Customers | EntityType::Categories | EntityType::Warehouses => &[],
    }
}

/// A listing that a task names.
#[derive(Debug, Clone, Copy)]
pub(super) enum List {
    /// The records themselves.
    Records(EntityType),
    Satellite(EntityType, &'static Satellite),
}

impl List {
    pub fn of(entity: EntityType, listing: &Listing) -> Result<Self> {
        let name = (listing.parent().is_none()).then(|| listing.name());
        if name == Some(entity.name()) {
            return Ok(List::Records(entity));
        }
        satellites(entity)
            .iter()
            .find(|satellite| name == Some(satellite.list))
            .map(|satellite| List::Satellite(entity, satellite))
            .ok_or_else(|| {
                let message = format!("{} have no listing \"{listing}\"", entity.name());
                Error::new(Code::Internal, message)
            })
    }

    /// The model whose rows it lists.
    pub fn model(&self) -> &'static str {
        match self {
            List::Records(entity) => model(*entity).name,
            List::Satellite(_, satellite) => satellite.model,
        }
    }
}
