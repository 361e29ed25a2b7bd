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

/// What tells a connector's system from others.
#[derive(Debug, Deserialize)]
pub struct Known {
    /// Credentials are sealed for it.
    pub id: String,
    pub kind: String,
    /// What `source::validate` called it.
    pub system: String,
    /// It has never answered, as far as is known, and no id of its records is: a list run that was killed says nothing of
    /// what it wrote, but for what was entered before.
    pub is_untried: bool,
}

/// An id for a new connector.
pub fn new_id() -> Result<String> {
    row("SELECT to_json(gen_random_uuid())::text", &[])
}

/// The connector of that name, if there is one. It stays as it is until the transaction ends.
pub fn known(org: &str, name: &str) -> Result<Option<Known>> {
    row(
        "SELECT (SELECT row_to_json(c)::text FROM
            (SELECT i.id, i.kind, i.system,
                    i.last_ok_at IS NULL
                    AND NOT EXISTS (SELECT FROM sync_record r
                                    WHERE r.org_id = i.org_id AND r.connector = i.number AND r.external_id IS NOT NULL)
                    AND NOT EXISTS (SELECT FROM sync_idempotency_log w
                                    WHERE w.org_id = i.org_id AND i.name IN (w.result ->> 'source', w.result ->> 'target'))
                        AS is_untried
             FROM integration_connector i WHERE i.org_id = $1::uuid AND i.name = $2 FOR UPDATE) c)",
        &[org.into(), name.into()],
    )
}

/// A connector as it is stored.
pub struct Configured<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub kind: &'a str,
    pub base_url: &'a str,
    pub system: &'a str,
    pub settings: &'a Value,
    pub sealed: &'a Sealed,
}

/// Stores a connector, or changes it; enters the local rows into a new one's ledger. False where there is another one
/// of that name by now.
pub fn save(org: &str, new: &Configured) -> Result<bool> {
    #[derive(Deserialize)]
    struct Saved {
        number: i32,
        is_new: bool,
    }
    let saved: Option<Saved> = row(
        "WITH saved AS (
            INSERT INTO integration_connector AS c (org_id, id, name, kind, base_url, system, settings, credentials)
            VALUES ($1::uuid, $2::uuid, $3, $4, $5, $6, $7::jsonb, decode($8, 'hex'))
            ON CONFLICT (org_id, name) DO UPDATE
            SET base_url = excluded.base_url, system = excluded.system, settings = excluded.settings,
                credentials = excluded.credentials, memo = '{}', is_active = true, last_error = NULL,
                blocked_until = NULL, updated_at = now()
            WHERE c.id = excluded.id
            RETURNING c.number, c.xmax = 0 AS is_new)
         SELECT (SELECT row_to_json(s)::text FROM saved s)",
        &[
            org.into(),
            new.id.into(),
            new.name.into(),
            new.kind.into(),
            new.base_url.into(),
            new.system.into(),
            new.settings.to_string().into(),
            new.sealed.to_hex().into(),
        ],
    )?;
    if let Some(Saved { number, is_new: true }) = saved {
        run(
            "SELECT sync_join_connector($1::uuid, $2)",
            &[org.into(), number.into()],
        )?;
    }
    Ok(saved.is_some())
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
    /// The remote has asked for the wait.
    pub blocked: bool,
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
