//! Who asks: rights, record rules, companies, language.

use serde_json::{json, Map, Value};

use super::config::{User, Version};
use super::data::{Data, Id, Look};
use super::domain::Node;
use super::errors::Fail;
use super::schema::Model;

/// A user with the context of one call.
pub struct Session<'a> {
    pub data: &'a Data,
    pub user: &'a User,
    pub look: Look,
    /// Archived records are hidden.
    pub active_test: bool,
}

impl<'a> Session<'a> {
    pub fn open(data: &'a Data, user: &'a User, context: &Map<String, Value>) -> Result<Self, Fail> {
        let lang = context.get("lang").and_then(Value::as_str).unwrap_or("en_US");
        let known = matches!(lang, "en_US" | "de_DE");
        if !known && data.version() == Version::V19 {
            return Err(Fail::user(format!("Invalid language code: {lang}")));
        }
        let look = Look {
            companies: companies(data, user, context)?,
            german: lang == "de_DE",
        };
        let active_test = context.get("active_test").is_none_or(|v| v != &json!(false));
        Ok(Self {
            data,
            user,
            look,
            active_test,
        })
    }

    pub fn version(&self) -> Version {
        self.data.version()
    }

    fn german(&self) -> bool {
        self.user.lang == "de_DE"
    }

    pub fn may_read(&self, model: Model) -> Result<(), Fail> {
        if !self.user.denied.iter().any(|m| m == model.name()) {
            return Ok(());
        }
        Err(Fail::access(if self.german() {
            format!("Sie haben keinen Zugriff auf Datensätze „{}“ ({}).\n\nDieser Vorgang ist für die folgenden Gruppen erlaubt:\n\t- Role / Administrator\n\nWenden Sie sich gegebenenfalls an Ihren Administrator, um den Zugang zu beantragen.", model.label(), model.name())
        } else {
            format!("You are not allowed to access '{}' ({}) records.\n\nThis operation is allowed for the following groups:\n\t- Role / Administrator\n\nContact your administrator to request access if necessary.", model.label(), model.name())
        }))
    }

    pub fn may_write(&self, model: Model) -> Result<(), Fail> {
        self.may_read(model)?;
        if !self.user.read_only.iter().any(|m| m == model.name()) {
            return Ok(());
        }
        Err(Fail::access(if self.german() {
            format!("Sie sind nicht berechtigt „{}“-Datensätze ({}) zu bearbeiten.\n\nDieser Vorgang ist für die folgenden Gruppen erlaubt:\n\t- Role / Administrator\n\nWenden Sie sich gegebenenfalls an Ihren Administrator, um den Zugang zu beantragen.", model.label(), model.name())
        } else {
            format!("You are not allowed to modify '{}' ({}) records.\n\nThis operation is allowed for the following groups:\n\t- Role / Administrator\n\nContact your administrator to request access if necessary.", model.label(), model.name())
        }))
    }

    /// What is said when records are named that a rule hides.
    pub fn top_secret(&self, model: Model) -> Fail {
        let (name, id) = (&self.user.name, self.user.id);
        let (label, model) = (model.label(), model.name());
        Fail::access(if self.german() {
            format!("Oh-oh! Es sieht so aus, als wären Sie über einige streng geheime Datensätze gestolpert.\n\nEs tut uns leid, {name} (id={id}) hat keinen „lesen“-Zugriff auf:\n- {label} ({model})\n\nWenn Sie wirklich Zugriff benötigen, können Sie Ihren freundlichen Administrator vielleicht mit einer Ladung frisch gebackener Kekse überzeugen.")
        } else {
            format!("Uh-oh! Looks like you have stumbled upon some top-secret records.\n\nSorry, {name} (id={id}) doesn't have 'read' access to:\n- {label} ({model})\n\nIf you really, really need access, perhaps you can win over your friendly administrator with a batch of freshly baked cookies.")
        })
    }

    /// What the user's rules let through, where there are any.
    pub fn rules(&self, model: Model) -> Result<Vec<Node>, Fail> {
        let mut rules = Vec::new();
        if let Some(domain) = self.user.rules.get(model.name()) {
            rules.push(Node::parse(self.version(), model, domain)?);
        }
        let all = self.data.live(Model::Company).iter();
        let sees_all = all.clone().all(|c| self.look.companies.contains(c));
        let domain = match model {
            _ if sees_all => None,
            Model::Company => Some(json!([["id", "in", self.look.companies]])),
            Model::ApiKey => None,
            _ if model.has_company() => Some(json!([
                "|",
                ["company_id", "=", false],
                ["company_id", "in", self.look.companies]
            ])),
            _ => None,
        };
        if let Some(domain) = domain {
            rules.push(Node::parse(self.version(), model, &domain)?);
        }
        if model == Model::ApiKey {
            let own = json!([["user_id", "=", self.user.id]]);
            rules.push(Node::parse(self.version(), model, &own)?);
        }
        Ok(rules)
    }

    /// Whether all of these records that exist may be seen.
    pub fn may_see(&self, model: Model, ids: &[Id]) -> Result<(), Fail> {
        let rules = self.rules(model)?;
        let seen = |id: &Id| rules.iter().all(|rule| rule.holds(self, *id));
        if ids.iter().all(seen) {
            Ok(())
        } else {
            Err(self.top_secret(model))
        }
    }
}

/// The companies that are switched on: those of the context, or all of the user's.
fn companies(data: &Data, user: &User, context: &Map<String, Value>) -> Result<Vec<Id>, Fail> {
    let exists = |id: &Id| data.exists(Model::Company, *id);
    let theirs: Vec<Id> = user.companies.iter().copied().filter(exists).collect();
    let asked = context.get("allowed_company_ids").and_then(Value::as_array);
    let asked: Vec<Id> = asked
        .into_iter()
        .flatten()
        .filter_map(|v| Id::try_from(v.as_u64()?).ok())
        .collect();
    if asked.is_empty() {
        return Ok(theirs);
    }
    if asked.iter().any(|id| !theirs.contains(id)) {
        return Err(Fail::access("Access to unauthorized or invalid companies."));
    }
    Ok(asked)
}
