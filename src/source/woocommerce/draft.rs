//! Records of other systems as a shop would hold them, and the JSON that writes them. Pure.

use super::map::{ADDRESS, SHIPPING};
use super::value::Fields;
use crate::core::{normalise_value, EntityType, Kind, Record};
use crate::error::{Code, Error, Result};
use serde_json::{json, Map, Value};

/// Of products and variations alike. Left out are what refers to other records (categories, tags, attributes: their
/// ids mean nothing elsewhere) and images, which the shop would download anew with every write.
const PRODUCT: &[&str] = &[
    "sku",
    "status",
    "description",
    "regular_price",
    "sale_price",
    "sale_from",
    "sale_to",
    "manage_stock",
    "stock_quantity",
    "stock_status",
    "weight",
    "length",
    "width",
    "height",
    "tax_status",
    "tax_class",
    "barcode",
    "is_virtual",
    "is_downloadable",
    "backorders",
];
/// Of products that are no variations.
const PRODUCT_ALONE: &[&str] = &["name", "slug", "short_description", "catalog_visibility"];
const CUSTOMER: &[&str] = &["email", "first_name", "last_name"];
const CATEGORY: &[&str] = &["name", "slug", "description", "display", "menu_order"];
const ORDER: &[&str] = &[
    "status",
    "customer_note",
    "payment_method",
    "payment_method_title",
    "transaction_id",
];
/// What a shop refuses to be without.
const NEVER_EMPTY: &[&str] = &["name", "email", "status", "slug", "billing_email"];

const STATUSES: &[&str] = &["publish", "draft", "pending", "private"];
const TYPES: &[&str] = &["simple", "external", "grouped", "variable"];

/// See [`crate::source::Source::draft`].
pub(super) fn draft(entity: EntityType, record: &Fields, current: Option<&Record>) -> Result<Fields> {
    let mut out = match entity {
        EntityType::Products => product(record, current)?,
        EntityType::Customers => customer(record, current)?,
        EntityType::Categories => pick(record, CATEGORY),
        EntityType::Orders if current.is_some() => order(record),
        EntityType::Orders => {
            return Err(Error::new(Code::Invalid, "orders are not created in a shop")
                .hint("Set target_id to the id of an order that the shop has."));
        }
        other => return Err(crate::source::read_only(other)),
    };
    out.retain(|name, value| !is_empty(value) || current.is_some() && !NEVER_EMPTY.contains(&name.as_str()));
    if current.is_none() {
        require(entity, &out)?;
    }
    Ok(out)
}

/// Who runs the shop: another e-mail address would be another way in.
const STAFF: &[&str] = &["administrator", "shop_manager"];

/// Users are written to where the connector reads them as customers: an e-mail address may be that of anybody who has an
/// account in the shop.
pub(super) fn require_customer(user: &Record, customer_role: &str) -> Result<()> {
    let role = text(&user.data, "role").unwrap_or_default();
    let is_customer = match customer_role {
        "all" => !STAFF.contains(&role),
        wanted => role == wanted,
    };
    if is_customer {
        return Ok(());
    }
    let read = match customer_role {
        "all" => "all but administrators and shop managers",
        wanted => wanted,
    };
    Err(Error::new(
        Code::NotGranted,
        format!("user {} of the shop is no customer but has the role \"{role}\"", user.external_id),
    )
    .detail(format!("Roles that this connector writes to: {read}."))
    .hint("Change that account in the shop itself; customer_role in the connector's settings says who is a customer."))
}

fn product(record: &Fields, current: Option<&Record>) -> Result<Fields> {
    let mut out = pick(record, PRODUCT);
    // The price of others is the regular one here; a shop computes its price from that.
    if let Some(price) = record.get("price").filter(|_| !out.contains_key("regular_price")) {
        out.insert("regular_price".to_owned(), price.clone());
    }
    keep_if(&mut out, "status", STATUSES);
    let has_quantity = out.get("stock_quantity").is_some_and(|q| !is_empty(q));
    if has_quantity && !out.contains_key("manage_stock") {
        out.insert("manage_stock".to_owned(), Value::Bool(true));
    }
    if current.is_some_and(|record| record.parent_id.is_some()) {
        return Ok(out);
    }
    out.extend(pick(record, PRODUCT_ALONE));
    if current.is_none() {
        if text(record, "type") == Some("variation") {
            return Err(Error::new(Code::Invalid, "variations are not created in a shop")
                .hint("Create the variation there, and set target_id to its id."));
        }
        out.extend(pick(record, &["type"]));
        keep_if(&mut out, "type", TYPES);
        if record.get("is_active") == Some(&Value::Bool(false)) {
            out.entry("status").or_insert_with(|| json!("draft"));
        }
    }
    Ok(out)
}

fn customer(record: &Fields, current: Option<&Record>) -> Result<Fields> {
    let mut out = pick(record, CUSTOMER);
    // a record without a name leaves that of the account alone; one whose name is empty does not
    let has_parts = out.contains_key("first_name") || out.contains_key("last_name");
    if let Some(name) = record.get("name").filter(|_| !has_parts) {
        let name = name.as_str().unwrap_or_default();
        let (first, last) = name.split_once(' ').unwrap_or((name, ""));
        out.insert("first_name".to_owned(), json!(first));
        out.insert("last_name".to_owned(), json!(last.trim()));
    }
    if current.is_none() {
        out.extend(pick(record, &["username"]));
    }
    out.extend(addresses(record));
    for (theirs, ours) in [("company", "billing_company"), ("phone", "billing_phone")] {
        if let Some(value) = record.get(theirs).filter(|_| !out.contains_key(ours)) {
            out.insert(ours.to_owned(), value.clone());
        }
    }
    Ok(out)
}

fn order(record: &Fields) -> Fields {
    let mut out = pick(record, ORDER);
    out.extend(addresses(record));
    out
}

fn addresses(record: &Fields) -> Fields {
    let names = |prefix: &'static str, parts: &'static [&'static str]| {
        parts.iter().map(move |part| format!("{prefix}_{part}"))
    };
    names("billing", ADDRESS)
        .chain(names("shipping", SHIPPING))
        .filter_map(|name| Some((name.clone(), record.get(&name)?.clone())))
        .collect()
}

fn require(entity: EntityType, out: &Fields) -> Result<()> {
    let needed = match entity {
        EntityType::Customers => "email",
        _ => "name",
    };
    if out.contains_key(needed) {
        return Ok(());
    }
    Err(Error::new(
        Code::Invalid,
        format!(
            "without {needed}, none of {} can be created in a shop",
            entity.name()
        ),
    ))
}

/// The JSON that writes these fields.
pub(super) fn body(fields: &Fields) -> Value {
    let mut out = Map::new();
    for (name, value) in fields {
        match name.as_str() {
            "length" | "width" | "height" => put_into(&mut out, "dimensions", name, decimal(value)),
            "weight" | "regular_price" | "sale_price" => drop(out.insert(name.clone(), decimal(value))),
            "stock_quantity" | "menu_order" => drop(out.insert(name.clone(), whole(value))),
            "sale_from" => drop(out.insert("date_on_sale_from_gmt".to_owned(), moment(value))),
            "sale_to" => drop(out.insert("date_on_sale_to_gmt".to_owned(), moment(value))),
            "barcode" => drop(out.insert("global_unique_id".to_owned(), plain(value))),
            "is_virtual" => drop(out.insert("virtual".to_owned(), flag(value))),
            "is_downloadable" => drop(out.insert("downloadable".to_owned(), flag(value))),
            "manage_stock" => drop(out.insert(name.clone(), flag(value))),
            other => match other.split_once('_') {
                Some((address @ ("billing" | "shipping"), part)) => {
                    put_into(&mut out, address, part, plain(value));
                }
                _ => drop(out.insert(name.clone(), plain(value))),
            },
        }
    }
    Value::Object(out)
}

fn put_into(out: &mut Map<String, Value>, object: &str, name: &str, value: Value) {
    let inner = out.entry(object).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = inner {
        inner.insert(name.to_owned(), value);
    }
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(false) => json!(""),
        Value::String(_) => value.clone(),
        other => json!(other.to_string()),
    }
}

/// A shop takes money and sizes as text.
fn decimal(value: &Value) -> Value {
    plain(&normalise_value(Kind::Number, value).unwrap_or(Value::Null))
}

/// A shop counts pieces; what is not a whole one can't be sold.
fn whole(value: &Value) -> Value {
    match normalise_value(Kind::Number, value) {
        Some(Value::Number(number)) => number.as_f64().map_or(Value::Null, |n| json!(n.floor() as i64)),
        _ => Value::Null,
    }
}

fn flag(value: &Value) -> Value {
    Value::Bool(normalise_value(Kind::Bool, value) == Some(Value::Bool(true)))
}

/// Without the Z: together with a field for UTC it would be shifted.
fn moment(value: &Value) -> Value {
    match normalise_value(Kind::Time, value) {
        Some(Value::String(time)) => json!(time.trim_end_matches('Z')),
        _ => json!(""),
    }
}

fn pick(record: &Fields, names: &[&str]) -> Fields {
    let found = |name: &&str| Some(((*name).to_owned(), record.get(*name)?.clone()));
    names.iter().filter_map(found).collect()
}

fn keep_if(out: &mut Fields, name: &str, known: &[&str]) {
    if text(out, name).is_some_and(|value| !known.contains(&value)) {
        out.remove(name);
    }
}

fn text<'a>(record: &'a Fields, name: &str) -> Option<&'a str> {
    record.get(name)?.as_str()
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn fields(value: Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    fn new(entity: EntityType, record: Value) -> Value {
        draft(entity, &fields(record), None)
            .map(Value::Object)
            .unwrap_or_else(|e| json!(e.message))
    }

    fn over(entity: EntityType, current: Record, record: Value) -> Value {
        Value::Object(draft(entity, &fields(record), Some(&current)).unwrap())
    }

    #[test]
    fn only_the_roles_that_are_read_are_written_to() {
        let user = |role: Value| {
            Record::new(
                EntityType::Customers,
                "7",
                fields(json!({"email": "a@b.c", "role": role})),
            )
        };
        let refused = |role: Value, customer_role: &str| require_customer(&user(role), customer_role).err();
        assert!(refused(json!("customer"), "customer").is_none());
        assert!(refused(json!("wholesale"), "wholesale").is_none());
        assert!(refused(json!("subscriber"), "all").is_none());
        for (role, customer_role) in [
            (json!("administrator"), "customer"),
            (json!("administrator"), "all"),
            (json!("shop_manager"), "all"),
            (json!("subscriber"), "customer"),
            (json!("customer"), "wholesale"),
            (Value::Null, "customer"),
        ] {
            let error = refused(role.clone(), customer_role).unwrap();
            assert_eq!(error.code, Code::NotGranted, "{role} {customer_role}");
            assert!(
                error.hint.is_some() && error.message.contains(role.as_str().unwrap_or("\"\"")),
                "{error:?}"
            );
        }
    }

    #[test]
    fn an_erps_product_becomes_a_shops() {
        let record = json!({"name": "Mug", "sku": "M-1", "type": "consu", "price": "9.90", "stock_quantity": 7,
                            "category_ids": ["4"], "is_active": false, "description": null, "status": "sellable"});
        assert_eq!(
            new(EntityType::Products, record),
            json!({"name": "Mug", "sku": "M-1", "regular_price": "9.90", "stock_quantity": 7, "manage_stock": true,
                   "status": "draft"})
        );
    }

    #[test]
    fn what_is_there_is_cleared_only_where_a_shop_can_be_without_it() {
        let current = Record::new(EntityType::Products, "5", Fields::new());
        let record = json!({"name": null, "sku": "", "status": null, "sale_price": null});
        assert_eq!(
            over(EntityType::Products, current.clone(), record.clone()),
            json!({"sku": "", "sale_price": null})
        );
        // a variation has no name of its own
        let record = json!({"name": "x", "regular_price": 5, "type": "simple"});
        assert_eq!(
            over(EntityType::Products, current.with_parent("1"), record),
            json!({"regular_price": 5})
        );
    }

    #[test]
    fn a_name_in_one_piece_is_split_for_customers() {
        let record = json!({"email": "ada@x.org", "name": "Ada King Lovelace", "phone": "1", "company": "X",
                            "billing_city": "London", "username": "ada"});
        assert_eq!(
            new(EntityType::Customers, record),
            json!({"email": "ada@x.org", "first_name": "Ada", "last_name": "King Lovelace", "username": "ada",
                   "billing_city": "London", "billing_phone": "1", "billing_company": "X"})
        );
    }

    #[test]
    fn what_cannot_be_created_says_why() {
        let told = |entity, record| new(entity, record).as_str().unwrap_or_default().to_owned();
        assert!(told(EntityType::Customers, json!({"name": "x"})).contains("without email"));
        assert!(told(EntityType::Products, json!({"sku": "x"})).contains("without name"));
        assert!(told(EntityType::Products, json!({"type": "variation"})).contains("variations"));
        assert!(told(EntityType::Orders, json!({"status": "x"})).contains("orders"));
        assert!(told(EntityType::Warehouses, json!({"name": "x"})).contains("warehouses"));
    }

    #[test]
    fn the_json_has_a_shops_names_and_types() {
        let record = json!({"regular_price": 9.90, "sale_price": null, "length": "10", "height": 2, "sku": 12, "stock_quantity": "7.5",
                            "sale_from": "2026-01-01T00:00:00Z", "sale_to": null, "is_virtual": false, "manage_stock": true,
                            "billing_city": "Bonn", "billing_phone": null, "menu_order": 3, "barcode": "4006381333931",
                            "short_description": "x"});
        assert_eq!(
            body(&fields(record)),
            json!({"regular_price": "9.9", "sale_price": "", "dimensions": {"length": "10", "height": "2"}, "sku": "12",
                   "stock_quantity": 7, "date_on_sale_from_gmt": "2026-01-01T00:00:00", "date_on_sale_to_gmt": "",
                   "virtual": false, "manage_stock": true, "billing": {"city": "Bonn", "phone": ""}, "menu_order": 3,
                   "global_unique_id": "4006381333931", "short_description": "x"})
        );
    }
}
