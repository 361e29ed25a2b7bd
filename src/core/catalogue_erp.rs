//! The field lists of what only an ERP has. Elements of lists are declared sorted by name.

use super::catalogue::{
    concat, email, flag, join, list, number, text, time, total, ASIDE, CAME_FROM, COMPANY, LINE_SKU, PARTNERS,
};
use super::field::{Field, Kind};

pub(super) const WAREHOUSES: &[Field] = join!(
    &[text("code"), text("name")],
    COMPANY,
    &[
        text("partner_external_id"),
        text("partner_name"),
        text("stock_location_external_id"),
        text("stock_location_name"),
        text("reception_steps"),
        text("delivery_steps"),
        flag("is_active"),
    ],
    ASIDE,
);

pub(super) const PURCHASES: &[Field] = join!(
    &[
        text("number"),
        text("status"),
        text("currency"),
        text("partner_external_id"),
        text("partner_name"),
        text("partner_reference"),
        text("origin"),
    ],
    COMPANY,
    &[
        text("warehouse_external_id"),
        text("responsible_external_id"),
        text("responsible_name"),
        number("subtotal"),
        number("total_tax"),
        number("total"),
        time("ordered_at"),
        time("approved_at"),
        time("expected_at"),
        text("invoice_status"),
        text("receipt_status"),
        text("payment_term"),
        text("note"),
        list("lines", PURCHASE_LINES),
        flag("is_active"),
    ],
    CAME_FROM,
    ASIDE,
);

const PURCHASE_LINES: &[Field] = &[
    number("discount"),
    time("expected_at"),
    text("id"),
    text("name"),
    text("product_id"),
    number("quantity"),
    number("quantity_invoiced"),
    number("quantity_received"),
    LINE_SKU,
    number("subtotal"),
    number("total"),
    number("total_tax"),
    text("unit"),
    number("unit_price"),
];

pub(super) const SALES: &[Field] = join!(
    &[
        text("number"),
        text("status"),
        text("currency"),
        text("partner_external_id"),
        text("partner_name"),
        email("partner_email"),
        text("partner_reference"),
    ],
    PARTNERS,
    &[text("origin")],
    COMPANY,
    &[
        text("warehouse_external_id"),
        text("responsible_external_id"),
        text("responsible_name"),
        text("team_name"),
        number("subtotal"),
        number("total_tax"),
        number("total"),
        time("ordered_at"),
        time("valid_until"),
        time("expected_at"),
        text("invoice_status"),
        text("delivery_status"),
        text("payment_term"),
        text("note"),
        list("lines", SALE_LINES),
        flag("is_active"),
    ],
    CAME_FROM,
    ASIDE,
);

const SALE_LINES: &[Field] = &[
    number("discount"),
    text("id"),
    text("name"),
    text("product_id"),
    number("quantity"),
    number("quantity_delivered"),
    number("quantity_invoiced"),
    LINE_SKU,
    number("subtotal"),
    number("total"),
    number("total_tax"),
    text("unit"),
    number("unit_price"),
];

pub(super) const TRANSFERS: &[Field] = join!(
    &[
        text("number"),
        text("status"),
        // incoming, outgoing, internal
        text("direction"),
        text("partner_external_id"),
        text("partner_name"),
        text("origin"),
    ],
    COMPANY,
    &[
        text("warehouse_external_id"),
        text("source_location_external_id"),
        text("source_location_name"),
        text("destination_location_external_id"),
        text("destination_location_name"),
        text("backorder_of_external_id"),
        text("responsible_external_id"),
        text("responsible_name"),
        text("priority"),
        text("tracking_reference"),
        time("scheduled_at"),
        time("deadline_at"),
        time("completed_at"),
        text("note"),
        list("lines", TRANSFER_LINES),
        flag("is_active"),
    ],
    CAME_FROM,
    ASIDE,
);

const TRANSFER_LINES: &[Field] = &[
    text("description"),
    text("id"),
    // the product's, as it is called when the transfer is read
    Field::aside("name", Kind::Text),
    text("product_id"),
    number("quantity"),
    number("quantity_done"),
    LINE_SKU,
    text("unit"),
];
