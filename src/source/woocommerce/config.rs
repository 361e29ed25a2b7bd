//! What a WooCommerce connector is told, and what it finds out.

use super::auth::{Keys, Mode};
use super::page::PER_PAGE;
use crate::error::{Code, Error, Result};
use crate::source::http::certificates;
use crate::source::kind::{Fields, COMMON_SETTINGS};
use crate::source::webhook;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const OWN_SETTINGS: &[&str] = &[
    "api_path",
    "auth",
    "compare_limit",
    "customer_role",
    "deletion_checks",
    "order_statuses",
    "page_size",
];
const KEY_HINT: &str =
    "Make a key in WooCommerce > Settings > Advanced > REST API, and give {\"consumer_key\": \"ck_...\", \"consumer_secret\": \"cs_...\"}.";

/// A question each: about a minute at the usual pace.
const DELETION_CHECKS: u64 = 500;
const MOST_CHECKS: u64 = 1_000_000;
/// What may not stay so is found out anew after so many seconds: a host may be stronger by then, a plugin gone.
const LIFE: i64 = 24 * 3600;
/// SKUs of products that are kept; others are asked for whenever they are needed.
const SKUS: usize = 1000;

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
    pub ca_certificate: Option<String>,
    pub timeout: Option<Duration>,
    /// None: find out.
    pub auth: Option<Mode>,
}

impl Settings {
    pub fn parse(settings: &Value) -> Result<Self> {
        let fields = Fields::new("settings", settings)?;
        fields.only(&[COMMON_SETTINGS, OWN_SETTINGS])?;
        fields.rate("requests_per_second")?;
        let ca_certificate = fields.text("ca_certificate")?.map(str::to_owned);
        if let Some(pem) = &ca_certificate {
            certificates(pem)?;
        }
        let page_size = fields.whole("page_size")?.unwrap_or(PER_PAGE);
        if !(2..=PER_PAGE).contains(&page_size) {
            let message = format!("\"page_size\" in settings must be 2 to {PER_PAGE}");
            return Err(Error::new(Code::Invalid, message));
        }
        let deletion_checks = fields.whole("deletion_checks")?.unwrap_or(DELETION_CHECKS);
        if deletion_checks > MOST_CHECKS {
            let message = format!("\"deletion_checks\" in settings must be at most {MOST_CHECKS}");
            return Err(Error::new(Code::Invalid, message));
        }
        Ok(Settings {
            page_size,
            deletion_checks: deletion_checks as usize,
            customer_role: fields.text("customer_role")?.unwrap_or("customer").to_owned(),
            order_statuses: statuses(fields.texts("order_statuses")?)?,
            api_path: api_path(fields.text("api_path")?.unwrap_or("/wp-json/wc/v3"))?,
            compare_limit: fields.whole("compare_limit")?.unwrap_or(5000),
            ca_certificate,
            timeout: fields.seconds("timeout")?,
            auth: auth(fields.text("auth")?.unwrap_or("auto"))?,
        })
    }
}

fn auth(name: &str) -> Result<Option<Mode>> {
    match Mode::by_name(name) {
        Some(mode) => Ok(Some(mode)),
        None if name == "auto" => Ok(None),
        None => Err(
            Error::new(Code::Invalid, format!("unknown auth \"{name}\" in settings"))
                .hint("Use one of: auto, basic, query, oauth1."),
        ),
    }
}

fn api_path(path: &str) -> Result<String> {
    let path = path.trim_matches('/');
    if path.is_empty() || path.contains(['?', '#', ':', '\\']) || path.split('/').any(|part| part == "..") {
        return Err(Error::new(Code::Invalid, "\"api_path\" in settings is no path")
            .hint("The usual ones are /wp-json/wc/v3 and /index.php/wp-json/wc/v3."));
    }
    Ok(path.to_owned())
}

/// Statuses are sent as a comma list, without WordPress' prefix.
fn statuses(list: Vec<String>) -> Result<Vec<String>> {
    let slug = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    list.into_iter()
        .map(|status| {
            let status = status.strip_prefix("wc-").unwrap_or(&status).to_owned();
            if status.is_empty()
                || !status.chars().all(slug)
                || matches!(status.as_str(), "any" | "trash" | "auto-draft")
            {
                let message = format!("\"{status}\" in order_statuses is no order status that can be read");
                return Err(
                    Error::new(Code::Invalid, message).hint("Name statuses such as \"packed\", one by one.")
                );
            }
            Ok(status)
        })
        .collect()
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

/// Reads the connector's credentials.
pub(super) fn keys(credentials: &Value) -> Result<Keys> {
    let fields = Fields::new("credentials", credentials)?;
    fields.only(&[&["consumer_key", "consumer_secret", webhook::SECRET]])?;
    fields.text(webhook::SECRET)?;
    Ok(Keys {
        key: fields.required("consumer_key", KEY_HINT)?.to_owned(),
        secret: fields.required("consumer_secret", KEY_HINT)?.to_owned(),
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

    /// A memo that can't be read counts as none.
    pub fn parse(memo: &Value) -> Self {
        serde_json::from_value(memo.clone()).unwrap_or_default()
    }
}
