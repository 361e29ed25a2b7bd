//! Fields that every model has, and the models that others refer to.

use super::Kind::{Bool, Char, Datetime, Float, Int, Many, One, Select};
use super::{f, Field};

pub const COMMON: &[Field] = &[
    f("id", "ID", Int).ro(),
    f("display_name", "Display Name", Char).ro().live(),
    f("create_uid", "Created by", One("res.users")).ro(),
    f("create_date", "Created on", Datetime).ro(),
    f("write_uid", "Last Updated by", One("res.users")).ro(),
    f("write_date", "Last Updated on", Datetime).ro(),
];

pub const LANGS: &[(&str, &str)] = &[("en_US", "English (US)"), ("de_DE", "German / Deutsch")];

pub const NAMED: &[Field] = &[f("name", "Name", Char).req()];

pub const COMPANY: &[Field] = &[
    f("name", "Company Name", Char).req(),
    f("active", "Active", Bool),
    f("sequence", "Sequence", Int),
    f("parent_id", "Parent Company", One("res.company")),
    f("partner_id", "Partner", One("res.partner")).req(),
    f("currency_id", "Currency", One("res.currency")).req(),
    f("country_id", "Country", One("res.country")).live(),
    f("email", "Email", Char),
];

pub const CURRENCY: &[Field] = &[
    f("name", "Currency", Char).req(),
    f("full_name", "Name", Char),
    f("symbol", "Symbol", Char).req(),
    f("rounding", "Rounding Factor", Float),
    f("decimal_places", "Decimal Places", Int).ro(),
    f("active", "Active", Bool),
];

pub const USER: &[Field] = &[
    f("name", "Name", Char),
    f("login", "Login", Char).req(),
    f("lang", "Language", Select(LANGS)),
    f("tz", "Timezone", Char),
    f("active", "Active", Bool),
    f("share", "Share User", Bool).ro(),
    f("partner_id", "Related Partner", One("res.partner")).req(),
    f("company_id", "Company", One("res.company")).req(),
    f("company_ids", "Companies", Many("res.company")),
];

pub const COUNTRY: &[Field] = &[
    f("name", "Country Name", Char).req(),
    f("code", "Country Code", Char).req(),
];

pub const STATE: &[Field] = &[
    f("name", "State Name", Char).req(),
    f("code", "State Code", Char).req(),
    f("country_id", "Country", One("res.country")).req(),
];

pub const UNIT: &[Field] = &[f("name", "Unit Name", Char).req(), f("active", "Active", Bool)];

pub const TAX: &[Field] = &[
    f("name", "Tax Name", Char).req(),
    f("amount", "Amount", Float).req(),
    f("active", "Active", Bool),
    f("company_id", "Company", One("res.company")).req(),
];

pub const API_KEY: &[Field] = &[
    f("name", "Description", Char).req().ro(),
    f("user_id", "User", One("res.users")).req().ro(),
    f("scope", "Scope", Char).ro(),
    f("expiration_date", "Expiration Date", Datetime).ro().v18(),
];
