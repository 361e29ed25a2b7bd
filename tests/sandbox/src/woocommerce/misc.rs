//! What is no entity: the index, status, settings, currency, totals.

use serde_json::{json, Map, Value};

use super::config::{Config, Version};
use super::data::{Data, Kind};
use super::errors::ApiError;
use super::params;
use super::reply::For;
use crate::core::clock::Clock;
use crate::core::http::{Request, Response};
use crate::core::json;

const INDEX_11: &str = include_str!("spec/index_wc11.json");
const INDEX_8: &str = include_str!("spec/index_wc8.json");
const STATUS_11: &str = include_str!("spec/status_wc11.json");
const STATUS_8: &str = include_str!("spec/status_wc8.json");

/// `/wp-json/`.
pub fn root(config: &Config, request: &Request) -> Value {
    let mut namespaces = vec![
        "oembed/1.0",
        "wc-admin",
        "wc-analytics",
        "wc/store",
        "wc/v1",
        "wc/v2",
        "wc/v3",
        "wp/v2",
    ];
    if config.version >= Version::V11 {
        namespaces.push("wp-abilities/v1");
    }
    json!({
        "name": "Sandbox", "description": "", "url": request.site, "home": request.site,
        "gmt_offset": super::data::facts::offset(Clock::default().now()) / 3600,
        "timezone_string": "Europe/Berlin", "namespaces": namespaces, "authentication": {}, "routes": {},
    })
}

/// `/wp-json/wc/v3`: all routes, with the arguments of those that were recorded.
pub fn index(config: &Config) -> Vec<u8> {
    let text = if config.version >= Version::V11 {
        INDEX_11
    } else {
        INDEX_8
    };
    let recorded: Value = serde_json::from_str(text).unwrap_or_default();
    let mut routes = Map::new();
    for name in recorded["routes_all"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let known = recorded["routes"].get(name).cloned();
        let bare = json!({ "methods": ["GET"], "endpoints": [{ "methods": ["GET"], "args": {} }] });
        let mut route = known.unwrap_or(bare);
        route["namespace"] = "wc/v3".into();
        routes.insert(name.into(), route);
    }
    json::bytes(&json!({ "namespace": "wc/v3", "routes": routes }))
}

/// `system_status`.
pub fn status(config: &Config) -> Value {
    let text = if config.version >= Version::V11 {
        STATUS_11
    } else {
        STATUS_8
    };
    serde_json::from_str(text).unwrap_or_default()
}

/// The fields that `_fields` names.
pub fn only(value: &Value, to: For) -> Value {
    match params::fields(&to.request.params()) {
        Some(fields) if fields.is_deep() => fields.filter(value),
        Some(fields) => pick(value, &fields.top),
        None => value.clone(),
    }
}

/// Some fields of an object.
pub fn pick(value: &Value, names: &[String]) -> Value {
    let kept = names
        .iter()
        .filter_map(|n| value.get(n).map(|v| (n.clone(), v.clone())));
    Value::Object(kept.collect())
}

fn links(config: &Config, request: &Request, own: &str, collection: &str, allow: &[&str]) -> Value {
    let href = |path: &str| format!("{}/wp-json/wc/v3/{path}", request.site);
    let mut own = json!({ "href": href(own) });
    if config.version >= Version::V11 {
        own["targetHints"] = json!({ "allow": allow });
    }
    json!({ "self": [own], "collection": [{ "href": href(collection) }] })
}

/// `data/currencies/current`.
pub fn currency(config: &Config, request: &Request) -> Value {
    let links = links(
        config,
        request,
        "data/currencies/EUR",
        "data/currencies",
        &["GET"],
    );
    json!({ "code": "EUR", "name": "Euro", "symbol": "&euro;", "_links": links })
}

/// `settings/general`, as far as a client of this kind reads it.
pub fn settings(to: For, which: Option<&str>, allow: &str) -> Result<Response, ApiError> {
    let all = [
        ("woocommerce_store_address", "text", "", "Lab street 1"),
        (
            "woocommerce_default_country",
            "single_select_country",
            "US:CA",
            "DE:DE-BE",
        ),
        ("woocommerce_currency", "select", "USD", "EUR"),
        ("woocommerce_price_num_decimals", "number", "2", "2"),
    ];
    let show = |(id, kind, default, value): (&str, &str, &str, &str)| {
        json!({
            "id": id, "label": id, "description": "", "type": kind, "default": default, "tip": "",
            "value": value, "group_id": "general",
        })
    };
    match which {
        None => {
            let list: Vec<_> = all.into_iter().map(|s| only(&show(s), to)).collect();
            Ok(to.value(&Value::Array(list), allow))
        }
        Some(id) => {
            let found = all.into_iter().find(|s| s.0 == id);
            let missing = || ApiError::new(404, "rest_setting_setting_invalid", "Invalid setting.");
            Ok(to.value(&show(found.ok_or_else(missing)?), allow))
        }
    }
}

/// `reports/orders/totals`: orders by status, those in the trash left out.
pub fn order_totals(data: &Data) -> Value {
    let mut names = vec![
        "pending",
        "processing",
        "on-hold",
        "completed",
        "cancelled",
        "refunded",
        "failed",
        "checkout-draft",
    ];
    names.extend(data.config.custom_statuses.iter().map(String::as_str));
    let mut counts = vec![0_u64; names.len()];
    for id in data.live(Kind::Orders) {
        let state = data.state(Kind::Orders, *id);
        if let Some(at) = names.iter().position(|n| *n == state) {
            counts[at] += 1;
        }
    }
    let rows = names.iter().zip(counts);
    rows.map(|(slug, total)| json!({ "slug": slug, "name": slug, "total": total }))
        .collect()
}
