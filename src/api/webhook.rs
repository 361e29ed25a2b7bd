//! `sync_ingest_webhook`: what a remote sends of its own accord.

use super::json::Json;
use super::needed;
use crate::call;
use crate::pg::report::raise;
use crate::request::Job;
use pgrx::prelude::*;
use pgrx::JsonB;
use serde_json::Value;
use std::time::Duration;
use sync_engine::error::{Code, Error, Result};

/// Longest body, and longest headers.
const LONGEST_BODY: usize = 2 * 1024 * 1024;
const LONGEST_HEADERS: usize = 64 * 1024;
/// How long to wait for a place among the workers, and for other runs: the sender waits as well, and gives up after some
/// seconds.
const SENDERS_PATIENCE: Duration = Duration::from_secs(3);

/// `sync_ingest_webhook(sync_type, headers jsonb, body bytea) → jsonb`
#[pg_extern(volatile)]
fn sync_ingest_webhook(sync_type: Option<&str>, headers: Option<Json>, body: Option<&[u8]>) -> JsonB {
    let asked = || {
        ingest(
            needed("sync_type", sync_type)?,
            needed("headers", headers)?.value("the webhook's headers")?,
            needed("body", body)?,
        )
    };
    JsonB(asked().unwrap_or_else(|e| raise(e)))
}

fn ingest(sync_type: &str, headers: Value, body: &[u8]) -> Result<Value> {
    if body.len() > LONGEST_BODY || headers.to_string().len() > LONGEST_HEADERS {
        return Err(Error::new(Code::Invalid, "the webhook's request is too large")
            .detail(format!(
                "The body may have {LONGEST_BODY} bytes, the headers {LONGEST_HEADERS}."
            ))
            .hint("A pull reads the record just as well: call sync_pull."));
    }
    let body = std::str::from_utf8(body).map_err(|_| {
        Error::new(Code::Invalid, "the webhook's body is not UTF-8")
            .hint("Pass the request's body byte by byte as it came.")
    })?;
    let job = |is_last| Job::Webhook {
        headers: headers.clone(),
        body: body.to_owned(),
        is_last,
    };
    match call::run_patiently(sync_type, job(false), Some(SENDERS_PATIENCE)) {
        // refusals turn webhooks off: what can't be read now is noted for the next pull
        Err(error) if error.code == Code::LocalLimit => {
            call::run_patiently(sync_type, job(true), Some(SENDERS_PATIENCE))
        }
        done => done,
    }
}
