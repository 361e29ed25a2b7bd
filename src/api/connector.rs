//! Connectors: make one, test one.

use super::needed;
use crate::job;
use crate::report::raise;
use crate::settings::Settings;
use crate::store::connector as store;
use crate::worker::{self, Job};
use pgrx::prelude::*;
use pgrx::JsonB;
use serde_json::{json, Value};
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::{self, ConnectorKind};

/// `sync_connect(kind, base_url, credentials, name default kind, settings) → uuid`
#[pg_extern(volatile, security_definer)]
#[search_path(pg_catalog, @extschema@, pg_temp)]
fn sync_connect(
    kind: Option<&str>,
    base_url: Option<&str>,
    credentials: Option<JsonB>,
    name: default!(Option<&str>, "NULL"),
    settings: default!(Option<JsonB>, "NULL"),
) -> pgrx::Uuid {
    // the statement may hold credentials, and stays visible until the session's next one
    worker::identity::show_as(c"SELECT sync_connect(...)");
    let settings = settings.map_or_else(|| json!({}), |s| s.0);
    let asked = || {
        connect(
            needed("kind", kind)?,
            needed("base_url", base_url)?,
            &needed("credentials", credentials)?.0,
            name,
            &settings,
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
) -> Result<pgrx::Uuid> {
    let org = worker::organisation()?;
    store::require(&org, worker::caller().to_u32(), "admin")?;
    let kind: ConnectorKind = kind.parse()?;
    let name = name.unwrap_or(kind.name()).trim();
    if name.is_empty() {
        return Err(Error::new(Code::Invalid, "a connector's name can't be empty"));
    }
    if name.eq_ignore_ascii_case("local") {
        return Err(Error::new(Code::Invalid, "a connector can't be called \"local\"")
            .hint("Sync lists mean this database by that. Give it another name."));
    }
    if let Some(other) = store::kind_of(&org, name)?.filter(|k| k != kind.name()) {
        return Err(Error::new(
            Code::Invalid,
            format!("connector \"{name}\" is of kind \"{other}\""),
        )
        .hint("Give the new one another name, or call sync_disconnect first."));
    }
    let settings_now = Settings::current();
    source::validate(kind, base_url, settings, credentials, &settings_now.allowed_hosts)?;
    let key = job::seal_key(&settings_now.key_file)?;
    let id = store::id_for(&org, name)?;
    let sealed = key.seal(&job::owner(&org, &id), credentials.to_string().as_bytes())?;
    store::save(&org, &id, name, kind.name(), base_url.trim(), settings, &sealed)?;
    let id = uuid::Uuid::parse_str(&id).map_err(|e| Error::new(Code::Internal, e.to_string()))?;
    Ok(pgrx::Uuid::from_bytes(id.into_bytes()))
}

/// `sync_test_connection(sync_type) → jsonb`
#[pg_extern(volatile)]
fn sync_test_connection(sync_type: Option<&str>) -> JsonB {
    let asked = needed("sync_type", sync_type).and_then(|sync_type| worker::run(sync_type, Job::Probe));
    JsonB(asked.unwrap_or_else(|e| raise(e)))
}
