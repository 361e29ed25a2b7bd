//! The query of a list: read and checked as WordPress does.

use super::config::{Config, Version};
use super::data::{facts, Id, Kind};
use super::errors::{ApiError, Invalid};
use super::fields::Fields;
use crate::core::clock;

/// Which statuses or roles are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum States {
    /// Every role.
    All,
    /// `any`: all but trash and the like.
    Any,
    OneOf(Vec<String>),
}

/// A bound on a date column, in the seconds of that column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    pub created: bool,
    pub after: bool,
    /// Compared with the UTC column; else with the local one.
    pub gmt: bool,
    pub seconds: i64,
}

/// Which records are listed: equal filters list the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub states: States,
    pub bounds: Vec<Bound>,
    pub include: Vec<Id>,
    pub exclude: Vec<Id>,
    pub parents: Vec<Id>,
    pub email: Option<String>,
    pub sku: Option<String>,
    /// The type of a product: `simple`, `variable`, `grouped` or `external`.
    pub type_of: Option<String>,
    pub slug: Option<String>,
    pub search: Option<String>,
    pub customer: Option<Id>,
}

/// All that a list's query says.
#[derive(Debug, Clone)]
pub struct Params {
    pub filter: Filter,
    pub page: usize,
    pub per_page: usize,
    pub offset: Option<usize>,
    pub descending: bool,
    pub orderby: String,
}

struct Reader<'a> {
    pairs: &'a [(String, String)],
    bad: Vec<Invalid>,
}

/// Reads and checks the query of a list.
pub fn read(config: &Config, kind: Kind, pairs: &[(String, String)]) -> Result<Params, ApiError> {
    let mut r = Reader {
        pairs,
        bad: Vec::new(),
    };
    let page = r.integer("page", 1, None).unwrap_or(1);
    let per_page = r.integer("per_page", 1, Some(100)).unwrap_or(10);
    let search = r.text("search");
    let bounds = if matches!(kind, Kind::Customers | Kind::Categories) {
        Vec::new()
    } else {
        r.bounds()
    };
    let (exclude, include) = (r.ids("exclude"), r.ids("include"));
    let offset = r.integer("offset", 0, None);
    let by_name = matches!(kind, Kind::Customers | Kind::Categories);
    let descending = match r.one_of("order", &["asc", "desc"]) {
        Some(order) => order == "desc",
        None => !by_name,
    };
    let default = if by_name { "name" } else { "date" };
    let orderby = r
        .one_of("orderby", orders(kind, config.version))
        .unwrap_or(default.into());
    let parents = r.ids("parent");
    let email = if kind == Kind::Customers { r.email() } else { None };
    let states = r.states(config, kind);
    let type_of = match kind {
        Kind::Products => r.one_of("type", &["simple", "grouped", "external", "variable"]),
        _ => None,
    };
    let sku = r
        .text("sku")
        .filter(|_| kind == Kind::Products || kind == Kind::Variations);
    let slug = r
        .text("slug")
        .filter(|_| matches!(kind, Kind::Products | Kind::Categories));
    let customer = r.integer("customer", 0, None).filter(|_| kind == Kind::Orders);
    if !r.bad.is_empty() {
        return Err(ApiError::invalid(&r.bad));
    }
    let customer = customer.map(|c| c as Id);
    let filter = Filter {
        states,
        bounds,
        include,
        exclude,
        parents,
        email,
        sku,
        type_of,
        slug,
        search,
        customer,
    };
    Ok(Params {
        filter,
        page,
        per_page,
        offset,
        descending,
        orderby,
    })
}

/// `_fields`, for lists and single records alike.
pub fn fields(pairs: &[(String, String)]) -> Option<Fields> {
    let reader = Reader {
        pairs,
        bad: Vec::new(),
    };
    let values = reader.list("_fields");
    (!values.is_empty()).then(|| Fields::parse(&values))
}

fn orders(kind: Kind, version: Version) -> &'static [&'static str] {
    match kind {
        Kind::Customers => &["id", "include", "name", "registered_date"],
        Kind::Categories => &[
            "id",
            "include",
            "name",
            "slug",
            "term_group",
            "description",
            "count",
        ],
        Kind::Products if version >= Version::V11 => &[
            "date",
            "id",
            "include",
            "title",
            "slug",
            "modified",
            "popularity",
            "rating",
            "post__in",
            "price",
            "sales",
            "menu_order",
            "random",
            "popularity",
            "rating",
            "menu_order",
            "price",
            "popularity",
            "rating",
        ],
        Kind::Products => &[
            "date",
            "id",
            "include",
            "title",
            "slug",
            "modified",
            "popularity",
            "rating",
            "menu_order",
            "price",
            "popularity",
            "rating",
        ],
        _ => &["date", "id", "include", "title", "slug", "modified"],
    }
}

/// `a`, `a and b`, `a, b, and c`.
fn enumerate(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [one, two] => format!("{one} and {two}"),
        [rest @ .., last] => format!("{}, and {last}", rest.join(", ")),
    }
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let found = self.pairs.iter().rev().find(|(k, _)| k == name);
        found.map(|(_, v)| v.clone()).filter(|v| !v.is_empty())
    }

    /// A list, as `a,b` or `name[]=a` or `name[0]=a`.
    fn list(&self, name: &str) -> Vec<String> {
        let mut all = Vec::new();
        for (key, value) in self.pairs {
            let rest = key.strip_prefix(name).unwrap_or("-");
            if rest.is_empty() {
                all = value.split(',').map(|v| v.trim().to_owned()).collect();
            } else if rest.starts_with('[') && rest.ends_with(']') {
                all.push(value.clone());
            }
        }
        all.retain(|v| !v.is_empty());
        all
    }

    fn ids(&self, name: &str) -> Vec<Id> {
        // What is no number is 0 to WordPress, which no record has.
        self.list(name).iter().map(|v| v.parse().unwrap_or(0)).collect()
    }

    fn bad(&mut self, name: &'static str, code: &'static str, message: String) {
        self.bad.push(Invalid { name, code, message });
    }

    fn integer(&mut self, name: &'static str, min: i64, max: Option<i64>) -> Option<usize> {
        let text = self.text(name)?;
        let Ok(n) = text.parse::<i64>() else {
            self.bad(
                name,
                "rest_invalid_type",
                format!("{name} is not of type integer."),
            );
            return None;
        };
        let message = match max {
            Some(max) if n < min || n > max => {
                format!("{name} must be between {min} (inclusive) and {max} (inclusive)")
            }
            None if n < min => format!("{name} must be greater than or equal to {min}"),
            _ => return usize::try_from(n).ok(),
        };
        self.bad(name, "rest_out_of_bounds", message);
        None
    }

    fn one_of(&mut self, name: &'static str, words: &[&str]) -> Option<String> {
        let text = self.text(name)?;
        if words.contains(&text.as_str()) {
            return Some(text);
        }
        self.bad(
            name,
            "rest_not_in_enum",
            format!("{name} is not one of {}.", enumerate(words)),
        );
        None
    }

    fn email(&mut self) -> Option<String> {
        let text = self.text("email")?;
        let valid = text
            .split_once('@')
            .is_some_and(|(a, b)| !a.is_empty() && b.contains('.'));
        if !valid {
            self.bad("email", "rest_invalid_email", "Invalid email address.".into());
        }
        Some(text)
    }

    fn bounds(&mut self) -> Vec<Bound> {
        let names = ["after", "before", "modified_after", "modified_before"];
        let gmt = self
            .text("dates_are_gmt")
            .is_some_and(|v| v == "true" || v == "1");
        let mut bounds = Vec::new();
        for (i, name) in names.into_iter().enumerate() {
            let Some(text) = self.text(name) else { continue };
            let Some((naive, offset)) = clock::parse_iso(&text) else {
                self.bad(name, "rest_invalid_date", "Invalid date.".into());
                continue;
            };
            // WordPress turns a date with a zone into the site's time, and then compares it with
            // whichever column was asked for: with dates_are_gmt that is off by the site's offset.
            let utc = offset.map(|o| naive - o);
            let seconds = utc.map_or(naive, |utc| utc + facts::offset(utc));
            bounds.push(Bound {
                created: i < 2,
                after: i % 2 == 0,
                gmt,
                seconds,
            });
        }
        bounds
    }

    fn states(&mut self, config: &Config, kind: Kind) -> States {
        match kind {
            Kind::Customers => {
                const ROLES: [&str; 8] = [
                    "all",
                    "administrator",
                    "editor",
                    "author",
                    "contributor",
                    "subscriber",
                    "customer",
                    "shop_manager",
                ];
                match self.one_of("role", &ROLES).as_deref() {
                    Some("all") => States::All,
                    Some(role) => States::OneOf(vec![role.into()]),
                    None => States::OneOf(vec!["customer".into()]),
                }
            }
            Kind::Products | Kind::Variations => {
                let words = ["any", "future", "trash", "draft", "pending", "private", "publish"];
                match self.one_of("status", &words) {
                    Some(status) if status != "any" => States::OneOf(vec![status]),
                    _ => States::Any,
                }
            }
            Kind::Orders => self.order_states(config),
            Kind::Refunds | Kind::Categories => States::All,
        }
    }

    fn order_states(&mut self, config: &Config) -> States {
        let mut words = vec![
            "any",
            "trash",
            "auto-draft",
            "pending",
            "processing",
            "on-hold",
            "completed",
            "cancelled",
            "refunded",
            "failed",
            "checkout-draft",
        ];
        words.extend(config.custom_statuses.iter().map(String::as_str));
        let asked = self.list("status");
        if let Some(at) = asked.iter().position(|s| !words.contains(&s.as_str())) {
            let message = format!("status[{at}] is not one of {}.", enumerate(&words));
            self.bad("status", "rest_not_in_enum", message);
        }
        if asked.is_empty() || asked.iter().any(|s| s == "any") {
            return States::Any;
        }
        States::OneOf(asked)
    }
}
