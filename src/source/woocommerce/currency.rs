//! The shop's currency, which is that of all its prices.

use super::WooCommerce;
use crate::core::Record;
use crate::error::{Code, Result};
use crate::source::http::Meter;
use serde_json::Value;
use std::sync::{Mutex, PoisonError};

const ROUTE: &str = "data/currencies/current";

/// None: not asked for in this run. A currency of None: the shop doesn't tell.
#[derive(Debug, Default)]
pub(super) struct Currency(Mutex<Option<Option<String>>>);

impl WooCommerce {
    /// Says beside the prices of products which currency they are in.
    pub(super) fn with_currency(&self, mut records: Vec<Record>, meter: &Meter) -> Result<Vec<Record>> {
        if records.is_empty() {
            return Ok(records);
        }
        if let Some(currency) = self.currency(meter)? {
            for record in &mut records {
                record
                    .data
                    .insert("currency".to_owned(), Value::from(currency.clone()));
            }
        }
        Ok(records)
    }

    /// Asked once in a run; whoever asks meanwhile waits. A key that may not know it, or a plugin that is in the way, is
    /// no reason to leave products unread.
    fn currency(&self, meter: &Meter) -> Result<Option<String>> {
        let mut known = self.currency.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let told = match self.api.get(ROUTE, &Vec::new(), meter) {
            Ok(answer) if answer.status == 200 => answer.json,
            Ok(_) => None,
            Err(error) if error.code == Code::RemoteAuth => None,
            Err(error) => return Err(error),
        };
        let currency = told.and_then(|json| json["code"].as_str().map(str::to_owned));
        *known = Some(currency.clone());
        Ok(currency)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::testing::{connect, rows};
    use super::ROUTE;
    use crate::core::EntityType;
    use crate::source::http::testing::{Reply, Server};
    use crate::source::{At, Content, Source, Task};
    use serde_json::{json, Value};

    /// The currencies of products from a shop that answers so.
    fn told(answer: Reply) -> (Vec<Value>, usize) {
        let server = Server::start(move |seen, _| match seen.path.ends_with(ROUTE) {
            true => answer.clone(),
            false => Reply::ok(serde_json::to_vec(&rows(3)).unwrap()).header("X-WP-Total", 3),
        });
        let shop = connect(&server, json!({}), json!(null));
        let task = Task {
            list: "products".into(),
            content: Content::Full,
            since: None,
            at: At::Offset(0),
        };
        let pages = [0, 1].map(|_| shop.fetch(EntityType::Products, &task).unwrap().records);
        let currency = |record: crate::core::Record| record.data.get("currency").cloned().unwrap_or_default();
        let asked = server.seen();
        let asked = asked.iter().filter(|seen| seen.path.ends_with(ROUTE)).count();
        (pages.into_iter().flatten().map(currency).collect(), asked)
    }

    #[test]
    fn products_have_the_shops_currency_which_is_asked_for_once() {
        let answer = Reply::ok(r#"{"code":"EUR","name":"Euro","symbol":"&euro;"}"#);
        assert_eq!(told(answer), (vec![json!("EUR"); 6], 1));
    }

    #[test]
    fn a_shop_that_does_not_tell_is_read_all_the_same() {
        for answer in [
            Reply::new(403, "{}"),
            Reply::new(404, "<!DOCTYPE html>"),
            Reply::ok("<html>"),
            Reply::ok("[]"),
        ] {
            assert_eq!(told(answer), (vec![Value::Null; 6], 1));
        }
    }
}
