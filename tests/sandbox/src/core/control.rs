//! The control calls over HTTP, under `/_sandbox/`: JSON in, JSON out, no key.

use serde_json::{json, Value};

use super::faults::Rule;
use super::http::{Request, Response};
use super::json;
use super::schedule::Plan;
use super::server::Hub;

/// Where the control calls live; nothing under it is counted, planned for or broken.
pub const PREFIX: &str = "/_sandbox/";

/// Answers a control call; `None` when the path is the simulated system's.
pub fn handle(hub: &Hub, request: &Request) -> Option<Response> {
    let call = request.path.strip_prefix(PREFIX)?;
    let (status, body) = match body(request).and_then(|input| run(hub, call, &input)) {
        Ok(value) => (200, value),
        Err(message) => (400, json!({ "error": message })),
    };
    Some(Response::new(
        status,
        "application/json; charset=UTF-8",
        json::bytes(&body),
    ))
}

fn body(request: &Request) -> Result<Value, String> {
    if request.body.is_empty() {
        let map = request.params().into_iter().map(|(k, v)| (k, scalar(v)));
        return Ok(Value::Object(map.collect()));
    }
    serde_json::from_slice(&request.body).map_err(|e| e.to_string())
}

/// A query parameter as the JSON it stands for (numbers and booleans), else as text.
fn scalar(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::String(text),
    }
}

fn run(hub: &Hub, call: &str, input: &Value) -> Result<Value, String> {
    match call {
        "mutate" => mutate(hub, input),
        "faults" => {
            let rule: Rule = parse(input)?;
            Ok(json!({ "id": hub.faults.add(rule) }))
        }
        "faults/clear" => {
            hub.faults.clear(input["id"].as_u64());
            ok()
        }
        "release" => {
            hub.release();
            ok()
        }
        "schedule" => {
            hub.schedule.add(parse::<Plan>(input)?);
            ok()
        }
        "schedule/clear" => {
            hub.schedule.clear();
            ok()
        }
        "skew" => {
            let seconds = input["seconds"].as_i64();
            hub.clock.set_skew(seconds.ok_or("seconds is missing")?);
            ok()
        }
        "config" => hub.system.configure(input).and_then(|()| ok()),
        "stats" => serde_json::to_value(hub.recorder.stats()).map_err(|e| e.to_string()),
        "stats/reset" => {
            hub.recorder.reset();
            ok()
        }
        "requests" => serde_json::to_value(hub.recorder.seen()).map_err(|e| e.to_string()),
        "truth" => truth(hub, input),
        "record" => {
            let id = input["id"].as_u64().ok_or("id is missing")?;
            Ok(hub.system.record(entity(input)?, id)?.unwrap_or(Value::Null))
        }
        "reset" => {
            hub.system.reset();
            hub.faults.clear(None);
            hub.schedule.clear();
            hub.recorder.reset();
            hub.release();
            ok()
        }
        _ => Err(format!("no such call: {call}")),
    }
}

fn ok() -> Result<Value, String> {
    Ok(json!({ "ok": true }))
}

fn parse<T: serde::de::DeserializeOwned>(input: &Value) -> Result<T, String> {
    serde_json::from_value(input.clone()).map_err(|e| e.to_string())
}

fn entity(input: &Value) -> Result<&str, String> {
    input["entity"].as_str().ok_or_else(|| "entity is missing".into())
}

/// One mutation, or a list of them in order.
fn mutate(hub: &Hub, input: &Value) -> Result<Value, String> {
    match input {
        Value::Array(ops) => ops.iter().map(|op| hub.system.mutate(op)).collect(),
        op => hub.system.mutate(op),
    }
}

/// All ids of an entity; with `"full": true` all records.
fn truth(hub: &Hub, input: &Value) -> Result<Value, String> {
    let entity = entity(input)?;
    let ids = hub.system.ids(entity)?;
    if input["full"].as_bool() != Some(true) {
        return Ok(json!({ "entity": entity, "count": ids.len(), "ids": ids }));
    }
    let records: Result<Vec<_>, _> = ids.into_iter().map(|id| hub.system.record(entity, id)).collect();
    Ok(json!({ "entity": entity, "records": records?.into_iter().flatten().collect::<Vec<_>>() }))
}
