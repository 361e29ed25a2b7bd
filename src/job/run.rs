//! What every run shares: claim, limits, opening its connector, its end.

use super::places;
use crate::pg::ending;
use crate::request::Request;
use crate::settings::Settings;
use crate::store::connector::{self, Connector};
use crate::store::outcome::{self, Ended};
use crate::store::run::{self as runs, RunKey};
use crate::store::transaction::{closing, short};
use crate::vault;
use serde_json::Value;
use sync_engine::core::seal::Sealed;
use sync_engine::core::{Backoff, EntityType};
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::http::Retry;
use sync_engine::source::{self, ConnectorKind};

/// What every job works with.
pub struct Context<'a> {
    pub request: &'a Request,
    pub settings: &'a Settings,
    pub connector: Connector,
    pub key: RunKey,
}

impl<'a> Context<'a> {
    pub fn new(request: &'a Request, connector: Connector, key: RunKey) -> Self {
        Context {
            request,
            settings: &request.settings,
            connector,
            key,
        }
    }
}

/// What a job came to: its result, how many records it was about, and how well it went.
pub struct Outcome {
    pub result: Value,
    pub count: u64,
    pub ended: Ended,
}

/// The local limits, then the run's own row.
pub fn claim(context: &Context, has_places: bool) -> Result<()> {
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

/// Opens the connector; called on a helper thread, since an HTTP client starts threads of its own.
pub fn opener(
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

pub fn unseal(org: &str, settings: &Settings, connector: &Connector) -> Result<Value> {
    let Connector { id, credentials, .. } = connector;
    let sealed = Sealed::from_hex(credentials)
        .ok_or_else(|| Error::new(Code::Internal, "the stored credentials are damaged"))?;
    let opened = vault::seal_key(&settings.key_file)?.open(&vault::owner(org, id), &sealed)?;
    serde_json::from_slice(&opened)
        .map_err(|_| Error::new(Code::Internal, "the stored credentials are damaged"))
}

/// Writes down how it ended. The log of a failure is the worker's own: no rollback of the caller takes it away.
pub fn close(context: &Context, outcome: Result<Outcome>) -> Result<Value> {
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
pub fn maintain() {
    if let Err(error) = short(runs::maintain) {
        pgrx::warning!("sync_ext: maintenance failed: {error}");
    }
}

/// Bytes that a list in a reply may have.
const ROOM: usize = 40_000;

/// As many as a worker's reply has room for.
pub fn fitting(all: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut room = ROOM;
    all.take_while(|value| {
        let length = value.to_string().len();
        let fits = length <= room;
        room = room.saturating_sub(length);
        fits
    })
    .collect()
}

/// The entity types that a connector is for.
pub fn entity_types(connector: &Connector) -> Result<Vec<EntityType>> {
    let kind: ConnectorKind = connector.kind.parse()?;
    kind.chosen(&connector.settings)
}

/// 22023 for an entity type that a connector is not for.
pub fn check_entity(connector: &Connector, entity: EntityType) -> Result<()> {
    let known = entity_types(connector)?;
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
pub fn check_kind(kind: ConnectorKind, entity: EntityType) -> Result<()> {
    let known = kind.entities();
    if known.contains(&entity) {
        return Ok(());
    }
    let names: Vec<_> = known.iter().map(|e| e.name()).collect();
    let message = format!("a connector of kind \"{}\" has no {}", kind.name(), entity.name());
    Err(Error::new(Code::Invalid, message).hint(format!("It has: {}.", names.join(", "))))
}
