//! Calls to Odoo's external API: JSON-2 where there is one, else JSON-RPC.

use super::config::{Credentials, Memo, Settings, Transport};
use super::refusal::{self, Asked, Cause, Refusal};
use crate::error::{Code, Error, Result};
use crate::source::http::{Client, Meter, Outgoing, Response};
use crate::source::kind::ConnectorConfig;
use chrono::{DateTime, Utc};
use reqwest::header::{HeaderName, HeaderValue, AUTHORIZATION};
use reqwest::Url;
use serde_json::{json, Map, Value};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Arguments of a call, by name.
pub(super) type Args = Map<String, Value>;

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Read,
    /// Does no harm when it is done twice.
    Change,
    /// Makes another one each time.
    Create,
}

/// A call of a method of a model. `args` are named; "ids" are the records it is called on.
struct Call<'a> {
    act: Act,
    model: &'a str,
    method: &'a str,
    args: Args,
}

/// What a call brought.
#[derive(Debug)]
pub(super) struct Answer {
    pub value: Value,
    pub server_time: Option<DateTime<Utc>>,
    /// When it was here, by our clock.
    pub received_at: DateTime<Utc>,
    pub elapsed: Duration,
}

/// How calls get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    pub transport: Transport,
    pub uid: u64,
}

/// A server's API.
pub(super) struct Api {
    client: Client,
    credentials: Credentials,
    base: Url,
    wanted: Option<Transport>,
    lang: String,
    context: Value,
    memo: Mutex<Memo>,
    /// What works, once a call got through.
    access: Mutex<Option<Access>>,
}

impl Api {
    pub fn new(config: ConnectorConfig, settings: &Settings, credentials: Credentials) -> Result<Self> {
        let ConnectorConfig {
            base_url,
            mut http,
            memo,
            ..
        } = config;
        if let Some(timeout) = settings.timeout {
            http.timeout = timeout;
        }
        let secrets = credentials.secrets();
        let client = Client::new(&base_url, http, settings.ca_certificate.as_deref(), secrets)?;
        Ok(Api {
            client,
            credentials,
            base: base_url,
            wanted: settings.transport,
            lang: settings.lang.clone(),
            context: settings.context(),
            memo: Mutex::new(Memo::parse(&memo)),
            access: Mutex::new(None),
        })
    }

    /// What was found out so far.
    pub fn memo(&self) -> Memo {
        lock(&self.memo).clone()
    }

    /// How calls get through, once one did.
    pub fn access(&self) -> Option<Access> {
        *lock(&self.access)
    }

    pub fn is_tls(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Calls a method that only reads.
    pub fn call(&self, model: &str, method: &str, args: Args, meter: &Meter) -> Result<Answer, Refusal> {
        self.act(Act::Read, model, method, args, meter)
    }

    /// Calls a method. `args` are named; "ids" are the records it is called on.
    pub fn act(
        &self,
        act: Act,
        model: &str,
        method: &str,
        mut args: Args,
        meter: &Meter,
    ) -> Result<Answer, Refusal> {
        args.insert("context".to_owned(), self.context.clone());
        let call = Call {
            act,
            model,
            method,
            args,
        };
        if let Some(access) = self.access() {
            return self.exchange(access, &call, meter);
        }
        if let Some(access) = self.remembered() {
            match self.exchange(access, &call, meter) {
                // What is merely remembered may be outdated: another user, a newer Odoo.
                Err(refusal) if matches!(refusal.cause, Cause::Denied | Cause::NoApi) => {}
                outcome => {
                    if outcome.is_ok() {
                        self.settle(access);
                    }
                    return outcome;
                }
            }
        }
        let access = self.find_access(meter)?;
        self.settle(access);
        self.exchange(access, &call, meter)
    }

    /// The version as the server tells anybody; None where it doesn't.
    pub fn version(&self, meter: &Meter) -> Result<Option<String>> {
        if self.access().map(|access| access.transport) == Some(Transport::Json2) {
            let url = self.url("web/version")?;
            let response = self
                .client
                .send(&url, meter, &|url| Ok(Outgoing::get(url.clone())))?;
            let json = response.json.as_ref().filter(|_| response.is_success());
            return Ok(json.and_then(|json| json["version"].as_str()).map(str::to_owned));
        }
        let answer = self.rpc("common", "version", &json!([]), &Asked::nothing(), meter)?;
        Ok(answer.value["server_version"].as_str().map(str::to_owned))
    }

    fn remembered(&self) -> Option<Access> {
        let memo = self.memo();
        let access = Access {
            transport: memo.transport?,
            uid: memo.uid?,
        };
        self.transports().contains(&access.transport).then_some(access)
    }

    fn settle(&self, access: Access) {
        *lock(&self.access) = Some(access);
        *lock(&self.memo) = Memo {
            transport: Some(access.transport),
            uid: Some(access.uid),
        };
    }

    fn transports(&self) -> Vec<Transport> {
        let can = |transport: &Transport| *transport == Transport::JsonRpc || self.credentials.is_key;
        match self.wanted {
            Some(transport) => vec![transport],
            None => [Transport::Json2, Transport::JsonRpc]
                .into_iter()
                .filter(can)
                .collect(),
        }
    }

    fn find_access(&self, meter: &Meter) -> Result<Access, Refusal> {
        let mut refusal = None;
        for transport in self.transports() {
            let outcome = match transport {
                Transport::Json2 => self.json2_uid(meter),
                Transport::JsonRpc => self.rpc_uid(meter),
            };
            match outcome {
                Ok(uid) => return Ok(Access { transport, uid }),
                Err(error) if error.cause == Cause::NoApi => refusal = Some(refusal.unwrap_or(error)),
                Err(error) => return Err(error),
            }
        }
        Err(refusal.unwrap_or_else(|| Error::new(Code::Internal, "no transport to try").into()))
    }

    fn json2_uid(&self, meter: &Meter) -> Result<u64, Refusal> {
        let call = Call {
            act: Act::Read,
            model: "res.users",
            method: "context_get",
            args: Args::new(),
        };
        let answer = self.json2(&call, meter)?;
        answer.value["uid"].as_u64().ok_or_else(|| {
            Error::new(Code::Nonsense, "Odoo doesn't say who the key belongs to")
                .hint("Check base_url.")
                .into()
        })
    }

    fn rpc_uid(&self, meter: &Meter) -> Result<u64, Refusal> {
        let Credentials {
            database: Some(database),
            login: Some(login),
            secret,
            ..
        } = &self.credentials
        else {
            return Err(Error::new(
                Code::Invalid,
                "Odoo before version 19 needs database and login in the credentials",
            )
            .detail("The server has no JSON-2 API for what was given.")
            .hint("On version 19 and later, a host with several databases needs database.")
            .into());
        };
        let args = json!([database, login, secret, {}]);
        let answer = self.rpc("common", "authenticate", &args, &Asked::nothing(), meter)?;
        // a wrong password is no error but `false`
        answer.value.as_u64().ok_or_else(refusal::denied)
    }

    fn exchange(&self, access: Access, call: &Call, meter: &Meter) -> Result<Answer, Refusal> {
        match access.transport {
            Transport::Json2 => self.json2(call, meter),
            Transport::JsonRpc => {
                let (positional, named) = split(&call.args);
                let Credentials { database, secret, .. } = &self.credentials;
                let Call { model, method, .. } = call;
                let args = json!([database, access.uid, secret, model, method, positional, named]);
                self.rpc("object", "execute_kw", &args, &self.asked(call), meter)
            }
        }
    }

    fn json2(&self, call: &Call, meter: &Meter) -> Result<Answer, Refusal> {
        let url = self.url(&format!("json/2/{}/{}", call.model, call.method))?;
        let headers = self.json2_headers()?;
        let response = self.client.send(&url, meter, &|url| {
            Ok(Outgoing {
                headers: headers.clone(),
                ..outgoing(call.act, url, Value::Object(call.args.clone()))
            })
        })?;
        if response.is_success() {
            return self.answer(response, |json| json);
        }
        if response.status == 404 && response.json.is_none() {
            return Err(refusal::no_api(
                "Neither JSON-2 (from version 19 on) nor, if tried, JSON-RPC answers for this database.",
            ));
        }
        Err(response
            .json
            .as_ref()
            .and_then(|json| refusal::read(json, &self.asked(call), self.client.secrets()))
            .unwrap_or_else(|| self.client.status_error(&response).into()))
    }

    fn json2_headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let bad = |_| Error::new(Code::Invalid, "the credentials can't be put into a header");
        let mut key = HeaderValue::from_str(&format!("bearer {}", self.credentials.secret)).map_err(bad)?;
        key.set_sensitive(true);
        let mut headers = vec![(AUTHORIZATION, key)];
        if let Some(database) = &self.credentials.database {
            let name = HeaderName::from_static("x-odoo-database");
            headers.push((name, HeaderValue::from_str(database).map_err(bad)?));
        }
        Ok(headers)
    }

    fn rpc(
        &self,
        service: &str,
        method: &str,
        args: &Value,
        asked: &Asked,
        meter: &Meter,
    ) -> Result<Answer, Refusal> {
        let url = self.url("jsonrpc")?;
        let body = json!({"jsonrpc": "2.0", "method": "call", "id": 1,
            "params": {"service": service, "method": method, "args": args}});
        let response = self
            .client
            .send(&url, meter, &|url| Ok(outgoing(asked.act, url, body.clone())))?;
        if response.status == 404 && response.json.is_none() {
            return Err(refusal::no_api("JSON-RPC (/jsonrpc) doesn't answer."));
        }
        if let Some(error) = response.json.as_ref().and_then(|json| json.get("error")) {
            return Err(
                refusal::read(&error["data"], asked, self.client.secrets()).unwrap_or_else(|| {
                    Error::new(Code::Nonsense, "Odoo failed to answer, and doesn't say why").into()
                }),
            );
        }
        if response.is_success() && response.json.as_ref().is_some_and(|json| !json.is_object()) {
            return Err(Error::new(Code::Nonsense, "the remote doesn't speak JSON-RPC")
                .hint("Check base_url.")
                .into());
        }
        self.answer(response, |mut json| json["result"].take())
    }

    fn answer(&self, response: Response, value: impl Fn(Value) -> Value) -> Result<Answer, Refusal> {
        let (response, json) = self.client.expect_json(response)?;
        Ok(Answer {
            value: value(json),
            server_time: response.date(),
            received_at: Utc::now(),
            elapsed: response.elapsed,
        })
    }

    fn asked<'a>(&'a self, call: &Call<'a>) -> Asked<'a> {
        Asked {
            act: call.act,
            model: call.model,
            lang: &self.lang,
        }
    }

    fn url(&self, route: &str) -> Result<Url> {
        self.base
            .join(route)
            .map_err(|_| Error::new(Code::Internal, format!("\"{route}\" is no route")))
    }
}

fn outgoing(act: Act, url: &Url, json: Value) -> Outgoing {
    Outgoing {
        repeatable: act != Act::Create,
        is_write: act != Act::Read,
        ..Outgoing::reading_call(url.clone(), json, refusal::passes)
    }
}

/// JSON-RPC's `execute_kw` takes what a method is called on, its domain, and the values to write, by place: for
/// creations, it looks at the first argument itself.
fn split(args: &Args) -> (Vec<Value>, Args) {
    let mut named = args.clone();
    let placed = ["ids", "domain", "vals_list", "vals"];
    let positional = placed.iter().filter_map(|name| named.remove(*name)).collect();
    (positional, named)
}

/// A panic while noting something leaves it unnoted, no worse.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
