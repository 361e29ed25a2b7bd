//! Purchase orders and their lines.

use super::document::{partner, Words};
use super::facts::{self, hash, index, Source};
use super::val::SECOND;
use super::words::{pick, NOTES};
use super::{base, stock, Data, Id, Look, Model, Val};

const ME: Model = Model::Purchase;
const WORDS: Words = Words {
    line: Model::PurchaseLine,
    document: Model::Purchase,
    quantity: "product_qty",
};

pub fn seeded_partner<'a>(data: &Data, id: Id) -> Val<'a> {
    partner(data, hash(data.config.seed, ME, id) >> 20)
}

pub fn seeded_company(data: &Data, id: Id) -> Id {
    data.company_at(u32::from(index(id) % 4 == 2))
}

/// The transfers that bring what was bought.
fn pickings(data: &Data, id: Id) -> Vec<Id> {
    if let Some(Val::Ids(ids)) = data.patched(ME, id, "picking_ids") {
        return ids.clone();
    }
    let seeded = facts::picking_of(&data.config, Source::Purchase(id)).filter(|_| !data.is_new(ME, id));
    seeded
        .into_iter()
        .filter(|p| data.exists(Model::Picking, *p))
        .collect()
}

pub fn get<'a>(data: &'a Data, look: &Look, id: Id, field: &str) -> Val<'a> {
    if let Some(total) = WORDS.total(data, look, id, field) {
        return total;
    }
    let of = |field| data.get(look, ME, id, field);
    let confirmed = || matches!(of("state").as_text(), "purchase" | "done");
    match field {
        "name" => return Val::text(format!("P{id:05}")),
        "picking_ids" => return Val::Ids(pickings(data, id)),
        "receipt_status" => return WORDS.delivery(data, look, &pickings(data, id)),
        "currency_id" => {
            let company = of("company_id").id().unwrap_or(1);
            return base::get(data, Model::Company, company, "currency_id");
        }
        "picking_type_id" => {
            let company = of("company_id").id().unwrap_or(1);
            let warehouse = stock::warehouse_of(data, company);
            return Val::one(Model::PickingType, warehouse.map(stock::incoming));
        }
        "invoice_status" => return Val::text(if confirmed() { "to invoice" } else { "no" }),
        "date_approve" if confirmed() => return Val::Time(data.created(ME, id) + 3600 * SECOND),
        "date_planned" => return Val::Time(data.created(ME, id) + 7 * 86_400 * SECOND),
        "user_id" => return Val::One(Model::User, data.a_user()),
        _ => {}
    }
    if data.is_blank(ME, id) {
        return match field {
            "state" => Val::text("draft"),
            "date_order" => Val::Time(data.created(ME, id)),
            "company_id" => Val::One(Model::Company, look.companies.first().copied().unwrap_or(1)),
            _ => Val::No,
        };
    }
    let (h, i) = (hash(data.config.seed, ME, id), index(id));
    match field {
        "state" => Val::text(facts::purchase_state(&data.config, id)),
        "partner_id" => seeded_partner(data, id),
        "company_id" => Val::One(Model::Company, seeded_company(data, id)),
        "partner_ref" if h >> 28 & 1 == 0 => Val::text(format!("V/{i}")),
        "origin" if h >> 29 & 3 == 0 => Val::text(format!("S{i:05}")),
        "date_order" => Val::Time(data.created(ME, id)),
        "payment_term_id" if h >> 32 & 1 == 0 => Val::One(Model::Term, 1),
        "note" | "notes" => Val::text(pick(&NOTES, h >> 34)),
        "x_studio_incoterm_place" if h >> 40 & 1 == 0 => Val::text("Gdańsk"),
        _ => Val::No,
    }
}

pub fn line<'a>(data: &'a Data, look: &Look, id: Id, field: &'a str) -> Val<'a> {
    if let Some(val) = WORDS.line(data, look, id, field) {
        return val;
    }
    match field {
        "qty_invoiced" => Val::Num(0.0),
        "qty_received" => {
            let done = |m: &Id| data.get(look, Model::Move, *m, "state").as_text() == "done";
            let moves = stock::moves_of_line(data, WORDS.line, id).into_iter();
            let moved = moves.filter(done);
            Val::Num(
                moved
                    .map(|m| data.get(look, Model::Move, m, "quantity").num())
                    .fold(0.0, |a, b| a + b),
            )
        }
        "date_planned" => {
            let document = data.owner(WORDS.line, id);
            document.map_or(Val::No, |d| data.get(look, ME, d, field).owned())
        }
        _ => Val::No,
    }
}
