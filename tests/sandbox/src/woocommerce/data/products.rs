//! Products that are no variations.

use super::facts::{category_id, hash, product_id, product_index, product_type};
use super::words::{pick, CATEGORIES, COLORS, DESCRIPTIONS, PRODUCTS, SIZES, SLUGS};
use super::{lines, Context, Data, Id, Kind, Rec, Version};
use crate::core::json;

/// What of a product other records show too.
pub struct Product {
    pub name: String,
    pub sku: String,
    /// Cents; some products have no price.
    pub price: Option<i64>,
    pub sale: Option<i64>,
}

impl Product {
    /// As seeded, whatever was changed since (order lines keep what was bought).
    pub fn seeded(data: &Data, id: Id) -> Self {
        let (i, h) = (product_index(id), hash(data.config.seed, Kind::Products, id));
        let price = (i % 17 != 4).then_some(100 + (h >> 16) as i64 % 20_000);
        let sale = price.filter(|_| h >> 40 & 3 == 0).map(|p| p * 8 / 10);
        Self {
            name: format!("{} {i}", pick(&PRODUCTS, h)),
            sku: seeded_sku(i),
            price,
            sale,
        }
    }

    fn blank() -> Self {
        Self {
            name: String::new(),
            sku: String::new(),
            price: None,
            sale: None,
        }
    }
}

/// One product in six has no SKU.
fn seeded_sku(index: u32) -> String {
    match index {
        i if i % 6 == 5 => String::new(),
        i if i % 11 == 2 => format!("sku.{i}/ä b"),
        i => format!("SKU-{i}"),
    }
}

/// The SKU a product has now.
pub fn sku(data: &Data, id: Id) -> String {
    match data.over(Kind::Products, id) {
        Some(over) => match over.patch.get("sku").and_then(|v| v.as_str()) {
            Some(sku) => sku.to_owned(),
            None if over.blank => String::new(),
            None => seeded_sku(product_index(id)),
        },
        None => seeded_sku(product_index(id)),
    }
}

pub fn write(data: &Data, r: &mut Rec, id: Id, blank: bool, context: &Context) {
    let (i, h) = (product_index(id), hash(data.config.seed, Kind::Products, id));
    let p = if blank {
        Product::blank()
    } else {
        Product::seeded(data, id)
    };
    let kind = if blank { "simple" } else { product_type(i) };
    let h = if blank { 0 } else { h };
    write_head(data, r, id, &p, kind, context);
    r.bool("featured", h >> 30 & 7 == 1);
    r.raw("catalog_visibility", "\"visible\"");
    r.text("description", pick(&DESCRIPTIONS, h >> 12));
    r.raw("short_description", "\"\"");
    r.text("sku", &p.sku);
    let variable = kind == "variable";
    r.money("price", p.sale.or(p.price));
    r.money("regular_price", p.price.filter(|_| !variable));
    r.money("sale_price", p.sale.filter(|_| !variable));
    sale_dates(r);
    r.bool("on_sale", p.sale.is_some());
    r.bool("purchasable", p.price.is_some());
    r.int("total_sales", (h >> 33 & 7) as i64);
    r.raw("virtual", "false");
    r.raw("downloadable", "false");
    r.raw("downloads", "[]");
    r.raw("download_limit", "-1");
    r.raw("download_expiry", "-1");
    r.raw(
        "external_url",
        if kind == "external" {
            r#""https:\/\/other.example\/p""#
        } else {
            "\"\""
        },
    );
    r.raw("button_text", "\"\"");
    r.raw("tax_status", "\"taxable\"");
    r.raw("tax_class", "\"\"");
    let stock = (h != 0 && i.is_multiple_of(3) && !variable).then(|| stock(i, h));
    write_stock(r, stock, "false");
    r.raw("sold_individually", "false");
    size(r, h);
    r.raw("shipping_required", "true");
    r.raw("shipping_taxable", "true");
    r.raw("shipping_class", "\"\"");
    r.raw("shipping_class_id", "0");
    r.raw("reviews_allowed", "true");
    r.raw("average_rating", if blank { "\"0\"" } else { "\"0.00\"" });
    r.raw("rating_count", "0");
    r.raw("upsell_ids", "[]");
    r.raw("cross_sell_ids", "[]");
    r.raw("parent_id", "0");
    r.raw("purchase_note", "\"\"");
    categories(data, r, h);
    write_tail(data, r, id, h, kind, context);
}

fn write_head(data: &Data, r: &mut Rec, id: Id, p: &Product, kind: &str, context: &Context) {
    let h = hash(data.config.seed, Kind::Products, id);
    let (created, modified) = (
        data.created(Kind::Products, id),
        data.modified(Kind::Products, id),
    );
    r.int("id", id);
    r.text("name", &p.name);
    let slug = pick(&SLUGS, h);
    r.text("slug", &format!("{slug}-{id}"));
    if r.key("permalink") {
        let buf = r.buf();
        buf.push(b'"');
        buf.extend_from_slice(context.site.as_bytes());
        json::escape(buf, &format!("/product/{slug}-{id}/"));
        buf.push(b'"');
    }
    r.local("date_created", Some(created));
    r.gmt("date_created_gmt", Some(created));
    r.local("date_modified", modified);
    r.gmt("date_modified_gmt", modified);
    r.text("type", kind);
    r.text("status", &data.state(Kind::Products, id));
}

/// One managed stock in five is negative: sold on backorder.
pub fn stock(i: u32, h: u64) -> i64 {
    if i.is_multiple_of(15) {
        -1 - (h >> 50 & 7) as i64
    } else {
        (h >> 44 & 127) as i64
    }
}

/// The sale window, which nobody set.
pub fn sale_dates(r: &mut Rec) {
    for key in ["from", "from_gmt", "to", "to_gmt"] {
        r.raw(&format!("date_on_sale_{key}"), "null");
    }
}

/// The stock fields; `unmanaged` is `manage_stock` where there is no number.
pub fn write_stock(r: &mut Rec, stock: Option<i64>, unmanaged: &str) {
    let backorders = stock.is_some_and(|n| n < 0);
    r.raw("manage_stock", if stock.is_some() { "true" } else { unmanaged });
    match stock {
        Some(n) => r.int("stock_quantity", n),
        None => r.raw("stock_quantity", "null"),
    }
    r.raw("backorders", if backorders { "\"notify\"" } else { "\"no\"" });
    r.bool("backorders_allowed", backorders);
    r.bool("backordered", backorders);
    r.raw("low_stock_amount", "null");
}

/// Weight and dimensions.
pub fn size(r: &mut Rec, h: u64) {
    let known = h & 1 == 1;
    r.raw("weight", if known { "\"0.8\"" } else { "\"\"" });
    let dimensions = if known {
        r#"{"length":"10","width":"5.5","height":""}"#
    } else {
        r#"{"length":"","width":"","height":""}"#
    };
    r.raw("dimensions", dimensions);
}

fn categories(data: &Data, r: &mut Rec, h: u64) {
    if !r.key("categories") {
        return;
    }
    let total = u64::from(data.config.categories);
    let (first, second) = (h >> 20 & 0xff, h >> 28 & 0xff);
    let picked = [first, second].map(|n| n.checked_rem(total).unwrap_or(0) as u32);
    let count = if total == 0 {
        0
    } else if h & 2 == 0 || picked[0] == picked[1] {
        1
    } else {
        2
    };
    r.buf().push(b'[');
    for (n, index) in picked.into_iter().take(count).enumerate() {
        if n > 0 {
            r.buf().push(b',');
        }
        let mut o = Rec::plain(r.buf());
        let (name, slug) = pick(&CATEGORIES, index.into());
        let id = category_id(index);
        o.int("id", id);
        o.text(
            "name",
            data.changed_text(Kind::Categories, id, "name").unwrap_or(name),
        );
        o.text("slug", &format!("{slug}-{id}"));
        o.end();
    }
    r.buf().push(b']');
}

fn write_tail(data: &Data, r: &mut Rec, id: Id, h: u64, kind: &str, context: &Context) {
    let modern = context.version >= Version::V11;
    if modern {
        r.raw("brands", "[]");
    }
    r.raw(
        "tags",
        if h >> 36 & 3 == 1 {
            r#"[{"id":29,"name":"\u00e9t\u00e9","slug":"ete"}]"#
        } else {
            "[]"
        },
    );
    images(r, h, modern, context);
    attributes(r, kind == "variable", modern);
    r.raw("default_attributes", "[]");
    if r.wants("variations") {
        let variable = kind == "variable" || data.over(Kind::Products, id).is_some();
        r.ints(
            "variations",
            if variable {
                data.children(Kind::Variations, id)
            } else {
                Vec::new()
            },
        );
    }
    let some = (kind == "grouped").then_some([product_id(0), product_id(1)]);
    r.ints("grouped_products", some.into_iter().flatten());
    r.raw("menu_order", "0");
    r.raw(
        "price_html",
        r#""<span class=\"amount\"><bdi>&euro;1.00<\/bdi><\/span>""#,
    );
    // Drawn anew at every request on a real server.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let random = now.map_or(1, |d| d.subsec_nanos()) % 97;
    r.ints(
        "related_ids",
        [product_id(random), product_id(random + 3), product_id(random + 8)],
    );
    lines::meta(r, h >> 54, id);
    r.raw("stock_status", "\"instock\"");
    r.bool("has_options", kind == "variable");
    if modern {
        r.raw("post_password", "\"\"");
        r.raw("global_unique_id", "\"\"");
    }
    lines::links(r, context, "products", id);
}

/// One product in four has a picture.
fn images(r: &mut Rec, h: u64, modern: bool, context: &Context) {
    if !r.key("images") {
        return;
    }
    r.buf().push(b'[');
    if h >> 38 & 3 == 1 {
        let src = format!(r#""{}\/wp-content\/uploads\/lab-5.png""#, context.site);
        let mut o = Rec::plain(r.buf());
        o.int("id", (h >> 40 & 15) as i64);
        let at = Some(1_700_000_000);
        o.local("date_created", at);
        o.gmt("date_created_gmt", at);
        o.local("date_modified", at);
        o.gmt("date_modified_gmt", at);
        o.raw("src", &src);
        o.raw("name", "\"lab image 5\"");
        o.raw("alt", "\"\"");
        if modern {
            o.raw("srcset", "\"\"");
            o.raw("sizes", "\"\"");
            o.raw("thumbnail", &src);
        }
        o.end();
    }
    r.buf().push(b']');
}

fn attributes(r: &mut Rec, variable: bool, modern: bool) {
    if !r.key("attributes") {
        return;
    }
    r.buf().push(b'[');
    let all = [(1, "Color", "pa_color", COLORS), (2, "Size", "pa_size", SIZES)];
    for (id, name, slug, options) in all.into_iter().take(if variable { 2 } else { 0 }) {
        if id > 1 {
            r.buf().push(b',');
        }
        let mut o = Rec::plain(r.buf());
        o.int("id", id);
        o.text("name", name);
        if modern {
            o.text("slug", slug);
        }
        o.raw("position", "0");
        o.raw("visible", "true");
        o.raw("variation", "true");
        if o.key("options") {
            let names: Vec<_> = options.iter().map(|(n, _)| (*n).to_owned().into()).collect();
            json::value(o.buf(), &serde_json::Value::Array(names));
        }
        o.end();
    }
    r.buf().push(b']');
}
