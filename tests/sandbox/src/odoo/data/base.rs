//! Companies, currencies, users and the small models that others refer to.

use super::{facts, stock, Data, Id, Model, Val};
use crate::odoo::config::Config;

pub const UNITED_STATES: Id = 233;
pub const CALIFORNIA: Id = 13;

const COUNTRIES: [(Id, &str, &str); 7] = [
    (31, "Brazil", "BR"),
    (48, "China", "CN"),
    (57, "Germany", "DE"),
    (65, "Egypt", "EG"),
    (113, "Japan", "JP"),
    (178, "Poland", "PL"),
    (UNITED_STATES, "United States", "US"),
];
/// Id, code, name, symbol, whether it is in use.
const CURRENCIES: [(Id, &str, &str, &str, bool); 5] = [
    (1, "USD", "United States dollar", "$", true),
    (17, "PLN", "Polish złoty", "zł", true),
    (25, "JPY", "Japanese yen", "¥", false),
    (125, "EUR", "Euro", "€", true),
    (142, "GBP", "Pound sterling", "£", true),
];
/// Name, currency, percent of tax.
const COMPANIES: [(&str, Id, f64); 4] = [
    ("My Company (San Francisco)", 1, 0.0),
    ("Zweite Firma & Söhne GmbH", 125, 19.0),
    ("Trzecia Sp. z o.o.", 17, 23.0),
    ("Fourth Ltd", 142, 20.0),
];
const UNITS: [&str; 4] = ["Units", "Dozens", "kg", "Hours"];
const TAGS: [&str; 3] = ["Großkunde", "VIP", "Newsletter"];
const ATTRIBUTES: [&str; 2] = ["Farbe", "Size"];
const TEAMS: [&str; 2] = ["Sales", "Website"];
const TERMS: [&str; 2] = ["Immediate Payment", "30 Days"];

/// The ids of a model whose records are all listed here.
pub fn ids(config: &Config, model: Model) -> Vec<Id> {
    let count = |list: &[&str]| (1..=list.len() as Id).collect();
    match model {
        Model::Country => COUNTRIES.iter().map(|c| c.0).collect(),
        Model::State => vec![CALIFORNIA],
        Model::Currency => CURRENCIES.iter().map(|c| c.0).collect(),
        Model::Unit => count(&UNITS),
        Model::Tag => count(&TAGS),
        Model::Attribute => count(&ATTRIBUTES),
        Model::Team => count(&TEAMS),
        Model::Term => count(&TERMS),
        Model::Tax => (1..=config.companies).collect(),
        Model::Location => stock::locations(config.warehouses),
        _ => Vec::new(),
    }
}

/// One of the countries, by a number.
pub fn country(n: u64) -> Id {
    COUNTRIES[(n % COUNTRIES.len() as u64) as usize].0
}

fn company(id: Id) -> (&'static str, Id, f64) {
    COMPANIES[(id.max(1) as usize - 1) % COMPANIES.len()]
}

/// The share of tax that a company adds.
pub fn tax_rate(id: Id) -> f64 {
    company(id).2 / 100.0
}

fn nth(list: &[&'static str], id: Id) -> Val<'static> {
    Val::text(list.get(id as usize - 1).copied().unwrap_or_default())
}

pub fn get<'a>(data: &'a Data, model: Model, id: Id, field: &str) -> Val<'a> {
    match model {
        Model::Company => match field {
            "name" => Val::text(company(id).0),
            "currency_id" => Val::One(Model::Currency, company(id).1),
            "partner_id" => Val::One(Model::Partner, id),
            "sequence" => Val::Int(10),
            "email" => Val::text(format!("info{id}@yourcompany.example.com")),
            _ => Val::No,
        },
        Model::User => user(data, id, field),
        Model::ApiKey => match field {
            "name" => Val::text("integration"),
            "user_id" => Val::One(Model::User, id),
            _ => Val::No,
        },
        Model::Currency => currency(id, field),
        Model::Country | Model::State => place(model, id, field),
        Model::Tax => match field {
            "name" => Val::text(format!("{}%", company(id).2)),
            "amount" => Val::Num(company(id).2),
            "company_id" => Val::One(Model::Company, id),
            _ => Val::No,
        },
        Model::Unit => nth(&UNITS, id),
        Model::Tag => nth(&TAGS, id),
        Model::Attribute => nth(&ATTRIBUTES, id),
        Model::Team => nth(&TEAMS, id),
        Model::Term => nth(&TERMS, id),
        _ => Val::No,
    }
}

fn user<'a>(data: &'a Data, id: Id, field: &str) -> Val<'a> {
    let Some(user) = data.config.users.iter().find(|u| u.id == id) else {
        return Val::No;
    };
    match field {
        "name" => Val::text(user.name.as_str()),
        "login" => Val::text(user.login.as_str()),
        "lang" => Val::text(user.lang.as_str()),
        "tz" => Val::text("UTC"),
        "share" => Val::Bool(false),
        "partner_id" => Val::One(Model::Partner, facts::user_partner(id)),
        "company_id" => Val::one(Model::Company, user.companies.first().copied()),
        "company_ids" => Val::Ids(user.companies.clone()),
        _ => Val::No,
    }
}

fn currency<'a>(id: Id, field: &str) -> Val<'a> {
    let Some(row) = CURRENCIES.iter().find(|c| c.0 == id) else {
        return Val::No;
    };
    match field {
        "name" => Val::text(row.1),
        "full_name" => Val::text(row.2),
        "symbol" => Val::text(row.3),
        "rounding" => Val::Num(if row.1 == "JPY" { 1.0 } else { 0.01 }),
        "decimal_places" => Val::Int(if row.1 == "JPY" { 0 } else { 2 }),
        _ => Val::No,
    }
}

/// Whether a currency is in use.
pub fn currency_in_use(id: Id) -> bool {
    CURRENCIES.iter().any(|c| c.0 == id && c.4)
}

fn place<'a>(model: Model, id: Id, field: &str) -> Val<'a> {
    if model == Model::State {
        return match field {
            "name" => Val::text("California"),
            "code" => Val::text("CA"),
            "country_id" => Val::One(Model::Country, UNITED_STATES),
            _ => Val::No,
        };
    }
    let row = COUNTRIES.iter().find(|c| c.0 == id);
    match (field, row) {
        ("name", Some(row)) => Val::text(row.1),
        ("code", Some(row)) => Val::text(row.2),
        _ => Val::No,
    }
}
