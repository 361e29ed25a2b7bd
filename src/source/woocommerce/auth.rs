//! How requests show who they are from: Basic, keys in the query, or OAuth 1.0a (one-legged).

use super::site::{REST_ROUTE, VIA};
use crate::error::{Code, Error, Result};
use crate::source::http::{Outgoing, Secrets};
use crate::source::oauth1::{percent, Moment, Pair, Signer};
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use reqwest::header::{HeaderValue, AUTHORIZATION};
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A way to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    Basic,
    Query,
    OAuth1,
}

impl Mode {
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Basic => "basic",
            Mode::Query => "query",
            Mode::OAuth1 => "oauth1",
        }
    }

    pub fn by_name(name: &str) -> Option<Self> {
        [Mode::Basic, Mode::Query, Mode::OAuth1]
            .into_iter()
            .find(|mode| mode.name() == name)
    }
}

/// A mode, with all that it needs to know of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Access {
    pub mode: Mode,
    /// OAuth signs the address that the site answers to, which need not be the one it is reached at.
    pub sign_base: Option<Url>,
}

impl Access {
    pub const fn plain(mode: Mode) -> Self {
        Access {
            mode,
            sign_base: None,
        }
    }
}

/// What is asked, apart from where. A body of JSON is not signed.
pub(super) struct Ask<'a> {
    pub method: Method,
    pub params: &'a [(String, String)],
    pub body: Option<&'a Value>,
    /// Less can be asked for where this is too much.
    pub shrinks: bool,
}

impl<'a> Ask<'a> {
    pub const fn get(params: &'a [(String, String)]) -> Self {
        Ask {
            method: Method::GET,
            params,
            body: None,
            shrinks: false,
        }
    }
}

/// The consumer key and its secret.
#[derive(Clone)]
pub(super) struct Keys {
    pub key: String,
    pub secret: String,
}

impl Keys {
    /// All that must never be shown.
    pub fn secrets(&self) -> Secrets {
        Secrets::new(&[&self.key, &self.secret, &format!("{}:{}", self.key, self.secret)])
    }

    /// A request. `base` is the connector's base URL, of which `url` is a part.
    pub fn request(&self, access: &Access, base: &Url, url: &Url, ask: &Ask) -> Result<Outgoing> {
        let mut params = ask.params.to_vec();
        let mut headers = Vec::new();
        match access.mode {
            Mode::Basic => headers.push((AUTHORIZATION, self.basic()?)),
            Mode::Query => {
                params.push(("consumer_key".to_owned(), self.key.clone()));
                params.push(("consumer_secret".to_owned(), self.secret.clone()));
            }
            Mode::OAuth1 => {
                let signed = signed_url(access, base, url);
                let oauth = self
                    .signer()
                    .sign(ask.method.as_str(), &signed, &params, &Moment::now()?);
                params.extend(oauth);
            }
        }
        Ok(Outgoing {
            headers,
            // a PUT says what shall be, a POST adds to what is
            repeatable: ask.method != Method::POST,
            is_write: ask.method != Method::GET,
            shrinks: ask.shrinks,
            method: ask.method.clone(),
            json: ask.body.cloned(),
            ..Outgoing::get(with_query(url, &params))
        })
    }

    fn basic(&self) -> Result<HeaderValue> {
        let token = STANDARD.encode(format!("{}:{}", self.key, self.secret));
        let bad = |_| Error::new(Code::Invalid, "the credentials can't be put into a header");
        let mut value = HeaderValue::from_str(&format!("Basic {token}")).map_err(bad)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// One-legged: the key is the client's, and there is no token.
    pub fn signer(&self) -> Signer<'_> {
        Signer {
            client: Pair {
                id: &self.key,
                secret: &self.secret,
            },
            token: None,
        }
    }
}

/// The address that the site believes to be asked at.
fn signed_url(access: &Access, base: &Url, url: &Url) -> String {
    let mut signed = url.clone();
    if let Some(own) = &access.sign_base {
        let rest = url
            .path()
            .strip_prefix(base.path())
            .unwrap_or_else(|| url.path().trim_start_matches('/'));
        signed = own.clone();
        signed.set_path(&format!("{}/{rest}", own.path().trim_end_matches('/')));
    }
    signed.set_query(None);
    // WordPress' name for its own address ends without a slash
    let is_home = url.path() == base.path();
    match is_home {
        true => signed.as_str().trim_end_matches('/').to_owned(),
        false => signed.to_string(),
    }
}

/// The URL with these parameters, encoded as OAuth signs them.
pub(super) fn with_query(url: &Url, params: &[(String, String)]) -> Url {
    let query = params
        .iter()
        .map(|(n, v)| format!("{}={}", percent(n), sent(n, v)))
        .collect::<Vec<_>>()
        .join("&");
    let mut url = url.clone();
    url.set_query(Some(&query));
    url
}

/// Slashes of routes are sent as they are, since some plugins, and WooCommerce before 11.1, look for them.
fn sent(name: &str, value: &str) -> String {
    match name {
        REST_ROUTE | VIA => value.split('/').map(percent).collect::<Vec<_>>().join("/"),
        _ => percent(value),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::testing::{recording, KEY, SECRET};
    use super::*;

    fn keys() -> Keys {
        Keys {
            key: KEY.to_owned(),
            secret: SECRET.to_owned(),
        }
    }

    /// Signs a recorded request again and compares with the signature that the shop accepted.
    fn check(site: &str, origin: &str, name: &str) {
        let recording = recording(&format!("{site}/errors/{name}.json"));
        let line = recording["request"]["line"].as_str().unwrap();
        let url = Url::parse(&format!("{origin}{}", line.strip_prefix("GET ").unwrap())).unwrap();
        let all: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let of = |wanted: &str| all.iter().find(|(n, _)| n == wanted).unwrap().1.clone();
        let params: Vec<_> = all
            .iter()
            .filter(|(n, _)| !n.starts_with("oauth_"))
            .cloned()
            .collect();
        let moment = Moment {
            nonce: of("oauth_nonce"),
            at: of("oauth_timestamp").parse().unwrap(),
        };
        let bare = format!("{origin}{}", url.path());
        let signed = keys().signer().sign("GET", &bare, &params, &moment);
        assert_eq!(signed.last().unwrap().1, of("oauth_signature"), "{site} {name}");
        let mut sent = params;
        sent.extend(signed);
        assert_eq!(with_query(&url, &sent).as_str(), url.as_str());
    }

    #[test]
    fn signatures_are_those_that_shops_accept() {
        for (site, origin) in [
            ("wc11", "http://127.0.0.1:18080"),
            ("wc8", "http://127.0.0.1:18081"),
        ] {
            check(site, origin, "oauth_ok");
            check(site, origin, "oauth_special_chars");
        }
    }

    #[test]
    fn the_sites_own_address_is_signed() {
        let url = |text: &str| Url::parse(text).unwrap();
        let signed = |own: Option<&str>, base: &str, target: &str| {
            let access = Access {
                mode: Mode::OAuth1,
                sign_base: own.map(url),
            };
            signed_url(&access, &url(base), &url(target))
        };
        let (base, target) = (
            "http://10.0.0.5:8080/shop/",
            "http://10.0.0.5:8080/shop/wp-json/wc/v3/orders?x=1",
        );
        assert_eq!(
            signed(None, base, target),
            "http://10.0.0.5:8080/shop/wp-json/wc/v3/orders"
        );
        assert_eq!(
            signed(Some("http://x.example"), base, target),
            "http://x.example/wp-json/wc/v3/orders"
        );
        assert_eq!(
            signed(Some("http://x.example/s"), base, target),
            "http://x.example/s/wp-json/wc/v3/orders"
        );
        assert_eq!(signed(None, base, base), "http://10.0.0.5:8080/shop");
        assert_eq!(signed(Some("http://x.example/"), base, base), "http://x.example");
    }

    #[test]
    fn each_mode_puts_the_keys_where_they_belong() {
        let base = Url::parse("https://shop.example/").unwrap();
        let get = |mode| {
            keys()
                .request(
                    &Access::plain(mode),
                    &base,
                    &base,
                    &Ask::get(&[("a".into(), "b c".into())]),
                )
                .unwrap()
        };
        let basic = get(Mode::Basic);
        assert_eq!(basic.url.as_str(), "https://shop.example/?a=b%20c");
        assert!(basic.headers[0].1.is_sensitive());
        assert!(get(Mode::Query)
            .url
            .as_str()
            .ends_with(&format!("&consumer_key={KEY}&consumer_secret={SECRET}")));
        assert!(!get(Mode::OAuth1).url.as_str().contains(SECRET));
        assert_ne!(get(Mode::OAuth1).url, get(Mode::OAuth1).url);
    }
}
