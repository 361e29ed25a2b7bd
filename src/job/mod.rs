//! Jobs of a worker, from claim to finish: one file per job.

mod apply;
mod crew;
mod list;
mod places;
mod pool;
mod preview;
mod probe;
mod pull;
mod schedule;
mod turn;
mod undo;
mod webhook;

use crate::pg::ending;
use crate::request::{Answer, Job, Mode, Request};
use crate::settings::Settings;
use crate::store::connector::{self, Connector};
use crate::store::outcome::{self, Ended};
use crate::store::run::{self as runs, RunKey};
use crate::store::transaction::{closing, guarded, short};
use crate::vault;
use pool::Pool;
use serde_json::Value;
use sync_engine::core::seal::Sealed;
use sync_engine::core::{Backoff, EntityType};
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::http::Retry;
use sync_engine::source::{self, ConnectorKind};
use turn::Turn;

/// What every job works with.
struct Context<'a> {
    request: &'a Request,
    settings: &'a Settings,
    connector: Connector,
    key: RunKey,
}

impl<'a> Context<'a> {
    fn new(request: &'a Request, connector: Connector, key: RunKey) -> Self {
        Context {
            request,
            settings: &request.settings,
            connector,
            key,
        }
    }
}

/// What a job came to: its result, how many records it was about, and how well it went.
struct Outcome {
    result: Value,
    count: u64,
    ended: Ended,
}

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
        let names = connector.entity_types()?;
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

/// The local limits, then the run's own row.
fn claim(context: &Context, has_places: bool) -> Result<()> {
    let Context { settings, key, .. } = context;
    if key.kind == "preview" {
        let (recent, seconds) = short(|| runs::recent_previews(&key.org))?;
        if recent >= i64::from(settings.preview_rate) {
            let message = format!(
                "more than {} fresh previews within a minute",
                settings.preview_rate
            );
            return Err(runs::limit(message, seconds));
        }
    }
    if !has_places {
        places::take(settings, &key.org)?;
    }
    short(|| runs::begin(key))
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

/// Opens the connector; called on a helper thread, since an HTTP client starts threads of its own.
fn opener(
    org: &str,
    settings: &Settings,
    connector: &Connector,
) -> Result<impl FnOnce() -> Result<Box<dyn source::Source>> + Send + 'static + use<>> {
    let kind: ConnectorKind = connector.kind.parse()?;
    let credentials = unseal(org, settings, connector)?;
    let connector = connector.clone();
    let http = source::HttpSettings {
        allowed_hosts: settings.allowed_hosts.clone(),
        timeout: settings.http_timeout,
        max_timeout: settings.max_timeout,
        connect_timeout: settings.http_timeout.min(std::time::Duration::from_secs(10)),
        retry: Retry {
            max: settings.max_retries,
            backoff: Backoff::new(settings.retry_backoff, settings.retry_backoff_max),
            ..Retry::default()
        },
        ..source::HttpSettings::default()
    };
    Ok(move || {
        source::open(
            kind,
            &connector.base_url,
            &connector.settings,
            &credentials,
            &connector.memo,
            http,
        )
    })
}

fn unseal(org: &str, settings: &Settings, connector: &Connector) -> Result<Value> {
    let Connector { id, credentials, .. } = connector;
    let sealed = Sealed::from_hex(credentials)
        .ok_or_else(|| Error::new(Code::Internal, "the stored credentials are damaged"))?;
    let opened = vault::seal_key(&settings.key_file)?.open(&owner(org, id), &sealed)?;
    serde_json::from_slice(&opened)
        .map_err(|_| Error::new(Code::Internal, "the stored credentials are damaged"))
}

/// What credentials are bound to.
pub fn owner(org: &str, connector_id: &str) -> String {
    format!("{}/{connector_id}", org.to_ascii_lowercase())
}

/// Writes down how it ended. The log of a failure is the worker's own: no rollback of the caller takes it away.
fn close(context: &Context, outcome: Result<Outcome>) -> Result<Value> {
    let Context { key, .. } = context;
    let noted = outcome.and_then(|Outcome { result, count, ended }| {
        short(|| outcome::finish(key, &ended, &result, count))?;
        Ok(result)
    });
    match &noted {
        // nothing for a run of a moment
        Ok(_) if key.kind == "webhook" => {}
        Ok(_) => maintain(),
        // where even that fails (the extension was dropped), the first error is the one to tell
        Err(error) => drop(closing(|| {
            outcome::fail(key, error, ending::told())?;
            // what the caller or the local side did wrong says nothing about the connector
            match error.code.is_about_the_connector() {
                true => connector::mark_failed(&key.org, key.connector, error),
                false => Ok(()),
            }
        })),
    }
    noted
}

/// Housekeeping that fails is no failure of a run.
fn maintain() {
    if let Err(error) = short(runs::maintain) {
        pgrx::warning!("sync_ext: maintenance failed: {error}");
    }
}

/// Bytes that a list in a reply may have.
const ROOM: usize = 40_000;

/// As many as a worker's reply has room for.
fn fitting(all: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut room = ROOM;
    all.take_while(|value| {
        let length = value.to_string().len();
        let fits = length <= room;
        room = room.saturating_sub(length);
        fits
    })
    .collect()
}

/// The entity types that a connector is for; 22023 for another.
fn check_entity(connector: &Connector, entity: EntityType) -> Result<()> {
    let known = connector.entity_types()?;
    if known.contains(&entity) {
        return Ok(());
    }
    check_kind(connector.kind.parse()?, entity)?;
    let names: Vec<_> = known.iter().map(|e| e.name()).collect();
    let (names, entity_name, name) = (names.join(", "), entity.name(), &connector.name);
    let message = format!("connector \"{name}\" leaves {entity_name} out");
    Err(Error::new(Code::Invalid, message).hint(format!(
        "Its setting entity_types names {names}: add {entity_name} to them with sync_connect."
    )))
}

/// The entity types that systems of a kind have; 22023 for another.
fn check_kind(kind: ConnectorKind, entity: EntityType) -> Result<()> {
    let known = kind.entities();
    if known.contains(&entity) {
        return Ok(());
    }
    let names: Vec<_> = known.iter().map(|e| e.name()).collect();
    let message = format!("a connector of kind \"{}\" has no {}", kind.name(), entity.name());
    Err(Error::new(Code::Invalid, message).hint(format!("It has: {}.", names.join(", "))))
}
