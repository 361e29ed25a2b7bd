//! Odoo's automation rules post JSON, unsigned, several times for one write, and before that write is committed. All
//! that can be asked for is a shared token in a header; all that can be made of it is a hint.

use crate::core::EntityType;
use crate::error::{Code, Error, Result};
use crate::source::webhook::{id_of, no_id, no_secret, object, Headers, Notice};
use ring::hmac;

const TOKEN: &str = "x-webhook-token";
const HOW: &str = "Call sync_connect again with \"webhook_secret\" among the credentials; whoever receives Odoo's posts passes it as the header x-webhook-token.";

pub(super) fn read(secret: Option<&str>, headers: &Headers, body: &str) -> Result<Notice> {
    let secret = secret.ok_or_else(|| no_secret(HOW))?;
    if !headers.get(TOKEN).is_some_and(|token| is_the_same(secret, token)) {
        return Err(
            Error::new(Code::NotGranted, "the webhook's token is missing or wrong")
                .hint("The header x-webhook-token must be the credentials' webhook_secret."),
        );
    }
    let body = object(body)?;
    let model = body["_model"].as_str().unwrap_or_default();
    let entities = entities(model);
    if entities.is_empty() {
        return Ok(Notice::Ignored {
            topic: model.to_owned(),
        });
    }
    Ok(Notice::Hint {
        topic: model.to_owned(),
        entities,
        external_id: id_of(&body["_id"])
            .or_else(|| id_of(&body["id"]))
            .ok_or_else(no_id)?,
    })
}

/// In constant time, whatever the lengths: compared are not the texts but what they authenticate.
fn is_the_same(secret: &str, token: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(
        &key,
        secret.as_bytes(),
        hmac::sign(&key, token.as_bytes()).as_ref(),
    )
    .is_ok()
}

/// The entity types that a model's records, or their parts, belong to.
fn entities(model: &str) -> &'static [EntityType] {
    match model {
        "res.partner" => &[EntityType::Customers],
        "product.product" | "product.template" => &[EntityType::Products],
        "product.category" => &[EntityType::Categories],
        "sale.order" | "sale.order.line" => &[EntityType::Orders, EntityType::Sales],
        "stock.warehouse" => &[EntityType::Warehouses],
        "purchase.order" | "purchase.order.line" => &[EntityType::Purchases],
        "stock.picking" | "stock.move" => &[EntityType::Transfers],
        _ => &[],
    }
}
