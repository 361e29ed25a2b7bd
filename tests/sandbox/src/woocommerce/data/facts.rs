//! What follows from `(seed, id)` alone: which ids there are, dates, statuses, parents.

use std::borrow::Cow;

use super::{Config, Id, Kind, Version};
pub use crate::core::dice::mix;

/// 2023-01-01, before which nothing was created.
const EPOCH: i64 = 1_672_531_200;
/// Two years in which everything was created.
const SPAN: u64 = 63_072_000;
const FIRST_PRODUCT: Id = 23;
const PRODUCT_STEP: Id = 3;
const FIRST_ORDER: Id = 5_000_001;
const FIRST_VARIATION: Id = 50_000_000;
/// Ids of the variations of one product lie together.
const VARIATION_ROOM: Id = 1000;
const FIRST_CATEGORY: Id = 15;
/// What a product, variation, order or refund that is created gets; fits 32 bits with sign.
pub const FIRST_NEW_POST: Id = 1_000_000_001;

/// A number that depends on the seed, the entity and the id (splitmix64).
pub fn hash(seed: u64, kind: Kind, id: Id) -> u64 {
    mix(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (kind as u64) << 56 ^ u64::from(id))
}

/// All ids of the seeded records, ascending.
pub fn base_ids(config: &Config, kind: Kind) -> Vec<Id> {
    match kind {
        Kind::Customers => user_ids(config.customers),
        Kind::Products => (0..config.products).map(product_id).collect(),
        Kind::Variations => {
            let products = (0..config.products).map(product_id);
            products.flat_map(|id| base_children(config, kind, id)).collect()
        }
        Kind::Orders => (0..config.orders).map(order_id).collect(),
        Kind::Refunds => {
            let orders = (0..config.orders).map(order_id);
            orders.flat_map(|id| base_children(config, kind, id)).collect()
        }
        Kind::Categories => (0..config.categories).map(|i| FIRST_CATEGORY + i).collect(),
    }
}

/// Users until enough are customers, with gaps where others were deleted long ago.
fn user_ids(customers: u32) -> Vec<Id> {
    let mut ids = Vec::with_capacity(customers as usize + customers as usize / 64 + 1);
    let mut found = 0;
    for id in (1..).filter(|id| id % 31 != 5) {
        if found == customers {
            break;
        }
        found += u32::from(role(id) == "customer");
        ids.push(id);
    }
    ids
}

fn role(id: Id) -> &'static str {
    const OTHERS: [&str; 4] = ["subscriber", "shop_manager", "editor", "administrator"];
    match id {
        1 => "administrator",
        _ if id.is_multiple_of(97) => OTHERS[(id / 97 % 4) as usize],
        _ => "customer",
    }
}

pub fn product_id(index: u32) -> Id {
    FIRST_PRODUCT + index * PRODUCT_STEP
}

/// The position of a seeded product; any number for one that was created.
pub fn product_index(id: Id) -> u32 {
    id.saturating_sub(FIRST_PRODUCT) / PRODUCT_STEP
}

fn order_id(index: u32) -> Id {
    FIRST_ORDER + index * 2
}

pub fn order_index(id: Id) -> u32 {
    id.saturating_sub(FIRST_ORDER) / 2
}

pub fn category_index(id: Id) -> u32 {
    id.saturating_sub(FIRST_CATEGORY)
}

pub fn category_id(index: u32) -> Id {
    FIRST_CATEGORY + index
}

/// `simple`, `variable`, `grouped` or `external`.
pub fn product_type(index: u32) -> &'static str {
    match index % 40 {
        n if n % 10 == 3 => "variable",
        5 => "grouped",
        15 => "external",
        _ => "simple",
    }
}

/// The seeded children of a record, whether or not they still exist.
pub fn base_children(config: &Config, kind: Kind, parent: Id) -> Vec<Id> {
    let seeded = parent < FIRST_NEW_POST;
    match kind {
        Kind::Variations if seeded && product_type(product_index(parent)) == "variable" => {
            let which = product_index(parent) / 10;
            let first = FIRST_VARIATION + which * VARIATION_ROOM;
            (first..first + variations(config, which)).collect()
        }
        Kind::Refunds if seeded && has_refund(parent) => vec![parent + 1],
        _ => Vec::new(),
    }
}

fn variations(config: &Config, which: u32) -> u32 {
    match which {
        0 => config.big_variations.min(VARIATION_ROOM - 1),
        _ => (mix(config.seed ^ u64::from(which)) % 7) as u32,
    }
}

fn has_refund(order: Id) -> bool {
    order >= FIRST_ORDER && order_index(order) % 12 == 4
}

pub fn parent(kind: Kind, id: Id) -> Id {
    match kind {
        Kind::Variations => {
            let which = id.saturating_sub(FIRST_VARIATION) / VARIATION_ROOM;
            product_id(which * 10 + 3)
        }
        Kind::Refunds => id.saturating_sub(1),
        _ => 0,
    }
}

/// The position of a variation under its product.
pub fn variation_position(id: Id) -> u32 {
    id.saturating_sub(FIRST_VARIATION) % VARIATION_ROOM
}

pub fn created(config: &Config, kind: Kind, id: Id) -> i64 {
    match kind {
        // Variations are created in one go with their product.
        Kind::Variations => created(config, Kind::Products, parent(kind, id)),
        Kind::Refunds => created(config, Kind::Orders, parent(kind, id)) + 86_400,
        Kind::Products if product_status(product_index(id)) == "future" => EPOCH + 10 * SPAN as i64,
        // Imported in bulk: two hundred products share a second.
        Kind::Products if (product_index(id) / 200) % 3 == 1 => {
            EPOCH + i64::from(product_index(id) / 200) * 7200
        }
        _ => EPOCH + (hash(config.seed, kind, id) >> 8).rem_euclid(SPAN) as i64,
    }
}

pub fn modified(config: &Config, kind: Kind, id: Id) -> Option<i64> {
    let block = match kind {
        // Never saved by WooCommerce.
        Kind::Customers if id % 53 == 2 => return None,
        Kind::Categories => return None,
        Kind::Refunds => return Some(created(config, kind, id)),
        Kind::Customers => id / 300,
        Kind::Products => product_index(id) / 300,
        Kind::Variations => id / VARIATION_ROOM,
        Kind::Orders => order_index(id) / 300,
    };
    // Bulk edits: whole blocks share one second.
    if block % 3 == 1 {
        return Some(EPOCH + SPAN as i64 + i64::from(block) % 5000 * 3600);
    }
    let later = (hash(config.seed, kind, id) >> 20) % 5_000_000;
    Some(created(config, kind, id).min(EPOCH + SPAN as i64) + later as i64)
}

pub fn state(config: &Config, kind: Kind, id: Id) -> Cow<'static, str> {
    match kind {
        Kind::Customers => Cow::Borrowed(role(id)),
        Kind::Products => Cow::Borrowed(product_status(product_index(id))),
        Kind::Orders => order_status(config, order_index(id)),
        Kind::Variations => Cow::Borrowed(if id % 29 == 7 { "private" } else { "publish" }),
        Kind::Refunds | Kind::Categories => Cow::Borrowed("publish"),
    }
}

fn product_status(index: u32) -> &'static str {
    match index % 100 {
        19 | 44 | 69 | 94 => "trash",
        31 | 61 | 91 => "draft",
        7 | 57 => "private",
        11 => "future",
        81 => "pending",
        _ => "publish",
    }
}

fn order_status(config: &Config, index: u32) -> Cow<'static, str> {
    Cow::Borrowed(match index % 40 {
        0..=13 => "completed",
        14..=22 => "processing",
        23..=26 => "on-hold",
        27..=29 => "pending",
        30..=32 => "cancelled",
        33 | 34 => "refunded",
        35 => "failed",
        36 => "checkout-draft",
        37 => "trash",
        38 => match config.custom_statuses.first() {
            Some(custom) => return Cow::Owned(custom.clone()),
            None => "completed",
        },
        _ => "refunded",
    })
}

/// Whether `any` shows a status.
pub fn in_any(version: Version, kind: Kind, state: &str) -> bool {
    match state {
        "trash" | "auto-draft" => false,
        // With orders stored as posts, WordPress counts drafts of the checkout in.
        "checkout-draft" => kind != Kind::Orders || version == Version::V8,
        _ => true,
    }
}

/// How far Europe/Berlin is ahead of UTC at a time.
pub fn offset(utc: i64) -> i64 {
    let (year, _, _) = crate::core::clock::civil(utc.div_euclid(86_400));
    let switch = |month| {
        let last = crate::core::clock::days(year, month, 31);
        // 1970-01-01 was a Thursday; clocks change on the last Sunday at 01:00 UTC.
        (last - (last + 4).rem_euclid(7)) * 86_400 + 3600
    };
    if (switch(3)..switch(10)).contains(&utc) {
        7200
    } else {
        3600
    }
}
