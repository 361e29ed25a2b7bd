//! The remote side of the ledger, page by page, and what a sweep proves.

use super::{row, row_kept, run, run_kept};
use chrono::{DateTime, Utc};
use pgrx::datum::DatumWithOid;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::ops::AddAssign;
use sync_engine::core::{
    apply_mappings, fingerprint, match_key, Comparison, EntityType, Mapping, Record, Stub,
};
use sync_engine::error::Result;

/// One organisation's part of the ledger for one connector and entity type.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub org: String,
    pub connector: i32,
    pub entity: EntityType,
}

/// What remote records become: their mapped fields, and by what they are compared.
#[derive(Debug, Clone)]
pub struct Shape {
    pub comparison: Comparison,
    pub mappings: Vec<Mapping>,
}

/// A record as it is written.
#[derive(Debug)]
pub struct Row {
    pub external_id: String,
    pub parent_id: Option<String>,
    pub match_key: Option<String>,
    pub modified_at: Option<String>,
    pub fingerprint: String,
    pub json: String,
    /// Fields of `custom` that stay as the ledger has them.
    pub withheld: Vec<String>,
}

/// What writing records did.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Counts {
    pub inserted: u64,
    pub updated: u64,
    pub unchanged: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        self.inserted += more.inserted;
        self.updated += more.updated;
        self.unchanged += more.unchanged;
    }
}

/// What a window told of its listing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    /// It reached the end.
    pub end: bool,
    /// How many records there are in all.
    pub total: Option<u64>,
    /// Rows that are counted, and not shown.
    pub unshown: u64,
}

/// Two windows of a listing that don't overlap, or the end that was not reached (`right` is None).
#[derive(Debug, Deserialize)]
pub struct Gap {
    pub list: String,
    pub left: u64,
    pub right: Option<u64>,
    /// The place behind the last one that the window on the left stands for.
    pub reach: u64,
}

/// Where a listing that is read by key was taken to have ended, up to the next place that was read.
#[derive(Debug, Clone, Deserialize)]
pub struct End {
    pub after: u64,
    pub until: Option<u64>,
}

/// A window of which nothing proves that the next one continues it.
#[derive(Debug, Deserialize)]
pub struct Seam {
    pub position: u64,
    pub ids: Vec<String>,
}

/// A record that a sweep did not meet.
#[derive(Debug, Clone, Deserialize)]
pub struct Missing {
    pub external_id: String,
    pub parent_id: Option<String>,
    pub list: String,
}

impl Row {
    /// Mapped fields, fingerprint and JSON of a record. Pure, so that the fetching threads can do it.
    pub fn new(shape: &Shape, mut record: Record) -> Result<Self> {
        if !shape.mappings.is_empty() {
            let entity = shape.comparison.entity();
            apply_mappings(entity, &shape.mappings, &mut record.data);
            record.match_key = match_key(entity, &record.data);
        }
        Ok(Row {
            fingerprint: fingerprint(&shape.comparison, &record.data).to_string(),
            json: serde_json::to_string(&record.data).map_err(super::internal)?,
            external_id: record.external_id,
            parent_id: record.parent_id,
            match_key: record.match_key,
            modified_at: record.modified_at.map(|t| t.to_rfc3339()),
            withheld: record.withheld,
        })
    }

    /// The same with what the ledger has of the fields that were withheld.
    fn with_custom(&self, shape: &Shape, known: &Map<String, Value>) -> Result<Self> {
        let mut data: Map<String, Value> = serde_json::from_str(&self.json).map_err(super::internal)?;
        let custom = data.entry("custom").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(custom) = custom {
            for name in &self.withheld {
                if let Some(value) = known.get(name) {
                    custom.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
        let record = Record {
            external_id: self.external_id.clone(),
            parent_id: self.parent_id.clone(),
            match_key: self.match_key.clone(),
            modified_at: None,
            data,
            withheld: Vec::new(),
        };
        Ok(Row {
            modified_at: self.modified_at.clone(),
            ..Row::new(shape, record)?
        })
    }
}

impl Ledger {
    /// The arguments of a statement: `$1` to `$3` say which part of the ledger, then what else it takes.
    fn args<'a, const N: usize>(&'a self, more: [DatumWithOid<'a>; N]) -> Vec<DatumWithOid<'a>> {
        let part = [
            self.org.as_str().into(),
            self.connector.into(),
            (self.entity as i16).into(),
        ];
        part.into_iter().chain(more).collect()
    }

    /// Writes the remote side of some pages, set-based; rows that stayed as they were are not touched. Those of a first
    /// pull are not looked up first: `none_held`.
    pub fn upsert<'r>(
        &self,
        none_held: bool,
        rows: impl IntoIterator<Item = &'r Row, IntoIter: DoubleEndedIterator>,
    ) -> Result<Counts> {
        let mut seen = std::collections::HashSet::new();
        // of a record that came twice, what came last
        let mut rows: Vec<&Row> = rows
            .into_iter()
            .rev()
            .filter(|r| seen.insert(r.external_id.as_str()))
            .collect();
        rows.reverse();
        if rows.is_empty() {
            return Ok(Counts::default());
        }
        let kept = self.keep_withheld(&rows)?;
        if !kept.is_empty() {
            rows = rows
                .into_iter()
                .map(|row| kept.get(row.external_id.as_str()).unwrap_or(row))
                .collect();
        }
        let required = |field: fn(&Row) -> &str| rows.iter().map(|r| field(r)).collect::<Vec<_>>();
        let optional = |field: fn(&Row) -> Option<&str>| rows.iter().map(|r| field(r)).collect::<Vec<_>>();
        row_kept(
            "SELECT row_to_json(c)::text FROM sync_upsert_remote($1::uuid, $2, $3, $4, $5, $6, $7::uuid[], $8::timestamptz[], $9, $10) c",
            &self.args([
                required(|r| &r.external_id).into(),
                optional(|r| r.parent_id.as_deref()).into(),
                optional(|r| r.match_key.as_deref()).into(),
                required(|r| &r.fingerprint).into(),
                optional(|r| r.modified_at.as_deref()).into(),
                required(|r| &r.json).into(),
                none_held.into(),
]),
        )
    }

    /// Rows that lack something which the ledger knows, completed, by their ids.
    fn keep_withheld(&self, rows: &[&Row]) -> Result<HashMap<String, Row>> {
        let lacking: Vec<&Row> = rows
            .iter()
            .copied()
            .filter(|row| !row.withheld.is_empty())
            .collect();
        let mut kept = HashMap::new();
        if lacking.is_empty() {
            return Ok(kept);
        }
        let ids: Vec<&str> = lacking.iter().map(|row| row.external_id.as_str()).collect();
        let known: HashMap<String, Map<String, Value>> = row(
            "SELECT coalesce(json_object_agg(r.external_id, r.remote -> 'custom'), '{}')::text
             FROM unnest($4) t (id)
             CROSS JOIN LATERAL (SELECT * FROM sync_record x
                                 WHERE x.org_id = $1::uuid AND x.connector = $2 AND x.entity = $3 AND x.external_id = t.id LIMIT 1) r
             WHERE jsonb_typeof(r.remote -> 'custom') = 'object'",
            &self.args([ids.into()]),
        )?;
        let shape = self.shape()?;
        for row in lacking {
            let id = row.external_id.as_str();
            let before = known
                .get(id)
                .filter(|before| row.withheld.iter().any(|name| before.contains_key(name)));
            if let Some(before) = before {
                kept.insert(id.to_owned(), row.with_custom(&shape, before)?);
            }
        }
        Ok(kept)
    }

    /// Notes which ids a window held.
    pub fn note_window(
        &self,
        list: &str,
        position: u64,
        keyset: bool,
        told: Told,
        ids: Vec<&str>,
    ) -> Result<()> {
        run_kept(
            "INSERT INTO sync_sweep (org_id, connector, entity, list, position, keyset, is_end, total, unshown, ids)
             VALUES ($1::uuid, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (org_id, connector, entity, list, position)
             DO UPDATE SET keyset = excluded.keyset, is_end = excluded.is_end, total = excluded.total,
                           unshown = excluded.unshown, ids = excluded.ids",
            &self.args([
                list.into(),
                (position as i64).into(),
                keyset.into(),
                told.end.into(),
                told.total.map(|t| t as i64).into(),
                (told.unshown as i64).into(),
                ids.into(),
]),
        )
    }

    /// Notes records that have no children, where the ledger still holds some.
    pub fn note_childless(&self, list_prefix: &str, parents: &[String]) -> Result<()> {
        if parents.is_empty() {
            return Ok(());
        }
        run(
            "SELECT sync_sweep_childless($1::uuid, $2, $3, $4, $5)",
            &self.args([list_prefix.into(), parents.to_vec().into()]),
        )
    }

    /// Forgets what earlier passes have seen.
    pub fn clear_windows(&self) -> Result<()> {
        run(
            "DELETE FROM sync_sweep WHERE org_id = $1::uuid AND connector = $2 AND entity = $3",
            &self.args([]),
        )
    }

    /// Which of these must be read in full; those modified since `recent` in any case.
    pub fn stale(&self, stubs: &[Stub], recent: DateTime<Utc>) -> Result<Vec<String>> {
        let ids: Vec<&str> = stubs.iter().map(|s| s.external_id.as_str()).collect();
        let modified: Vec<Option<String>> = stubs
            .iter()
            .map(|s| s.modified_at.map(|t| t.to_rfc3339()))
            .collect();
        let lines: Vec<Option<i32>> = stubs
            .iter()
            .map(|s| s.lines.and_then(|lines| i32::try_from(lines).ok()))
            .collect();
        let named: Vec<Option<String>> = stubs
            .iter()
            .map(|s| {
                s.named
                    .as_ref()
                    .and_then(|named| serde_json::to_string(named).ok())
            })
            .collect();
        row_kept(
            "SELECT coalesce(json_agg(s), '[]')::text
             FROM sync_stale_ids($1::uuid, $2, $3, $4, $5::timestamptz[], $6::int[], $7, $8::timestamptz) s",
            &self.args([
                ids.into(),
                modified.into(),
                lines.into(),
                named.into(),
                recent.to_rfc3339().into(),
            ]),
        )
    }

    /// How many records of a listing the ledger believes to exist.
    pub fn live_count(&self, list: &str) -> Result<u64> {
        row(
            "SELECT to_json(sync_live_count($1::uuid, $2, $3, $4))::text",
            &self.args([list.into()]),
        )
    }

    /// Places where something may have slipped between two reads.
    pub fn gaps(&self) -> Result<Vec<Gap>> {
        row(
            "SELECT coalesce(json_agg(g), '[]')::text FROM sync_sweep_gaps($1::uuid, $2, $3) g",
            &self.args([]),
        )
    }

    /// Rows of a listing that the remote counts and doesn't show; None where the listing moved too much to tell.
    pub fn unshown(&self, list: &str, has_moved: bool) -> Result<Option<u64>> {
        row(
            "SELECT coalesce(to_json(sync_sweep_unshown($1::uuid, $2, $3, $4, $5)), 'null')::text",
            &self.args([list.into(), has_moved.into()]),
        )
    }

    /// Windows of a listing that show something, and whose last row the remote counts and doesn't show.
    pub fn seams(&self, list: &str) -> Result<Vec<Seam>> {
        row(
            "SELECT coalesce(json_agg(s), '[]')::text FROM sync_sweep_seams($1::uuid, $2, $3, $4) s
             WHERE cardinality(s.ids) > 0",
            &self.args([list.into()]),
        )
    }

    /// Whether there are such rows among what changed lately.
    pub fn has_unshown_changes(&self, list: &str) -> Result<bool> {
        row(
            "SELECT to_json(EXISTS (
                 SELECT FROM sync_sweep s
                 WHERE s.org_id = $1::uuid AND s.connector = $2 AND s.entity = $3
                   AND split_part(s.list, '@', 1) = $4 AND s.list <> $4 AND s.unshown > 0))::text",
            &self.args([list.into()]),
        )
    }

    /// How many rows of a listing the pages by key held; None where it isn't read by key.
    pub fn seen_by_key(&self, list: &str) -> Result<Option<u64>> {
        row(
            "SELECT coalesce(to_json(sum(cardinality(s.ids))), 'null')::text FROM sync_sweep s
             WHERE s.org_id = $1::uuid AND s.connector = $2 AND s.entity = $3 AND s.list = $4 AND s.keyset",
            &self.args([list.into()]),
        )
    }

    /// Where pages by key were followed by none, though there are ids between them and the next one.
    pub fn ends(&self, list: &str) -> Result<Vec<End>> {
        row(
            "SELECT coalesce(json_agg(json_build_object('after', e.after, 'until', e.until)), '[]')::text
             FROM (SELECT s.is_end, greatest(s.position, (SELECT max(i::bigint) FROM unnest(s.ids) i)) AS after,
                          lead(s.position) OVER (ORDER BY s.position) AS until
                   FROM sync_sweep s
                   WHERE s.org_id = $1::uuid AND s.connector = $2 AND s.entity = $3 AND s.list = $4 AND s.keyset) e
             WHERE e.is_end AND (e.until IS NULL OR e.after < e.until)",
            &self.args([list.into()]),
        )
    }

    /// Listings of one record's children that were read.
    pub fn child_lists(&self) -> Result<Vec<String>> {
        row(
            "SELECT coalesce(json_agg(DISTINCT list), '[]')::text FROM sync_sweep
             WHERE org_id = $1::uuid AND connector = $2 AND entity = $3 AND strpos(list, ':') > 0",
            &self.args([]),
        )
    }

    /// Records of these listings that the sweep did not meet: how many, and the first `limit`.
    pub fn missing(&self, lists: &[String], limit: i64) -> Result<Vec<Missing>> {
        row(
            "SELECT coalesce(json_agg(m), '[]')::text
             FROM (SELECT * FROM sync_missing($1::uuid, $2, $3, $4) LIMIT $5) m",
            &self.args([lists.to_vec().into(), limit.into()]),
        )
    }

    /// Marks these records as gone.
    pub fn mark_gone(&self, ids: &[String]) -> Result<u64> {
        row(
            "SELECT to_json(sync_mark_gone($1::uuid, $2, $3, $4))::text",
            &self.args([ids.to_vec().into()]),
        )
    }

    /// How records are to be shaped; `connector` keeps it until they are compared in another way.
    pub fn shape(&self) -> Result<Shape> {
        #[derive(Deserialize)]
        struct Stored {
            spec: Option<String>,
            mappings: serde_json::Value,
        }
        let stored: Stored = row(
            "SELECT json_build_object(
                 'spec', (SELECT k.spec FROM sync_comparison k WHERE k.org_id = $1::uuid AND k.connector = $2 AND k.entity = $3),
                 'mappings', sync_mappings($1::uuid, $2, $3))::text",
            &self.args([]),
        )?;
        Ok(Shape {
            comparison: match stored.spec {
                Some(spec) => spec.parse()?,
                None => Comparison::all(self.entity).clone(),
            },
            mappings: Mapping::list(self.entity, &stored.mappings)?,
        })
    }

    /// The same, which stays so until the transaction ends; waits for a change of it that is not committed yet.
    pub fn shape_held(&self) -> Result<Shape> {
        run(
            "SELECT FROM sync_comparison k WHERE k.org_id = $1::uuid AND k.connector = $2 AND k.entity = $3 FOR SHARE",
            &self.args([]),
        )?;
        self.shape()
    }

    /// Makes fingerprints anew where they were made with another version or field list.
    pub fn align_fingerprints(&self) -> Result<i64> {
        row(
            "SELECT to_json(sync_refingerprint($1::uuid, $2, $3))::text",
            &self.args([]),
        )
    }

    /// Reads the local relation anew where no trigger can follow it.
    pub fn scan_local(&self) -> Result<Option<i64>> {
        row(
            "SELECT coalesce(to_json(sync_scan_local($1::uuid, $2, $3)), 'null')::text",
            &self.args([]),
        )
    }

    /// Links what can be linked by match key.
    pub fn link(&self) -> Result<u64> {
        row(
            "SELECT to_json(sync_match($1::uuid, $2, $3))::text",
            &self.args([]),
        )
    }
}
