//! Products and variations in canonical form.

use super::map::{put_common, required_id};
use super::value::{elements, put, put_all, put_list, put_reference, put_time, reference, Fields};
use crate::core::{EntityType, Record};
use crate::error::Result;
use serde_json::{json, Map, Value};

const SAME: &[&str] = &[
    "sku",
    "name",
    "type",
    "status",
    "slug",
    "description",
    "short_description",
    "price",
    "regular_price",
    "sale_price",
    "stock_quantity",
    "stock_status",
    "weight",
    "tax_status",
    "tax_class",
    "catalog_visibility",
    "backorders",
];

/// A product.
pub(super) fn product(row: &Value) -> Result<Record> {
    let mut out = shared(row);
    put_reference(&mut out, "parent_external_id", &row["parent_id"]);
    let attributes = elements(&row["attributes"]).map(|a| attribute(a, a["options"].clone()));
    put_list(&mut out, "attributes", attributes.collect());
    Ok(Record::new(EntityType::Products, required_id(row)?, out))
}

/// A variation. `parent` is the product it was listed under; without one, the row names it.
pub(super) fn variation(row: &Value, parent: Option<&str>) -> Result<Record> {
    let mut out = shared(row);
    out.insert("type".to_owned(), json!("variation"));
    let options =
        || elements(&row["attributes"]).filter_map(|a| a["option"].as_str().filter(|o| !o.is_empty()));
    if !out.contains_key("name") {
        put(&mut out, "name", &json!(options().collect::<Vec<_>>().join(", ")));
    }
    let attributes = elements(&row["attributes"]).map(|a| attribute(a, json!([a["option"]])));
    put_list(&mut out, "attributes", attributes.collect());
    let parent = parent.map(str::to_owned).or_else(|| reference(&row["parent_id"]));
    if let Some(parent) = &parent {
        out.insert("parent_external_id".to_owned(), json!(parent));
    }
    let record = Record::new(EntityType::Products, required_id(row)?, out);
    Ok(match parent {
        Some(parent) => record.with_parent(parent),
        None => record,
    })
}

/// What products and variations have in common.
fn shared(row: &Value) -> Fields {
    let mut out = Fields::new();
    put_all(&mut out, row, SAME);
    put(&mut out, "barcode", &row["global_unique_id"]);
    put(&mut out, "is_virtual", &row["virtual"]);
    put(&mut out, "is_downloadable", &row["downloadable"]);
    put_all(&mut out, &row["dimensions"], &["length", "width", "height"]);
    // A variation says "parent" where its product's stock is its own: then it manages none itself.
    if row["manage_stock"].is_boolean() {
        put(&mut out, "manage_stock", &row["manage_stock"]);
    }
    put_time(&mut out, "sale_from", &row["date_on_sale_from_gmt"]);
    put_time(&mut out, "sale_to", &row["date_on_sale_to_gmt"]);
    put_list(
        &mut out,
        "category_ids",
        elements(&row["categories"])
            .filter_map(|c| reference(&c["id"]))
            .map(Value::from)
            .collect(),
    );
    put_list(
        &mut out,
        "tags",
        elements(&row["tags"])
            .map(|tag| tag["name"].clone())
            .filter(Value::is_string)
            .collect(),
    );
    put_list(&mut out, "image_urls", images(row));
    out.insert("is_active".to_owned(), Value::Bool(row["status"] == "publish"));
    put_common(&mut out, row);
    out
}

/// A product has images, a variation has one.
fn images(row: &Value) -> Vec<Value> {
    let all = elements(&row["images"]).chain(std::iter::once(&row["image"]));
    all.map(|image| image["src"].clone())
        .filter(|src| src.as_str().is_some_and(|src| !src.is_empty()))
        .collect()
}

fn attribute(attribute: &Value, options: Value) -> Value {
    let mut out = Map::new();
    // An attribute of this product alone has the id 0.
    put_reference(&mut out, "id", &attribute["id"]);
    put(&mut out, "name", &attribute["name"]);
    put_list(
        &mut out,
        "options",
        elements(&options)
            .filter(|o| !o.is_null() && *o != "")
            .cloned()
            .collect(),
    );
    Value::Object(out)
}
