//! How runs end: their own row, progress, and one row of the log.

use super::run::RunKey;
use super::{counted, run, webhook};
use crate::pg::ending::Cause;
use serde_json::{json, Value};
use sync_engine::error::{Code, Error, Result};

/// Longest text in which the log tells what failed.
const LONGEST_ERROR: usize = 1000;

/// How well a run went that came to its end.
pub struct Ended {
    status: &'static str,
    failed: u64,
    error: Option<String>,
}

impl Ended {
    pub const fn well() -> Self {
        Ended {
            status: "completed",
            failed: 0,
            error: None,
        }
    }

    /// By how many of its records failed; `first` is what is told of one.
    pub fn counted(failed: u64, of: u64, first: Option<&str>) -> Self {
        if failed == 0 {
            return Ended::well();
        }
        let what = format!("{failed} of {of} records failed");
        let told = first.map_or(what.clone(), |first| format!("{what}, one of them: {first}"));
        Ended {
            status: if failed == of {
                "failed"
            } else {
                "completed_with_errors"
            },
            failed,
            error: Some(told.chars().take(LONGEST_ERROR).collect()),
        }
    }

    /// All was read, but for so many records, or for what could not be proven.
    pub fn partly(unreadable: u64) -> Self {
        let told = match unreadable {
            0 => "not everything could be proven; details have the warnings".to_owned(),
            n => format!("records that could not be read: {n}; sync_health names them"),
        };
        Ended {
            status: "completed_with_errors",
            failed: unreadable,
            error: Some(told),
        }
    }
}

/// Ends a run that came to its end: result, progress, log.
pub fn finish(key: &RunKey, ended: &Ended, result: &Value, count: u64) -> Result<()> {
    run(
        "UPDATE sync_run SET status = 'done', finished_at = clock_timestamp(), heartbeat_at = clock_timestamp(),
                phase = NULL, result = $3::jsonb
         WHERE org_id = $1::uuid AND sync_id = $2",
        &[key.org.as_str().into(), key.sync_id.as_str().into(), result.to_string().into()],
    )?;
    run(
        "UPDATE sync_progress p
         SET status = $3, phase = 'done', current_item = NULL, failed_count = n.failed,
             processed_count = p.total_items - n.failed - p.skipped_count, updated_at = clock_timestamp()
         FROM (SELECT x.id, least(greatest(x.failed_count, $4), x.total_items - x.skipped_count) AS failed
               FROM sync_progress x WHERE x.org_id = $1::uuid AND x.sync_id = $2) n
         WHERE p.org_id = $1::uuid AND p.id = n.id",
        &[
            key.org.as_str().into(),
            key.sync_id.as_str().into(),
            ended.status.into(),
            counted(ended.failed).into(),
        ],
    )?;
    if let Some(entity) = key.entity.filter(|_| key.is_pulling()) {
        webhook::settle_noted(key, entity)?;
    }
    log(key, ended.status, result, ended.error.as_deref(), count)
}

/// Ends a run badly. Written by the worker in its own transaction: the caller's rollback doesn't take it away. `cause`: nobody
/// waited for it any more, and that is why.
pub fn fail(key: &RunKey, error: &Error, cause: Option<Cause>) -> Result<()> {
    let details = json!({
        "sqlstate": error.code.sqlstate(), "message": error.message, "detail": error.detail, "hint": error.hint,
    });
    // what a pull has read stays, and the next one goes on: as after a crash
    let (status, run_status, told) = match cause {
        Some(Cause::TimedOut) => ("timeout", "interrupted", "the time of the call was over"),
        Some(Cause::Cancelled) => ("cancelled", "interrupted", "the call was cancelled"),
        None if error.code == Code::OutOfTime => ("timeout", "interrupted", error.message.as_str()),
        None if error.code == Code::Cancelled => ("cancelled", "interrupted", error.message.as_str()),
        None => ("failed", "failed", error.message.as_str()),
    };
    run(
        "UPDATE sync_run SET status = $4, finished_at = clock_timestamp(), phase = NULL, error = $3::jsonb
         WHERE org_id = $1::uuid AND sync_id = $2",
        &[
            key.org.as_str().into(),
            key.sync_id.as_str().into(),
            details.to_string().into(),
            run_status.into(),
        ],
    )?;
    run(
        "UPDATE sync_progress SET status = $3, phase = 'done', updated_at = clock_timestamp()
         WHERE org_id = $1::uuid AND sync_id = $2",
        &[
            key.org.as_str().into(),
            key.sync_id.as_str().into(),
            status.into(),
        ],
    )?;
    if let Some(entity) = key.entity.filter(|_| key.is_pulling() && status == "failed") {
        run(
            "UPDATE sync_metadata SET sync_status = 'failed', error_message = $4, updated_at = now()
             WHERE org_id = $1::uuid AND sync_type = $2 AND data_type = $3",
            &[
                key.org.as_str().into(),
                key.sync_type.as_str().into(),
                entity.name().into(),
                error.message.as_str().into(),
            ],
        )?;
    }
    log(key, status, &details, Some(told), 0)
}

fn log(key: &RunKey, status: &str, details: &Value, error: Option<&str>, count: u64) -> Result<()> {
    run(
        "INSERT INTO sync_activity_log (org_id, sync_id, entity_type, activity_type, status, details, error_message,
                                        record_count, duration_seconds, user_id)
         SELECT $1::uuid, $2, $3, $4, $5, $6::jsonb, $7, $8, extract(epoch FROM clock_timestamp() - r.started_at), $9
         FROM sync_run r WHERE r.org_id = $1::uuid AND r.sync_id = $2",
        &[
            key.org.as_str().into(),
            key.sync_id.as_str().into(),
            key.entity_name().into(),
            key.kind.into(),
            status.into(),
            details.to_string().into(),
            error.into(),
            counted(count).into(),
            key.user_id.as_deref().into(),
        ],
    )
}
