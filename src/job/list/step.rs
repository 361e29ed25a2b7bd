//! An item on its way to a connector: to be written, with what it is written over, ready, sent.

use super::read::Known;
use crate::store::list::{Item, Target};
use serde_json::{Map, Value};
use sync_engine::core::{EntityType, Record};
use sync_engine::source::Change;

/// An item that has to be written, with its source.
#[derive(Debug, Clone)]
pub struct Write {
    pub item: Item,
    pub source: Known,
    /// Its fields; null where the source has none although it could.
    pub fields: Map<String, Value>,
}

impl Write {
    /// Where it is written to: what goes to one place can share a request.
    pub fn place(&self) -> Place {
        (self.item.target_platform.clone(), self.item.entity)
    }
}

/// A platform and an entity type.
pub type Place = (String, EntityType);

/// A write that knows what it is written over.
#[derive(Debug)]
pub struct Step {
    pub write: Write,
    pub target: Target,
    /// None: nothing is known to be there.
    pub current: Option<Record>,
    /// It was looked for.
    pub is_searched: bool,
}

impl Step {
    /// With how many others it may share a request, of as many as can.
    pub fn at_once(&self, most: usize) -> usize {
        if self.target.has_failed {
            1
        } else {
            most
        }
    }
}

/// A write that can be sent.
#[derive(Debug)]
pub struct Ready {
    pub sent: Sent,
    pub change: Change,
    /// With how many others like it one request can make it.
    pub at_once: usize,
    /// For the log.
    pub about: Value,
}

/// A write that was sent.
#[derive(Debug)]
pub struct Sent {
    pub write: Write,
    /// Under which it was entered into the log.
    pub key: String,
    pub is_new: bool,
    /// Where the log gets lost, it is found by what it is known by (or its id), and not written twice.
    pub is_findable: bool,
}
