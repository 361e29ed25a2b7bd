//! `sync_apply`: the delta, written to the local relation.
//!
//! A batch is one transaction: rows, their images for undoing, the history's counts. A crash leaves what was committed
//! and a history that says partial; the next apply finds in the ledger what is still to be done. A dry run is the
//! same in a single transaction, which is rolled back: so records that only clash with one another are found too.

use super::{fitting, Context, Outcome};
use crate::store::apply::{self, Batch, Planned};
use crate::store::outcome::Ended;
use crate::store::run as runs;
use crate::worker::transaction::{closing, rolled_back, short, yielding};
use crate::worker::ApplyOptions;
use serde_json::{json, Value};
use std::time::Instant;
use sync_engine::core::EntityType;
use sync_engine::error::Result;

/// Records in a transaction.
const BATCH: i32 = 1000;
/// Failures that the reply shows; the history has all.
const SHOWN: usize = 100;

/// Deletions last: what refers to a deleted row may be gone by then.
const CLASSES: [&str; 3] = ["new", "updated", "deleted"];

/// What was done so far.
#[derive(Default)]
struct Tally {
    done: [u64; 3],
    failed: u64,
    unequal: u64,
    kept: u64,
    shown: Vec<Value>,
}

impl Tally {
    fn add(&mut self, class: usize, batch: Batch) {
        if let Some(done) = self.done.get_mut(class) {
            *done += batch.done;
        }
        self.failed += batch.failures.len() as u64;
        self.unequal += batch.unequal;
        self.kept += batch.kept;
        let room = SHOWN.saturating_sub(self.shown.len());
        self.shown.extend(batch.failures.into_iter().take(room));
    }

    fn written(&self) -> u64 {
        self.done.iter().sum()
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
        rolled_back(|| write_all(context, entity, options, &planned, &mut |body| body()))
    } else {
        write_all(context, entity, options, &planned, &mut |body| yielding(body))
    };
    let duration = started.elapsed().as_millis() as u64;
    let history = planned.history_id.as_str();
    match outcome {
        Ok(tally) => {
            let facts = json!({ "errors": tally.shown, "unequal": tally.unequal, "kept": tally.kept });
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
    options: &ApplyOptions,
    planned: &Planned,
    transaction: &mut Transaction<'_>,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let counts = [planned.new, planned.updated, planned.deleted];
    let total = counts.iter().sum();
    for (class, (name, _)) in CLASSES
        .iter()
        .zip(counts)
        .enumerate()
        .filter(|(_, (_, n))| *n > 0)
    {
        let mut after = 0;
        loop {
            let processed = tally.written() + tally.failed + tally.kept;
            let batch = transaction(&mut || {
                let preview = options.preview_id.as_deref();
                let batch = apply::batch(&context.key, entity, planned, name, after, BATCH, preview)?;
                let now = processed + batch.done + batch.failures.len() as u64 + batch.kept;
                runs::progress(&context.key, "applying", total, now, name)?;
                Ok(batch)
            })?;
            let Some(last) = batch.last else { break };
            after = last;
            tally.add(class, batch);
        }
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
    let [created, updated, deleted] = tally.done;
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
        "created": created,
        "updated": updated,
        "deleted": deleted,
        "failed": tally.failed,
        "unequal": tally.unequal,
        "kept": tally.kept,
        "errors": fitting(tally.shown.into_iter()),
        "durationMs": duration,
    });
    Outcome { result, count, ended }
}
