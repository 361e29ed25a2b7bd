//! Contacts.

use super::facts::{hash, partner_index, FIRST_PARTNER};
use super::words::{pick, CITIES, COMPANIES, FIRST, LAST, NOTES};
use super::{base, Data, Id, Look, Model, Val};
use crate::odoo::schema::PARTNER_TYPES;

const ME: Model = Model::Partner;

/// Contacts of companies and users are not among the seeded ones.
fn is_internal(id: Id) -> bool {
    id < FIRST_PARTNER
}

pub fn is_active(_: &Data, id: Id) -> bool {
    is_internal(id) || partner_index(id) % 37 != 9
}

/// `Company, Name`; an address without a name shows its type.
pub fn complete_name(data: &Data, look: &Look, id: Id) -> String {
    let mut name = data.get(look, ME, id, "name").into_text();
    let Some(parent) = data.owner(ME, id) else {
        return name;
    };
    if name.is_empty() {
        let kind = data.get(look, ME, id, "type").into_text();
        let known = PARTNER_TYPES.iter().find(|(key, _)| *key == kind);
        name = known.map_or(String::new(), |(_, label)| format!("{label} Address"));
    }
    if data.get(look, ME, id, "is_company").truthy() {
        return name;
    }
    format!("{}, {name}", data.get(look, ME, parent, "name").as_text())
}

/// The company that invoices go to.
fn commercial(data: &Data, look: &Look, id: Id) -> Id {
    match data.owner(ME, id) {
        Some(parent) if !data.get(look, ME, id, "is_company").truthy() => parent,
        _ => id,
    }
}

fn address<'a>(data: &'a Data, look: &Look, id: Id, field: &'a str) -> Val<'a> {
    // A plain contact shares its company's address.
    let shares = data.get(look, ME, id, "type").as_text() == "contact";
    if let Some(parent) = data.owner(ME, id).filter(|_| shares) {
        return data.get(look, ME, parent, field);
    }
    let h = hash(data.config.seed ^ 5, ME, id);
    if data.is_blank(ME, id) || (h & 7 == 0 && field != "country_id") {
        return Val::No;
    }
    match field {
        "street" => Val::text(format!("Straße {}", id % 200)),
        "street2" if h >> 3 & 7 == 1 => Val::text("2. Etage"),
        "zip" => Val::text(format!("{:05}", h >> 8 & 0xffff)),
        "city" => Val::text(pick(&CITIES, h >> 24)),
        "country_id" if h >> 28 & 7 != 0 => Val::One(Model::Country, base::country(h >> 31)),
        "state_id" => match data.get(look, ME, id, "country_id").id() {
            Some(base::UNITED_STATES) => Val::One(Model::State, base::CALIFORNIA),
            _ => Val::No,
        },
        _ => Val::No,
    }
}

pub fn get<'a>(data: &'a Data, look: &Look, id: Id, field: &'a str) -> Val<'a> {
    match field {
        "complete_name" => return Val::text(complete_name(data, look, id)),
        "child_ids" => return Val::Ids(data.active_parts(ME, id)),
        "street" | "street2" | "zip" | "city" | "country_id" | "state_id" => {
            return address(data, look, id, field);
        }
        "country_code" => {
            let country = data.get(look, ME, id, "country_id").id();
            return country.map_or(Val::No, |c| data.get(look, Model::Country, c, "code").owned());
        }
        "commercial_partner_id" => return Val::One(ME, commercial(data, look, id)),
        "commercial_company_name" => {
            let company = commercial(data, look, id);
            let is_company = data.get(look, ME, company, "is_company").truthy();
            return if is_company {
                data.get(look, ME, company, "name").owned()
            } else {
                data.get(look, ME, id, "company_name").owned()
            };
        }
        "type" if data.is_blank(ME, id) || is_internal(id) => return Val::text("contact"),
        "category_id" if data.is_blank(ME, id) => return Val::Ids(Vec::new()),
        "customer_rank" | "supplier_rank" if data.is_blank(ME, id) => return Val::Int(0),
        "lang" => return Val::text(if id.is_multiple_of(3) { "de_DE" } else { "en_US" }),
        _ => {}
    }
    if data.is_blank(ME, id) {
        return match field {
            "is_company" => Val::Bool(false),
            _ => Val::No,
        };
    }
    if is_internal(id) {
        return internal(data, id, field);
    }
    seeded(data, id, field)
}

fn internal<'a>(data: &'a Data, id: Id, field: &str) -> Val<'a> {
    let company = id <= data.config.companies;
    let user = data
        .config
        .users
        .iter()
        .find(|u| super::facts::user_partner(u.id) == id);
    match field {
        "name" if company => base::get(data, Model::Company, id, "name"),
        "name" => Val::text(user.map_or("", |u| u.name.as_str())),
        "email" if company => Val::text(format!("info{id}@yourcompany.example.com")),
        "email" => Val::text(user.map_or(String::new(), |u| format!("{}@example.com", u.login))),
        "is_company" => Val::Bool(company),
        "category_id" => Val::Ids(Vec::new()),
        "customer_rank" | "supplier_rank" => Val::Int(0),
        _ => Val::No,
    }
}

fn seeded<'a>(data: &'a Data, id: Id, field: &str) -> Val<'a> {
    let (h, i) = (hash(data.config.seed, ME, id), partner_index(id));
    let company = i % 4 == 0;
    match field {
        "is_company" => Val::Bool(company),
        "name" if company => Val::text(format!("{} {i:03}", pick(&COMPANIES, h))),
        "name" if i % 32 == 2 => Val::No,
        "name" => Val::text(format!("{} {}", pick(&FIRST, h), pick(&LAST, h >> 8))),
        "type" if i % 4 == 2 => Val::text(if i % 8 == 2 { "delivery" } else { "invoice" }),
        "type" => Val::text("contact"),
        "email" => match h >> 16 & 15 {
            0..=2 => Val::No,
            3 => Val::text("DUPLICATE@Example.com "),
            4 => Val::text(format!("a{i}@example.com, b{i}@example.com")),
            _ => Val::text(format!("info{i}@example.com")),
        },
        "phone" if h >> 20 & 3 == 0 => Val::text(format!("+49 30 {i:06}")),
        "mobile" if h >> 22 & 3 == 0 => Val::text(format!("+49 170 {i:06}")),
        "function" if !company && h >> 24 & 3 == 0 => Val::text("Einkäuferin"),
        "website" if company && h >> 24 & 1 == 0 => Val::text(format!("http://www.firma{i}.example")),
        "vat" if company && h >> 26 & 1 == 0 => Val::text(format!("DE{:09}", h >> 30 & 0xfff_ffff)),
        "ref" => match h >> 28 & 3 {
            0 => Val::No,
            1 => Val::text("DUPREF"),
            _ => Val::text(format!("C{i:05}")),
        },
        "comment" => Val::text(pick(&NOTES, h >> 32)),
        "category_id" => Val::Ids((1..=(h >> 36 & 3) as u32).collect()),
        "company_id" if i % 16 == 12 => Val::One(Model::Company, data.company_at(i / 16)),
        "user_id" if h >> 40 & 7 == 0 => Val::One(Model::User, data.a_user()),
        "customer_rank" => Val::Int((h >> 44 & 3) as i64),
        "supplier_rank" => Val::Int((h >> 46 & 1) as i64),
        "x_studio_loyalty" => Val::text(pick(&["", "bronze", "silver", "gold"], h >> 48)),
        "x_legacy_code" if h >> 50 & 1 == 0 => Val::text(format!("L-{i}")),
        _ => Val::No,
    }
}
