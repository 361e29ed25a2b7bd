//! Sync lists: pages of items, their targets, what is about to be written, and how it went.

use super::run::RunKey;
use super::{counted, row, run};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use sync_engine::core::{Delivery, EntityType, ItemType};
use sync_engine::error::Result;

/// What a run is about.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// These items, active or not, in the order in which they are carried out; None: all that are active.
    pub ids: Option<Vec<String>>,
    /// What was named as well, and is no item.
    pub unknown: Vec<String>,
    pub item_type: Option<ItemType>,
    /// Only this user's; None: all.
    pub user: Option<String>,
    /// Only what was due then, and by that age.
    pub due: Option<String>,
}

/// One item of a list.
#[derive(Debug, Clone, Deserialize)]
pub struct Item {
    pub id: String,
    pub user_id: Option<String>,
    pub entity: EntityType,
    pub source_platform: String,
    pub target_platform: String,
    pub source_id: String,
    pub target_id: Option<String>,
    pub is_full: bool,
    pub is_active: bool,
    /// Only these are written; None: all.
    pub fields: Option<Vec<String>>,
    pub has_filter: bool,
    /// Of the source when it was last written.
    pub fingerprint: Option<String>,
    pub modified_at: Option<DateTime<Utc>>,
    priority: i32,
    /// As Postgres spells it: nothing is lost on the way back.
    position: String,
}

/// What is known of an item's target.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    pub id: String,
    pub target_id: Option<String>,
    /// The item itself names it.
    pub is_given: bool,
    pub creation_key: String,
    /// A creation was sent whose outcome nobody knows.
    pub is_intended: bool,
    /// The last attempt failed: it shares no request, as it may be what others would fail for.
    pub has_failed: bool,
}

/// How an item went.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub id: String,
    pub status: &'static str,
    pub error: Option<String>,
    pub target_id: Option<String>,
    pub fingerprint: Option<String>,
    pub modified_at: Option<String>,
}

/// A row of `sync_history`.
#[derive(Debug, Default, Serialize)]
pub struct History<'a> {
    pub user_id: Option<&'a str>,
    pub sync_type: &'a str,
    pub status: &'a str,
    #[serde(serialize_with = "as_counted")]
    pub items_processed: u64,
    #[serde(serialize_with = "as_counted")]
    pub items_created: u64,
    #[serde(serialize_with = "as_counted")]
    pub items_updated: u64,
    #[serde(serialize_with = "as_counted")]
    pub items_failed: u64,
    #[serde(serialize_with = "as_counted")]
    pub duration_ms: u64,
    pub metadata: Value,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands over a reference
fn as_counted<S: Serializer>(n: &u64, out: S) -> std::result::Result<S::Ok, S::Error> {
    out.serialize_i32(counted(*n))
}

/// How many items a run will find.
pub fn count(org: &str, selection: &Selection) -> Result<u64> {
    row(
        "SELECT to_json(count(*))::text FROM sync_list_page($1::uuid, $5, $2::uuid[], $3, $4::timestamptz, NULL, NULL, NULL, NULL)",
        &[
            org.into(),
            selection.ids.clone().into(),
            selection.item_type.map(ItemType::name).into(),
            selection.due.as_deref().into(),
            selection.user.as_deref().into(),
        ],
    )
}

/// Whose items alone a role may carry out: those of its user, where it was granted no more.
pub fn only_of(org: &str, role: u32, user: Option<&str>) -> Result<Option<String>> {
    let sees_all: bool = row(
        "SELECT to_json(sync_role_has($1::oid, $2::uuid, 'operate', true))::text",
        &[pgrx::pg_sys::Oid::from(role).into(), org.into()],
    )?;
    Ok((!sees_all).then(|| user.unwrap_or_default().to_owned()))
}

/// Ids that are no items of the organisation, or of that user.
pub fn unknown(org: &str, ids: &[String], user: Option<&str>) -> Result<Vec<String>> {
    row(
        "SELECT coalesce(json_agg(u.id), '[]')::text FROM unnest($2::uuid[]) AS u (id)
         WHERE NOT EXISTS (SELECT FROM sync_list l WHERE l.org_id = $1::uuid AND l.id = u.id AND ($3 IS NULL OR l.user_id = nullif($3, '')))",
        &[org.into(), ids.to_vec().into(), user.into()],
    )
}

/// Named items in the order in which they are carried out.
pub fn in_order(org: &str, ids: &[String], user: Option<&str>) -> Result<Vec<String>> {
    row(
        "SELECT coalesce(json_agg(p.id), '[]')::text
         FROM sync_list_page($1::uuid, $3, $2::uuid[], NULL, NULL, NULL, NULL, NULL, NULL) p",
        &[org.into(), ids.to_vec().into(), user.into()],
    )
}

/// The items after this one, in the order in which they are carried out.
pub fn page(org: &str, selection: &Selection, after: Option<&Item>, size: i32) -> Result<Vec<Item>> {
    row(
        "SELECT coalesce(json_agg(p), '[]')::text
         FROM sync_list_page($1::uuid, $9, $2::uuid[], $3, $4::timestamptz, $5, $6::timestamptz, $7::uuid, $8) p",
        &[
            org.into(),
            selection.ids.clone().into(),
            selection.item_type.map(ItemType::name).into(),
            selection.due.as_deref().into(),
            after.map(|item| item.priority).into(),
            after.map(|item| item.position.as_str()).into(),
            after.map(|item| item.id.as_str()).into(),
            size.into(),
            selection.user.as_deref().into(),
        ],
    )
}

/// Which of these items meet their own filters.
pub fn meeting_filters(org: &str, items: &[String]) -> Result<Vec<String>> {
    row(
        "SELECT coalesce(json_agg(f.id), '[]')::text FROM sync_list_meeting_filters($1::uuid, $2::uuid[]) f",
        &[org.into(), items.to_vec().into()],
    )
}

/// What is known of the targets of these items.
pub fn targets(org: &str, items: &[String]) -> Result<Vec<Target>> {
    row(
        "SELECT coalesce(json_agg(t), '[]')::text FROM sync_list_targets($1::uuid, $2::uuid[]) t",
        &[org.into(), items.to_vec().into()],
    )
}

/// Of these remote records, those that belong to another one, with that one's id.
pub fn parents(
    org: &str,
    connector: i32,
    entity: EntityType,
    ids: &[String],
) -> Result<Vec<(String, String)>> {
    row(
        "SELECT coalesce(json_agg(json_build_array(p.id, p.parent_id)), '[]')::text
         FROM sync_list_parents($1::uuid, $2, $3, $4) p",
        &[
            org.into(),
            connector.into(),
            (entity as i16).into(),
            ids.to_vec().into(),
        ],
    )
}

/// Local records by their ids.
pub fn local_records(
    org: &str,
    entity: EntityType,
    ids: &[String],
) -> Result<Vec<(String, Map<String, Value>)>> {
    row(
        "SELECT coalesce(json_agg(json_build_array(l.local_id, l.record)), '[]')::text
         FROM sync_list_local_records($1::uuid, $2, $3) l",
        &[org.into(), (entity as i16).into(), ids.to_vec().into()],
    )
}

/// How a record went that was written to the local relation.
#[derive(Debug, Clone, Deserialize)]
pub struct Applied {
    pub external_id: String,
    pub went: String,
    pub local_id: Option<String>,
    pub error: Option<String>,
}

/// Writes remote records to the local relation, or `only` some fields of them; `forced` even where both sides are equal.
#[allow(clippy::too_many_arguments)] // they are SQL's
pub fn apply(
    org: &str,
    connector: i32,
    entity: EntityType,
    ids: &[String],
    forced: &[String],
    only: Option<&[String]>,
    rescan: bool,
    history: &str,
) -> Result<Vec<Applied>> {
    row(
        "SELECT coalesce(json_agg(a), '[]')::text FROM sync_list_apply($1::uuid, $2, $3, $4, $5, $8, $6, $7::uuid) a",
        &[
            org.into(),
            connector.into(),
            (entity as i16).into(),
            ids.to_vec().into(),
            forced.to_vec().into(),
            rescan.into(),
            history.into(),
            only.map(<[String]>::to_vec).into(),
        ],
    )
}

/// Enters a write before it is sent.
pub fn intend(org: &str, keys: &[String], abouts: &[String]) -> Result<()> {
    run(
        "SELECT sync_list_intend($1::uuid, $2, $3)",
        &[org.into(), keys.to_vec().into(), abouts.to_vec().into()],
    )
}

/// Notes how writes ended: `state` is that of all, and each has more to tell, as JSON.
pub fn conclude(org: &str, keys: &[String], state: &str, more: &[String]) -> Result<()> {
    run(
        "SELECT sync_list_conclude($1::uuid, $2, $3, $4)",
        &[
            org.into(),
            keys.to_vec().into(),
            state.into(),
            more.to_vec().into(),
        ],
    )
}

/// Links the records that items were written to with the local rows that they come from.
pub fn link(org: &str, items: &[String], external_ids: &[String]) -> Result<()> {
    run(
        "SELECT sync_list_link($1::uuid, t.item, t.id) FROM unnest($2::uuid[], $3) t (item, id)",
        &[org.into(), items.to_vec().into(), external_ids.to_vec().into()],
    )
}

/// Notes how items went, and when they are due next.
pub fn settle(org: &str, outcomes: &[Outcome]) -> Result<()> {
    let outcomes = serde_json::to_string(outcomes).map_err(super::internal)?;
    run(
        "SELECT sync_list_settle($1::uuid, $2::jsonb)",
        &[org.into(), outcomes.into()],
    )
}

/// Makes the items due that come from the record of a webhook.
pub fn hurry(key: &RunKey, delivery: &Delivery) -> Result<()> {
    run(
        "SELECT sync_list_hurry($1::uuid, $2, $3, $4)",
        &[
            key.org.as_str().into(),
            key.sync_type.as_str().into(),
            delivery.entity.name().into(),
            delivery.external_id.as_str().into(),
        ],
    )
}

/// Begins the progress of a run.
pub fn begin_progress(key: &RunKey, entity: &str, total: u64) -> Result<()> {
    run(
        "INSERT INTO sync_progress (org_id, sync_id, entity_type, source_system, phase, total_items, initiated_by, started_at, is_run)
         VALUES ($1::uuid, $2, $3, 'lists', 'fetching', $4, $5, clock_timestamp(), true)",
        &[
            key.org.as_str().into(),
            key.sync_id.as_str().into(),
            entity.into(),
            counted(total).into(),
            key.user_id.as_deref().into(),
        ],
    )
}

/// How far a run is: items that went well, failed, and were left alone.
pub fn progress(key: &RunKey, well: u64, failed: u64, skipped: u64) -> Result<()> {
    run(
        "UPDATE sync_progress
         SET total_items = greatest(total_items, $3 + $4 + $5), processed_count = $3, failed_count = $4, skipped_count = $5,
             updated_at = clock_timestamp()
         WHERE org_id = $1::uuid AND sync_id = $2",
        &[
            key.org.as_str().into(),
            key.sync_id.as_str().into(),
            counted(well).into(),
            counted(failed).into(),
            counted(skipped).into(),
        ],
    )?;
    run(
        "UPDATE sync_run SET heartbeat_at = clock_timestamp() WHERE org_id = $1::uuid AND sync_id = $2",
        &[key.org.as_str().into(), key.sync_id.as_str().into()],
    )
}

/// Begins a history, which says partial until it is complete: so a crash needs no mending.
pub fn open_history(org: &str, entry: &History) -> Result<String> {
    let entry = serde_json::to_string(entry).map_err(super::internal)?;
    row(
        "INSERT INTO sync_history (org_id, user_id, sync_type, status, metadata)
         SELECT $1::uuid, h.user_id, h.sync_type, 'partial_success', h.metadata
         FROM jsonb_populate_record(NULL::sync_history, $2::jsonb) h
         RETURNING to_json(id)::text",
        &[org.into(), entry.into()],
    )
}

/// Completes a history.
pub fn close_history(org: &str, id: &str, entry: &History) -> Result<()> {
    let entry = serde_json::to_string(entry).map_err(super::internal)?;
    run(
        "UPDATE sync_history t
         SET status = h.status, items_processed = h.items_processed, items_created = h.items_created,
             items_updated = h.items_updated, items_failed = h.items_failed, duration_ms = h.duration_ms, metadata = h.metadata
         FROM jsonb_populate_record(NULL::sync_history, $3::jsonb) h
         WHERE t.org_id = $1::uuid AND t.id = $2::uuid",
        &[org.into(), id.into(), entry.into()],
    )
}

/// What there is to do for `sync_scheduled`, over all organisations that the role may operate on; after what an answer before
/// has told of.
pub fn due(role: u32, after: Option<&Value>) -> Result<Value> {
    row(
        "SELECT sync_due($1::oid, $2::jsonb)::text",
        &[
            pgrx::pg_sys::Oid::from(role).into(),
            after.map(Value::to_string).into(),
        ],
    )
}
