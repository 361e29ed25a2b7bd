//! Orders in canonical form.

use super::map::{put_addresses, put_common, required_id};
use super::value::{object, objects, put, put_all, put_list, put_reference, put_time, Fields};
use crate::core::{EntityType, Record};
use crate::error::Result;
use serde_json::Value;

const SAME: &[&str] = &[
    "number",
    "status",
    "currency",
    "total",
    "total_tax",
    "shipping_total",
    "shipping_tax",
    "discount_total",
    "discount_tax",
    "cart_tax",
    "prices_include_tax",
    "payment_method",
    "payment_method_title",
    "transaction_id",
    "customer_note",
    "created_via",
];
/// Parts of an order: theirs, ours, fields that are called the same, references.
const PARTS: &[(&str, &str, &[&str], &[&str])] = &[
    (
        "line_items",
        "lines",
        &[
            "sku",
            "name",
            "quantity",
            "subtotal",
            "subtotal_tax",
            "total",
            "total_tax",
        ],
        &["id", "product_id", "variation_id"],
    ),
    (
        "shipping_lines",
        "shipping_lines",
        &["method_id", "method_title", "total", "total_tax"],
        &["id"],
    ),
    ("fee_lines", "fee_lines", &["name", "total", "total_tax"], &["id"]),
    (
        "coupon_lines",
        "coupon_lines",
        &["code", "discount", "discount_tax"],
        &["id"],
    ),
    (
        "tax_lines",
        "tax_lines",
        &["rate_code", "label", "tax_total", "shipping_tax_total"],
        &["id"],
    ),
    ("refunds", "refunds", &["reason", "total"], &["id"]),
];

/// An order.
pub(super) fn order(row: &Value) -> Result<Record> {
    let id = required_id(row)?;
    let mut out = Fields::new();
    put_all(&mut out, row, SAME)?;
    // A guest has the id 0.
    put_reference(&mut out, "customer_external_id", &row["customer_id"])?;
    put(&mut out, "customer_email", &object(row, "billing")?["email"])?;
    put_addresses(&mut out, row)?;
    put_time(&mut out, "ordered_at", &row["date_created_gmt"])?;
    put_time(&mut out, "paid_at", &row["date_paid_gmt"])?;
    put_time(&mut out, "completed_at", &row["date_completed_gmt"])?;
    for (theirs, ours, same, references) in PARTS {
        let items = objects(row, theirs)?.into_iter();
        let items = items.map(|item| part(item, same, references));
        put_list(&mut out, ours, items.collect::<Result<_>>()?);
    }
    put_common(&mut out, row)?;
    Ok(Record::new(EntityType::Orders, id, out))
}

fn part(item: &Value, same: &[&str], references: &[&str]) -> Result<Value> {
    let mut out = Fields::new();
    put_all(&mut out, item, same)?;
    for name in references {
        put_reference(&mut out, name, &item[*name])?;
    }
    Ok(Value::Object(out))
}
