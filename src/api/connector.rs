//! Connectors: make one, test one.

use super::json::Json;
use super::needed;
use crate::pg::report::raise;
use crate::pg::session;
use crate::request::Job;
use crate::settings::Settings;
use crate::store::connector as store;
use crate::vault;
use crate::{call, pg};
use pgrx::prelude::*;
use pgrx::JsonB;
use serde_json::{json, Value};
use std::time::Duration;
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::{self, ConnectorKind};

/// Longest address, and longest settings and credentials, as JSON.
const LONGEST_URL: usize = 2000;
const LONGEST_JSON: usize = 64 * 1024;

/// `sync_connect(kind, base_url, credentials, name default kind, settings, same_system) → uuid`
#[pg_extern(volatile, security_definer)]
#[search_path(pg_catalog, @extschema@, pg_temp)]
fn sync_connect(
    kind: Option<&str>,
    base_url: Option<&str>,
    credentials: Option<Json>,
    name: default!(Option<&str>, "NULL"),
    settings: default!(Option<Json>, "NULL"),
    same_system: default!(Option<bool>, "false"),
) -> pgrx::Uuid {
    // the statement may hold credentials, and stays visible until the session's next one
    pg::identity::show_as(c"SELECT sync_connect(...)");
    let asked = || {
        connect(
            needed("kind", kind)?,
            needed("base_url", base_url)?,
            &needed("credentials", credentials)?.value("the credentials")?,
            name,
            &settings.map_or_else(|| Ok(json!({})), |s| s.value("the settings"))?,
            needed("same_system", same_system)?,
        )
    };
    asked().unwrap_or_else(|e| raise(e))
}

fn connect(
    kind: &str,
    base_url: &str,
    credentials: &Value,
    name: Option<&str>,
    settings: &Value,
    same_system: bool,
) -> Result<pgrx::Uuid> {
    session::refuse_read_only()?;
    let org = session::organisation()?;
    store::require(&org, session::caller().to_u32(), "admin")?;
    let kind: ConnectorKind = kind.parse()?;
    let name = name.unwrap_or(kind.name()).trim();
    let too_long = [
        ("name", name.chars().count(), call::LONGEST_NAME),
        ("base_url", base_url.chars().count(), LONGEST_URL),
        ("settings", settings.to_string().len(), LONGEST_JSON),
        ("credentials", credentials.to_string().len(), LONGEST_JSON),
    ];
    if let Some((what, length, longest)) = too_long.into_iter().find(|(_, length, longest)| length > longest)
    {
        return Err(Error::new(Code::Invalid, format!("{what} is too long"))
            .detail(format!("It has {length} characters; {longest} are the most.")));
    }
    if name.is_empty() {
        return Err(Error::new(Code::Invalid, "a connector's name can't be empty"));
    }
    if name.eq_ignore_ascii_case("local") {
        return Err(Error::new(Code::Invalid, "a connector can't be called \"local\"")
            .hint("Sync lists mean this database by that. Give it another name."));
    }
    let settings_now = Settings::current();
    let credentials = vault::credentials(credentials, &settings_now, &org)?;
    let system = source::validate(
        kind,
        base_url,
        settings,
        &credentials,
        &settings_now.allowed_hosts,
    )?;
    check_timeout(settings, settings_now.max_timeout)?;
    let known = store::known(&org, name)?;
    if let Some(known) = &known {
        is_the_same(name, known, kind, &system, same_system)?;
    }
    let id = known.map_or_else(store::new_id, |known| Ok(known.id))?;
    let key = vault::seal_key(&settings_now.key_file)?;
    let sealed = key.seal(&vault::owner(&org, &id), credentials.to_string().as_bytes())?;
    let configured = store::Configured {
        id: &id,
        name,
        kind: kind.name(),
        base_url: base_url.trim(),
        system: &system,
        settings,
        sealed: &sealed,
    };
    if !store::save(&org, &configured)? {
        return Err(Error::new(
            Code::Moved,
            format!("another session makes or changes connector \"{name}\""),
        )
        .hint("Call sync_connect again."));
    }
    let id = uuid::Uuid::parse_str(&id).map_err(|e| Error::new(Code::Internal, e.to_string()))?;
    Ok(pgrx::Uuid::from_bytes(id.into_bytes()))
}

/// What holds a worker for long keeps it from others.
fn check_timeout(settings: &Value, longest: Duration) -> Result<()> {
    let asked = settings
        .get("timeout")
        .and_then(Value::as_f64)
        .unwrap_or_default();
    if asked <= longest.as_secs_f64() {
        return Ok(());
    }
    let message = format!("setting \"timeout\" may be {} s at most", longest.as_secs());
    Err(Error::new(Code::Invalid, message).hint("A superuser sets that by sync_ext.max_timeout."))
}

/// Refuses to point a connector at another system: the ids of two would mix in one ledger, and items of sync lists be
/// written over records of the other's.
fn is_the_same(
    name: &str,
    known: &store::Known,
    kind: ConnectorKind,
    system: &str,
    same_system: bool,
) -> Result<()> {
    const HINT: &str = "Give the new one another name, or call sync_disconnect first.";
    if known.kind != kind.name() {
        let message = format!("connector \"{name}\" is of kind \"{}\"", known.kind);
        return Err(Error::new(Code::Invalid, message).hint(HINT));
    }
    if known.system != system && !known.is_untried && !same_system {
        let message = format!("connector \"{name}\" is that of another system");
        return Err(Error::new(Code::Invalid, message)
            .detail(format!("It is {}, not {system}.", known.system))
            .hint(format!(
                "{HINT} Where the same system has moved, pass same_system => true."
            )));
    }
    Ok(())
}

/// `sync_test_connection(sync_type) → jsonb`
#[pg_extern(volatile)]
fn sync_test_connection(sync_type: Option<&str>) -> JsonB {
    let asked = needed("sync_type", sync_type).and_then(|sync_type| call::run(sync_type, Job::Probe));
    JsonB(asked.unwrap_or_else(|e| raise(e)))
}
