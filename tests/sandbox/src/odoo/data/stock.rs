//! Warehouses, transfers, moves, and what lies where.

use super::facts::{self, hash, Source};
use super::val::SECOND;
use super::{document, product, purchase, sale, Data, Id, Look, Model, Val};
use crate::odoo::config::Version;

/// Locations outside of the company's own.
const VENDORS: Id = 4;
const CUSTOMERS: Id = 5;
/// Locations of a warehouse: the view, and the stock in it.
const VIEW: Id = 100;
const STOCK: Id = 101;
const SHELF: Id = 102;

pub fn view_of(warehouse: Id) -> Id {
    VIEW + 10 * warehouse
}

pub fn stock_of(warehouse: Id) -> Id {
    STOCK + 10 * warehouse
}

pub fn incoming(warehouse: Id) -> Id {
    warehouse * 3 - 2
}

fn outgoing(warehouse: Id) -> Id {
    warehouse * 3 - 1
}

/// The first warehouse of a company.
pub fn warehouse_of(data: &Data, company: Id) -> Option<Id> {
    let all = 1..=data.config.warehouses;
    all.into_iter().find(|w| data.company_at(w - 1) == company)
}

/// All locations, ascending.
pub fn locations(warehouses: u32) -> Vec<Id> {
    let own = (1..=warehouses).flat_map(|w| [view_of(w), stock_of(w), SHELF + 10 * w]);
    [VENDORS, CUSTOMERS].into_iter().chain(own).collect()
}

pub fn is_active(data: &Data, id: Id) -> bool {
    let last = data.config.warehouses;
    !(last >= 3 && id == last) || data.is_new(Model::Warehouse, id)
}

pub fn warehouse<'a>(data: &'a Data, id: Id, field: &str) -> Val<'a> {
    let company = data.company_at(id - 1);
    match field {
        "name" if data.is_blank(Model::Warehouse, id) => Val::No,
        "name" if id == 1 => Val::text("YourCompany"),
        "name" => Val::text(format!("Lager {id} – Łódź")),
        "code" => Val::text(if id == 1 {
            "WH".to_owned()
        } else {
            format!("WH{id}")
        }),
        "company_id" => Val::One(Model::Company, company),
        "partner_id" => Val::One(Model::Partner, company),
        "lot_stock_id" => Val::One(Model::Location, stock_of(id)),
        "view_location_id" => Val::One(Model::Location, view_of(id)),
        "sequence" => Val::Int(10),
        "reception_steps" => Val::text(if id == 2 { "two_steps" } else { "one_step" }),
        "delivery_steps" => Val::text("ship_only"),
        "x_studio_dock" if id.is_multiple_of(2) => Val::text("Tor 4"),
        _ => Val::No,
    }
}

pub fn location<'a>(data: &'a Data, id: Id, field: &str) -> Val<'a> {
    let warehouse = (id >= VIEW + 10).then(|| (id - VIEW) / 10);
    let code = |w: Id| {
        data.get(&Look::all(&data.config), Model::Warehouse, w, "code")
            .into_text()
    };
    let place = |w: Id| id - 10 * w;
    match (field, warehouse) {
        ("complete_name", None) => Val::text(match id {
            VENDORS => "Partners/Vendors",
            _ => "Partners/Customers",
        }),
        ("name", None) => Val::text(if id == VENDORS { "Vendors" } else { "Customers" }),
        ("usage", None) => Val::text(if id == VENDORS { "supplier" } else { "customer" }),
        ("complete_name", Some(w)) => Val::text(match place(w) {
            VIEW => code(w),
            STOCK => format!("{}/Stock", code(w)),
            _ => format!("{}/Stock/Shelf", code(w)),
        }),
        ("name", Some(w)) => Val::text(match place(w) {
            VIEW => code(w),
            STOCK => "Stock".to_owned(),
            _ => "Shelf".to_owned(),
        }),
        ("usage", Some(w)) => Val::text(if place(w) == VIEW { "view" } else { "internal" }),
        ("location_id", Some(w)) => match place(w) {
            VIEW => Val::No,
            STOCK => Val::One(Model::Location, view_of(w)),
            _ => Val::One(Model::Location, stock_of(w)),
        },
        ("warehouse_id", Some(w)) => Val::One(Model::Warehouse, w),
        ("company_id", Some(w)) => Val::One(Model::Company, data.company_at(w - 1)),
        _ => Val::No,
    }
}

pub fn picking_type<'a>(data: &'a Data, look: &Look, id: Id, field: &str) -> Val<'a> {
    let (warehouse, which) = (id.div_ceil(3), (id + 2) % 3);
    match field {
        "name" => Val::text(["Receipts", "Delivery Orders", "Internal Transfers"][which as usize]),
        "code" => Val::text(["incoming", "outgoing", "internal"][which as usize]),
        "warehouse_id" => Val::One(Model::Warehouse, warehouse),
        "company_id" => data.get(look, Model::Warehouse, warehouse, "company_id").owned(),
        _ => Val::No,
    }
}

/// `YourCompany: Receipts`.
pub fn type_label(data: &Data, look: &Look, id: Id) -> String {
    let warehouse = data.label(look, Model::Warehouse, id.div_ceil(3));
    let name = data.get(look, Model::PickingType, id, "name").into_text();
    format!("{warehouse}: {name}")
}

/// What a transfer is for; one that was added says it in its own fields.
fn source(data: &Data, id: Id) -> Source {
    if !data.is_new(Model::Picking, id) {
        return facts::source(id);
    }
    match data.patched(Model::Picking, id, "sale_id").and_then(Val::id) {
        Some(sale) => Source::Sale(sale),
        None => match data.patched(Model::Picking, id, "purchase_id").and_then(Val::id) {
            Some(purchase) => Source::Purchase(purchase),
            None => Source::Internal(id),
        },
    }
}

pub fn picking<'a>(data: &'a Data, look: &Look, id: Id, field: &str) -> Val<'a> {
    let source = source(data, id);
    let company = || data.get(look, Model::Picking, id, "company_id").id().unwrap_or(1);
    let warehouse = || warehouse_of(data, company()).unwrap_or(1);
    let place = |here: bool| {
        Val::One(
            Model::Location,
            if here {
                stock_of(warehouse())
            } else {
                outside(source)
            },
        )
    };
    let is_in = matches!(source, Source::Purchase(_));
    match field {
        "name" => {
            let kind = match source {
                Source::Sale(_) => "OUT",
                Source::Purchase(_) => "IN",
                Source::Internal(_) => "INT",
            };
            Val::text(format!("WH/{kind}/{id:05}"))
        }
        // As they were when the transfer was made, whatever became of its document.
        "origin" => match source {
            Source::Sale(sale) => Val::text(format!("S{sale:05}")),
            Source::Purchase(purchase) => Val::text(format!("P{purchase:05}")),
            Source::Internal(_) => Val::No,
        },
        "partner_id" => match source {
            Source::Sale(sale) => sale::seeded_partner(data, sale),
            Source::Purchase(purchase) => purchase::seeded_partner(data, purchase),
            Source::Internal(_) => Val::No,
        },
        "company_id" => Val::One(
            Model::Company,
            match source {
                Source::Sale(sale) => sale::seeded_company(data, sale),
                Source::Purchase(purchase) => purchase::seeded_company(data, purchase),
                Source::Internal(_) => 1,
            },
        ),
        "sale_id" => match source {
            Source::Sale(sale) => Val::one(Model::Sale, data.exists(Model::Sale, sale).then_some(sale)),
            _ => Val::No,
        },
        "location_id" => place(!is_in),
        "location_dest_id" if matches!(source, Source::Internal(_)) => {
            Val::One(Model::Location, SHELF + 10 * warehouse())
        }
        "location_dest_id" => place(is_in),
        "picking_type_id" => Val::One(
            Model::PickingType,
            match source {
                Source::Sale(_) => outgoing(warehouse()),
                Source::Purchase(_) => incoming(warehouse()),
                Source::Internal(_) => warehouse() * 3,
            },
        ),
        "picking_type_code" => {
            let kind = data.get(look, Model::Picking, id, "picking_type_id").id();
            kind.map_or(Val::No, |k| data.get(look, Model::PickingType, k, "code").owned())
        }
        "move_ids" => Val::Ids(data.parts(Model::Move, id)),
        "state" if data.is_new(Model::Picking, id) => Val::text("assigned"),
        "state" => Val::text(["done", "assigned", "confirmed", "done"][(seed(data, id) & 3) as usize]),
        "date_done" => {
            let done = data.get(look, Model::Picking, id, "state").as_text() == "done";
            let at = data.created(Model::Picking, id) + 5400 * SECOND;
            if done {
                Val::Time(at)
            } else {
                Val::No
            }
        }
        "scheduled_date" => Val::Time(data.created(Model::Picking, id) + 3600 * SECOND),
        "date_deadline" if seed(data, id) >> 4 & 1 == 0 => Val::Time(data.created(Model::Picking, id)),
        "priority" => Val::text(if seed(data, id) >> 8 & 7 == 0 { "1" } else { "0" }),
        "move_type" => Val::text("direct"),
        "backorder_id" => match source {
            Source::Internal(j) if j % 11 == 5 && !data.is_new(Model::Picking, id) => Val::one(
                Model::Picking,
                data.exists(Model::Picking, id - 3).then(|| id - 3),
            ),
            _ => Val::No,
        },
        "user_id" if seed(data, id) >> 12 & 1 == 0 => Val::One(Model::User, data.a_user()),
        "carrier_tracking_ref" if seed(data, id) >> 14 & 3 == 0 => Val::text(format!("1Z{id:08}")),
        "x_studio_truck" if seed(data, id) >> 16 & 3 == 0 => Val::text("Wagen 7"),
        _ => Val::No,
    }
}

fn outside(source: Source) -> Id {
    match source {
        Source::Purchase(_) => VENDORS,
        _ => CUSTOMERS,
    }
}

fn seed(data: &Data, id: Id) -> u64 {
    hash(data.config.seed, Model::Picking, id)
}

/// The line of an order that a move carries out.
fn line_of(data: &Data, id: Id) -> Option<(Model, Id)> {
    let field = |field| data.patched(Model::Move, id, field).and_then(Val::id);
    if data.is_new(Model::Move, id) {
        let sold = field("sale_line_id").map(|l| (Model::SaleLine, l));
        return sold.or(field("purchase_line_id").map(|l| (Model::PurchaseLine, l)));
    }
    let k = id % facts::LINES;
    let (model, line) = match facts::source(id / facts::LINES) {
        Source::Sale(sale) => (Model::SaleLine, sale * facts::LINES + k),
        Source::Purchase(purchase) => (Model::PurchaseLine, purchase * facts::LINES + k),
        Source::Internal(_) => return None,
    };
    Some((model, line))
}

/// The moves that carry out a line.
pub fn moves_of_line(data: &Data, line_model: Model, line: Id) -> Vec<Id> {
    let Some((_, of)) = line_model.owner() else {
        return Vec::new();
    };
    let look = Look::all(&data.config);
    let document = data.owner(line_model, line);
    let Some(Val::Ids(pickings)) = document.map(|d| data.get(&look, of, d, "picking_ids")) else {
        return Vec::new();
    };
    let moves = pickings.iter().flat_map(|p| data.parts(Model::Move, *p));
    moves
        .filter(|m| line_of(data, *m) == Some((line_model, line)))
        .collect()
}

pub fn moves<'a>(data: &'a Data, look: &Look, id: Id, field: &'a str) -> Val<'a> {
    let picking = data.owner(Model::Move, id);
    let of_picking =
        |field: &'static str| picking.map_or(Val::No, |p| data.get(look, Model::Picking, p, field));
    let line = line_of(data, id);
    match field {
        // Up to 18 a move keeps the text it was made with. From 19 on it shows the product's, as that is called now, unless
        // it was given one of its own.
        "description_picking_manual" => data
            .patched(Model::Move, id, "description_picking")
            .map_or(Val::No, Val::borrowed),
        "name" | "description_picking" if data.version() < Version::V19 && !data.is_new(Model::Move, id) => {
            let (model, of) = line.unwrap_or((Model::Move, id));
            product::seeded_name(data, facts::line_template(&data.config, model, of))
        }
        "name" | "description_picking" => {
            let goods = data.get(look, Model::Move, id, "product_id").id();
            Val::text(goods.map_or(String::new(), |p| data.label(look, Model::Product, p)))
        }
        "reference" => of_picking("name").owned(),
        "origin" | "company_id" | "location_id" | "location_dest_id" => of_picking(field_of(field)).owned(),
        "date" => of_picking("scheduled_date"),
        "sequence" => Val::Int(10),
        "product_uom" => Val::One(Model::Unit, 1),
        "state" => match of_picking("state").as_text() {
            "" => Val::text("draft"),
            state => Val::text(state.to_owned()),
        },
        "picked" => Val::Bool(data.get(look, Model::Move, id, "state").as_text() == "done"),
        "quantity" => match data.get(look, Model::Move, id, "state").as_text() {
            "done" | "assigned" => data.get(look, Model::Move, id, "product_uom_qty").owned(),
            _ => Val::Num(0.0),
        },
        "product_uom_qty" => match line {
            Some((model, l)) => Val::Num(document::seeded_quantity(data, model, l)),
            None => Val::Num((hash(data.config.seed, Model::Move, id) & 15) as f64 + 1.0),
        },
        "product_id" => match line {
            Some((model, l)) => Val::one(Model::Product, document::seeded_product(data, model, l)),
            None => {
                let template = facts::line_template(&data.config, Model::Move, id);
                let first = facts::first_variant(&data.config, template);
                Val::one(
                    Model::Product,
                    data.exists(Model::Product, first).then_some(first),
                )
            }
        },
        "sale_line_id" => match line {
            Some((Model::SaleLine, l)) => {
                Val::one(Model::SaleLine, data.exists(Model::SaleLine, l).then_some(l))
            }
            _ => Val::No,
        },
        "purchase_line_id" => match line {
            Some((Model::PurchaseLine, l)) => Val::one(
                Model::PurchaseLine,
                data.exists(Model::PurchaseLine, l).then_some(l),
            ),
            _ => Val::No,
        },
        _ => Val::No,
    }
}

fn field_of(field: &str) -> &'static str {
    match field {
        "origin" => "origin",
        "company_id" => "company_id",
        "location_id" => "location_id",
        _ => "location_dest_id",
    }
}

/// `Stock > Customers` with the reference.
pub fn move_label(data: &Data, look: &Look, id: Id) -> String {
    let text = |field| match data.get(look, Model::Move, id, field) {
        Val::One(model, id) => data.get(look, model, id, "name").into_text(),
        other => other.into_text(),
    };
    let way = format!("{} > {}", text("location_id"), text("location_dest_id"));
    format!("{}/{}: {way}", text("origin"), text("reference"))
}

pub fn quant<'a>(data: &'a Data, look: &Look, id: Id, field: &str) -> Val<'a> {
    let of = |field| data.get(look, Model::Quant, id, field);
    match field {
        "product_tmpl_id" => {
            let product = data.owner(Model::Quant, id);
            Val::one(
                Model::Template,
                product.and_then(|p| data.owner(Model::Product, p)),
            )
        }
        "location_id" => Val::One(
            Model::Location,
            match id % facts::QUANTS {
                1 => stock_of(2),
                2 => CUSTOMERS,
                _ => stock_of(1),
            },
        ),
        "warehouse_id" | "company_id" => {
            let place = of("location_id").id().unwrap_or_default();
            location(
                data,
                place,
                if field == "company_id" {
                    "company_id"
                } else {
                    "warehouse_id"
                },
            )
        }
        "quantity" => Val::Num((hash(data.config.seed, Model::Quant, id) >> 8 & 127) as f64),
        "reserved_quantity" => Val::Num(0.0),
        "available_quantity" => Val::Num(of("quantity").num() - of("reserved_quantity").num()),
        "in_date" => Val::Time(data.created(Model::Quant, id)),
        _ => Val::No,
    }
}

pub fn quant_label(data: &Data, look: &Look, id: Id) -> String {
    let place = data.get(look, Model::Quant, id, "location_id").id();
    place.map_or(String::new(), |p| data.label(look, Model::Location, p))
}
