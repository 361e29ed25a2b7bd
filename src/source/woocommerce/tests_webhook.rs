#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use crate::core::{Delivery, EntityType};
use crate::error::{Code, Result};
use crate::source::ConnectorKind;
use crate::source::webhook::Notice;
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use ring::hmac;
use serde_json::{json, Value};

const ORDER: &str = r#"{"id": 727, "status": "processing", "total": "12.50"}"#;

fn sign(body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
    STANDARD.encode(hmac::sign(&key, body.as_bytes()))
}

fn shop(headers: Value, body: &str) -> Result<Notice> {
    kind().notice(
        &json!({ "webhook_secret": "s3cret" }),
        &headers,
        body,
    )
}

fn delivered(topic: &str, body: &str) -> Result<Notice> {
    shop(
        json!({ "X-WC-Webhook-Topic": topic, "X-WC-Webhook-Signature": sign(body), "X-WC-Webhook-Delivery-ID": "d1" }),
        body,
    )
}

fn change(topic: &str, body: &str) -> Delivery {
    match delivered(topic, body) {
        Ok(Notice::Changed(change)) => change,
        other => panic!("{other:?}"),
    }
}

fn kind() -> ConnectorKind {
    "woocommerce".parse().unwrap()
}

#[test]
fn a_signed_delivery_names_its_record() {
    let order = change("order.updated", ORDER);
    assert_eq!(
        (order.entity, order.external_id.as_str()),
        (EntityType::Orders, "727")
    );
    assert_eq!((order.id.as_str(), order.parent_id), ("d1", None));
    assert_eq!(
        change("customer.deleted", r#"{"id": 5}"#).entity,
        EntityType::Customers
    );
    assert_eq!(
        change("product.restored", r#"{"id": "5"}"#).entity,
        EntityType::Products
    );
}

#[test]
fn a_delivery_about_a_record_that_is_gone_by_then_is_none() {
    // as WooCommerce 8.2 and 11.0 sent it
    let body =
        r#"{"code":"woocommerce_rest_product_invalid_id","message":"Invalid ID.","data":{"status":404}}"#;
    let topic = "product.updated".to_owned();
    assert_eq!(delivered(&topic, body).unwrap(), Notice::Ignored { topic });
    let unsigned = json!({ "X-WC-Webhook-Topic": "product.updated", "X-WC-Webhook-Signature": sign(ORDER) });
    assert_eq!(shop(unsigned, body).unwrap_err().code, Code::NotGranted);
    // a payload that a plugin has changed
    let error = delivered("product.updated", r#"{"code": "x", "total": "1"}"#).unwrap_err();
    assert_eq!(error.code, Code::Invalid);
}

#[test]
fn the_signature_is_that_of_the_bytes() {
    // made with: printf '%s' BODY | openssl dgst -sha256 -hmac s3cret -binary | base64
    assert_eq!(sign("{\"id\":1}"), "Y92rNNpYOOODVF6ckLQPdKTj2qvF3ZqNSaUYda1LJBg=");
    let headers = json!({ "x-wc-webhook-topic": "order.updated", "x-wc-webhook-signature": sign(ORDER) });
    shop(headers.clone(), ORDER).unwrap();
    for other in [
        ORDER.replace("12.50", "12.51"),
        format!("{ORDER} "),
        ORDER.replace(' ', ""),
    ] {
        assert_eq!(shop(headers.clone(), &other).unwrap_err().code, Code::NotGranted);
    }
}

#[test]
fn a_wrong_or_missing_signature_is_refused_and_nothing_told() {
    let right = sign(ORDER);
    for signature in [
        "",
        "x",
        "AAAA",
        &right[1..],
        &right.to_lowercase(),
        &format!("{right}{right}"),
    ] {
        let headers = json!({ "X-WC-Webhook-Topic": "order.updated", "X-WC-Webhook-Signature": signature });
        let error = shop(headers, ORDER).unwrap_err();
        assert_eq!(error.code, Code::NotGranted, "{signature}");
        let told = format!("{error:?}");
        assert!(
            error.hint.is_some() && !told.contains(&right) && !told.contains("s3cret"),
            "{told}"
        );
    }
    assert_eq!(shop(json!({}), ORDER).unwrap_err().code, Code::NotGranted);
}

#[test]
fn header_names_know_no_case_and_the_topic_may_come_in_two_parts() {
    let headers = json!({ "x-wc-webhook-RESOURCE": ["order"], "X-Wc-Webhook-Event": "created",
                          "X-WC-WEBHOOK-SIGNATURE": [sign(ORDER)], "Content-Length": 53 });
    let Ok(Notice::Changed(change)) = shop(headers, ORDER) else {
        panic!()
    };
    assert_eq!((change.topic.as_str(), change.id), ("order.created", sign(ORDER)));
    assert_eq!(shop(json!("x"), ORDER).unwrap_err().code, Code::Invalid);
}

#[test]
fn a_ping_is_no_delivery() {
    let ping = |webhook: &str| Notice::Ping {
        webhook: webhook.to_owned(),
    };
    assert_eq!(shop(json!({}), "webhook_id=14"), Ok(ping("14")));
    let unknown = kind().notice(
        &json!({}),
        &json!({}),
        "webhook_id=14",
    );
    assert_eq!(unknown, Ok(ping("14")));
    for body in ["webhook_id=", "webhook_id=x", "webhook_id=1&id=2", "id=1"] {
        assert_eq!(
            shop(json!({}), body).unwrap_err().code,
            Code::NotGranted,
            "{body}"
        );
    }
}

#[test]
fn other_topics_are_ignored_and_bodies_without_a_record_refused() {
    for topic in [
        "coupon.created",
        "action.woocommerce_add_to_cart",
        "order.exploded",
        "order",
        "",
    ] {
        assert!(
            matches!(delivered(topic, "[]"), Ok(Notice::Ignored { .. })),
            "{topic}"
        );
    }
    for body in [
        "",
        "<html>",
        "[1]",
        "{}",
        r#"{"id": -1}"#,
        r#"{"id": 0}"#,
        r#"{"id": "1,2"}"#,
        r#"{"id": [1]}"#,
    ] {
        assert_eq!(
            delivered("order.updated", body).unwrap_err().code,
            Code::Invalid,
            "{body}"
        );
    }
}

#[test]
fn a_variation_is_read_at_its_product() {
    let variation = change(
        "product.updated",
        r#"{"id": 8, "type": "variation", "parent_id": 7}"#,
    );
    assert_eq!(variation.parent_id.as_deref(), Some("7"));
    let grouped = change(
        "product.updated",
        r#"{"id": 8, "type": "simple", "parent_id": 7}"#,
    );
    assert_eq!(grouped.parent_id, None);
}
