//! Variations of products.

use super::facts::{hash, variation_position};
use super::products::{sale_dates, size, stock, write_stock};
use super::words::{pick, COLORS, SIZES};
use super::{lines, products, Context, Data, Id, Kind, Rec, Version};
use crate::core::json;

/// The variation's own SKU; where it has none, WooCommerce shows its product's.
fn sku(data: &Data, id: Id, blank: bool) -> String {
    let parent = products::sku(data, data.parent(Kind::Variations, id));
    let position = variation_position(id);
    if blank || position.is_multiple_of(3) {
        parent
    } else {
        format!("{parent}-{position}")
    }
}

pub fn write(data: &Data, r: &mut Rec, id: Id, blank: bool, context: &Context) {
    let modern = context.version >= Version::V11;
    let h = if blank {
        0
    } else {
        hash(data.config.seed, Kind::Variations, id)
    };
    let parent = data.parent(Kind::Variations, id);
    let created = data.created(Kind::Variations, id);
    let modified = data.modified(Kind::Variations, id);
    let price = (!blank && h >> 30 & 15 != 3).then_some(100 + (h >> 8) as i64 % 10_000);
    let sale = price.filter(|_| h >> 40 & 3 == 0).map(|p| p * 9 / 10);
    r.int("id", id);
    if modern {
        r.raw("type", "\"variation\"");
    }
    r.local("date_created", Some(created));
    r.gmt("date_created_gmt", Some(created));
    r.local("date_modified", modified);
    r.gmt("date_modified_gmt", modified);
    r.raw(
        "description",
        if h & 1 == 1 { r#""<p>var<\/p>\n""# } else { "\"\"" },
    );
    if r.key("permalink") {
        let buf = r.buf();
        buf.push(b'"');
        buf.extend_from_slice(context.site.as_bytes());
        json::escape(
            buf,
            &format!("/?post_type=product&p={parent}&attribute_pa_color=red"),
        );
        buf.push(b'"');
    }
    if r.wants("sku") {
        r.text("sku", &sku(data, id, blank));
    }
    if modern {
        r.raw("global_unique_id", "\"\"");
    }
    r.money("price", sale.or(price));
    r.money("regular_price", price);
    r.money("sale_price", sale);
    sale_dates(r);
    r.bool("on_sale", sale.is_some());
    r.text("status", &data.state(Kind::Variations, id));
    r.bool("purchasable", price.is_some());
    for key in ["virtual", "downloadable"] {
        r.raw(key, "false");
    }
    r.raw("downloads", "[]");
    r.raw("download_limit", "-1");
    r.raw("download_expiry", "-1");
    r.raw("tax_status", "\"taxable\"");
    r.raw("tax_class", "\"\"");
    write_rest(r, id, h, modern);
    names(r, id, parent, modern);
    write_links(r, context, id, parent);
}

fn write_rest(r: &mut Rec, id: Id, h: u64, modern: bool) {
    let managed = (h != 0 && id.is_multiple_of(3)).then(|| stock(id, h));
    // Where the product manages one stock for all its variations.
    let unmanaged = if modern && h & 15 == 5 {
        "\"parent\""
    } else {
        "false"
    };
    write_stock(r, managed, unmanaged);
    r.raw("stock_status", "\"instock\"");
    size(r, h);
    r.raw("shipping_class", "\"\"");
    r.raw("shipping_class_id", "0");
    r.raw("image", "null");
    if modern {
        r.raw("gallery_image_ids", "[]");
    }
}

fn names(r: &mut Rec, id: Id, parent: Id, modern: bool) {
    let position = u64::from(variation_position(id));
    let (color, size) = (pick(&COLORS, position), pick(&SIZES, position >> 2));
    if r.key("attributes") {
        let mut first = true;
        r.buf().push(b'[');
        for (id, name, slug, option) in [(1, "Color", "pa_color", color.0), (2, "Size", "pa_size", size.0)] {
            if !std::mem::take(&mut first) {
                r.buf().push(b',');
            }
            let mut o = Rec::plain(r.buf());
            o.int("id", id);
            o.text("name", name);
            if modern {
                o.text("slug", slug);
            }
            o.text("option", option);
            o.end();
        }
        r.buf().push(b']');
    }
    r.int("menu_order", position as i64);
    r.raw("meta_data", "[]");
    if modern {
        r.text("name", &format!("{}, {}", color.0, size.0));
        r.int("parent_id", parent);
    }
}

fn write_links(r: &mut Rec, context: &Context, id: Id, parent: Id) {
    // The list over all products does not know the parent, and says product 0.
    let (path, up) = if context.global {
        ("variations".to_owned(), "products/0".to_owned())
    } else {
        (
            format!("products/{parent}/variations"),
            format!("products/{parent}"),
        )
    };
    let allow = "GET\",\"POST\",\"PUT\",\"PATCH\",\"DELETE";
    lines::links_with(r, context, &path, id, allow, &[("up", up)]);
}
