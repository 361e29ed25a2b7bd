//! Orders, sales, purchases and transfers in canonical form.

use super::extras::Extras;
use super::map::{put_active, put_address};
use super::value::{
    put, put_all, put_difference, put_first, put_label, put_named, put_reference, put_time, put_times,
    reference, Fields,
};
use serde_json::Value;

/// Parts of lines that are called the same, or so: ours, theirs.
const LINE: &[(&str, &str)] = &[
    ("name", "name"),
    ("discount", "discount"),
    ("unit_price", "price_unit"),
    ("subtotal", "price_subtotal"),
    ("total", "price_total"),
    ("quantity_invoiced", "qty_invoiced"),
];

/// A sale order as an order of a shop: amounts of lines without tax, as shops have them, and with addresses. Those are
/// its contacts', as they are when it is read.
pub(super) fn order(row: &Value, lines: &[Value], extras: &Extras) -> Fields {
    let mut out = Fields::new();
    put_all(
        &mut out,
        row,
        &[
            ("number", "name"),
            ("status", "state"),
            ("total", "amount_total"),
            ("total_tax", "amount_tax"),
        ],
    );
    put_label(&mut out, "currency", &row["currency_id"]);
    put_named(
        &mut out,
        row,
        &[
            ("customer", "partner_id"),
            ("invoice_partner", "partner_invoice_id"),
            ("shipping_partner", "partner_shipping_id"),
            ("company", "company_id"),
        ],
    );
    if let Some(contact) = extras.contact(&row["partner_id"]) {
        put(&mut out, "customer_email", &contact["email"]);
    }
    if let Some(contact) = extras.contact(&row["partner_invoice_id"]) {
        put(&mut out, "billing_email", &contact["email"]);
        put_address(&mut out, "billing", contact, extras);
    }
    if let Some(contact) = extras.contact(&row["partner_shipping_id"]) {
        put_address(&mut out, "shipping", contact, extras);
    }
    put_time(&mut out, "ordered_at", &row["date_order"]);
    put_lines(&mut out, lines, |line| {
        let mut out = line_base(line, extras);
        put_all(
            &mut out,
            line,
            &[
                ("name", "name"),
                ("quantity", "product_uom_qty"),
                ("total", "price_subtotal"),
            ],
        );
        put_difference(&mut out, "total_tax", &line["price_tax"]);
        out
    });
    out
}

/// A sale order, quotations included.
pub(super) fn sale(row: &Value, lines: &[Value], extras: &Extras) -> Fields {
    let mut out = document(row);
    put_all(
        &mut out,
        row,
        &[
            ("partner_reference", "client_order_ref"),
            ("delivery_status", "delivery_status"),
            ("note", "note"),
        ],
    );
    put_named(
        &mut out,
        row,
        &[
            ("invoice_partner", "partner_invoice_id"),
            ("shipping_partner", "partner_shipping_id"),
        ],
    );
    if let Some(contact) = extras.contact(&row["partner_id"]) {
        put(&mut out, "partner_email", &contact["email"]);
    }
    put_reference(&mut out, "warehouse_external_id", &row["warehouse_id"]);
    put_label(&mut out, "team_name", &row["team_id"]);
    put_times(
        &mut out,
        row,
        &[
            ("valid_until", "validity_date"),
            ("expected_at", "commitment_date"),
        ],
    );
    put_lines(&mut out, lines, |line| {
        let mut out = document_line(line, extras);
        put_all(
            &mut out,
            line,
            &[
                ("quantity", "product_uom_qty"),
                ("quantity_delivered", "qty_delivered"),
            ],
        );
        out
    });
    out
}

/// A purchase order, requests for quotation included.
pub(super) fn purchase(row: &Value, lines: &[Value], extras: &Extras) -> Fields {
    let mut out = document(row);
    put_all(
        &mut out,
        row,
        &[
            ("partner_reference", "partner_ref"),
            ("receipt_status", "receipt_status"),
        ],
    );
    put_first(&mut out, "note", row, &["note", "notes"]);
    put_warehouse(&mut out, row, extras);
    put_times(
        &mut out,
        row,
        &[("approved_at", "date_approve"), ("expected_at", "date_planned")],
    );
    put_lines(&mut out, lines, |line| {
        let mut out = document_line(line, extras);
        put_all(
            &mut out,
            line,
            &[("quantity", "product_qty"), ("quantity_received", "qty_received")],
        );
        put_time(&mut out, "expected_at", &line["date_planned"]);
        out
    });
    out
}

/// A transfer of stock.
pub(super) fn transfer(row: &Value, lines: &[Value], extras: &Extras) -> Fields {
    let mut out = Fields::new();
    put_all(
        &mut out,
        row,
        &[
            ("number", "name"),
            ("status", "state"),
            ("origin", "origin"),
            ("direction", "picking_type_code"),
            ("priority", "priority"),
            ("tracking_reference", "carrier_tracking_ref"),
            ("note", "note"),
        ],
    );
    if let Some(kind) = picking_type(row, extras) {
        put_first(&mut out, "direction", kind, &["code"]);
    }
    put_named(
        &mut out,
        row,
        &[
            ("partner", "partner_id"),
            ("company", "company_id"),
            ("source_location", "location_id"),
            ("destination_location", "location_dest_id"),
            ("responsible", "user_id"),
        ],
    );
    put_warehouse(&mut out, row, extras);
    put_reference(&mut out, "backorder_of_external_id", &row["backorder_id"]);
    put_times(
        &mut out,
        row,
        &[
            ("scheduled_at", "scheduled_date"),
            ("deadline_at", "date_deadline"),
            ("completed_at", "date_done"),
        ],
    );
    put_lines(&mut out, lines, |line| {
        let mut out = line_base(line, extras);
        put_first(&mut out, "name", line, &["name", "description_picking"]);
        if !out.contains_key("name") {
            put_label(&mut out, "name", &line["product_id"]);
        }
        put(&mut out, "description", described(line));
        put_all(&mut out, line, &[("quantity", "product_uom_qty")]);
        // From version 17 on, a quantity is what is reserved until the move is done.
        if line["state"] == "done" {
            put_first(&mut out, "quantity_done", line, &["quantity"]);
        }
        put_first(&mut out, "quantity_done", line, &["quantity_done"]);
        put_label(&mut out, "unit", &line["product_uom"]);
        out
    });
    put_active(&mut out, row);
    out
}

/// The text that was given to a move. From version 19 on, `description_picking` says what its product is called now where
/// none was.
fn described(line: &Value) -> &Value {
    line.get("description_picking_manual")
        .unwrap_or(&line["description_picking"])
}

/// What sales and purchases share.
fn document(row: &Value) -> Fields {
    let mut out = Fields::new();
    put_all(
        &mut out,
        row,
        &[
            ("number", "name"),
            ("status", "state"),
            ("origin", "origin"),
            ("subtotal", "amount_untaxed"),
            ("total_tax", "amount_tax"),
            ("total", "amount_total"),
            ("invoice_status", "invoice_status"),
        ],
    );
    put_label(&mut out, "currency", &row["currency_id"]);
    put_label(&mut out, "payment_term", &row["payment_term_id"]);
    put_named(
        &mut out,
        row,
        &[
            ("partner", "partner_id"),
            ("company", "company_id"),
            ("responsible", "user_id"),
        ],
    );
    put_time(&mut out, "ordered_at", &row["date_order"]);
    put_active(&mut out, row);
    out
}

/// What the lines of sales and purchases share. Sections and notes are lines without a product.
fn document_line(line: &Value, extras: &Extras) -> Fields {
    let mut out = line_base(line, extras);
    put_all(&mut out, line, LINE);
    put_difference(&mut out, "total_tax", &line["price_tax"]);
    for unit in ["product_uom_id", "product_uom"] {
        if !out.contains_key("unit") {
            put_label(&mut out, "unit", &line[unit]);
        }
    }
    out
}

fn line_base(line: &Value, extras: &Extras) -> Fields {
    let mut out = Fields::new();
    put_reference(&mut out, "id", &line["id"]);
    put_reference(&mut out, "product_id", &line["product_id"]);
    if let Some(variant) = extras.variant(&line["product_id"]) {
        put(&mut out, "sku", &variant["default_code"]);
    }
    out
}

fn put_lines(out: &mut Fields, lines: &[Value], map: impl Fn(&Value) -> Fields) {
    let lines: Vec<Value> = lines.iter().map(|line| Value::Object(map(line))).collect();
    if !lines.is_empty() {
        out.insert("lines".to_owned(), Value::Array(lines));
    }
}

fn picking_type<'a>(row: &Value, extras: &'a Extras) -> Option<&'a Value> {
    let id = reference(&row["picking_type_id"])?;
    extras.picking_types.get(&id).map(AsRef::as_ref)
}

fn put_warehouse(out: &mut Fields, row: &Value, extras: &Extras) {
    if let Some(kind) = picking_type(row, extras) {
        put_reference(out, "warehouse_external_id", &kind["warehouse_id"]);
    }
}
