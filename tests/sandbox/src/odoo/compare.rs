//! Comparing values with what a domain asks for.

use std::cmp::Ordering;

use serde_json::Value;

use super::config::Version;
use super::data::val::{parse_time, SECOND};
use super::data::{Id, Val};
use super::domain::{repr, Leaf, Node, Op};
use super::errors::Fail;
use super::schema::{Field, Model};
use super::session::Session;

const DAY: i64 = 86_400 * SECOND;

/// What a value is compared with.
#[derive(Debug)]
pub enum Operand {
    /// Odoo's `False`: empty.
    Nothing,
    Yes,
    Num(f64),
    Text(String),
    /// Microseconds, and how long the moment lasts: a day or a second as version 19 sees it, nothing as
    /// those before do.
    Time(i64, i64),
    List(Vec<Operand>),
    Sub(Box<Node>),
}

impl Operand {
    pub fn read(
        version: Version,
        model: Model,
        field: &Field,
        dated: bool,
        value: &Value,
    ) -> Result<Self, Fail> {
        Ok(match value {
            Value::Null | Value::Bool(false) => Self::Nothing,
            Value::Bool(true) => Self::Yes,
            Value::Number(n) => Self::Num(n.as_f64().unwrap_or_default()),
            Value::String(text) if dated => time(version, model, field, text)?,
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => {
                let read = |item| Self::read(version, model, field, dated, item);
                Self::List(items.iter().map(read).collect::<Result<_, _>>()?)
            }
            other => return Err(Fail::value(format!("Domain() invalid item: {}", repr(other)))),
        })
    }

    /// The ids it names.
    pub fn ids(&self) -> Option<Vec<Id>> {
        match self {
            Self::Num(n) => Some(vec![*n as Id]),
            Self::List(items) => items
                .iter()
                .map(|i| match i {
                    Self::Num(n) => Some(*n as Id),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
}

fn time(version: Version, model: Model, field: &Field, text: &str) -> Result<Operand, Fail> {
    let parsed = parse_time(text);
    if version < Version::V19 {
        // Postgres reads it: a zone is accepted and ignored.
        let parsed = parsed.ok_or_else(|| {
            let table = model.name().replace('.', "_");
            let message = format!(
                "invalid input syntax for type timestamp: \"{text}\"\nLINE 1: ...(\"{table}\".\"{}\" > '{text}')...\n",
                field.name
            );
            Fail::new("psycopg2.errors.InvalidDatetimeFormat", message)
        })?;
        return Ok(Operand::Time(parsed, 0));
    }
    let parsed =
        parsed.ok_or_else(|| Fail::value(format!("Invalid term '{text}' in expression date: '{text}'")))?;
    let zoned = text.len() > 19 && text[19..].contains(['Z', '+', '-']);
    if zoned {
        let message = format!("expecting only datetimes with no timezone: '{text}'");
        return Err(Fail::value(message));
    }
    let span = if text.len() == 10 { DAY } else { SECOND };
    Ok(Operand::Time(parsed.div_euclid(SECOND) * SECOND, span))
}

impl Leaf {
    pub fn holds(&self, session: &Session, id: Id) -> bool {
        self.step(session, 0, id)
    }

    fn step(&self, session: &Session, at: usize, id: Id) -> bool {
        let Some((model, field)) = self.path.get(at).copied() else {
            return false;
        };
        let val = session.data.get(&session.look, model, id, field.name);
        if at + 1 == self.path.len() {
            return self.test(session, model, field, &val);
        }
        match val {
            Val::One(_, id) => self.step(session, at + 1, id),
            Val::Ids(ids) => ids.into_iter().any(|id| self.step(session, at + 1, id)),
            _ => false,
        }
    }

    fn test(&self, session: &Session, model: Model, field: &Field, val: &Val) -> bool {
        let same = |operand: &Operand| same(session, field, val, operand);
        let among = || match &self.operand {
            Operand::List(items) => items.iter().any(same),
            one => same(one),
        };
        match self.op {
            Op::Equal | Op::In => among(),
            Op::Differs | Op::NotIn => !among(),
            Op::Perhaps => matches!(self.operand, Operand::Nothing) || among(),
            Op::Less | Op::AtMost | Op::More | Op::AtLeast => ordered(val, self.op, &self.operand),
            Op::Like(exact, not) => match &self.operand {
                Operand::Text(text) => like(session, field, val, &format!("%{text}%"), exact) != not,
                _ => !not,
            },
            Op::Pattern(exact) => match &self.operand {
                Operand::Text(text) => like(session, field, val, text, exact),
                _ => false,
            },
            Op::Below => below(session, model, field, val, &self.operand),
            Op::Any => any(session, val, &self.operand),
            Op::NotAny => !any(session, val, &self.operand),
        }
    }
}

fn same(session: &Session, field: &Field, val: &Val, operand: &Operand) -> bool {
    let of = || field.kind.relation().and_then(Model::parse);
    let labelled =
        |id: &Id, text: &str| of().is_some_and(|m| session.data.label(&session.look, m, *id) == text);
    match (val, operand) {
        (Val::No | Val::Bool(false), Operand::Nothing) => true,
        (Val::Int(0), Operand::Nothing) => true,
        (Val::Num(n), Operand::Nothing) => *n == 0.0,
        (Val::Ids(ids), Operand::Nothing) => ids.is_empty(),
        (Val::Bool(yes), Operand::Yes) => *yes,
        (Val::Int(n), Operand::Num(m)) => *n as f64 == *m,
        (Val::Num(n), Operand::Num(m)) => (n - m).abs() < 1e-9,
        (Val::No, Operand::Num(m)) => *m == 0.0 && field.kind.relation().is_none(),
        (Val::One(_, id), Operand::Num(m)) => f64::from(*id) == *m,
        (Val::Ids(ids), Operand::Num(m)) => ids.iter().any(|id| f64::from(*id) == *m),
        (Val::Text(a), Operand::Text(b)) => a == b,
        (Val::One(_, id), Operand::Text(b)) => labelled(id, b),
        (Val::Ids(ids), Operand::Text(b)) => ids.iter().any(|id| labelled(id, b)),
        (Val::Time(a), Operand::Time(b, 0)) => a == b,
        (Val::Time(a), Operand::Time(b, span)) => (*b..b + span).contains(a),
        (Val::Day(a), Operand::Time(b, _)) => a * DAY == *b,
        _ => false,
    }
}

fn ordered(val: &Val, op: Op, operand: &Operand) -> bool {
    let ordering = match (val, operand) {
        (Val::Int(n), Operand::Num(m)) => (*n as f64).partial_cmp(m),
        (Val::Num(n), Operand::Num(m)) => n.partial_cmp(m),
        (Val::One(_, id), Operand::Num(m)) => f64::from(*id).partial_cmp(m),
        (Val::Text(a), Operand::Text(b)) => Some(a.as_ref().cmp(b.as_str())),
        (Val::Day(a), Operand::Time(b, _)) => Some((a * DAY).cmp(b)),
        // Within the moment counts as equal to it.
        (Val::Time(a), Operand::Time(b, span)) if (*b..b + span).contains(a) => Some(Ordering::Equal),
        (Val::Time(a), Operand::Time(b, _)) => Some(a.cmp(b)),
        _ => None,
    };
    match (op, ordering) {
        (_, None) => false,
        (Op::Less, Some(o)) => o == Ordering::Less,
        (Op::AtMost, Some(o)) => o != Ordering::Greater,
        (Op::More, Some(o)) => o == Ordering::Greater,
        (_, Some(o)) => o != Ordering::Less,
    }
}

fn like(session: &Session, field: &Field, val: &Val, pattern: &str, exact: bool) -> bool {
    let fold = |text: &str| {
        if exact {
            text.to_owned()
        } else {
            text.to_lowercase()
        }
    };
    let of = field.kind.relation().and_then(Model::parse);
    let label = |id: &Id| of.map_or(String::new(), |m| session.data.label(&session.look, m, *id));
    let pattern: Vec<char> = fold(pattern).chars().collect();
    let fits = |text: &str| matches(&fold(text).chars().collect::<Vec<_>>(), &pattern);
    match val {
        Val::Text(text) => fits(text),
        Val::One(_, id) => fits(&label(id)),
        Val::Ids(ids) => ids.iter().any(|id| fits(&label(id))),
        _ => false,
    }
}

/// `%` stands for anything, `_` for one character.
fn matches(text: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|from| matches(&text[from..], rest)),
        Some(('_', rest)) => text.split_first().is_some_and(|(_, text)| matches(text, rest)),
        Some((c, rest)) => text
            .split_first()
            .is_some_and(|(d, text)| c == d && matches(text, rest)),
    }
}

/// Whether a record, or one above it, is among those that are named.
fn below(session: &Session, model: Model, field: &Field, val: &Val, operand: &Operand) -> bool {
    let tops = operand.ids().unwrap_or_default();
    let (model, id) = match val {
        Val::One(model, id) => (*model, *id),
        Val::Int(n) if field.name == "id" => (model, *n as Id),
        _ => return false,
    };
    let mut at = Some(id);
    while let Some(id) = at {
        if tops.contains(&id) {
            return true;
        }
        let tree = model.owner().is_some_and(|(_, of)| of == model);
        at = session.data.owner(model, id).filter(|_| tree);
    }
    false
}

fn any(session: &Session, val: &Val, operand: &Operand) -> bool {
    let Operand::Sub(node) = operand else {
        return false;
    };
    match val {
        Val::One(_, id) => node.holds(session, *id),
        Val::Ids(ids) => ids.iter().any(|id| node.holds(session, *id)),
        _ => false,
    }
}
