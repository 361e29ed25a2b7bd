//! `sync_preview`: pull what changed, then compute the preview from the ledger and cache it.

use super::pool::Pool;
use super::pull;
use super::run::{Context, Outcome};
use crate::request::Mode;
use crate::store::run as runs;
use crate::store::transaction::short;
use serde_json::json;
use std::time::Instant;
use sync_engine::core::EntityType;
use sync_engine::error::Result;

pub fn run(context: &Context, pool: &mut Pool, entity: EntityType) -> Result<Outcome> {
    let started = Instant::now();
    let pulled = pull::run(context, pool, entity, Mode::Incremental)?;
    let meta = json!({
        "requestId": context.key.sync_id,
        "processingTime": started.elapsed().as_millis() as u64,
        "pull": pulled.result,
    });
    short(|| {
        runs::store_preview(
            &context.key,
            entity,
            context.settings.preview_ttl.as_secs_f64(),
            &meta,
        )
    })?;
    Ok(Outcome {
        result: meta,
        count: pulled.count,
        ended: pulled.ended,
    })
}
