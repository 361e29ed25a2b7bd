//! What an Odoo connector is told, and what it finds out.

use super::known::is_custom;
use crate::error::{Code, Error, Result};
use crate::source::http::{certificates, Secrets};
use crate::source::kind::{Fields, COMMON_SETTINGS};
use crate::source::webhook;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use std::time::Duration;

const OWN_SETTINGS: &[&str] = &[
    "companies",
    "compare_limit",
    "exclude_fields",
    "keep_archived",
    "lang",
    "page_size",
    "transport",
    "write_shared_fields",
];
const KEY_HINT: &str = "Make a key in Odoo > My Profile > Account Security > New API Key, and give \
    {\"database\": \"...\", \"login\": \"...\", \"api_key\": \"...\"}.";
/// Pages of 500 to 1,000 rows are answered fastest per row.
const PAGE_SIZE: u64 = 1000;

/// How calls travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Transport {
    /// `/json/2/<model>/<method>`, from Odoo 19 on.
    Json2,
    /// `/jsonrpc`, until Odoo 21.
    JsonRpc,
}

impl Transport {
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Json2 => "json2",
            Transport::JsonRpc => "jsonrpc",
        }
    }
}

/// The connector's settings.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The language in which translated fields and labels are read.
    pub lang: String,
    /// The companies whose records are read; none: all of the user's.
    pub companies: Vec<u64>,
    /// Rows asked for at once.
    pub page_size: u64,
    /// Up to this many records, an incremental pass reads everything; None: one page.
    pub compare_limit: Option<u64>,
    /// None: find out.
    pub transport: Option<Transport>,
    pub ca_certificate: Option<String>,
    pub timeout: Option<Duration>,
    /// Writes may change what a contact has from its company, and so the company and its other contacts.
    pub write_shared_fields: bool,
    /// Fields of users that are not read.
    pub exclude_fields: Vec<String>,
    /// What is archived stays so, whatever a write says.
    pub keep_archived: bool,
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
        let page_size = fields.whole("page_size")?.unwrap_or(PAGE_SIZE);
        if !(1..=5000).contains(&page_size) {
            return Err(Error::new(
                Code::Invalid,
                "\"page_size\" in settings must be 1 to 5000",
            ));
        }
        Ok(Settings {
            lang: lang(fields.text("lang")?.unwrap_or("en_US"))?,
            companies: fields.wholes("companies")?,
            page_size,
            compare_limit: fields.whole("compare_limit")?,
            transport: transport(fields.text("transport")?.unwrap_or("auto"))?,
            ca_certificate,
            timeout: fields.seconds("timeout")?,
            write_shared_fields: fields.flag("write_shared_fields")?,
            keep_archived: fields.flag("keep_archived")?,
            exclude_fields: exclude_fields(&fields)?,
        })
    }

    /// The context of every call. Without `active_test`, archived records would look deleted.
    pub fn context(&self) -> Value {
        let mut context = json!({"active_test": false, "lang": self.lang});
        if !self.companies.is_empty() {
            context["allowed_company_ids"] = json!(self.companies);
        }
        context
    }
}

/// What records are compared by can't be left out of them: they would look emptied.
fn exclude_fields(fields: &Fields) -> Result<Vec<String>> {
    let names = fields.texts("exclude_fields")?;
    match names.iter().find(|name| !is_custom(name)) {
        Some(name) => Err(Error::new(
            Code::Invalid,
            format!("\"exclude_fields\" in settings: \"{name}\" is no field that users have added"),
        )
        .hint("Name fields that begin with x_; sync_map leaves others out of the comparison.")),
        None => Ok(names),
    }
}

fn lang(code: &str) -> Result<String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '-' | '.');
    if code.len() > 20 || !code.chars().all(fine) {
        return Err(
            Error::new(Code::Invalid, "\"lang\" in settings is no language code")
                .hint("Give a code such as \"en_US\" or \"de_DE\"."),
        );
    }
    Ok(code.to_owned())
}

fn transport(name: &str) -> Result<Option<Transport>> {
    match name {
        "auto" => Ok(None),
        "json2" => Ok(Some(Transport::Json2)),
        "jsonrpc" => Ok(Some(Transport::JsonRpc)),
        _ => Err(
            Error::new(Code::Invalid, format!("unknown transport \"{name}\" in settings"))
                .hint("Use one of: auto, json2, jsonrpc."),
        ),
    }
}

/// The server's own address is asked for, and people paste that of its web client or API.
pub(super) fn check_base_url(base_url: &Url) -> Result<()> {
    let pages = ["web", "odoo", "jsonrpc", "json", "xmlrpc"];
    if base_url.path().split('/').any(|part| pages.contains(&part)) {
        return Err(Error::new(
            Code::Invalid,
            "base_url must be Odoo's address, not that of a page or API of it",
        )
        .hint("Leave out /web, /odoo or /jsonrpc and what follows."));
    }
    Ok(())
}

/// Who the connector is.
#[derive(Clone)]
pub(super) struct Credentials {
    /// Not needed where JSON-2 is spoken and the host has one database.
    pub database: Option<String>,
    /// Not needed with JSON-2.
    pub login: Option<String>,
    /// The API key, or the password.
    pub secret: String,
    /// JSON-2 takes keys only.
    pub is_key: bool,
}

impl Credentials {
    pub fn parse(credentials: &Value) -> Result<Self> {
        let fields = Fields::new("credentials", credentials)?;
        fields.only(&[&["database", "login", "api_key", "password", webhook::SECRET]])?;
        fields.text(webhook::SECRET)?;
        let (key, password) = (fields.text("api_key")?, fields.text("password")?);
        let secret = match (key, password) {
            (Some(_), Some(_)) => {
                return Err(
                    Error::new(Code::Invalid, "both api_key and password are in credentials")
                        .hint("Give one of them; the key is better."),
                )
            }
            (None, None) => fields.required("api_key", KEY_HINT)?,
            (Some(secret), None) | (None, Some(secret)) => secret,
        };
        let (database, login) = (fields.text("database")?, fields.text("login")?);
        if key.is_none() && (database.is_none() || login.is_none()) {
            let missing = if login.is_none() { "login" } else { "database" };
            fields.required(missing, "A password needs database and login with it.")?;
        }
        Ok(Credentials {
            database: database.map(str::to_owned),
            login: login.map(str::to_owned),
            secret: secret.to_owned(),
            is_key: key.is_some(),
        })
    }

    /// All that must never be shown.
    pub fn secrets(&self) -> Secrets {
        Secrets::new(&[&self.secret])
    }
}

/// What was found out about a server. Kept with the connector; whatever is missing is found out again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// The user's id: asking for it takes Odoo up to a second, as it checks a slow hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u64>,
    /// JSON-2 answers only where the database is not named.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nameless: bool,
    /// What the user speaks, where it isn't what the connector reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_lang: Option<String>,
}

impl Memo {
    /// A memo that can't be read counts as none.
    pub fn parse(memo: &Value) -> Self {
        serde_json::from_value(memo.clone()).unwrap_or_default()
    }
}
