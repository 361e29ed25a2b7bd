//! What `sync_scheduled` asks a worker before it begins: what is due, of all organisations. And the maintenance.

use super::run::maintain;
use crate::request::Request;
use crate::store::list;
use crate::store::transaction::short;
use serde_json::Value;
use sync_engine::error::Result;

pub fn run(request: &Request, after: Option<&Value>) -> Result<Value> {
    let due = short(|| list::due(request.role, after))?;
    if after.is_some() {
        return Ok(due);
    }
    maintain();
    Ok(due)
}
