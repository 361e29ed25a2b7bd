//! What a worker is asked, and what it answers.

use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use sync_engine::core::{EntityType, ItemType};
use sync_engine::error::Result;

/// What a worker is asked to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Job {
    /// What entity types the connector has: asks nobody, takes no place
    Entities,
    /// `sync_test_connection`
    Probe,
    /// `sync_pull`
    Pull { entity: EntityType, mode: Mode },
    /// `sync_ingest_webhook`; the last attempt is content with a note where others are in the way
    Webhook {
        headers: Value,
        body: String,
        is_last: bool,
    },
    /// `sync_apply`
    Apply {
        entity: EntityType,
        options: ApplyOptions,
    },
    /// `sync_undo`, of an apply or a list run
    Undo { history: String },
    /// `sync_preview`: an incremental pull, then the preview
    Preview { entity: EntityType },
    /// `sync_delta`, `sync_full`, `sync_scheduled`: of no connector alone
    List(List),
    /// What `sync_scheduled` finds to do, after what an earlier answer has told of, and with the first the maintenance: of no
    /// organisation alone, and takes no place
    Due { after: Option<Value> },
    /// `sync_maintain`: of no organisation, and takes no place
    Maintain,
}

/// Which items of the sync list are carried out, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct List {
    pub mode: ListMode,
    /// None: all that are active.
    pub ids: Option<Vec<String>>,
    pub item_type: Option<ItemType>,
    /// Nothing new is begun after that.
    pub time_limit: Option<Duration>,
}

/// What makes an item be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListMode {
    /// Its source has changed.
    Delta,
    /// The call.
    Full,
    /// It is due; then as the item's own mode says.
    Scheduled,
}

impl ListMode {
    pub const fn name(self) -> &'static str {
        match self {
            ListMode::Delta => "delta",
            ListMode::Full => "full",
            ListMode::Scheduled => "scheduled",
        }
    }
}

/// What an apply writes. None: as `sync_select` says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ApplyOptions {
    pub new: Option<bool>,
    pub updated: Option<bool>,
    pub deleted: Option<bool>,
    pub preview_id: Option<String>,
    pub allow_mass_delete: bool,
    pub allow_mass_update: bool,
    pub dry_run: bool,
}

/// How much a pull reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Incremental,
    Full,
}

/// Everything a worker needs to know of the call it works for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    pub sync_id: String,
    /// The caller's organisation as set, not yet checked: the worker checks it against the role's grants, so
    /// that the caller holds no lock on any table while it waits.
    pub org: String,
    /// Oid of the calling role.
    pub role: u32,
    /// The caller's process: what that has locked, nobody will give back while it waits.
    pub caller: i32,
    /// The app's own user id (`app.current_user_id`).
    pub user_id: Option<String>,
    pub sync_type: String,
    pub settings: Settings,
    /// When the call was made, where it had to wait for others meanwhile.
    pub waited_since: Option<String>,
    /// An earlier worker of this call has answered [`Answer::Behind`].
    pub was_behind: bool,
    pub job: Job,
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    Done(Value),
    /// Nothing was done: another run has this lock.
    Behind(i64),
}

pub type Reply = Result<Answer>;
