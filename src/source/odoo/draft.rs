//! Records of other systems as Odoo would hold them, and the values that write them. Pure.

use super::value::Fields;
use crate::core::{normalise_value, EntityType, Kind, Record};
use crate::error::{Code, Error, Result};
use serde_json::{json, Map, Value};
use std::collections::HashMap;

/// Ours, theirs, and what it is. A contact's country and state are references, which have to be looked up.
const CUSTOMER: &[(&str, &str, Kind)] = &[
    ("email", "email", Kind::Text),
    ("name", "name", Kind::Text),
    ("company", "company_name", Kind::Text),
    ("phone", "phone", Kind::Text),
    ("is_company", "is_company", Kind::Bool),
    ("tax_number", "vat", Kind::Text),
    ("role", "type", Kind::Text),
    ("billing_address_1", "street", Kind::Text),
    ("billing_address_2", "street2", Kind::Text),
    ("billing_city", "city", Kind::Text),
    ("billing_postcode", "zip", Kind::Text),
    ("is_active", "active", Kind::Bool),
];
/// Of a contact's address, written as references.
pub(super) const COUNTRY: &str = "billing_country";
pub(super) const STATE: &str = "billing_state";
const PLACE: &[&str] = &[COUNTRY, STATE];
const PRODUCT: &[(&str, &str, Kind)] = &[
    ("sku", "default_code", Kind::Text),
    ("barcode", "barcode", Kind::Text),
    ("weight", "weight", Kind::Number),
    ("is_active", "active", Kind::Bool),
    ("name", "name", Kind::Text),
    ("description", "description_sale", Kind::Text),
    ("regular_price", "lst_price", Kind::Number),
];
/// What a variant has for itself. The rest is its template's: writing it would change its siblings.
const VARIANT: &[&str] = &["sku", "barcode", "weight", "is_active"];
const CATEGORY: &[(&str, &str, Kind)] = &[("name", "name", Kind::Text)];

/// What Odoo's users can't do without, or would be surprised to see emptied.
const NEVER_EMPTY: &[&str] = &["name", "role", "regular_price", "is_active", "is_company"];
const CONTACT_TYPES: &[&str] = &["contact", "invoice", "delivery", "other"];

/// What we call a field of Odoo's.
pub(super) fn ours(entity: EntityType, theirs: &'static str) -> &'static str {
    let names = match entity {
        EntityType::Customers => CUSTOMER,
        EntityType::Products => PRODUCT,
        _ => CATEGORY,
    };
    let places = ["country_id", "state_id"].into_iter().zip(PLACE);
    let mut places = places.filter(|(name, _)| *name == theirs).map(|(_, ours)| *ours);
    let plain = names.iter().find(|(_, name, _)| *name == theirs);
    plain
        .map(|(ours, ..)| *ours)
        .or_else(|| places.next())
        .unwrap_or(theirs)
}

/// See [`crate::source::Source::draft`].
pub(super) fn draft(entity: EntityType, record: &Fields, current: Option<&Record>) -> Result<Fields> {
    let mut out = match entity {
        EntityType::Customers => customer(record, current),
        EntityType::Products => product(record, current)?,
        EntityType::Categories => pick(record, &["name"]),
        other => return Err(crate::source::read_only(other)),
    };
    out.retain(|name, value| !is_empty(value) || current.is_some() && !NEVER_EMPTY.contains(&name.as_str()));
    if current.is_none() && !out.contains_key("name") {
        let message = format!("without name, none of {} can be created in Odoo", entity.name());
        return Err(Error::new(Code::Invalid, message));
    }
    Ok(out)
}

fn customer(record: &Fields, current: Option<&Record>) -> Fields {
    let mut out: Fields = CUSTOMER
        .iter()
        .map(|(ours, ..)| *ours)
        .chain(PLACE.iter().copied())
        .filter_map(|name| Some((name.to_owned(), record.get(name)?.clone())))
        .collect();
    if text(&out, "role").is_some_and(|role| !CONTACT_TYPES.contains(&role)) {
        out.remove("role");
    }
    for (ours, theirs) in [("phone", "billing_phone"), ("company", "billing_company")] {
        if let Some(value) = record.get(theirs).filter(|_| text(&out, ours).is_none()) {
            out.insert(ours.to_owned(), value.clone());
        }
    }
    if let Some(name) = name_of(record, current.is_none()) {
        out.insert("name".to_owned(), json!(name));
    }
    // a company is its own company
    let is_company = [Some(&out), current.map(|current| &current.data)]
        .into_iter()
        .flatten()
        .find_map(|fields| fields.get("is_company"))
        .is_some_and(|flag| normalise_value(Kind::Bool, flag) == Some(Value::Bool(true)));
    if is_company {
        out.remove("company");
    }
    out
}

/// A contact needs a name: who has none gets the best there is, once.
fn name_of(record: &Fields, is_new: bool) -> Option<String> {
    let part = |name: &str| text(record, name).unwrap_or_default().trim().to_owned();
    let whole = format!("{} {}", part("first_name"), part("last_name"));
    let given = [part("name"), whole.trim().to_owned()];
    let others = ["company", "billing_company", "email"].map(part);
    given
        .into_iter()
        .chain(others.into_iter().filter(|_| is_new))
        .find(|name| !name.is_empty())
}

fn product(record: &Fields, current: Option<&Record>) -> Result<Fields> {
    let names: Vec<&str> = PRODUCT.iter().map(|(ours, ..)| *ours).collect();
    let mut out = pick(record, &names);
    if let Some(price) = record
        .get("price")
        .filter(|_| out.get("regular_price").is_none_or(is_empty))
    {
        out.insert("regular_price".to_owned(), price.clone());
    }
    if let Some(html) = text(&out, "description") {
        let plain = plain_text(html);
        out.insert("description".to_owned(), json!(plain));
    }
    // Odoo has no empty numbers
    if out.get("weight").is_some_and(is_empty) && current.is_some() {
        out.insert("weight".to_owned(), json!(0));
    }
    match current {
        Some(current) if current.data.contains_key("attributes") => {
            out.retain(|name, _| VARIANT.contains(&name.as_str()));
        }
        Some(_) => {}
        None => {
            if let Some(kind @ ("variable" | "variation" | "grouped")) = text(record, "type") {
                let message = format!("products of the type \"{kind}\" are not created in Odoo");
                return Err(Error::new(Code::Invalid, message).hint(
                    "Make the product and its variants there, with the same SKUs: then they are found and kept in sync.",
                ));
            }
            let yes = |name: &str| {
                let flag = record
                    .get(name)
                    .and_then(|flag| normalise_value(Kind::Bool, flag));
                flag == Some(Value::Bool(true))
            };
            if text(record, "type") == Some("service") || yes("is_virtual") {
                out.insert("type".to_owned(), json!("service"));
            } else if yes("manage_stock") {
                out.insert("manage_stock".to_owned(), json!(true));
            }
        }
    }
    Ok(out)
}

/// The values that write these fields, but for references. `known` are the model's fields: versions differ.
pub(super) fn vals(
    entity: EntityType,
    fields: &Fields,
    is_new: bool,
    known: &HashMap<String, String>,
) -> Map<String, Value> {
    let names = match entity {
        EntityType::Customers => CUSTOMER,
        EntityType::Products => PRODUCT,
        _ => CATEGORY,
    };
    let mut out = Map::new();
    for (ours, theirs, kind) in names {
        if let Some(value) = fields.get(*ours) {
            // the price of a new product is its template's, that of one which is there its own
            let theirs = match *theirs {
                "lst_price" if is_new => "list_price",
                other => other,
            };
            out.insert(theirs.to_owned(), plain(*kind, value));
        }
    }
    if entity == EntityType::Products {
        put_type(&mut out, fields, known);
    }
    out
}

/// Until version 17 storable products are a type of their own, which the inventory app brings; since, they are goods
/// with a mark.
fn put_type(out: &mut Map<String, Value>, fields: &Fields, known: &HashMap<String, String>) {
    let has = |name: &str| known.contains_key(name);
    let name = if has("detailed_type") {
        "detailed_type"
    } else {
        "type"
    };
    if fields.get("type") == Some(&json!("service")) {
        out.insert(name.to_owned(), json!("service"));
    }
    if fields.get("manage_stock") == Some(&Value::Bool(true)) {
        if has("is_storable") {
            out.insert("is_storable".to_owned(), Value::Bool(true));
        } else if has("detailed_type") && has("qty_available") {
            out.insert(name.to_owned(), json!("product"));
        }
    }
}

/// Odoo's empty is `false`.
pub(super) fn plain(kind: Kind, value: &Value) -> Value {
    match normalise_value(kind, value) {
        Some(normalised) if kind != Kind::Text => normalised,
        Some(_) => match value {
            Value::String(text) => json!(text.trim()),
            other => json!(other.to_string()),
        },
        None => Value::Bool(false),
    }
}

/// A shop's descriptions are HTML; Odoo prints those of products as they are, on every quotation.
fn plain_text(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let is_tag = tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
        match tag.find('>').filter(|_| is_tag) {
            Some(end) => {
                let name = tag[1..end].trim_start_matches('/').to_ascii_lowercase();
                let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next();
                let ends_a_line = tag.starts_with("</") || name == Some("br");
                if ends_a_line
                    && matches!(
                        name,
                        Some("br" | "p" | "div" | "li" | "tr" | "h1" | "h2" | "h3" | "h4")
                    )
                    && !out.ends_with('\n')
                {
                    out.push('\n');
                }
                rest = tag[end + 1..].trim_start_matches(['\r', '\n']);
            }
            None => {
                out.push('<');
                rest = &tag[1..];
            }
        }
    }
    out.push_str(rest);
    html_escape::decode_html_entities(out.trim()).into_owned()
}

fn pick(record: &Fields, names: &[&str]) -> Fields {
    let found = |name: &&str| Some(((*name).to_owned(), record.get(*name)?.clone()));
    names.iter().filter_map(found).collect()
}

fn text<'a>(record: &'a Fields, name: &str) -> Option<&'a str> {
    record.get(name)?.as_str().filter(|text| !text.trim().is_empty())
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
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

    fn over(entity: EntityType, current: Value, record: Value) -> Value {
        let current = Record::new(entity, "5", fields(current));
        Value::Object(draft(entity, &fields(record), Some(&current)).unwrap())
    }

    fn written(entity: EntityType, record: Value, is_new: bool, known: &[&str]) -> Value {
        let known = known
            .iter()
            .map(|name| ((*name).to_owned(), String::new()))
            .collect();
        Value::Object(vals(entity, &fields(record), is_new, &known))
    }

    #[test]
    fn a_shops_customer_becomes_a_contact() {
        let record = json!({"email": "ada@x.org", "first_name": "Ada", "last_name": "King", "role": "customer", "phone": null,
                            "billing_phone": "1", "billing_company": "X", "billing_city": "London", "billing_country": "GB",
                            "username": "ada", "shipping_city": "Bath"});
        assert_eq!(
            new(EntityType::Customers, record),
            json!({"email": "ada@x.org", "name": "Ada King", "phone": "1", "company": "X", "billing_city": "London",
                   "billing_country": "GB"})
        );
    }

    #[test]
    fn a_contact_without_a_name_gets_one_when_it_is_created_and_keeps_it() {
        let record = json!({"email": "ada@x.org", "name": null, "billing_company": ""});
        assert_eq!(
            new(EntityType::Customers, record.clone()),
            json!({"email": "ada@x.org", "name": "ada@x.org"})
        );
        assert_eq!(
            over(EntityType::Customers, json!({"name": "Ada"}), record),
            json!({"email": "ada@x.org", "company": ""})
        );
        // its own name is all the company that a company has
        let company = json!({"name": "X", "is_company": true});
        assert_eq!(
            over(
                EntityType::Customers,
                company,
                json!({"company": "Y", "phone": "1"})
            ),
            json!({"phone": "1"})
        );
    }

    #[test]
    fn a_shops_product_becomes_one() {
        let record = json!({"name": "Mug", "sku": "M-1", "type": "simple", "price": "8", "regular_price": "9.90", "weight": "0.5",
                            "description": "<p>Blue &amp; big,<br/>5 < 6</p>\n<ul><li>one</li><li>two</li></ul>",
                            "manage_stock": true, "stock_quantity": 7, "is_active": true, "category_ids": ["4"]});
        let made = new(EntityType::Products, record);
        assert_eq!(
            made,
            json!({"name": "Mug", "sku": "M-1", "regular_price": "9.90", "weight": "0.5", "is_active": true,
                   "description": "Blue & big,\n5 < 6\none\ntwo", "manage_stock": true})
        );
        let vals = |known: &[&str]| written(EntityType::Products, made.clone(), true, known);
        let modern = vals(&["type", "is_storable", "qty_available"]);
        assert_eq!(
            modern,
            json!({"name": "Mug", "default_code": "M-1", "list_price": 9.9, "weight": 0.5, "active": true,
                   "description_sale": "Blue & big,\n5 < 6\none\ntwo", "is_storable": true})
        );
        assert_eq!(
            vals(&["type", "detailed_type", "qty_available"])["detailed_type"],
            "product"
        );
        // without the inventory app there is nothing to keep stock in
        assert!(vals(&["type", "detailed_type"]).get("detailed_type").is_none());
    }

    #[test]
    fn of_a_variant_only_its_own_is_written() {
        let record =
            json!({"name": "Mug", "sku": "M-1", "regular_price": 5, "weight": null, "type": "variation"});
        let variant = json!({"attributes": [{"name": "Colour", "options": ["Red"]}]});
        assert_eq!(
            over(EntityType::Products, variant, record.clone()),
            json!({"sku": "M-1", "weight": 0})
        );
        let alone = over(EntityType::Products, json!({}), record);
        assert_eq!(
            alone,
            json!({"name": "Mug", "sku": "M-1", "weight": 0, "regular_price": 5})
        );
        assert_eq!(
            written(EntityType::Products, alone, false, &["type"]),
            json!({"name": "Mug", "default_code": "M-1", "weight": 0, "lst_price": 5})
        );
    }

    #[test]
    fn what_is_cleared_is_false_and_what_has_to_stay_stays() {
        let record =
            json!({"email": "", "name": " ", "tax_number": null, "billing_city": null, "is_active": null});
        let made = over(EntityType::Customers, json!({"name": "X"}), record);
        assert_eq!(
            made,
            json!({"email": "", "tax_number": null, "billing_city": null})
        );
        assert_eq!(
            written(EntityType::Customers, made, false, &[]),
            json!({"email": false, "vat": false, "city": false})
        );
        let typed = json!({"is_active": "yes", "phone": 12, "role": "invoice"});
        assert_eq!(
            written(EntityType::Customers, typed, false, &[]),
            json!({"active": true, "phone": "12", "type": "invoice"})
        );
    }

    #[test]
    fn what_cannot_be_created_says_why() {
        let told = |entity, record| new(entity, record).as_str().unwrap_or_default().to_owned();
        assert!(told(EntityType::Products, json!({"sku": "x"})).contains("without name"));
        assert!(told(EntityType::Categories, json!({"slug": "x"})).contains("without name"));
        assert!(
            told(EntityType::Products, json!({"name": "x", "type": "variable"})).contains("\"variable\"")
        );
        assert!(told(EntityType::Sales, json!({"number": "x"})).contains("sales"));
    }
}
