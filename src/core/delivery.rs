//! What a webhook has told, once it was read: who may know of it needs not know the system that sent it.

use super::EntityType;

/// A signed delivery, and the record that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The sender's name for the delivery; where it gave none, the signature.
    pub id: String,
    pub signature: String,
    /// "product.updated"
    pub topic: String,
    pub entity: EntityType,
    pub external_id: String,
    /// The record that it belongs to, where the body says so.
    pub parent_id: Option<String>,
}
