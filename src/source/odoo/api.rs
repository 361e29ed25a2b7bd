//! Calls to Odoo's external API: JSON-2 where there is one, else JSON-RPC.

use super::config::{Credentials, Memo, Settings, Transport};
use super::refusal::{self, Asked, Cause, Refusal};
use crate::error::{Code, Error, Result};
use crate::source::http::{Client, Meter, Outgoing, Response};
use crate::source::kind::Config;
use crate::source::session::Session;
use chrono::{DateTime, Utc};
use reqwest::header::{HeaderName, HeaderValue, AUTHORIZATION};
use reqwest::Url;
use serde_json::{json, Map, Value};
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

/// A way in which calls may get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    transport: Transport,
    /// JSON-2 without the database's name, which some hosts refuse to hear.
    nameless: bool,
}

impl Way {
    const fn of(transport: Transport) -> Self {
        Way {
            transport,
            nameless: false,
        }
    }

    const fn name(self) -> &'static str {
        match (self.transport, self.nameless) {
            (Transport::Json2, false) => "JSON-2",
            (Transport::Json2, true) => "JSON-2 without the database's name",
            (Transport::JsonRpc, _) => "JSON-RPC",
        }
    }
}

/// How calls get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    pub transport: Transport,
    pub uid: u64,
    /// The host has one database, and answers only where it is not named.
    pub nameless: bool,
}

/// A server's API.
pub(super) struct Api {
    client: Client,
    credentials: Credentials,
    base: Url,
    wanted: Option<Transport>,
    lang: String,
    context: Value,
    session: Session<Memo, Access>,
}

impl Api {
    pub fn new(config: Config, settings: &Settings, credentials: Credentials) -> Result<Self> {
        let client = Client::new(
            &config.base_url,
            config.http,
            config.ca_certificate.as_deref(),
            credentials.secrets(),
        )?;
        Ok(Api {
            client,
            credentials,
            base: config.base_url,
            wanted: settings.transport,
            lang: settings.lang.clone(),
            context: settings.context(),
            session: Session::new(&config.memo),
        })
    }

    /// What was found out so far, to be kept with the connector.
    pub fn kept(&self) -> Value {
        self.session.kept()
    }

    /// How calls get through, once one did.
    pub fn access(&self) -> Option<Access> {
        self.session.access()
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
        self.session.enter(
            self.remembered(),
            |access| self.exchange_known(*access, &call, meter),
            // another user, a newer Odoo
            |outcome| matches!(outcome, Err(refusal) if matches!(refusal.cause, Cause::Denied | Cause::NoApi)),
            || {
                let access = self.find_access(meter)?;
                self.settle(access);
                self.exchange(access, &call, meter)
            },
        )
    }

    /// As it worked before, which is noted when it does again.
    fn exchange_known(&self, access: Access, call: &Call, meter: &Meter) -> Result<Answer, Refusal> {
        let answer = self.exchange(access, call, meter)?;
        if self.access().is_none() {
            self.settle(access);
        }
        Ok(answer)
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
        let memo = self.session.memo();
        let access = Access {
            transport: memo.transport?,
            uid: memo.uid?,
            nameless: memo.nameless,
        };
        let may = |way: &Way| way.transport == access.transport && way.nameless == access.nameless;
        self.ways().iter().any(may).then_some(access)
    }

    fn settle(&self, access: Access) {
        self.session.settle(access, |memo| {
            *memo = Memo {
                transport: Some(access.transport),
                uid: Some(access.uid),
                nameless: access.nameless,
                user_lang: memo.user_lang.take(),
            }
        });
    }

    /// Notes what the connector's user speaks.
    pub fn note_lang(&self, spoken: &str) {
        let differs = !spoken.is_empty() && spoken != self.lang;
        self.session.note(|memo| memo.user_lang = differs.then(|| spoken.to_owned()));
    }

    /// A word about a user who speaks another language than the connector reads, where that is known.
    pub fn other_lang(&self) -> Option<String> {
        let spoken = self.session.memo().user_lang.filter(|spoken| *spoken != self.lang)?;
        Some(format!(
            "The connector's user speaks {spoken}; translated texts are read and written in {} (the setting lang).",
            self.lang
        ))
    }

    /// Whether there is what JSON-RPC wants to know.
    fn has_login(&self) -> bool {
        self.credentials.database.is_some() && self.credentials.login.is_some()
    }

    /// What to try, in this order: JSON-2 takes keys only, and JSON-RPC wants database and login.
    fn ways(&self) -> Vec<Way> {
        let wanted = |transport| self.wanted.is_none_or(|wanted| wanted == transport);
        let json2 = wanted(Transport::Json2) && (self.credentials.is_key || self.wanted.is_some());
        let nameless = Way {
            nameless: true,
            ..Way::of(Transport::Json2)
        };
        let all = [
            (Way::of(Transport::Json2), json2),
            (
                Way::of(Transport::JsonRpc),
                wanted(Transport::JsonRpc) && self.has_login(),
            ),
            (nameless, json2 && self.credentials.database.is_some()),
        ];
        let may = all.into_iter().filter(|(_, may)| *may);
        may.map(|(way, _)| way).collect()
    }

    /// Tries one way after the other. What isn't an answer of the API itself proves nothing: version 18 leads calls of JSON-2
    /// to its login page, proxies and firewalls have pages of their own.
    fn find_access(&self, meter: &Meter) -> Result<Access, Refusal> {
        let mut tried = Vec::new();
        for way in self.ways() {
            let outcome = match way.transport {
                Transport::Json2 => self.json2_uid(way.nameless, meter),
                Transport::JsonRpc => self.rpc_uid(meter),
            };
            match outcome {
                Ok(uid) => {
                    return Ok(Access {
                        transport: way.transport,
                        uid,
                        nameless: way.nameless,
                    })
                }
                Err(refusal) if matches!(refusal.cause, Cause::NoApi | Cause::Stray) => {
                    tried.push(format!("{}: {}", way.name(), refusal.error));
                }
                Err(refusal) => return Err(refusal),
            }
        }
        if !self.has_login() && self.wanted != Some(Transport::Json2) {
            return Err(refusal::no_login(&tried));
        }
        Err(refusal::no_api(&tried))
    }

    fn json2_uid(&self, nameless: bool, meter: &Meter) -> Result<u64, Refusal> {
        let call = Call {
            act: Act::Read,
            model: "res.users",
            method: "context_get",
            args: Args::new(),
        };
        let answer = self.json2(&call, nameless, meter)?;
        self.note_lang(answer.value["lang"].as_str().unwrap_or_default());
        answer.value["uid"].as_u64().ok_or_else(|| Refusal {
            cause: Cause::Stray,
            error: refusal::elsewhere("the answer doesn't say who the key belongs to".to_owned()),
        })
    }

    fn rpc_uid(&self, meter: &Meter) -> Result<u64, Refusal> {
        let Credentials {
            database,
            login,
            secret,
            ..
        } = &self.credentials;
        let args = json!([database, login, secret, {}]);
        let answer = self.rpc("common", "authenticate", &args, &Asked::nothing(), meter)?;
        // a wrong password is no error but `false`
        answer.value.as_u64().ok_or_else(refusal::denied)
    }

    fn exchange(&self, access: Access, call: &Call, meter: &Meter) -> Result<Answer, Refusal> {
        match access.transport {
            Transport::Json2 => self.json2(call, access.nameless, meter),
            Transport::JsonRpc => {
                let (positional, named) = split(&call.args);
                let Credentials { database, secret, .. } = &self.credentials;
                let Call { model, method, .. } = call;
                let args = json!([database, access.uid, secret, model, method, positional, named]);
                self.rpc("object", "execute_kw", &args, &self.asked(call), meter)
            }
        }
    }

    fn json2(&self, call: &Call, nameless: bool, meter: &Meter) -> Result<Answer, Refusal> {
        let url = self.url(&format!("json/2/{}/{}", call.model, call.method))?;
        let headers = self.json2_headers(nameless)?;
        let response = self.client.send(&url, meter, &|url| {
            Ok(Outgoing {
                headers: headers.clone(),
                ..outgoing(call.act, url, Value::Object(call.args.clone()))
            })
        })?;
        if response.is_success() && response.json.is_some() {
            return self.answer(response, |json| json);
        }
        let explained = response.json.as_ref().filter(|_| !response.is_success());
        Err(explained
            .and_then(|json| refusal::read(json, &self.asked(call), self.client.secrets()))
            .unwrap_or_else(|| self.stray(response)))
    }

    /// An answer that isn't the API's own. Those that say that nothing is there were not carried out either.
    fn stray(&self, response: Response) -> Refusal {
        let status = response.status;
        let (cause, error) = match status {
            300..=399 | 400 | 404 | 405 | 410 => {
                let to = response.header("location").and_then(|to| self.base.join(to).ok());
                let to = to
                    .map(|to| format!(", which leads to {}", to.path()))
                    .unwrap_or_default();
                (
                    Cause::NoApi,
                    refusal::elsewhere(format!("the answer has the status {status}{to}")),
                )
            }
            200..=299 if response.json.is_some() => (
                Cause::Stray,
                refusal::elsewhere("the answer is JSON of another kind".to_owned()),
            ),
            // these pass, and tell nothing of who is there
            408 | 429 | 502..=504 => (Cause::Other, self.client.status_error(&response)),
            _ => (Cause::Stray, self.unexpected(response)),
        };
        Refusal { cause, error }
    }

    fn unexpected(&self, response: Response) -> Error {
        match self.client.expect_json(response) {
            Err(error) => error,
            Ok(_) => refusal::elsewhere("the answer is of another kind".to_owned()),
        }
    }

    fn json2_headers(&self, nameless: bool) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let bad = |_| Error::new(Code::Invalid, "the credentials can't be put into a header");
        let mut key = HeaderValue::from_str(&format!("bearer {}", self.credentials.secret)).map_err(bad)?;
        key.set_sensitive(true);
        let mut headers = vec![(AUTHORIZATION, key)];
        if let Some(database) = self.credentials.database.as_ref().filter(|_| !nameless) {
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
        let has = |name: &str| response.json.as_ref().and_then(|json| json.get(name));
        if let Some(error) = has("error")
            .map(|error| &error["data"])
            .filter(|data| data.is_object())
        {
            return Err(
                refusal::read(error, asked, self.client.secrets()).unwrap_or_else(|| {
                    Error::new(Code::Nonsense, "Odoo failed to answer, and doesn't say why").into()
                }),
            );
        }
        if !response.is_success() || has("result").is_none() {
            return Err(self.stray(response));
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
