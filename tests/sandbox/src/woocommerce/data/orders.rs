//! Orders.

use super::facts::{hash, mix};
use super::lines::{of_order, write_line, Line};
use super::rec::money;
use super::words::{pick, CITIES, FIRST, LAST};
use super::{lines, refunds, Context, Data, Id, Kind, Rec, Version};

/// Sums of an order in cents.
#[derive(Default)]
struct Sums {
    goods: i64,
    goods_tax: i64,
    shipping: i64,
    fee: i64,
    discount: i64,
}

impl Sums {
    fn of(items: &[Line], h: u64) -> Self {
        let some = !items.is_empty();
        Self {
            goods: items.iter().map(Line::total).sum(),
            goods_tax: items.iter().map(Line::tax).sum(),
            shipping: if some && h >> 50 & 1 == 1 { 490 } else { 0 },
            fee: if some && h >> 51 & 15 == 1 { 250 } else { 0 },
            discount: if some && h >> 51 & 15 == 2 { 400 } else { 0 },
        }
    }

    fn shipping_tax(&self) -> i64 {
        self.shipping * 19 / 100
    }

    fn tax(&self) -> i64 {
        self.goods_tax + self.shipping_tax()
    }

    fn total(&self) -> i64 {
        self.goods + self.shipping + self.fee + self.tax()
    }
}

/// The customer as seeded: a third of the orders are guests'.
pub fn seeded_customer(data: &Data, id: Id) -> Id {
    let h = hash(data.config.seed, Kind::Orders, id);
    if h >> 40 & 3 == 0 || data.config.customers == 0 {
        return 0;
    }
    // Some of these were deleted long ago, as in real shops.
    2 + (mix(h) % u64::from(data.config.customers)) as Id
}

/// The customer as it stands now.
pub fn customer(data: &Data, id: Id) -> Id {
    let over = data.over(Kind::Orders, id);
    let changed = over
        .and_then(|o| o.patch.get("customer_id"))
        .and_then(serde_json::Value::as_u64);
    match changed {
        Some(customer) => customer as Id,
        None if over.is_some_and(|o| o.blank) => 0,
        None => seeded_customer(data, id),
    }
}

pub fn write(data: &Data, r: &mut Rec, id: Id, blank: bool, context: &Context) {
    let modern = context.version >= Version::V11;
    let h = hash(data.config.seed, Kind::Orders, id);
    // Lines are costly to compute, and half of the readers ask for ids and dates only.
    let needed = !blank && TOTALS.iter().any(|f| r.wants(f));
    let items = if needed { of_order(data, id) } else { Vec::new() };
    let sums = Sums::of(&items, h);
    let state = data.state(Kind::Orders, id);
    let (created, modified) = (data.created(Kind::Orders, id), data.modified(Kind::Orders, id));
    let done = (state == "completed" && !blank).then_some(created + 7200);
    r.int("id", id);
    r.raw("parent_id", "0");
    r.text("status", &state);
    r.raw(
        "currency",
        if !blank && id % 50 == 1 {
            "\"JPY\""
        } else {
            "\"EUR\""
        },
    );
    r.raw("version", if modern { "\"11.0.1\"" } else { "\"8.0.3\"" });
    r.raw("prices_include_tax", "false");
    r.local("date_created", Some(created));
    r.local("date_modified", modified);
    write_sums(r, &sums);
    let customer = customer(data, id);
    r.int("customer_id", customer);
    r.text("order_key", &format!("wc_order_{:013x}", mix(h) >> 12));
    addresses(r, id, h, customer, blank);
    write_middle(r, id, h, blank);
    r.local("date_completed", done);
    r.local("date_paid", done);
    r.raw("cart_hash", "\"\"");
    r.text("number", &id.to_string());
    lines::meta(r, if blank { 0 } else { h >> 54 }, id);
    write_lines(r, &items, &sums, modern, context.version);
    write_refunds(data, r, id, modern);
    payment_url(r, id, h, context);
    r.bool(
        "is_editable",
        matches!(&*state, "pending" | "on-hold" | "auto-draft"),
    );
    r.bool(
        "needs_payment",
        matches!(&*state, "pending" | "failed" | "checkout-draft"),
    );
    r.raw("needs_processing", "true");
    r.gmt("date_created_gmt", Some(created));
    r.gmt("date_modified_gmt", modified);
    r.gmt("date_completed_gmt", done);
    r.gmt("date_paid_gmt", done);
    r.raw("currency_symbol", "\"\\u20ac\"");
    write_links(r, id, customer, modern, context);
}

/// Fields that need an order's lines.
const TOTALS: [&str; 13] = [
    "line_items",
    "tax_lines",
    "shipping_lines",
    "fee_lines",
    "coupon_lines",
    "total",
    "total_tax",
    "cart_tax",
    "shipping_total",
    "shipping_tax",
    "discount_total",
    "discount_tax",
    "refunds",
];

fn write_sums(r: &mut Rec, sums: &Sums) {
    r.money("discount_total", Some(sums.discount));
    r.money("discount_tax", Some(sums.discount * 19 / 100));
    r.money("shipping_total", Some(sums.shipping));
    r.money("shipping_tax", Some(sums.shipping_tax()));
    r.money("cart_tax", Some(sums.goods_tax));
    r.money("total", Some(sums.total()));
    r.money("total_tax", Some(sums.tax()));
}

fn addresses(r: &mut Rec, id: Id, h: u64, customer: Id, blank: bool) {
    let email = if customer == 0 {
        format!("guest{id}@mail.example")
    } else {
        format!("cust{customer}@lab.example")
    };
    let or_blank = |text: &'static str| if blank { "" } else { text };
    for key in ["billing", "shipping"] {
        if !r.key(key) {
            continue;
        }
        let empty = blank || (key == "shipping" && h & 1 == 0);
        let mut o = Rec::plain(r.buf());
        o.text("first_name", if empty { "" } else { pick(&FIRST, h >> 20) });
        o.text("last_name", if empty { "" } else { pick(&LAST, h >> 24) });
        o.raw("company", "\"\"");
        o.text("address_1", if empty { "" } else { "Weg 3" });
        o.raw("address_2", "\"\"");
        o.text("city", if empty { "" } else { pick(&CITIES, h >> 28) });
        o.raw("state", "\"\"");
        o.text("postcode", if empty { "" } else { "10115" });
        o.text("country", if empty { "" } else { "DE" });
        if key == "billing" {
            o.text("email", if blank { "" } else { &email });
        }
        o.text("phone", if key == "billing" { or_blank("0301234") } else { "" });
        o.end();
    }
}

fn write_middle(r: &mut Rec, id: Id, h: u64, blank: bool) {
    let paid = !blank && h >> 45 & 1 == 1;
    r.raw("payment_method", if paid { "\"bacs\"" } else { "\"\"" });
    r.raw(
        "payment_method_title",
        if paid { "\"Direct bank transfer\"" } else { "\"\"" },
    );
    r.text(
        "transaction_id",
        &if paid { format!("tx_{id}") } else { String::new() },
    );
    r.raw("customer_ip_address", "\"127.0.0.1\"");
    r.raw("customer_user_agent", "\"\"");
    r.raw("created_via", if blank { "\"rest-api\"" } else { "\"checkout\"" });
    r.text(
        "customer_note",
        if !blank && h >> 46 & 15 == 3 {
            "Bitte klingeln\n\"2x\" 🙏"
        } else {
            ""
        },
    );
}

fn write_lines(r: &mut Rec, items: &[Line], sums: &Sums, modern: bool, version: Version) {
    if r.key("line_items") {
        r.buf().push(b'[');
        for (i, line) in items.iter().enumerate() {
            if i > 0 {
                r.buf().push(b',');
            }
            write_line(r.buf(), line, true, version);
        }
        r.buf().push(b']');
    }
    let (tax, ship_tax) = (money(sums.goods_tax), money(sums.shipping_tax()));
    r.raw("tax_lines", &some(sums.goods > 0, || format!(r#"{{"id":10,"rate_code":"DE-MWST.-1","rate_id":1,"label":"MwSt.","compound":false,"tax_total":"{tax}","shipping_tax_total":"{ship_tax}","rate_percent":19,"meta_data":[]}}"#)));
    let status = if modern { r#""tax_status":"taxable","# } else { "" };
    r.raw("shipping_lines", &some(sums.shipping > 0, || format!(r#"{{"id":11,"method_title":"Flat rate","method_id":"flat_rate","instance_id":"","total":"4.90","total_tax":"{ship_tax}","taxes":[{{"id":1,"total":"{ship_tax}","subtotal":""}}],{status}"meta_data":[]}}"#)));
    r.raw("fee_lines", &some(sums.fee > 0, || r#"{"id":12,"name":"Fee","tax_class":"","tax_status":"taxable","amount":"2.5","total":"2.50","total_tax":"0.00","taxes":[],"meta_data":[]}"#.into()));
    let kind = if modern {
        r#","discount_type":"fixed_cart","nominal_amount":4,"free_shipping":false"#
    } else {
        ""
    };
    r.raw(
        "coupon_lines",
        &some(sums.discount > 0, || {
            format!(r#"{{"id":13,"code":"lab2","discount":"4","discount_tax":"0.76","meta_data":[]{kind}}}"#)
        }),
    );
}

/// A list of one or none.
fn some(yes: bool, item: impl FnOnce() -> String) -> String {
    if yes {
        format!("[{}]", item())
    } else {
        "[]".into()
    }
}

fn write_refunds(data: &Data, r: &mut Rec, id: Id, modern: bool) {
    if !r.key("refunds") {
        return;
    }
    r.buf().push(b'[');
    for (i, refund) in data.children(Kind::Refunds, id).into_iter().enumerate() {
        if i > 0 {
            r.buf().push(b',');
        }
        let mut o = Rec::plain(r.buf());
        o.int("id", refund);
        o.text("reason", refunds::reason(data, refund));
        o.money("total", Some(-refunds::cents(data, refund)));
        if modern {
            o.raw("total_tax", "\"0.00\"");
        }
        o.end();
    }
    r.buf().push(b']');
}

fn payment_url(r: &mut Rec, id: Id, h: u64, context: &Context) {
    if r.key("payment_url") {
        let path = format!(
            r"\/checkout\/order-pay\/{id}\/?pay_for_order=true&key=wc_order_{:013x}",
            mix(h) >> 12
        );
        let buf = r.buf();
        buf.push(b'"');
        buf.extend_from_slice(context.site.as_bytes());
        buf.extend_from_slice(path.as_bytes());
        buf.push(b'"');
    }
}

fn write_links(r: &mut Rec, id: Id, customer: Id, modern: bool, context: &Context) {
    let mut more = Vec::new();
    if modern {
        more.push(("email_templates", format!("orders/{id}/actions/email_templates")));
    }
    if customer != 0 {
        more.push(("customer", format!("customers/{customer}")));
    }
    let allow = "GET\",\"POST\",\"PUT\",\"PATCH\",\"DELETE";
    lines::links_with(r, context, "orders", id, allow, &more);
}
