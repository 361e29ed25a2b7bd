//! Exceptions as Odoo names them, and what they look like over each transport.

use serde_json::{json, Value};

use super::config::Version;
use super::schema::Model;

/// An exception.
#[derive(Debug, Clone, PartialEq)]
pub struct Fail {
    pub name: String,
    pub message: String,
    /// Of a JSON-2 reply; JSON-RPC always says 200.
    pub status: u16,
}

impl Fail {
    pub fn new(name: &str, message: impl Into<String>) -> Self {
        let status = match name.rsplit('.').next().unwrap_or(name) {
            "AccessError" | "AccessDenied" | "Forbidden" => 403,
            "MissingError" | "NotFound" => 404,
            "UserError" | "ValidationError" | "UnprocessableEntity" => 422,
            "Unauthorized" => 401,
            "BadRequest" => 400,
            _ => 500,
        };
        Self {
            name: name.into(),
            message: message.into(),
            status,
        }
    }

    pub fn value(message: impl Into<String>) -> Self {
        Self::new("builtins.ValueError", message)
    }

    pub fn kind(message: impl Into<String>) -> Self {
        Self::new("builtins.TypeError", message)
    }

    pub fn user(message: impl Into<String>) -> Self {
        Self::new("odoo.exceptions.UserError", message)
    }

    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("odoo.exceptions.ValidationError", message)
    }

    pub fn access(message: impl Into<String>) -> Self {
        Self::new("odoo.exceptions.AccessError", message)
    }

    pub fn denied() -> Self {
        Self::new("odoo.exceptions.AccessDenied", "Access Denied")
    }

    pub fn web(name: &str, message: impl Into<String>) -> Self {
        Self::new(&format!("werkzeug.exceptions.{name}"), message)
    }

    /// A field that a model doesn't have, named where fields are read.
    pub fn no_field(version: Version, model: Model, field: &str) -> Self {
        let on = if version < Version::V19 { "model " } else { "" };
        Self::value(format!("Invalid field '{field}' on {on}'{}'", model.name()))
    }

    pub fn missing(model: Model, id: u32, user: u32) -> Self {
        let message = format!(
            "Record does not exist or has been deleted.\n(Record: {}({id},), User: {user})",
            model.name()
        );
        Self::new("odoo.exceptions.MissingError", message)
    }

    fn arguments(&self) -> Value {
        if self.name.starts_with("werkzeug") {
            json!([self.message, self.status])
        } else {
            json!([self.message])
        }
    }

    /// As both transports write it: `debug` is a traceback, which is nobody's business.
    pub fn data(&self) -> Value {
        let debug = format!(
            "Traceback (most recent call last):\n  File \"odoo/http.py\", line 2298, in _serve_db\n  File \"odoo/service/model.py\", line 188, in retrying\n{}: {}\n",
            self.name, self.message
        );
        json!({
            "name": self.name,
            "message": self.message,
            "arguments": self.arguments(),
            "context": {},
            "debug": debug,
        })
    }

    /// The error of a JSON-RPC reply; its code differs by version.
    pub fn rpc(&self, version: Version) -> Value {
        let (code, message) = match (self.name.as_str(), version) {
            ("odoo.http.SessionExpiredException", _) => (100, "Odoo Session Expired"),
            (_, Version::V19) => (0, "Odoo Server Error"),
            _ => (200, "Odoo Server Error"),
        };
        json!({ "code": code, "message": message, "data": self.data() })
    }
}
