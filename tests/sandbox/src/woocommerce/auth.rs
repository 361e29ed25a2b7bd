//! Who asks: Basic or keys in the query over https, OAuth over http.

use base64::prelude::{Engine, BASE64_STANDARD};

use super::config::{Key, Permission};
use super::errors::ApiError;
use super::oauth::{self, Nonces};
use crate::core::http::Request;

/// The key a request is made with; `None` when it has none (or one nobody knows, with Basic).
pub fn check<'k>(
    request: &Request,
    keys: &'k [Key],
    nonces: &Nonces,
    now: i64,
) -> Result<Option<&'k Key>, ApiError> {
    if request.tls {
        if let Some(key) = secure(request, keys)? {
            return Ok(Some(key));
        }
    }
    oauth::check(request, keys, nonces, now)
}

fn secure<'k>(request: &Request, keys: &'k [Key]) -> Result<Option<&'k Key>, ApiError> {
    let params = request.params();
    let get = |name: &str| params.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone());
    let pair = get("consumer_key")
        .zip(get("consumer_secret"))
        .or_else(|| basic(request));
    let Some((key, secret)) = pair else {
        return Ok(None);
    };
    // A key nobody knows is no error of its own: the request goes on as nobody's.
    let Some(found) = keys.iter().find(|k| k.key == key) else {
        return Ok(None);
    };
    if found.secret != secret {
        return Err(ApiError::authentication("Consumer secret is invalid."));
    }
    Ok(Some(found))
}

fn basic(request: &Request) -> Option<(String, String)> {
    let encoded = request.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    let (key, secret) = text.split_once(':')?;
    Some((key.into(), secret.into()))
}

/// Whether a key may do what a method does; its user is known by then.
pub fn permitted(key: &Key, method: &str) -> Result<(), ApiError> {
    let reads = matches!(method, "GET" | "HEAD" | "OPTIONS");
    let (ok, name) = match reads {
        true => (key.permission != Permission::Write, "read"),
        false => (key.permission != Permission::Read, "write"),
    };
    if ok {
        return Ok(());
    }
    let message = format!("The API key provided does not have {name} permissions.");
    Err(ApiError::authentication(&message))
}
