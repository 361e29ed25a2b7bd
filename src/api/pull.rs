//! Pulls and fresh previews: both through a worker.

use crate::report::raise;
use crate::worker::{self, Job, Mode};
use pgrx::prelude::*;
use pgrx::JsonB;
use sync_engine::error::{Code, Error, Result};

/// `sync_pull(sync_type, entity_type, mode default 'incremental') → jsonb`
#[pg_extern(volatile)]
fn sync_pull(sync_type: &str, entity_type: &str, mode: default!(&str, "'incremental'")) -> JsonB {
    let job = parse_mode(mode).and_then(|mode| {
        Ok(Job::Pull {
            entity: entity_type.parse()?,
            mode,
        })
    });
    JsonB(
        job.and_then(|job| worker::run(sync_type, job))
            .unwrap_or_else(|e| raise(e)),
    )
}

/// `sync_refresh_preview(sync_type, entity_type) → jsonb`: what `sync_preview` calls on a miss.
#[pg_extern(volatile)]
fn sync_refresh_preview(sync_type: &str, entity_type: &str) -> JsonB {
    let job = entity_type.parse().map(|entity| Job::Preview { entity });
    JsonB(
        job.and_then(|job| worker::run(sync_type, job))
            .unwrap_or_else(|e| raise(e)),
    )
}

pub(super) fn parse_mode(mode: &str) -> Result<Mode> {
    match mode.trim().to_ascii_lowercase().as_str() {
        "incremental" => Ok(Mode::Incremental),
        "full" => Ok(Mode::Full),
        _ => {
            Err(Error::new(Code::Invalid, format!("unknown mode \"{mode}\""))
                .hint("Use incremental or full."))
        }
    }
}
