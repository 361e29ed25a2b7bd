//! WooCommerce's records in canonical form. Pure; one function per entity type.

pub(super) use super::map_order::order;
pub(super) use super::map_product::{product, variation};
pub(super) use super::value::{gmt, reference};

use super::value::{
    image, object, put, put_all, put_custom, put_part, put_reference, put_time, text, Fields,
};
use crate::core::{EntityType, Record};
use crate::error::{Code, Error, Result};
use serde_json::{json, Value};

/// The parts of a billing or shipping address.
pub(super) const ADDRESS: &[&str] = &[
    "first_name",
    "last_name",
    "company",
    "address_1",
    "address_2",
    "city",
    "state",
    "postcode",
    "country",
    "email",
    "phone",
];
/// A shipping address has no e-mail.
pub(super) const SHIPPING: &[&str] = &[
    "first_name",
    "last_name",
    "company",
    "address_1",
    "address_2",
    "city",
    "state",
    "postcode",
    "country",
    "phone",
];

/// A row's id; None where it has none.
pub(super) fn id(row: &Value) -> Option<String> {
    reference(&row["id"])
}

/// A row's id, or the error that a row without one amounts to.
pub(super) fn required_id(row: &Value) -> Result<String> {
    id(row).ok_or_else(|| {
        Error::new(Code::Nonsense, "the remote sent a record without an id")
            .hint("A plugin of the shop may change its answers.")
    })
}

/// What all entity types with dates share.
pub(super) fn put_common(out: &mut Fields, row: &Value) -> Result<()> {
    put_time(out, "created_at", &row["date_created_gmt"])?;
    put_time(out, "modified_at", &row["date_modified_gmt"])?;
    put_custom(out, row)
}

/// Both addresses.
pub(super) fn put_addresses(out: &mut Fields, row: &Value) -> Result<()> {
    put_part(out, "billing_", object(row, "billing")?, ADDRESS)?;
    put_part(out, "shipping_", object(row, "shipping")?, SHIPPING)
}

/// A customer.
pub(super) fn customer(row: &Value) -> Result<Record> {
    let id = required_id(row)?;
    let mut out = Fields::new();
    put_all(
        &mut out,
        row,
        &["email", "first_name", "last_name", "role", "username"],
    )?;
    let name = |part: &str| text(part, &row[part]);
    let name = format!("{} {}", name("first_name")?, name("last_name")?);
    put(&mut out, "name", &json!(name.trim()))?;
    put_part(&mut out, "", object(row, "billing")?, &["company", "phone"])?;
    put_addresses(&mut out, row)?;
    out.insert("is_active".to_owned(), Value::Bool(true));
    put_common(&mut out, row)?;
    Ok(Record::new(EntityType::Customers, id, out))
}

/// A product category.
pub(super) fn category(row: &Value) -> Result<Record> {
    let id = required_id(row)?;
    let mut out = Fields::new();
    put_all(
        &mut out,
        row,
        &["name", "slug", "description", "display", "menu_order"],
    )?;
    put_reference(&mut out, "parent_external_id", &row["parent"])?;
    put(&mut out, "image_url", &image(row)?["src"])?;
    Ok(Record::new(EntityType::Categories, id, out))
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
