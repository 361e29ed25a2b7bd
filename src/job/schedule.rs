//! What `sync_scheduled` asks a worker before it begins: what is due, of all organisations. And the maintenance.

use crate::store::{list, run as runs};
use crate::worker::transaction::short;
use crate::worker::Request;
use serde_json::Value;
use sync_engine::error::Result;

pub fn run(request: &Request, after: Option<&Value>) -> Result<Value> {
    let due = short(|| list::due(request.role, after))?;
    if after.is_some() {
        return Ok(due);
    }
    // housekeeping that fails hinders nothing
    if let Err(error) = short(runs::maintain) {
        pgrx::warning!("sync_ext: maintenance failed: {error}");
    }
    Ok(due)
}
