//! What two sides of a record are compared by: some of its entity type's fields, and custom ones.
//!
//! Written as text, it is `customers` (all compared fields) or `customers:email,name,custom.vat=number`. A custom
//! field has its kind behind the name, as no catalogue knows it. Behind the fields of a document may stand whose
//! documents they are, as the MD5 of the connector's name: `orders:number,status:0a1b…`. A hash, as comparisons become
//! part of generated functions, and names are other people's.

use super::entity::EntityType;
use super::field::Kind;
use super::schema;
use crate::error::{Code, Error};
use md5::{Digest, Md5};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// What the names of custom fields begin with.
pub const CUSTOM: &str = "custom.";

/// One field that is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    pub name: String,
    pub kind: Kind,
}

/// The fields, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    entity: EntityType,
    fields: Vec<Compared>,
    owner: Option<[u8; 16]>,
}

impl Compared {
    /// The name without `custom.`; None for a field of the catalogue.
    pub fn custom(&self) -> Option<&str> {
        self.name.strip_prefix(CUSTOM)
    }

    /// The field's value in a record. A custom one stands under its full name (as a bound column), among the
    /// mapped values, or in `custom` itself.
    pub fn value<'a>(&self, record: &'a Map<String, Value>) -> Option<&'a Value> {
        let found = record.get(&self.name);
        match self.custom() {
            Some(name) => found
                .or_else(|| record.get("mapped")?.get(name))
                .or_else(|| record.get("custom")?.get(name)),
            None => found,
        }
    }
}

impl Comparison {
    /// All compared fields of an entity type.
    pub fn all(entity: EntityType) -> &'static Comparison {
        static ALL: LazyLock<[Comparison; 8]> = LazyLock::new(|| EntityType::ALL.map(of_catalogue));
        let [first, ..] = &*ALL;
        ALL.iter().find(|c| c.entity == entity).unwrap_or(first)
    }

    pub const fn entity(&self) -> EntityType {
        self.entity
    }

    pub fn fields(&self) -> &[Compared] {
        &self.fields
    }

    /// Whether a local row that came from this connector (None: from none) can be one of its records: numbers of
    /// documents mean something in one system only.
    pub fn may_own(&self, sync_type: Option<&str>) -> bool {
        match (self.owner, sync_type) {
            (Some(owner), Some(name)) if !name.is_empty() => owner == <[u8; 16]>::from(Md5::digest(name)),
            _ => true,
        }
    }
}

/// The field of a document that says which connector it came from.
pub const SYNC_TYPE: &str = "sync_type";

fn of_catalogue(entity: EntityType) -> Comparison {
    let fields = schema::compared(entity).iter();
    Comparison {
        entity,
        owner: None,
        fields: fields
            .map(|f| Compared {
                name: f.name.to_owned(),
                kind: f.kind,
            })
            .collect(),
    }
}

/// The kinds a custom field may have.
pub fn custom_kind(name: &str) -> Option<Kind> {
    [
        Kind::Text,
        Kind::Email,
        Kind::Number,
        Kind::Bool,
        Kind::Flag,
        Kind::Time,
        Kind::Any,
    ]
    .into_iter()
    .find(|kind| kind.name() == name)
}

fn parse_field(entity: EntityType, text: &str) -> Result<Compared, Error> {
    let unknown = || {
        Error::new(
            Code::Invalid,
            format!("{} have no compared field \"{text}\"", entity.name()),
        )
        .hint("A custom field is written custom.name=kind, with text, email, number, bool, time or any.")
    };
    let (name, kind) = match text.split_once('=') {
        Some((name, kind)) if name.len() > CUSTOM.len() && name.starts_with(CUSTOM) => {
            (name, custom_kind(kind).ok_or_else(unknown)?)
        }
        Some(_) => return Err(unknown()),
        None => {
            let field = schema::field(entity, text)
                .filter(|f| f.compared)
                .ok_or_else(unknown)?;
            (field.name, field.kind)
        }
    };
    Ok(Compared {
        name: name.to_owned(),
        kind,
    })
}

impl FromStr for Comparison {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((entity, list)) = text.split_once(':') else {
            return Ok(Self::all(text.parse()?).clone());
        };
        let entity: EntityType = entity.parse()?;
        let (list, owner) = match list.split_once(':') {
            Some((list, owner)) => (list, Some(hash(owner)?)),
            None => (list, None),
        };
        let mut fields = list
            .split(',')
            .filter(|name| !name.is_empty())
            .map(|name| parse_field(entity, name))
            .collect::<Result<Vec<_>, _>>()?;
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        fields.dedup_by(|a, b| a.name == b.name);
        Ok(Comparison {
            entity,
            fields,
            owner,
        })
    }
}

fn hash(text: &str) -> Result<[u8; 16], Error> {
    let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let read = u128::from_str_radix(text, 16).ok().filter(|_| digits);
    read.map(u128::to_be_bytes).ok_or_else(|| {
        Error::new(
            Code::Invalid,
            format!("\"{text}\" is no hash of a connector's name"),
        )
        .hint("After a second colon stands the MD5 of the name.")
    })
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.entity.name())?;
        for (at, field) in self.fields.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}", field.name)?;
            if field.custom().is_some() {
                write!(f, "={}", field.kind.name())?;
            }
        }
        match self.owner {
            Some(owner) => write!(f, ":{:032x}", u128::from_be_bytes(owner)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "customers:",
            "customers:email,name",
            "products:custom.vat=number,sku",
            "products:custom.ripe=flag,custom.vat=bool",
            "orders:number:00fffb2d8a2f6c3f4c4a2f4f4b4e4d4c",
            "orders::00fffb2d8a2f6c3f4c4a2f4f4b4e4d4c",
        ] {
            let read: Comparison = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
        let sorted: Comparison = "customer:name,custom.b=any,email,name".parse().unwrap();
        assert_eq!(sorted.to_string(), "customers:custom.b=any,email,name");
    }

    #[test]
    fn the_bare_entity_type_means_all_its_fields() {
        for entity in EntityType::ALL {
            let all: Comparison = entity.name().parse().unwrap();
            assert_eq!(&all, Comparison::all(entity));
            assert_eq!(all.to_string().parse::<Comparison>().unwrap(), all);
            assert_eq!(all.fields().len(), schema::compared(entity).len());
        }
    }

    #[test]
    fn what_is_no_compared_field_is_refused() {
        for text in [
            "invoices:a",
            "customers:nothing",
            "customers:custom",
            "customers:modified_at",
            "customers:custom.a",
            "customers:custom.=text",
            "customers:custom.a=money",
            "customers:email=text",
            "orders:number:",
            "orders:number:shop",
            "orders:number:+0fffb2d8a2f6c3f4c4a2f4f4b4e4d4c",
        ] {
            let error = text.parse::<Comparison>().unwrap_err();
            assert!(error.code == Code::Invalid && error.hint.is_some(), "{text}");
        }
    }

    #[test]
    fn a_document_is_its_connectors_or_nobodys() {
        let md5_of_shop = "6a1e5eea07e0ce5c0e1e7a8f9a57a0e1";
        let wrong: Comparison = format!("orders:number:{md5_of_shop}").parse().unwrap();
        assert!(wrong.may_own(None) && wrong.may_own(Some("")) && !wrong.may_own(Some("outlet")));
        let name = "a \"shop\":$track$";
        let hash = u128::from_be_bytes(Md5::digest(name).into());
        let own: Comparison = format!("orders:number:{hash:032x}").parse().unwrap();
        assert!(own.may_own(Some(name)) && !own.may_own(Some("shop")));
        assert!(Comparison::all(EntityType::Orders).may_own(Some("anybody")));
    }

    #[test]
    fn a_custom_value_is_found_in_each_of_its_places() {
        let compared: Comparison = "customers:custom.vat=text".parse().unwrap();
        let [field] = compared.fields() else {
            unreachable!()
        };
        for (text, found) in [
            (r#"{"custom.vat":"1","mapped":{"vat":"2"}}"#, Some("1")),
            (r#"{"mapped":{"vat":"2"},"custom":{"vat":"3"}}"#, Some("2")),
            (r#"{"custom":{"vat":"3"}}"#, Some("3")),
            (r#"{"vat":"4"}"#, None),
        ] {
            let record: Map<String, Value> = serde_json::from_str(text).unwrap();
            assert_eq!(field.value(&record).and_then(Value::as_str), found);
        }
    }
}
