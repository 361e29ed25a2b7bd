//! The canonical records: which fields an entity type has, what they hold, which of them are compared.
//!
//! The names are the column names of the local tables. Fields that are not compared are carried, but
//! a difference in them is no change of the record.

use super::entity::EntityType;
use super::field::Field;
use super::{catalogue, catalogue_erp};
use std::sync::LazyLock;

/// All fields of an entity type, in the order of the local table's columns.
pub fn fields(entity: EntityType) -> &'static [Field] {
    match entity {
        EntityType::Customers => catalogue::CUSTOMERS,
        EntityType::Products => catalogue::PRODUCTS,
        EntityType::Orders => catalogue::ORDERS,
        EntityType::Categories => catalogue::CATEGORIES,
        EntityType::Warehouses => catalogue_erp::WAREHOUSES,
        EntityType::Purchases => catalogue_erp::PURCHASES,
        EntityType::Sales => catalogue_erp::SALES,
        EntityType::Transfers => catalogue_erp::TRANSFERS,
    }
}

/// The compared fields of an entity type, sorted by name: what a fingerprint is made of.
pub fn compared(entity: EntityType) -> &'static [&'static Field] {
    static SORTED: LazyLock<[Vec<&'static Field>; 8]> =
        LazyLock::new(|| EntityType::ALL.map(sorted_compared));
    EntityType::ALL
        .iter()
        .position(|e| *e == entity)
        .and_then(|at| SORTED.get(at))
        .map_or(&[], Vec::as_slice)
}

fn sorted_compared(entity: EntityType) -> Vec<&'static Field> {
    let mut list: Vec<_> = fields(entity).iter().filter(|f| f.compared).collect();
    list.sort_by_key(|f| f.name);
    list
}

/// The field of that name, if the entity type has one.
pub fn field(entity: EntityType, name: &str) -> Option<&'static Field> {
    fields(entity).iter().find(|f| f.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Kind;

    #[test]
    fn names_are_unique() {
        for entity in EntityType::ALL {
            let mut names: Vec<_> = fields(entity).iter().map(|f| f.name).collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all, "{} has a field twice", entity.name());
        }
    }

    #[test]
    fn names_are_column_names() {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        for entity in EntityType::ALL {
            for f in fields(entity) {
                assert!(f.name.chars().all(fine) && f.name.len() < 63, "{}", f.name);
            }
        }
    }

    #[test]
    fn elements_are_declared_sorted_and_with_an_id() {
        for entity in EntityType::ALL {
            for f in fields(entity) {
                if let Kind::List(inner) = f.kind {
                    assert!(inner.is_sorted_by_key(|i| i.name), "{}", f.name);
                    assert!(inner.contains(&Field::new("id", Kind::Text)), "{}", f.name);
                }
            }
        }
    }

    #[test]
    fn compared_leaves_out_what_is_aside() {
        for entity in EntityType::ALL {
            let list = compared(entity);
            assert!(!list.is_empty() && list.is_sorted_by_key(|f| f.name));
            for name in ["created_at", "modified_at", "custom"] {
                assert!(list.iter().all(|f| f.name != name));
            }
            assert!(field(entity, "custom").is_some_and(|f| f.kind == Kind::Any));
            assert!(field(entity, "modified_at").is_some());
            assert!(field(entity, "nothing_like_it").is_none());
        }
    }
}
