//! What sales and purchases have in common: lines with amounts.

use super::val::round2;
use super::{base, facts, product, Data, Id, Look, Model, Val};

/// The names of the fields of a kind of line.
pub struct Words {
    pub line: Model,
    pub document: Model,
    pub quantity: &'static str,
}

impl Words {
    /// Amounts of a line: untaxed, tax.
    fn amounts(&self, data: &Data, look: &Look, id: Id) -> (f64, f64) {
        let get = |field| data.get(look, self.line, id, field).num();
        let net = round2(get(self.quantity) * get("price_unit") * (100.0 - get("discount")) / 100.0);
        (net, round2(net * self.rate(data, look, id)))
    }

    /// The rate of a line's tax: that of its company.
    fn rate(&self, data: &Data, look: &Look, id: Id) -> f64 {
        match data.get(look, self.line, id, "company_id").id() {
            Some(company) => base::tax_rate(company),
            None => 0.0,
        }
    }

    /// Sums over a document's lines: untaxed, tax.
    fn sums(&self, data: &Data, look: &Look, id: Id) -> (f64, f64) {
        let lines = data.parts(self.line, id).into_iter();
        let sum = lines.map(|line| self.amounts(data, look, line));
        let sum = sum.fold((0.0, 0.0), |sum, line| (sum.0 + line.0, sum.1 + line.1));
        (round2(sum.0), round2(sum.1))
    }

    /// A field of a document that follows from its lines.
    pub fn total<'a>(&self, data: &Data, look: &Look, id: Id, field: &str) -> Option<Val<'a>> {
        Some(match field {
            "amount_untaxed" => Val::Num(self.sums(data, look, id).0),
            "amount_tax" => Val::Num(self.sums(data, look, id).1),
            "amount_total" => {
                let (net, tax) = self.sums(data, look, id);
                Val::Num(round2(net + tax))
            }
            "order_line" => Val::Ids(data.parts(self.line, id)),
            _ => return None,
        })
    }

    /// A field of a line that is the same for both kinds.
    pub fn line<'a>(&self, data: &'a Data, look: &Look, id: Id, field: &'a str) -> Option<Val<'a>> {
        let document = data.owner(self.line, id);
        let of_document = |field| document.map_or(Val::No, |d| data.get(look, self.document, d, field));
        Some(match field {
            "company_id" | "currency_id" | "state" => of_document(field),
            "order_partner_id" | "partner_id" => of_document("partner_id"),
            "sequence" => Val::Int(10),
            "price_subtotal" => Val::Num(self.amounts(data, look, id).0),
            // kept as a binary float, with the error of the subtraction
            "price_tax" => {
                let (net, tax) = self.amounts(data, look, id);
                Val::Num(round2(net + tax) - net)
            }
            "price_total" => {
                let (net, tax) = self.amounts(data, look, id);
                Val::Num(round2(net + tax))
            }
            "tax_id" | "tax_ids" | "taxes_id" => {
                let company = of_document("company_id").id();
                let taxed = company.filter(|c| base::tax_rate(*c) > 0.0);
                Val::Ids(taxed.into_iter().collect())
            }
            "product_uom" | "product_uom_id" => {
                let goods = data.get(look, self.line, id, "product_id").id();
                Val::one(Model::Unit, goods.map(|_| 1))
            }
            "name" if data.is_new(self.line, id) => {
                let goods = data.get(look, self.line, id, "product_id").id();
                let label = goods.map(|p| data.label(look, Model::Product, p));
                Val::text(label.unwrap_or_else(|| "Nota bene ✓".to_owned()))
            }
            // What was sold keeps the name it was sold under.
            "name" => match seeded_product(data, self.line, id) {
                Some(_) => product::seeded_name(data, facts::line_template(&data.config, self.line, id)),
                None => Val::text("Nota bene ✓"),
            },
            _ if data.is_blank(self.line, id) => return self.blank(data, look, id, field),
            "product_id" => Val::one(Model::Product, seeded_product(data, self.line, id)),
            "display_type" => match facts::is_note(&data.config, self.line, id) {
                true => Val::text("line_note"),
                false => Val::No,
            },
            _ if self.is_note(data, look, id) => match field {
                "discount" | "price_unit" => Val::Num(0.0),
                _ if field == self.quantity => Val::Num(0.0),
                _ => return None,
            },
            "discount" => Val::Num(if self.hash(data, id) >> 20 & 7 == 0 {
                10.0
            } else {
                0.0
            }),
            "price_unit" => Val::cents((self.hash(data, id) >> 24 & 0xffff) as i64 + 50),
            _ if field == self.quantity => Val::Num(seeded_quantity(data, self.line, id)),
            _ => return None,
        })
    }

    /// What a client left out when it made a line.
    fn blank<'a>(&self, data: &'a Data, look: &Look, id: Id, field: &str) -> Option<Val<'a>> {
        Some(match field {
            "price_unit" => {
                let goods = data.get(look, self.line, id, "product_id").id();
                let price = goods.map(|p| data.get(look, Model::Product, p, "lst_price").num());
                Val::Num(price.unwrap_or(0.0))
            }
            _ if field == self.quantity => Val::Num(1.0),
            "discount" => Val::Num(0.0),
            _ => return None,
        })
    }

    /// Whether a line is a section or a note.
    pub fn is_note(&self, data: &Data, look: &Look, id: Id) -> bool {
        data.get(look, self.line, id, "product_id").is_no()
    }

    fn hash(&self, data: &Data, id: Id) -> u64 {
        line_hash(data, self.line, id)
    }

    /// How much of a document was delivered, by its transfers.
    pub fn delivery<'a>(&self, data: &Data, look: &Look, pickings: &[Id]) -> Val<'a> {
        let state = |id: &Id| data.get(look, Model::Picking, *id, "state").into_text();
        let states: Vec<String> = pickings.iter().map(state).filter(|s| s != "cancel").collect();
        let done = states.iter().filter(|s| *s == "done").count();
        match (done, states.len()) {
            (_, 0) => Val::No,
            (0, _) => Val::text("pending"),
            (d, n) if d == n => Val::text("full"),
            _ => Val::text("partial"),
        }
    }
}

fn line_hash(data: &Data, line_model: Model, line: Id) -> u64 {
    facts::hash(data.config.seed ^ 9, line_model, line)
}

/// What a line was seeded to sell or buy; a note is none.
pub fn seeded_product(data: &Data, line_model: Model, line: Id) -> Option<Id> {
    let template = facts::line_template(&data.config, line_model, line);
    let first = facts::first_variant(&data.config, template);
    let goods = !facts::is_note(&data.config, line_model, line);
    (goods && data.exists(Model::Product, first)).then_some(first)
}

/// How much of it.
pub fn seeded_quantity(data: &Data, line_model: Model, line: Id) -> f64 {
    (line_hash(data, line_model, line) >> 44 & 7) as f64 + 1.0
}

/// The seeded contact that a document is with.
pub fn partner<'a>(data: &Data, h: u64) -> Val<'a> {
    let n = data.config.partners;
    if n == 0 {
        return Val::One(Model::Partner, 1);
    }
    let id = facts::partner_at((h % u64::from(n)) as u32);
    Val::one(Model::Partner, data.exists(Model::Partner, id).then_some(id))
}
