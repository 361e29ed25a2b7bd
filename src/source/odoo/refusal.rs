//! What Odoo's refusals amount to. Both transports name the same Python exceptions, so the name decides;
//! messages are translated and only shown. The traceback that comes along is never looked at.

use super::api::Act;
use crate::error::{Code, Error};
use crate::source::http::Secrets;
use serde_json::Value;

/// Why a call failed, as far as a caller may act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Who we are is not accepted.
    Denied,
    /// We are known, but this we may not see.
    Forbidden,
    /// Some of the records asked for don't exist.
    Missing,
    /// The model doesn't exist: its app is not installed.
    NoModel,
    /// There is no such API at this address.
    NoApi,
    /// Somebody else has answered: a proxy, a firewall, a page of the web client.
    Stray,
    Other,
}

/// A call that failed.
#[derive(Debug)]
pub(super) struct Refusal {
    pub cause: Cause,
    pub error: Error,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal {
            cause: Cause::Other,
            error,
        }
    }
}

/// What a call was about, to tell what a refusal means.
pub(super) struct Asked<'a> {
    pub act: Act,
    pub model: &'a str,
    pub lang: &'a str,
}

impl Asked<'_> {
    /// A call of no model.
    pub const fn nothing() -> Self {
        Asked {
            act: Act::Read,
            model: "",
            lang: "",
        }
    }
}

/// The refusal in `{"name": ..., "message": ...}`; None where it is no such thing.
pub(super) fn read(json: &Value, asked: &Asked, secrets: &Secrets) -> Option<Refusal> {
    let name = json["name"].as_str()?;
    let message = json["message"].as_str().unwrap_or_default();
    let refusal = match asked.act {
        Act::Read => classify(name, message, asked),
        _ if is_busy(name) => busy(),
        _ => classify_write(name, message, asked),
    };
    let shown = secrets.message(message);
    let named_already = refusal.cause == Cause::NoModel || shown.is_empty();
    Some(match refusal.error.detail {
        None if !named_already && !is_internal(name) => Refusal {
            error: refusal.error.detail(shown),
            ..refusal
        },
        _ => refusal,
    })
}

/// What the database server says to Odoo holds host names and SQL.
fn is_internal(name: &str) -> bool {
    name.starts_with("psycopg2")
}

/// Whether an answer is a failure that passes by itself: a database or server that is too busy just now.
pub(super) fn passes(json: &Value) -> bool {
    let name = match json.get("error") {
        Some(error) => &error["data"]["name"],
        None => json.get("name").unwrap_or(&Value::Null),
    };
    is_busy(name.as_str().unwrap_or_default())
}

fn is_busy(name: &str) -> bool {
    let busy = [
        "SerializationFailure",
        "DeadlockDetected",
        "LockNotAvailable",
        "PoolError",
    ];
    name.starts_with("psycopg2.") && busy.iter().any(|end| name.ends_with(end))
}

fn classify(name: &str, message: &str, asked: &Asked) -> Refusal {
    let model = asked.model;
    match name.rsplit('.').next().unwrap_or(name) {
        "AccessDenied" | "Unauthorized" => denied(),
        "AccessError" | "Forbidden" => forbidden(model),
        "MissingError" => Refusal {
            cause: Cause::Missing,
            error: Error::new(Code::Nonsense, format!("a record of {model} is gone")).hint("Try again."),
        },
        // over JSON-2, and over JSON-RPC
        "NotFound" if message.starts_with("the model") => no_model(model),
        "UserError" if !model.is_empty() && message.contains(model) => no_model(model),
        "UserError" if message.contains(asked.lang) => Error::new(
            Code::Invalid,
            format!("Odoo doesn't know the language \"{}\"", asked.lang),
        )
        .hint("Correct lang in the connector's settings, or activate that language in Odoo.")
        .into(),
        "OperationalError" | "KeyError" if is_unknown_database(message) => Refusal {
            cause: Cause::Denied,
            error: Error::new(Code::RemoteAuth, "Odoo has no such database")
                .hint("Correct database in the credentials: the name that the database manager or your hoster shows."),
        },
        _ => failed(name),
    }
}

/// What Odoo explains has been rolled back: it wasn't done, and with the same values it would end the same.
fn classify_write(name: &str, message: &str, asked: &Asked) -> Refusal {
    match name.rsplit('.').next().unwrap_or(name) {
        "AccessDenied" | "Unauthorized" => denied(),
        "AccessError" | "Forbidden" => Refusal {
            cause: Cause::Forbidden,
            error: Error::new(
                Code::NotGranted,
                format!("Odoo forbids the connector's user to write {}", asked.model),
            )
            .hint("Give the user behind the key a group that may create and change such records."),
        },
        "MissingError" => Refusal {
            cause: Cause::Missing,
            error: Error::new(
                Code::NotFound,
                format!("Odoo has no such record of {} (any more)", asked.model),
            )
            .hint("Clear target_id to have it looked for, or created, anew."),
        },
        "OperationalError" | "KeyError" if is_unknown_database(message) => classify(name, message, asked),
        known => {
            let plain = matches!(known, "ValidationError" | "UserError" | "UnprocessableEntity");
            let which = if plain {
                String::new()
            } else {
                format!(" ({name})")
            };
            Error::new(Code::Invalid, format!("Odoo refuses the values{which}"))
                .hint("The detail, or Odoo's own log, says what of them.")
                .into()
        }
    }
}

fn busy() -> Refusal {
    Error::new(Code::Busy, "Odoo was busy with the same records")
        .hint("Try again.")
        .into()
}

fn is_unknown_database(message: &str) -> bool {
    message.contains("database") && message.contains("does not exist")
}

/// Credentials that are not accepted.
pub(super) fn denied() -> Refusal {
    Refusal {
        cause: Cause::Denied,
        error: Error::new(Code::RemoteAuth, "Odoo refuses the credentials").hint(
            "Check login and api_key, and whether the key has expired or was revoked (My Profile > Account Security); keys of Odoo Online live three months at most. The password of a user with two-factor authentication isn't taken: make a key.",
        ),
    }
}

fn forbidden(model: &str) -> Refusal {
    Refusal {
        cause: Cause::Forbidden,
        error: Error::new(Code::RemoteAuth, format!("Odoo forbids the connector's user to read {model}"))
            .hint("Give the user behind the key a group that may read it, and, where companies is set, those companies."),
    }
}

fn no_model(model: &str) -> Refusal {
    Refusal {
        cause: Cause::NoModel,
        error: Error::new(Code::Invalid, format!("Odoo has no model {model}")).hint(
            "Install the app that brings it (Sales, Purchase, Inventory), or leave this entity type out: name the others in entity_types in the connector's settings.",
        ),
    }
}

const ADDRESS_HINT: &str =
    "Check base_url, and database in the credentials; Odoo Online has an external API with custom plans only.";

/// An answer that nobody would expect of Odoo's API.
pub(super) fn elsewhere(message: String) -> Error {
    Error::new(Code::Nonsense, message).hint(ADDRESS_HINT)
}

/// Where no API answers; `tried` says what did.
pub(super) fn no_api(tried: &[String]) -> Refusal {
    Refusal {
        cause: Cause::NoApi,
        error: elsewhere("there is no Odoo API at this address".to_owned())
            .detail(format!("Tried {}.", tried.join("; "))),
    }
}

/// Where JSON-2 doesn't answer, and JSON-RPC can't be asked.
pub(super) fn no_login(tried: &[String]) -> Refusal {
    Refusal {
        cause: Cause::NoApi,
        error: Error::new(
            Code::Invalid,
            "Odoo before version 19 needs database and login in the credentials",
        )
        .detail(format!("Tried {}.", tried.join("; ")))
        .hint("On version 19 and later, a host with several databases needs database."),
    }
}

fn failed(name: &str) -> Refusal {
    let error = Error::new(Code::Nonsense, format!("Odoo failed to answer ({name})"))
        .hint("Odoo's own log says more; a customisation or a missing update of an app can be the cause.");
    // what its database says may be different in a moment
    if is_internal(name) { error } else { error.stays() }.into()
}
