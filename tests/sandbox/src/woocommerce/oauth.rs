//! OAuth 1.0a with one leg, as WooCommerce checks it on plain http.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::prelude::{Engine, BASE64_STANDARD};
use ring::hmac;

use super::config::Key;
use super::errors::ApiError;
use crate::core::http::{encode, Request};

/// How far a timestamp may be off, either way.
const WINDOW: i64 = 15 * 60;
const NEEDED: [&str; 5] = [
    "oauth_consumer_key",
    "oauth_timestamp",
    "oauth_nonce",
    "oauth_signature",
    "oauth_signature_method",
];

/// Nonces seen, with their timestamps.
#[derive(Default)]
pub struct Nonces(Mutex<HashMap<String, i64>>);

impl Nonces {
    /// Remembers a nonce; false when it was used before.
    fn take(&self, key: &str, nonce: &str, at: i64, now: i64) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() > 100_000 {
            all.retain(|_, t| *t >= now - WINDOW);
        }
        all.insert(format!("{key} {nonce}"), at).is_none()
    }
}

/// The key a request is signed with; `None` when it is not signed at all.
pub fn check<'k>(
    request: &Request,
    keys: &'k [Key],
    nonces: &Nonces,
    now: i64,
) -> Result<Option<&'k Key>, ApiError> {
    let params = parameters(request);
    let get = |name: &str| {
        params
            .iter()
            .find(|(k, _)| k == name)
            .map_or("", |(_, v)| v.as_str())
    };
    let missing: Vec<_> = NEEDED.into_iter().filter(|n| get(n).is_empty()).collect();
    if missing.len() == NEEDED.len() {
        return Ok(None);
    }
    if !missing.is_empty() {
        let plural = if missing.len() > 1 { "s" } else { "" };
        let message = format!("Missing OAuth parameter{plural} {}", missing.join(", "));
        let code = "woocommerce_rest_authentication_missing_parameter";
        return Err(ApiError::new(401, code, &message));
    }
    let key = keys.iter().find(|k| k.key == get("oauth_consumer_key"));
    let key = key.ok_or_else(|| ApiError::authentication("Consumer key is invalid."))?;
    check_signature(request, &params, key)?;
    let at: i64 = get("oauth_timestamp").parse().unwrap_or(0);
    if (at - now).abs() > WINDOW {
        return Err(ApiError::authentication("Invalid timestamp."));
    }
    if !nonces.take(&key.key, get("oauth_nonce"), at, now) {
        let message = "Invalid nonce - nonce has already been used.";
        return Err(ApiError::authentication(message));
    }
    Ok(Some(key))
}

/// The query's parameters and those of an `Authorization: OAuth` header.
fn parameters(request: &Request) -> Vec<(String, String)> {
    let mut params = request.params();
    let header = request
        .header("authorization")
        .and_then(|v| v.strip_prefix("OAuth "));
    for part in header.into_iter().flat_map(|h| h.split(',')) {
        if let Some((k, v)) = part.trim().split_once('=') {
            let value = crate::core::http::decode(&v.trim_matches('"').replace('+', "%2B"));
            params.push((k.into(), value));
        }
    }
    params.retain(|(k, _)| k != "realm");
    params
}

fn check_signature(request: &Request, params: &[(String, String)], key: &Key) -> Result<(), ApiError> {
    let get = |name: &str| {
        params
            .iter()
            .find(|(k, _)| k == name)
            .map_or("", |(_, v)| v.as_str())
    };
    let algorithm = match get("oauth_signature_method") {
        "HMAC-SHA256" => hmac::HMAC_SHA256,
        "HMAC-SHA1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        _ => {
            let message = "Invalid signature - signature method is invalid.";
            return Err(ApiError::authentication(message));
        }
    };
    let secret = hmac::Key::new(algorithm, format!("{}&", key.secret).as_bytes());
    let expected = BASE64_STANDARD.encode(hmac::sign(&secret, base(request, params).as_bytes()));
    // A plus that nobody encoded arrives as a space.
    if get("oauth_signature").replace(' ', "+") == expected {
        return Ok(());
    }
    let message = "Invalid signature - provided signature does not match.";
    Err(ApiError::authentication(message))
}

/// The text that is signed: with the host this site answers to, not the one asked for.
fn base(request: &Request, params: &[(String, String)]) -> String {
    let signed = params.iter().filter(|(k, _)| k != "oauth_signature");
    let mut pairs: Vec<_> = signed.map(|(k, v)| (encode(k), encode(v))).collect();
    pairs.sort();
    let joined: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    // of its front page, WordPress knows the address without the slash
    let url = format!("{}{}", request.site, request.path.trim_end_matches('/'));
    format!(
        "{}&{}&{}",
        request.method.to_uppercase(),
        encode(&url),
        encode(&joined.join("&"))
    )
}
