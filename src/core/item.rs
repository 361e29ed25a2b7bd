//! What an item of a sync list is.

use super::{schema, EntityType};
use crate::error::{Code, Error, Result};
use std::str::FromStr;

/// The stock of a product. How many there are, and whether they are counted at all, go together.
const STOCK: &[&str] = &["manage_stock", "stock_quantity", "stock_status"];
/// As apps write it, beside the names of entity types.
const INVENTORY: &str = "inventory";

/// A record, or the stock of a product alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ItemType {
    pub entity: EntityType,
    pub is_stock: bool,
}

impl ItemType {
    pub const fn name(self) -> &'static str {
        match self.is_stock {
            true => INVENTORY,
            false => self.entity.name(),
        }
    }

    /// The fields that such an item can be restricted to; all of a record may be, also fields that a connector maps.
    pub fn has_field(self, name: &str) -> bool {
        match self.is_stock {
            true => STOCK.contains(&name),
            false => {
                name.starts_with("custom.")
                    || schema::field(self.entity, name).is_some_and(|field| field.compared)
            }
        }
    }

    /// The fields that an item carries of its own; None: all.
    pub const fn fields(self) -> Option<&'static [&'static str]> {
        match self.is_stock {
            true => Some(STOCK),
            false => None,
        }
    }
}

impl FromStr for ItemType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim().eq_ignore_ascii_case(INVENTORY) {
            return Ok(ItemType {
                entity: EntityType::Products,
                is_stock: true,
            });
        }
        let unknown = |_| {
            Error::new(Code::Invalid, format!("unknown item type \"{text}\"")).hint(
                "Use an entity type (customers, products, orders, categories, warehouses, purchases, sales, transfers; the singular will do), or inventory.",
            )
        };
        let entity = text.parse().map_err(unknown)?;
        Ok(ItemType {
            entity,
            is_stock: false,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn inventory_is_the_stock_of_products() {
        let stock: ItemType = " Inventory".parse().unwrap();
        assert_eq!((stock.entity, stock.name()), (EntityType::Products, "inventory"));
        assert!(stock.has_field("stock_quantity") && !stock.has_field("price"));
        assert_eq!(stock.fields(), Some(STOCK));
    }

    #[test]
    fn others_are_entity_types() {
        let product: ItemType = "product".parse().unwrap();
        assert_eq!((product.name(), product.fields()), ("products", None));
        assert!(product.has_field("price") && product.has_field("custom.shelf"));
        assert!(!product.has_field("email") && !product.has_field(""));
        let refused = "gadgets".parse::<ItemType>().unwrap_err();
        assert_eq!(refused.message, "unknown item type \"gadgets\"");
        assert!(refused.hint.is_some_and(|hint| hint.contains("inventory")));
    }

    #[test]
    fn stock_is_of_fields_that_products_have() {
        for name in STOCK {
            assert!(schema::field(EntityType::Products, name).is_some(), "{name}");
        }
    }
}
