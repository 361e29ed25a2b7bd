//! The two transports: JSON-RPC, and from version 19 on JSON-2.

use serde_json::{json, Map, Value};

use super::call::{self, Call};
use super::config::{User, Version};
use super::erp::Erp;
use super::errors::Fail;
use super::schema::Model;
use super::session::Session;
use super::write::Writer;
use crate::core::http::{Request, Response};

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const NO_DATABASE: &str = "<!DOCTYPE html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>No database is selected and the requested URL was not found in the server-wide controllers.</p>\n<p>Please verify the hostname, <a href=/web/login>login</a> and try again.</p>\n\n<!-- Alternatively, use the X-Odoo-Database header. -->\n";

impl Erp {
    /// `POST /jsonrpc`.
    pub(super) fn jsonrpc(&self, request: &Request) -> Response {
        if let Some(refusal) = self.wrong_type(request, "/jsonrpc", "json") {
            return refusal;
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return page(400, "Invalid JSON data");
        };
        let Value::Object(body) = body else {
            return page(400, "Invalid JSON-RPC data");
        };
        let id = body.get("id").cloned().unwrap_or_default();
        let params = body.get("params").cloned().unwrap_or_default();
        match self.service(&params) {
            Ok(result) => {
                let mut reply = format!("{{\"jsonrpc\": \"2.0\", \"id\": {id}, \"result\": ").into_bytes();
                reply.extend_from_slice(&result);
                reply.push(b'}');
                json_reply(200, reply)
            }
            Err(fail) => self.rpc_error(&id, &fail),
        }
    }

    pub(super) fn rpc_error(&self, id: &Value, fail: &Fail) -> Response {
        let error = fail.rpc(self.version());
        let body = json!({ "jsonrpc": "2.0", "id": id, "error": error });
        json_reply(200, body.to_string().into_bytes())
    }

    fn service(&self, params: &Value) -> Result<Vec<u8>, Fail> {
        let text = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
        let args = params["args"].as_array().cloned().unwrap_or_default();
        match (text("service").as_str(), text("method").as_str()) {
            ("common", "version") => Ok(self.version_info().to_string().into_bytes()),
            ("common", "authenticate" | "login") => self.authenticate(&args),
            ("object", "execute_kw") => {
                let kwargs = args
                    .get(6)
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default();
                let positional = args.get(5).and_then(Value::as_array).cloned();
                self.execute(&args, &positional.unwrap_or_default(), kwargs)
            }
            ("object", "execute") => {
                let positional = args.get(5..).unwrap_or_default().to_vec();
                self.execute(&args, &positional, Map::new())
            }
            ("db", "list") => Ok(json!([self.database()]).to_string().into_bytes()),
            ("common" | "object" | "db", method) => Err(Fail::new(
                "builtins.Exception",
                format!("Method not found: {method}"),
            )),
            (service, _) => Err(Fail::new("builtins.KeyError", service)),
        }
    }

    fn authenticate(&self, args: &[Value]) -> Result<Vec<u8>, Fail> {
        let text = |i: usize| args.get(i).and_then(Value::as_str).unwrap_or_default();
        self.check_database(text(0))?;
        let user = self.users().into_iter().find(|u| u.login == text(1));
        let user = user.filter(|u| knows(u, text(2)));
        Ok(user
            .map_or(json!(false), |u| json!(u.id))
            .to_string()
            .into_bytes())
    }

    fn check_database(&self, name: &str) -> Result<(), Fail> {
        if name == self.database() {
            return Ok(());
        }
        let message = format!("connection to server at \"db.example\", port 5432 failed: FATAL:  database \"{name}\" does not exist\n");
        Err(Fail::new("psycopg2.OperationalError", message))
    }

    fn execute(
        &self,
        args: &[Value],
        positional: &[Value],
        kwargs: Map<String, Value>,
    ) -> Result<Vec<u8>, Fail> {
        let text = |i: usize| args.get(i).and_then(Value::as_str).unwrap_or_default();
        self.check_database(text(0))?;
        let uid = args.get(1).and_then(Value::as_u64);
        let users = self.users();
        let user = users.iter().find(|u| Some(u64::from(u.id)) == uid);
        let user = user.filter(|u| knows(u, text(2))).ok_or_else(Fail::denied)?;
        let model =
            Model::parse(text(3)).ok_or_else(|| Fail::user(format!("Object {} doesn't exist", text(3))))?;
        let name = text(4);
        private(model, name)?;
        let method = call::find(self.version(), model, name).ok_or_else(|| {
            let message = format!("The method '{}.{name}' does not exist", model.name());
            Fail::new("builtins.AttributeError", message)
        })?;
        let call = Call::positional(model, method, positional, kwargs)?;
        self.run(&call, user)
    }

    /// `/json/2/<model>/<method>`.
    pub(super) fn json2(&self, request: &Request, model: &str, method: &str) -> Response {
        let route = "/json/2/&lt;__model__&gt;/&lt;__method__&gt;";
        if request.method == "POST" {
            if let Some(refusal) = self.wrong_type(request, route, "json2") {
                return refusal;
            }
        }
        let database = request.header("x-odoo-database");
        if database.is_some_and(|d| d != self.database()) {
            return page(404, NO_DATABASE);
        }
        match self.json2_call(request, model, method) {
            Ok(result) => json_reply(200, result),
            Err(fail) => json2_error(&fail),
        }
    }

    fn json2_call(&self, request: &Request, model: &str, name: &str) -> Result<Vec<u8>, Fail> {
        let mut user = self.bearer(request)?;
        if request.method != "POST" {
            return Err(Fail::web(
                "NotFound",
                "Did you mean POST /json/2/<model>/<method>?",
            ));
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|_| {
            Fail::web("BadRequest", "could not parse the body as json: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)")
        })?;
        let mut args = body.as_object().cloned().unwrap_or_default();
        let no_model = || Fail::web("NotFound", format!("the model '{model}' does not exist"));
        let model = Model::parse(model).ok_or_else(no_model)?;
        private(model, name)?;
        let method = call::find(self.version(), model, name).ok_or_else(|| {
            Fail::web(
                "NotFound",
                format!("The method '{}.{name}' does not exist", model.name()),
            )
        })?;
        let ids = args.remove("ids");
        if ids.is_some() && method.on_model {
            let message = format!("cannot call {}.{name} with ids", model.name());
            return Err(Fail::web("UnprocessableEntity", message));
        }
        let mut call = Call::named(model, method, call::ids(&ids.unwrap_or_default()), args);
        call.always_list = true;
        call.complete().map_err(|m| Fail::web("UnprocessableEntity", m))?;
        call.understood()?;
        // Unlike JSON-RPC, this speaks the context's language and not the user's.
        let lang = call.context.get("lang").and_then(Value::as_str);
        user.lang = lang.unwrap_or("en_US").to_owned();
        self.run(&call, &user)
    }

    fn bearer(&self, request: &Request) -> Result<User, Fail> {
        let key = request.header("authorization").and_then(|v| {
            let (scheme, key) = v.split_once(' ')?;
            scheme
                .eq_ignore_ascii_case("bearer")
                .then(|| key.trim().to_owned())
        });
        let key = key.ok_or_else(|| {
            Fail::web(
                "Unauthorized",
                "User not authenticated, use an API Key with a Bearer Authorization header.",
            )
        })?;
        let user = self.users().into_iter().find(|u| !u.expired && u.key() == key);
        user.ok_or_else(|| Fail::web("Unauthorized", "Invalid apikey"))
    }

    fn run(&self, call: &Call, user: &User) -> Result<Vec<u8>, Fail> {
        if !call.method.writes {
            let data = self.read();
            let session = Session::open(&data, user, &call.context)?;
            return call.read(&session);
        }
        let mut data = self.write();
        let session = Session::open(&data, user, &call.context)?;
        call.permit(&session)?;
        let look = session.look.clone();
        call.write(&mut Writer::new(&mut data, self.now(), look))
    }

    /// A request whose type is not JSON's.
    fn wrong_type(&self, request: &Request, route: &str, kind: &str) -> Option<Response> {
        let sent = request.header("content-type").unwrap_or_default();
        if sent.starts_with("application/json") {
            return None;
        }
        let (status, title, kind) = match (self.version(), kind) {
            (Version::V17 | Version::V18, kind) => (400, "Bad Request", kind),
            (_, "json") => (415, "Unsupported Media Type", "jsonrpc"),
            (_, kind) => (415, "Unsupported Media Type", kind),
        };
        let advice = match self.version() {
            Version::V17 | Version::V18 => "",
            Version::V19 => "<br><br>Please verify the Content-Type request header and try again.",
        };
        let body = format!("<!doctype html>\n<html lang=en>\n<title>{status} {title}</title>\n<h1>{title}</h1>\n<p>Request inferred type is compatible with [&#39;http&#39;] but &#39;{route}&#39; is type=&#39;{kind}&#39;.{advice}</p>\n");
        Some(page(status, &body))
    }
}

/// Whether a user has that password or API key.
fn knows(user: &User, secret: &str) -> bool {
    secret == user.password() || (!user.expired && secret == user.key())
}

fn private(model: Model, method: &str) -> Result<(), Fail> {
    if !method.starts_with('_') {
        return Ok(());
    }
    let message = format!(
        "Private methods (such as '{}.{method}') cannot be called remotely.",
        model.name()
    );
    Err(Fail::access(message))
}

pub(super) fn json2_error(fail: &Fail) -> Response {
    let mut reply = json_reply(fail.status, fail.data().to_string().into_bytes());
    if fail.status == 401 {
        reply.header("WWW-Authenticate", "Bearer ");
    }
    reply
}

pub(super) fn json_reply(status: u16, body: Vec<u8>) -> Response {
    closing(Response::new(status, JSON, body))
}

/// A page of HTML.
pub(super) fn page(status: u16, body: &str) -> Response {
    closing(Response::new(status, HTML, body.as_bytes().to_vec()))
}

/// Every reply is the last on its connection.
fn closing(mut reply: Response) -> Response {
    reply.header("Server", "Werkzeug/2.2.2 Python/3.11.2");
    reply.header("Connection", "close");
    reply
}
