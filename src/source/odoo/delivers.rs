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
    "company_name",
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
    "company_name",
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
    "company_name",
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
    "company_name",
    "partner_external_id",
    "partner_name",
    "stock_location_external_id",
    "stock_location_name",
    "reception_steps",
    "delivery_steps",
    "is_active",
];

const PURCHASES: &[&str] = &[
    "number",
    "status",
    "currency",
    "partner_external_id",
    "partner_name",
    "partner_reference",
    "origin",
    "company_external_id",
    "company_name",
    "warehouse_external_id",
    "responsible_external_id",
    "responsible_name",
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
    "partner_name",
    "partner_reference",
    "invoice_partner_external_id",
    "shipping_partner_external_id",
    "origin",
    "company_external_id",
    "company_name",
    "warehouse_external_id",
    "responsible_external_id",
    "responsible_name",
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
    "partner_name",
    "origin",
    "company_external_id",
    "company_name",
    "warehouse_external_id",
    "source_location_external_id",
    "source_location_name",
    "destination_location_external_id",
    "destination_location_name",
    "backorder_of_external_id",
    "responsible_external_id",
    "responsible_name",
    "priority",
    "tracking_reference",
    "scheduled_at",
    "deadline_at",
    "completed_at",
    "note",
    "lines",
    "is_active",
];

/// What orders show of their contacts.
const CARRIED_BY_ORDERS: &[&str] = &[
    "customer_name",
    "customer_email",
    "invoice_partner_name",
    "shipping_partner_name",
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

const CARRIED_BY_SALES: &[&str] = &["partner_email", "invoice_partner_name", "shipping_partner_name"];

/// Fields that come along without being compared. They are looked up in contacts: one that moves is a change of the
/// contact, and not of all documents that ever named it. Which contact it is, is compared.
pub(in crate::source) const fn carried(entity: EntityType) -> &'static [&'static str] {
    match entity {
        EntityType::Orders => CARRIED_BY_ORDERS,
        EntityType::Sales => CARRIED_BY_SALES,
        _ => &[],
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
