//! `sync_undo`: what one apply or list run wrote, taken back in one transaction.

use super::places;
use crate::pg::ending;
use crate::request::Request;
use crate::store::outcome::{self, Ended};
use crate::store::run::{self as runs, RunKey};
use crate::store::transaction::{closing, short, yielding};
use crate::store::{apply, connector, list};
use serde_json::Value;
use sync_engine::error::Result;

pub fn run(request: &Request, history: &str) -> Result<Value> {
    short(|| connector::require(&request.org, request.role, "operate"))?;
    places::take(&request.settings, &request.org)?;
    let key = RunKey {
        org: request.org.clone(),
        sync_id: request.sync_id.clone(),
        connector: 0,
        sync_type: "undo".to_owned(),
        kind: "undo",
        entity: None,
        user_id: request.user_id.clone(),
    };
    let only_of = short(|| list::only_of(&request.org, request.role, request.user_id.as_deref()))?;
    short(|| runs::begin(&key))?;
    match yielding(|| apply::take_back(&key, history, only_of.as_deref())) {
        Ok(result) => {
            let count = |name: &str| result[name].as_u64().unwrap_or_default();
            let (done, refused) = (count("removed") + count("restored"), count("refused"));
            let all = done + count("relinked") + refused;
            let ended = Ended::counted(refused, all, result["refusals"][0]["reason"].as_str());
            let entity = result["entityType"].as_str().and_then(|name| name.parse().ok());
            let key = RunKey { entity, ..key };
            short(|| outcome::finish(&key, &ended, &result, done))?;
            Ok(result)
        }
        Err(error) => {
            // the error is the one to tell, even where this fails too
            let _ = closing(|| outcome::fail(&key, &error, ending::told()));
            Err(error)
        }
    }
}
