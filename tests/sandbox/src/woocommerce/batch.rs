//! Batches: up to a hundred operations, each with its own outcome.

use serde_json::{json, Value};

use super::data::{Id, Kind};
use super::errors::ApiError;
use super::write::Writer;

/// Runs a batch; operations nobody knows are ignored.
pub fn run(writer: &mut Writer, kind: Kind, parent: Option<Id>, body: &Value) -> Result<Value, ApiError> {
    let items = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    let (create, update, delete) = (items("create"), items("update"), items("delete"));
    if create.len() + update.len() + delete.len() > 100 {
        let message = "Unable to accept more than 100 items for this request.";
        let code = "woocommerce_rest_request_entity_too_large";
        return Err(ApiError::new(413, code, message).with_allow());
    }
    writer.lax = true;
    let mut out = json!({});
    let made = create
        .iter()
        .map(|item| show(writer.create(kind, parent, item), &json!(0)));
    put(&mut out, "create", made.collect());
    let done = update.iter().map(|item| {
        let outcome = writer.update(kind, id(&item["id"]), parent, item);
        show(outcome, item.get("id").unwrap_or(&Value::Null))
    });
    put(&mut out, "update", done.collect());
    let gone = delete
        .iter()
        .map(|item| show(writer.delete(kind, id(item), parent, true), item));
    put(&mut out, "delete", gone.collect());
    // PHP writes an empty map as a list.
    Ok(if out == json!({}) { json!([]) } else { out })
}

fn id(value: &Value) -> Id {
    value.as_u64().and_then(|n| Id::try_from(n).ok()).unwrap_or(0)
}

fn show(outcome: Result<Value, ApiError>, id: &Value) -> Value {
    outcome.unwrap_or_else(|error| json!({ "id": id, "error": error.body() }))
}

fn put(out: &mut Value, name: &str, items: Vec<Value>) {
    if !items.is_empty() {
        out[name] = Value::Array(items);
    }
}
