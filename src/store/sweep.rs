//! What a pass over all records of an entity type has seen, window by window, and what that proves of those that it hasn't.

use super::ledger::Ledger;
use super::{row, run, run_kept};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sync_engine::core::{Listing, Series};
use sync_engine::error::Result;

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

/// Two windows that don't overlap, or the end that was not reached (`right` is None).
#[derive(Debug)]
pub struct Gap {
    pub series: Series,
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
#[derive(Debug, Clone)]
pub struct Missing {
    pub external_id: String,
    pub parent_id: Option<String>,
    /// The listing that should have shown it.
    pub list: Listing,
}

/// A listing as columns have it.
fn listing(list: String, parent: Option<String>) -> Listing {
    match parent {
        Some(parent) => Listing::children_of(list, parent),
        None => Listing::of(list),
    }
}

impl Ledger {
    /// Notes which ids a window held.
    pub fn note_window(
        &self,
        series: &Series,
        position: u64,
        keyset: bool,
        told: Told,
        ids: Vec<&str>,
    ) -> Result<()> {
        let listing = series.listing();
        run_kept(
            "SELECT sync_sweep_note($1::uuid, $2, $3, $4, $5, $6::timestamptz, $7, $8, $9, $10, $11, $12)",
            &self.args([
                listing.name().into(),
                listing.parent().into(),
                series.since().map(|since| since.to_rfc3339()).into(),
                (position as i64).into(),
                keyset.into(),
                told.end.into(),
                told.total.map(|t| t as i64).into(),
                (told.unshown as i64).into(),
                ids.into(),
            ]),
        )
    }

    /// Notes records that have no children, which listings of that name would hold, where the ledger still holds some.
    pub fn note_childless(&self, children: &str, parents: &[String]) -> Result<()> {
        if parents.is_empty() {
            return Ok(());
        }
        run(
            "SELECT sync_sweep_childless($1::uuid, $2, $3, $4, $5)",
            &self.args([children.into(), parents.to_vec().into()]),
        )
    }

    /// Forgets what earlier passes have seen.
    pub fn clear_windows(&self) -> Result<()> {
        run(
            "DELETE FROM sync_sweep WHERE org_id = $1::uuid AND connector = $2 AND entity = $3",
            &self.args([]),
        )
    }

    /// Places where something may have slipped between two reads.
    pub fn gaps(&self) -> Result<Vec<Gap>> {
        #[derive(Deserialize)]
        struct Found {
            list: String,
            parent: Option<String>,
            since: Option<DateTime<Utc>>,
            left: u64,
            right: Option<u64>,
            reach: u64,
        }
        let found: Vec<Found> = row(
            "SELECT coalesce(json_agg(g), '[]')::text FROM sync_sweep_gaps($1::uuid, $2, $3) g",
            &self.args([]),
        )?;
        let gap = |found: Found| Gap {
            series: Series::new(listing(found.list, found.parent), found.since),
            left: found.left,
            right: found.right,
            reach: found.reach,
        };
        Ok(found.into_iter().map(gap).collect())
    }

    /// Rows of a whole listing that the remote counts and doesn't show; None where it moved too much to tell.
    pub fn unshown(&self, list: &Listing, has_moved: bool) -> Result<Option<u64>> {
        row(
            "SELECT to_json(sync_sweep_unshown($1::uuid, $2, $3, $4, $5, $6))::text",
            &self.args([list.name().into(), list.parent().into(), has_moved.into()]),
        )
    }

    /// Windows of a whole listing that show something, and whose last row the remote counts and doesn't show.
    pub fn seams(&self, list: &Listing) -> Result<Vec<Seam>> {
        row(
            "SELECT coalesce(json_agg(s) FILTER (WHERE s.ids <> '{}'), '[]')::text FROM sync_sweep_seams($1::uuid, $2, $3, $4, $5) s",
            &self.args([list.name().into(), list.parent().into()]),
        )
    }

    /// Whether there are such rows among what changed in it lately.
    pub fn has_unshown_changes(&self, list: &Listing) -> Result<bool> {
        row(
            "SELECT to_json(sync_sweep_has_unshown_changes($1::uuid, $2, $3, $4, $5))::text",
            &self.args([list.name().into(), list.parent().into()]),
        )
    }

    /// How many rows of a listing the pages by key held; None where it isn't read by key.
    pub fn seen_by_key(&self, list: &Listing) -> Result<Option<u64>> {
        row(
            "SELECT to_json(sync_sweep_seen_by_key($1::uuid, $2, $3, $4, $5))::text",
            &self.args([list.name().into(), list.parent().into()]),
        )
    }

    /// Where pages by key were followed by none, though there are ids between them and the next one.
    pub fn ends(&self, list: &Listing) -> Result<Vec<End>> {
        row(
            "SELECT coalesce(json_agg(e), '[]')::text FROM sync_sweep_ends($1::uuid, $2, $3, $4, $5) e",
            &self.args([list.name().into(), list.parent().into()]),
        )
    }

    /// Listings of one record's children that were read.
    pub fn child_lists(&self) -> Result<Vec<Listing>> {
        #[derive(Deserialize)]
        struct Found {
            list: String,
            parent: Option<String>,
        }
        let found: Vec<Found> = row(
            "SELECT coalesce(json_agg(c), '[]')::text FROM sync_sweep_child_lists($1::uuid, $2, $3) c",
            &self.args([]),
        )?;
        let lists = found.into_iter().map(|found| listing(found.list, found.parent));
        Ok(lists.collect())
    }

    /// The first records that a sweep of these listings did not meet, at most so many. `own` is the name of the listing of what
    /// belongs to no other record, `children` of those of what does.
    pub fn missing(
        &self,
        own: &str,
        children: Option<&str>,
        swept: &[Listing],
        at_most: i32,
    ) -> Result<Vec<Missing>> {
        #[derive(Deserialize)]
        struct Found {
            external_id: String,
            parent_id: Option<String>,
            list: String,
            list_parent: Option<String>,
        }
        let names: Vec<&str> = swept.iter().map(Listing::name).collect();
        let parents: Vec<Option<&str>> = swept.iter().map(Listing::parent).collect();
        let found: Vec<Found> = row(
            "SELECT coalesce(json_agg(m), '[]')::text FROM sync_missing($1::uuid, $2, $3, $4, $5, $6, $7, $8) m",
            &self.args([
                own.into(),
                children.into(),
                names.into(),
                parents.into(),
                at_most.into(),
            ]),
        )?;
        let missing = |found: Found| Missing {
            external_id: found.external_id,
            parent_id: found.parent_id,
            list: listing(found.list, found.list_parent),
        };
        Ok(found.into_iter().map(missing).collect())
    }
}
