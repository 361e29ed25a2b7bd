//! Writing single records: find what is there, create, change.

use super::api::{Act, Args};
use super::draft::{plain, vals, COUNTRY, STATE};
use super::list;
use super::read::last_id;
use super::shared::There;
use super::value::{reference, Fields};
use super::Odoo;
use crate::core::{normalise_value, EntityType, Kind, Listing, Record};
use crate::error::{Code, Error, Result};
use crate::source::http::Meter;
use crate::source::{At, Change, Content, Task, Written};
use crate::source::session::lock;
use serde_json::{json, Map, Value};
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization;

/// What tells a record of another system here.
pub(super) struct Mark {
    ours: &'static str,
    theirs: &'static str,
    kind: Kind,
    pub value: String,
    /// As it would be written.
    spelt: Value,
}

impl Mark {
    fn of(record: &Fields, ours: &'static str, theirs: &'static str, kind: Kind) -> Option<Self> {
        let given = record.get(ours)?;
        match normalise_value(kind, given)? {
            Value::String(value) => Some(Mark {
                ours,
                theirs,
                kind,
                value,
                spelt: plain(Kind::Text, given),
            }),
            _ => None,
        }
    }

    /// The domain of what may be marked alike. Odoo keeps what was typed and compares that: what an earlier attempt has
    /// written is met as it was spelt, and what others have typed by a pattern of what no spelling changes.
    fn domain(&self) -> [Value; 3] {
        let (theirs, pattern) = (self.theirs, pattern(&self.value));
        [
            json!("|"),
            json!([theirs, "=", self.spelt]),
            json!([theirs, "ilike", pattern]),
        ]
    }

    fn is_on(&self, value: &Value) -> bool {
        normalise_value(self.kind, value).as_ref().and_then(Value::as_str) == Some(self.value.as_str())
    }
}

/// The best mark of a record.
pub(super) fn mark(entity: EntityType, record: &Record) -> Option<Mark> {
    marks(entity, record).into_iter().next()
}

/// The marks of a record, best first. Odoo knows no slugs, but it keeps barcodes unique, if by a check that doesn't see what
/// is written at the same time; a category's name counts whatever its case, as match keys have it.
pub(super) fn marks(entity: EntityType, record: &Record) -> Vec<Mark> {
    let of = |ours, theirs, kind| Mark::of(&record.data, ours, theirs, kind);
    let marks = match entity {
        EntityType::Customers => [of("email", "email", Kind::Email), None],
        EntityType::Products => [
            of("sku", "default_code", Kind::Text),
            of("barcode", "barcode", Kind::Text),
        ],
        EntityType::Categories => [of("name", "name", Kind::Email), None],
        _ => [None, None],
    };
    marks.into_iter().flatten().collect()
}

/// A change, as it is sent.
pub(super) struct Prepared {
    /// None: it is created.
    pub id: Option<u64>,
    pub vals: Map<String, Value>,
    pub notes: Vec<String>,
}

impl Odoo {
    /// Records with the same mark: more is asked for, and compared here.
    pub(super) fn find_like(
        &self,
        entity: EntityType,
        record: &Record,
        meter: &Meter,
    ) -> Result<Vec<Record>> {
        match mark(entity, record) {
            None => Ok(Vec::new()),
            Some(mark) => Ok(self.find_marked(entity, &[&mark], meter)?.swap_remove(0)),
        }
    }

    /// Records with each of these marks, asked for together.
    pub(super) fn find_marked(
        &self,
        entity: EntityType,
        marks: &[&Mark],
        meter: &Meter,
    ) -> Result<Vec<Vec<Record>>> {
        let model = list::model(entity).name;
        let fields: BTreeSet<&str> = marks.iter().map(|mark| mark.theirs).collect();
        let fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
        let mut any = vec![json!("|"); marks.len().saturating_sub(1)];
        any.extend(marks.iter().flat_map(|mark| mark.domain()));
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let mut domain = any.clone();
            domain.push(json!(["id", ">", after]));
            let page = self.page(model, &json!(domain), &fields, self.settings.page_size, meter)?;
            after = last_id(&page.rows, after)?;
            let is_marked = |row: &&Value| marks.iter().any(|mark| mark.is_on(&row[mark.theirs]));
            let same = page.rows.iter().filter(is_marked);
            found.extend(same.filter_map(|row| reference(&row["id"])));
            if !page.full {
                break;
            }
        }
        let records = match found.is_empty() {
            true => Vec::new(),
            false => self.records_by_id(entity, &found, meter)?,
        };
        let with = |mark: &&Mark| {
            let is_marked = |record: &&Record| record.data.get(mark.ours).is_some_and(|value| mark.is_on(value));
            records.iter().filter(is_marked).cloned().collect()
        };
        Ok(marks.iter().map(with).collect())
    }

    pub(super) fn records_by_id(&self, entity: EntityType, ids: &[u64], meter: &Meter) -> Result<Vec<Record>> {
        let task = Task {
            list: Listing::of(entity.name()),
            content: Content::Full,
            since: None,
            at: At::Ids(ids.iter().map(u64::to_string).collect()),
        };
        Ok(self.read(entity, &task, meter)?.records)
    }

    /// Creates or changes one record.
    pub(super) fn write_record(&self, entity: EntityType, change: &Change, meter: &Meter) -> Result<Written> {
        let model = list::model(entity).name;
        let Prepared { id, vals, notes } = self.prepare(entity, change, meter)?;
        let id = match id {
            Some(id) => self.change(model, id, vals, meter)?,
            None => {
                let made = self.create(model, &[vals], meter)?;
                made.into_iter().next().unwrap_or_default()
            }
        };
        let records = self.records_by_id(entity, &[id], meter);
        Ok(written(id, &records, notes))
    }

    /// What is to be sent for a change.
    pub(super) fn prepare(&self, entity: EntityType, change: &Change, meter: &Meter) -> Result<Prepared> {
        let model = list::model(entity).name;
        let id = match &change.external_id {
            Some(id) => Some(number(id)?),
            None => None,
        };
        let known = self.known.fields(&self.api, model, meter)?;
        let mut vals = vals(entity, &change.fields, id.is_none(), &known);
        let mut notes = Vec::new();
        if entity == EntityType::Customers {
            self.put_country(&mut vals, &change.fields, meter)?;
        }
        let needs_country = vals.get("country_id").is_none() && state_of(&change.fields).is_some();
        let there = self.there(entity, id, &vals, needs_country, meter)?;
        if entity == EntityType::Customers {
            self.put_state(&mut vals, &there, &change.fields, meter)?;
            if let Some(id) = id.filter(|_| vals.contains_key("email") && known.contains_key("partner_share"))
            {
                self.require_no_user(id, meter)?;
            }
        }
        self.leave_out(entity, &mut vals, &there, &mut notes);
        Ok(Prepared { id, vals, notes })
    }

    /// Creates records, all or none; their ids, in the same order.
    pub(super) fn create(&self, model: &str, all: &[Map<String, Value>], meter: &Meter) -> Result<Vec<u64>> {
        let mut args = Args::new();
        args.insert("vals_list".to_owned(), json!(all));
        let answer = self.api.act(Act::Create, model, "create", args, meter)?;
        let told = match &answer.value {
            Value::Array(ids) => ids.iter().map(reference).collect(),
            one => vec![reference(one)],
        };
        let ids: Option<Vec<u64>> = told.into_iter().collect();
        ids.filter(|ids| ids.len() == all.len()).ok_or_else(|| {
            Error::new(
                Code::Nonsense,
                format!("Odoo doesn't tell the id of the new {model}"),
            )
            .hint("A customisation may change its answers.")
        })
    }

    fn change(&self, model: &str, id: u64, vals: Map<String, Value>, meter: &Meter) -> Result<u64> {
        // what Odoo has no place for may be all that differs
        if !vals.is_empty() {
            let mut args = Args::new();
            args.insert("ids".to_owned(), json!([id]));
            args.insert("vals".to_owned(), Value::Object(vals));
            self.api.act(Act::Change, model, "write", args, meter)?;
        }
        Ok(id)
    }

    /// The country as a reference.
    fn put_country(&self, vals: &mut Map<String, Value>, fields: &Fields, meter: &Meter) -> Result<()> {
        if let Some(value) = fields.get(COUNTRY) {
            let id = self.country(value, meter)?;
            vals.insert("country_id".to_owned(), or_false(id));
        }
        Ok(())
    }

    /// The state as a reference. One that Odoo doesn't know is left out: other systems let people type what they like there.
    fn put_state(
        &self,
        vals: &mut Map<String, Value>,
        there: &There,
        fields: &Fields,
        meter: &Meter,
    ) -> Result<()> {
        if !fields.contains_key(STATE) {
            return Ok(());
        }
        let Some(code) = state_of(fields) else {
            vals.insert("state_id".to_owned(), Value::Bool(false));
            return Ok(());
        };
        let country = match vals.get("country_id") {
            Some(country) => reference(country),
            None => there.refers("country_id"),
        };
        let Some(country) = country else {
            return Ok(());
        };
        if let Some(id) = self.state(country, code, meter)? {
            vals.insert("state_id".to_owned(), json!(id));
        }
        Ok(())
    }

    /// A state by its code, with the country in front of it or without (Odoo writes DE-BY, but CA; shops have their own
    /// mind), else by its name. The code as it is goes first: Switzerland has a FR and a SO-FR.
    fn state(&self, country_id: u64, code: &str, meter: &Meter) -> Result<Option<u64>> {
        let short = code.split_once('-').map_or(code, |(_, short)| short);
        let literally = literally(code);
        let domain = json!([
            ["country_id", "=", country_id],
            "|",
            "|",
            ["code", "in", [code, short]],
            ["code", "=ilike", format!("__-{literally}")],
            ["name", "=ilike", literally]
        ]);
        let fields = ["code", "name"].map(str::to_owned);
        let page = self.page("res.country.state", &domain, &fields, 50, meter)?;
        let rank = |row: &Value| match row["code"].as_str() {
            Some(theirs) if theirs == code => 0,
            Some(theirs) if theirs.ends_with(&format!("-{code}")) => 1,
            Some(theirs) if theirs == short => 2,
            _ => 3,
        };
        let best = page.rows.iter().min_by_key(|row| rank(row));
        Ok(best.and_then(|row| reference(&row["id"])))
    }

    fn country(&self, value: &Value, meter: &Meter) -> Result<Option<u64>> {
        let Some(text) = value.as_str().map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let key = text.to_uppercase();
        if let Some(id) = lock(&self.countries).get(&key) {
            return Ok(Some(*id));
        }
        let domain = json!(["|", ["code", "=", key], ["name", "=ilike", literally(text)]]);
        let id = self.first("res.country", domain, meter)?.ok_or_else(|| {
            Error::new(Code::Invalid, format!("Odoo has no country \"{text}\""))
                .hint("Give its code of two letters, or its name as Odoo spells it.")
        })?;
        lock(&self.countries).insert(key, id);
        Ok(Some(id))
    }

    /// The address of a contact is that of its user, whose new password is sent there: whoever changes it has another way in.
    fn require_no_user(&self, id: u64, meter: &Meter) -> Result<()> {
        let domain = json!([["id", "=", id]]);
        let page = self.page("res.partner", &domain, &["partner_share".to_owned()], 1, meter)?;
        if page
            .rows
            .first()
            .is_none_or(|row| row["partner_share"] != Value::Bool(false))
        {
            return Ok(());
        }
        Err(Error::new(
            Code::NotGranted,
            format!("contact {id} is that of an internal user of Odoo"),
        )
        .detail("Its e-mail address is not changed: that is how the user signs in.")
        .hint("Change it in Odoo itself."))
    }

    fn first(&self, model: &'static str, domain: Value, meter: &Meter) -> Result<Option<u64>> {
        let page = self.page(model, &domain, &["id".to_owned()], 1, meter)?;
        Ok(page.rows.first().and_then(|row| reference(&row["id"])))
    }
}

/// What came of a change, by what was read of the records that were written.
pub(super) fn written(id: u64, records: &Result<Vec<Record>>, notes: Vec<String>) -> Written {
    let external_id = id.to_string();
    let gone = || Error::new(Code::Nonsense, "Odoo doesn't show what was written");
    let shown = records.as_ref().map_err(Error::clone).and_then(|records| {
        let mut same = records.iter().filter(|record| record.external_id == external_id);
        same.next().cloned().ok_or_else(gone)
    });
    Written {
        external_id,
        record: shown,
        notes,
    }
}

/// A text as a pattern that only it matches.
fn literally(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

/// What every spelling of a normalised text has, with `%` for the rest: white space, what is often written as an entity,
/// letters that may be composed of several characters, and those whose other case a database of the locale C doesn't
/// know.
fn pattern(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push('_'),
            c if is_spelt_one_way(c) => out.push(c),
            _ if out.ends_with('%') => {}
            _ => out.push('%'),
        }
    }
    out
}

fn is_spelt_one_way(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_graphic() && !matches!(c, '&' | '<' | '>' | '"' | '\'' | ';' | '`');
    }
    c.is_alphanumeric()
        && c.to_lowercase().eq([c])
        && c.to_uppercase().eq([c])
        && [c].into_iter().nfd().eq([c])
}

/// The state that is to be written.
fn state_of(fields: &Fields) -> Option<&str> {
    let code = fields.get(STATE)?.as_str()?.trim();
    (!code.is_empty()).then_some(code)
}

fn or_false(id: Option<u64>) -> Value {
    id.map_or(Value::Bool(false), |id| json!(id))
}

fn number(id: &str) -> Result<u64> {
    id.parse().map_err(|_| {
        Error::new(Code::Invalid, format!("\"{id}\" is no id of Odoo's")).hint("Odoo's ids are numbers.")
    })
}
