//! What follows from `(seed, id)` alone: which ids there are, dates, who belongs to whom.

use super::{Id, Model};
use crate::core::dice::mix;
use crate::odoo::config::Config;
use crate::odoo::data::val::SECOND;

/// 2023-01-01, before which nothing was created.
pub const EPOCH: i64 = 1_672_531_200;
/// Two years in which everything was created.
pub const SPAN: u64 = 63_072_000;
/// Contacts below are those of companies and users.
pub const FIRST_PARTNER: Id = 41;
/// After so many ids one is missing, as if it had been deleted long ago.
const RUN: u32 = 30;
/// Ids of the variants of a template lie together.
pub const VARIANTS: Id = 16;
/// Ids of the lines of a document.
pub const LINES: Id = 8;
/// Ids of the quants of a product.
pub const QUANTS: Id = 4;

/// A number that depends on the seed, the model and the id.
pub fn hash(seed: u64, model: Model, id: Id) -> u64 {
    mix(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (model as u64) << 56 ^ u64::from(id))
}

/// The id of the seeded record at a position.
pub fn id_at(first: Id, index: u32) -> Id {
    first + index + index / RUN
}

/// The position of a seeded record.
pub fn index_of(first: Id, id: Id) -> u32 {
    let from = id.saturating_sub(first);
    from / (RUN + 1) * RUN + (from % (RUN + 1)).min(RUN - 1)
}

pub fn partner_index(id: Id) -> u32 {
    index_of(FIRST_PARTNER, id)
}

/// The position of a template, sale, purchase or category.
pub fn index(id: Id) -> u32 {
    index_of(1, id)
}

pub fn partner_at(index: u32) -> Id {
    id_at(FIRST_PARTNER, index)
}

/// All ids of the seeded records, ascending.
pub fn base_ids(config: &Config, model: Model) -> Vec<Id> {
    let spread = |count: u32| (0..count).map(|i| id_at(1, i));
    match model {
        Model::Partner => {
            let internal = (1..=config.companies).chain(config.users.iter().map(|u| user_partner(u.id)));
            let mut ids: Vec<Id> = internal.chain((0..config.partners).map(partner_at)).collect();
            ids.sort_unstable();
            ids
        }
        Model::Template => spread(config.templates).collect(),
        Model::Product | Model::AttributeValue => {
            let mut ids: Vec<Id> = spread(config.templates)
                .flat_map(|id| base_parts(config, model, id))
                .collect();
            // Those of the first template with many lie behind all others.
            ids.sort_unstable();
            ids
        }
        Model::Quant => base_ids(config, Model::Product)
            .into_iter()
            .flat_map(|id| base_parts(config, model, id))
            .collect(),
        Model::Category => spread(config.categories).collect(),
        Model::Sale => spread(config.sales).collect(),
        Model::Purchase => spread(config.purchases).collect(),
        Model::SaleLine => spread(config.sales)
            .flat_map(|id| base_parts(config, model, id))
            .collect(),
        Model::PurchaseLine => spread(config.purchases)
            .flat_map(|id| base_parts(config, model, id))
            .collect(),
        Model::Picking => pickings(config),
        Model::Move => pickings(config)
            .into_iter()
            .flat_map(|id| base_parts(config, model, id))
            .collect(),
        Model::Warehouse => (1..=config.warehouses).collect(),
        Model::PickingType => (1..=config.warehouses * 3).collect(),
        Model::Company => (1..=config.companies).collect(),
        Model::User | Model::ApiKey => {
            let mut ids: Vec<Id> = config.users.iter().map(|u| u.id).collect();
            ids.sort_unstable();
            ids
        }
        _ => super::base::ids(config, model),
    }
}

/// The contact of a user.
pub fn user_partner(user: Id) -> Id {
    10 + user.min(30)
}

/// The parts that a record was seeded with, ascending, whether or not they still exist.
pub fn base_parts(config: &Config, part: Model, owner: Id) -> Vec<Id> {
    let several = |first: Id, count: u32| (first..first + count).collect();
    match part {
        Model::Partner => match owner.checked_sub(FIRST_PARTNER) {
            Some(_) if partner_index(owner).is_multiple_of(4) => {
                let i = partner_index(owner);
                [i + 1, i + 2]
                    .into_iter()
                    .filter(|i| *i < config.partners)
                    .map(partner_at)
                    .collect()
            }
            _ => Vec::new(),
        },
        Model::Category => (0..config.categories)
            .map(|i| id_at(1, i))
            .filter(|id| category_parent(*id) == Some(owner))
            .collect(),
        Model::Product => several(first_variant(config, owner), variants(config, owner)),
        Model::AttributeValue => match variants(config, owner) {
            0 | 1 => Vec::new(),
            n if is_big(owner) => several(first_value(config, owner), n),
            _ => several(first_value(config, owner), 5),
        },
        Model::Quant => quants(config, owner),
        Model::SaleLine | Model::PurchaseLine => several(owner * LINES, lines(config, part, owner)),
        Model::Move => match source(owner) {
            Source::Sale(id) => moved(config, Model::SaleLine, owner, id),
            Source::Purchase(id) => moved(config, Model::PurchaseLine, owner, id),
            Source::Internal(j) => several(owner * LINES, 1 + j % 3),
        },
        _ => Vec::new(),
    }
}

/// The record that a part was seeded into.
pub fn base_owner(config: &Config, part: Model, id: Id) -> Option<Id> {
    match part {
        Model::Partner => {
            let i = id.checked_sub(FIRST_PARTNER).map(|_| partner_index(id))?;
            matches!(i % 4, 1 | 2).then(|| partner_at(i - i % 4))
        }
        Model::Category => category_parent(id),
        Model::Product | Model::AttributeValue => {
            let room = if part == Model::Product { VARIANTS } else { LINES };
            let index = id.saturating_sub(1) / room;
            let index = if index >= config.templates { BIG } else { index };
            Some(id_at(1, index))
        }
        Model::Quant => Some(id / QUANTS),
        _ => Some(id / LINES),
    }
}

fn category_parent(id: Id) -> Option<Id> {
    match index(id) {
        0..=2 => None,
        i @ 3..=8 => Some(id_at(1, i % 3)),
        i => Some(id_at(1, 3 + i % 6)),
    }
}

/// Position of the template with the most variants.
const BIG: u32 = 3;

fn is_big(template: Id) -> bool {
    index(template) == BIG
}

/// How many variants a template was seeded with.
pub fn variants(config: &Config, template: Id) -> u32 {
    match index(template) {
        BIG => config.big_variants,
        i if i % 10 == 3 => 6,
        // Made when they are ordered, and none was.
        i if i % 50 == 27 => 0,
        _ => 1,
    }
}

/// The first of the variants that a template was seeded with.
pub fn first_variant(config: &Config, template: Id) -> Id {
    let index = if is_big(template) {
        config.templates
    } else {
        index(template)
    };
    index * VARIANTS + 1
}

pub fn first_value(config: &Config, template: Id) -> Id {
    let index = if is_big(template) {
        config.templates
    } else {
        index(template)
    };
    index * LINES + 1
}

/// The position of a seeded variant under its template.
pub fn variant_position(config: &Config, id: Id) -> u32 {
    let big = config.templates * VARIANTS;
    if id > big {
        id - big - 1
    } else {
        id.saturating_sub(1) % VARIANTS
    }
}

/// `consu`, `service`, `product` (17) or `combo` (19).
pub fn is_service(template: Id) -> bool {
    index(template) % 7 == 5
}

fn quants(config: &Config, product: Id) -> Vec<Id> {
    let template = base_owner(config, Model::Product, product).unwrap_or_default();
    if is_service(template) {
        return Vec::new();
    }
    let h = hash(config.seed, Model::Quant, product);
    let there = [
        h & 3 != 0,
        h >> 2 & 3 == 0 && config.warehouses > 1,
        h >> 4 & 7 == 3,
    ];
    let all = (0u32..).zip(there).filter(|(_, there)| *there);
    all.map(|(k, _)| product * QUANTS + k).collect()
}

/// How many lines a sale or purchase was seeded with.
pub fn lines(config: &Config, part: Model, document: Id) -> u32 {
    1 + (hash(config.seed, part, document * LINES) >> 30) as u32 % 5
}

/// Whether a seeded line is a section or a note, and no product.
pub fn is_note(config: &Config, part: Model, id: Id) -> bool {
    !id.is_multiple_of(LINES) && hash(config.seed, part, id) >> 40 & 7 == 5
}

/// What a transfer was seeded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Sale(Id),
    Purchase(Id),
    /// By its position.
    Internal(u32),
}

pub fn source(picking: Id) -> Source {
    match picking % 3 {
        1 => Source::Sale(picking / 3),
        2 => Source::Purchase(picking / 3),
        _ => Source::Internal(picking / 3 - 1),
    }
}

/// The transfer that a sale or purchase was seeded with.
pub fn picking_of(config: &Config, source: Source) -> Option<Id> {
    match source {
        Source::Sale(id) => {
            let due = index(id).is_multiple_of(2) && sale_state(config, id) == "sale";
            (due && !moved(config, Model::SaleLine, 3 * id + 1, id).is_empty()).then_some(3 * id + 1)
        }
        Source::Purchase(id) => {
            let due = matches!(purchase_state(config, id), "purchase" | "done");
            (due && !moved(config, Model::PurchaseLine, 3 * id + 2, id).is_empty()).then_some(3 * id + 2)
        }
        Source::Internal(j) => Some(3 * j + 3),
    }
}

fn pickings(config: &Config) -> Vec<Id> {
    let sales = (0..config.sales).map(|i| Source::Sale(id_at(1, i)));
    let purchases = (0..config.purchases).map(|i| Source::Purchase(id_at(1, i)));
    let internal = (0..config.transfers).map(Source::Internal);
    let all = sales.chain(purchases).chain(internal);
    let mut ids: Vec<Id> = all.filter_map(|source| picking_of(config, source)).collect();
    ids.sort_unstable();
    ids
}

/// The moves of a seeded transfer: one per line of goods.
fn moved(config: &Config, part: Model, picking: Id, document: Id) -> Vec<Id> {
    let goods = |k: &u32| {
        let line = document * LINES + k;
        !is_note(config, part, line) && !is_service(line_template(config, part, line))
    };
    (0..lines(config, part, document))
        .filter(goods)
        .map(|k| picking * LINES + k)
        .collect()
}

/// The template that a seeded line sells or buys.
pub fn line_template(config: &Config, part: Model, line: Id) -> Id {
    let h = hash(config.seed, part, line);
    let index = (h % u64::from(config.templates.max(1))) as u32;
    // One without variants can't be sold.
    id_at(1, if index % 50 == 27 { index - 1 } else { index })
}

pub fn sale_state(config: &Config, id: Id) -> &'static str {
    match hash(config.seed, Model::Sale, id) >> 12 & 15 {
        0 | 1 => "draft",
        2 => "sent",
        3 => "cancel",
        _ => "sale",
    }
}

pub fn purchase_state(config: &Config, id: Id) -> &'static str {
    match hash(config.seed, Model::Purchase, id) >> 12 & 7 {
        0 => "draft",
        1 => "sent",
        2 => "cancel",
        // Version 19 has a field for it.
        3 if config.version < crate::odoo::config::Version::V19 => "done",
        _ => "purchase",
    }
}

/// When a record was created, in microseconds.
pub fn created(config: &Config, model: Model, id: Id) -> i64 {
    let day = match model {
        // Parts are made with what they are part of.
        Model::SaleLine | Model::PurchaseLine | Model::Move | Model::Product => {
            let (_, owner) = model.owner().unwrap_or(("", model));
            let parent = base_owner(config, model, id).unwrap_or_default();
            return created(config, owner, parent);
        }
        Model::Warehouse | Model::Company | Model::User => 0,
        _ => hash(config.seed, model, id) >> 8,
    };
    (EPOCH + day.rem_euclid(SPAN) as i64) * SECOND + fraction(config, model, id)
}

/// When it was last written: whole blocks at one time, as imports leave them.
pub fn written(config: &Config, model: Model, id: Id) -> i64 {
    let block = id / 300;
    if block % 3 == 1 {
        let second = EPOCH + SPAN as i64 + i64::from(block) % 5000 * 3600;
        return second * SECOND + fraction(config, model, block);
    }
    let later = (hash(config.seed, model, id) >> 20) % 5_000_000;
    created(config, model, id) + later as i64 * SECOND
}

fn fraction(config: &Config, model: Model, n: Id) -> i64 {
    (hash(config.seed ^ 77, model, n) % 1_000_000) as i64
}
