//! Kinds of connectors: which there are, and how one is opened.

use super::address::{parse_base_url, AllowList, Guard};
use super::http::HttpSettings;
use super::odoo::Odoo;
use super::woocommerce::WooCommerce;
use super::{odoo, woocommerce, Source};
use crate::core::EntityType;
use crate::error::{Code, Error, Result};
use reqwest::Url;
use serde_json::{Map, Value};
use std::str::FromStr;
use std::time::Duration;

/// What kind of system a connector speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectorKind {
    WooCommerce,
    Odoo,
}

impl ConnectorKind {
    pub const ALL: [ConnectorKind; 2] = [ConnectorKind::WooCommerce, ConnectorKind::Odoo];

    /// As users write it.
    pub const fn name(self) -> &'static str {
        match self {
            ConnectorKind::WooCommerce => "woocommerce",
            ConnectorKind::Odoo => "odoo",
        }
    }

    /// The entity types that systems of this kind have.
    pub const fn entities(self) -> &'static [EntityType] {
        match self {
            ConnectorKind::WooCommerce => woocommerce::ENTITIES,
            ConnectorKind::Odoo => odoo::ENTITIES,
        }
    }

    /// The entity types that a connector is for: those that its setting `entity_types` names, or all of its kind.
    pub fn chosen(self, settings: &Value) -> Result<Vec<EntityType>> {
        chosen(settings, self.entities())
    }

    /// The compared fields that records of this type from such a system can hold. What it can't hold is no
    /// difference: the local side may keep what it likes there.
    pub const fn fields(self, entity: EntityType) -> &'static [&'static str] {
        match self {
            ConnectorKind::WooCommerce => woocommerce::delivers::fields(entity),
            ConnectorKind::Odoo => odoo::delivers::fields(entity),
        }
    }

    /// Fields that records bring along beside these: they are written with the others, but a difference in them alone
    /// is no change of the record.
    pub const fn carried(self, entity: EntityType) -> &'static [&'static str] {
        match self {
            ConnectorKind::WooCommerce => woocommerce::delivers::carried(entity),
            ConnectorKind::Odoo => odoo::delivers::carried(entity),
        }
    }
}

impl FromStr for ConnectorKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wanted = text.trim().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == wanted)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                Error::new(Code::Invalid, format!("unknown connector kind \"{text}\""))
                    .hint(format!("Use one of: {names}."))
            })
    }
}

/// A connector's configuration, apart from its credentials.
#[derive(Debug, Clone)]
pub struct ConnectorConfig {
    /// Checked by [`parse_base_url`].
    pub base_url: Url,
    pub settings: Value,
    /// What [`Source::memo`] returned at another time; null where there is nothing.
    pub memo: Value,
    pub http: HttpSettings,
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
    let config = ConnectorConfig {
        base_url: parse_base_url(base_url)?,
        settings: settings.clone(),
        memo: memo.clone(),
        http,
    };
    match kind {
        ConnectorKind::WooCommerce => Ok(Box::new(WooCommerce::new(config, credentials)?)),
        ConnectorKind::Odoo => Ok(Box::new(Odoo::new(config, credentials)?)),
    }
}

/// Checks a connector's configuration without asking anybody: an address that is spelt out is judged now, one
/// that a name stands for when it is resolved. Returns which system it is, by its place and what else tells it from
/// its neighbours there: ids of two systems must not meet in one ledger.
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
    match kind {
        ConnectorKind::WooCommerce => woocommerce::validate(&base_url, settings, credentials),
        ConnectorKind::Odoo => odoo::validate(&base_url, settings, credentials),
    }
}

/// Settings that every kind knows; `deleted_scope` and `requests_per_second` are for the caller.
pub(super) const COMMON_SETTINGS: &[&str] = &[
    "ca_certificate",
    "deleted_scope",
    "entity_types",
    "requests_per_second",
    "timeout",
];

/// Greatest number that a setting may be.
const GREATEST: u64 = 1_000_000_000;

/// Which of these entity types the setting `entity_types` names, in their order; all where it names none.
pub(super) fn chosen(settings: &Value, all: &[EntityType]) -> Result<Vec<EntityType>> {
    let names = Fields::new("settings", settings)?.texts("entity_types")?;
    let wanted: Vec<EntityType> = names.iter().map(|name| name.parse()).collect::<Result<_>>()?;
    if let Some(other) = wanted.iter().find(|entity| !all.contains(entity)) {
        let names: Vec<_> = all.iter().map(|entity| entity.name()).collect();
        let message = format!("\"entity_types\" in settings: this kind has no {}", other.name());
        return Err(Error::new(Code::Invalid, message).hint(format!("It has: {}.", names.join(", "))));
    }
    let chosen = all.iter().copied().filter(|entity| wanted.contains(entity));
    Ok(match wanted.is_empty() {
        true => all.to_vec(),
        false => chosen.collect(),
    })
}

/// Reads a connector's settings or credentials field by field.
pub(super) struct Fields<'a> {
    what: &'static str,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    /// `what` names the object in messages. Null counts as empty.
    pub fn new(what: &'static str, value: &'a Value) -> Result<Self> {
        match value {
            Value::Null => Ok(Fields { what, map: None }),
            Value::Object(map) => Ok(Fields { what, map: Some(map) }),
            _ => Err(Error::new(Code::Invalid, format!("{what} must be a JSON object"))),
        }
    }

    /// Refuses names that are in none of the lists.
    pub fn only(&self, known: &[&[&str]]) -> Result<()> {
        let names = self.map.into_iter().flat_map(Map::keys);
        let unknown: Vec<_> = names
            .filter(|name| !known.concat().contains(&name.as_str()))
            .cloned()
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let mut known = known.concat();
        known.sort_unstable();
        // who mixes up names and values finds none of them in an error
        let named = match self.what {
            "credentials" => String::new(),
            _ => format!(": {}", unknown.join(", ")),
        };
        Err(Error::new(Code::Invalid, format!("unknown {}{named}", self.what))
            .hint(format!("Known are: {}.", known.join(", "))))
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.map?.get(name).filter(|value| !value.is_null())
    }

    fn bad(&self, name: &str, expected: &str) -> Error {
        Error::new(
            Code::Invalid,
            format!("{} must be {expected}", self.name_of(name)),
        )
    }

    fn name_of(&self, name: &str) -> String {
        format!("\"{name}\" in {}", self.what)
    }

    /// A text; never shown in messages, as it may be a secret.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .map(str::trim)
            .ok_or_else(|| self.bad(name, "a text"))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// A text that must be there.
    pub fn required(&self, name: &str, hint: &str) -> Result<&'a str> {
        let missing = || Error::new(Code::Invalid, format!("{} is missing", self.name_of(name))).hint(hint);
        self.text(name)?.ok_or_else(missing)
    }

    /// A yes or no; no where nothing is said.
    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| self.bad(name, "true or false")),
        }
    }

    /// A list of texts.
    pub fn texts(&self, name: &str) -> Result<Vec<String>> {
        let Some(value) = self.get(name) else {
            return Ok(Vec::new());
        };
        let items = value
            .as_array()
            .and_then(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let items = items.ok_or_else(|| self.bad(name, "a list of texts"))?;
        Ok(items.into_iter().map(|text| text.trim().to_owned()).collect())
    }

    /// A list of whole numbers.
    pub fn wholes(&self, name: &str) -> Result<Vec<u64>> {
        let Some(value) = self.get(name) else {
            return Ok(Vec::new());
        };
        let items = value
            .as_array()
            .and_then(|items| items.iter().map(Value::as_u64).collect::<Option<Vec<_>>>());
        items.ok_or_else(|| self.bad(name, "a list of whole numbers"))
    }

    /// A whole number.
    pub fn whole(&self, name: &str) -> Result<Option<u64>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_u64()
            .filter(|number| *number <= GREATEST)
            .map(Some)
            .ok_or_else(|| self.bad(name, "a whole number, at most 1000000000"))
    }

    /// A positive number.
    pub fn positive(&self, name: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|n| n.is_finite() && *n > 0.0);
        number.map(Some).ok_or_else(|| self.bad(name, "a number above 0"))
    }

    /// How often a second: what a clock can tell apart, and what no remote will see.
    pub fn rate(&self, name: &str) -> Result<Option<f64>> {
        match self.positive(name)? {
            Some(rate) if !(0.01..=10_000.0).contains(&rate) => {
                Err(self.bad(name, "0.01 to 10000 (a second)"))
            }
            rate => Ok(rate),
        }
    }

    /// A duration in seconds, up to ten minutes.
    pub fn seconds(&self, name: &str) -> Result<Option<Duration>> {
        match self.positive(name)? {
            Some(seconds) if (0.1..=600.0).contains(&seconds) => Ok(Some(Duration::from_secs_f64(seconds))),
            Some(_) => Err(self.bad(name, "0.1 to 600 (seconds)")),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde_json::json;

    #[test]
    fn kinds_are_known_by_name() {
        assert_eq!(
            " WooCommerce".parse::<ConnectorKind>().unwrap(),
            ConnectorKind::WooCommerce
        );
        let error = "shopify".parse::<ConnectorKind>().unwrap_err();
        assert_eq!(error.code, Code::Invalid);
        assert_eq!(error.hint.as_deref(), Some("Use one of: woocommerce, odoo."));
    }

    #[test]
    fn what_a_kind_delivers_is_compared_and_named_once() {
        for kind in ConnectorKind::ALL {
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

    #[test]
    fn the_address_of_the_api_is_not_that_of_the_shop() {
        let keys = json!({"consumer_key": "ck_1", "consumer_secret": "cs_1"});
        let check = |url: &str| validate(ConnectorKind::WooCommerce, url, &Value::Null, &keys, &[]);
        check("https://shop.example/sub").unwrap();
        assert_eq!(
            check("https://shop.example/wp-json/wc/v3/").unwrap_err().code,
            Code::Invalid
        );
    }

    #[test]
    fn entity_types_can_be_left_out() {
        let chosen = |settings: Value| ConnectorKind::Odoo.chosen(&settings).unwrap();
        assert_eq!(chosen(Value::Null), EntityType::ALL);
        assert_eq!(chosen(json!({"entity_types": []})), EntityType::ALL);
        assert_eq!(
            chosen(json!({"entity_types": [" Product", "customers"]})),
            [EntityType::Customers, EntityType::Products]
        );
    }

    #[test]
    fn a_local_address_is_refused_unless_it_is_allowed() {
        let keys = json!({"consumer_key": "ck_1", "consumer_secret": "cs_1"});
        let check = |url: &str, allowed: &[String]| {
            validate(ConnectorKind::WooCommerce, url, &Value::Null, &keys, allowed)
        };
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
            validate(
                ConnectorKind::WooCommerce,
                "https://shop.example",
                &settings,
                credentials,
                &[],
            )
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
