//! Requests to a shop's REST API: where it is, and how to authenticate there.

use super::auth::{with_query, Access, Ask, Keys, Mode};
use super::config::{Memo, Settings};
use super::hints::HINTS;
use super::site::{is_a_page, is_wordpress, Site, PLAIN};
use crate::error::{Code, Error, Result};
use crate::source::http::{Client, Meter, Outgoing, Response};
use crate::source::kind::Config;
use crate::source::session::Session;
use chrono::Utc;
use reqwest::{Method, Url};
use serde_json::Value;

/// OAuth allows fifteen minutes; below that, say so before it breaks.
pub(super) const MAX_SKEW_SECONDS: i64 = 600;

/// Query parameters.
pub(super) type Params = Vec<(String, String)>;

/// A shop's API.
pub(super) struct Api {
    client: Client,
    keys: Keys,
    site: Site,
    /// What the settings demand; None: find out.
    wanted: Option<Mode>,
    session: Session<Memo, Access>,
}

impl Api {
    pub fn new(config: Config, settings: &Settings, keys: Keys) -> Result<Self> {
        let client = Client::new(
            &config.base_url,
            config.http,
            config.ca_certificate.as_deref(),
            keys.secrets(),
        )?
        .with_hints(HINTS);
        Ok(Api {
            client,
            keys,
            site: Site::new(config.base_url, &settings.api_path)?,
            wanted: settings.auth,
            session: Session::new(&config.memo),
        })
    }

    /// What was found out so far.
    pub fn memo(&self) -> Memo {
        self.session.memo()
    }

    /// The same, to be kept with the connector.
    pub fn kept(&self) -> Value {
        self.session.kept()
    }

    /// Notes something found out.
    pub fn note(&self, change: impl FnOnce(&mut Memo)) {
        self.session.note(change);
    }

    /// How requests authenticate, once one was let in.
    pub fn mode(&self) -> Option<Mode> {
        self.session.access().map(|access| access.mode)
    }

    pub fn is_tls(&self) -> bool {
        self.site.base.scheme() == "https"
    }

    /// A GET below the API's root, whatever its outcome, except that refused credentials are an error.
    pub fn get(&self, route: &str, params: &Params, meter: &Meter) -> Result<Response> {
        self.call(&Ask::get(params), route, meter)
    }

    /// A GET of a part of a listing.
    pub fn list(&self, route: &str, params: &Params, meter: &Meter) -> Result<Response> {
        let ask = Ask {
            shrinks: true,
            ..Ask::get(params)
        };
        self.call(&ask, route, meter)
    }

    /// A POST or PUT below the API's root, in the same way. A POST is not repeated where the shop may have seen it.
    pub fn write(
        &self,
        method: Method,
        route: &str,
        params: &Params,
        body: &Value,
        meter: &Meter,
    ) -> Result<Response> {
        let ask = Ask {
            method,
            params,
            body: Some(body),
            shrinks: false,
        };
        self.call(&ask, route, meter)
    }

    /// Where the API's path leads to a page, it is looked for in the query. A page with 404 says that nothing was done.
    fn call(&self, ask: &Ask, route: &str, meter: &Meter) -> Result<Response> {
        let response = self.call_known(ask, route, meter)?;
        let may_look = ask.method == Method::GET || response.status == 404;
        if may_look && is_a_page(&response) && self.find_plain(meter).is_some() {
            return self.call_known(ask, route, meter);
        }
        Ok(response)
    }

    fn call_known(&self, ask: &Ask, route: &str, meter: &Meter) -> Result<Response> {
        let (url, mut params) = self.site.route(self.memo().plain.as_deref(), route)?;
        params.extend_from_slice(ask.params);
        let ask = &Ask {
            method: ask.method.clone(),
            params: &params,
            ..*ask
        };
        self.session.enter(
            self.remembered(),
            |access| self.send_known(access, &url, ask, meter),
            // the site may have moved to TLS meanwhile
            |outcome| outcome.as_ref().is_err_and(|error| error.code == Code::RemoteAuth),
            || self.find_access(&url, ask, meter),
        )
    }

    /// As it worked before. Refused credentials are an error.
    fn send_known(&self, access: &Access, url: &Url, ask: &Ask, meter: &Meter) -> Result<Response> {
        let response = self.send(access, url, ask, meter)?;
        if response.status == 401 {
            return Err(self.refused(&response));
        }
        self.settle(access, &response);
        Ok(response)
    }

    /// A GET that must bring JSON.
    pub fn get_json(&self, route: &str, params: &Params, meter: &Meter) -> Result<(Response, Value)> {
        self.client.expect_json(self.get(route, params, meter)?)
    }

    /// The error that an answer amounts to.
    pub fn error(&self, response: &Response) -> Error {
        self.client.status_error(response)
    }

    /// The JSON of an answer.
    pub fn expect_json(&self, response: Response) -> Result<(Response, Value)> {
        self.client.expect_json(response)
    }

    /// The site's description (`/wp-json/`), read without credentials.
    pub fn site(&self, meter: &Meter) -> Result<(Response, Value)> {
        let response = self.index(self.memo().plain.as_deref(), meter)?;
        let found = match is_a_page(&response) {
            true => self.find_plain(meter),
            false => None,
        };
        self.client.expect_json(found.unwrap_or(response))
    }

    fn index(&self, plain: Option<&str>, meter: &Meter) -> Result<Response> {
        let (url, mut params) = self.site.index(plain)?;
        let fields = "name,home,gmt_offset,timezone_string,namespaces";
        params.push(("_fields".to_owned(), fields.to_owned()));
        self.client
            .send(&url, meter, &|url| Ok(Outgoing::get(with_query(url, &params))))
    }

    /// The site's description where its permalinks are plain, which is noted: its API is nowhere else then. One page in the place
    /// of an answer doesn't say so.
    fn find_plain(&self, meter: &Meter) -> Option<Response> {
        if self.memo().plain.is_some() || !is_a_page(&self.index(None, meter).ok()?) {
            return None;
        }
        PLAIN.into_iter().find_map(|file| {
            let response = self.index(Some(file), meter).ok()?;
            is_wordpress(&response).then(|| {
                self.note(|memo| memo.plain = Some(file.to_owned()));
                response
            })
        })
    }

    fn send(&self, access: &Access, url: &Url, ask: &Ask, meter: &Meter) -> Result<Response> {
        self.client.send(url, meter, &|url| {
            self.keys.request(access, &self.site.base, url, ask)
        })
    }

    fn remembered(&self) -> Option<Access> {
        let memo = self.memo();
        let mode = memo
            .auth
            .filter(|mode| self.wanted.is_none_or(|wanted| wanted == *mode))?;
        let sign_base = memo.sign_base.and_then(|own| Url::parse(&own).ok());
        Some(Access { mode, sign_base })
    }

    fn settle(&self, access: &Access, response: &Response) {
        // Only these say that the credentials were understood: a web page is none of the API's answers.
        let is_answer = response.is_success() && response.json.is_some();
        if is_answer || response.status == 403 && !response.remote_code().is_empty() {
            self.session.settle(access.clone(), |memo| {
                memo.auth = Some(access.mode);
                memo.sign_base = access.sign_base.as_ref().map(Url::to_string);
            });
        }
    }

    /// Tries one mode after the other on the request itself.
    fn find_access(&self, url: &Url, ask: &Ask, meter: &Meter) -> Result<Response> {
        let mut refusal = None;
        for mode in self.modes() {
            for access in self.variants(mode, refusal.as_ref(), meter) {
                let response = self.send(&access, url, ask, meter)?;
                if response.status != 401 {
                    self.settle(&access, &response);
                    return Ok(response);
                }
                let final_word = mode != Mode::OAuth1 && understood(&response);
                let error = self.refused(&response);
                if final_word {
                    return Err(error);
                }
                refusal = Some(error);
            }
        }
        Err(refusal.unwrap_or_else(|| Error::new(Code::Internal, "no way to authenticate")))
    }

    fn modes(&self) -> Vec<Mode> {
        match self.wanted {
            Some(mode) => vec![mode],
            None if self.is_tls() => vec![Mode::Basic, Mode::Query, Mode::OAuth1],
            None => vec![Mode::OAuth1],
        }
    }

    /// The ways to use a mode. OAuth signs an address: the one asked, then the one the site has itself.
    fn variants<'a>(
        &'a self,
        mode: Mode,
        refusal: Option<&Error>,
        meter: &'a Meter,
    ) -> Box<dyn Iterator<Item = Access> + 'a> {
        let first = match (mode, refusal) {
            // A site that ignored credentials sent over TLS doesn't know of the TLS: a proxy ends it.
            (Mode::OAuth1, Some(_)) if self.is_tls() => Access {
                mode,
                sign_base: Some(http(&self.site.base)),
            },
            _ => Access::plain(mode),
        };
        if mode != Mode::OAuth1 {
            return Box::new(std::iter::once(first));
        }
        let asked = first.sign_base.clone().unwrap_or_else(|| self.site.base.clone());
        let own = std::iter::once_with(move || self.own_address(meter)).flatten();
        let own = own.filter(move |own| own != &asked);
        Box::new(std::iter::once(first).chain(own.map(move |own| Access {
            mode,
            sign_base: Some(own),
        })))
    }

    fn own_address(&self, meter: &Meter) -> Option<Url> {
        let (_, site) = self.site(meter).ok()?;
        let mut own = Url::parse(site["home"].as_str()?).ok()?;
        own.set_path(&format!("{}/", own.path().trim_end_matches('/')));
        Some(http(&own))
    }

    fn refused(&self, response: &Response) -> Error {
        let error = self.error(response);
        let skew = response
            .date()
            .map_or(0, |date| (date - Utc::now()).num_seconds());
        if skew.abs() > MAX_SKEW_SECONDS {
            return error.hint(format!(
                "The shop's clock and ours differ by {} minutes: set both right.",
                skew.abs() / 60
            ));
        }
        if response.json.is_none() {
            return error.hint("The web server itself refuses: a password on the whole site (staging), or a security plugin.");
        }
        if error
            .detail
            .as_deref()
            .is_some_and(|detail| detail.contains("read permissions"))
        {
            return error.hint("Give the key the permission Read (or Read/Write) in WooCommerce.");
        }
        if error
            .detail
            .as_deref()
            .is_some_and(|detail| detail.contains("write permissions"))
        {
            return error.hint("Give the key the permission Read/Write in WooCommerce.");
        }
        error.hint("Check consumer_key and consumer_secret, and that the key was not revoked. Over http the site's own address (WordPress > Settings) must be base_url.")
    }
}

/// The site has looked at the credentials, so other ways to send them won't help.
fn understood(response: &Response) -> bool {
    response.remote_code() == "woocommerce_rest_authentication_error"
}

/// The same address without TLS; a port that was given stays.
fn http(url: &Url) -> Url {
    // `set_scheme` refuses nothing between http and https.
    let mut url = url.clone();
    let _ = url.set_scheme("http");
    url
}
