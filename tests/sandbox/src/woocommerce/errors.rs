//! Errors as WordPress and WooCommerce word them.

use serde_json::{json, Map, Value};

/// An error reply.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    pub status: u16,
    pub code: String,
    pub message: String,
    /// What `data` holds.
    pub data: Value,
    /// Whether the resource's methods are still announced in `Allow`.
    pub allow: bool,
}

impl ApiError {
    pub fn new(status: u16, code: &str, message: &str) -> Self {
        let data = json!({ "status": status });
        Self {
            status,
            code: code.into(),
            message: message.into(),
            data,
            allow: false,
        }
    }

    /// The body.
    pub fn body(&self) -> Value {
        json!({ "code": self.code, "message": self.message, "data": self.data })
    }

    /// The same, with `Allow`.
    pub fn with_allow(self) -> Self {
        Self { allow: true, ..self }
    }

    pub fn no_route() -> Self {
        Self::new(
            404,
            "rest_no_route",
            "No route was found matching the URL and request method.",
        )
    }

    /// Credentials that were looked at and refused.
    pub fn authentication(message: &str) -> Self {
        Self::new(401, "woocommerce_rest_authentication_error", message)
    }

    /// Nobody signed in (401) or the wrong user (403).
    pub fn forbidden(signed_in: bool, action: Action) -> Self {
        let (code, message) = match action {
            Action::List => ("view", "Sorry, you cannot list resources."),
            Action::View => ("view", "Sorry, you cannot view this resource."),
            Action::Create => ("create", "Sorry, you are not allowed to create resources."),
            Action::Edit => ("edit", "Sorry, you are not allowed to edit this resource."),
            Action::Delete => ("delete", "Sorry, you are not allowed to delete this resource."),
            Action::Batch => (
                "batch",
                "Sorry, you are not allowed to batch manipulate this resource.",
            ),
        };
        let status = if signed_in { 403 } else { 401 };
        Self::new(status, &format!("woocommerce_rest_cannot_{code}"), message)
    }

    /// Parameters that WordPress refused, each with code and message.
    pub fn invalid(found: &[Invalid]) -> Self {
        let names: Vec<_> = found.iter().map(|i| i.name).collect();
        let mut params = Map::new();
        let mut details = Map::new();
        for i in found {
            params.insert(i.name.into(), i.message.clone().into());
            let data = if i.code == "rest_invalid_type" {
                json!({ "param": i.name })
            } else {
                Value::Null
            };
            let detail = json!({ "code": i.code, "message": i.message, "data": data });
            details.insert(i.name.into(), detail);
        }
        let message = format!("Invalid parameter(s): {}", names.join(", "));
        let data = json!({ "status": 400, "params": params, "details": details });
        Self {
            data,
            ..Self::new(400, "rest_invalid_param", &message)
        }
        .with_allow()
    }
}

/// What a request does to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    List,
    View,
    Create,
    Edit,
    Delete,
    Batch,
}

/// One refused parameter.
#[derive(Debug, Clone)]
pub struct Invalid {
    pub name: &'static str,
    pub code: &'static str,
    pub message: String,
}
