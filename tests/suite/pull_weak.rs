//! Records and hosts that break down: the one record is found and left out, and a weak host is asked for less.

use serde_json::json;
use sync_sandbox::{Config, Fault, ListFault, Rule, Version, When};

use crate::shop::{small, Shop};

const CUSTOMERS: &str = "/wp-json/wc/v3/customers";

fn shop() -> Shop {
    let config = Config {
        customers: 260,
        ..small(Version::V11)
    };
    Shop::with(config, json!({}))
}

#[test]
fn one_record_that_can_t_be_shown_does_not_block_the_others() {
    for place in [0, 57, 99, 150, 259] {
        let mut shop = shop();
        let ids = shop.listed("customers");
        let bad = ids[place];
        shop.lie("customers", ListFault::Throws { ids: vec![bad] });
        let pulled = shop.pull("customers");
        assert_eq!(
            (&pulled["status"], &pulled["unreadable"], &pulled["records"]),
            (&json!("partial"), &json!(1), &json!(ids.len() - 1)),
            "{place}"
        );
        let warnings = pulled["warnings"].to_string();
        assert!(warnings.contains(&format!("{bad} (")), "{place}: {warnings}");
        // still so, and nothing is taken for deleted
        assert_eq!(shop.pull("customers")["status"], "partial");
        shop.sandbox.clear_faults(None);
        shop.pull("customers");
        shop.assert_mirrored("customers");
        shop.fill("customers");
        shop.change(
            json!({ "op": "edit", "entity": "customers", "id": bad, "set": { "first_name": "Zoë" } }),
        );
        shop.lie("customers", ListFault::Throws { ids: vec![bad] });
        assert_eq!(shop.pull("customers")["deleted"], 0);
        assert!(shop.delta("customers").is_empty(), "{place}");
    }
}

#[test]
fn a_host_that_is_down_is_not_searched_for_a_record() {
    let mut shop = shop();
    shop.pull("customers");
    shop.sandbox
        .fault(Rule::new(CUSTOMERS, When::All, Fault::PhpFatal));
    shop.sandbox.reset_stats();
    let error = shop.try_pull("customers").unwrap_err();
    assert_eq!(error.code().unwrap().code(), "08P01");
    assert!(shop.sandbox.stats().requests < 20);
}

#[test]
fn a_weak_host_is_asked_for_less_and_remembered_as_weak() {
    let weak = |rows, status| ListFault::Weak { rows, status };
    let refuse = |per_page| ListFault::Refuse { per_page };
    for fault in [
        weak(60, 502),
        weak(30, 504),
        weak(13, 500),
        refuse(50),
        refuse(20),
    ] {
        let mut shop = shop();
        let what = format!("{fault:?}");
        shop.lie("customers", fault);
        assert_eq!(shop.pull("customers")["status"], "success", "{what}");
        shop.assert_mirrored("customers");
        shop.sandbox.reset_stats();
        shop.pull_full("customers");
        let seen = shop.sandbox.requests();
        assert!(seen.iter().all(|request| request.status == 200), "{what}");
        assert!(
            !seen.iter().any(|request| request.query.contains("per_page=100")),
            "{what}"
        );
    }
}

#[test]
fn the_size_of_pages_is_a_setting() {
    let mut shop = Shop::with(small(Version::V11), json!({ "page_size": 40 }));
    shop.pull("customers");
    shop.assert_mirrored("customers");
    let seen = shop.sandbox.requests();
    let asked = |size: &str| {
        seen.iter()
            .any(|request| request.query.contains(&format!("per_page={size}&")))
    };
    assert!(asked("40") && !asked("100"));
    for page_size in [0, 1, 101] {
        let url = shop.sandbox.url();
        let error = shop
            .connect(&url, "rw", &json!({ "page_size": page_size }))
            .unwrap_err();
        assert_eq!(error.code().unwrap().code(), "22023");
    }
}

#[test]
fn marks_ahead_of_the_answer_are_skipped() {
    let mut shop = shop();
    let bytes = "\u{feff}".as_bytes().to_vec();
    shop.lie("customers", ListFault::Ahead { bytes });
    shop.pull("customers");
    shop.assert_mirrored("customers");
}

#[test]
fn a_page_of_a_firewall_says_nothing_about_the_key() {
    let mut shop = shop();
    let page = Fault::Reply {
        status: 403,
        content_type: "text/html".into(),
        body: "<html><body>Access denied</body></html>".into(),
    };
    shop.sandbox.fault(Rule::new("/", When::All, page));
    let error = shop.try_pull("customers").unwrap_err();
    assert_eq!(error.code().unwrap().code(), "08P01");
}

#[test]
fn a_test_of_the_connection_counts_what_is_read() {
    for (version, cap) in [(Version::V8, None), (Version::V8, Some(2)), (Version::V11, None)] {
        let mut shop = Shop::new(version);
        if let Some(rows) = cap {
            shop.lie("products", ListFault::Cap { rows });
        }
        let told = shop
            .sql
            .query_one("SELECT sync_test_connection('woocommerce')", &[]);
        let told: serde_json::Value = told.unwrap().get(0);
        let pulled = shop.pull("products");
        assert_eq!(
            told["entities"]["products"]["count"], pulled["records"],
            "{version:?} {cap:?}"
        );
    }
}
