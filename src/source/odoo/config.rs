//! What an Odoo connector is told, and what it finds out.

use super::known::is_custom;
use crate::error::{Code, Error, Result};
use crate::source::http::Secrets;
use crate::source::settings::{Form, Given, Setting};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

const KEY_HINT: &str = "Make a key in Odoo > My Profile > Account Security > New API Key, and give \
    {\"database\": \"...\", \"login\": \"...\", \"api_key\": \"...\"}.";

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "companies",
        form: Form::Wholes,
        about: "ids of the companies whose records are read; all of the user's where none is named",
    },
    Setting {
        name: "compare_limit",
        form: Form::Whole {
            least: 0,
            most: 1_000_000_000,
            default: None,
        },
        about: "up to so many records, every pull reads them all; what fits one page where nothing is said",
    },
    Setting {
        name: "exclude_fields",
        form: Form::Texts,
        about: "fields of users (x_...) that are not read, as one that Odoo can't compute",
    },
    Setting {
        name: "keep_archived",
        form: Form::Flag,
        about: "what is archived in Odoo stays so, though its source is active",
    },
    Setting {
        name: "lang",
        form: Form::Text(Some("en_US")),
        about: "the language of translated texts and labels; it must be active in Odoo",
    },
    Setting {
        name: "page_size",
        form: Form::Whole {
            least: 1,
            most: 5000,
            // pages of 500 to 1,000 rows are answered fastest per row
            default: Some(1000),
        },
        about: "rows of a request",
    },
    Setting {
        name: "transport",
        form: Form::OneOf(&["auto", "json2", "jsonrpc"]),
        about: "which API is called; auto: found out",
    },
    Setting {
        name: "write_shared_fields",
        form: Form::Flag,
        about: "sync lists write address and tax number also to contacts that share them with their company",
    },
];

pub(super) const CREDENTIALS: &[Setting] = &[
    Setting {
        name: "api_key",
        form: Form::Text(None),
        about: "a key of My Profile > Account Security",
    },
    Setting {
        name: "database",
        form: Form::Text(None),
        about: "which database; not needed with a key where the host has one and speaks JSON-2",
    },
    Setting {
        name: "login",
        form: Form::Text(None),
        about: "whose key it is; not needed with a key where JSON-2 is spoken",
    },
    Setting {
        name: "password",
        form: Form::Text(None),
        about: "in the place of a key, with database and login",
    },
];

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

    fn by_name(name: &str) -> Option<Self> {
        [Transport::Json2, Transport::JsonRpc]
            .into_iter()
            .find(|transport| transport.name() == name)
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
    /// Writes may change what a contact has from its company, and so the company and its other contacts.
    pub write_shared_fields: bool,
    /// Fields of users that are not read.
    pub exclude_fields: Vec<String>,
    /// What is archived stays so, whatever a write says.
    pub keep_archived: bool,
}

impl Settings {
    pub fn read(given: &Given) -> Result<Self> {
        Ok(Settings {
            lang: lang(given)?,
            companies: given.wholes("companies"),
            page_size: given.whole("page_size").unwrap_or_default(),
            compare_limit: given.whole("compare_limit"),
            transport: Transport::by_name(given.text("transport").unwrap_or_default()),
            write_shared_fields: given.flag("write_shared_fields"),
            keep_archived: given.flag("keep_archived"),
            exclude_fields: exclude_fields(given)?,
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
fn exclude_fields(given: &Given) -> Result<Vec<String>> {
    let names = given.texts("exclude_fields");
    match names.iter().find(|name| !is_custom(name)) {
        Some(name) => Err(given
            .bad("exclude_fields", &format!("names \"{name}\", which is no field that users have added"))
            .hint("Name fields that begin with x_; sync_map leaves others out of the comparison.")),
        None => Ok(names),
    }
}

fn lang(given: &Given) -> Result<String> {
    let code = given.text("lang").unwrap_or_default();
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '-' | '.');
    if code.len() > 20 || !code.chars().all(fine) {
        return Err(given
            .bad("lang", "is no language code")
            .hint("Give a code such as \"en_US\" or \"de_DE\"."));
    }
    Ok(code.to_owned())
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
    pub fn read(given: &Given) -> Result<Self> {
        let (key, password) = (given.text("api_key"), given.text("password"));
        let secret = match (key, password) {
            (Some(_), Some(_)) => {
                return Err(
                    Error::new(Code::Invalid, "both api_key and password are in credentials")
                        .hint("Give one of them; the key is better."),
                )
            }
            (None, None) => given.required("api_key", KEY_HINT)?,
            (Some(secret), None) | (None, Some(secret)) => secret,
        };
        let (database, login) = (given.text("database"), given.text("login"));
        if key.is_none() && (database.is_none() || login.is_none()) {
            let missing = if login.is_none() { "login" } else { "database" };
            given.required(missing, "A password needs database and login with it.")?;
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
