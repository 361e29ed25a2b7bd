//! Paths.

use super::config::Version;
use super::data::{Id, Kind};
use crate::core::http::Request;

/// What a path under `/wp-json` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Root,
    Index,
    /// A collection; with a parent, or of all parents.
    List(Kind, Option<Id>),
    One(Kind, Id, Option<Id>),
    Batch(Kind, Option<Id>),
    Status,
    OrderTotals,
    Currency,
    Settings(Option<String>),
    /// A collection that this shop has nothing in.
    Empty(&'static str),
    /// A record of such a collection.
    EmptyOne(&'static str),
}

/// Collections that are always empty, with what their error codes call a record.
const EMPTY: [(&str, &str); 6] = [
    ("coupons", "shop_coupon"),
    ("taxes", "tax"),
    ("webhooks", "shop_webhook"),
    ("products/attributes", "taxonomy"),
    ("products/tags", "term"),
    ("products/reviews", "review"),
];

/// The route that a request names in its query, which WordPress takes wherever its front page is.
pub fn in_query(request: &Request) -> Option<String> {
    if !matches!(request.path.as_str(), "/" | "/index.php") {
        return None;
    }
    let params = request.params().into_iter();
    params
        .rev()
        .find(|(name, _)| name == "rest_route")
        .map(|(_, route)| route)
}

/// Finds the route of a path below `/wp-json` (without slashes around it).
pub fn find(path: &str, version: Version) -> Option<Route> {
    if path.is_empty() {
        return Some(Route::Root);
    }
    let path = path.strip_prefix("wc/v3")?;
    if path.is_empty() {
        return Some(Route::Index);
    }
    let path = path.strip_prefix('/')?;
    if let Some(found) = empty(path) {
        return Some(found);
    }
    let parts: Vec<_> = path.split('/').collect();
    match parts[..] {
        ["customers", ref rest @ ..] => entity(Kind::Customers, None, rest),
        ["products", "categories", ref rest @ ..] => entity(Kind::Categories, None, rest),
        ["products", parent, "variations", ref rest @ ..] => {
            entity(Kind::Variations, Some(number(parent)?), rest)
        }
        ["products", ref rest @ ..] => entity(Kind::Products, None, rest),
        ["orders", parent, "refunds", ref rest @ ..] if rest != ["batch"] => {
            entity(Kind::Refunds, Some(number(parent)?), rest)
        }
        ["orders", ref rest @ ..] => entity(Kind::Orders, None, rest),
        ["variations"] if version >= Version::V11 => Some(Route::List(Kind::Variations, None)),
        ["refunds"] if version >= Version::V11 => Some(Route::List(Kind::Refunds, None)),
        ["system_status"] => Some(Route::Status),
        ["reports", "orders", "totals"] => Some(Route::OrderTotals),
        ["data", "currencies", "current"] => Some(Route::Currency),
        ["settings", "general"] => Some(Route::Settings(None)),
        ["settings", "general", id] => Some(Route::Settings(Some(id.into()))),
        _ => None,
    }
}

fn empty(path: &str) -> Option<Route> {
    for (name, code) in EMPTY {
        match path.strip_prefix(name) {
            Some("") => return Some(Route::Empty(name)),
            Some(rest) if number(rest.strip_prefix('/')?).is_some() => {
                return Some(Route::EmptyOne(code));
            }
            _ => {}
        }
    }
    None
}

fn entity(kind: Kind, parent: Option<Id>, rest: &[&str]) -> Option<Route> {
    match rest {
        [] => Some(Route::List(kind, parent)),
        ["batch"] => Some(Route::Batch(kind, parent)),
        [id] => Some(Route::One(kind, number(id)?, parent)),
        _ => None,
    }
}

/// Digits only; a number too large for an id is one that nothing has.
fn number(text: &str) -> Option<Id> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(Id::MAX))
}

impl Route {
    /// The methods it has, as `Allow` says them; empty: as for a collection or record.
    pub fn allow(&self) -> &'static str {
        match self {
            Self::List(Kind::Variations | Kind::Refunds, None) => "GET",
            Self::List(..) | Self::Empty(_) => "GET, POST",
            Self::One(Kind::Refunds, ..) => "GET, DELETE",
            Self::One(..) | Self::EmptyOne(_) => "GET, POST, PUT, PATCH, DELETE",
            Self::Batch(..) => "POST, PUT, PATCH",
            Self::Settings(Some(_)) => "GET, POST, PUT, PATCH",
            _ => "GET",
        }
    }

    /// Whether a method exists here.
    pub fn has(&self, method: &str) -> bool {
        method == "HEAD" && self.has("GET") || self.allow().split(", ").any(|m| m == method)
    }
}
