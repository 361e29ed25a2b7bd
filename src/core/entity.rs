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

    const fn singular(self) -> &'static str {
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
