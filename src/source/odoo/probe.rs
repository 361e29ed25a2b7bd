//! What `sync_test_connection` asks a server.

use super::api::{Answer, Args};
use super::refusal::Cause;
use super::value::{reference, references};
use super::Odoo;
use crate::core::EntityType;
use crate::error::{Code, Error, Result};
use crate::source::http::Meter;
use crate::source::Probe;
use chrono::Utc;
use serde_json::{json, Map, Value};

/// From this many days before a key expires, say so.
const EXPIRES_SOON: i64 = 30;

impl Odoo {
    /// Finds out version, transport, rights, companies, clock and counts.
    pub(super) fn probe_server(&self) -> Result<Probe> {
        let meter = Meter::default();
        let mut warnings = Vec::new();
        if !self.api.is_tls() {
            warnings.push("The connection is not encrypted: use https if the server has it.".to_owned());
        }
        let (entities, answers) = self.readable(&meter, &mut warnings)?;
        let companies = self.companies(&meter, &mut warnings)?;
        warnings.extend(self.api.other_lang());
        self.warn_of_expiry(&meter, &mut warnings)?;
        if self.api.access().is_some_and(|access| access.nameless) {
            warnings.push(
                "The server answers only where no database is named: make sure that its one database is the one of the credentials."
                    .to_owned(),
            );
        }
        let fastest = answers
            .iter()
            .map(|answer| answer.elapsed)
            .min()
            .unwrap_or_default();
        Ok(Probe {
            version: self.api.version(&meter)?,
            auth_mode: self
                .api
                .access()
                .map_or("none", |access| access.transport.name())
                .to_owned(),
            clock_skew_seconds: answers.first().map_or(0, skew),
            latency_ms: u64::try_from(fastest.as_millis()).unwrap_or(u64::MAX),
            entities,
            companies,
            warnings,
        })
    }

    /// Per entity type whether it can be read, and the answers that came.
    fn readable(
        &self,
        meter: &Meter,
        warnings: &mut Vec<String>,
    ) -> Result<(Map<String, Value>, Vec<Answer>)> {
        let mut entities = Map::new();
        let mut answers = Vec::new();
        for entity in &self.entities {
            let told = self.count(*entity, &[], meter).and_then(|(count, answer)| {
                answers.push(answer);
                self.counted(*entity, count, meter, warnings)
            });
            let told = match told {
                Ok(told) => told,
                // Refused keys are refused for everything.
                Err(error) if self.api.access().is_none() => return Err(error),
                Err(error) if matches!(error.code, Code::Nonsense | Code::RemoteAuth | Code::Invalid) => {
                    json!({"readable": false, "reason": reason(&error)})
                }
                Err(error) => return Err(error),
            };
            entities.insert(entity.name().to_owned(), told);
        }
        Ok((entities, answers))
    }

    /// Reads one record as a pull would. Who may count records may not read all that belongs to them: a product's stock
    /// is computed from moves, and an order has lines.
    fn sample(&self, entity: EntityType, meter: &Meter) -> Result<()> {
        let model = super::list::model(entity);
        let fields = self.whole_fields(entity, meter)?;
        let page = self.page(model.name, &json!([]), &fields, 1, meter)?;
        self.extras(entity, &page.rows, meter).map(drop)
    }

    fn counted(
        &self,
        entity: EntityType,
        count: u64,
        meter: &Meter,
        warnings: &mut Vec<String>,
    ) -> Result<Value> {
        self.sample(entity, meter)?;
        let mut told = json!({"readable": true, "count": count});
        let model = super::list::model(entity);
        let fields = self.known.wanted(&self.api, model, meter)?;
        if fields.iter().any(|field| field == "active") {
            let (archived, _) = self.count(entity, &[json!(["active", "=", false])], meter)?;
            told["archived"] = json!(archived);
            if archived > 0 {
                warnings.push(format!(
                    "{archived} of {count} {} are archived: they are read too, with is_active false.",
                    entity.name()
                ));
            }
        }
        Ok(told)
    }

    /// The companies whose records are read.
    fn companies(&self, meter: &Meter, warnings: &mut Vec<String>) -> Result<Vec<Value>> {
        let Some(access) = self.api.access() else {
            return Ok(Vec::new());
        };
        let users = self.rows(
            "res.users",
            json!([["id", "=", access.uid]]),
            &["company_ids", "lang"],
            meter,
        )?;
        if let Some(spoken) = users.first().and_then(|user| user["lang"].as_str()) {
            self.api.note_lang(spoken);
        }
        let theirs: Vec<u64> = users
            .iter()
            .flat_map(|user| references(&user["company_ids"]))
            .collect();
        let read = match self.settings.companies.as_slice() {
            [] => theirs.clone(),
            some => some.to_vec(),
        };
        if read.len() < theirs.len() {
            warnings.push(format!(
                "The setting companies limits the connector to {} of its user's {} companies.",
                read.len(),
                theirs.len()
            ));
        }
        let names = self.rows("res.company", json!([["id", "in", read]]), &["name"], meter)?;
        Ok(names
            .iter()
            .filter_map(|row| Some(json!({"id": reference(&row["id"])?, "name": row["name"]})))
            .collect())
    }

    /// Which of the user's keys the connector uses can't be told, but it is none that has expired: it was let in. The first
    /// of the others to expire is named.
    fn warn_of_expiry(&self, meter: &Meter, warnings: &mut Vec<String>) -> Result<()> {
        let Some(access) = self.api.access() else {
            return Ok(());
        };
        let keys = self.rows(
            "res.users.apikeys",
            json!([["user_id", "=", access.uid]]),
            &["name", "user_id", "expiration_date"],
            meter,
        )?;
        let days = |text: &str| {
            text.get(..10)
                .and_then(|day| day.parse::<chrono::NaiveDate>().ok())
        };
        let today = Utc::now().date_naive();
        let usable: Vec<_> = keys
            .iter()
            .map(|key| (key["expiration_date"].as_str().and_then(days), key))
            .filter(|(day, _)| day.is_none_or(|day| day >= today))
            .collect();
        let soonest = usable
            .iter()
            .filter_map(|(day, key)| Some(((*day)?, key)))
            .min_by_key(|(day, _)| *day);
        if let Some((day, key)) = soonest.filter(|(day, _)| (*day - today).num_days() <= EXPIRES_SOON) {
            let name = key["name"].as_str().unwrap_or_default();
            let whose = match usable.len() {
                1 => "The API key",
                _ => "One of the API keys of the connector's user,",
            };
            warnings.push(format!("{whose} \"{name}\" expires on {day}."));
        }
        Ok(())
    }

    /// Rows of a model that not every user may read; none where this one may not, or where a field is missing.
    fn rows(&self, model: &'static str, domain: Value, fields: &[&str], meter: &Meter) -> Result<Vec<Value>> {
        let outcome = self.known.fields(&self.api, model, meter).and_then(|known| {
            if fields.iter().any(|field| !known.contains_key(*field)) {
                return Ok(Value::Null);
            }
            let mut args = Args::new();
            args.insert("domain".to_owned(), domain);
            args.insert("fields".to_owned(), json!(fields));
            Ok(self.api.call(model, "search_read", args, meter)?.value)
        });
        match outcome {
            Ok(Value::Array(rows)) => Ok(rows),
            Err(refusal) if !matches!(refusal.cause, Cause::Forbidden | Cause::NoModel) => {
                Err(refusal.into())
            }
            _ => Ok(Vec::new()),
        }
    }
}

fn reason(error: &Error) -> String {
    match &error.detail {
        Some(detail) => format!("{error}: {detail}"),
        None => error.to_string(),
    }
}

/// The remote's clock less ours, at the middle of the exchange: Odoo takes seconds for some.
fn skew(answer: &Answer) -> i64 {
    let middle = answer.received_at - chrono::Duration::from_std(answer.elapsed / 2).unwrap_or_default();
    answer.server_time.map_or(0, |date| (date - middle).num_seconds())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Duration, TimeZone};

    #[test]
    fn the_clocks_are_compared_at_the_time_of_the_answer() {
        // answered long ago: eight entity types were counted since
        let received_at = Utc.timestamp_opt(1_000_000, 0).single().unwrap_or_default();
        let answer = |ahead: i64| Answer {
            value: Value::Null,
            server_time: Some(received_at + Duration::seconds(ahead - 2)),
            received_at,
            elapsed: std::time::Duration::from_secs(4),
        };
        assert_eq!(
            [skew(&answer(0)), skew(&answer(90)), skew(&answer(-7))],
            [0, 90, -7]
        );
    }
}
