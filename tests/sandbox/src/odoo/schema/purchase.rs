//! Purchase orders and their lines.

use super::Kind::{Char, Children, Datetime, Float, Html, Int, Many, Money, One, Select, Text};
use super::{f, Field};

const STATES_17: &[(&str, &str)] = &[
    ("draft", "RFQ"),
    ("sent", "RFQ Sent"),
    ("to approve", "To Approve"),
    ("purchase", "Purchase Order"),
    ("done", "Locked"),
    ("cancel", "Cancelled"),
];
const STATES_19: &[(&str, &str)] = &[
    ("draft", "RFQ"),
    ("sent", "RFQ Sent"),
    ("to approve", "To Approve"),
    ("purchase", "Purchase Order"),
    ("cancel", "Cancelled"),
];
const INVOICED: &[(&str, &str)] = &[
    ("no", "Nothing to Bill"),
    ("to invoice", "Waiting Bills"),
    ("invoiced", "Fully Billed"),
];
const RECEIVED: &[(&str, &str)] = &[
    ("pending", "Not Received"),
    ("partial", "Partially Received"),
    ("full", "Fully Received"),
];
const KINDS: &[(&str, &str)] = &[("line_section", "Section"), ("line_note", "Note")];

pub const PURCHASE: &[Field] = &[
    f("name", "Order Reference", Char).req(),
    f("origin", "Source Document", Char).old(),
    f("origin", "Source", Char).v19(),
    f("partner_ref", "Vendor Reference", Char),
    f("date_order", "Order Deadline", Datetime).req(),
    f("date_approve", "Confirmation Date", Datetime).ro(),
    f("date_planned", "Expected Arrival", Datetime),
    f("partner_id", "Vendor", One("res.partner")).req(),
    f("company_id", "Company", One("res.company")).req(),
    f("currency_id", "Currency", One("res.currency")).req(),
    f("state", "Status", Select(STATES_17)).ro().old(),
    f("state", "Status", Select(STATES_19)).ro().v19(),
    f("user_id", "Buyer", One("res.users")),
    f("payment_term_id", "Payment Terms", One("account.payment.term")),
    f("picking_type_id", "Deliver To", One("stock.picking.type")).req(),
    f("order_line", "Order Lines", Children("purchase.order.line")),
    f("notes", "Terms and Conditions", Html).old(),
    f("note", "Terms and Conditions", Html).v19(),
    f("amount_untaxed", "Untaxed Amount", Money).ro(),
    f("amount_tax", "Taxes", Money).ro(),
    f("amount_total", "Total", Money).ro(),
    f("invoice_status", "Billing Status", Select(INVOICED)).ro(),
    f("receipt_status", "Receipt Status", Select(RECEIVED)).ro(),
    f("picking_ids", "Receptions", Many("stock.picking")).ro(),
    f("x_studio_incoterm_place", "Incoterm Place", Char).studio(),
];

pub const LINE: &[Field] = &[
    f("order_id", "Order Reference", One("purchase.order")).req(),
    f("sequence", "Sequence", Int),
    f("display_type", "Display Type", Select(KINDS)),
    f("state", "Status", Select(STATES_17)).ro(),
    f("company_id", "Company", One("res.company")).ro(),
    f("currency_id", "Currency", One("res.currency")).ro(),
    f("partner_id", "Partner", One("res.partner")).ro(),
    f("product_id", "Product", One("product.product")),
    f("name", "Description", Text).req(),
    f("product_qty", "Quantity", Float).req(),
    f("product_uom", "Unit of Measure", One("uom.uom")).old(),
    f("product_uom_id", "Unit", One("uom.uom")).v19(),
    f("qty_received", "Received Qty", Float),
    f("qty_invoiced", "Billed Qty", Float).ro(),
    f("date_planned", "Expected Arrival", Datetime),
    f("taxes_id", "Taxes", Many("account.tax")).old(),
    f("tax_ids", "Taxes", Many("account.tax")).v19(),
    f("price_unit", "Unit Price", Float).req(),
    f("discount", "Discount (%)", Float),
    f("price_subtotal", "Subtotal", Money).ro(),
    f("price_tax", "Tax", Float).ro(),
    f("price_total", "Total", Money).ro(),
];
