//! Which of the compared fields WooCommerce delivers.

use crate::core::EntityType;

const CUSTOMERS: &[&str] = &[
    "email",
    "name",
    "first_name",
    "last_name",
    "company",
    "phone",
    "role",
    "username",
    "billing_first_name",
    "billing_last_name",
    "billing_company",
    "billing_address_1",
    "billing_address_2",
    "billing_city",
    "billing_state",
    "billing_postcode",
    "billing_country",
    "billing_email",
    "billing_phone",
    "shipping_first_name",
    "shipping_last_name",
    "shipping_company",
    "shipping_address_1",
    "shipping_address_2",
    "shipping_city",
    "shipping_state",
    "shipping_postcode",
    "shipping_country",
    "shipping_phone",
    "is_active",
];

const PRODUCTS: &[&str] = &[
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
    "parent_external_id",
    "attributes",
    "category_ids",
    "tags",
    "image_urls",
    "catalog_visibility",
    "is_virtual",
    "is_downloadable",
    "backorders",
    "is_active",
];

/// The shop's currency, which no product's date tells a change of.
const CARRIED_BY_PRODUCTS: &[&str] = &["currency"];

/// Fields that come along without being compared.
pub(in crate::source) const fn carried(entity: EntityType) -> &'static [&'static str] {
    match entity {
        EntityType::Products => CARRIED_BY_PRODUCTS,
        _ => &[],
    }
}

const ORDERS: &[&str] = &[
    "number",
    "status",
    "currency",
    "customer_external_id",
    "customer_email",
    "billing_first_name",
    "billing_last_name",
    "billing_company",
    "billing_address_1",
    "billing_address_2",
    "billing_city",
    "billing_state",
    "billing_postcode",
    "billing_country",
    "billing_email",
    "billing_phone",
    "shipping_first_name",
    "shipping_last_name",
    "shipping_company",
    "shipping_address_1",
    "shipping_address_2",
    "shipping_city",
    "shipping_state",
    "shipping_postcode",
    "shipping_country",
    "shipping_phone",
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
    "ordered_at",
    "paid_at",
    "completed_at",
    "lines",
    "shipping_lines",
    "fee_lines",
    "coupon_lines",
    "tax_lines",
    "refunds",
];

const CATEGORIES: &[&str] = &[
    "name",
    "slug",
    "parent_external_id",
    "description",
    "display",
    "menu_order",
    "image_url",
];

/// The compared fields that a shop's records of this type can hold.
pub(in crate::source) const fn fields(entity: EntityType) -> &'static [&'static str] {
    match entity {
        EntityType::Customers => CUSTOMERS,
        EntityType::Products => PRODUCTS,
        EntityType::Orders => ORDERS,
        EntityType::Categories => CATEGORIES,
        EntityType::Warehouses | EntityType::Purchases | EntityType::Sales | EntityType::Transfers => &[],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::map;
    use super::*;
    use crate::core::{compared, normalise, Record};
    use serde_json::{json, Value};
    use std::collections::BTreeSet;

    /// A row in which every one of these fields has something in it.
    fn full(fields: &[&str], more: &Value) -> Value {
        let mut row = json!({"id": 7});
        for field in fields.iter().filter(|field| **field != "id") {
            row[*field] = json!("10");
        }
        for (name, value) in more.as_object().unwrap() {
            row[name] = value.clone();
        }
        row
    }

    fn address() -> Value {
        full(map::ADDRESS, &json!({}))
    }

    fn check(entity: EntityType, record: &Record) {
        let there = normalise(entity, &record.data);
        let compared = compared(entity).iter().map(|field| field.name);
        let delivered: BTreeSet<_> = compared.filter(|name| there.contains_key(name)).collect();
        assert_eq!(delivered, fields(entity).iter().copied().collect::<BTreeSet<_>>());
    }

    #[test]
    fn full_records_hold_what_is_promised() {
        let fields = |list: super::super::list::List| -> Vec<&'static str> {
            list.fields(crate::source::Content::Full).split(',').collect()
        };
        use super::super::list::List;
        let time = "2026-01-01T00:00:00";
        let times = json!({"date_created_gmt": time, "date_modified_gmt": time, "date_paid_gmt": time,
            "date_completed_gmt": time, "date_on_sale_from_gmt": time, "date_on_sale_to_gmt": time, "meta_data": []});
        let with = |mut more: Value| {
            more.as_object_mut()
                .unwrap()
                .extend(times.as_object().unwrap().clone());
            more
        };

        let row = full(
            &fields(List::Customers),
            &with(json!({"billing": address(), "shipping": address()})),
        );
        check(EntityType::Customers, &map::customer(&row).unwrap());

        let row = full(
            &fields(List::Products),
            &with(json!({
            "status": "publish", "virtual": true, "downloadable": true, "manage_stock": true, "parent_id": 3,
            "dimensions": {"length": "1", "width": "2", "height": "3"},
            "categories": [{"id": 1}], "tags": [{"name": "t"}], "images": [{"src": "https://x/y.png"}], "image": null,
            "attributes": [{"id": 1, "name": "Color", "options": ["red"]}]})),
        );
        check(EntityType::Products, &map::product(&row).unwrap());

        let part = json!([full(&["code", "total", "name"], &json!({}))]);
        let row = full(
            &fields(List::Orders),
            &with(json!({
            "customer_id": 5, "billing": address(), "shipping": address(), "prices_include_tax": true,
            "line_items": part, "shipping_lines": part, "fee_lines": part, "coupon_lines": part,
            "tax_lines": [{"id": 1, "label": "VAT"}], "refunds": part})),
        );
        check(EntityType::Orders, &map::order(&row).unwrap());

        let row = full(
            &fields(List::Categories),
            &json!({"parent": 3, "image": {"src": "https://x/y.png"}}),
        );
        check(EntityType::Categories, &map::category(&row).unwrap());
    }
}
