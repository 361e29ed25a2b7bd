//! The shop's listings: their routes, and the fields that are read of each.

use super::map;
use crate::core::{EntityType, Listing, Record};
use crate::error::{Code, Error, Result};
use crate::source::Content;
use serde_json::Value;

const IDS: &str = "id,date_modified_gmt";
const CUSTOMER: &str = "id,email,first_name,last_name,role,username,billing,shipping,date_created_gmt,date_modified_gmt,meta_data";
const PRODUCT: &str = "id,sku,name,type,status,slug,description,short_description,price,regular_price,sale_price,\
date_on_sale_from_gmt,date_on_sale_to_gmt,manage_stock,stock_quantity,stock_status,weight,dimensions,tax_status,tax_class,\
global_unique_id,attributes,categories,tags,images,image,catalog_visibility,virtual,downloadable,backorders,parent_id,\
date_created_gmt,date_modified_gmt,meta_data";
const ORDER: &str = "id,number,status,currency,customer_id,billing,shipping,total,total_tax,shipping_total,shipping_tax,\
discount_total,discount_tax,cart_tax,prices_include_tax,payment_method,payment_method_title,transaction_id,customer_note,\
created_via,date_created_gmt,date_modified_gmt,date_paid_gmt,date_completed_gmt,line_items,shipping_lines,fee_lines,\
coupon_lines,tax_lines,refunds,meta_data";
const CATEGORY: &str = "id,name,slug,parent,description,display,menu_order,image";

/// The name of the listings of variations.
pub(super) const VARIATIONS: &str = "variations";

/// A listing of the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum List {
    Customers,
    Products,
    /// Of all products (WooCommerce 10.3 and later).
    Variations,
    /// Of one product.
    VariationsOf(String),
    /// Of several products (WooCommerce 10.3 and later): their ids, with commas between them.
    VariationsIn(String),
    Orders,
    Categories,
}

impl List {
    /// The listing that a task names.
    pub fn of(entity: EntityType, listing: &Listing) -> Result<Self> {
        let list = match (entity, listing.name(), listing.parent()) {
            (EntityType::Customers, "customers", None) => Some(List::Customers),
            (EntityType::Products, "products", None) => Some(List::Products),
            (EntityType::Products, VARIATIONS, None) => Some(List::Variations),
            (EntityType::Products, VARIATIONS, Some(parent)) => Self::variations_of(parent),
            (EntityType::Orders, "orders", None) => Some(List::Orders),
            (EntityType::Categories, "categories", None) => Some(List::Categories),
            _ => None,
        };
        list.ok_or_else(|| {
            Error::new(
                Code::Internal,
                format!("{} have no listing \"{listing}\"", entity.name()),
            )
        })
    }

    /// That of the records which belong to no other.
    pub fn main(entity: EntityType) -> Result<Self> {
        Self::of(entity, &Listing::of(entity.name()))
    }

    fn variations_of(parent: &str) -> Option<Self> {
        let is_id = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
        if is_id(parent) {
            return Some(List::VariationsOf(parent.to_owned()));
        }
        parent
            .split(',')
            .all(is_id)
            .then(|| List::VariationsIn(parent.to_owned()))
    }

    pub fn route(&self) -> String {
        match self {
            List::Customers => "customers".to_owned(),
            List::Products => "products".to_owned(),
            List::Variations | List::VariationsIn(_) => "variations".to_owned(),
            List::VariationsOf(parent) => format!("products/{parent}/variations"),
            List::Orders => "orders".to_owned(),
            List::Categories => "products/categories".to_owned(),
        }
    }

    /// The address of one of its records; None where it can't be told.
    pub fn route_of(&self, id: &str) -> Option<String> {
        match self {
            List::Variations | List::VariationsIn(_) => None,
            _ => Some(format!("{}/{id}", self.route())),
        }
    }

    /// What it lists, whichever way.
    pub fn kind(&self) -> &'static str {
        match self {
            List::Customers => "customers",
            List::Products => "products",
            List::Orders => "orders",
            List::Categories => "categories",
            List::Variations | List::VariationsOf(_) | List::VariationsIn(_) => VARIATIONS,
        }
    }

    /// A field that every version shows of every record, and that a row lacks.
    pub fn lacks(&self, content: Content, row: &Value) -> Option<&'static str> {
        let is_part = |name: &str| matches!(name, "billing" | "shipping");
        let is_missing = |name: &&&str| match row.get(**name) {
            None => true,
            Some(value) => value.is_null() && is_part(name),
        };
        self.required(content).iter().find(is_missing).copied()
    }

    fn required(&self, content: Content) -> &'static [&'static str] {
        match (content, self) {
            (Content::Ids, List::Categories) => &[],
            (Content::Ids, List::Products) => &["date_modified_gmt", "type"],
            (Content::Ids, _) => &["date_modified_gmt"],
            (Content::Full, List::Customers) => &["email", "role", "billing", "shipping"],
            (Content::Full, List::Products) => &[
                "name",
                "type",
                "status",
                "sku",
                "regular_price",
                "categories",
                "attributes",
                "images",
            ],
            (Content::Full, List::Orders) => &[
                "number",
                "status",
                "currency",
                "total",
                "billing",
                "shipping",
                "line_items",
                "shipping_lines",
                "fee_lines",
                "coupon_lines",
                "tax_lines",
                "refunds",
            ],
            (Content::Full, List::Categories) => &["name", "slug"],
            (Content::Full, _) => &["status", "sku", "regular_price", "attributes"],
        }
    }

    pub fn fields(&self, content: Content) -> &'static str {
        match (content, self) {
            (Content::Ids, List::Products) => "id,date_modified_gmt,type,sku",
            (Content::Ids, List::Categories) => "id",
            (Content::Ids, _) => IDS,
            (Content::Full, List::Customers) => CUSTOMER,
            (
                Content::Full,
                List::Products | List::Variations | List::VariationsOf(_) | List::VariationsIn(_),
            ) => PRODUCT,
            (Content::Full, List::Orders) => ORDER,
            (Content::Full, List::Categories) => CATEGORY,
        }
    }

    /// The record of a row.
    pub fn record(&self, row: &Value) -> Result<Record> {
        match self {
            List::Customers => map::customer(row),
            List::Products => map::product(row),
            List::Orders => map::order(row),
            List::Categories => map::category(row),
            List::Variations | List::VariationsIn(_) => map::variation(row, None),
            List::VariationsOf(parent) => map::variation(row, Some(parent)),
        }
    }

    pub fn holds_variations(&self) -> bool {
        matches!(
            self,
            List::Variations | List::VariationsOf(_) | List::VariationsIn(_)
        )
    }

    /// Whether it can say what changed after a time. Others would ignore the question.
    pub fn knows_changes(&self) -> bool {
        !matches!(self, List::Customers | List::Categories)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn listings_are_known_by_name() {
        let list = List::of(EntityType::Products, &"variations:34".into()).unwrap();
        assert_eq!(list.route(), "products/34/variations");
        let list = List::of(EntityType::Products, &"variations:34,35".into()).unwrap();
        assert_eq!(
            (list.route(), list),
            ("variations".into(), List::VariationsIn("34,35".into()))
        );
        for (entity, name) in [
            (EntityType::Products, "variations:../users"),
            (EntityType::Products, "variations:"),
            (EntityType::Products, "variations:34,"),
            (EntityType::Orders, "products"),
            (EntityType::Orders, "orders:34"),
            (EntityType::Orders, "variations:34"),
            (EntityType::Warehouses, "warehouses"),
        ] {
            assert_eq!(List::of(entity, &name.into()).unwrap_err().code, Code::Internal);
        }
    }
}
