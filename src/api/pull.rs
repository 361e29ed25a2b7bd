//! Pulls and fresh previews: both through a worker.

use super::needed;
use crate::call;
use crate::pg::report::raise;
use crate::request::{Job, Mode};
use pgrx::prelude::*;
use pgrx::JsonB;
use serde_json::Value;
use sync_engine::error::{Code, Error, Result};

/// `sync_pull(sync_type, entity_type, mode default 'incremental') → jsonb`
#[pg_extern(volatile)]
fn sync_pull(
    sync_type: Option<&str>,
    entity_type: Option<&str>,
    mode: default!(Option<&str>, "'incremental'"),
) -> JsonB {
    JsonB(pull(sync_type, entity_type, mode).unwrap_or_else(|e| raise(e)))
}

fn pull(sync_type: Option<&str>, entity_type: Option<&str>, mode: Option<&str>) -> Result<Value> {
    let job = Job::Pull {
        entity: needed("entity_type", entity_type)?.parse()?,
        mode: parse_mode(mode)?,
    };
    call::run(needed("sync_type", sync_type)?, job)
}

/// `sync_refresh_preview(sync_type, entity_type) → jsonb`: what `sync_preview` calls on a miss.
#[pg_extern(volatile)]
fn sync_refresh_preview(sync_type: &str, entity_type: &str) -> JsonB {
    let job = entity_type.parse().map(|entity| Job::Preview { entity });
    JsonB(
        job.and_then(|job| call::run(sync_type, job))
            .unwrap_or_else(|e| raise(e)),
    )
}

pub(super) fn parse_mode(mode: Option<&str>) -> Result<Mode> {
    let mode = needed("mode", mode)?;
    match mode.trim().to_ascii_lowercase().as_str() {
        "incremental" => Ok(Mode::Incremental),
        "full" => Ok(Mode::Full),
        _ => {
            Err(Error::new(Code::Invalid, format!("unknown mode \"{mode}\""))
                .hint("Use incremental or full."))
        }
    }
}
