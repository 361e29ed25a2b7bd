//! Entity types: what kinds of records there are.

use crate::error::{Code, Error};
use std::str::FromStr;

/// What a record is. The number is stored in the ledger: never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(i16)]
pub enum EntityType {
    Customers = 1,
    Products = 2,
    Orders = 3,
    Categories = 4,
    Warehouses = 5,
    Purchases = 6,
    Sales = 7,
    Transfers = 8,
}

impl EntityType {
    pub const ALL: [EntityType; 8] = [
        EntityType::Customers,
        EntityType::Products,
        EntityType::Orders,
        EntityType::Categories,
        EntityType::Warehouses,
        EntityType::Purchases,
        EntityType::Sales,
        EntityType::Transfers,
    ];

    /// What others refer to comes first: the order in which all types of a connector are pulled.
    pub const IN_ORDER: [EntityType; 8] = [
        EntityType::Categories,
        EntityType::Products,
        EntityType::Customers,
        EntityType::Warehouses,
        EntityType::Orders,
        EntityType::Sales,
        EntityType::Purchases,
        EntityType::Transfers,
    ];

    /// Plural, lower case: as users write it.
    pub const fn name(self) -> &'static str {
        match self {
            EntityType::Customers => "customers",
            EntityType::Products => "products",
            EntityType::Orders => "orders",
            EntityType::Categories => "categories",
            EntityType::Warehouses => "warehouses",
            EntityType::Purchases => "purchases",
            EntityType::Sales => "sales",
            EntityType::Transfers => "transfers",
        }
    }

    pub const fn singular(self) -> &'static str {
        match self {
            EntityType::Customers => "customer",
            EntityType::Products => "product",
            EntityType::Orders => "order",
            EntityType::Categories => "category",
            EntityType::Warehouses => "warehouse",
            EntityType::Purchases => "purchase",
            EntityType::Sales => "sale",
            EntityType::Transfers => "transfer",
        }
    }
}

impl FromStr for EntityType {
    type Err = Error;

    /// Accepts the plural and the singular.
    fn from_str(s: &str) -> Result<Self, Error> {
        let wanted = s.trim().to_ascii_lowercase();
        Self::ALL.into_iter().find(|e| e.name() == wanted || e.singular() == wanted).ok_or_else(|| {
            Error::new(Code::Invalid, format!("unknown entity type \"{s}\""))
                .hint("Use one of: customers, products, orders, categories, warehouses, purchases, sales, transfers.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plural_and_singular_are_read() {
        for entity in EntityType::ALL {
            for form in [entity.name(), entity.singular(), &entity.name().to_uppercase()] {
                assert_eq!(form.parse::<EntityType>(), Ok(entity));
            }
        }
        assert_eq!(" Category ".parse::<EntityType>(), Ok(EntityType::Categories));
    }

    #[test]
    fn others_are_refused_with_a_hint() {
        for form in ["", "customerss", "all", "invoice"] {
            let error = form.parse::<EntityType>().err();
            assert!(
                error.is_some_and(|e| e.code == Code::Invalid && e.hint.is_some()),
                "{form}"
            );
        }
    }

    #[test]
    fn the_order_of_pulling_has_every_type_once() {
        let mut sorted = EntityType::IN_ORDER;
        sorted.sort();
        assert_eq!(sorted, EntityType::ALL);
    }

    #[test]
    fn numbers_are_as_stored() {
        let numbers = EntityType::ALL.map(|e| e as i16);
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
