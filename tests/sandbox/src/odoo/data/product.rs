//! Templates, variants, categories and the values of attributes.

use super::facts::{self, hash, index, variant_position};
use super::words::{pick, CATEGORIES, COLORS, GERMAN, PRODUCTS, SIZES};
use super::{base, Data, Id, Look, Model, Val};
use crate::odoo::config::Version;

const TMPL: Model = Model::Template;
const ME: Model = Model::Product;

pub fn is_active(data: &Data, model: Model, id: Id) -> bool {
    if model == TMPL {
        return data.is_new(TMPL, id) || index(id) % 29 != 11;
    }
    let template = data.owner(ME, id);
    let archived = template.is_some_and(|t| !data.is_new(TMPL, t) && !is_active(data, TMPL, t));
    // One variant that nobody buys.
    let unwanted = !data.is_new(ME, id) && variant_position(&data.config, id) == 2;
    !archived && !unwanted
}

/// `[CODE] Name (Red, S)`.
pub fn label(data: &Data, look: &Look, model: Model, id: Id) -> String {
    let code = data.get(look, model, id, "default_code").into_text();
    let mut label = data.get(look, model, id, "name").into_text();
    if model == ME {
        let values = value_ids(data, id).into_iter();
        let values: Vec<String> = values
            .map(|v| data.get(look, Model::AttributeValue, v, "name").into_text())
            .collect();
        if !values.is_empty() {
            label = format!("{label} ({})", values.join(", "));
        }
    }
    if code.is_empty() {
        label
    } else {
        format!("[{code}] {label}")
    }
}

/// The one variant of a template that has just one.
fn single(data: &Data, id: Id) -> Option<Id> {
    match data.parts(ME, id)[..] {
        [one] => Some(one),
        _ => None,
    }
}

/// The company whose currency a product's prices are in.
fn currency<'a>(data: &'a Data, look: &Look, company: &Val) -> Val<'a> {
    let company = company.id().or(look.companies.first().copied()).unwrap_or(1);
    base::get(data, Model::Company, company, "currency_id")
}

fn storable<'a>(data: &'a Data, look: &Look, id: Id) -> Val<'a> {
    Val::Bool(data.get(look, TMPL, id, "type").as_text() == "consu")
}

pub fn template<'a>(data: &'a Data, look: &Look, id: Id, field: &'a str) -> Val<'a> {
    match field {
        "product_variant_ids" => return Val::Ids(data.active_parts(ME, id)),
        "product_variant_count" => return Val::Int(data.active_parts(ME, id).len() as i64),
        "product_variant_id" => return Val::one(ME, data.active_parts(ME, id).first().copied()),
        "attribute_line_ids" => {
            let attributes = data.parts(Model::AttributeValue, id).len().min(2) as u32;
            return Val::Ids((0..attributes).map(|k| id * 2 + k).collect());
        }
        "default_code" | "barcode" | "standard_price" => {
            let one = single(data, id).map(|v| data.get(look, ME, v, field));
            let none = if field == "standard_price" {
                Val::Num(0.0)
            } else {
                Val::No
            };
            return one.unwrap_or(none);
        }
        "qty_available" | "virtual_available" => {
            let all = data.parts(ME, id).into_iter();
            return Val::Num(all.map(|v| on_hand(data, look, v).0).fold(0.0, |a, b| a + b));
        }
        "currency_id" | "cost_currency_id" => {
            let company = data.get(look, TMPL, id, "company_id");
            return currency(data, look, &company);
        }
        "detailed_type" => return data.get(look, TMPL, id, "type"),
        "is_storable" if data.is_blank(TMPL, id) => return Val::Bool(false),
        "is_storable" => return storable(data, look, id),
        "uom_id" => return Val::One(Model::Unit, 1),
        "taxes_id" => return Val::Ids(vec![1]),
        "sale_ok" => return Val::Bool(true),
        "purchase_ok" => return Val::Bool(id % 9 != 4),
        "name" if look.german && !data.is_blank(TMPL, id) && index(id).is_multiple_of(5) => {
            return name(data, id, &GERMAN);
        }
        _ => {}
    }
    if data.is_blank(TMPL, id) {
        return match field {
            "type" => Val::text("consu"),
            "list_price" => Val::Num(1.0),
            "weight" | "volume" => Val::Num(0.0),
            _ => Val::No,
        };
    }
    seeded(data, id, field)
}

fn name<'a>(data: &Data, id: Id, words: &[&'static str; 8]) -> Val<'a> {
    let h = hash(data.config.seed, TMPL, id);
    Val::text(format!("{} {:03}", pick(words, h), index(id)))
}

/// What a template was called at first.
pub fn seeded_name<'a>(data: &Data, id: Id) -> Val<'a> {
    name(data, id, &PRODUCTS)
}

fn seeded<'a>(data: &'a Data, id: Id, field: &str) -> Val<'a> {
    let (h, i) = (hash(data.config.seed, TMPL, id), index(id));
    match field {
        "name" => name(data, id, &PRODUCTS),
        "type" if facts::is_service(id) => Val::text("service"),
        "type" if data.version() == Version::V17 && i % 3 != 1 => Val::text("product"),
        "type" => Val::text("consu"),
        "list_price" => Val::cents((h >> 8 & 0xffff) as i64 + 100),
        "weight" => Val::Num((h >> 24 & 0xff) as f64 / 8.0),
        "volume" => Val::Num(0.0),
        "categ_id" => {
            let n = data.config.categories.max(1);
            let id = facts::id_at(1, (h >> 32) as u32 % n);
            Val::one(Model::Category, data.exists(Model::Category, id).then_some(id))
        }
        "company_id" if i % 40 == 20 => Val::One(Model::Company, data.company_at(i / 40)),
        "description_sale" if h >> 40 & 3 == 0 => Val::text("Zeile 1\nZeile 2 – €"),
        "description_purchase" if h >> 42 & 7 == 0 => Val::text("Ask for the <new> ones"),
        "description" if h >> 44 & 7 == 0 => Val::text("Internal"),
        "x_studio_material" if h >> 46 & 1 == 0 => Val::text(pick(&["Holz", "Stahl", "木"], h >> 48)),
        _ => Val::No,
    }
}

pub fn variant<'a>(data: &'a Data, look: &Look, id: Id, field: &'a str) -> Val<'a> {
    let template = data.owner(ME, id);
    match field {
        "name" | "description" | "description_sale" | "type" | "detailed_type" | "is_storable"
        | "categ_id" | "list_price" | "currency_id" | "sale_ok" | "purchase_ok" | "uom_id" | "company_id"
        | "x_studio_material" => {
            return template.map_or(Val::No, |t| data.get(look, TMPL, t, field));
        }
        "price_extra" => return Val::Num(extra(data, look, id)),
        "lst_price" => {
            let list = template.map_or(0.0, |t| data.get(look, TMPL, t, "list_price").num());
            // computed when it is asked for, and not rounded
            return Val::Num(list + extra(data, look, id));
        }
        "weight" | "volume" => {
            let own = template.filter(|_| !data.is_blank(ME, id));
            return own.map_or(Val::Num(0.0), |t| data.get(look, TMPL, t, field));
        }
        "product_template_attribute_value_ids" => return Val::Ids(value_ids(data, id)),
        "product_template_variant_value_ids" => return Val::Ids(value_ids(data, id)),
        "combination_indices" => {
            let ids: Vec<String> = value_ids(data, id).iter().map(Id::to_string).collect();
            return Val::text(ids.join(","));
        }
        "qty_available" | "virtual_available" => return Val::Num(on_hand(data, look, id).0),
        "free_qty" => {
            let (there, reserved) = on_hand(data, look, id);
            return Val::Num(there - reserved);
        }
        _ => {}
    }
    if data.is_blank(ME, id) {
        return match field {
            "standard_price" => Val::Num(0.0),
            _ => Val::No,
        };
    }
    let (h, template) = (hash(data.config.seed, ME, id), template.unwrap_or_default());
    match field {
        "default_code" => match h & 7 {
            0 | 1 => Val::No,
            2 => Val::text("DUP-SKU"),
            3 => Val::text(format!("{id:06}")),
            _ => Val::text(format!("SKU-{id:04}")),
        },
        "barcode" if h >> 3 & 1 == 0 => Val::text(format!("40{:011}", id)),
        "standard_price" => {
            let thousandths = (h >> 8 & 0x7_ffff) as f64;
            let price = match data.version() {
                Version::V19 => thousandths / 1000.0,
                _ => (thousandths / 10.0).floor() / 100.0,
            };
            Val::Num(price)
        }
        "x_studio_shelf" if h >> 30 & 1 == 0 => Val::text(format!("R{}-{}", template % 9, h >> 31 & 31)),
        _ => Val::No,
    }
}

/// The values of attributes that make a variant what it is.
fn value_ids(data: &Data, id: Id) -> Vec<Id> {
    if let Some(Val::Ids(ids)) = data.patched(ME, id, "product_template_attribute_value_ids") {
        return ids.clone();
    }
    let template = data
        .owner(ME, id)
        .filter(|t| !data.is_new(TMPL, *t) && !data.is_new(ME, id));
    let Some(template) = template else {
        return Vec::new();
    };
    let config = &data.config;
    let (k, first) = (variant_position(config, id), facts::first_value(config, template));
    let ids = match facts::variants(config, template) {
        0 | 1 => Vec::new(),
        6 => vec![first + k % 3, first + 3 + k / 3],
        _ => vec![first + k],
    };
    let there = |id: &Id| data.exists(Model::AttributeValue, *id);
    ids.into_iter().filter(there).collect()
}

fn extra(data: &Data, look: &Look, id: Id) -> f64 {
    let values = value_ids(data, id).into_iter();
    values
        .map(|v| data.get(look, Model::AttributeValue, v, "price_extra").num())
        .fold(0.0, |a, b| a + b)
}

/// What lies in the warehouses of the companies that are switched on, and how much of it is promised.
fn on_hand(data: &Data, look: &Look, id: Id) -> (f64, f64) {
    let mut sum = (0.0, 0.0);
    for quant in data.parts(Model::Quant, id) {
        let get = |field| data.get(look, Model::Quant, quant, field);
        let ours = get("company_id")
            .id()
            .is_some_and(|c| look.companies.contains(&c));
        let inside = get("warehouse_id").id().is_some();
        if ours && inside {
            sum.0 += get("quantity").num();
            sum.1 += get("reserved_quantity").num();
        }
    }
    sum
}

pub fn attribute_value<'a>(data: &'a Data, id: Id, field: &str) -> Val<'a> {
    let template = data.owner(Model::AttributeValue, id).unwrap_or_default();
    let k = id - facts::first_value(&data.config, template).min(id);
    let colored = facts::variants(&data.config, template) == 6;
    match field {
        "name" if !colored => Val::text(format!("No. {k}")),
        "name" if k < 3 => Val::text(COLORS[k as usize]),
        "name" => Val::text(SIZES[(k as usize - 3) % 2]),
        "attribute_id" => Val::One(Model::Attribute, if colored && k < 3 { 1 } else { 2 }),
        "price_extra" => Val::Num(if colored && k == 2 { 2.5 } else { 0.0 }),
        _ => Val::No,
    }
}

pub fn value_label(data: &Data, id: Id) -> String {
    let look = Look::all(&data.config);
    let attribute = data.get(&look, Model::AttributeValue, id, "attribute_id");
    let attribute = attribute.id().map(|a| data.label(&look, Model::Attribute, a));
    let name = data.get(&look, Model::AttributeValue, id, "name").into_text();
    format!("{}: {name}", attribute.unwrap_or_default())
}

pub fn category<'a>(data: &'a Data, look: &Look, id: Id, field: &str) -> Val<'a> {
    const CAT: Model = Model::Category;
    match field {
        "name" if data.is_blank(CAT, id) => Val::No,
        "name" if index(id) < 3 => Val::text(pick(&CATEGORIES, index(id).into())),
        "name" => Val::text(format!("{} {}", pick(&CATEGORIES, index(id).into()), index(id))),
        "complete_name" => {
            let name = data.get(look, CAT, id, "name").into_text();
            match data.owner(CAT, id) {
                Some(parent) => Val::text(format!("{} / {name}", data.label(look, CAT, parent))),
                None => Val::text(name),
            }
        }
        "parent_path" => {
            let above = data
                .owner(CAT, id)
                .map(|p| data.get(look, CAT, p, field).into_text());
            Val::text(format!("{}{id}/", above.unwrap_or_default()))
        }
        "child_id" => Val::Ids(data.parts(CAT, id)),
        "x_studio_margin" => Val::Num(f64::from(id % 40) / 4.0),
        _ => Val::No,
    }
}
