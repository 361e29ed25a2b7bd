//! Domains: conditions in prefix notation.

use serde_json::Value;

use super::compare::Operand;
use super::config::Version;
use super::data::{Data, Id};
use super::errors::Fail;
use super::schema::{Field, Kind, Model};
use super::session::Session;

/// A condition on records of one model.
#[derive(Debug)]
pub enum Node {
    And(Vec<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Leaf(Leaf),
    /// `(1, '=', 1)` and `(0, '=', 1)`.
    Always(bool),
}

/// A comparison.
#[derive(Debug)]
pub struct Leaf {
    /// The fields on the way (`order_id.state`), each with its model.
    pub path: Vec<(Model, &'static Field)>,
    pub op: Op,
    pub operand: Operand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Equal,
    Differs,
    Less,
    AtMost,
    More,
    AtLeast,
    In,
    NotIn,
    /// With the case respected, and whether it must not match.
    Like(bool, bool),
    /// The same with a pattern that is taken as it is.
    Pattern(bool),
    /// Equal, or anything where nothing is asked for.
    Perhaps,
    Below,
    Any,
    NotAny,
}

impl Op {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" | "==" => Self::Equal,
            "!=" | "<>" => Self::Differs,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::More,
            ">=" => Self::AtLeast,
            "in" => Self::In,
            "not in" => Self::NotIn,
            "like" => Self::Like(true, false),
            "ilike" => Self::Like(false, false),
            "not like" => Self::Like(true, true),
            "not ilike" => Self::Like(false, true),
            "=like" => Self::Pattern(true),
            "=ilike" => Self::Pattern(false),
            "=?" => Self::Perhaps,
            "child_of" => Self::Below,
            "any" => Self::Any,
            "not any" => Self::NotAny,
            _ => return None,
        })
    }
}

impl Node {
    /// Reads a domain; several terms without an operator are all meant.
    pub fn parse(version: Version, model: Model, domain: &Value) -> Result<Self, Fail> {
        let terms = match domain {
            Value::Array(terms) => terms.as_slice(),
            Value::Null | Value::Bool(false) => &[],
            other => return Err(Fail::value(format!("Domain() invalid item: {}", repr(other)))),
        };
        let mut rest = terms.iter();
        let mut all = Vec::new();
        while rest.len() > 0 {
            all.push(term(version, model, &mut rest)?);
        }
        Ok(Self::And(all))
    }

    /// Whether a record fulfils it.
    pub fn holds(&self, session: &Session, id: Id) -> bool {
        match self {
            Self::And(all) => all.iter().all(|n| n.holds(session, id)),
            Self::Or(a, b) => a.holds(session, id) || b.holds(session, id),
            Self::Not(n) => !n.holds(session, id),
            Self::Leaf(leaf) => leaf.holds(session, id),
            Self::Always(yes) => *yes,
        }
    }

    /// Whether a field is named: who names `active` means archived records too.
    pub fn names(&self, field: &str) -> bool {
        match self {
            Self::And(all) => all.iter().any(|n| n.names(field)),
            Self::Or(a, b) => a.names(field) || b.names(field),
            Self::Not(n) => n.names(field),
            Self::Leaf(leaf) => leaf.path.first().is_some_and(|(_, f)| f.name == field),
            Self::Always(_) => false,
        }
    }

    /// Records among which all that fulfil it are, ascending, where that is quickly told.
    pub fn candidates(&self, data: &Data, model: Model) -> Option<Vec<Id>> {
        match self {
            Self::And(all) => all.iter().find_map(|n| n.candidates(data, model)),
            Self::Leaf(leaf) => leaf.candidates(data, model),
            _ => None,
        }
    }

    /// The least id that can fulfil it.
    pub fn least_id(&self) -> Id {
        match self {
            Self::And(all) => all.iter().map(Self::least_id).max().unwrap_or(0),
            Self::Leaf(leaf) => leaf.least_id(),
            _ => 0,
        }
    }
}

impl Leaf {
    fn field(&self) -> Option<&'static str> {
        match self.path[..] {
            [(_, field)] => Some(field.name),
            _ => None,
        }
    }

    fn candidates(&self, data: &Data, model: Model) -> Option<Vec<Id>> {
        if !matches!(self.op, Op::Equal | Op::In) {
            return None;
        }
        let mut asked = self.operand.ids()?;
        asked.sort_unstable();
        asked.dedup();
        if self.field()? == "id" {
            asked.retain(|id| data.exists(model, *id));
            return Some(asked);
        }
        let (owner, _) = model.owner()?;
        if self.field()? != owner {
            return None;
        }
        let mut ids: Vec<Id> = asked.into_iter().flat_map(|o| data.parts(model, o)).collect();
        ids.sort_unstable();
        Some(ids)
    }

    fn least_id(&self) -> Id {
        let least = match (self.field(), self.op, &self.operand) {
            (Some("id"), Op::More, Operand::Num(n)) => n + 1.0,
            (Some("id"), Op::AtLeast, Operand::Num(n)) => *n,
            _ => 0.0,
        };
        // A float to integer cast stays within the type's range.
        least as Id
    }
}

fn term<'a>(
    version: Version,
    model: Model,
    rest: &mut impl Iterator<Item = &'a Value>,
) -> Result<Node, Fail> {
    let next = rest
        .next()
        .ok_or_else(|| Fail::value("Domain() is syntactically not correct"))?;
    Ok(match next {
        Value::String(op) if op == "&" => {
            Node::And(vec![term(version, model, rest)?, term(version, model, rest)?])
        }
        Value::String(op) if op == "|" => Node::Or(
            Box::new(term(version, model, rest)?),
            Box::new(term(version, model, rest)?),
        ),
        Value::String(op) if op == "!" => Node::Not(Box::new(term(version, model, rest)?)),
        Value::Array(parts) => leaf(version, model, parts)?,
        other => return Err(Fail::value(format!("Domain() invalid item: {}", repr(other)))),
    })
}

fn leaf(version: Version, model: Model, parts: &[Value]) -> Result<Node, Fail> {
    let shown = || {
        let parts: Vec<String> = parts.iter().map(repr).collect();
        format!("({})", parts.join(", "))
    };
    let invalid = |what: &str| match version {
        Version::V19 => Fail::value(format!("Invalid {what} in condition {}", shown())),
        _ => Fail::value(format!("Invalid leaf {}", shown())),
    };
    let [left, op, right] = parts else {
        return Err(invalid("item"));
    };
    let op = op
        .as_str()
        .and_then(Op::parse)
        .ok_or_else(|| invalid("operator"))?;
    let Some(name) = left.as_str() else {
        return Ok(Node::Always(left == right));
    };
    let mut path = Vec::new();
    let mut at = Some(model);
    for step in name.split('.') {
        let found = at.and_then(|m| Some((m, m.field(version, step)?)));
        let Some((model, field)) = found else {
            let noun = if version < Version::V19 {
                "leaf"
            } else {
                "condition"
            };
            let message = format!("Invalid field {}.{name} in {noun} {}", model.name(), shown());
            return Err(Fail::value(message));
        };
        path.push((model, field));
        at = field.kind.relation().and_then(Model::parse);
    }
    let operand = match (op, path.last()) {
        (Op::Any | Op::NotAny, Some((_, field))) => {
            let of = field.kind.relation().and_then(Model::parse);
            let of = of.ok_or_else(|| invalid("operator"))?;
            Operand::Sub(Box::new(Node::parse(version, of, right)?))
        }
        (_, Some((_, field))) => {
            let dated = matches!(field.kind, Kind::Datetime | Kind::Date);
            Operand::read(version, model, field, dated, right)?
        }
        _ => Operand::Nothing,
    };
    Ok(Node::Leaf(Leaf { path, op, operand }))
}

/// A value as Python shows it.
pub fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::String(text) => format!("'{text}'"),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}
