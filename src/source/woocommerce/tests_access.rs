//! Authentication, and what a probe tells.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::testing::{connect, recording, KEY, SECRET};
use super::*;
use crate::error::Code;
use crate::source::http::testing::{Reply, Seen, Server};
use crate::source::oauth1::Moment;
use crate::source::{At, Content};
use serde_json::json;

fn task(list: &str, content: Content, at: At) -> Task {
    Task {
        list: list.into(),
        content,
        since: None,
        at,
    }
}

#[test]
fn a_site_reached_at_another_address_is_signed_for_its_own() {
    let server = Server::start(|seen, _| match seen.path.as_str() {
        "/wp-json/" => Reply::ok(r#"{"home":"https://shop.example/s"}"#),
        _ if accepts(seen, "http://shop.example/s/wp-json/wc/v3/customers") => {
            Reply::ok("[]").header("X-WP-Total", 0)
        }
        _ => Reply::new(
            401,
            r#"{"code":"woocommerce_rest_authentication_error","message":"Invalid signature."}"#,
        ),
    });
    let shop = connect(&server, json!({}), json!(null));
    let customers = task("customers", Content::Ids, At::Offset(0));
    assert_eq!(shop.fetch(EntityType::Customers, &customers).unwrap().requests, 3);
    assert_eq!(
        shop.memo(),
        json!({"auth": "oauth1", "sign_base": "http://shop.example/s/"})
    );
    let again = connect(&server, json!({}), shop.memo());
    assert_eq!(
        again.fetch(EntityType::Customers, &customers).unwrap().requests,
        1
    );
    let outdated = connect(&server, json!({}), json!({"auth": "basic", "sign_base": 7}));
    assert_eq!(
        outdated
            .fetch(EntityType::Customers, &customers)
            .unwrap()
            .requests,
        3
    );
}

/// Whether a request is signed for this address.
fn accepts(seen: &Seen, url: &str) -> bool {
    let of = |name: &str| seen.param(name).unwrap_or_default();
    let params: Vec<_> = seen
        .query
        .iter()
        .filter(|(name, _)| !name.starts_with("oauth_"))
        .cloned()
        .collect();
    let keys = auth::Keys {
        key: KEY.into(),
        secret: SECRET.into(),
    };
    let at = of("oauth_timestamp").parse().unwrap_or_default();
    let moment = Moment {
        nonce: of("oauth_nonce").to_owned(),
        at,
    };
    keys.signer().sign("GET", url, &params, &moment)
        .last()
        .unwrap()
        .1
        == of("oauth_signature")
}

#[test]
fn refused_keys_are_reported_without_being_shown() {
    let refusal = |message: &str| {
        let body = json!({"code": "woocommerce_rest_authentication_error", "message": format!("{message} {KEY} {SECRET}")});
        let server = Server::script(vec![Reply::new(401, body.to_string())]);
        let shop = connect(&server, json!({}), json!(null));
        let error = shop
            .fetch(
                EntityType::Customers,
                &task("customers", Content::Ids, At::Offset(0)),
            )
            .unwrap_err();
        assert_eq!(error.code, Code::RemoteAuth);
        let shown = format!("{error:?}");
        assert!(!shown.contains(KEY) && !shown.contains(SECRET), "{shown}");
        assert_eq!(shop.probe().unwrap_err().code, Code::RemoteAuth);
        error
    };
    assert!(refusal("Consumer key is invalid.")
        .detail
        .unwrap()
        .contains("Consumer key is invalid. *** ***"));
    assert!(refusal("The API key provided does not have read permissions.")
        .hint
        .unwrap()
        .contains("permission Read"));
}

#[test]
fn a_probe_tells_what_can_be_read() {
    let server = Server::start(|seen, _| {
        let date = chrono::Utc::now() + chrono::Duration::minutes(12);
        let date = date.format("%a, %d %b %Y %H:%M:%S GMT");
        let reply = match seen.path.as_str() {
            "/wp-json/" => Reply::ok(r#"{"timezone_string":"Europe/Berlin","namespaces":["wc/v3"]}"#),
            "/wp-json/wc/v3/orders" => Reply::new(
                403,
                r#"{"code":"woocommerce_rest_cannot_view","message":"Sorry."}"#,
            ),
            "/wp-json/wc/v3/variations" => Reply::new(404, r#"{"code":"rest_no_route"}"#),
            "/wp-json/wc/v3/system_status" => Reply::ok(r#"{"environment":{"version":"8.0.3"}}"#),
            _ => Reply::ok("[]").header("X-WP-Total", 7),
        };
        reply.header("Date", date)
    });
    let shop = connect(&server, json!({}), json!(null));
    let probe = shop.probe().unwrap();
    assert_eq!(
        (probe.version.as_deref(), probe.auth_mode.as_str()),
        (Some("8.0.3"), "oauth1")
    );
    assert!(
        (715..=725).contains(&probe.clock_skew_seconds),
        "{}",
        probe.clock_skew_seconds
    );
    assert_eq!(probe.entities["customers"], json!({"readable": true, "count": 7}));
    assert_eq!(probe.entities["orders"]["readable"], false);
    assert!(probe.entities["orders"]["reason"]
        .as_str()
        .unwrap()
        .contains("Sorry."));
    assert_eq!(probe.warnings.len(), 4);
    assert_eq!(shop.memo()["auth"], "oauth1");
}

/// The settings as shops have shown them (8.0 with orders as posts, 11.0 with tables of their own).
#[test]
fn a_probe_warns_of_orders_whose_edits_have_no_date() {
    let warned = |store: &'static str, orders: u64, compare_limit: u64| {
        let server = Server::start(move |seen, _| match seen.path.as_str() {
            "/wp-json/" => Reply::ok(r#"{"namespaces":["wc/v3"]}"#),
            "/wp-json/wc/v3/system_status" => {
                assert_eq!(seen.param("_fields"), Some("environment,settings"));
                Reply::ok(
                    json!({"environment": {"version": "8.0.3"}, "settings": {"order_datastore": store}})
                        .to_string(),
                )
            }
            "/wp-json/wc/v3/orders" => Reply::ok("[]").header("X-WP-Total", orders),
            _ => Reply::ok("[]").header("X-WP-Total", 7),
        });
        let probe = connect(&server, json!({"compare_limit": compare_limit}), json!(null))
            .probe()
            .unwrap();
        probe
            .warnings
            .into_iter()
            .find(|warning| warning.contains("as posts"))
    };
    let told = warned("WC_Order_Data_Store_CPT", 6200, 5000).unwrap();
    assert!(
        told.contains("6200") && told.contains("5000") && told.contains("full_pass_interval"),
        "{told}"
    );
    assert_eq!(warned("WC_Order_Data_Store_CPT", 5000, 5000), None);
    let tables = "Automattic\\WooCommerce\\Internal\\DataStores\\Orders\\OrdersTableDataStore";
    assert_eq!(warned(tables, 6200, 5000), None);
}

/// Plays a recorded answer to every request.
fn replay(path: &str) -> Server {
    let response = recording(path)["response"].take();
    let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
    let body = match &response["body"] {
        Value::String(raw) => raw.clone(),
        json => json.to_string(),
    };
    let headers = response["headers"].as_array().unwrap().clone();
    let headers: Vec<_> = headers
        .iter()
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .filter(|(name, _)| ["Retry-After", "X-WP-Total", "Link", "Content-Type"].contains(name))
        .collect();
    let reply = headers
        .iter()
        .fold(Reply::new(status, body), |reply, (name, value)| {
            reply.header(name, value)
        });
    Server::script(vec![reply])
}

#[test]
fn recorded_failures_become_errors_without_secrets_and_paths() {
    for (name, code, says) in [
        ("no_auth_http", Code::RemoteAuth, "cannot_view"),
        ("oauth_bad_secret", Code::RemoteAuth, "Invalid signature"),
        ("oauth_old_timestamp", Code::RemoteAuth, "Invalid timestamp"),
        ("oauth_bad_key", Code::RemoteAuth, "Consumer key is invalid"),
        ("wo_key_read", Code::RemoteAuth, "permission Read"),
        ("customer_key_list_orders", Code::RemoteAuth, "role that may read"),
        ("html_page", Code::Nonsense, "permalinks"),
        ("unknown_namespace", Code::Nonsense, "rest_no_route"),
        ("maintenance_mode", Code::Nonsense, "maintenance"),
        ("maintenance_mode_html", Code::Nonsense, "maintenance"),
        ("php_fatal", Code::Nonsense, "critical error"),
        ("php_warning_before_json", Code::Nonsense, "display_errors"),
        ("customers_bad_role", Code::Invalid, "customer_role"),
    ] {
        for site in ["wc11", "wc8"] {
            let server = replay(&format!("{site}/errors/{name}.json"));
            let shop = connect(&server, json!({}), json!(null));
            let error = shop
                .fetch(
                    EntityType::Customers,
                    &task("customers", Content::Full, At::Offset(0)),
                )
                .unwrap_err();
            let shown = format!("{error:?}");
            assert_eq!(error.code, code, "{site} {name} {shown}");
            assert!(shown.contains(says), "{site} {name} {shown}");
            let secret = [KEY, SECRET, "Stack trace", "lab.php", "oauth_signature"];
            assert!(
                !secret.iter().any(|secret| shown.contains(secret)),
                "{site} {name} {shown}"
            );
        }
    }
}
