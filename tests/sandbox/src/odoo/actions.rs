//! What buttons do: confirming, cancelling, validating.

use serde_json::json;

use super::data::{Id, Val};
use super::errors::Fail;
use super::schema::Model;
use super::write::{Vals, Writer};

fn vals(of: serde_json::Value) -> Vals {
    of.as_object().cloned().unwrap_or_default()
}

impl Writer<'_> {
    /// Confirms a sale or purchase: goods get a transfer.
    pub fn confirm(&mut self, model: Model, id: Id) -> Result<(), Fail> {
        let (state, line, link) = match model {
            Model::Sale => ("sale", Model::SaleLine, "sale_id"),
            _ => ("purchase", Model::PurchaseLine, "purchase_id"),
        };
        let mut changed = vals(json!({ "state": state }));
        if model == Model::Purchase {
            let text = super::data::val::time_text(self.at);
            changed.insert("date_approve".into(), text.into());
        }
        self.write(model, &[id], &changed)?;
        let goods: Vec<Id> = self
            .data
            .parts(line, id)
            .into_iter()
            .filter(|l| self.is_goods(line, *l))
            .collect();
        if goods.is_empty() {
            return Ok(());
        }
        let picking = self.data.reserve(Model::Picking);
        self.data.insert(Model::Picking, picking, false, self.at);
        self.data.set(Model::Picking, picking, link, Val::One(model, id));
        for (field, of) in [
            ("origin", "name"),
            ("partner_id", "partner_id"),
            ("company_id", "company_id"),
        ] {
            let val = self.data.get(&self.look, model, id, of).owned();
            self.data.set(Model::Picking, picking, field, val);
        }
        for l in goods {
            let step = self.data.reserve(Model::Move);
            self.data.insert(Model::Move, step, false, self.at);
            let owner = Val::One(Model::Picking, picking);
            self.data.set(Model::Move, step, "picking_id", owner);
            let which = if line == Model::SaleLine {
                "sale_line_id"
            } else {
                "purchase_line_id"
            };
            self.data.set(Model::Move, step, which, Val::One(line, l));
            let quantity = if line == Model::SaleLine {
                "product_uom_qty"
            } else {
                "product_qty"
            };
            for (field, of) in [("product_id", "product_id"), ("product_uom_qty", quantity)] {
                let val = self.data.get(&self.look, line, l, of).owned();
                self.data.set(Model::Move, step, field, val);
            }
        }
        let mut all = match self.data.get(&self.look, model, id, "picking_ids") {
            Val::Ids(ids) => ids,
            _ => Vec::new(),
        };
        all.push(picking);
        self.data.set(model, id, "picking_ids", Val::Ids(all));
        Ok(())
    }

    fn is_goods(&self, line: Model, id: Id) -> bool {
        let product = self.data.get(&self.look, line, id, "product_id").id();
        product.is_some_and(|p| self.data.get(&self.look, Model::Product, p, "type").as_text() != "service")
    }

    /// Cancels a sale or purchase with its open transfers.
    pub fn cancel(&mut self, model: Model, id: Id) -> Result<(), Fail> {
        let Val::Ids(pickings) = self.data.get(&self.look, model, id, "picking_ids") else {
            return Ok(());
        };
        for picking in pickings {
            if self
                .data
                .get(&self.look, Model::Picking, picking, "state")
                .as_text()
                != "done"
            {
                self.settle(picking, "cancel")?;
            }
        }
        self.write(model, &[id], &vals(json!({ "state": "cancel" })))
    }

    /// Carries out a transfer: its goods change place, and its order knows.
    pub fn validate(&mut self, picking: Id) -> Result<(), Fail> {
        let look = self.look.clone();
        for step in self.data.parts(Model::Move, picking) {
            let get = |field| self.data.get(&look, Model::Move, step, field);
            let (product, quantity) = (get("product_id").id(), get("product_uom_qty").num());
            let places = [get("location_id").id(), get("location_dest_id").id()];
            self.data.set(Model::Move, step, "quantity", Val::Num(quantity));
            if let (Some(product), [Some(from), Some(to)]) = (product, places) {
                self.shift(product, from, -quantity);
                self.shift(product, to, quantity);
            }
        }
        self.settle(picking, "done")?;
        self.data
            .set(Model::Picking, picking, "date_done", Val::Time(self.at));
        self.touch_document(picking);
        Ok(())
    }

    /// Dates the sale or purchase that a transfer is for: what was delivered is kept there.
    pub fn touch_document(&mut self, picking: Id) {
        let steps = self.data.parts(Model::Move, picking);
        for (line, field) in [
            (Model::SaleLine, "sale_line_id"),
            (Model::PurchaseLine, "purchase_line_id"),
        ] {
            for step in &steps {
                let Some(id) = self.data.get(&self.look, Model::Move, *step, field).id() else {
                    continue;
                };
                self.data.touch(line, id, self.at);
                if let (Some((_, of)), Some(owner)) = (line.owner(), self.data.owner(line, id)) {
                    self.data.touch(of, owner, self.at);
                }
            }
        }
    }

    fn settle(&mut self, picking: Id, state: &str) -> Result<(), Fail> {
        let vals = vals(json!({ "state": state }));
        let moves = self.data.parts(Model::Move, picking);
        self.write(Model::Move, &moves, &vals)?;
        self.write(Model::Picking, &[picking], &vals)
    }

    /// Adds to what lies at a place; a quant that comes to nothing goes.
    fn shift(&mut self, product: Id, place: Id, by: f64) {
        let found = self.quant_at(product, place);
        let before = found.map_or(0.0, |q| {
            self.data.get(&self.look, Model::Quant, q, "quantity").num()
        });
        match found {
            Some(quant) if before + by == 0.0 => self.data.remove(Model::Quant, &[quant]),
            found => {
                self.stock(product, place, before + by, found);
            }
        }
    }

    /// Sets what lies at a place. The product is not dated.
    pub fn stock(&mut self, product: Id, place: Id, quantity: f64, quant: Option<Id>) -> Id {
        let quant = quant.unwrap_or_else(|| {
            let quant = self.data.reserve(Model::Quant);
            self.data.insert(Model::Quant, quant, true, self.at);
            self.data.set(
                Model::Quant,
                quant,
                "product_id",
                Val::One(Model::Product, product),
            );
            self.data.set(
                Model::Quant,
                quant,
                "location_id",
                Val::One(Model::Location, place),
            );
            quant
        });
        self.data.set(Model::Quant, quant, "quantity", Val::Num(quantity));
        self.data.touch(Model::Quant, quant, self.at);
        quant
    }

    /// The quant of a product at a place.
    pub fn quant_at(&self, product: Id, place: Id) -> Option<Id> {
        let quants = self.data.parts(Model::Quant, product).into_iter();
        let mut there =
            quants.filter(|q| self.data.get(&self.look, Model::Quant, *q, "location_id").id() == Some(place));
        there.next()
    }
}
