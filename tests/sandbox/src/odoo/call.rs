//! Methods of models: their arguments, and what they answer.

use serde_json::{json, Map, Value};

use super::config::Version;
use super::data::{Data, Id};
use super::errors::Fail;
use super::query::Query;
use super::schema::Model;
use super::session::Session;
use super::show::{self, Shown};
use super::write::{Vals, Writer};

/// A method as it is declared.
#[derive(Debug)]
pub struct Method {
    pub name: &'static str,
    /// Called on the model, not on records.
    pub on_model: bool,
    pub params: &'static [&'static str],
    /// How many of the parameters must be given.
    needs: usize,
    /// Whether it writes.
    pub writes: bool,
}

const fn m(name: &'static str, on_model: bool, params: &'static [&'static str], needs: usize) -> Method {
    Method {
        name,
        on_model,
        params,
        needs,
        writes: false,
    }
}

const fn w(name: &'static str, on_model: bool, params: &'static [&'static str], needs: usize) -> Method {
    Method {
        writes: true,
        ..m(name, on_model, params, needs)
    }
}

const METHODS: &[Method] = &[
    m("search", true, &["domain", "offset", "limit", "order"], 1),
    m("search_count", true, &["domain", "limit"], 1),
    m(
        "search_read",
        true,
        &["domain", "fields", "offset", "limit", "order", "load"],
        0,
    ),
    m("read", false, &["fields", "load"], 0),
    m("fields_get", true, &["allfields", "attributes"], 0),
    w("create", true, &["vals_list"], 1),
    w("write", false, &["vals"], 1),
    w("unlink", false, &[], 0),
];

const CONFIRM: Method = w("action_confirm", false, &[], 0);
const CANCEL: Method = w("action_cancel", false, &[], 0);
const BUY: Method = w("button_confirm", false, &[], 0);
const CANCEL_BUY: Method = w("button_cancel", false, &[], 0);
const VALIDATE: Method = w("button_validate", false, &[], 0);
const CONTEXT: Method = m("context_get", true, &[], 0);
const NAMES_17: Method = m("name_search", true, &["name", "args", "operator", "limit"], 0);
const NAMES_19: Method = m("name_search", true, &["name", "domain", "operator", "limit"], 0);
const RIGHTS: Method = m("check_access_rights", true, &["operation", "raise_exception"], 1);
const HAS_ACCESS: Method = m("has_access", false, &["operation"], 1);

/// Finds a public method.
pub fn find(version: Version, model: Model, name: &str) -> Option<&'static Method> {
    let own: &'static Method = match (model, name) {
        (Model::Sale, "action_confirm") => &CONFIRM,
        (Model::Sale, "action_cancel") => &CANCEL,
        (Model::Purchase, "button_confirm") => &BUY,
        (Model::Purchase, "button_cancel") => &CANCEL_BUY,
        (Model::Picking, "button_validate") => &VALIDATE,
        (Model::User, "context_get") => &CONTEXT,
        (_, "name_search") if version < Version::V19 => &NAMES_17,
        (_, "name_search") => &NAMES_19,
        (_, "check_access_rights") if version < Version::V19 => &RIGHTS,
        (_, "has_access") if version > Version::V17 => &HAS_ACCESS,
        _ => return METHODS.iter().find(|m| m.name == name),
    };
    Some(own)
}

/// A call with its arguments by name.
#[derive(Debug)]
pub struct Call {
    pub model: Model,
    pub method: &'static Method,
    pub ids: Vec<Id>,
    pub args: Map<String, Value>,
    pub context: Map<String, Value>,
    /// JSON-2 always takes a list to create from, and answers with one.
    pub always_list: bool,
}

impl Call {
    /// Arguments by place come first, as Python has it.
    pub fn positional(
        model: Model,
        method: &'static Method,
        args: &[Value],
        kwargs: Map<String, Value>,
    ) -> Result<Self, Fail> {
        let mut args = args.iter();
        let mut kwargs = kwargs;
        let ids = if method.on_model {
            Vec::new()
        } else {
            let first = args.next().cloned().or_else(|| kwargs.remove("ids"));
            ids(&first.unwrap_or_default())
        };
        let mut named = kwargs;
        for (value, name) in args.by_ref().zip(method.params) {
            named.insert((*name).to_owned(), value.clone());
        }
        if args.next().is_some() {
            let message = format!(
                "{}.{}() takes fewer positional arguments",
                model.name(),
                method.name
            );
            return Err(Fail::kind(message));
        }
        let call = Self::named(model, method, ids, named);
        call.complete().map_err(Fail::kind)?;
        call.understood()?;
        Ok(call)
    }

    pub fn named(model: Model, method: &'static Method, ids: Vec<Id>, args: Map<String, Value>) -> Self {
        let mut args = args;
        let context = match args.remove("context") {
            Some(Value::Object(context)) => context,
            _ => Map::new(),
        };
        Self {
            model,
            method,
            ids,
            args,
            context,
            always_list: false,
        }
    }

    /// Whether what must be given is.
    pub fn complete(&self) -> Result<(), String> {
        let missing = self.method.params[..self.method.needs]
            .iter()
            .find(|p| !self.args.contains_key(**p));
        missing.map_or(Ok(()), |p| Err(format!("missing a required argument: '{p}'")))
    }

    /// Whether every argument is one of the method's.
    pub fn understood(&self) -> Result<(), Fail> {
        let unknown = self
            .args
            .keys()
            .find(|k| !self.method.params.contains(&k.as_str()));
        let Some(name) = unknown else {
            return Ok(());
        };
        let method = match self.method.name {
            "search_read" => "_read_format",
            other => other,
        };
        Err(Fail::kind(format!(
            "BaseModel.{method}() got an unexpected keyword argument '{name}'"
        )))
    }

    /// Answers a call that only reads.
    pub fn read(&self, session: &Session) -> Result<Vec<u8>, Fail> {
        let (model, args) = (self.model, &self.args);
        match self.method.name {
            "search" => {
                let ids = Query::read(session, model, args)?.ids(session, model);
                Ok(text(&json!(ids)))
            }
            "search_count" => Ok(text(&json!(
                Query::read(session, model, args)?.count(session, model)
            ))),
            "search_read" => {
                let ids = Query::read(session, model, args)?.ids(session, model);
                self.show(session, &ids)
            }
            "read" => {
                session.may_read(model)?;
                let exists = |id: &Id| session.data.exists(model, *id);
                let ids: Vec<Id> = self.ids.iter().copied().filter(exists).collect();
                session.may_see(model, &ids)?;
                self.show(session, &ids)
            }
            "fields_get" => {
                session.may_read(model)?;
                let fields = show::fields_get(session, model, args.get("allfields"), args.get("attributes"));
                Ok(text(&fields))
            }
            "name_search" => self.name_search(session),
            "context_get" => {
                let uid = session.user.id;
                let lang = session
                    .data
                    .get(&session.look, Model::User, uid, "lang")
                    .into_text();
                Ok(text(&json!({ "lang": lang, "tz": "UTC", "uid": uid })))
            }
            "check_access_rights" | "has_access" => self.access(session),
            other => Err(Fail::new("builtins.NotImplementedError", other)),
        }
    }

    fn show(&self, session: &Session, ids: &[Id]) -> Result<Vec<u8>, Fail> {
        let load = self.args.get("load").map_or(Some("_classic_read"), Value::as_str);
        let shown = Shown {
            data: session.data,
            look: &session.look,
            fields: show::asked(session, self.model, self.args.get("fields"))?,
            labels: load == Some("_classic_read"),
        };
        Ok(shown.list(self.model, ids))
    }

    fn name_search(&self, session: &Session) -> Result<Vec<u8>, Fail> {
        let mut args = self.args.clone();
        let operator = args.remove("operator").unwrap_or("ilike".into());
        let mut domain = vec![json!([
            "name",
            operator,
            args.remove("name").unwrap_or("".into())
        ])];
        let more = args.remove("domain").or(args.remove("args"));
        domain.extend(more.and_then(|v| v.as_array().cloned()).unwrap_or_default());
        args.insert("domain".into(), Value::Array(domain));
        args.entry("limit").or_insert(100.into());
        let ids = Query::read(session, self.model, &args)?.ids(session, self.model);
        let pairs: Vec<_> = ids
            .into_iter()
            .map(|id| json!([id, session.data.label(&session.look, self.model, id)]))
            .collect();
        Ok(text(&json!(pairs)))
    }

    fn access(&self, session: &Session) -> Result<Vec<u8>, Fail> {
        let outcome = match self.args.get("operation").and_then(Value::as_str) {
            Some("read") => session.may_read(self.model),
            _ => session.may_write(self.model),
        };
        let quiet =
            self.method.name == "has_access" || self.args.get("raise_exception") == Some(&json!(false));
        match outcome {
            Err(fail) if !quiet => Err(fail),
            outcome => Ok(text(&json!(outcome.is_ok()))),
        }
    }

    /// Whether the user may do what this call writes; says which records have to exist.
    pub fn permit(&self, session: &Session) -> Result<(), Fail> {
        session.may_write(self.model)?;
        let gone = self.ids.iter().find(|id| !session.data.exists(self.model, **id));
        match gone {
            Some(id) => Err(Fail::missing(self.model, *id, session.user.id)),
            None => session.may_see(self.model, &self.ids),
        }
    }

    /// Answers a call that writes.
    pub fn write(&self, writer: &mut Writer) -> Result<Vec<u8>, Fail> {
        match self.method.name {
            "create" => return self.create(writer),
            "write" => writer.write(self.model, &self.ids, &object(self.args.get("vals")))?,
            "unlink" => writer.unlink(self.model, &self.ids)?,
            name => {
                for id in &self.ids {
                    match name {
                        "action_confirm" | "button_confirm" => writer.confirm(self.model, *id)?,
                        "button_validate" => writer.validate(*id)?,
                        _ => writer.cancel(self.model, *id)?,
                    }
                }
            }
        }
        Ok(b"true".to_vec())
    }

    fn create(&self, writer: &mut Writer) -> Result<Vec<u8>, Fail> {
        let vals = self.args.get("vals_list").unwrap_or(&Value::Null);
        let Value::Array(list) = vals else {
            let id = writer.create(self.model, &object(Some(vals)))?;
            return Ok(text(&if self.always_list { json!([id]) } else { json!(id) }));
        };
        let mut made = Vec::new();
        for vals in list {
            match writer.create(self.model, &object(Some(vals))) {
                Ok(id) => made.push(id),
                Err(fail) => {
                    // One bad row takes the others with it.
                    writer.remove(self.model, &made);
                    return Err(fail);
                }
            }
        }
        Ok(text(&json!(made)))
    }
}

fn object(value: Option<&Value>) -> Vals {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Ids as clients give them: one, or a list.
pub fn ids(value: &Value) -> Vec<Id> {
    let id = |v: &Value| v.as_u64().and_then(|n| Id::try_from(n).ok());
    match value {
        Value::Array(items) => items.iter().filter_map(id).collect(),
        one => id(one).into_iter().collect(),
    }
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// A record as an administrator sees it, or nothing.
pub fn record(data: &Data, model: Model, id: Id) -> Option<Value> {
    let look = super::data::Look::all(&data.config);
    let shown = Shown {
        data,
        look: &look,
        fields: show::once(model.fields(data.version())),
        labels: true,
    };
    let list: Value = serde_json::from_slice(&shown.list(model, &[id])).ok()?;
    data.exists(model, id).then(|| list[0].clone())
}
