//! Where a shop's API is: below a path, or, where the site's permalinks are plain, in the query.

use super::api::Params;
use crate::error::{Code, Error, Result};
use crate::source::http::Response;
use reqwest::Url;

/// The parameter that names a route to WordPress, whatever its permalinks are.
pub(super) const REST_ROUTE: &str = "rest_route";
/// WooCommerce before 11.1 looks at keys only where the address holds its API's path, and that means as it is written: in a
/// parameter that nobody knows it does, too (seen on 8.0 and 11.0: without, everything is 401).
pub(super) const VIA: &str = "_via";

/// Files that take routes in the query. WordPress itself names the first, as servers may redirect what is sent to a folder.
pub(super) const PLAIN: [&str; 2] = ["index.php", ""];

/// A shop's addresses.
pub(super) struct Site {
    /// Ends in a slash.
    pub base: Url,
    /// Below the base, without slashes at its ends: `wp-json/wc/v3`.
    path: String,
}

impl Site {
    pub fn new(base: Url, path: &str) -> Result<Self> {
        base.join(path)
            .map_err(|_| Error::new(Code::Invalid, "\"api_path\" in settings is no path"))?;
        Ok(Site {
            base,
            path: path.to_owned(),
        })
    }

    /// Where a route of the API is, and the parameters that lead there. `plain`: the file that takes it in the query.
    pub fn route(&self, plain: Option<&str>, route: &str) -> Result<(Url, Params)> {
        match plain {
            None => Ok((self.join(&format!("{}/{route}", self.path))?, Params::new())),
            Some(file) => {
                let to = format!("/{}/{route}", self.namespace());
                let params = [(REST_ROUTE, to), (VIA, self.path.clone())];
                let params = params.map(|(name, value)| (name.to_owned(), value));
                Ok((self.join(file)?, params.to_vec()))
            }
        }
    }

    /// Where the site describes itself.
    pub fn index(&self, plain: Option<&str>) -> Result<(Url, Params)> {
        let prefix = self.path.strip_suffix(self.namespace()).unwrap_or(&self.path);
        match plain {
            None => Ok((self.join(prefix)?, Params::new())),
            Some(file) => Ok((self.join(file)?, vec![(REST_ROUTE.to_owned(), "/".to_owned())])),
        }
    }

    /// The part of the path that is the API's own, behind what WordPress has its API below.
    fn namespace(&self) -> &str {
        let at = self.path.rfind("wc/").unwrap_or(0);
        &self.path[at..]
    }

    fn join(&self, path: &str) -> Result<Url> {
        self.base
            .join(path)
            .map_err(|_| Error::new(Code::Internal, format!("\"{path}\" is no route")))
    }
}

/// Whether an answer may come from something else than the API because there is none at its path: the theme's page, or the
/// server's.
pub(super) fn is_a_page(response: &Response) -> bool {
    response.json.is_none() && (response.is_success() || response.status == 404)
}

/// Whether an answer to the question for the site's description is WordPress' own: it, or a refusal of it.
pub(super) fn is_wordpress(response: &Response) -> bool {
    let is_description = |json: &serde_json::Value| json["namespaces"].is_array();
    response.json.as_ref().is_some_and(is_description) || response.remote_code().starts_with("rest_")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn at(path: &str, plain: Option<&str>) -> [String; 2] {
        let site = Site::new(Url::parse("https://shop.example/de/").unwrap(), path).unwrap();
        [site.route(plain, "orders/7").unwrap(), site.index(plain).unwrap()].map(|(url, params)| {
            let params: Vec<String> = params
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("{} {}", url.path(), params.join("&"))
        })
    }

    #[test]
    fn routes_are_below_a_path_or_in_the_query() {
        assert_eq!(
            at("wp-json/wc/v3", None),
            ["/de/wp-json/wc/v3/orders/7 ", "/de/wp-json/ "]
        );
        assert_eq!(
            at("wp-json/wc/v3", Some("index.php")),
            [
                "/de/index.php rest_route=/wc/v3/orders/7&_via=wp-json/wc/v3",
                "/de/index.php rest_route=/"
            ]
        );
        assert_eq!(
            at("api/wc/v3", Some("")),
            [
                "/de/ rest_route=/wc/v3/orders/7&_via=api/wc/v3",
                "/de/ rest_route=/"
            ]
        );
        assert_eq!(at("index.php/wp-json/wc/v3", None)[1], "/de/index.php/wp-json/ ");
    }
}
