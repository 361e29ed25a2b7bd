//! Sales orders and their lines.

use super::document::{partner, Words};
use super::facts::{self, hash, index, Source};
use super::val::SECOND;
use super::words::{pick, NOTES};
use super::{base, Data, Id, Look, Model, Val};

const ME: Model = Model::Sale;
const WORDS: Words = Words {
    line: Model::SaleLine,
    document: Model::Sale,
    quantity: "product_uom_qty",
};

pub fn seeded_partner<'a>(data: &Data, id: Id) -> Val<'a> {
    partner(data, hash(data.config.seed, ME, id) >> 20)
}

pub fn seeded_company(data: &Data, id: Id) -> Id {
    data.company_at(u32::from(index(id) % 5 == 3))
}

/// The transfers that deliver a sale.
pub fn pickings(data: &Data, id: Id) -> Vec<Id> {
    if let Some(Val::Ids(ids)) = data.patched(ME, id, "picking_ids") {
        return ids.clone();
    }
    let seeded = facts::picking_of(&data.config, Source::Sale(id)).filter(|_| !data.is_new(ME, id));
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
    match field {
        "name" => return Val::text(format!("S{id:05}")),
        "picking_ids" => return Val::Ids(pickings(data, id)),
        "delivery_status" => return WORDS.delivery(data, look, &pickings(data, id)),
        "partner_invoice_id" => return of("partner_id").owned(),
        "partner_shipping_id" => return of("partner_id").owned(),
        "currency_id" => {
            let company = of("company_id").id().unwrap_or(1);
            // Some are billed in another currency than the company's.
            let company = if id % 9 == 4 {
                data.company_at(company)
            } else {
                company
            };
            return base::get(data, Model::Company, company, "currency_id");
        }
        "warehouse_id" => {
            let company = of("company_id").id().unwrap_or(1);
            return Val::one(Model::Warehouse, super::stock::warehouse_of(data, company));
        }
        "invoice_status" => {
            return Val::text(match of("state").as_text() {
                "sale" => "to invoice",
                _ => "no",
            });
        }
        "validity_date" => {
            let day = data.created(ME, id).div_euclid(86_400 * SECOND);
            return Val::Day(day + 30);
        }
        "tag_ids" => return Val::Ids(Vec::new()),
        "team_id" => return Val::One(Model::Team, 1),
        "user_id" => return Val::One(Model::User, data.a_user()),
        _ => {}
    }
    if data.is_blank(ME, id) {
        return match field {
            "state" => Val::text("draft"),
            "locked" => Val::Bool(false),
            "date_order" => Val::Time(data.created(ME, id)),
            "company_id" => Val::One(Model::Company, look.companies.first().copied().unwrap_or(1)),
            _ => Val::No,
        };
    }
    let (h, i) = (hash(data.config.seed, ME, id), index(id));
    match field {
        "state" => Val::text(facts::sale_state(&data.config, id)),
        "locked" => Val::Bool(h >> 16 & 7 == 0),
        "partner_id" => seeded_partner(data, id),
        "company_id" => Val::One(Model::Company, seeded_company(data, id)),
        "client_order_ref" => match i % 3 {
            0 => Val::No,
            1 => Val::text(format!("PO-{i}")),
            _ => Val::text(format!("Réf/{i}")),
        },
        "date_order" => Val::Time(data.created(ME, id)),
        "commitment_date" if h >> 30 & 3 == 0 => Val::Time(data.created(ME, id) + 10 * 86_400 * SECOND),
        "payment_term_id" if h >> 32 & 1 == 0 => Val::One(Model::Term, 2),
        "note" => Val::text(pick(&NOTES, h >> 34)),
        "x_studio_channel" => Val::text(pick(&["", "web", "phone"], h >> 40)),
        _ => Val::No,
    }
}

pub fn line<'a>(data: &'a Data, look: &Look, id: Id, field: &'a str) -> Val<'a> {
    if let Some(val) = WORDS.line(data, look, id, field) {
        return val;
    }
    match field {
        "qty_invoiced" => Val::Num(0.0),
        "qty_delivered" => {
            let done = |m: &Id| data.get(look, Model::Move, *m, "state").as_text() == "done";
            let moves = super::stock::moves_of_line(data, WORDS.line, id).into_iter();
            let moved = moves.filter(done);
            Val::Num(
                moved
                    .map(|m| data.get(look, Model::Move, m, "quantity").num())
                    .fold(0.0, |a, b| a + b),
            )
        }
        "x_studio_engraving" if id % 11 == 3 => Val::text(format!("für Zoë {id}")),
        _ => Val::No,
    }
}

/// `S00001 - What is sold`.
pub fn line_label(data: &Data, look: &Look, id: Id) -> String {
    let order = data.owner(WORDS.line, id).map(|o| data.label(look, ME, o));
    let name = data.get(look, WORDS.line, id, "name").into_text();
    let first = name.lines().next().unwrap_or_default();
    format!("{} - {first}", order.unwrap_or_default())
}
