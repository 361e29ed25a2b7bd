//! `sync_test_connection`: what the remote is and what the key may read.

use super::pool::Pool;
use super::run::{Context, Outcome};
use crate::store::connector;
use crate::store::outcome::Ended;
use crate::store::transaction::short;
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::{Probe, Source};

pub fn run(context: &Context, pool: &mut Pool) -> Result<Outcome> {
    let (probe, memo) = pool.ask(|source: &dyn Source| Ok((source.probe()?, source.memo())))?;
    short(|| connector::mark_ok(&context.key.org, context.key.connector, &memo))?;
    let mut result = serde_json::to_value(&probe).map_err(|e| Error::new(Code::Internal, e.to_string()))?;
    if let Some(result) = result.as_object_mut() {
        result.insert("ok".to_owned(), any_readable(&probe).into());
        result.insert("syncType".to_owned(), context.key.sync_type.as_str().into());
        result.insert("kind".to_owned(), context.connector.kind.as_str().into());
    }
    Ok(Outcome {
        result,
        count: 0,
        ended: Ended::well(),
    })
}

fn any_readable(probe: &Probe) -> bool {
    probe
        .entities
        .values()
        .any(|entity| entity["readable"].as_bool() == Some(true))
}
