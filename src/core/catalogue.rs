//! The field lists behind `schema::fields`: what shops and ERPs both have. Elements of lists are declared sorted by name.

use super::field::{Field, Kind};

pub(super) const fn text(name: &'static str) -> Field {
    Field::new(name, Kind::Text)
}
pub(super) const fn email(name: &'static str) -> Field {
    Field::new(name, Kind::Email)
}
pub(super) const fn number(name: &'static str) -> Field {
    Field::new(name, Kind::Number)
}
pub(super) const fn flag(name: &'static str) -> Field {
    Field::new(name, Kind::Bool)
}
pub(super) const fn time(name: &'static str) -> Field {
    Field::new(name, Kind::Time)
}
const fn set(name: &'static str) -> Field {
    Field::new(name, Kind::Set)
}
pub(super) const fn list(name: &'static str, of: &'static [Field]) -> Field {
    Field::new(name, Kind::List(of))
}

pub(super) const fn total(parts: &[&[Field]]) -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < parts.len() {
        sum += parts[i].len();
        i += 1;
    }
    sum
}

pub(super) const fn concat<const N: usize>(parts: &[&[Field]]) -> [Field; N] {
    let mut all = [text(""); N];
    let (mut at, mut i) = (0, 0);
    while i < parts.len() {
        let mut j = 0;
        while j < parts[i].len() {
            all[at] = parts[i][j];
            at += 1;
            j += 1;
        }
        i += 1;
    }
    all
}

/// Joins field lists at compile time, so that shared groups are written once.
macro_rules! join {
    ($($part:expr),+ $(,)?) => {{
        const PARTS: &[&[Field]] = &[$($part),+];
        const ALL: [Field; total(PARTS)] = concat(PARTS);
        &ALL
    }};
}
pub(super) use join;

const BILLING: &[Field] = &[
    text("billing_first_name"),
    text("billing_last_name"),
    text("billing_company"),
    text("billing_address_1"),
    text("billing_address_2"),
    text("billing_city"),
    text("billing_state"),
    text("billing_postcode"),
    text("billing_country"),
    email("billing_email"),
    text("billing_phone"),
];

const SHIPPING: &[Field] = &[
    text("shipping_first_name"),
    text("shipping_last_name"),
    text("shipping_company"),
    text("shipping_address_1"),
    text("shipping_address_2"),
    text("shipping_city"),
    text("shipping_state"),
    text("shipping_postcode"),
    text("shipping_country"),
    text("shipping_phone"),
];

/// Whom an ERP sends the invoice and the goods to.
pub(super) const PARTNERS: &[Field] = &[
    text("invoice_partner_external_id"),
    text("invoice_partner_name"),
    text("shipping_partner_external_id"),
    text("shipping_partner_name"),
];

/// Which company of an ERP a record belongs to.
pub(super) const COMPANY: &[Field] = &[text("company_external_id"), text("company_name")];

/// The SKU of a line's product, which both systems look up when they are asked: another SKU is a change of the product,
/// and not of all documents that ever named it.
pub(super) const LINE_SKU: Field = Field::aside("sku", Kind::Text);

/// What a remote or an app changes without the record having changed.
pub(super) const ASIDE: &[Field] = &[
    Field::aside("created_at", Kind::Time),
    Field::aside("modified_at", Kind::Time),
    Field::aside("custom", Kind::Any),
];

/// Which connector a document came from. Numbers of documents mean something in one system only.
pub(super) const CAME_FROM: &[Field] = &[Field::aside(super::comparison::SYNC_TYPE, Kind::Text)];

pub(super) const CUSTOMERS: &[Field] = join!(
    &[
        email("email"),
        text("name"),
        text("first_name"),
        text("last_name"),
        text("company"),
        text("phone"),
        flag("is_company"),
        text("tax_number"),
        text("role"),
        text("username"),
        set("tags"),
    ],
    BILLING,
    SHIPPING,
    COMPANY,
    &[flag("is_active")],
    ASIDE,
);

pub(super) const PRODUCTS: &[Field] = join!(
    &[
        text("sku"),
        text("name"),
        text("type"),
        text("status"),
        text("slug"),
        text("description"),
        text("short_description"),
        number("price"),
        number("regular_price"),
        number("sale_price"),
        time("sale_from"),
        time("sale_to"),
        text("currency"),
        flag("manage_stock"),
        number("stock_quantity"),
        text("stock_status"),
        number("weight"),
        number("length"),
        number("width"),
        number("height"),
        text("tax_status"),
        text("tax_class"),
        text("barcode"),
        text("parent_external_id"),
        list("attributes", &[text("id"), text("name"), set("options")]),
        set("category_ids"),
        set("tags"),
        Field::new("image_urls", Kind::Sequence),
        text("catalog_visibility"),
        flag("is_virtual"),
        flag("is_downloadable"),
        text("backorders"),
    ],
    COMPANY,
    &[flag("is_active")],
    ASIDE,
);

pub(super) const ORDERS: &[Field] = join!(
    &[
        text("number"),
        text("status"),
        text("currency"),
        text("customer_external_id"),
        text("customer_name"),
        email("customer_email"),
    ],
    PARTNERS,
    BILLING,
    SHIPPING,
    COMPANY,
    &[
        number("total"),
        number("total_tax"),
        number("shipping_total"),
        number("shipping_tax"),
        number("discount_total"),
        number("discount_tax"),
        number("cart_tax"),
        flag("prices_include_tax"),
        text("payment_method"),
        text("payment_method_title"),
        text("transaction_id"),
        text("customer_note"),
        text("created_via"),
        time("ordered_at"),
        time("paid_at"),
        time("completed_at"),
        list("lines", ORDER_LINES),
        list("shipping_lines", SHIPPING_LINES),
        list("fee_lines", FEE_LINES),
        list("coupon_lines", COUPON_LINES),
        list("tax_lines", TAX_LINES),
        list("refunds", &[text("id"), text("reason"), number("total")]),
    ],
    CAME_FROM,
    ASIDE,
);

const ORDER_LINES: &[Field] = &[
    text("id"),
    text("name"),
    text("product_id"),
    number("quantity"),
    LINE_SKU,
    number("subtotal"),
    number("subtotal_tax"),
    number("total"),
    number("total_tax"),
    text("variation_id"),
];
const SHIPPING_LINES: &[Field] = &[
    text("id"),
    text("method_id"),
    text("method_title"),
    number("total"),
    number("total_tax"),
];
const FEE_LINES: &[Field] = &[text("id"), text("name"), number("total"), number("total_tax")];
const COUPON_LINES: &[Field] = &[
    text("code"),
    number("discount"),
    number("discount_tax"),
    text("id"),
];
const TAX_LINES: &[Field] = &[
    text("id"),
    text("label"),
    text("rate_code"),
    number("shipping_tax_total"),
    number("tax_total"),
];

pub(super) const CATEGORIES: &[Field] = &[
    text("name"),
    text("slug"),
    text("parent_external_id"),
    text("description"),
    text("display"),
    number("menu_order"),
    text("image_url"),
    Field::aside("modified_at", Kind::Time),
    Field::aside("custom", Kind::Any),
];
