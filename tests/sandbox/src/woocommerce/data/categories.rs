//! Product categories: no dates, names with entities, names used twice.

use super::facts::{category_id, category_index};
use super::words::{pick, CATEGORIES};
use super::{lines, Context, Data, Id, Rec};

fn parent(index: u32) -> Id {
    if index > 4 {
        category_id(index % 4)
    } else {
        0
    }
}

/// The name as seeded.
pub fn name(id: Id) -> &'static str {
    pick(&CATEGORIES, category_index(id).into()).0
}

pub fn write(_: &Data, r: &mut Rec, id: Id, blank: bool, context: &Context) {
    let index = category_index(id);
    let up = if blank { 0 } else { parent(index) };
    r.int("id", id);
    r.text("name", if blank { "" } else { name(id) });
    r.text("slug", &format!("{}-{id}", pick(&CATEGORIES, index.into()).1));
    r.int("parent", up);
    r.raw(
        "description",
        if index % 5 == 4 {
            r#""HTML <b>desc<\/b>""#
        } else {
            "\"\""
        },
    );
    r.raw("display", "\"default\"");
    r.raw("image", "null");
    r.raw("menu_order", "0");
    r.int("count", index % 70);
    let more = [("up", format!("products/categories/{up}"))];
    let more = if up == 0 { &[] } else { &more[..] };
    let allow = "GET\",\"POST\",\"PUT\",\"PATCH\",\"DELETE";
    lines::links_with(r, context, "products/categories", id, allow, more);
}
