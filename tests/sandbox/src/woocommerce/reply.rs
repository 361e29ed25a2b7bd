//! Replies with the headers WordPress sends.

use serde_json::Value;

use super::errors::ApiError;
use crate::core::http::{Request, Response};
use crate::core::json;

const JSON: &str = "application/json; charset=UTF-8";

/// Who the reply goes to: WordPress forbids caching only for users.
#[derive(Debug, Clone, Copy)]
pub struct For<'a> {
    pub request: &'a Request,
    pub signed_in: bool,
}

impl For<'_> {
    /// A JSON reply; `allow` empty for none.
    pub fn json(&self, status: u16, body: Vec<u8>, allow: &str) -> Response {
        self.listed(status, body, allow, None, None)
    }

    /// A JSON reply with totals and links to other pages.
    pub fn listed(
        &self,
        status: u16,
        body: Vec<u8>,
        allow: &str,
        totals: Option<(usize, usize)>,
        link: Option<String>,
    ) -> Response {
        let mut r = Response::new(status, JSON, body);
        r.header("X-Robots-Tag", "noindex");
        let root = || format!("<{}/wp-json/>; rel=\"https://api.w.org/\"", self.request.site);
        r.header("Link", link.unwrap_or_else(root));
        r.header("X-Content-Type-Options", "nosniff");
        r.header(
            "Access-Control-Expose-Headers",
            "X-WP-Total, X-WP-TotalPages, Link",
        );
        if let Some((total, pages)) = totals {
            r.header("X-WP-Total", total.to_string());
            r.header("X-WP-TotalPages", pages.to_string());
        }
        if !allow.is_empty() {
            r.header("Allow", allow);
        }
        if self.signed_in {
            r.header("Expires", "Wed, 11 Jan 1984 05:00:00 GMT");
            r.header(
                "Cache-Control",
                "no-cache, must-revalidate, max-age=0, no-store, private",
            );
        } else {
            r.header("Vary", "Origin");
        }
        r
    }

    /// An error.
    pub fn error(&self, error: &ApiError, allow: &str) -> Response {
        let allow = if error.allow { allow } else { "" };
        self.json(error.status, json::bytes(&error.body()), allow)
    }

    /// Any value.
    pub fn value(&self, value: &Value, allow: &str) -> Response {
        self.json(200, json::bytes(value), allow)
    }

    /// A page of the shop itself, which no client of the API wants.
    pub fn page(&self, status: u16) -> Response {
        let title = if status == 404 {
            "Page not found &#8211; Sandbox"
        } else {
            "Sandbox"
        };
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en-US\">\n<head>\n\t<meta charset=\"UTF-8\" />\n\
             <title>{title}</title>\n</head>\n<body></body>\n</html>\n"
        );
        let mut r = Response::new(status, "text/html; charset=UTF-8", html.into_bytes());
        r.header("Expires", "Wed, 11 Jan 1984 05:00:00 GMT");
        r.header(
            "Cache-Control",
            "no-cache, must-revalidate, max-age=0, no-store, private",
        );
        r.header(
            "Link",
            format!("<{}/wp-json/>; rel=\"https://api.w.org/\"", self.request.site),
        );
        r
    }
}
