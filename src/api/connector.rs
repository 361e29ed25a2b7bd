//! Connectors: make one, test one.

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
    kind: &str,
    base_url: &str,
    credentials: JsonB,
    name: default!(Option<&str>, "NULL"),
    settings: default!(Option<JsonB>, "NULL"),
) -> pgrx::Uuid {
    let settings = settings.map_or_else(|| json!({}), |s| s.0);
    connect(kind, base_url, &credentials.0, name, &settings).unwrap_or_else(|e| raise(e))
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
fn sync_test_connection(sync_type: &str) -> JsonB {
    JsonB(worker::run(sync_type, Job::Probe).unwrap_or_else(|e| raise(e)))
}
