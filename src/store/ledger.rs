//! The remote side of the ledger, page by page.

use super::{row, row_kept, run};
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
    pub(super) fn args<'a, const N: usize>(&'a self, more: [DatumWithOid<'a>; N]) -> Vec<DatumWithOid<'a>> {
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
            "SELECT sync_held_custom($1::uuid, $2, $3, $4)::text",
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
            "SELECT coalesce(json_agg(s), '[]')::text FROM sync_stale_ids($1::uuid, $2, $3, $4, $5::timestamptz[], $6, $7, $8::timestamptz) s",
            &self.args([
                ids.into(),
                modified.into(),
                lines.into(),
                named.into(),
                recent.to_rfc3339().into(),
            ]),
        )
    }

    /// How many records the ledger believes to exist: of those that belong to another one, or of those that don't.
    pub fn live_count(&self, of_children: bool) -> Result<u64> {
        row(
            "SELECT to_json(sync_live_count($1::uuid, $2, $3, $4))::text",
            &self.args([of_children.into()]),
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
        let stored: Stored = row("SELECT sync_shape($1::uuid, $2, $3)::text", &self.args([]))?;
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
