//! Jobs of a worker, from claim to finish: one file or folder per job, and in `run` what they share.

mod apply;
mod crew;
mod list;
mod places;
mod pool;
mod preview;
mod probe;
mod pull;
mod run;
mod schedule;
mod tokens;
mod turn;
mod undo;
mod webhook;

use crate::request::{Answer, Job, Mode, Request};
use crate::store::connector::{self, Connector};
use crate::store::run::{self as runs, RunKey};
use crate::store::transaction::{guarded, short};
use pool::Pool;
use run::{check_entity, claim, close, entity_types, opener, Context, Outcome};
use serde_json::Value;
use sync_engine::error::{Code, Error, Result};
use turn::Turn;

/// Carries out a request: rights, limits, claim, work, end. Every step is a short transaction of its own, so
/// that no HTTP request is ever made inside one.
pub fn run(request: &Request) -> Result<Answer> {
    match &request.job {
        Job::List(list) => list::run(request, list),
        Job::Due { after } => schedule::run(request, after.as_ref()).map(Answer::Done),
        Job::Undo { history } => undo::run(request, history).map(Answer::Done),
        Job::Maintain => short(runs::maintain).map(Answer::Done),
        _ => run_on_connector(request),
    }
}

fn run_on_connector(request: &Request) -> Result<Answer> {
    let connector = short(|| {
        connector::require(&request.org, request.role, "operate")?;
        connector::find(&request.org, &request.sync_type)
    })?;
    if !connector.is_active {
        return Err(Error::new(
            Code::NotReady,
            format!("connector \"{}\" is not active", connector.name),
        ));
    }
    if let Job::Entities = request.job {
        let names = entity_types(&connector)?;
        let names = names.iter().map(|entity| entity.name()).collect();
        return Ok(Answer::Done(names));
    }
    if let Job::Pull { entity, .. } | Job::Preview { entity } = request.job {
        check_entity(&connector, entity)?;
    }
    let key = key_of(request, &connector);
    if let Job::Webhook {
        headers,
        body,
        is_last,
    } = &request.job
    {
        let context = Context::new(request, connector, key);
        return webhook::run(context, headers, body, *is_last);
    }
    let has_places = match turn::take(request, &key.lock_name())? {
        Turn::Ours { has_places } => has_places,
        Turn::Behind(lock) => return Ok(Answer::Behind(lock)),
    };
    if let Some(shared) = found_meanwhile(request, &key)? {
        return Ok(Answer::Done(shared));
    }
    let context = Context::new(request, connector, key);
    claim(&context, has_places)?;
    let outcome = guarded(|| perform(&context));
    close(&context, outcome).map(Answer::Done)
}

/// What another run has found at the same records, while this call waited: it is what this one would find.
fn found_meanwhile(request: &Request, key: &RunKey) -> Result<Option<Value>> {
    let needs_full = match request.job {
        Job::Pull { mode, .. } => mode == Mode::Full,
        Job::Preview { .. } => false,
        _ => return Ok(None),
    };
    let Some(since) = &request.waited_since else {
        return Ok(None);
    };
    let mut found = short(|| runs::finished_since(key, since, needs_full))?;
    if let Some(result) = found.as_mut().and_then(Value::as_object_mut) {
        result.insert("shared".to_owned(), Value::Bool(true));
    }
    Ok(found)
}

fn key_of(request: &Request, connector: &Connector) -> RunKey {
    let (kind, entity) = match request.job {
        Job::Probe | Job::Entities => ("probe", None),
        Job::Pull { entity, .. } => ("pull", Some(entity)),
        Job::Preview { entity } => ("preview", Some(entity)),
        Job::Apply { entity, .. } => ("apply", Some(entity)),
        // which one, the body tells
        Job::Webhook { .. } => ("webhook", None),
        Job::List(_) | Job::Undo { .. } | Job::Due { .. } | Job::Maintain => ("list", None),
    };
    RunKey {
        org: request.org.clone(),
        sync_id: request.sync_id.clone(),
        connector: connector.number,
        sync_type: connector.name.clone(),
        kind,
        entity,
        user_id: request.user_id.clone(),
    }
}

fn perform(context: &Context) -> Result<Outcome> {
    if let Job::Apply { entity, options } = &context.request.job {
        return apply::run(context, *entity, options);
    }
    let mut pool = Pool::start(
        context.settings.fetch_concurrency,
        opener(&context.key.org, context.settings, &context.connector)?,
    )?;
    match context.request.job {
        Job::Probe => probe::run(context, &mut pool),
        Job::Pull { entity, mode } => pull::run(context, &mut pool, entity, mode),
        Job::Preview { entity } => preview::run(context, &mut pool, entity),
        Job::Entities
        | Job::Webhook { .. }
        | Job::Apply { .. }
        | Job::List(_)
        | Job::Undo { .. }
        | Job::Due { .. }
        | Job::Maintain => Err(Error::new(Code::Internal, "this job is not carried out here")),
    }
}
