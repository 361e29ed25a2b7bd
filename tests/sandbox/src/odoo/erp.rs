//! The server: what each address answers, and what tests change behind it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::{json, Value};

use super::call;
use super::config::{Config, User, Version};
use super::data::{Data, Id};
use super::errors::Fail;
use super::mutation::Open;
use super::rpc::{json2_error, json_reply, page};
use super::schema::Model;
use crate::core::clock::Clock;
use crate::core::http::{Request, Response};
use crate::core::{Setup, System};

const NOT_FOUND: &str = "<!DOCTYPE html>\n<html>\n    <head>\n        <meta charset=\"utf-8\"/>\n        <title>Page not found</title>\n    </head>\n    <body><h1>Error 404</h1><p>We couldn't find the page you're looking for!</p></body>\n</html>\n";
const HOME: &str = "<!DOCTYPE html>\n<html>\n    <head><title>Odoo</title></head>\n    <body><h1>Odoo</h1></body>\n</html>\n";

const LOGIN: &str = "<!DOCTYPE html>\n<html>\n    <head><title>Odoo</title></head>\n    <body><form action=\"/web/login\"></form></body>\n</html>\n";

/// A simulated Odoo.
pub struct Erp {
    config: Config,
    clock: Arc<Clock>,
    data: RwLock<Data>,
    users: RwLock<Vec<User>>,
    pub(super) open: Open,
}

impl Erp {
    /// Seeds a database.
    pub fn new(config: Config, clock: Arc<Clock>) -> Self {
        Self {
            data: RwLock::new(Data::new(config.clone())),
            users: RwLock::new(config.users.clone()),
            open: Open::default(),
            config,
            clock,
        }
    }

    pub(super) fn version(&self) -> Version {
        self.config.version
    }

    pub(super) fn database(&self) -> &str {
        &self.config.database
    }

    /// Now, in microseconds.
    pub(super) fn now(&self) -> i64 {
        self.clock.now_micros()
    }

    pub(super) fn users(&self) -> Vec<User> {
        self.users.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Data> {
        self.data.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Data> {
        self.data.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn version_info(&self) -> Value {
        let number = match self.version() {
            Version::V17 => 17,
            Version::V18 => 18,
            Version::V19 => 19,
        };
        json!({
            "server_version": format!("{number}.0"),
            "server_version_info": [number, 0, 0, "final", 0, ""],
            "server_serie": format!("{number}.0"),
            "protocol_version": 1,
        })
    }

    fn model(entity: &str) -> Result<Model, String> {
        Model::parse(entity).ok_or_else(|| format!("no such model: {entity}"))
    }
}

/// Model and method in a path of JSON-2.
fn json2_route(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/json/2/")?.split_once('/')
}

impl Setup for Config {
    type System = Erp;

    fn listen(&self) -> (u16, bool) {
        (self.port, self.https)
    }

    fn build(self, clock: Arc<Clock>) -> Erp {
        Erp::new(self, clock)
    }
}

impl System for Erp {
    fn handle(&self, request: &Request) -> Response {
        let modern = self.version() == Version::V19;
        match request.path.as_str() {
            "/jsonrpc" if request.method == "POST" => self.jsonrpc(request),
            "/web/version" if modern => {
                let info = self.version_info();
                let body =
                    json!({ "version_info": info["server_version_info"], "version": info["server_version"] });
                json_reply(200, body.to_string().into_bytes())
            }
            "/web/dataset/call_kw" => {
                let fail = Fail::new("odoo.http.SessionExpiredException", "Session expired");
                self.rpc_error(&Value::Null, &fail)
            }
            "/" => page(200, HOME),
            "/web/login" => page(200, LOGIN),
            path if path.starts_with("/json/") && self.version() == Version::V18 => {
                let mut reply = page(303, "<!doctype html>\n<title>Redirecting...</title>\n");
                reply.header("Location", format!("/web/login?redirect={path}%3F"));
                reply
            }
            path => match json2_route(path).filter(|_| modern) {
                Some((model, method)) => self.json2(request, model, method),
                None => page(404, NOT_FOUND),
            },
        }
    }

    fn known_as(&self, request: &Request) -> Option<(String, String)> {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if request.path != "/jsonrpc" {
            return Some((request.path.clone(), body.to_string()));
        }
        let params = &body["params"];
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let (service, method, args) = (text(&params["service"]), text(&params["method"]), &params["args"]);
        Some(match method.as_str() {
            // Without database, user and password.
            "execute_kw" => (
                format!("/jsonrpc/{}/{}", text(&args[3]), text(&args[4])),
                format!("{} {}", args[5], args[6]),
            ),
            _ => (format!("/jsonrpc/{service}/{method}"), String::new()),
        })
    }

    fn failure(&self, request: &Request, name: &str, message: &str) -> Response {
        let fail = Fail::new(name, message);
        if request.path != "/jsonrpc" {
            return json2_error(&fail);
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        self.rpc_error(&body["id"], &fail)
    }

    fn mutate(&self, op: &Value) -> Result<Value, String> {
        let mutation = serde_json::from_value(op.clone()).map_err(|e| e.to_string())?;
        self.apply(mutation)
    }

    fn ids(&self, entity: &str) -> Result<Vec<u64>, String> {
        let model = Self::model(entity)?;
        Ok(self.read().live(model).iter().map(|id| u64::from(*id)).collect())
    }

    fn record(&self, entity: &str, id: u64) -> Result<Option<Value>, String> {
        let id = Id::try_from(id).map_err(|e| e.to_string())?;
        Ok(call::record(&self.read(), Self::model(entity)?, id))
    }

    /// Changes a user: `{"user": "apiuser", "rules": {..}, "denied": [..], "companies": [..], ..}`.
    fn configure(&self, options: &Value) -> Result<(), String> {
        let login = options["user"].as_str().ok_or("user is missing")?;
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        let user = users.iter_mut().find(|u| u.login == login);
        let user = user.ok_or_else(|| format!("no such user: {login}"))?;
        fn read<T: serde::de::DeserializeOwned>(value: &Value, into: &mut T) -> Result<(), String> {
            if !value.is_null() {
                *into = serde_json::from_value(value.clone()).map_err(|e| e.to_string())?;
            }
            Ok(())
        }
        read(&options["rules"], &mut user.rules)?;
        read(&options["denied"], &mut user.denied)?;
        read(&options["read_only"], &mut user.read_only)?;
        read(&options["companies"], &mut user.companies)?;
        read(&options["lang"], &mut user.lang)?;
        read(&options["admin"], &mut user.admin)?;
        read(&options["expired"], &mut user.expired)
    }

    fn reset(&self) {
        *self.write() = Data::new(self.config.clone());
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = self.config.users.clone();
        self.open.clear();
    }
}
