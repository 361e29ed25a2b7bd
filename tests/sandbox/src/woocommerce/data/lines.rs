//! Parts that several entities share: metadata, links, order lines.

use super::facts::{hash, product_id};
use super::products::Product;
use super::rec::money;
use super::words::{pick, META};
use super::{Context, Data, Id, Kind, Rec, Version};
use crate::core::json;

/// `meta_data` with none, one or two values.
pub fn meta(r: &mut Rec, h: u64, id: Id) {
    if !r.key("meta_data") {
        return;
    }
    let count = [0, 0, 1, 2][(h & 3) as usize];
    r.buf().push(b'[');
    for i in 0..count {
        let (key, value) = pick(&META, (h >> 2) + i);
        if i > 0 {
            r.buf().push(b',');
        }
        let mut o = Rec::plain(r.buf());
        o.int("id", i64::from(id) * 2 + i as i64);
        o.text("key", key);
        o.raw("value", value);
        o.end();
    }
    r.buf().push(b']');
}

/// `_links` of a record in a plain collection.
pub fn links(r: &mut Rec, context: &Context, path: &str, id: Id) {
    links_with(
        r,
        context,
        path,
        id,
        "GET\",\"POST\",\"PUT\",\"PATCH\",\"DELETE",
        &[],
    );
}

/// `_links` with the methods allowed and more relations, `(name, path)`.
pub fn links_with(r: &mut Rec, context: &Context, path: &str, id: Id, allow: &str, more: &[(&str, String)]) {
    if !(r.wants("_links") || context.links) {
        return;
    }
    r.begin("_links");
    let base = |buf: &mut Vec<u8>, path: &str| {
        buf.extend_from_slice(b"[{\"href\":\"");
        buf.extend_from_slice(context.site.as_bytes());
        buf.extend_from_slice(b"\\/wp-json\\/wc\\/v3\\/");
        json::escape(buf, path);
    };
    let buf = r.buf();
    buf.extend_from_slice(b"{\"self\":");
    base(buf, path);
    buf.extend_from_slice(b"\\/");
    json::int(buf, id.into());
    buf.push(b'"');
    if context.version >= Version::V11 && !context.global {
        buf.extend_from_slice(b",\"targetHints\":{\"allow\":[\"");
        buf.extend_from_slice(allow.as_bytes());
        buf.extend_from_slice(b"\"]}");
    }
    buf.extend_from_slice(b"}],\"collection\":");
    base(buf, path);
    buf.extend_from_slice(b"\"}]");
    for (name, target) in more {
        buf.extend_from_slice(b",\"");
        buf.extend_from_slice(name.as_bytes());
        buf.extend_from_slice(b"\":");
        base(buf, target);
        buf.push(b'"');
        if *name == "email_templates" {
            buf.extend_from_slice(b",\"embeddable\":true");
        }
        buf.extend_from_slice(b"}]");
    }
    buf.push(b'}');
}

/// A line of an order, as bought.
pub struct Line {
    pub id: Id,
    pub product: Id,
    pub variation: Id,
    pub name: String,
    pub sku: String,
    pub parent_name: Option<String>,
    pub quantity: i64,
    /// Cents of one.
    pub price: i64,
}

impl Line {
    pub fn total(&self) -> i64 {
        self.quantity * self.price
    }

    pub fn tax(&self) -> i64 {
        self.total() * 19 / 100
    }
}

/// The lines an order was seeded with; one order in thirty has none.
pub fn of_order(data: &Data, order: Id) -> Vec<Line> {
    let h = hash(data.config.seed, Kind::Orders, order);
    let count = if order % 30 == 7 || data.config.products == 0 {
        0
    } else {
        1 + h % 3
    };
    (0..count)
        .map(|n| of_product(data, order, n, h >> (n * 16 + 4)))
        .collect()
}

fn of_product(data: &Data, order: Id, n: u64, h: u64) -> Line {
    let product = product_id((h % u64::from(data.config.products)) as u32);
    let facts = Product::seeded(data, product);
    let variation = data
        .children(Kind::Variations, product)
        .first()
        .copied()
        .unwrap_or(0);
    let varied = variation != 0;
    Line {
        id: order.wrapping_mul(4) % 2_000_000_000 + n as u32,
        product,
        variation,
        name: if varied {
            format!("{} - Red, S", facts.name)
        } else {
            facts.name.clone()
        },
        sku: facts.sku,
        parent_name: varied.then_some(facts.name),
        quantity: 1 + (h >> 12 & 3) as i64 % 3,
        price: facts.price.unwrap_or(0).max(100),
    }
}

/// Writes a line, of an order or (with negative numbers) of a refund.
pub fn write_line(buf: &mut Vec<u8>, line: &Line, taxed: bool, version: Version) {
    let mut o = Rec::plain(buf);
    let (total, tax) = (line.total(), if taxed { line.tax() } else { 0 });
    o.int("id", line.id);
    o.text("name", &line.name);
    o.int("product_id", line.product);
    o.int("variation_id", line.variation);
    o.int("quantity", line.quantity);
    o.raw("tax_class", "\"\"");
    o.money("subtotal", Some(total));
    o.money("subtotal_tax", Some(tax));
    o.money("total", Some(total));
    o.money("total_tax", Some(tax));
    let tax = money(tax);
    o.raw(
        "taxes",
        &if taxed {
            format!(r#"[{{"id":1,"total":"{tax}","subtotal":"{tax}"}}]"#)
        } else {
            "[]".into()
        },
    );
    o.raw("meta_data", if line.variation == 0 { "[]" } else { VARIED });
    o.text("sku", &line.sku);
    if version >= Version::V11 {
        o.raw("global_unique_id", "\"\"");
    }
    // PHP writes a whole float without its fraction.
    o.raw(
        "price",
        money(line.price).trim_end_matches('0').trim_end_matches('.'),
    );
    o.raw("image", r#"{"id":"","src":""}"#);
    match &line.parent_name {
        Some(name) => o.text("parent_name", name),
        None => o.raw("parent_name", "null"),
    }
    o.end();
}

const VARIED: &str =
    r#"[{"id":83,"key":"pa_color","value":"red","display_key":"Color","display_value":"Red"}]"#;
