//! Changes of Odoo at random: the next pull brings them, and the delta shows no others.

use serde_json::json;
use sync_sandbox::odoo::Version;

use crate::erp::Erp;
use crate::odoo_changes::{edit, Linked};

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n as u64) as usize
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

/// One change at random.
fn change(erp: &Erp, dice: &mut Dice) {
    let n = dice.below(10_000);
    let models = [
        "res.partner",
        "product.template",
        "product.product",
        "sale.order",
        "purchase.order",
    ];
    match dice.below(10) {
        0..=2 => {
            let model = dice.of(&models);
            let set = match model {
                "res.partner" => json!({ "name": format!("Zoë {n}"), "city": format!("Köln {n}") }),
                "product.template" => json!({ "list_price": n, "description_sale": format!("<b>{n}</b>") }),
                "product.product" => json!({ "default_code": format!("R-{n}") }),
                "sale.order" => json!({ "note": format!("<p>{n}</p>"), "partner_id": 41 }),
                _ => json!({ "partner_ref": format!("V {n}"), "partner_id": 45 }),
            };
            erp.change(edit(model, dice.of(&erp.ids(model)), set));
        }
        3 => {
            let model = dice.of(&[
                "res.partner",
                "product.template",
                "sale.order",
                "product.category",
            ]);
            erp.change(json!({ "op": "create", "entity": model, "count": 1 + n % 3 }));
        }
        4 => {
            let model = dice.of(&["product.product", "sale.order", "stock.picking"]);
            erp.change(json!({ "op": "unlink", "entity": model, "ids": [dice.of(&erp.unused(model))] }));
        }
        5 => {
            let model = dice.of(&["res.partner", "product.template"]);
            let ids = [dice.of(&erp.ids(model))];
            erp.change(
                json!({ "op": "archive", "entity": model, "ids": ids, "active": n.is_multiple_of(2) }),
            );
        }
        6 => {
            let product = dice.of(&erp.ids("product.product"));
            erp.change(json!({ "op": "stock", "product": product, "quantity": n, "warehouse": 1 + n % 2 }));
        }
        7 => {
            let open = erp.those("stock.picking", |r| r["state"] != "done");
            erp.change(json!({ "op": "validate", "picking": dice.of(&open) }));
        }
        8 => {
            let draft = erp.those("sale.order", |r| r["state"] == "draft");
            if !draft.is_empty() {
                erp.change(json!({ "op": "confirm", "entity": "sale.order", "id": dice.of(&draft) }));
            }
        }
        _ => {
            let line = dice.of(&erp.ids("sale.order.line"));
            let set = dice.of(&[
                json!({ "name": format!("Line {n}") }),
                json!({ "discount": n % 50 }),
            ]);
            erp.change(edit("sale.order.line", line, set));
        }
    }
}

fn random_changes_show(version: Version, seed: u64) {
    let mut all = Linked::new(version);
    let mut dice = Dice(seed);
    for _ in 0..3 {
        for _ in 0..25 {
            change(&all.erp, &mut dice);
        }
        all.assert_shown();
    }
}

#[test]
fn random_changes_of_17_show_and_no_others() {
    random_changes_show(Version::V17, 1);
}

#[test]
fn random_changes_of_19_show_and_no_others() {
    random_changes_show(Version::V19, 2);
}
