//! What goes wrong: each case has its SQLSTATE and a hint, leaves the ledger as it was, and tells no secret.

use std::net::TcpListener;

use postgres::error::DbError;
use postgres::Error;
use serde_json::{json, Value};
use sync_sandbox::{Config, Fault, Rule, Sandbox, Version, When};

use crate::shop::{small, Shop};

const CUSTOMERS: &str = "/wp-json/wc/v3/customers";
const SECRETS: [&str; 6] = [
    "ck_rw",
    "cs_rw",
    "cs_nobody",
    "cs_cust",
    "oauth_signature",
    "Basic ",
];

/// A shop that was pulled, and has changed since.
fn changed_shop() -> Shop {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    shop.fill("customers");
    let ids = shop.listed("customers");
    shop.change(json!({ "op": "edit", "entity": "customers", "id": ids[3], "set": { "first_name": "Zoë" } }));
    shop.change(json!({ "op": "delete", "entity": "customers", "ids": [ids[5]] }));
    shop.sandbox.reset_stats();
    shop
}

#[track_caller]
fn assert_no_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

/// An error of the server with this SQLSTATE, a hint and no secret.
#[track_caller]
fn refused(error: Error, state: &str) -> DbError {
    let error = error.as_db_error().unwrap_or_else(|| panic!("{error:?}")).clone();
    assert_eq!(error.code().code(), state, "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.ends_with('.')), "{error:?}");
    assert_no_secret(&format!("{error:?}"));
    error
}

/// A pull that fails so, and leaves no trace but the log.
#[track_caller]
fn fails(shop: &mut Shop, state: &str) -> DbError {
    let (places, delta) = (shop.places(), shop.delta("customers"));
    let error = refused(
        shop.try_pull("customers").expect_err("the pull should fail"),
        state,
    );
    assert_eq!(shop.places(), places);
    assert_eq!(shop.delta("customers"), delta);

    let log = shop
        .sql
        .query_one(
            "SELECT status, error_message, details FROM sync_activity_log ORDER BY created_at DESC LIMIT 1",
            &[],
        )
        .unwrap();
    assert_eq!(log.get::<_, String>(0), "failed");
    assert_eq!(log.get::<_, String>(1), error.message());
    let details: Value = log.get(2);
    assert_eq!(details["sqlstate"], state);
    assert_no_secret(&details.to_string());
    let health: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["connectors"][0]["lastError"], error.message());
    error
}

/// A fault that stays fails the pull; without it, the next one finds what had changed.
#[track_caller]
fn breaks_until_cleared(fault: Fault, state: &str) -> DbError {
    let mut shop = changed_shop();
    let what = format!("{fault:?}");
    shop.sandbox.fault(Rule::new(CUSTOMERS, When::All, fault));
    let error = fails(&mut shop, state);
    shop.sandbox.clear_faults(None);
    shop.sandbox.release();
    let pulled = shop.pull("customers");
    assert_eq!(
        (&pulled["updated"], &pulled["deleted"]),
        (&json!(1), &json!(1)),
        "{what}"
    );
    shop.assert_mirrored("customers");
    let health: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["status"], "ok", "{what}: {health}");
    error
}

/// A fault that passes costs a request and nothing else.
#[track_caller]
fn is_sat_out(fault: Fault) {
    let mut shop = changed_shop();
    let undisturbed = {
        let mut same = changed_shop();
        same.pull("customers");
        same.sandbox.stats().requests
    };
    shop.sandbox.fault(Rule::new(CUSTOMERS, When::Next(1), fault));
    let pulled = shop.pull("customers");
    assert_eq!((&pulled["updated"], &pulled["deleted"]), (&json!(1), &json!(1)));
    assert_eq!(shop.sandbox.stats().requests, undisturbed + 1);
    shop.assert_mirrored("customers");
}

fn page(status: u16, body: &str) -> Fault {
    Fault::Reply {
        status,
        content_type: "application/json".into(),
        body: body.into(),
    }
}

#[test]
fn what_nobody_knows_is_refused_before_anything_is_asked() {
    let mut shop = changed_shop();
    for call in [
        "sync_pull('woocommerce', 'unicorns')",
        "sync_pull('woocommerce', 'customers', 'sideways')",
        "sync_pull('woocommerce', 'warehouses')",
        "sync_preview('woocommerce', 'unicorns')",
        "sync_reset('woocommerce', '')",
        "sync_select('unicorns')",
    ] {
        let error = shop.sql.query_one(&format!("SELECT {call}"), &[]).unwrap_err();
        refused(error, "22023");
    }
    for call in [
        "sync_pull('nobody', 'customers')",
        "sync_preview('nobody', 'customers')",
        "detect_customer_delta('nobody')",
        "sync_test_connection('nobody')",
        "sync_disconnect('nobody')",
    ] {
        let error = shop.sql.query_one(&format!("SELECT {call}"), &[]).unwrap_err();
        refused(error, "42704");
    }
    assert_eq!(shop.sandbox.stats().requests, 0);
}

#[test]
fn a_connector_that_can_t_be_is_refused() {
    let mut shop = Shop::new(Version::V11);
    let keys = json!({ "consumer_key": "ck_rw", "consumer_secret": "cs_rw" });
    let url = shop.sandbox.url();
    for (kind, url, credentials, settings) in [
        ("gopherstore", url.as_str(), &keys, json!({})),
        ("woocommerce", "ftp://127.0.0.1/", &keys, json!({})),
        ("woocommerce", "not an address", &keys, json!({})),
        ("woocommerce", "http://ck_rw:cs_rw@127.0.0.1/", &keys, json!({})),
        ("woocommerce", &url, &keys, json!({ "cs_rw_colour": "blue" })),
        ("woocommerce", &url, &keys, json!({ "auth": "magic" })),
        ("woocommerce", &url, &keys, json!({ "compare_limit": -1 })),
        ("woocommerce", &url, &keys, json!({ "requests_per_second": 0 })),
        ("woocommerce", &url, &keys, json!({ "ca_certificate": "cs_rw" })),
        ("woocommerce", &url, &keys, json!({ "order_statuses": ["a,b"] })),
        (
            "woocommerce",
            &url,
            &json!({ "consumer_key": "ck_rw" }),
            json!({}),
        ),
        ("woocommerce", &url, &json!({ "password": "cs_rw" }), json!({})),
    ] {
        let error = shop
            .sql
            .query_one(
                "SELECT sync_connect(kind => $1, base_url => $2, credentials => $3, name => 'second', settings => $4)",
                &[&kind, &url, credentials, &settings],
            )
            .unwrap_err();
        let error = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(error.code().code(), "22023", "{url} {settings}: {error:?}");
        assert_no_secret(&format!("{error:?}").replace("cs_rw_colour", ""));
    }
    assert_eq!(shop.number("SELECT count(*) FROM sync_connectors"), 1);
}

#[test]
fn keys_that_the_shop_refuses_are_an_authentication_error() {
    let mut shop = changed_shop();
    let url = shop.sandbox.url();
    shop.connect(&url, "nobody", &json!({})).unwrap();
    fails(&mut shop, "28P01");

    shop.connect(&url, "wo", &json!({})).unwrap();
    fails(&mut shop, "28P01");

    shop.connect(&url, "cust", &json!({})).unwrap();
    let error = fails(&mut shop, "28P01");
    assert!(error.message().contains("403"), "{error:?}");
    assert!(error.hint().unwrap_or_default().contains("role"), "{error:?}");
}

#[test]
fn keys_that_the_shop_refuses_over_https_are_an_authentication_error() {
    let config = Config {
        https: true,
        ..small(Version::V11)
    };
    let mut shop = Shop::with(config, json!({}));
    let (url, pem) = (
        shop.sandbox.https_url().unwrap(),
        shop.sandbox.ca_pem().unwrap().to_owned(),
    );
    shop.connect(&url, "nobody", &json!({ "ca_certificate": pem }))
        .unwrap();
    fails(&mut shop, "28P01");
    // Without the shop's authority its certificate proves nothing.
    shop.connect(&url, "rw", &json!({})).unwrap();
    fails(&mut shop, "08001");
}

#[test]
fn answers_that_are_no_json_are_nonsense() {
    for fault in [
        Fault::HtmlPage,
        Fault::PhpWarning,
        Fault::CutJson { bytes: 200 },
        Fault::CutBody { bytes: 200 },
        Fault::EmptyBody,
        page(200, "{\"customers\": []}"),
        page(200, "[{\"email\": \"a@x.example\"}]"),
        page(200, "null"),
        page(
            404,
            "{\"code\": \"rest_no_route\", \"message\": \"No route\", \"data\": {\"status\": 404}}",
        ),
    ] {
        breaks_until_cleared(fault, "08P01");
    }
}

#[test]
fn an_error_of_the_shop_that_stays_is_told_in_its_words_without_its_paths() {
    let error = breaks_until_cleared(Fault::PhpFatal, "08P01");
    let text = format!("{error:?}");
    assert!(
        text.contains("critical error") && !text.contains("/var/www"),
        "{text}"
    );
}

#[test]
fn maintenance_is_told_as_such() {
    for html in [false, true] {
        let error = breaks_until_cleared(Fault::Maintenance { html }, "08P01");
        assert!(
            error.hint().unwrap_or_default().contains("maintenance"),
            "{error:?}"
        );
    }
}

#[test]
fn a_secret_that_the_shop_repeats_is_masked() {
    let echo = r#"{"code": "echo", "message": "key cs_rw of ck_rw is bad", "data": {"status": 400}}"#;
    breaks_until_cleared(page(400, echo), "08P01");
    breaks_until_cleared(page(200, "sent: cs_rw ck_rw"), "08P01");
}

#[test]
fn an_error_that_passes_is_sat_out() {
    is_sat_out(Fault::PhpFatal);
    is_sat_out(Fault::Reset);
    is_sat_out(Fault::CutBody { bytes: 10 });
    is_sat_out(Fault::TooManyRequests { retry_after: None });
    is_sat_out(Fault::TooManyRequests {
        retry_after: Some("1".into()),
    });
}

#[test]
fn connections_that_break_are_told_after_the_retries() {
    breaks_until_cleared(Fault::Reset, "08006");
}

#[test]
fn a_shop_that_throttles_beyond_the_retries_is_a_limit() {
    breaks_until_cleared(Fault::TooManyRequests { retry_after: None }, "53400");
}

#[test]
fn a_shop_that_asks_for_a_long_pause_is_left_alone_by_everybody() {
    let mut shop = changed_shop();
    let fault = Fault::TooManyRequests {
        retry_after: Some("600".into()),
    };
    shop.sandbox.fault(Rule::new(CUSTOMERS, When::All, fault));
    fails(&mut shop, "53400");
    shop.sandbox.clear_faults(None);
    shop.sandbox.reset_stats();
    fails(&mut shop, "53400");
    let error = shop.try_pull("orders").expect_err("the connector is blocked");
    refused(error, "53400");
    assert_eq!(shop.sandbox.stats().requests, 0);
}

#[test]
fn a_shop_that_does_not_answer_is_given_up_after_the_timeout() {
    let mut shop = changed_shop();
    shop.sql
        .batch_execute("SET sync_ext.http_timeout = '1s'; SET sync_ext.max_retries = 0")
        .unwrap();
    shop.sandbox.fault(Rule::new(CUSTOMERS, When::All, Fault::Hang));
    fails(&mut shop, "08006");
    shop.sandbox.clear_faults(None);
    shop.sandbox.release();
    let trickle = Fault::Trickle { bytes: 1, ms: 50 };
    shop.sandbox.fault(Rule::new(CUSTOMERS, When::All, trickle));
    fails(&mut shop, "08006");
}

#[test]
fn an_address_where_nobody_listens_is_unreachable() {
    let mut shop = changed_shop();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    shop.connect(&format!("http://{free}"), "rw", &json!({})).unwrap();
    fails(&mut shop, "08001");
    shop.connect("http://shop.invalid", "rw", &json!({})).unwrap();
    fails(&mut shop, "08001");
}

#[test]
fn a_redirect_to_another_host_is_not_followed() {
    let mut shop = changed_shop();
    let other = Sandbox::start(small(Version::V11)).unwrap();
    let to = format!("{}{CUSTOMERS}", other.url());
    for status in [301, 302, 307, 308] {
        let fault = Fault::Redirect {
            to: to.clone(),
            status,
        };
        let id = shop.sandbox.fault(Rule::new(CUSTOMERS, When::All, fault));
        let error = fails(&mut shop, "08001");
        assert_no_secret(&format!("{error:?}"));
        shop.sandbox.clear_faults(Some(id));
    }
    assert_eq!(other.stats().requests, 0);
}

#[test]
fn a_total_that_is_wrong_deletes_nobody() {
    for total in [0, 1, 50, 100, 119, 121, 700] {
        for settings in [json!({}), json!({ "compare_limit": 0 })] {
            let mut shop = Shop::with(small(Version::V11), settings.clone());
            shop.pull("customers");
            shop.fill("customers");
            shop.sandbox
                .fault(Rule::new(CUSTOMERS, When::All, Fault::WrongTotal { total }));
            // the pages prove themselves, whatever it says; only what is counted beyond them can't be told
            let pulled = shop.try_pull("customers");
            match total {
                // it counts far more than it shows
                700 => drop(refused(pulled.unwrap_err(), "08P01")),
                _ => {
                    let told = pulled.unwrap();
                    // one that is counted, and shown nowhere
                    let status = if total == 121 { "partial" } else { "success" };
                    assert_eq!(
                        (&told["status"], &told["records"]),
                        (&json!(status), &json!(120)),
                        "{total} {told}"
                    );
                }
            }
            assert!(shop.delta("customers").is_empty(), "{total}");
            shop.sandbox.clear_faults(None);
            shop.pull("customers");
            shop.assert_mirrored("customers");
        }
    }
}

#[test]
fn a_listing_that_hides_records_deletes_nobody_who_still_answers() {
    let mut shop = changed_shop();
    let gone = shop.delta("customers");
    assert!(gone.is_empty());
    // A plugin that empties every page, but not the answers by id.
    let rule = Rule {
        query: Some("role=customer".into()),
        ..Rule::new(CUSTOMERS, When::All, page(200, "[]"))
    };
    shop.sandbox.fault(rule);
    shop.pull("customers");
    let deleted: Vec<_> = shop
        .delta("customers")
        .into_values()
        .filter(|c| c == "deleted")
        .collect();
    assert_eq!(deleted.len(), 1);
}
