//! Products and variations in canonical form.

use super::map::{put_common, required_id};
use super::value::{
    elements, image, misfit, object, objects, put, put_all, put_list, put_reference, put_time, reference,
    scalar, text, Fields,
};
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
    let mut out = shared(row)?;
    put_reference(&mut out, "parent_external_id", &row["parent_id"])?;
    let attributes = objects(row, "attributes")?.into_iter();
    let attributes = attributes.map(|a| attribute(a, elements(a, "options")?));
    put_list(&mut out, "attributes", attributes.collect::<Result<_>>()?);
    Ok(Record::new(EntityType::Products, required_id(row)?, out))
}

/// A variation. `parent` is the product it was listed under; without one, the row names it.
pub(super) fn variation(row: &Value, parent: Option<&str>) -> Result<Record> {
    let mut out = shared(row)?;
    out.insert("type".to_owned(), json!("variation"));
    let attributes = objects(row, "attributes")?;
    if !out.contains_key("name") {
        let options = attributes.iter().map(|a| text("option", &a["option"]));
        let options: Vec<String> = options.collect::<Result<_>>()?;
        let options: Vec<String> = options.into_iter().filter(|o| !o.is_empty()).collect();
        put(&mut out, "name", &json!(options.join(", ")))?;
    }
    let attributes = attributes.into_iter().map(|a| attribute(a, vec![&a["option"]]));
    put_list(&mut out, "attributes", attributes.collect::<Result<_>>()?);
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
fn shared(row: &Value) -> Result<Fields> {
    let mut out = Fields::new();
    put_all(&mut out, row, SAME)?;
    put(&mut out, "barcode", &row["global_unique_id"])?;
    put(&mut out, "is_virtual", &row["virtual"])?;
    put(&mut out, "is_downloadable", &row["downloadable"])?;
    put_all(
        &mut out,
        object(row, "dimensions")?,
        &["length", "width", "height"],
    )?;
    // A variation says "parent" where its product's stock is its own: then it manages none itself.
    if row["manage_stock"] != "parent" {
        put(&mut out, "manage_stock", &row["manage_stock"])?;
    }
    put_time(&mut out, "sale_from", &row["date_on_sale_from_gmt"])?;
    put_time(&mut out, "sale_to", &row["date_on_sale_to_gmt"])?;
    put_list(&mut out, "category_ids", categories(row)?);
    let tags = objects(row, "tags")?.into_iter();
    let tags = tags.filter_map(|tag| scalar("the name of a tag", &tag["name"]).transpose());
    put_list(
        &mut out,
        "tags",
        tags.map(|tag| tag.cloned()).collect::<Result<_>>()?,
    );
    put_list(&mut out, "image_urls", images(row)?);
    out.insert("is_active".to_owned(), Value::Bool(row["status"] == "publish"));
    put_common(&mut out, row)?;
    Ok(out)
}

fn categories(row: &Value) -> Result<Vec<Value>> {
    let ids = objects(row, "categories")?
        .into_iter()
        .map(|category| &category["id"]);
    ids.map(|id| {
        let id = reference(id).ok_or_else(|| misfit("the id of a category", id, "an id"))?;
        Ok(Value::from(id))
    })
    .collect()
}

/// A product has images, a variation has one.
fn images(row: &Value) -> Result<Vec<Value>> {
    let mut all = objects(row, "images")?;
    all.push(image(row)?);
    let sources = all
        .into_iter()
        .map(|image| scalar("the source of an image", &image["src"]));
    let sources = sources.filter_map(Result::transpose);
    sources
        .filter(|src| !matches!(src, Ok(Value::Bool(false))))
        .map(|src| src.cloned())
        .collect()
}

fn attribute(attribute: &Value, options: Vec<&Value>) -> Result<Value> {
    let mut out = Map::new();
    // An attribute of this product alone has the id 0.
    put_reference(&mut out, "id", &attribute["id"])?;
    put(&mut out, "name", &attribute["name"])?;
    let options = options
        .into_iter()
        .filter_map(|o| scalar("an option", o).transpose());
    put_list(
        &mut out,
        "options",
        options.map(|o| o.cloned()).collect::<Result<_>>()?,
    );
    Ok(Value::Object(out))
}
