//! Odoo's records in canonical form. Pure; one function per entity type.

pub(super) use super::map_document::{order, purchase, sale, transfer};

use super::extras::{Extras, Rows};
use super::known::is_custom;
use super::value::{
    day, put, put_all, put_first, put_flag, put_label, put_named, put_reference, put_time, reference,
    references, Fields,
};
use crate::core::{field, EntityType, Record};
use crate::error::{Code, Error, Result};
use serde_json::{json, Map, Value};

/// A record of that type.
pub(super) fn record(entity: EntityType, row: &Value, extras: &Extras) -> Result<Record> {
    let id = required_id(row)?;
    let mut out = match entity {
        EntityType::Customers => customer(row, extras),
        EntityType::Products => product(row, extras),
        EntityType::Categories => category(row),
        EntityType::Warehouses => warehouse(row),
        EntityType::Orders => order(row, extras.lines_of(id), extras),
        EntityType::Sales => sale(row, extras.lines_of(id), extras),
        EntityType::Purchases => purchase(row, extras.lines_of(id), extras),
        EntityType::Transfers => transfer(row, extras.lines_of(id), extras),
    };
    if field(entity, "created_at").is_some() {
        put_time(&mut out, "created_at", &row["create_date"]);
    }
    put_time(&mut out, "modified_at", &row["write_date"]);
    put_custom(&mut out, row, extras);
    Ok(Record::new(entity, id.to_string(), out))
}

/// A row's id, or the error that a row without one amounts to.
pub(super) fn required_id(row: &Value) -> Result<u64> {
    reference(&row["id"]).ok_or_else(|| {
        Error::new(Code::Nonsense, "Odoo sent a record without an id")
            .hint("A customisation may change its answers.")
    })
}

/// Sets `custom` from the fields that users have added, as they came.
fn put_custom(out: &mut Fields, row: &Value, extras: &Extras) {
    let fields = row.as_object().into_iter().flatten();
    let custom: Map<String, Value> = fields
        .filter(|(name, value)| {
            let is_flag = || extras.types.get(*name).is_some_and(|kind| kind == "boolean");
            is_custom(name) && !value.is_null() && (**value != Value::Bool(false) || is_flag())
        })
        .map(|(name, value)| {
            let is_time = extras
                .types
                .get(name)
                .is_some_and(|kind| matches!(kind.as_str(), "date" | "datetime"));
            (name.clone(), if is_time { day(value) } else { value.clone() })
        })
        .collect();
    if !custom.is_empty() {
        out.insert("custom".to_owned(), Value::Object(custom));
    }
}

/// Sets `is_active`. What can't be archived is active.
pub(super) fn put_active(out: &mut Fields, row: &Value) {
    let archived = row["active"] == Value::Bool(false);
    out.insert("is_active".to_owned(), Value::Bool(!archived));
}

/// A contact: a company, a person, or an address of one.
fn customer(row: &Value, extras: &Extras) -> Fields {
    let mut out = Fields::new();
    put_all(
        &mut out,
        row,
        &[
            ("email", "email"),
            ("name", "name"),
            ("tax_number", "vat"),
            ("role", "type"),
            ("billing_email", "email"),
        ],
    );
    put_flag(&mut out, "is_company", &row["is_company"]);
    put_address(&mut out, "billing", row, extras);
    for name in ["company", "phone"] {
        if let Some(value) = out.get(&format!("billing_{name}")).cloned() {
            out.insert(name.to_owned(), value);
        }
    }
    let tags: Vec<Value> = references(&row["category_id"])
        .map(|id| tag(id, &extras.tags))
        .collect();
    if !tags.is_empty() {
        out.insert("tags".to_owned(), Value::Array(tags));
    }
    put_named(&mut out, row, &[("company", "company_id")]);
    put_active(&mut out, row);
    out
}

/// A tag by its name, by its id where the connector's user may not see that.
fn tag(id: u64, tags: &Rows) -> Value {
    match tags.get(&id).map(|row| &row["name"]) {
        Some(Value::String(name)) => json!(name),
        _ => json!(id.to_string()),
    }
}

/// Sets an address, which is part of a contact, under our prefix.
pub(super) fn put_address(out: &mut Fields, prefix: &str, row: &Value, extras: &Extras) {
    let name = |part: &str| format!("{prefix}_{part}");
    for (ours, theirs) in [
        ("company", "commercial_company_name"),
        ("address_1", "street"),
        ("address_2", "street2"),
        ("city", "city"),
        ("postcode", "zip"),
        ("country", "country_code"),
    ] {
        put(out, &name(ours), &row[theirs]);
    }
    if !out.contains_key(&name("company")) {
        put_label(out, &name("company"), &row["parent_id"]);
    }
    put_first(out, &name("phone"), row, &["phone", "mobile"]);
    put_code(out, &name("country"), &row["country_id"], &extras.countries);
    put_code(out, &name("state"), &row["state_id"], &extras.states);
}

/// Sets a field to the code of what is referred to, else to its label.
fn put_code(out: &mut Fields, name: &str, value: &Value, rows: &Rows) {
    let found = reference(value).and_then(|id| rows.get(&id));
    if let Some(row) = found.filter(|_| !out.contains_key(name)) {
        put(out, name, &row["code"]);
    }
    if !out.contains_key(name) {
        put_label(out, name, value);
    }
}

/// A product: one that is sold, of which a template may have many.
fn product(row: &Value, extras: &Extras) -> Fields {
    let mut out = Fields::new();
    put_all(
        &mut out,
        row,
        &[
            ("sku", "default_code"),
            ("name", "name"),
            ("type", "type"),
            ("description", "description_sale"),
            ("price", "lst_price"),
            ("regular_price", "lst_price"),
            ("weight", "weight"),
            ("barcode", "barcode"),
        ],
    );
    put_label(&mut out, "currency", &row["currency_id"]);
    // until version 17, storable products are a type of their own
    let managed = row["is_storable"] == true || row["type"] == "product";
    out.insert("manage_stock".to_owned(), Value::Bool(managed));
    let some = row["qty_available"]
        .as_f64()
        .is_some_and(|quantity| quantity != 0.0);
    if managed || some {
        put(&mut out, "stock_quantity", &row["qty_available"]);
    }
    // Ids of templates are no ids of products: written as Odoo writes a reference to any model.
    if let Some(template) = reference(&row["product_tmpl_id"]) {
        out.insert(
            "parent_external_id".to_owned(),
            json!(format!("product.template,{template}")),
        );
    }
    if let Some(category) = reference(&row["categ_id"]) {
        out.insert("category_ids".to_owned(), json!([category.to_string()]));
    }
    let attributes: Vec<Value> = references(&row["product_template_attribute_value_ids"])
        .filter_map(|id| extras.attribute_values.get(&id))
        .filter(|value| !value.is_null())
        .map(|value| attribute(value))
        .collect();
    if !attributes.is_empty() {
        out.insert("attributes".to_owned(), Value::Array(attributes));
    }
    put_named(&mut out, row, &[("company", "company_id")]);
    put_active(&mut out, row);
    out
}

fn attribute(value: &Value) -> Value {
    let mut out = Fields::new();
    put_reference(&mut out, "id", &value["attribute_id"]);
    put_label(&mut out, "name", &value["attribute_id"]);
    out.insert("options".to_owned(), json!([value["name"]]));
    Value::Object(out)
}

/// A product category.
fn category(row: &Value) -> Fields {
    let mut out = Fields::new();
    put(&mut out, "name", &row["name"]);
    put_reference(&mut out, "parent_external_id", &row["parent_id"]);
    out
}

/// A warehouse.
fn warehouse(row: &Value) -> Fields {
    let mut out = Fields::new();
    put_all(
        &mut out,
        row,
        &[
            ("code", "code"),
            ("name", "name"),
            ("reception_steps", "reception_steps"),
            ("delivery_steps", "delivery_steps"),
        ],
    );
    put_named(
        &mut out,
        row,
        &[
            ("company", "company_id"),
            ("partner", "partner_id"),
            ("stock_location", "lot_stock_id"),
        ],
    );
    put_active(&mut out, row);
    out
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
