//! Connectors: look-up, storing, token bucket, health.

use super::{row, row_kept, run};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use sync_engine::core::seal::Sealed;
use sync_engine::error::{Code, Error, Result};

/// A connector as the worker needs it.
#[derive(Debug, Clone, Deserialize)]
pub struct Connector {
    pub id: String,
    pub number: i32,
    pub name: String,
    pub kind: String,
    pub base_url: String,
    pub settings: Value,
    /// Hexadecimal.
    pub credentials: String,
    pub memo: Value,
    pub is_active: bool,
}

impl Connector {
    /// Requests per second that it may be sent.
    pub fn rate(&self) -> f64 {
        const DEFAULT: f64 = 20.0;
        let set = self.settings.get("requests_per_second");
        set.and_then(Value::as_f64).unwrap_or(DEFAULT)
    }
}

/// The connector of that name; 42704 when there is none.
pub fn find(org: &str, sync_type: &str) -> Result<Connector> {
    row(
        "SELECT json_build_object('id', c.id, 'number', c.number, 'name', c.name, 'kind', c.kind, 'base_url', c.base_url,
                'settings', c.settings, 'credentials', encode(c.credentials, 'hex'), 'memo', c.memo,
                'is_active', c.is_active)::text
         FROM sync_connector_of($1::uuid, $2) c",
        &[org.into(), sync_type.into()],
    )
}

/// The organisation, once the role has been found to hold the level; else 42501 or 22023.
pub fn require(org: &str, role: u32, level: &str) -> Result<()> {
    let granted: bool = row(
        "SELECT to_json(sync_role_has($1::oid, $2::uuid, $3))::text",
        &[pgrx::pg_sys::Oid::from(role).into(), org.into(), level.into()],
    )?;
    if granted {
        return Ok(());
    }
    Err(Error::new(
        Code::NotGranted,
        format!("not granted: level \"{level}\" on this organisation"),
    )
    .hint("An administrator of the organisation grants it with sync_grant(role, org_id, level)."))
}

/// The id that a new connector of that name will have, or has: credentials are sealed for it.
pub fn id_for(org: &str, name: &str) -> Result<String> {
    row(
        "SELECT to_json(coalesce((SELECT id FROM integration_connector WHERE org_id = $1::uuid AND name = $2),
                                 gen_random_uuid()))::text",
        &[org.into(), name.into()],
    )
}

/// Stores a connector, or changes the one of that name; enters the local rows into a new one's ledger.
pub fn save(
    org: &str,
    id: &str,
    name: &str,
    kind: &str,
    base_url: &str,
    settings: &Value,
    sealed: &Sealed,
) -> Result<()> {
    run(
        "WITH saved AS (
            INSERT INTO integration_connector AS c (org_id, id, name, kind, base_url, settings, credentials)
            VALUES ($1::uuid, $2::uuid, $3, $4, $5, $6::jsonb, decode($7, 'hex'))
            ON CONFLICT (org_id, name) DO UPDATE
            SET kind = excluded.kind, base_url = excluded.base_url, settings = excluded.settings,
                credentials = excluded.credentials, memo = '{}', is_active = true, last_error = NULL,
                blocked_until = NULL, updated_at = now()
            RETURNING c.number, c.xmax = 0 AS is_new)
         SELECT sync_join_connector($1::uuid, number) FROM saved WHERE is_new",
        &[
            org.into(),
            id.into(),
            name.into(),
            kind.into(),
            base_url.into(),
            settings.to_string().into(),
            sealed.to_hex().into(),
        ],
    )
}

/// Another kind under the same name would mix two systems' ids in one ledger.
pub fn kind_of(org: &str, name: &str) -> Result<Option<String>> {
    row(
        "SELECT to_json((SELECT kind FROM integration_connector WHERE org_id = $1::uuid AND name = $2))::text",
        &[org.into(), name.into()],
    )
}

/// Notes that the remote answered, and what probing found out.
pub fn mark_ok(org: &str, number: i32, memo: &Value) -> Result<()> {
    run(
        "UPDATE integration_connector SET last_ok_at = now(), last_error = NULL, memo = $3::jsonb
         WHERE org_id = $1::uuid AND number = $2",
        &[org.into(), number.into(), memo.to_string().into()],
    )
}

/// Notes a failure; a remote that asked to wait is left alone that long, by every backend.
pub fn mark_failed(org: &str, number: i32, error: &Error) -> Result<()> {
    let pause = error
        .retry_after
        .filter(|_| error.code == Code::Throttled)
        .map(|d| d.as_secs_f64());
    run(
        "UPDATE integration_connector
         SET last_error = $3, blocked_until = coalesce(now() + make_interval(secs => $4), blocked_until)
         WHERE org_id = $1::uuid AND number = $2",
        &[
            org.into(),
            number.into(),
            error.message.as_str().into(),
            pause.into(),
        ],
    )
}

/// Answer of the token bucket.
#[derive(Debug, Deserialize)]
pub struct Lease {
    pub granted: u32,
    pub wait_ms: u64,
}

impl Lease {
    pub fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }
}

/// Takes up to `wanted` requests from the connector's token bucket.
pub fn take_tokens(org: &str, number: i32, wanted: u32, per_second: f64) -> Result<Lease> {
    row_kept(
        "SELECT row_to_json(t)::text FROM sync_take_tokens($1::uuid, $2, $3, $4) t",
        &[
            org.into(),
            number.into(),
            (wanted as i32).into(),
            per_second.into(),
        ],
    )
}
