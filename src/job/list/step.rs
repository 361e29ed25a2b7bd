//! An item on its way to a connector: to be written, with what it is written over, ready, sent.

use super::read::Known;
use crate::store::list::{Item, Target};
use serde_json::{Map, Value};
use std::sync::Arc;
use sync_engine::core::Record;
use sync_engine::source::{Change, Source};

/// An item that has to be written, with its source.
#[derive(Debug, Clone)]
pub struct Write {
    pub item: Item,
    pub source: Known,
    /// Its fields; null where the source has none although it could.
    pub fields: Map<String, Value>,
}

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

/// What became of an item for the moment.
pub enum Next {
    Search(Box<Step>),
    Write(Box<Ready>),
    /// There is nothing to write.
    Settled,
    /// The time of the run doesn't suffice: it stays as it was.
    NoTime,
}

/// A write that can be sent.
pub struct Ready {
    pub sent: Sent,
    pub source: Arc<dyn Source>,
    pub change: Change,
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
