//! Remote systems. One trait, one HTTP client, a folder per system.
//!
//! A source never touches Postgres and keeps no state between calls: a pull is a stack of [`Task`]s,
//! each of which is one request (or a few) and may push further tasks. Whoever drives the pull
//! (`job::pull`) persists the stack as its checkpoint, so a task must be serialisable and repeatable.

pub mod address;
mod batch_size;
pub mod http;
mod in_turn;
mod json;
pub mod kind;
mod kinds;
pub mod oauth1;
mod ranges;
mod session;
pub mod settings;
pub mod stack;
pub mod webhook;

macro_rules! folders {
    ($($(#[$when:meta])* $name:ident;)+) => { $($(#[$when])* mod $name;)+ };
}

kinds::kinds!(folders);

pub use http::{HttpSettings, Meter};
pub use kind::{open, validate, ConnectorKind};

use crate::core::{nesting, EntityType, Listing, Record, Series, Stub};
use crate::error::{Code, Error, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How much of each record a task reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Whole records.
    Full,
    /// Only id and modification date.
    Ids,
}

/// Where in a listing a task reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// A window of a listing in ascending id order that starts at this offset. Neighbouring windows
    /// overlap by one record: that is how the driver proves that nothing slipped between two reads.
    /// `Offset(0)` begins a listing: the tasks for all its further windows follow from it.
    Offset(u64),
    /// The last window that was planned for a listing. Where it comes back full (the listing has grown
    /// meanwhile), all the windows after it follow from it. A window in between is an `Offset`.
    Tail(u64),
    /// A window from which others follow by the rows that come, until one of them reaches `until`: where windows turned
    /// out shorter than they were planned.
    Until { offset: u64, until: u64 },
    /// The next page of the records with `after < id <= until` (no end: whatever comes after), in ascending id
    /// order. Where it comes back full, the rest of the range follows from it. Nothing can slip between two
    /// such pages, so they need no overlap to prove it.
    Range { after: u64, until: Option<u64> },
    /// These records by id; ids that don't come back are gone (or never were), unless they are `hidden` or `unreadable`.
    /// Where [`Source::alone`] names a listing, only [`At::Alone`] proves it.
    Ids(Vec<String>),
    /// This record, by an address of its own where the remote has such. What doesn't come back is gone, with the same exceptions.
    Alone(String),
}

impl At {
    /// Whether it names records.
    pub fn is_by_id(&self) -> bool {
        matches!(self, At::Ids(_) | At::Alone(_))
    }

    /// Where a window starts; None for what is read otherwise.
    pub fn offset(&self) -> Option<u64> {
        match self {
            At::Offset(offset) | At::Tail(offset) | At::Until { offset, .. } => Some(*offset),
            At::Range { .. } | At::Ids(_) | At::Alone(_) => None,
        }
    }

    /// What tells a page from the others of its listing; None for records by id.
    pub fn position(&self) -> Option<u64> {
        match self {
            At::Range { after, .. } => Some(*after),
            other => other.offset(),
        }
    }
}

/// One unit of reading, done by one thread.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Task {
    pub list: Listing,
    pub content: Content,
    /// Only what changed after this (UTC); None: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    pub at: At,
}

impl Task {
    /// The windows that it is one of, where it is one.
    pub fn series(&self) -> Series {
        Series::new(self.list.clone(), self.since)
    }
}

/// A record that is there, and that can't be taken: the remote fails when it is to show it, or shows something that is no
/// such record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub id: String,
    /// For people, without secrets.
    pub reason: String,
}

/// What a task brought.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Whole records (`Content::Full`), in listing order.
    pub records: Vec<Record>,
    /// Bare ids (`Content::Ids`), in listing order.
    pub stubs: Vec<Stub>,
    /// How many records the remote says the whole listing (with its `since`) holds now.
    pub total: Option<u64>,
    /// For a window: rows that the remote counts and doesn't show, so that neighbours may have none in common.
    pub unshown: u64,
    /// For a window: it reached the end of the listing.
    pub end: bool,
    /// Tasks that follow from this one (further windows, the variations of a product, ...).
    pub more: Vec<Task>,
    /// External ids of records that now have no children at all (a product that is not variable):
    /// children the ledger still holds for them are gone.
    pub childless: Vec<String>,
    /// Of the ids asked for: those that exist, or can't be proven gone, but that the connector's user may not
    /// see. They are no deletions.
    pub hidden: Vec<String>,
    /// Records that were met and can't be read: no deletions either. They stay as they were.
    pub unreadable: Vec<Unreadable>,
    /// Things that whoever reads the pull's result should know.
    pub warnings: Vec<String>,
    /// The remote's clock when it answered (HTTP Date).
    pub server_time: Option<DateTime<Utc>>,
    /// HTTP requests this took, retries included.
    pub requests: u32,
    /// The remote gave up, or was overloaded, on the way: less should be asked of it at once.
    pub is_strained: bool,
}

impl Batch {
    /// Takes out the records that are nested deeper than others can read: they are unreadable.
    pub fn set_deep_aside(&mut self) {
        let is_fine = |record: &Record| nesting::depth_of(&record.data) <= nesting::DEEPEST;
        if self.records.iter().all(is_fine) {
            return;
        }
        let (fine, deep): (Vec<_>, Vec<_>) = std::mem::take(&mut self.records).into_iter().partition(is_fine);
        self.records = fine;
        self.unreadable.extend(deep.into_iter().map(|record| Unreadable {
            id: record.external_id,
            reason: format!("it is nested deeper than {} levels", nesting::DEEPEST),
        }));
    }
}

/// What kind of pass to plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// Every record.
    Full,
    /// What changed after `since`, by whatever the remote can tell.
    Since(DateTime<Utc>),
}

/// What a remote says a listing holds.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    pub total: Option<u64>,
    pub requests: u32,
}

/// How a pass begins, and what it proves.
#[derive(Debug, Clone)]
pub struct Plan {
    pub tasks: Vec<Task>,
    /// The pass reads ids of everything (in full or as stubs): a record it doesn't meet is gone.
    /// When false, the driver compares counts afterwards and sweeps ids where they differ.
    pub sweeps: bool,
    /// The listings whose totals together are this entity type (products and their variations).
    pub lists: Vec<Listing>,
    /// From one window to the next: fewer places than a window has, so that neighbours overlap. None: nothing is read in windows.
    pub stride: Option<u64>,
    /// Lists of ids prove nothing, as a plugin may keep records out of lists: so many of those that they lack are asked for
    /// alone (see [`Source::alone`]); None: what a list of ids lacks is gone.
    pub alone_at_most: Option<usize>,
    /// The remote's clock at the start: where the next incremental pass takes up.
    pub server_time: DateTime<Utc>,
    pub requests: u32,
}

/// What a remote tells of the lines of all documents of a type together, and of what its records may refer to.
#[derive(Debug, Clone)]
pub struct Lines {
    /// What to give to [`Source::lines`] the next time.
    pub seal: Value,
    /// Some are gone since the last time; of which documents shows in a sweep.
    pub lost: bool,
    pub requests: u32,
}

/// What `sync_test_connection` reports; serialised as its jsonb.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// The remote's own version, e.g. "11.0.1"; None where the key may not read it.
    pub version: Option<String>,
    /// "basic", "query", "oauth1", "json2", "jsonrpc".
    pub auth_mode: String,
    /// The remote's clock less ours, in seconds.
    pub clock_skew_seconds: i64,
    /// Round trip of the cheapest request, in milliseconds.
    pub latency_ms: u64,
    /// Per entity type: {"readable": true, "count": 497} or {"readable": false, "reason": "..."}.
    pub entities: serde_json::Map<String, serde_json::Value>,
    /// The companies whose records are read, where the remote has several: {"id": 1, "name": "..."}.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub companies: Vec<serde_json::Value>,
    /// Things an operator should know.
    pub warnings: Vec<String>,
}

/// A change of one record of a remote.
#[derive(Debug, Clone)]
pub struct Change {
    /// None: create it.
    pub external_id: Option<String>,
    /// The record that this one belongs to (the product of a variation).
    pub parent_id: Option<String>,
    /// Canonical fields as [`Source::draft`] gave them, all or some; null clears one.
    pub fields: Map<String, Value>,
}

/// What came of a change that was made.
#[derive(Debug, Clone)]
pub struct Written {
    pub external_id: String,
    /// The record as the remote holds it then, or why it could not be read.
    pub record: Result<Record>,
    /// What whoever reads the run's result should know: what was left out, what else the write did.
    pub notes: Vec<String>,
}

/// A remote system. Shared by the fetching threads of one run.
pub trait Source: Send + Sync {
    /// Finds out version, authentication mode, rights, clock and counts.
    fn probe(&self) -> Result<Probe>;
    /// How to begin a pass over `entity`. May ask the remote (totals, clock).
    fn plan(&self, entity: EntityType, pass: Pass) -> Result<Plan>;
    /// Whether the listings would show this record. By id, more comes back than they show.
    fn lists(&self, _entity: EntityType, _record: &Record) -> bool {
        true
    }
    /// The listing in which a record is asked for by its id; `parent` is the one that it belongs to (the product of a
    /// variation). Asks nobody.
    fn list_of(&self, entity: EntityType, _parent: Option<&str>) -> Listing {
        Listing::of(entity.name())
    }
    /// The name of the listings that hold what belongs to another record of the type, of all or of one; None: nothing does. Asks
    /// nobody.
    fn children(&self, _entity: EntityType) -> Option<&'static str> {
        None
    }
    /// The listing in which one id alone is the question whether that record is gone; None: what any list of ids lacks is.
    fn alone(&self, _entity: EntityType, _parent: Option<&str>) -> Option<Listing> {
        None
    }
    /// Whether rows of a listing that are counted and shown in no way are known to be no records.
    fn counts_no_records(&self, _list: &Listing) -> bool {
        true
    }
    /// Whether lines were taken off documents since the last time, of which `before` is the seal, or something is gone that
    /// records may refer to. None where that shows in the records' own dates.
    fn lines(&self, _entity: EntityType, _before: Option<&Value>) -> Result<Option<Lines>> {
        Ok(None)
    }
    /// How many records a listing holds, of which this is the first task: its answer tells, where nothing less does.
    fn count(&self, entity: EntityType, first: &Task) -> Result<Counted> {
        let Batch { total, requests, .. } = self.fetch(entity, first)?;
        Ok(Counted { total, requests })
    }
    /// Carries out one task.
    fn fetch(&self, entity: EntityType, task: &Task) -> Result<Batch>;
    /// What was found out so far (authentication mode, routes, ...), to be kept with the connector
    /// and given back to [`open`]: it saves asking again. No secrets.
    fn memo(&self) -> serde_json::Value;

    /// A record of another system as this one would hold it in place of `current` (None: as a new record): the
    /// fields that can be written, null where one has to be cleared. Asks nobody.
    fn draft(
        &self,
        entity: EntityType,
        _record: &Map<String, Value>,
        _current: Option<&Record>,
    ) -> Result<Map<String, Value>> {
        Err(read_only(entity))
    }
    /// What this system would know a record of another one by, such as its e-mail address. Two records with the same
    /// one may be one record here; one without any can't be looked for. Asks nobody.
    fn known_by(&self, _entity: EntityType, record: &Record) -> Option<String> {
        record.match_key.clone()
    }
    /// What two records can't both have here, so that they are not written at the same time. Asks nobody.
    fn exclusive(&self, entity: EntityType, record: &Record) -> Vec<String> {
        self.known_by(entity, record).into_iter().collect()
    }
    /// The records that are known by the same right now, all of them. Asked before anything is created: a creation
    /// that timed out may have happened.
    fn find(&self, entity: EntityType, _record: &Record, _meter: &Meter) -> Result<Vec<Record>> {
        Err(read_only(entity))
    }
    /// How many records can be looked for by one request, or few. Asks nobody.
    fn finds_at_once(&self, _entity: EntityType) -> usize {
        1
    }
    /// [`Source::find`] for several records: an outcome for each, in their order.
    fn find_many(&self, entity: EntityType, records: &[Record], meter: &Meter) -> Vec<Result<Vec<Record>>> {
        in_turn::in_turn(records, |record| self.find(entity, record, meter))
    }
    /// With how many others of its kind a change can be made by one request right now. Asks nobody.
    fn writes_at_once(&self, _entity: EntityType, _change: &Change) -> usize {
        1
    }
    /// [`Source::write`] for several changes, none of which is about the same record as another: an outcome for each, in
    /// their order.
    fn write_many(&self, entity: EntityType, changes: &[Change], meter: &Meter) -> Vec<Result<Written>> {
        in_turn::in_turn(changes, |change| self.write(entity, change, meter))
    }
    /// Creates or changes one record. An error with one of the codes for a broken exchange (08006, 08P01) leaves open
    /// whether it was; any other means that it wasn't.
    fn write(&self, entity: EntityType, _change: &Change, _meter: &Meter) -> Result<Written> {
        Err(read_only(entity))
    }
}

/// The error for what a system doesn't take.
pub fn read_only(entity: EntityType) -> Error {
    Error::new(
        Code::Invalid,
        format!("{} can't be written to this kind of system", entity.name()),
    )
}
