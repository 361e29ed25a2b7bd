//! Warehouses, transfers and what lies where.

use super::Kind::{Bool, Char, Children, Datetime, Float, Html, Int, One, Select};
use super::{f, Field};

pub const STATES: &[(&str, &str)] = &[
    ("draft", "Draft"),
    ("waiting", "Waiting Another Operation"),
    ("confirmed", "Waiting"),
    ("assigned", "Ready"),
    ("done", "Done"),
    ("cancel", "Cancelled"),
];
const MOVE_STATES: &[(&str, &str)] = &[
    ("draft", "New"),
    ("waiting", "Waiting Another Move"),
    ("confirmed", "Waiting"),
    ("partially_available", "Partially Available"),
    ("assigned", "Available"),
    ("done", "Done"),
    ("cancel", "Cancelled"),
];
const STEPS_IN: &[(&str, &str)] = &[
    ("one_step", "Receive and Store (1 step)"),
    ("two_steps", "Receive then Store (2 steps)"),
    ("three_steps", "Receive, Quality Control, then Store (3 steps)"),
];
const STEPS_OUT: &[(&str, &str)] = &[
    ("ship_only", "Deliver (1 step)"),
    ("pick_ship", "Pick then Deliver (2 steps)"),
    ("pick_pack_ship", "Pick, Pack, then Deliver (3 steps)"),
];
const CODES: &[(&str, &str)] = &[
    ("incoming", "Receipt"),
    ("outgoing", "Delivery"),
    ("internal", "Internal Transfer"),
];
const PRIORITIES: &[(&str, &str)] = &[("0", "Normal"), ("1", "Urgent")];
const USAGES: &[(&str, &str)] = &[
    ("supplier", "Vendor Location"),
    ("view", "View"),
    ("internal", "Internal Location"),
    ("customer", "Customer Location"),
    ("inventory", "Inventory Loss"),
    ("production", "Production"),
    ("transit", "Transit Location"),
];

pub const WAREHOUSE: &[Field] = &[
    f("name", "Warehouse", Char).req(),
    f("active", "Active", Bool),
    f("company_id", "Company", One("res.company")).req().ro(),
    f("partner_id", "Address", One("res.partner")),
    f("view_location_id", "View Location", One("stock.location")).req(),
    f("lot_stock_id", "Location Stock", One("stock.location")).req(),
    f("code", "Short Name", Char).req(),
    f("sequence", "Sequence", Int),
    f("reception_steps", "Incoming Shipments", Select(STEPS_IN)).req(),
    f("delivery_steps", "Outgoing Shipments", Select(STEPS_OUT)).req(),
    f("x_studio_dock", "Dock", Char).studio(),
];

pub const PICKING: &[Field] = &[
    f("name", "Reference", Char).ro(),
    f("origin", "Source Document", Char),
    f("note", "Notes", Html),
    f("backorder_id", "Back Order of", One("stock.picking")).ro(),
    f("move_type", "Shipping Policy", Char),
    f("state", "Status", Select(STATES)).ro(),
    f("priority", "Priority", Select(PRIORITIES)),
    f("scheduled_date", "Scheduled Date", Datetime),
    f("date_deadline", "Deadline", Datetime).ro(),
    f("date_done", "Date of Transfer", Datetime).ro().old(),
    f("date_done", "Date of Transfer", Datetime).v19(),
    f("location_id", "Source Location", One("stock.location")).req(),
    f("location_dest_id", "Destination Location", One("stock.location")).req(),
    f("move_ids", "Stock Moves", Children("stock.move")),
    f("picking_type_id", "Operation Type", One("stock.picking.type")).req(),
    f("picking_type_code", "Type of Operation", Select(CODES))
        .ro()
        .live(),
    f("partner_id", "Contact", One("res.partner")),
    f("company_id", "Company", One("res.company")).ro(),
    f("user_id", "Responsible", One("res.users")),
    f("sale_id", "Sales Order", One("sale.order")).ro().old(),
    f("sale_id", "Sales Order", One("sale.order")).v19(),
    f("carrier_tracking_ref", "Tracking Reference", Char),
    f("x_studio_truck", "Truck", Char).studio(),
];

pub const MOVE: &[Field] = &[
    f("name", "Description", Char).req().old(),
    f("description_picking", "Description of Picking", Char).old(),
    f("description_picking", "Description Of Picking", Char)
        .live()
        .v19(),
    f("description_picking_manual", "Description Picking Manual", Char)
        .ro()
        .v19(),
    f("reference", "Reference", Char),
    f("sequence", "Sequence", Int),
    f("state", "Status", Select(MOVE_STATES)).ro(),
    f("date", "Date Scheduled", Datetime).req(),
    f("company_id", "Company", One("res.company")).req(),
    f("product_id", "Product", One("product.product")).req(),
    f("product_uom_qty", "Demand", Float).req(),
    f("product_uom", "UoM", One("uom.uom")).req(),
    f("quantity", "Quantity", Float),
    f("picked", "Picked", Bool),
    f("location_id", "Source Location", One("stock.location")).req(),
    f("location_dest_id", "Destination Location", One("stock.location")).req(),
    f("picking_id", "Transfer", One("stock.picking")),
    f("origin", "Source Document", Char),
    f("sale_line_id", "Sale Line", One("sale.order.line")),
    f(
        "purchase_line_id",
        "Purchase Order Line",
        One("purchase.order.line"),
    ),
];

pub const QUANT: &[Field] = &[
    f("product_id", "Product", One("product.product")).req(),
    f("product_tmpl_id", "Product Template", One("product.template")).live(),
    f("company_id", "Company", One("res.company")).ro(),
    f("location_id", "Location", One("stock.location")).req(),
    f("warehouse_id", "Warehouse", One("stock.warehouse")).ro(),
    f("quantity", "Quantity", Float).ro(),
    f("reserved_quantity", "Reserved Quantity", Float).ro(),
    f("available_quantity", "Available Quantity", Float).ro().live(),
    f("in_date", "Incoming Date", Datetime).ro(),
];

pub const LOCATION: &[Field] = &[
    f("name", "Location Name", Char).req(),
    f("complete_name", "Full Location Name", Char).ro(),
    f("active", "Active", Bool),
    f("usage", "Location Type", Select(USAGES)).req(),
    f("location_id", "Parent Location", One("stock.location")),
    f("warehouse_id", "Warehouse", One("stock.warehouse")).ro(),
    f("company_id", "Company", One("res.company")),
];

pub const PICKING_TYPE: &[Field] = &[
    f("name", "Operation Type", Char).req(),
    f("code", "Type of Operation", Select(CODES)).req(),
    f("active", "Active", Bool),
    f("warehouse_id", "Warehouse", One("stock.warehouse")),
    f("company_id", "Company", One("res.company")).req(),
];
