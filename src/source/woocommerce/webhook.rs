//! WooCommerce signs the raw body: base64 of HMAC-SHA256 with the webhook's secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crate::core::Delivery;
use crate::core::EntityType;
use crate::error::{Code, Error, Result};
use crate::source::webhook::{id_of, no_id, no_secret, object, Headers, Notice};
use ring::hmac;
use serde_json::Value;

const HOW: &str = "Call sync_connect again with \"webhook_secret\" among the credentials: the secret of the webhook in WooCommerce > Settings > Advanced > Webhooks.";

pub(super) fn read(secret: Option<&str>, headers: &Headers, body: &str) -> Result<Notice> {
    let signature = headers.get("x-wc-webhook-signature");
    if let (None, Some(webhook)) = (signature, pinged(body)) {
        return Ok(Notice::Ping { webhook });
    }
    let secret = secret.ok_or_else(|| no_secret(HOW))?;
    let signature = signature
        .filter(|signature| is_signed(secret, signature, body))
        .ok_or_else(refused)?;
    let topic = topic(headers);
    let Some(entity) = entity(&topic) else {
        return Ok(Notice::Ignored { topic });
    };
    let body = object(body)?;
    if is_refusal(&body) {
        return Ok(match may_not_view(&body) {
            Some(code) => Notice::Refused { topic, code },
            None => Notice::Ignored { topic },
        });
    }
    Ok(Notice::Changed(Delivery {
        id: headers
            .get("x-wc-webhook-delivery-id")
            .unwrap_or(signature)
            .to_owned(),
        signature: signature.to_owned(),
        external_id: id_of(&body["id"]).ok_or_else(no_id)?,
        parent_id: parent(&body),
        topic,
        entity,
    }))
}

/// The number of the webhook in the form that WooCommerce sends when one is made.
fn pinged(body: &str) -> Option<String> {
    let number = body.trim().strip_prefix("webhook_id=")?;
    let is_number = !number.is_empty() && number.len() <= 20 && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| number.to_owned())
}

/// WooCommerce asks its own API for the payload when it delivers, and sends whatever that answers: the error of a 404 where
/// the record has gone since, or where it is none (8.2 says `product.restored` of restored orders). Five deliveries in a row
/// that the receiver refuses turn a webhook off, so this is none of them.
fn is_refusal(body: &Value) -> bool {
    body.get("id").is_none() && body["code"].is_string() && body["data"]["status"].is_number()
}

/// The code of the refusal, where it is the webhook's user who may not view such records: then all deliveries are like that.
fn may_not_view(body: &Value) -> Option<String> {
    if !matches!(body["data"]["status"].as_u64(), Some(401 | 403)) {
        return None;
    }
    let code = body["code"].as_str().unwrap_or_default().chars().take(80);
    Some(code.filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
}

/// In constant time.
fn is_signed(secret: &str, signature: &str, body: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    STANDARD
        .decode(signature)
        .is_ok_and(|tag| hmac::verify(&key, body.as_bytes(), &tag).is_ok())
}

fn refused() -> Error {
    Error::new(Code::NotGranted, "the webhook's signature is missing or wrong").hint(
        "Its secret must be the credentials' webhook_secret, and the body must be passed byte by byte as it came.",
    )
}

fn topic(headers: &Headers) -> String {
    let part = |name: &str| headers.get(name).unwrap_or_default();
    let topic = match headers.get("x-wc-webhook-topic") {
        Some(topic) => topic.to_owned(),
        None => format!("{}.{}", part("x-wc-webhook-resource"), part("x-wc-webhook-event")),
    };
    topic.to_ascii_lowercase()
}

fn entity(topic: &str) -> Option<EntityType> {
    let (resource, event) = topic.split_once('.')?;
    let entity = match resource {
        "customer" => EntityType::Customers,
        "product" => EntityType::Products,
        "order" => EntityType::Orders,
        _ => return None,
    };
    matches!(event, "created" | "updated" | "deleted" | "restored").then_some(entity)
}

/// Variations come as products; their product is the place to read them at.
fn parent(body: &Value) -> Option<String> {
    id_of(&body["parent_id"]).filter(|_| body["type"] == "variation")
}
