//! Templates, variants and categories.

use super::Kind::{Bool, Char, Children, Datetime, Float, Int, Many, One, Select, Text};
use super::{f, Field};

const TYPES_17: &[(&str, &str)] = &[
    ("consu", "Consumable"),
    ("service", "Service"),
    ("product", "Storable Product"),
];
const TYPES_19: &[(&str, &str)] = &[("consu", "Goods"), ("service", "Service"), ("combo", "Combo")];

pub const TEMPLATE: &[Field] = &[
    f("name", "Name", Char).req(),
    f("description", "Description", Text),
    f("description_sale", "Sales Description", Text),
    f("description_purchase", "Purchase Description", Text),
    f("type", "Type", Select(TYPES_17)).v17(),
    f("type", "Product Type", Select(TYPES_19)).req().v18(),
    f("detailed_type", "Product Type", Select(TYPES_17)).req().v17(),
    f("is_storable", "Track Inventory", Bool).v18(),
    f("categ_id", "Product Category", One("product.category"))
        .req()
        .old(),
    f("categ_id", "Product Category", One("product.category")).v19(),
    f("list_price", "Sales Price", Float),
    f("standard_price", "Cost", Float).live(),
    f("currency_id", "Currency", One("res.currency")).ro().live(),
    f("cost_currency_id", "Cost Currency", One("res.currency"))
        .ro()
        .live(),
    f("weight", "Weight", Float),
    f("volume", "Volume", Float),
    f("sale_ok", "Can be Sold", Bool).v17(),
    f("sale_ok", "Sales", Bool).v18(),
    f("purchase_ok", "Can be Purchased", Bool).v17(),
    f("purchase_ok", "Purchase", Bool).v18(),
    f("uom_id", "Unit of Measure", One("uom.uom")).req().old(),
    f("uom_id", "Unit", One("uom.uom")).req().v19(),
    f("company_id", "Company", One("res.company")),
    f("active", "Active", Bool),
    f(
        "attribute_line_ids",
        "Product Attributes",
        Children("product.template.attribute.line"),
    ),
    f("product_variant_ids", "Products", Children("product.product")).req(),
    f("product_variant_id", "Product", One("product.product"))
        .ro()
        .live(),
    f("product_variant_count", "# Product Variants", Int).ro().live(),
    f("barcode", "Barcode", Char).live(),
    f("default_code", "Internal Reference", Char),
    f("taxes_id", "Customer Taxes", Many("account.tax")),
    f("qty_available", "Quantity On Hand", Float).live(),
    f("virtual_available", "Forecasted Quantity", Float).ro().live(),
    f("x_studio_material", "Material", Char).studio(),
];

pub const PRODUCT: &[Field] = &[
    f("name", "Name", Char).req().live(),
    f("description", "Description", Text).live(),
    f("description_sale", "Sales Description", Text).live(),
    f("type", "Type", Select(TYPES_17)).live().v17(),
    f("type", "Product Type", Select(TYPES_19)).req().live().v18(),
    f("detailed_type", "Product Type", Select(TYPES_17))
        .req()
        .live()
        .v17(),
    f("is_storable", "Track Inventory", Bool).live().v18(),
    f("categ_id", "Product Category", One("product.category"))
        .req()
        .live()
        .old(),
    f("categ_id", "Product Category", One("product.category"))
        .live()
        .v19(),
    f("list_price", "Sales Price", Float).live(),
    f("lst_price", "Sales\u{a0}Price", Float).live(),
    f("price_extra", "Variant Price Extra", Float).ro().live(),
    f("standard_price", "Cost", Float).live().per_company().v17(),
    f("standard_price", "Cost", Float).per_company().v18(),
    f("currency_id", "Currency", One("res.currency")).ro().live(),
    f("weight", "Weight", Float),
    f("volume", "Volume", Float),
    f("sale_ok", "Can be Sold", Bool).live(),
    f("purchase_ok", "Can be Purchased", Bool).live(),
    f("uom_id", "Unit of Measure", One("uom.uom")).req().live(),
    f("company_id", "Company", One("res.company")).live(),
    f("active", "Active", Bool),
    f("product_tmpl_id", "Product Template", One("product.template")).req(),
    f(
        "product_template_variant_value_ids",
        "Variant Values",
        Many("product.template.attribute.value"),
    ),
    f(
        "product_template_attribute_value_ids",
        "Attribute Values",
        Many("product.template.attribute.value"),
    ),
    f("combination_indices", "Combination Indices", Char).ro(),
    f("barcode", "Barcode", Char),
    f("default_code", "Internal Reference", Char),
    f("qty_available", "Quantity On Hand", Float).ro().live().old(),
    f("qty_available", "Quantity On Hand", Float).live().v19(),
    f("virtual_available", "Forecasted Quantity", Float).ro().live(),
    f("free_qty", "Free To Use Quantity", Float).ro().live(),
    f("write_date", "Write Date", Datetime).ro(),
    f("x_studio_shelf", "Shelf", Char).studio(),
    f("x_studio_material", "Material", Char).studio().live(),
];

pub const CATEGORY: &[Field] = &[
    f("name", "Name", Char).req(),
    f("complete_name", "Complete Name", Char).ro(),
    f("parent_id", "Parent Category", One("product.category")),
    f("parent_path", "Parent Path", Char).ro(),
    f("child_id", "Child Categories", Children("product.category")),
    f("x_studio_margin", "Margin", Float).studio(),
];

pub const ATTRIBUTE_VALUE: &[Field] = &[
    f("name", "Value", Char).ro().live(),
    f("attribute_id", "Attribute", One("product.attribute")).ro(),
    f("product_tmpl_id", "Product Template", One("product.template")).ro(),
    f("price_extra", "Value Price Extra", Float),
];
