//! The shop: what each route answers.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::{json, Map, Value};

use super::auth;
use super::config::{Config, Key, Version};
use super::data::{Data, Id, Kind};
use super::errors::{Action, ApiError};
use super::oauth::Nonces;
use super::reply::For;
use super::route::{self, Route};
use super::views::Views;
use super::write::Writer;
use super::{batch, list, misc, params};
use crate::core::clock::Clock;
use crate::core::http::{Request, Response};
use crate::core::{json, Setup, System};

/// A simulated shop.
pub struct Shop {
    pub(super) config: Config,
    pub(super) clock: Arc<Clock>,
    data: RwLock<Data>,
    views: Views,
    nonces: Nonces,
    strip: AtomicBool,
    /// The status of pages in the place of the API; 0: it is there.
    plain: AtomicU16,
}

impl Shop {
    /// Seeds a shop.
    pub fn new(config: Config, clock: Arc<Clock>) -> Self {
        let strip = AtomicBool::new(config.strip_authorization);
        let plain = AtomicU16::new(config.plain_permalinks.unwrap_or(0));
        let data = RwLock::new(Data::new(config.clone()));
        Self {
            config,
            clock,
            data,
            views: Views::default(),
            nonces: Nonces::default(),
            strip,
            plain,
        }
    }

    /// Whether `Authorization` is dropped.
    pub fn strip_authorization(&self, on: bool) {
        self.strip.store(on, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Data> {
        self.data.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Data> {
        self.data.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request) -> Response {
        let path = request.path.strip_prefix("/index.php").unwrap_or(&request.path);
        let nobody = For {
            request,
            signed_in: false,
        };
        let below = path
            .strip_prefix("/wp-json")
            .filter(|p| p.is_empty() || p.starts_with('/'));
        let plain = self.plain.load(Ordering::Relaxed);
        let inside = match route::in_query(request) {
            Some(route) => route,
            None if plain != 0 && below.is_some() => return nobody.page(plain),
            None => match below {
                Some(below) => below.to_owned(),
                None => return nobody.page(if matches!(path, "/" | "") { 200 } else { 404 }),
            },
        };
        let now = self.clock.now();
        let key = match self.key(request, now) {
            Ok(key) => key,
            Err(error) => return nobody.error(&error, ""),
        };
        let to = For {
            request,
            signed_in: key.is_some(),
        };
        let method = method(request);
        if let Some(Err(error)) = key.map(|k| auth::permitted(k, &request.method)) {
            return to.error(&error, "");
        }
        let route = route::find(inside.trim_matches('/'), self.config.version);
        let Some(route) = route.filter(|r| r.has(method)) else {
            return to.error(&ApiError::no_route(), "");
        };
        let answer = match method {
            "GET" | "HEAD" => self.get(to, key, &route),
            _ => self.change(to, key, &route, method),
        };
        answer.unwrap_or_else(|error| to.error(&error, route.allow()))
    }

    /// Keys are looked at only where the address has the API's path in it, as it was sent: WooCommerce knows its API by that.
    fn key(&self, request: &Request, now: i64) -> Result<Option<&Key>, ApiError> {
        let is_known = |text: &str| text.contains("wp-json/wc/");
        match is_known(&request.path) || is_known(&request.query) || route::in_query(request).is_none() {
            true => auth::check(request, &self.config.keys, &self.nonces, now),
            false => Ok(None),
        }
    }

    fn get(&self, to: For, key: Option<&Key>, route: &Route) -> Result<Response, ApiError> {
        let config = &self.config;
        let view = |action| permit(key, action);
        match route {
            Route::Root => Ok(to.value(&misc::only(&misc::root(config, to.request), to), "GET")),
            Route::Index => Ok(to.json(200, misc::index(config), "GET")),
            Route::List(kind, parent) => {
                params::read(config, *kind, &to.request.params())?;
                view(Action::List)?;
                list::answer(&self.read(), &self.views, to, *kind, *parent)
            }
            Route::One(kind, id, parent) => {
                view(Action::View).map_err(|e| self.hide(*kind, *id, e))?;
                self.one(to, *kind, *id, *parent)
            }
            Route::Status => {
                view(Action::List)?;
                Ok(to.value(&misc::only(&misc::status(config), to), "GET"))
            }
            Route::OrderTotals => {
                view(Action::List)?;
                let body = misc::order_totals(&self.read());
                Ok(to.listed(200, json::bytes(&body), "GET", None, None))
            }
            Route::Currency => Ok(to.value(&misc::currency(config, to.request), "GET")),
            Route::Settings(which) => {
                view(Action::List)?;
                misc::settings(to, which.as_deref(), route.allow())
            }
            Route::Empty(_) => {
                view(Action::List)?;
                Ok(to.listed(200, b"[]".to_vec(), route.allow(), Some((0, 0)), None))
            }
            Route::EmptyOne(name) => {
                view(Action::View)?;
                let code = format!("woocommerce_rest_{name}_invalid_id");
                Err(ApiError::new(404, &code, "Invalid ID.").with_allow())
            }
            Route::Batch(..) => Err(ApiError::no_route()),
        }
    }

    /// WordPress looks for a term or user before it asks who may see it.
    fn hide(&self, kind: Kind, id: Id, error: ApiError) -> ApiError {
        let gone = matches!(kind, Kind::Categories) && !self.read().exists(kind, id);
        if gone {
            missing(self.config.version, kind, false)
        } else {
            error
        }
    }

    fn one(&self, to: For, kind: Kind, id: Id, parent: Option<Id>) -> Result<Response, ApiError> {
        let data = self.read();
        let found = data.exists(kind, id)
            && !data.is_hidden(kind, id)
            && parent.is_none_or(|p| p == data.parent(kind, id));
        if !found {
            return Err(missing(self.config.version, kind, false));
        }
        let fields = params::fields(&to.request.params());
        let mut value = data.value(kind, id, &to.request.site, None);
        if let Some(fields) = fields {
            // A single record keeps its links whatever was asked for.
            let links = value["_links"].take();
            value = if fields.is_deep() {
                fields.filter(&value)
            } else {
                misc::pick(&value, &fields.top)
            };
            value["_links"] = links;
        }
        Ok(to.value(&value, Route::One(kind, id, parent).allow()))
    }

    fn change(&self, to: For, key: Option<&Key>, route: &Route, method: &str) -> Result<Response, ApiError> {
        let body = body(to.request)?;
        let mut data = self.write();
        let mut writer = Writer::new(&mut data, self.clock.now(), &to.request.site);
        let allow = route.allow();
        match route {
            Route::List(kind, parent) => {
                permit(key, Action::Create)?;
                let made = writer.create(*kind, *parent, &body)?;
                Ok(to.json(201, json::bytes(&made), allow))
            }
            Route::One(kind, id, parent) if method == "DELETE" => {
                permit_user(key, &writer, *kind, *id, Action::Delete)?;
                let force = to
                    .request
                    .params()
                    .iter()
                    .any(|(k, v)| k == "force" && matches!(v.as_str(), "true" | "1"));
                let gone = writer.delete(*kind, *id, *parent, force || body["force"] == true)?;
                Ok(to.value(&gone, allow))
            }
            Route::One(kind, id, parent) => {
                permit_user(key, &writer, *kind, *id, Action::Edit)?;
                Ok(to.value(&writer.update(*kind, *id, *parent, &body)?, allow))
            }
            Route::Batch(kind, parent) => {
                permit(key, Action::Batch)?;
                Ok(to.value(&batch::run(&mut writer, *kind, *parent, &body)?, allow))
            }
            _ => Err(ApiError::no_route()),
        }
    }
}

/// The method, which a header may replace.
fn method(request: &Request) -> &str {
    let header = request.header("x-http-method-override");
    header
        .filter(|_| request.method == "POST")
        .unwrap_or(&request.method)
}

fn body(request: &Request) -> Result<Value, ApiError> {
    if request.body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(&request.body).map_err(|_| {
        let error = ApiError::new(400, "rest_invalid_json", "Invalid JSON body passed.");
        let data = json!({ "status": 400, "json_error_code": 4, "json_error_message": "Syntax error" });
        ApiError { data, ..error }
    })
}

/// Shop managers and administrators may do all but what `permit_user` adds.
fn permit(key: Option<&Key>, action: Action) -> Result<(), ApiError> {
    match key {
        Some(key) if matches!(key.role.as_str(), "administrator" | "shop_manager") => Ok(()),
        key => Err(ApiError::forbidden(key.is_some(), action)),
    }
}

/// A shop manager does not touch administrators.
fn permit_user(
    key: Option<&Key>,
    writer: &Writer,
    kind: Kind,
    id: Id,
    action: Action,
) -> Result<(), ApiError> {
    permit(key, action)?;
    let manager = key.is_some_and(|k| k.role == "shop_manager");
    if manager && kind == Kind::Customers && writer.data.state(kind, id) == "administrator" {
        return Err(ApiError::forbidden(true, action));
    }
    Ok(())
}

/// What is said of a record that does not exist; writes to posts say 400.
pub fn missing(version: Version, kind: Kind, writing: bool) -> ApiError {
    let post = |name: &str, status| {
        let code = format!("woocommerce_rest_{name}_invalid_id");
        ApiError::new(status, &code, "Invalid ID.").with_allow()
    };
    let status = if writing { 400 } else { 404 };
    match kind {
        Kind::Products => post("product", status),
        Kind::Orders => post("shop_order", status),
        Kind::Refunds => post("shop_order_refund", 404),
        Kind::Variations if version >= Version::V11 => ApiError {
            allow: false,
            ..post("product_variation", 404)
        },
        Kind::Variations => post("product_variation", 404),
        Kind::Customers if version >= Version::V11 => {
            ApiError::new(404, "wc_user_invalid_id", "Invalid user ID.")
        }
        Kind::Customers => {
            ApiError::new(404, "woocommerce_rest_invalid_id", "Invalid resource ID.").with_allow()
        }
        Kind::Categories => ApiError::new(404, "woocommerce_rest_term_invalid", "Resource does not exist."),
    }
}

impl Setup for Config {
    type System = Shop;

    fn listen(&self) -> (u16, bool) {
        (self.port, self.https)
    }

    fn build(self, clock: Arc<Clock>) -> Shop {
        Shop::new(self, clock)
    }
}

impl System for Shop {
    fn handle(&self, request: &Request) -> Response {
        if self.strip.load(Ordering::Relaxed) && request.header("authorization").is_some() {
            let mut bare = request.clone();
            bare.headers
                .retain(|(k, _)| !k.eq_ignore_ascii_case("authorization"));
            return self.answer(&bare);
        }
        self.answer(request)
    }

    fn known_as(&self, request: &Request) -> Option<(String, String)> {
        let route = route::in_query(request)?;
        Some((format!("/wp-json{route}"), request.query.clone()))
    }

    fn mutate(&self, op: &Value) -> Result<Value, String> {
        let mutation = serde_json::from_value(op.clone()).map_err(|e| e.to_string())?;
        self.apply(mutation)
    }

    fn ids(&self, entity: &str) -> Result<Vec<u64>, String> {
        Ok(self
            .read()
            .live(Kind::parse(entity)?)
            .iter()
            .map(|id| u64::from(*id))
            .collect())
    }

    fn record(&self, entity: &str, id: u64) -> Result<Option<Value>, String> {
        let (data, kind) = (self.read(), Kind::parse(entity)?);
        let id = Id::try_from(id).map_err(|e| e.to_string())?;
        Ok((data.exists(kind, id) && !data.is_hidden(kind, id)).then(|| data.value(kind, id, "", None)))
    }

    fn configure(&self, options: &Value) -> Result<(), String> {
        let (strip, plain) = (&options["strip_authorization"], &options["plain_permalinks"]);
        let status = plain.as_u64().and_then(|status| u16::try_from(status).ok());
        match (strip.as_bool(), status) {
            (None, None) => return Err("strip_authorization or plain_permalinks is missing".into()),
            (on, status) => {
                on.into_iter().for_each(|on| self.strip_authorization(on));
                status
                    .into_iter()
                    .for_each(|status| self.plain.store(status, Ordering::Relaxed));
            }
        }
        Ok(())
    }

    fn reset(&self) {
        let generation = self.read().generation + 1;
        let mut data = Data::new(self.config.clone());
        data.generation = generation;
        *self.write() = data;
    }
}
