//! Which of the compared fields Odoo delivers, where its version and apps have them.

use crate::core::EntityType;

const CUSTOMERS: &[&str] = &[
    "email",
    "name",
    "company",
    "phone",
    "is_company",
    "tax_number",
    "role",
    "tags",
    "billing_company",
    "billing_address_1",
    "billing_address_2",
    "billing_city",
    "billing_state",
    "billing_postcode",
    "billing_country",
    "billing_email",
    "billing_phone",
    "company_external_id",
    "is_active",
];

const PRODUCTS: &[&str] = &[
    "sku",
    "name",
    "type",
    "description",
    "price",
    "regular_price",
    "currency",
    "manage_stock",
    "stock_quantity",
    "weight",
    "barcode",
    "parent_external_id",
    "attributes",
    "category_ids",
    "company_external_id",
    "is_active",
];

const ORDERS: &[&str] = &[
    "number",
    "status",
    "currency",
    "customer_external_id",
    "invoice_partner_external_id",
    "shipping_partner_external_id",
    "company_external_id",
    "total",
    "total_tax",
    "ordered_at",
    "lines",
];

const CATEGORIES: &[&str] = &["name", "parent_external_id"];

const WAREHOUSES: &[&str] = &[
    "code",
    "name",
    "company_external_id",
    "partner_external_id",
    "stock_location_external_id",
    "reception_steps",
    "delivery_steps",
    "is_active",
];

const PURCHASES: &[&str] = &[
    "number",
    "status",
    "currency",
    "partner_external_id",
    "partner_reference",
    "origin",
    "company_external_id",
    "warehouse_external_id",
    "responsible_external_id",
    "subtotal",
    "total_tax",
    "total",
    "ordered_at",
    "approved_at",
    "expected_at",
    "invoice_status",
    "receipt_status",
    "payment_term",
    "note",
    "lines",
    "is_active",
];

const SALES: &[&str] = &[
    "number",
    "status",
    "currency",
    "partner_external_id",
    "partner_reference",
    "invoice_partner_external_id",
    "shipping_partner_external_id",
    "origin",
    "company_external_id",
    "warehouse_external_id",
    "responsible_external_id",
    "team_name",
    "subtotal",
    "total_tax",
    "total",
    "ordered_at",
    "valid_until",
    "expected_at",
    "invoice_status",
    "delivery_status",
    "payment_term",
    "note",
    "lines",
    "is_active",
];

const TRANSFERS: &[&str] = &[
    "number",
    "status",
    "direction",
    "partner_external_id",
    "origin",
    "company_external_id",
    "warehouse_external_id",
    "source_location_external_id",
    "destination_location_external_id",
    "backorder_of_external_id",
    "responsible_external_id",
    "priority",
    "tracking_reference",
    "scheduled_at",
    "deadline_at",
    "completed_at",
    "note",
    "lines",
    "is_active",
];

const CARRIED_BY_ORDERS: &[&str] = &[
    "customer_name",
    "customer_email",
    "invoice_partner_name",
    "shipping_partner_name",
    "company_name",
    "billing_company",
    "billing_address_1",
    "billing_address_2",
    "billing_city",
    "billing_state",
    "billing_postcode",
    "billing_country",
    "billing_email",
    "billing_phone",
    "shipping_company",
    "shipping_address_1",
    "shipping_address_2",
    "shipping_city",
    "shipping_state",
    "shipping_postcode",
    "shipping_country",
    "shipping_phone",
];
const CARRIED_BY_SALES: &[&str] = &[
    "partner_name",
    "partner_email",
    "invoice_partner_name",
    "shipping_partner_name",
    "company_name",
    "responsible_name",
];
const CARRIED_BY_PURCHASES: &[&str] = &["partner_name", "company_name", "responsible_name"];
const CARRIED_BY_WAREHOUSES: &[&str] = &["company_name", "partner_name", "stock_location_name"];
const CARRIED_BY_TRANSFERS: &[&str] = &[
    "partner_name",
    "company_name",
    "source_location_name",
    "destination_location_name",
    "responsible_name",
];

/// Fields that come along without being compared. They say what another record is called, or where a contact lives: one
/// that is renamed or moves is a change of that record, and not of all that ever named it. Which record it is, is
/// compared.
pub(in crate::source) const fn carried(entity: EntityType) -> &'static [&'static str] {
    match entity {
        EntityType::Customers | EntityType::Products => &["company_name"],
        EntityType::Orders => CARRIED_BY_ORDERS,
        EntityType::Sales => CARRIED_BY_SALES,
        EntityType::Purchases => CARRIED_BY_PURCHASES,
        EntityType::Warehouses => CARRIED_BY_WAREHOUSES,
        EntityType::Transfers => CARRIED_BY_TRANSFERS,
        EntityType::Categories => &[],
    }
}

/// The compared fields that Odoo's records of this type can hold.
pub(in crate::source) const fn fields(entity: EntityType) -> &'static [&'static str] {
    match entity {
        EntityType::Customers => CUSTOMERS,
        EntityType::Products => PRODUCTS,
        EntityType::Orders => ORDERS,
        EntityType::Categories => CATEGORIES,
        EntityType::Warehouses => WAREHOUSES,
        EntityType::Purchases => PURCHASES,
        EntityType::Sales => SALES,
        EntityType::Transfers => TRANSFERS,
    }
}
