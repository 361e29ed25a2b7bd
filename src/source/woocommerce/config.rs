//! What a WooCommerce connector is told, and what it finds out.

use super::auth::{Keys, Mode};
use super::page::PER_PAGE;
use crate::error::{Code, Error, Result};
use crate::source::settings::{Form, Given, Setting};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const KEY_HINT: &str =
    "Make a key in WooCommerce > Settings > Advanced > REST API, and give {\"consumer_key\": \"ck_...\", \"consumer_secret\": \"cs_...\"}.";

/// What may not stay so is found out anew after so many seconds: a host may be stronger by then, a plugin gone.
const LIFE: i64 = 24 * 3600;
/// SKUs of products that are kept; others are asked for whenever they are needed.
const SKUS: usize = 1000;

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "api_path",
        form: Form::Text(Some("/wp-json/wc/v3")),
        about: "where the API is, below the shop's address",
    },
    Setting {
        name: "auth",
        form: Form::OneOf(&["auto", "basic", "query", "oauth1"]),
        about: "how requests show the key; auto: found out",
    },
    Setting {
        name: "compare_limit",
        form: Form::Whole {
            least: 0,
            most: 1_000_000_000,
            default: Some(5000),
        },
        about: "up to so many records, an incremental pull reads all: some changes bump no date",
    },
    Setting {
        name: "customer_role",
        form: Form::Text(Some("customer")),
        about: "which users are customers: a role, or all",
    },
    Setting {
        name: "deletion_checks",
        form: Form::Whole {
            least: 0,
            most: 1_000_000,
            // a question each: about a minute at the usual pace
            default: Some(500),
        },
        about: "records that no list shows are asked for one by one, so many in a pull",
    },
    Setting {
        name: "order_statuses",
        form: Form::Texts,
        about: "order statuses of plugins that the shop doesn't announce",
    },
    Setting {
        name: "page_size",
        form: Form::Whole {
            least: 2,
            most: PER_PAGE,
            default: Some(PER_PAGE),
        },
        about: "rows of a page",
    },
];

pub(super) const CREDENTIALS: &[Setting] = &[
    Setting {
        name: "consumer_key",
        form: Form::Text(None),
        about: "the key (ck_...) of WooCommerce > Settings > Advanced > REST API",
    },
    Setting {
        name: "consumer_secret",
        form: Form::Text(None),
        about: "its secret (cs_...)",
    },
];

/// The connector's settings.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Which users are customers: a role, or "all".
    pub customer_role: String,
    /// Order statuses of plugins, beside those that are found out.
    pub order_statuses: Vec<String>,
    /// Without slashes at its ends.
    pub api_path: String,
    /// Up to this many records, an incremental pass reads everything: it is cheap, and sees what
    /// bumps no date.
    pub compare_limit: u64,
    /// Rows of a page, 2 to 100.
    pub page_size: u64,
    /// So many records that lists lack are asked for by id in one pull.
    pub deletion_checks: usize,
    /// None: find out.
    pub auth: Option<Mode>,
}

impl Settings {
    pub fn read(given: &Given) -> Result<Self> {
        let text = |name| given.text(name).unwrap_or_default();
        let whole = |name| given.whole(name).unwrap_or_default();
        Ok(Settings {
            page_size: whole("page_size"),
            deletion_checks: whole("deletion_checks") as usize,
            customer_role: text("customer_role").to_owned(),
            order_statuses: statuses(given)?,
            api_path: api_path(given)?,
            compare_limit: whole("compare_limit"),
            auth: Mode::by_name(text("auth")),
        })
    }
}

fn api_path(given: &Given) -> Result<String> {
    let path = given.text("api_path").unwrap_or_default().trim_matches('/');
    if path.is_empty() || path.contains(['?', '#', ':', '\\']) || path.split('/').any(|part| part == "..") {
        return Err(given
            .bad("api_path", "is no path")
            .hint("The usual ones are /wp-json/wc/v3 and /index.php/wp-json/wc/v3."));
    }
    Ok(path.to_owned())
}

/// Statuses are sent as a comma list, without WordPress' prefix.
fn statuses(given: &Given) -> Result<Vec<String>> {
    let slug = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let named = given.texts("order_statuses").into_iter().map(|status| {
        let status = status.strip_prefix("wc-").unwrap_or(&status).to_owned();
        let is_unreadable = matches!(status.as_str(), "" | "any" | "trash" | "auto-draft");
        if is_unreadable || !status.chars().all(slug) {
            return Err(given
                .bad("order_statuses", &format!("names \"{status}\", which is no order status that can be read"))
                .hint("Name statuses such as \"packed\", one by one."));
        }
        Ok(status)
    });
    named.collect()
}

/// The shop's own address is asked for, and people paste that of its API.
pub(super) fn check_base_url(base_url: &Url) -> Result<()> {
    if base_url.path().split('/').any(|part| part == "wp-json") {
        return Err(Error::new(
            Code::Invalid,
            "base_url must be the shop's address, not that of its API",
        )
        .hint("Leave out /wp-json and what follows; an unusual path goes into the setting api_path."));
    }
    Ok(())
}

/// The connector's credentials.
pub(super) fn keys(given: &Given) -> Result<Keys> {
    Ok(Keys {
        key: given.required("consumer_key", KEY_HINT)?.to_owned(),
        secret: given.required("consumer_secret", KEY_HINT)?.to_owned(),
    })
}

/// What was found out about a shop. Kept with the connector; whatever is missing is found out again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Mode>,
    /// Under OAuth: the site's own address, where it differs from base_url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_base: Option<String>,
    /// Permalinks are plain: the file that takes routes in its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plain: Option<String>,
    /// Whether variations can be listed for all products at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global_variations: Option<bool>,
    /// The order statuses that the shop has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_statuses: Option<Vec<String>>,
    /// Rows that the shop, or its host, gives at once, by listing, where they are fewer than it should.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub page_sizes: BTreeMap<String, u64>,
    /// SKUs of products with variations that no list shows.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unlisted_skus: BTreeMap<String, String>,
    /// When the first of these was found out, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_at: Option<i64>,
}

impl Memo {
    /// Notes how many rows of a listing come at once.
    pub fn note_page_size(&mut self, list: &str, rows: u64, now: i64) {
        let known = self.page_sizes.entry(list.to_owned()).or_insert(rows);
        *known = rows.min(*known).max(2);
        self.found_at.get_or_insert(now);
    }

    /// Notes the SKU of a product that no list shows.
    pub fn note_sku(&mut self, id: &str, sku: &str, now: i64) {
        if self.unlisted_skus.len() < SKUS {
            self.unlisted_skus.insert(id.to_owned(), sku.to_owned());
            self.found_at.get_or_insert(now);
        }
    }

    /// Forgets what was found out long ago and may be otherwise by now.
    pub fn forget(&mut self, now: i64) {
        if self.found_at.is_some_and(|at| now - at > LIFE) {
            self.page_sizes.clear();
            self.unlisted_skus.clear();
            self.found_at = None;
        }
    }
}
