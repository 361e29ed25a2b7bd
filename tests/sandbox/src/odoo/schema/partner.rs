//! Contacts.

use super::base::LANGS;
use super::Kind::{Bool, Char, Children, Html, Int, Many, One, Select};
use super::{f, Field};

const TYPES_17: &[(&str, &str)] = &[
    ("contact", "Contact"),
    ("invoice", "Invoice Address"),
    ("delivery", "Delivery Address"),
    ("other", "Other Address"),
];
pub const TYPES_19: &[(&str, &str)] = &[
    ("contact", "Contact"),
    ("invoice", "Invoice"),
    ("delivery", "Delivery"),
    ("other", "Other"),
];
const LOYALTY: &[(&str, &str)] = &[("bronze", "Bronze"), ("silver", "Silver"), ("gold", "Gold")];

pub const PARTNER: &[Field] = &[
    f("name", "Name", Char),
    f("complete_name", "Complete Name", Char).ro(),
    f("parent_id", "Related Company", One("res.partner")),
    f("child_ids", "Contact", Children("res.partner")),
    f("is_company", "Is a Company", Bool),
    f("type", "Address Type", Select(TYPES_17)).v17(),
    f("type", "Address Type", Select(TYPES_19)).v18(),
    f("ref", "Reference", Char),
    f("lang", "Language", Select(LANGS)),
    f("active", "Active", Bool),
    f("email", "Email", Char),
    f("phone", "Phone", Char),
    f("mobile", "Mobile", Char).old(),
    f("function", "Job Position", Char),
    f("website", "Website", Char),
    f("vat", "Tax ID", Char),
    f("street", "Street", Char),
    f("street2", "Street2", Char),
    f("zip", "Zip", Char),
    f("city", "City", Char),
    f("state_id", "State", One("res.country.state")),
    f("country_id", "Country", One("res.country")),
    f("country_code", "Country Code", Char).ro().live(),
    f("category_id", "Tags", Many("res.partner.category")),
    f("comment", "Notes", Html),
    f("company_id", "Company", One("res.company")),
    f("company_name", "Company Name", Char),
    f("commercial_partner_id", "Commercial Entity", One("res.partner")).ro(),
    f("commercial_company_name", "Company Name Entity", Char).ro(),
    f("user_id", "Salesperson", One("res.users")),
    f("customer_rank", "Customer Rank", Int),
    f("supplier_rank", "Supplier Rank", Int),
    f("signup_token", "Signup Token", Char).guarded().v17(),
    f("signup_type", "Signup Token Type", Char).guarded(),
    f("x_studio_loyalty", "Loyalty", Select(LOYALTY)).studio(),
    f("x_legacy_code", "Legacy Code", Char).studio(),
];
