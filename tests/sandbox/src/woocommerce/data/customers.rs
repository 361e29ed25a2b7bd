//! Users as `/customers` shows them.

use super::facts::{hash, mix};
use super::words::{pick, CITIES, COUNTRIES, FIRST, LAST};
use super::{lines, Context, Data, Id, Kind, Rec};

/// The address a user signs in with, as seeded.
pub fn email(id: Id) -> String {
    format!("cust{id}@lab.example")
}

/// The id in a seeded address.
pub fn id_of(email: &str) -> Option<Id> {
    email
        .strip_prefix("cust")?
        .strip_suffix("@lab.example")?
        .parse()
        .ok()
}

#[derive(Default)]
struct Address {
    first: &'static str,
    last: &'static str,
    company: &'static str,
    street: &'static str,
    number: u64,
    city: &'static str,
    country: &'static str,
    email: String,
    phone: u64,
}

fn billing(id: Id, h: u64) -> Address {
    Address {
        first: pick(&FIRST, h),
        last: pick(&LAST, h >> 8),
        company: if h >> 16 & 7 == 0 {
            "Łąka & Co. <GmbH>"
        } else {
            ""
        },
        street: "Straße ",
        number: u64::from(id),
        city: pick(&CITIES, h >> 24),
        country: pick(&COUNTRIES, h >> 28),
        email: email(id),
        phone: if h >> 32 & 1 == 0 { h >> 40 & 0xf_ffff } else { 0 },
    }
}

pub fn write(data: &Data, r: &mut Rec, id: Id, blank: bool, context: &Context) {
    let h = hash(data.config.seed, Kind::Customers, id);
    let (created, modified) = (
        data.created(Kind::Customers, id),
        data.modified(Kind::Customers, id),
    );
    r.int("id", id);
    r.local("date_created", Some(created));
    r.gmt("date_created_gmt", Some(created));
    r.local("date_modified", modified);
    r.gmt("date_modified_gmt", modified);
    if r.wants("email") {
        r.text("email", &if blank { String::new() } else { email(id) });
    }
    r.text("first_name", if blank { "" } else { pick(&FIRST, h) });
    r.text("last_name", if blank { "" } else { pick(&LAST, h >> 8) });
    r.text("role", &data.state(Kind::Customers, id));
    if r.wants("username") {
        r.text("username", &format!("cust{id}"));
    }
    // A third of the users never ordered: no addresses.
    let sparse = blank || h >> 48 & 3 == 0;
    if r.key("billing") {
        let address = if sparse {
            Address::default()
        } else {
            billing(id, h)
        };
        write_address(&mut Rec::plain(r.buf()), &address, true);
        r.buf().push(b'}');
    }
    if r.key("shipping") {
        let address = if sparse || h >> 50 & 1 == 0 {
            Address::default()
        } else {
            shipping(id, h)
        };
        write_address(&mut Rec::plain(r.buf()), &address, false);
        r.buf().push(b'}');
    }
    r.bool("is_paying_customer", !sparse && h >> 52 & 1 == 0);
    if r.wants("avatar_url") {
        let avatar = format!("https://secure.gravatar.com/avatar/{:016x}?s=96&d=mm&r=g", mix(h));
        r.text("avatar_url", &avatar);
    }
    lines::meta(r, if blank { 0 } else { h >> 54 }, id);
    lines::links(r, context, "customers", id);
}

fn shipping(id: Id, h: u64) -> Address {
    let street = "Versandweg ";
    Address {
        street,
        email: String::new(),
        phone: 0,
        company: "",
        ..billing(id, h >> 3)
    }
}

fn write_address(o: &mut Rec, a: &Address, with_email: bool) {
    o.text("first_name", a.first);
    o.text("last_name", a.last);
    o.text("company", a.company);
    let numbered = !a.street.is_empty();
    o.text(
        "address_1",
        &if numbered {
            format!("{}{}", a.street, a.number)
        } else {
            String::new()
        },
    );
    o.raw("address_2", "\"\"");
    o.text("city", a.city);
    o.text(
        "postcode",
        &if numbered {
            format!("{:05}", a.number % 100_000)
        } else {
            String::new()
        },
    );
    o.text("country", a.country);
    o.raw("state", "\"\"");
    if with_email {
        o.text("email", &a.email);
    }
    o.text(
        "phone",
        &if a.phone > 0 {
            format!("+49 30 {}", a.phone)
        } else {
            String::new()
        },
    );
}
