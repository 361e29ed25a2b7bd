//! What a connector is told: settings and credentials. A kind declares them; they are checked, read and listed by that
//! declaration alone.

use super::http::certificates;
use crate::core::EntityType;
use crate::error::{Code, Error, Result};
use serde_json::{json, Map, Value};
use std::time::Duration;

/// One setting, or one part of the credentials.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    pub form: Form,
    /// What it is for, in a sentence without its end.
    pub about: &'static str,
}

/// What a value may be. Blanks around texts don't count, and an empty one is none.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// A text, and what is taken where none is given.
    Text(Option<&'static str>),
    /// One of these texts; the first where none is given.
    OneOf(&'static [&'static str]),
    /// Certificates, as PEM.
    Certificates,
    /// True or false; false where nothing is said.
    Flag,
    /// A whole number, both bounds included, and what is taken where none is given.
    Whole {
        least: u64,
        most: u64,
        default: Option<u64>,
    },
    /// A number, both bounds included.
    Number { least: f64, most: f64 },
    /// A list of texts.
    Texts,
    /// A list of whole numbers.
    Wholes,
}

/// Settings that connectors of every kind have; `deleted_scope` and `requests_per_second` are for the caller.
pub const COMMON: &[Setting] = &[
    Setting {
        name: "ca_certificate",
        form: Form::Certificates,
        about: "PEM of the certificates to trust instead of the system's",
    },
    Setting {
        name: "deleted_scope",
        form: Form::OneOf(&["linked", "all"]),
        about: "all: local rows that were never linked are deletions too",
    },
    Setting {
        name: "entity_types",
        form: Form::Texts,
        about: "the entity types that are read; all where none is named",
    },
    Setting {
        name: "requests_per_second",
        // what a clock can tell apart, and what no remote will see
        form: Form::Number {
            least: 0.01,
            most: 10_000.0,
        },
        about: "how often the system is asked, by all sessions together; 20 where nothing is said",
    },
    Setting {
        name: "timeout",
        form: Form::Number {
            least: 0.1,
            most: 600.0,
        },
        about: "seconds that an answer may take; sync_ext.http_timeout where nothing is said",
    },
];

/// The name under which credentials hold the webhook's secret.
pub const WEBHOOK_SECRET: &str = "webhook_secret";

/// Credentials that connectors of every kind may have.
pub const COMMON_CREDENTIALS: &[Setting] = &[Setting {
    name: WEBHOOK_SECRET,
    form: Form::Text(None),
    about: "what webhooks of the system are signed with",
}];

/// Greatest number that a list may hold.
const GREATEST: u64 = 1_000_000_000;

impl Form {
    /// Whether a value is of this form; else what it must be.
    fn check(self, value: &Value) -> Result<(), String> {
        let is_whole =
            |value: &Value, least, most| value.as_u64().is_some_and(|n| (least..=most).contains(&n));
        let (fits, wanted) = match self {
            Form::Text(_) => (value.is_string(), "a text".to_owned()),
            Form::OneOf(known) => (
                value.as_str().is_some_and(|text| known.contains(&text.trim())),
                format!("one of: {}", known.join(", ")),
            ),
            Form::Certificates => (
                value.as_str().is_some_and(|pem| certificates(pem).is_ok()),
                "certificates as PEM text, with their BEGIN CERTIFICATE and END CERTIFICATE lines".to_owned(),
            ),
            Form::Flag => (value.is_boolean(), "true or false".to_owned()),
            Form::Whole { least, most, .. } => (
                is_whole(value, least, most),
                format!("a whole number, {least} to {most}"),
            ),
            Form::Number { least, most } => (
                value.as_f64().is_some_and(|n| (least..=most).contains(&n)),
                format!("a number, {least} to {most}"),
            ),
            Form::Texts => (
                value
                    .as_array()
                    .is_some_and(|all| all.iter().all(Value::is_string)),
                "a list of texts".to_owned(),
            ),
            Form::Wholes => (
                value
                    .as_array()
                    .is_some_and(|all| all.iter().all(|one| is_whole(one, 0, GREATEST))),
                "a list of whole numbers".to_owned(),
            ),
        };
        fits.then_some(()).ok_or(wanted)
    }

    /// In the words of JSON Schema.
    fn described(self) -> Value {
        match self {
            Form::Text(default) => json!({"type": "string", "default": default}),
            Form::OneOf(known) => json!({"type": "string", "enum": known, "default": known.first()}),
            Form::Certificates => json!({"type": "string"}),
            Form::Flag => json!({"type": "boolean", "default": false}),
            Form::Whole { least, most, default } => {
                json!({"type": "integer", "minimum": least, "maximum": most, "default": default})
            }
            Form::Number { least, most } => json!({"type": "number", "minimum": least, "maximum": most}),
            Form::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Form::Wholes => json!({"type": "array", "items": {"type": "integer"}}),
        }
    }
}

/// What is declared, for people: `{name: {"type", "default", "minimum", "maximum", "enum", "description"}}`.
pub fn described<'s>(declared: impl IntoIterator<Item = &'s Setting>) -> Value {
    let of = |setting: &Setting| {
        let mut form = setting.form.described();
        if let Value::Object(form) = &mut form {
            form.retain(|_, value| !value.is_null());
            form.insert("description".to_owned(), setting.about.into());
        }
        (setting.name.to_owned(), form)
    };
    Value::Object(declared.into_iter().map(of).collect())
}

/// Settings or credentials that are as they were declared.
#[derive(Debug, Clone)]
pub struct Given {
    what: &'static str,
    values: Map<String, Value>,
    declared: Vec<&'static Setting>,
}

impl Given {
    /// Checks a JSON object against what is declared; null counts as an empty one. `what` names it in messages.
    ///
    /// # Errors
    /// 22023 for what is no object, for an unknown name, and for a value of another form. No value is shown, as it may be
    /// a secret.
    pub fn check(
        what: &'static str,
        value: &Value,
        declared: impl IntoIterator<Item = &'static Setting>,
    ) -> Result<Self> {
        let mut given = Given {
            what,
            values: Map::new(),
            declared: declared.into_iter().collect(),
        };
        match value {
            Value::Null => {}
            Value::Object(map) => given.values = map.clone(),
            _ => return Err(Error::new(Code::Invalid, format!("{what} must be a JSON object"))),
        }
        given.values.retain(|_, value| !value.is_null());
        given.refuse_unknown(value)?;
        for (name, value) in &given.values {
            let form = given.declared(name).map(|setting| setting.form);
            if let Some(Err(wanted)) = form.map(|form| form.check(value)) {
                return Err(given.bad(name, &format!("must be {wanted}")));
            }
        }
        Ok(given)
    }

    fn refuse_unknown(&self, value: &Value) -> Result<()> {
        let names = value.as_object().into_iter().flat_map(Map::keys);
        let unknown: Vec<_> = names
            .filter(|name| self.declared(name).is_none())
            .map(String::as_str)
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let mut known: Vec<_> = self.declared.iter().map(|setting| setting.name).collect();
        known.sort_unstable();
        // who mixes up names and values finds none of them in an error
        let named = match self.what {
            "credentials" => String::new(),
            _ => format!(": {}", unknown.join(", ")),
        };
        Err(Error::new(Code::Invalid, format!("unknown {}{named}", self.what))
            .hint(format!("Known are: {}.", known.join(", "))))
    }

    fn declared(&self, name: &str) -> Option<&'static Setting> {
        self.declared.iter().copied().find(|setting| setting.name == name)
    }

    fn form(&self, name: &str) -> Option<Form> {
        self.declared(name).map(|setting| setting.form)
    }

    /// The error for a value that is wrong in another way than its form: `"lang" in settings <how>`.
    pub fn bad(&self, name: &str, how: &str) -> Error {
        Error::new(Code::Invalid, format!("\"{name}\" in {} {how}", self.what))
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let default = match self.form(name) {
            Some(Form::Text(default)) => default,
            Some(Form::OneOf(known)) => known.first().copied(),
            _ => None,
        };
        let given = self.values.get(name).and_then(Value::as_str).map(str::trim);
        given.filter(|text| !text.is_empty()).or(default)
    }

    /// A text that must be there.
    pub fn required(&self, name: &str, hint: &str) -> Result<&str> {
        self.text(name)
            .ok_or_else(|| self.bad(name, "is missing").hint(hint))
    }

    /// A yes or no.
    pub fn flag(&self, name: &str) -> bool {
        self.values.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A whole number.
    pub fn whole(&self, name: &str) -> Option<u64> {
        let default = match self.form(name) {
            Some(Form::Whole { default, .. }) => default,
            _ => None,
        };
        self.values.get(name).and_then(Value::as_u64).or(default)
    }

    /// A number of seconds.
    pub fn seconds(&self, name: &str) -> Option<Duration> {
        let seconds = self.values.get(name)?.as_f64()?;
        Some(Duration::from_secs_f64(seconds))
    }

    fn list(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.values
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }

    /// A list of texts.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let texts = self.list(name).filter_map(Value::as_str);
        texts.map(|text| text.trim().to_owned()).collect()
    }

    /// A list of whole numbers.
    pub fn wholes(&self, name: &str) -> Vec<u64> {
        self.list(name).filter_map(Value::as_u64).collect()
    }

    /// Which of these entity types the setting `entity_types` names, in their order; all where it names none.
    pub fn entities(&self, all: &[EntityType]) -> Result<Vec<EntityType>> {
        let names = self.texts("entity_types");
        let wanted: Vec<EntityType> = names.iter().map(|name| name.parse()).collect::<Result<_>>()?;
        if let Some(other) = wanted.iter().find(|entity| !all.contains(entity)) {
            let names: Vec<_> = all.iter().map(|entity| entity.name()).collect();
            let error = self.bad(
                "entity_types",
                &format!("names {}: this kind has none", other.name()),
            );
            return Err(error.hint(format!("It has: {}.", names.join(", "))));
        }
        let chosen = all.iter().copied().filter(|entity| wanted.contains(entity));
        Ok(match wanted.is_empty() {
            true => all.to_vec(),
            false => chosen.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const DECLARED: &[Setting] = &[
        Setting {
            name: "way",
            form: Form::OneOf(&["auto", "other"]),
            about: "how",
        },
        Setting {
            name: "rows",
            form: Form::Whole {
                least: 2,
                most: 100,
                default: Some(50),
            },
            about: "rows of a page",
        },
        Setting {
            name: "path",
            form: Form::Text(None),
            about: "where",
        },
        Setting {
            name: "ids",
            form: Form::Wholes,
            about: "which",
        },
    ];

    fn check(value: Value) -> Result<Given> {
        Given::check("settings", &value, DECLARED.iter().chain(COMMON))
    }

    #[test]
    fn what_is_not_given_is_as_declared() {
        for nothing in [Value::Null, json!({}), json!({"way": null, "rows": null})] {
            let given = check(nothing).unwrap();
            assert_eq!((given.text("way"), given.whole("rows")), (Some("auto"), Some(50)));
            assert_eq!((given.text("path"), given.seconds("timeout")), (None, None));
            assert!(given.wholes("ids").is_empty() && !given.flag("way"));
        }
        let given =
            check(json!({"way": " other ", "rows": 2, "path": " ", "ids": [7], "timeout": 0.5})).unwrap();
        assert_eq!((given.text("way"), given.whole("rows")), (Some("other"), Some(2)));
        assert_eq!((given.text("path"), given.wholes("ids")), (None, vec![7]));
        assert_eq!(given.seconds("timeout"), Some(Duration::from_millis(500)));
    }

    #[test]
    fn other_forms_are_refused_by_name_and_without_their_value() {
        for (value, named) in [
            (json!([]), "settings must be a JSON object"),
            (json!({"colour": "hidden"}), "unknown settings: colour"),
            (
                json!({"way": "hidden"}),
                "\"way\" in settings must be one of: auto, other",
            ),
            (
                json!({"rows": 1}),
                "\"rows\" in settings must be a whole number, 2 to 100",
            ),
            (json!({"rows": 2.5}), "rows"),
            (json!({"path": 5}), "\"path\" in settings must be a text"),
            (json!({"ids": [-1]}), "ids"),
            (json!({"ids": [2e9]}), "ids"),
            (json!({"deleted_scope": "none"}), "deleted_scope"),
            (json!({"requests_per_second": 1e-300}), "0.01 to 10000"),
            (json!({"timeout": 601}), "0.1 to 600"),
            (json!({"ca_certificate": "hidden"}), "ca_certificate"),
        ] {
            let error = check(value).unwrap_err();
            assert_eq!(error.code, Code::Invalid);
            assert!(error.message.contains(named), "{error:?}");
            assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
        }
    }

    #[test]
    fn what_is_declared_is_told() {
        let told = described(DECLARED);
        assert_eq!(
            told["rows"],
            json!({"type": "integer", "minimum": 2, "maximum": 100, "default": 50, "description": "rows of a page"})
        );
        assert_eq!(told["path"], json!({"type": "string", "description": "where"}));
    }
}
