//! Runs: limits, progress, and how a pull is remembered. How they end is in `outcome`.

use super::{counted, internal, json, row, run, run_kept};
use crate::pg::lock::{Lock, ROOM};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use sync_engine::core::{EntityType, Listing};
use sync_engine::error::{Code, Error, Result};

/// Who runs what: the key of everything a run writes.
#[derive(Debug, Clone)]
pub struct RunKey {
    pub org: String,
    pub sync_id: String,
    pub connector: i32,
    pub sync_type: String,
    pub kind: &'static str,
    pub entity: Option<EntityType>,
    pub user_id: Option<String>,
}

impl RunKey {
    /// Is about an entity type as a whole, with progress; a webhook reads one record of it.
    pub fn is_reading(&self) -> bool {
        self.entity.is_some() && self.kind != "webhook"
    }

    /// Reads it from the remote: an apply works off what is in the ledger, and says nothing of how the last pull went.
    pub(super) fn is_pulling(&self) -> bool {
        self.is_reading() && self.kind != "apply"
    }

    pub(super) fn entity_name(&self) -> Option<&'static str> {
        self.entity.map(EntityType::name)
    }

    /// The lock that lets one run at a time work on a connector's entity type.
    pub fn lock_name(&self) -> String {
        format!(
            "sync_ext:run:{}:{}:{}",
            self.org,
            self.connector,
            self.entity_name().unwrap_or(self.kind)
        )
    }
}

/// Whether a process has the lock of that number, which stands in two halves.
pub fn is_held_by(lock: Lock, process: i32) -> Result<bool> {
    row(
        "SELECT to_json(EXISTS (
            SELECT FROM pg_locks l
            WHERE l.locktype = 'advisory' AND l.granted AND l.pid = $2 AND l.objsubid = $3
              AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
              AND (l.classid::bigint << 32) | l.objid::bigint = $1))::text",
        &[lock.number().into(), process.into(), (ROOM as i16).into()],
    )
}

/// The result of the run of this kind that ended last, if it ended well after this request was made; of a full pass, where
/// nothing less will do.
pub fn finished_since(key: &RunKey, requested_at: &str, needs_full: bool) -> Result<Option<Value>> {
    json(
        "SELECT result::text FROM sync_run
         WHERE org_id = $1::uuid AND connector = $2 AND entity_type = $3 AND kind = $4 AND status = 'done'
           AND finished_at >= $5::timestamptz AND (NOT $6 OR result ->> 'pass' = 'full')
         ORDER BY finished_at DESC LIMIT 1",
        &[
            key.org.as_str().into(),
            key.connector.into(),
            key.entity_name().into(),
            key.kind.into(),
            requested_at.into(),
            needs_full.into(),
        ],
    )
}

/// The database's clock.
pub fn now() -> Result<String> {
    row("SELECT to_json(clock_timestamp())::text", &[])
}

/// How many fresh previews the organisation began within the last minute, and in how many seconds the oldest of
/// them leaves that minute.
pub fn recent_previews(org: &str) -> Result<(i64, f64)> {
    row(
        "SELECT json_build_array(count(*), coalesce(ceil(extract(epoch FROM min(started_at) + interval '1 minute' - clock_timestamp())), 0))::text
         FROM sync_run WHERE org_id = $1::uuid AND kind = 'preview' AND started_at > clock_timestamp() - interval '1 minute'",
        &[org.into()],
    )
}

/// How many organisations found no place before this one, and may come back for it.
pub fn in_front_of(org: &str) -> Result<usize> {
    row(
        "SELECT to_json(count(*))::text FROM sync_waiting w
         WHERE w.org_id <> $1::uuid AND w.until > clock_timestamp()
           AND NOT EXISTS (SELECT FROM sync_waiting m WHERE m.org_id = $1::uuid AND m.until > clock_timestamp()
                                                        AND (m.since, m.org_id) < (w.since, w.org_id))",
        &[org.into()],
    )
}

/// Remembers that an organisation found no place: as long as whoever is refused may take to ask again.
pub fn stand_in_line(org: &str) -> Result<()> {
    run(
        "INSERT INTO sync_waiting AS w (org_id, since, until)
         VALUES ($1::uuid, clock_timestamp(), clock_timestamp() + interval '30 s')
         ON CONFLICT (org_id) DO UPDATE
         SET since = CASE WHEN w.until > clock_timestamp() THEN w.since ELSE excluded.since END, until = excluded.until",
        &[org.into()],
    )
}

/// It has a place. Who didn't come back is forgotten as well.
pub fn leave_line(org: &str) -> Result<()> {
    run(
        "DELETE FROM sync_waiting WHERE org_id = $1::uuid OR until < clock_timestamp()",
        &[org.into()],
    )
}

/// Enters the run, after marking those that a crash left behind.
pub fn begin(key: &RunKey) -> Result<()> {
    run(
        "SELECT sync_note_interrupted($1::uuid)",
        &[key.org.as_str().into()],
    )?;
    run(
        "INSERT INTO sync_run (org_id, sync_id, connector, sync_type, entity_type, kind, pid, user_id, started_at)
         VALUES ($1::uuid, $2, $3, $4, $5, $6, pg_backend_pid(), $7, clock_timestamp())",
        &[
            key.org.as_str().into(),
            key.sync_id.as_str().into(),
            key.connector.into(),
            key.sync_type.as_str().into(),
            key.entity_name().into(),
            key.kind.into(),
            key.user_id.as_deref().into(),
        ],
    )?;
    if !key.is_reading() {
        return Ok(());
    }
    run(
        "INSERT INTO sync_progress (org_id, sync_id, entity_type, source_system, phase, initiated_by, started_at, is_run)
         VALUES ($1::uuid, $2, $3, $4, 'fetching', $5, clock_timestamp(), true)",
        &[
            key.org.as_str().into(),
            key.sync_id.as_str().into(),
            key.entity_name().into(),
            key.sync_type.as_str().into(),
            key.user_id.as_deref().into(),
        ],
    )
}

/// Progress of a run: the counters never exceed the total, which grows with what turns up.
pub fn progress(key: &RunKey, phase: &str, total: u64, processed: u64, item: &str) -> Result<()> {
    run(
        "UPDATE sync_progress
         SET phase = $3, total_items = greatest($4, $5, processed_count), processed_count = greatest($5, processed_count),
             current_item = $6, updated_at = clock_timestamp()
         WHERE org_id = $1::uuid AND sync_id = $2",
        &[
            key.org.as_str().into(),
            key.sync_id.as_str().into(),
            phase.into(),
            counted(total).into(),
            counted(processed).into(),
            item.into(),
        ],
    )?;
    run(
        "UPDATE sync_run SET heartbeat_at = clock_timestamp(), phase = $3 WHERE org_id = $1::uuid AND sync_id = $2",
        &[key.org.as_str().into(), key.sync_id.as_str().into(), phase.into()],
    )
}

/// Lets the next pull begin anew.
pub fn drop_checkpoint(key: &RunKey, entity: EntityType) -> Result<()> {
    run(
        "UPDATE sync_metadata SET checkpoint = NULL WHERE org_id = $1::uuid AND sync_type = $2 AND data_type = $3",
        &[
            key.org.as_str().into(),
            key.sync_type.as_str().into(),
            entity.name().into(),
        ],
    )
}

/// Rolls log partitions, forgets old runs.
pub fn maintain() -> Result<Value> {
    row("SELECT sync_keep_house()::text", &[])
}

/// Fresh statistics of the ledger after a large change: autovacuum would come a minute late, and until then plans
/// made for an empty table read it from end to end for every row of a local statement. A smaller sample than
/// autovacuum's will do until then.
pub fn analyze() -> Result<()> {
    run("SET LOCAL default_statistics_target = 30", &[])?;
    run("ANALYZE (SKIP_LOCKED) sync_record", &[])
}

/// How far pulls of an entity type came.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    pub last_sync: Option<chrono::DateTime<chrono::Utc>>,
    pub last_full: Option<chrono::DateTime<chrono::Utc>>,
    pub hidden: u64,
    pub checkpoint: Option<Value>,
    pub fingerprint_spec: Option<String>,
    pub lines: Option<Value>,
    /// Rows that the remote counts and doesn't show, by listing; one for which that isn't known is left out.
    #[serde(default)]
    pub unshown: BTreeMap<Listing, u64>,
    /// Records that the last pull could not read, by id.
    #[serde(default)]
    pub unreadable: BTreeMap<String, Unread>,
    /// Records that no listing shows, by id.
    #[serde(default)]
    pub unlisted: BTreeMap<String, Unlisted>,
}

/// A record that no listing shows, and that answered when it was asked for alone: where it should be, and when it was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unlisted {
    pub list: Listing,
    pub at: chrono::DateTime<chrono::Utc>,
}

/// A record that could not be read: in which listing, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unread {
    pub list: Listing,
    pub reason: String,
}

/// Reads the memory of an entity type and marks it as in progress. What a webhook has named since is no longer known not to
/// have changed.
pub fn recall(key: &RunKey, entity: EntityType) -> Result<Memory> {
    row(
        "INSERT INTO sync_metadata AS m (org_id, sync_type, data_type, sync_status)
         VALUES ($1::uuid, $2, $3, 'in_progress')
         ON CONFLICT (org_id, sync_type, data_type)
         DO UPDATE SET sync_status = 'in_progress', error_message = NULL, updated_at = now()
         RETURNING json_build_object('last_sync', m.last_sync_timestamp, 'last_full', m.last_full_at,
                                     'hidden', m.hidden_count, 'checkpoint', m.checkpoint, 'fingerprint_spec', m.fingerprint_spec,
                                     'lines', m.lines_seal, 'unshown', m.unshown, 'unreadable', m.unreadable,
                                     'unlisted', m.unlisted - ARRAY(
                                         SELECT d.external_id FROM sync_webhook_delivery d
                                         WHERE d.org_id = $1::uuid AND d.connector = $4 AND d.entity = $5
                                           AND d.status = 'noted'))::text",
        &[
            key.org.as_str().into(),
            key.sync_type.as_str().into(),
            entity.name().into(),
            key.connector.into(),
            (entity as i16).into(),
        ],
    )
}

/// Stores what an unfinished pull still has to do.
pub fn checkpoint(key: &RunKey, entity: EntityType, state: &impl Serialize) -> Result<()> {
    run_kept(
        "UPDATE sync_metadata SET checkpoint = $4::jsonb, updated_at = now()
         WHERE org_id = $1::uuid AND sync_type = $2 AND data_type = $3",
        &[
            key.org.as_str().into(),
            key.sync_type.as_str().into(),
            entity.name().into(),
            serde_json::to_string(state).map_err(internal)?.into(),
        ],
    )
}

/// What a complete pull leaves for the next one.
#[derive(Debug)]
pub struct Pulled<'a> {
    pub server_time: chrono::DateTime<chrono::Utc>,
    pub full: bool,
    pub hidden: u64,
    pub lines: Option<&'a Value>,
    pub unshown: &'a BTreeMap<Listing, u64>,
    pub unreadable: &'a BTreeMap<String, Unread>,
    pub unlisted: &'a BTreeMap<String, Unlisted>,
    /// Not all that the remote has could be read.
    pub is_partial: bool,
}

/// A complete pull: where the next one takes up.
pub fn remember(key: &RunKey, entity: EntityType, pulled: &Pulled) -> Result<i64> {
    row(
        "UPDATE sync_metadata m
         SET sync_status = CASE WHEN $12 THEN 'partial' ELSE 'success' END, checkpoint = NULL, error_message = NULL, last_sync_timestamp = $4::timestamptz,
             last_full_at = CASE WHEN $5 THEN $4::timestamptz ELSE last_full_at END,
             hidden_count = $8, lines_seal = $9::jsonb, unshown = $10::jsonb, unreadable = $11::jsonb, unlisted = $13::jsonb,
             last_sync_count = (SELECT sync_count(count(*)) FROM sync_record r
                                WHERE r.org_id = m.org_id AND r.connector = $6 AND r.entity = $7
                                  AND r.external_id IS NOT NULL AND r.remote_fingerprint IS NOT NULL),
             updated_at = now()
         WHERE m.org_id = $1::uuid AND m.sync_type = $2 AND m.data_type = $3
         RETURNING to_json(last_sync_count)::text",
        &[
            key.org.as_str().into(),
            key.sync_type.as_str().into(),
            entity.name().into(),
            pulled.server_time.to_rfc3339().into(),
            pulled.full.into(),
            key.connector.into(),
            (entity as i16).into(),
            counted(pulled.hidden).into(),
            pulled.lines.map(Value::to_string).into(),
            serde_json::to_string(pulled.unshown).map_err(internal)?.into(),
            serde_json::to_string(pulled.unreadable).map_err(internal)?.into(),
            pulled.is_partial.into(),
            serde_json::to_string(pulled.unlisted).map_err(internal)?.into(),
        ],
    )
}

/// Previews of this entity type are no longer what a pull would show.
pub fn drop_previews(key: &RunKey, entity: EntityType) -> Result<()> {
    run(
        "DELETE FROM sync_preview_cache WHERE org_id = $1::uuid AND sync_type = $2 AND entity_type = $3 AND preview_id IS NOT NULL",
        &[key.org.as_str().into(), key.sync_type.as_str().into(), entity.name().into()],
    )
}

/// Computes a preview and caches it.
pub fn store_preview(key: &RunKey, entity: EntityType, ttl_seconds: f64, meta: &Value) -> Result<()> {
    run(
        "SELECT sync_store_preview($1::uuid, $2, $3, $4, make_interval(secs => $5), $6::jsonb)",
        &[
            key.org.as_str().into(),
            key.sync_type.as_str().into(),
            entity.name().into(),
            key.user_id.as_deref().into(),
            ttl_seconds.into(),
            meta.to_string().into(),
        ],
    )
}

/// The local limits, as an error that says when to try again.
pub fn limit(message: String, seconds: f64) -> Error {
    Error::new(Code::LocalLimit, message).hint(format!("Try again in {} s.", seconds.max(1.0).ceil()))
}
