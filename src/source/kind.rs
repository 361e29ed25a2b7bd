//! Kinds of systems: what is known of one without asking it, and how a connector is opened.

use super::address::{parse_base_url, AllowList, Guard};
use super::http::HttpSettings;
use super::kinds::KINDS;
use super::settings::{described, Given, Setting, COMMON, COMMON_CREDENTIALS, WEBHOOK_SECRET};
use super::webhook::{Headers, Notice};
use super::Source;
use crate::core::EntityType;
use crate::error::{Code, Error, Result};
use reqwest::Url;
use serde_json::{json, Value};
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// A kind of system. Each has a folder, and a line in `kinds.rs`.
pub trait Kind: Sync {
    /// As users write it.
    fn name(&self) -> &'static str;

    /// The entity types that systems of this kind have.
    fn entities(&self) -> &'static [EntityType];

    /// The compared fields that records of this type from such a system can hold. What it can't hold is no
    /// difference: the local side may keep what it likes there.
    fn fields(&self, entity: EntityType) -> &'static [&'static str];

    /// Fields that records bring along beside these: they are written with the others, but a difference in them alone
    /// is no change of the record.
    fn carried(&self, entity: EntityType) -> &'static [&'static str];

    /// What sync lists can do to records of this type there; none: they are read only.
    fn writes(&self, entity: EntityType) -> &'static [Verb];

    /// Its settings, beside those that every kind has.
    fn settings(&self) -> &'static [Setting];

    /// Its credentials, beside those that every kind may have.
    fn credentials(&self) -> &'static [Setting];

    /// Checks what their forms don't say, without asking anybody. Returns which system it is, by its place and what else
    /// tells it from its neighbours there: ids of two systems must not meet in one ledger.
    fn validate(&self, base_url: &Url, settings: &Given, credentials: &Given) -> Result<String>;

    /// Opens a connector. Asks nothing of the remote yet.
    fn open(&self, config: Config, settings: &Given, credentials: &Given) -> Result<Box<dyn Source>>;

    /// Checks who has sent a webhook's delivery, and reads what it is about. `secret`: the credentials'.
    fn read_webhook(&self, secret: Option<&str>, headers: &Headers, body: &str) -> Result<Notice>;
}

/// What can be done to a record of a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Create,
    Update,
}

impl Verb {
    pub const fn name(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Update => "update",
        }
    }
}

/// A kind that there is.
#[derive(Clone, Copy)]
pub struct ConnectorKind(&'static dyn Kind);

impl Deref for ConnectorKind {
    type Target = dyn Kind;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl fmt::Debug for ConnectorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for ConnectorKind {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for ConnectorKind {}

impl FromStr for ConnectorKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wanted = text.trim().to_ascii_lowercase();
        Self::all().find(|kind| kind.name() == wanted).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(|kind| kind.name()).collect();
            Error::new(Code::Invalid, format!("unknown connector kind \"{text}\""))
                .hint(format!("Use one of: {}.", names.join(", ")))
        })
    }
}

impl ConnectorKind {
    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|kind| ConnectorKind(*kind))
    }
}

impl dyn Kind {
    fn all_settings(&self) -> impl Iterator<Item = &'static Setting> {
        COMMON.iter().chain(self.settings())
    }

    fn all_credentials(&self) -> impl Iterator<Item = &'static Setting> {
        COMMON_CREDENTIALS.iter().chain(self.credentials())
    }

    /// Its settings, for people: `{name: {"type", "default", ..., "description"}}`.
    pub fn described_settings(&self) -> Value {
        described(self.all_settings())
    }

    /// Its credentials, in the same way.
    pub fn described_credentials(&self) -> Value {
        described(self.all_credentials())
    }

    /// The entity types that a connector is for: those that its setting `entity_types` names, or all of its kind.
    pub fn chosen(&self, settings: &Value) -> Result<Vec<EntityType>> {
        let named = json!({"entity_types": settings["entity_types"]});
        self.checked_settings(&named)?.entities(self.entities())
    }

    /// Settings that were checked against what is declared.
    pub fn checked_settings(&self, settings: &Value) -> Result<Given> {
        Given::check("settings", settings, self.all_settings())
    }

    /// Credentials that were checked against what is declared.
    pub fn checked_credentials(&self, credentials: &Value) -> Result<Given> {
        Given::check("credentials", credentials, self.all_credentials())
    }

    /// See [`Kind::read_webhook`].
    ///
    /// # Errors
    /// 42501 where the signature is missing or wrong, 55000 where no secret is known, 22023 for what can't be read.
    pub fn notice(&self, credentials: &Value, headers: &Value, body: &str) -> Result<Notice> {
        let headers = Headers::parse(headers)?;
        let credentials = self.checked_credentials(credentials)?;
        self.read_webhook(credentials.text(WEBHOOK_SECRET), &headers, body)
    }
}

/// A connector's configuration, apart from what its kind declares.
#[derive(Debug, Clone)]
pub struct Config {
    /// Checked by [`parse_base_url`].
    pub base_url: Url,
    /// Those that the connector is for.
    pub entities: Vec<EntityType>,
    /// PEM of the certificates to trust; None: the system's.
    pub ca_certificate: Option<String>,
    /// What [`Source::memo`] returned at another time; null where there is nothing.
    pub memo: Value,
    pub http: HttpSettings,
}

/// A configuration whose parts were checked: with settings and credentials, as [`Kind::open`] takes it.
pub fn configured(
    kind: ConnectorKind,
    base_url: &str,
    settings: &Value,
    credentials: &Value,
    memo: &Value,
    mut http: HttpSettings,
) -> Result<(Config, Given, Given)> {
    let settings = kind.checked_settings(settings)?;
    let credentials = kind.checked_credentials(credentials)?;
    http.timeout = settings.seconds("timeout").unwrap_or(http.timeout);
    let config = Config {
        base_url: parse_base_url(base_url)?,
        entities: settings.entities(kind.entities())?,
        ca_certificate: settings.text("ca_certificate").map(str::to_owned),
        memo: memo.clone(),
        http,
    };
    Ok((config, settings, credentials))
}

/// Opens a connector. Asks nothing of the remote yet.
///
/// Call it with the signals blocked that this thread must not get: the client's own threads inherit it.
pub fn open(
    kind: ConnectorKind,
    base_url: &str,
    settings: &Value,
    credentials: &Value,
    memo: &Value,
    http: HttpSettings,
) -> Result<Box<dyn Source>> {
    let (config, settings, credentials) = configured(kind, base_url, settings, credentials, memo, http)?;
    kind.open(config, &settings, &credentials)
}

/// Checks a connector's configuration without asking anybody: an address that is spelt out is judged now, one
/// that a name stands for when it is resolved. Returns which system it is (see [`Kind::validate`]).
pub fn validate(
    kind: ConnectorKind,
    base_url: &str,
    settings: &Value,
    credentials: &Value,
    allowed_hosts: &[String],
) -> Result<String> {
    let base_url = parse_base_url(base_url)?;
    Guard::new(&base_url, AllowList::parse(allowed_hosts)?).check_url(&base_url)?;
    kind.chosen(settings)?;
    let settings = kind.checked_settings(settings)?;
    kind.validate(&base_url, &settings, &kind.checked_credentials(credentials)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::core::Record;
    use serde_json::Map;

    fn woocommerce() -> ConnectorKind {
        "woocommerce".parse().unwrap()
    }

    fn odoo() -> ConnectorKind {
        "odoo".parse().unwrap()
    }

    #[test]
    fn kinds_are_known_by_name() {
        assert_eq!(" WooCommerce".parse::<ConnectorKind>().unwrap(), woocommerce());
        let error = "shopify".parse::<ConnectorKind>().unwrap_err();
        assert_eq!(error.code, Code::Invalid);
        assert_eq!(error.hint.as_deref(), Some("Use one of: woocommerce, odoo, toy."));
    }

    #[test]
    fn what_a_kind_delivers_is_compared_and_named_once() {
        for kind in ConnectorKind::all() {
            for entity in EntityType::ALL {
                let compared = crate::core::schema::compared(entity);
                let mut names = kind.fields(entity).to_vec();
                for name in &names {
                    assert!(compared.iter().any(|f| f.name == *name), "{name}");
                }
                let all = names.len();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), all);
            }
        }
    }

    /// What a kind says that it writes is what it makes drafts for.
    #[test]
    fn what_a_kind_writes_it_drafts() {
        let record = json!({"name": "Acme", "email": "a@example.com", "sku": "a", "type": "simple", "role": "customer"});
        let record: Map<String, Value> = record.as_object().unwrap().clone();
        let keys = [
            (
                "woocommerce",
                json!({"consumer_key": "ck_1", "consumer_secret": "cs_1"}),
            ),
            ("odoo", json!({"api_key": "a", "database": "d", "login": "l"})),
        ];
        for (kind, keys) in keys {
            let kind: ConnectorKind = kind.parse().unwrap();
            let (url, http) = ("https://x.example", HttpSettings::default());
            let source = open(kind, url, &Value::Null, &keys, &Value::Null, http).unwrap();
            for entity in EntityType::ALL {
                let held = Record::new(entity, "7", record.clone());
                let can = |current| source.draft(entity, &record, current).is_ok();
                let told = |verb| kind.writes(entity).contains(&verb);
                let found = (can(None), can(Some(&held)));
                assert_eq!(
                    found,
                    (told(Verb::Create), told(Verb::Update)),
                    "{kind:?} {entity:?}"
                );
            }
        }
    }

    #[test]
    fn the_address_of_the_api_is_not_that_of_the_shop() {
        let keys = json!({"consumer_key": "ck_1", "consumer_secret": "cs_1"});
        let check = |url: &str| validate(woocommerce(), url, &Value::Null, &keys, &[]);
        check("https://shop.example/sub").unwrap();
        assert_eq!(
            check("https://shop.example/wp-json/wc/v3/").unwrap_err().code,
            Code::Invalid
        );
    }

    #[test]
    fn entity_types_can_be_left_out() {
        let chosen = |settings: Value| odoo().chosen(&settings).unwrap();
        assert_eq!(chosen(Value::Null), EntityType::ALL);
        assert_eq!(chosen(json!({"entity_types": []})), EntityType::ALL);
        assert_eq!(
            chosen(json!({"entity_types": [" Product", "customers"]})),
            [EntityType::Customers, EntityType::Products]
        );
    }

    #[test]
    fn without_a_secret_nothing_is_believed() {
        for kind in ConnectorKind::all() {
            for credentials in [json!({}), json!({ "webhook_secret": "" })] {
                let error = kind
                    .notice(&credentials, &json!({ "x-webhook-token": "" }), r#"{"id": 727}"#)
                    .unwrap_err();
                assert_eq!(error.code, Code::NotReady);
                assert!(error.hint.unwrap().contains("webhook_secret"));
            }
        }
    }

    #[test]
    fn a_local_address_is_refused_unless_it_is_allowed() {
        let keys = json!({"consumer_key": "ck_1", "consumer_secret": "cs_1"});
        let check =
            |url: &str, allowed: &[String]| validate(woocommerce(), url, &Value::Null, &keys, allowed);
        for url in [
            "http://127.0.0.1",
            "http://0177.0.0.1",
            "http://2130706433",
            "http://[::1]",
            "http://169.254.169.254",
        ] {
            assert_eq!(check(url, &[]).unwrap_err().code, Code::Unreachable, "{url}");
        }
        check("http://127.0.0.1:8080", &["127.0.0.1".to_owned()]).unwrap();
    }

    #[test]
    fn mistakes_are_named() {
        let keys = json!({"consumer_key": "ck_1", "consumer_secret": "cs_hidden"});
        let check = |settings: Value, credentials: &Value| {
            validate(woocommerce(), "https://shop.example", &settings, credentials, &[])
        };
        check(Value::Null, &keys).unwrap();
        check(
            json!({"customer_role": "all", "order_statuses": ["packed"], "compare_limit": 10, "timeout": 5,
            "requests_per_second": 2.5, "auth": "oauth1", "api_path": "/index.php/wp-json/wc/v3"}),
            &keys,
        )
        .unwrap();
        for (settings, credentials, named) in [
            (json!({"colour": 1}), keys.clone(), "colour"),
            (json!([]), keys.clone(), "settings"),
            (json!({"auth": "digest"}), keys.clone(), "auth"),
            (json!({"compare_limit": -1}), keys.clone(), "compare_limit"),
            (json!({"timeout": 0}), keys.clone(), "timeout"),
            (json!({"timeout": 601}), keys.clone(), "timeout"),
            (json!({"entity_types": ["sales"]}), keys.clone(), "entity_types"),
            (json!({"entity_types": ["sails"]}), keys.clone(), "sails"),
            (json!({"entity_types": "orders"}), keys.clone(), "entity_types"),
            (
                json!({"order_statuses": "packed"}),
                keys.clone(),
                "order_statuses",
            ),
            (json!({"order_statuses": ["trash"]}), keys.clone(), "trash"),
            (json!({"order_statuses": ["a,b"]}), keys.clone(), "a,b"),
            (json!({"api_path": "https://x"}), keys.clone(), "api_path"),
            (json!({"ca_certificate": "x"}), keys.clone(), "ca_certificate"),
            (json!({}), Value::Null, "consumer_key"),
            (json!({}), json!({"consumer_key": "ck_1"}), "consumer_secret"),
            (
                json!({}),
                json!({"consumer_key": "ck_1", "consumer_secret": ""}),
                "consumer_secret",
            ),
            (
                json!({}),
                json!({"consumer_key": 5, "consumer_secret": "cs_hidden"}),
                "consumer_key",
            ),
            (
                json!({}),
                json!({"consumer_key": "ck_1", "consumer_secret": "cs_hidden", "pin": "1"}),
                "credentials",
            ),
        ] {
            let error = check(settings, &credentials).unwrap_err();
            assert_eq!(error.code, Code::Invalid);
            assert!(error.message.contains(named), "{error:?}");
            assert!(!format!("{error:?}").contains("cs_hidden"));
        }
    }
}
