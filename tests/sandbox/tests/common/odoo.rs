//! A small client of Odoo's API. The server closes every connection, so each call has its own.

use serde_json::{json, Value};
use sync_sandbox::odoo::{Config, Erp, Version};
use sync_sandbox::Sandbox;

use super::{Client, Reply};

pub fn start(version: Version) -> Sandbox<Erp> {
    Sandbox::start(Config {
        version,
        ..Config::default()
    })
    .unwrap()
}

/// Sends a body with headers.
pub fn post(sandbox: &Sandbox<Erp>, path: &str, headers: &[(&str, String)], body: &[u8]) -> Reply {
    let mut client = Client::new(&sandbox.url(), None);
    client.ask("POST", path, headers, body)
}

/// A JSON-RPC call of a service.
pub fn service(sandbox: &Sandbox<Erp>, service: &str, method: &str, args: &Value) -> Value {
    let params = json!({ "service": service, "method": method, "args": args });
    let body = json!({ "jsonrpc": "2.0", "method": "call", "id": 5, "params": params });
    let headers = [("Content-Type", "application/json".to_owned())];
    let reply = post(sandbox, "/jsonrpc", &headers, &serde_json::to_vec(&body).unwrap());
    assert_eq!(reply.status, 200);
    reply.json()
}

/// `execute_kw` of a user by its id and name; the whole reply.
pub fn execute(
    sandbox: &Sandbox<Erp>,
    user: (u32, &str),
    model: &str,
    method: &str,
    args: Value,
    kwargs: Value,
) -> Value {
    let args = json!([
        "lab",
        user.0,
        format!("key_{}", user.1),
        model,
        method,
        args,
        kwargs
    ]);
    service(sandbox, "object", "execute_kw", &args)
}

/// The same for the user that integrations have; what it answers.
#[track_caller]
pub fn call(sandbox: &Sandbox<Erp>, model: &str, method: &str, args: Value, kwargs: Value) -> Value {
    let reply = execute(sandbox, (7, "apiuser"), model, method, args, kwargs);
    assert!(reply.get("error").is_none(), "{model}.{method}: {reply}");
    reply["result"].clone()
}

/// The name of the error that a call runs into.
#[track_caller]
pub fn error(reply: &Value) -> &str {
    reply["error"]["data"]["name"]
        .as_str()
        .unwrap_or_else(|| panic!("{reply}"))
}

/// A call over JSON-2.
pub fn json2(sandbox: &Sandbox<Erp>, user: &str, model: &str, method: &str, args: &Value) -> Reply {
    let headers = [
        ("Content-Type", "application/json".to_owned()),
        ("Authorization", format!("bearer key_{user}")),
    ];
    let path = format!("/json/2/{model}/{method}");
    post(sandbox, &path, &headers, &serde_json::to_vec(args).unwrap())
}
