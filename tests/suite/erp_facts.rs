//! What records of Odoo and of the ledger are compared by.

use serde_json::Value;

use crate::erp::Erp;

impl Erp {
    /// What Odoo says of a record.
    pub fn theirs(&self, entity: &str, record: &Value) -> Vec<String> {
        let at = |name: &str| plain(&record[name]);
        let id = |name: &str| plain(&record[name][0]);
        let label = |name: &str| plain(&record[name][1]);
        match entity {
            "customers" => [at("email").to_lowercase(), first(record, &["phone", "mobile"])]
                .into_iter()
                .chain(
                    [
                        "name",
                        "commercial_company_name",
                        "street",
                        "city",
                        "vat",
                        "type",
                        "is_company",
                        "active",
                    ]
                    .map(at),
                )
                .chain([id("company_id")])
                .collect(),
            "products" => {
                let managed = record["is_storable"] == true || record["type"] == "product";
                let quantity = match at("qty_available") {
                    zero if zero == "0" && !managed => String::new(),
                    quantity => quantity,
                };
                let parent = format!("product.template,{}", id("product_tmpl_id"));
                let facts = ["name", "default_code", "barcode", "description_sale", "active"].map(at);
                // computed in binary: the ledger has what is meant
                let price = (record["lst_price"].as_f64().unwrap_or_default() * 100.0).round() / 100.0;
                [
                    vec![plain(&Value::from(price))],
                    facts.to_vec(),
                    vec![
                        quantity,
                        parent,
                        id("categ_id"),
                        label("currency_id"),
                        id("company_id"),
                    ],
                ]
                .concat()
            }
            "categories" => vec![at("name"), id("parent_id")],
            "warehouses" => vec![
                at("code"),
                at("name"),
                id("company_id"),
                label("lot_stock_id"),
                at("active"),
            ],
            "orders" => {
                let facts = vec![
                    at("name"),
                    at("state"),
                    at("amount_total"),
                    label("currency_id"),
                    id("partner_id"),
                    id("partner_invoice_id"),
                    id("partner_shipping_id"),
                    id("company_id"),
                ];
                [
                    facts,
                    self.lines(
                        "sale.order.line",
                        &record["order_line"],
                        &["name", "product_uom_qty"],
                    ),
                ]
                .concat()
            }
            "sales" => {
                let facts = [
                    "name",
                    "state",
                    "amount_untaxed",
                    "amount_total",
                    "delivery_status",
                ]
                .map(at);
                let facts = [
                    facts.to_vec(),
                    vec![id("partner_id"), id("company_id"), id("warehouse_id")],
                ]
                .concat();
                let of = ["name", "product_uom_qty", "qty_delivered", "price_subtotal"];
                [facts, self.lines("sale.order.line", &record["order_line"], &of)].concat()
            }
            "purchases" => {
                let facts = ["name", "state", "amount_total", "receipt_status"].map(at);
                let facts = [
                    facts.to_vec(),
                    vec![first(record, &["note", "notes"]), id("partner_id")],
                ]
                .concat();
                let of = ["name", "product_qty", "qty_received"];
                [
                    facts,
                    self.lines("purchase.order.line", &record["order_line"], &of),
                ]
                .concat()
            }
            _ => {
                let facts = ["name", "state", "origin", "picking_type_code", "date_done"].map(at);
                let facts = [facts.to_vec(), vec![id("partner_id"), id("backorder_id")]].concat();
                [
                    facts,
                    self.lines("stock.move", &record["move_ids"], &["product_uom_qty"]),
                ]
                .concat()
            }
        }
    }

    /// The lines of a document, by id.
    fn lines(&self, model: &str, ids: &Value, fields: &[&str]) -> Vec<String> {
        let ids = ids.as_array().into_iter().flatten();
        let mut lines: Vec<String> = ids
            .map(|id| {
                let line = self.record(model, id.as_u64().unwrap());
                let facts: Vec<String> = fields.iter().map(|field| plain(&line[*field])).collect();
                format!("{id}: {}", facts.join(", "))
            })
            .collect();
        lines.sort();
        lines
    }
}

/// The same of the canonical record.
pub fn ours(entity: &str, record: &Value) -> Vec<String> {
    let at = |name: &str| plain(&record[name]);
    let all = |names: &[&str]| -> Vec<String> { names.iter().map(|name| at(name)).collect() };
    let with_lines = |names: &[&str], of: &[&str]| [all(names), lines(&record["lines"], of)].concat();
    match entity {
        "customers" => [
            vec![at("email").to_lowercase()],
            all(&[
                "phone",
                "name",
                "company",
                "billing_address_1",
                "billing_city",
                "tax_number",
                "role",
            ]),
            all(&["is_company", "is_active", "company_external_id"]),
        ]
        .concat(),
        "products" => {
            let facts = all(&["price", "name", "sku", "barcode", "description", "is_active"]);
            let rest = vec![
                at("stock_quantity"),
                at("parent_external_id"),
                plain(&record["category_ids"][0]),
                at("currency"),
                at("company_external_id"),
            ];
            [facts, rest].concat()
        }
        "categories" => all(&["name", "parent_external_id"]),
        "warehouses" => all(&[
            "code",
            "name",
            "company_external_id",
            "stock_location_name",
            "is_active",
        ]),
        "orders" => with_lines(
            &[
                "number",
                "status",
                "total",
                "currency",
                "customer_external_id",
                "invoice_partner_external_id",
                "shipping_partner_external_id",
                "company_external_id",
            ],
            &["name", "quantity"],
        ),
        "sales" => with_lines(
            &[
                "number",
                "status",
                "subtotal",
                "total",
                "delivery_status",
                "partner_external_id",
                "company_external_id",
                "warehouse_external_id",
            ],
            &["name", "quantity", "quantity_delivered", "subtotal"],
        ),
        "purchases" => with_lines(
            &[
                "number",
                "status",
                "total",
                "receipt_status",
                "note",
                "partner_external_id",
            ],
            &["name", "quantity", "quantity_received"],
        ),
        _ => with_lines(
            &[
                "number",
                "status",
                "origin",
                "direction",
                "completed_at",
                "partner_external_id",
                "backorder_of_external_id",
            ],
            &["quantity"],
        ),
    }
}

fn lines(lines: &Value, fields: &[&str]) -> Vec<String> {
    let lines = lines.as_array().into_iter().flatten();
    let mut lines: Vec<String> = lines
        .map(|line| {
            let facts: Vec<String> = fields.iter().map(|field| plain(&line[*field])).collect();
            format!("{}: {}", plain(&line["id"]), facts.join(", "))
        })
        .collect();
    lines.sort();
    lines
}

/// The first of these fields that holds something.
fn first(record: &Value, names: &[&str]) -> String {
    let mut all = names.iter().map(|name| plain(&record[*name]));
    all.find(|text| !text.is_empty()).unwrap_or_default()
}

/// A value without what normalising takes away.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null | Value::Bool(false) => String::new(),
        Value::String(text) => text.trim().replace("N\u{303}", "Ñ").replace("&amp;", "&"),
        other => other.to_string(),
    };
    // Odoo's dates have a blank, ours the T and the zone.
    let text = match text.as_bytes() {
        [_, _, _, _, b'-', _, _, b'-', _, _, b' ' | b'T', ..] if text.len() >= 19 => {
            text[..19].replace('T', " ")
        }
        _ => text,
    };
    match text.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => text,
    }
}
