//! Sales orders and their lines.

use super::Kind::{Bool, Char, Children, Date, Datetime, Float, Html, Int, Many, Money, One, Select, Text};
use super::{f, Field};

pub const STATES: &[(&str, &str)] = &[
    ("draft", "Quotation"),
    ("sent", "Quotation Sent"),
    ("sale", "Sales Order"),
    ("cancel", "Cancelled"),
];
const INVOICED: &[(&str, &str)] = &[
    ("upselling", "Upselling Opportunity"),
    ("invoiced", "Fully Invoiced"),
    ("to invoice", "To Invoice"),
    ("no", "Nothing to Invoice"),
];
const DELIVERED: &[(&str, &str)] = &[
    ("pending", "Not Delivered"),
    ("started", "Started"),
    ("partial", "Partially Delivered"),
    ("full", "Fully Delivered"),
];
const CHANNELS: &[(&str, &str)] = &[("web", "Web"), ("phone", "Phone")];
const KINDS_17: &[(&str, &str)] = &[("line_section", "Section"), ("line_note", "Note")];
const KINDS_19: &[(&str, &str)] = &[
    ("line_section", "Section"),
    ("line_subsection", "Subsection"),
    ("line_note", "Note"),
];

pub const SALE: &[Field] = &[
    f("name", "Order Reference", Char).req(),
    f("company_id", "Company", One("res.company")).req(),
    f("partner_id", "Customer", One("res.partner")).req(),
    f("partner_invoice_id", "Invoice Address", One("res.partner")).req(),
    f("partner_shipping_id", "Delivery Address", One("res.partner")).req(),
    f("state", "Status", Select(STATES)).ro(),
    f("locked", "Locked", Bool),
    f("client_order_ref", "Customer Reference", Char),
    f("origin", "Source Document", Char),
    f("date_order", "Order Date", Datetime).req(),
    f("validity_date", "Expiration", Date),
    f("commitment_date", "Delivery Date", Datetime),
    f("note", "Terms and conditions", Html),
    f("pricelist_id", "Pricelist", One("product.pricelist")),
    f("currency_id", "Currency", One("res.currency")).ro(),
    f("user_id", "Salesperson", One("res.users")),
    f("team_id", "Sales Team", One("crm.team")),
    f("payment_term_id", "Payment Terms", One("account.payment.term")),
    f("warehouse_id", "Warehouse", One("stock.warehouse")).req(),
    f("order_line", "Order Lines", Children("sale.order.line")),
    f("picking_ids", "Transfers", Children("stock.picking")),
    f("amount_untaxed", "Untaxed Amount", Money).ro(),
    f("amount_tax", "Taxes", Money).ro(),
    f("amount_total", "Total", Money).ro(),
    f("invoice_status", "Invoice Status", Select(INVOICED)).ro(),
    f("delivery_status", "Delivery Status", Select(DELIVERED)).ro(),
    f("tag_ids", "Tags", Many("crm.tag")),
    f("x_studio_channel", "Channel", Select(CHANNELS)).studio(),
];

pub const LINE: &[Field] = &[
    f("order_id", "Order Reference", One("sale.order")).req(),
    f("sequence", "Sequence", Int),
    f("state", "Order Status", Select(STATES)).ro(),
    f("display_type", "Display Type", Select(KINDS_17)).old(),
    f("display_type", "Display Type", Select(KINDS_19)).v19(),
    f("company_id", "Company", One("res.company")).ro(),
    f("currency_id", "Currency", One("res.currency")).ro(),
    f("order_partner_id", "Customer", One("res.partner")).ro(),
    f("product_id", "Product", One("product.product")),
    f("name", "Description", Text).req(),
    f("product_uom_qty", "Quantity", Float).req(),
    f("product_uom", "Unit of Measure", One("uom.uom")).old(),
    f("product_uom_id", "Unit", One("uom.uom")).v19(),
    f("qty_delivered", "Delivery Quantity", Float),
    f("qty_invoiced", "Invoiced Quantity", Float).ro(),
    f("tax_id", "Taxes", Many("account.tax")).old(),
    f("tax_ids", "Taxes", Many("account.tax")).v19(),
    f("price_unit", "Unit Price", Float).req(),
    f("discount", "Discount (%)", Float),
    f("price_subtotal", "Subtotal", Money).ro(),
    f("price_tax", "Total Tax", Float).ro(),
    f("price_total", "Total", Money).ro(),
    f("x_studio_engraving", "Engraving", Char).studio(),
];
