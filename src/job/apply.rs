//! `sync_apply`: the delta, written to the local relation.
//!
//! What is to be done is noted at the beginning, a thousand records of a class to a part; deletions last, as what refers to
//! a deleted row may be gone by then. A part is one transaction: rows, their images for undoing, the history's counts. A
//! crash leaves what was committed and a history that says partial; the next apply finds in the ledger what is still to
//! be done. A dry run is the same in a single transaction, which is rolled back: so records that only clash with one
//! another are found too.

use super::run::{fitting, Context, Outcome};
use crate::request::ApplyOptions;
use crate::store::apply::{self, Batch, Class, Planned};
use crate::store::outcome::Ended;
use crate::store::run as runs;
use crate::store::transaction::{closing, rolled_back, short, yielding};
use serde_json::{json, Value};
use std::time::Instant;
use sync_engine::core::EntityType;
use sync_engine::error::Result;

/// Failures that the reply shows (the history has all), and warnings that reply and history show.
const SHOWN: usize = 100;

/// What was done so far.
#[derive(Default)]
struct Tally {
    created: u64,
    updated: u64,
    deleted: u64,
    failed: u64,
    unequal: u64,
    kept: u64,
    shown: Vec<Value>,
    warnings: Vec<Value>,
}

impl Tally {
    fn add(&mut self, batch: Batch) {
        match batch.change {
            Class::New => self.created += batch.done,
            Class::Updated => self.updated += batch.done,
            Class::Deleted => self.deleted += batch.done,
        }
        self.failed += batch.failures.len() as u64;
        self.unequal += batch.unequal;
        self.kept += batch.kept;
        let room = SHOWN.saturating_sub(self.shown.len());
        self.shown.extend(batch.failures.into_iter().take(room));
        let room = SHOWN.saturating_sub(self.warnings.len());
        self.warnings.extend(batch.warnings.into_iter().take(room));
    }

    fn written(&self) -> u64 {
        self.created + self.updated + self.deleted
    }

    fn status(&self) -> &'static str {
        match (self.failed, self.written()) {
            (0, _) => "completed",
            (_, 0) => "failed",
            _ => "partial_success",
        }
    }
}

pub fn run(context: &Context, entity: EntityType, options: &ApplyOptions) -> Result<Outcome> {
    let started = Instant::now();
    let planned = short(|| apply::begin(&context.key, entity, options))?;
    let outcome = if options.dry_run {
        rolled_back(|| write_all(context, entity, &planned, &mut |body| body()))
    } else {
        write_all(context, entity, &planned, &mut |body| yielding(body))
    };
    let duration = started.elapsed().as_millis() as u64;
    let history = planned.history_id.as_str();
    match outcome {
        Ok(tally) => {
            let facts = json!({
                "errors": tally.shown, "unequal": tally.unequal, "kept": tally.kept, "warnings": tally.warnings,
            });
            short(|| {
                apply::end(&context.key, history, tally.status(), duration, &facts)?;
                match options.dry_run {
                    true => Ok(()),
                    false => runs::drop_previews(&context.key, entity),
                }
            })?;
            Ok(report(context, entity, options, &planned, tally, duration))
        }
        Err(error) => {
            let facts = json!({ "error": { "sqlstate": error.code.sqlstate(), "message": error.message, "detail": error.detail } });
            // the error is the one to tell, even where this fails too
            let _ = closing(|| apply::end(&context.key, history, "failed", duration, &facts));
            Err(error)
        }
    }
}

type Transaction<'a> = dyn FnMut(&mut dyn FnMut() -> Result<Batch>) -> Result<Batch> + 'a;

fn write_all(
    context: &Context,
    entity: EntityType,
    planned: &Planned,
    transaction: &mut Transaction<'_>,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let total = planned.new + planned.updated + planned.deleted;
    for part in &planned.parts {
        let processed = tally.written() + tally.failed + tally.kept;
        let batch = transaction(&mut || {
            let batch = apply::batch(&context.key, entity, planned, *part)?;
            let now = processed + batch.done + batch.failures.len() as u64 + batch.kept;
            runs::progress(&context.key, "applying", total, now, batch.change.name())?;
            Ok(batch)
        })?;
        tally.add(batch);
    }
    Ok(tally)
}

fn report(
    context: &Context,
    entity: EntityType,
    options: &ApplyOptions,
    planned: &Planned,
    tally: Tally,
    duration: u64,
) -> Outcome {
    let count = tally.written();
    let first = tally
        .shown
        .first()
        .and_then(|failure| failure["message"].as_str());
    let ended = Ended::counted(tally.failed, count + tally.failed, first);
    let result = json!({
        "syncId": context.key.sync_id,
        "historyId": planned.history_id,
        "syncType": context.key.sync_type,
        "entityType": entity.name(),
        "status": tally.status(),
        "dryRun": options.dry_run,
        "include": planned.include,
        "created": tally.created,
        "updated": tally.updated,
        "deleted": tally.deleted,
        "failed": tally.failed,
        "unequal": tally.unequal,
        "kept": tally.kept,
        "errors": fitting(tally.shown.into_iter()),
        "warnings": fitting(tally.warnings.into_iter()),
        "durationMs": duration,
    });
    Outcome { result, count, ended }
}
