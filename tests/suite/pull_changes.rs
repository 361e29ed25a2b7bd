//! Changes of the shop: after the next pull the ledger holds them, and the delta shows these and no others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{json, Value};
use sync_sandbox::Version;

use crate::connected::Facts;
use crate::shop::{small, Shop, ENTITIES};

/// Numbers that are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A shop that changes at random, and what was equal in the local tables when it began.
struct Changing {
    shop: Shop,
    dice: Dice,
    linked: BTreeMap<&'static str, Facts>,
    /// List and id.
    trashed: Vec<(&'static str, u64)>,
    /// Changes that leave no date behind as well.
    quiet: bool,
}

impl Changing {
    fn new(version: Version, seed: u64, settings: Value, quiet: bool) -> Changing {
        let mut shop = Shop::with(small(version), settings);
        let mut linked = BTreeMap::new();
        for entity in ENTITIES {
            shop.pull(entity);
            let ids = shop.fill(entity);
            let mut equal = shop.truth(entity);
            assert!(ids.len() * 2 > equal.len(), "{entity}: {} are linked", ids.len());
            equal.retain(|id, _| ids.contains(id));
            assert_eq!(
                shop.delta(entity).keys().filter(|id| ids.contains(*id)).count(),
                0
            );
            linked.insert(entity, equal);
        }
        Changing {
            shop,
            dice: Dice(seed),
            linked,
            trashed: Vec::new(),
            quiet,
        }
    }

    fn pick(&mut self, list: &str) -> u64 {
        let all = self.shop.listed(list);
        self.dice.of(&all)
    }

    fn change(&mut self) {
        let n = self.dice.next() % 10_000;
        match self.dice.below(12) {
            0 | 1 => self.edit(n),
            2 => self.create(n),
            3 => self.trash(),
            4 => self.restore(),
            5 => self.delete(),
            6 => self.vary(n),
            7 => self.stock(n as i64),
            8 => self.refund(n),
            9 => self.line(n),
            10 => self.role(),
            _ => {
                let id = self.pick("categories");
                self.set("categories", id, json!({ "name": format!("Cups & Mugs {n}") }));
            }
        }
    }

    fn set(&mut self, list: &str, id: u64, set: Value) {
        self.shop
            .change(json!({ "op": "edit", "entity": list, "id": id, "set": set }));
    }

    fn edit(&mut self, n: u64) {
        let list = self.dice.of(&["customers", "products", "variations", "orders"]);
        let id = self.pick(list);
        let set = match list {
            "customers" => json!({ "first_name": format!("Ann {n}"), "billing.city": format!("Köln {n}") }),
            "orders" => json!({ "customer_note": format!("Ring {n} times") }),
            _ => json!({ "regular_price": format!("{n}.50") }),
        };
        self.set(list, id, set);
    }

    fn create(&mut self, n: u64) {
        let list = self.dice.of(&["customers", "products", "orders", "categories"]);
        let set = match list {
            "products" => {
                json!({ "name": format!("New {n}"), "sku": format!("new-{n}-{}", self.dice.next()) })
            }
            _ => json!({}),
        };
        let count = 1 + self.dice.below(3);
        let set = if count == 1 { set } else { json!({}) };
        self.shop
            .change(json!({ "op": "create", "entity": list, "count": count, "set": set }));
    }

    fn trash(&mut self) {
        let list = self.dice.of(&["products", "orders"]);
        let id = self.pick(list);
        let children = if list == "products" {
            self.shop.variations(id)
        } else {
            Vec::new()
        };
        // A product takes its variations along.
        for child in children {
            self.shop
                .change(json!({ "op": "trash", "entity": "variations", "ids": [child] }));
            self.trashed.push(("variations", child));
        }
        self.shop
            .change(json!({ "op": "trash", "entity": list, "ids": [id] }));
        self.trashed.push((list, id));
    }

    fn restore(&mut self) {
        for (list, id) in std::mem::take(&mut self.trashed) {
            // What was deleted meanwhile can't be restored.
            let _ = self
                .shop
                .try_change(&json!({ "op": "restore", "entity": list, "ids": [id] }));
        }
    }

    fn delete(&mut self) {
        let list = self
            .dice
            .of(&["customers", "products", "orders", "categories", "variations"]);
        let id = self.pick(list);
        self.shop
            .change(json!({ "op": "delete", "entity": list, "ids": [id] }));
    }

    fn vary(&mut self, n: u64) {
        let id = self.pick("variations");
        let parent = self.shop.parent(id);
        let set = json!({ "regular_price": format!("{n}.25") });
        self.shop
            .change(json!({ "op": "create", "entity": "variations", "parent": parent, "set": set }));
    }

    fn stock(&mut self, quantity: i64) {
        let list = self.dice.of(&["products", "variations"]);
        let id = self.pick(list);
        if self.quiet {
            self.shop
                .change(json!({ "op": "stock", "entity": list, "id": id, "quantity": quantity }));
        } else {
            self.set(
                list,
                id,
                json!({ "manage_stock": true, "stock_quantity": quantity }),
            );
        }
    }

    fn refund(&mut self, n: u64) {
        let refunds = self.shop.sandbox.truth("refunds").unwrap();
        if self.quiet && n.is_multiple_of(2) && !refunds.is_empty() {
            let id = self.dice.of(&refunds);
            self.shop.change(json!({ "op": "refund_delete", "id": id }));
        } else {
            let order = self.pick("orders");
            // A shop refuses to refund more than was paid.
            let _ = self
                .shop
                .try_change(&json!({ "op": "refund", "order": order, "amount": "0.01", "reason": "late" }));
        }
    }

    fn line(&mut self, n: u64) {
        if self.quiet || self.shop.version() != Version::V8 {
            let order = self.pick("orders");
            // An order may have no lines.
            let _ = self.shop.try_change(
                &json!({ "op": "line", "order": order, "line": 0, "set": { "quantity": n + 100 } }),
            );
        }
    }

    fn role(&mut self) {
        let known: BTreeSet<String> = self.linked["customers"].keys().cloned().collect();
        let id = self.pick("customers");
        if known.contains(&id.to_string()) {
            self.shop
                .change(json!({ "op": "role", "id": id, "role": "subscriber" }));
        }
    }

    /// Pulls, and compares ledger and delta with what is true.
    #[track_caller]
    fn check(&mut self) {
        for entity in ENTITIES {
            self.shop.pull(entity);
            self.shop.assert_mirrored(entity);
            let truth = self.shop.truth(entity);
            let linked = &self.linked[entity];
            let mut expected: BTreeMap<String, String> = BTreeMap::new();
            for (id, facts) in &truth {
                match linked.get(id) {
                    None => drop(expected.insert(id.clone(), "new".into())),
                    Some(before) if before != facts => drop(expected.insert(id.clone(), "updated".into())),
                    Some(_) => {}
                }
            }
            let gone = linked.keys().filter(|id| !truth.contains_key(*id));
            expected.extend(gone.map(|id| (id.clone(), "deleted".into())));
            let mut delta = self.shop.delta(entity);
            for change in delta.values_mut().filter(|change| *change == "ambiguous") {
                *change = "new".into();
            }
            let differ =
                |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| -> Vec<(String, String)> {
                    let only = a.iter().filter(|(id, change)| b.get(*id) != Some(change));
                    only.map(|(id, change)| (id.clone(), change.clone())).collect()
                };
            let (unseen, made_up) = (differ(&expected, &delta), differ(&delta, &expected));
            assert!(
                unseen.is_empty() && made_up.is_empty(),
                "{entity}: not shown {unseen:?}, shown for nothing {made_up:?}"
            );
        }
    }
}

#[track_caller]
fn follows_random_changes(version: Version, seed: u64, settings: Value, quiet: bool) {
    let mut changing = Changing::new(version, seed, settings, quiet);
    for _ in 0..5 {
        for _ in 0..25 {
            changing.change();
        }
        changing.check();
    }
}

#[test]
fn a_new_shop_is_followed_through_random_changes() {
    follows_random_changes(Version::V11, 1, json!({}), true);
}

#[test]
fn an_old_shop_is_followed_through_random_changes() {
    follows_random_changes(Version::V8, 2, json!({ "compare_limit": 100_000 }), true);
}

#[test]
fn a_large_new_shop_is_followed_by_its_dates_counts_and_ids() {
    follows_random_changes(Version::V11, 3, json!({ "compare_limit": 0 }), false);
}

#[test]
fn a_large_old_shop_is_followed_by_its_dates_counts_and_ids() {
    follows_random_changes(Version::V8, 4, json!({ "compare_limit": 0 }), false);
}

#[test]
fn what_variations_show_of_their_product_is_followed_in_large_shops() {
    for version in [Version::V11, Version::V8] {
        let mut shop = Shop::with(small(version), json!({ "compare_limit": 0 }));
        shop.pull("products");
        let heir = |shop: &Shop| {
            let sku = |list: &str, id: u64| shop.sandbox.record(list, id).unwrap().unwrap()["sku"].clone();
            let mut all = shop.listed("variations").into_iter();
            all.find(|id| {
                sku("variations", *id) == sku("products", shop.parent(*id)) && sku("variations", *id) != ""
            })
        };
        let product = shop.parent(heir(&shop).unwrap());
        // the product's date moves, those of its variations don't
        shop.change(json!({ "op": "edit", "entity": "products", "id": product, "set": { "sku": "moved" } }));
        shop.pull("products");
        shop.assert_mirrored("products");
    }
}
