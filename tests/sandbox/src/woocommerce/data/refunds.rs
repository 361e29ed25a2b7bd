//! Refunds: negative lines, or an amount alone.

use super::lines::{of_order, write_line, Line};
use super::rec::money;
use super::{lines, Context, Data, Id, Kind, Rec, Version};

/// What a seeded refund gave back: the first line, one piece of it, or an amount alone.
fn line(data: &Data, id: Id) -> Option<Line> {
    let first = of_order(data, id.wrapping_sub(1)).into_iter().next()?;
    Some(Line {
        id: first.id + 3,
        quantity: -1,
        ..first
    })
}

/// Cents a refund gave back, as it stands now.
pub fn cents(data: &Data, id: Id) -> i64 {
    let changed = data.changed_text(Kind::Refunds, id, "amount");
    let changed = changed
        .and_then(|a| a.parse::<f64>().ok())
        .map(|a| (a * 100.0).round() as i64);
    changed.unwrap_or_else(|| line(data, id).map_or(500, |l| l.price))
}

/// Why, as it stands now.
pub fn reason(data: &Data, id: Id) -> &str {
    let seeded = if id % 4 == 2 { "full ✓" } else { "partial" };
    let blank = data.over(Kind::Refunds, id).is_some_and(|o| o.blank);
    let unchanged = if blank { "" } else { seeded };
    data.changed_text(Kind::Refunds, id, "reason")
        .unwrap_or(unchanged)
}

pub fn write(data: &Data, r: &mut Rec, id: Id, blank: bool, context: &Context) {
    let modern = context.version >= Version::V11;
    let order = data.parent(Kind::Refunds, id);
    let created = data.created(Kind::Refunds, id);
    r.int("id", id);
    if context.global {
        r.int("parent_id", order);
    }
    r.local("date_created", Some(created));
    r.gmt("date_created_gmt", Some(created));
    r.text("amount", &money(cents(data, id)));
    r.text("reason", reason(data, id));
    r.raw("refunded_by", "1");
    r.raw("refunded_payment", "false");
    r.raw(
        "meta_data",
        if modern {
            r#"[{"id":19,"key":"_refund_type","value":"partial"}]"#
        } else {
            "[]"
        },
    );
    if r.key("line_items") {
        r.buf().push(b'[');
        if let Some(line) = line(data, id).filter(|_| !blank) {
            write_line(r.buf(), &line, false, context.version);
        }
        r.buf().push(b']');
    }
    for key in ["shipping_lines", "tax_lines", "fee_lines"] {
        r.raw(key, "[]");
    }
    let path = format!("orders/{order}/refunds");
    let up = [("up", format!("orders/{order}"))];
    lines::links_with(
        r,
        &Context {
            global: false,
            ..*context
        },
        &path,
        id,
        "GET\",\"DELETE",
        &up,
    );
}
