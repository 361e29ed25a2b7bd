//! Changes of records. None of these decides about `date_modified`: callers do, with `touch`.

use serde_json::{json, Map, Value};

use super::{Data, Id, Kind, Over};

impl Data {
    /// Adds a record: `blank` as a client creates it, else computed as the seeded ones are.
    pub fn insert(&mut self, kind: Kind, parent: Option<Id>, blank: bool, now: i64) -> Id {
        self.generation += 1;
        let next = match kind {
            Kind::Customers => &mut self.next_user,
            Kind::Categories => &mut self.next_term,
            _ => &mut self.next_post,
        };
        let id = *next;
        *next += 1;
        let state = match kind {
            Kind::Customers => "customer",
            Kind::Orders if blank => "pending",
            Kind::Orders => "processing",
            _ => "publish",
        };
        let modified = if kind == Kind::Categories { None } else { Some(now) };
        let mut over = Over {
            blank,
            parent,
            created: Some(now),
            modified: Some(modified),
            ..Over::default()
        };
        over.state = Some(state.into());
        if kind == Kind::Products {
            // Without seeded variations it is nothing else.
            over.patch.insert("type".into(), "simple".into());
        }
        let store = &mut self.stores[kind as usize];
        store.over.insert(id, over);
        store.live.push(id);
        if let Some(parent) = parent {
            store.added.entry(parent).or_default().push(id);
        }
        id
    }

    /// Removes a record for good, with its variations or refunds.
    pub fn remove(&mut self, kind: Kind, id: Id) -> bool {
        let children = match kind {
            Kind::Products => Some(Kind::Variations),
            Kind::Orders => Some(Kind::Refunds),
            _ => None,
        };
        if let Some(child) = children {
            for child_id in self.children(child, id) {
                self.remove(child, child_id);
            }
        }
        let store = &mut self.stores[kind as usize];
        let Ok(at) = store.live.binary_search(&id) else {
            return false;
        };
        store.live.remove(at);
        store.over.remove(&id);
        self.generation += 1;
        true
    }

    /// Sets `date_modified`; a variation's change is its product's too.
    pub fn touch(&mut self, kind: Kind, id: Id, at: i64) {
        self.change(kind, id).modified = Some(Some(at));
        if kind == Kind::Variations {
            let parent = self.parent(kind, id);
            self.change(Kind::Products, parent).modified = Some(Some(at));
        }
    }

    /// Sets `date_modified` to what was asked for, null included, and nothing else.
    pub fn set_modified(&mut self, kind: Kind, id: Id, at: Option<i64>) {
        self.change(kind, id).modified = Some(at);
    }

    /// Breaks a record, so that it is counted and not shown, or mends it.
    pub fn set_hidden(&mut self, kind: Kind, id: Id, hidden: bool) {
        self.change(kind, id).hidden = hidden;
    }

    /// Keeps a record out of all lists, or lets it back in.
    pub fn set_unlisted(&mut self, kind: Kind, id: Id, unlisted: bool) {
        self.change(kind, id).unlisted = unlisted;
    }

    /// Sets the status or role.
    pub fn set_state(&mut self, kind: Kind, id: Id, state: &str) {
        self.change(kind, id).state = Some(state.into());
    }

    /// Sets a field, or with `a.b` or `a.0.b` a part of one.
    pub fn set(&mut self, kind: Kind, id: Id, path: &str, value: Value) {
        let state = if kind == Kind::Customers { "role" } else { "status" };
        if let (true, Some(text)) = (path == state, value.as_str()) {
            return self.set_state(kind, id, text);
        }
        let (field, rest) = path.split_once('.').unwrap_or((path, ""));
        let whole = if rest.is_empty() {
            value
        } else {
            let mut whole = self.field(kind, id, field);
            place(&mut whole, rest, value);
            whole
        };
        self.change(kind, id).patch.insert(field.into(), whole);
        if matches!(field, "regular_price" | "sale_price") {
            self.reprice(kind, id);
        }
    }

    /// Takes fields over as the API does: objects are merged, metadata by key.
    pub fn merge(&mut self, kind: Kind, id: Id, fields: &Map<String, Value>) {
        for (field, value) in fields {
            let value = match (field.as_str(), value) {
                ("meta_data", Value::Array(items)) => self.merged_meta(kind, id, items),
                (_, Value::Object(parts)) => {
                    let mut whole = self.field(kind, id, field);
                    for (part, value) in parts {
                        place(&mut whole, part, value.clone());
                    }
                    whole
                }
                _ => value.clone(),
            };
            self.set(kind, id, field, value);
        }
    }

    fn merged_meta(&mut self, kind: Kind, id: Id, items: &[Value]) -> Value {
        let mut all = match self.field(kind, id, "meta_data") {
            Value::Array(all) => all,
            _ => Vec::new(),
        };
        for item in items {
            let same = |m: &&mut Value| match item.get("id") {
                Some(id) => m["id"] == *id,
                None => m["key"] == item["key"],
            };
            if let Some(old) = all.iter_mut().find(same) {
                old["value"] = item["value"].clone();
                continue;
            }
            self.next_meta += 1;
            all.push(json!({ "id": self.next_meta, "key": item["key"], "value": item["value"] }));
        }
        // WooCommerce deletes metadata that is set to null.
        all.retain(|m| !m["value"].is_null());
        Value::Array(all)
    }

    /// `price` follows from the other two.
    fn reprice(&mut self, kind: Kind, id: Id) {
        let text = |v: Value| v.as_str().unwrap_or_default().to_owned();
        let regular = text(self.field(kind, id, "regular_price"));
        let sale = text(self.field(kind, id, "sale_price"));
        let price = if sale.is_empty() { &regular } else { &sale };
        let patch = &mut self.change(kind, id).patch;
        patch.insert("price".into(), price.as_str().into());
        patch.insert("on_sale".into(), (!sale.is_empty()).into());
        patch.insert("purchasable".into(), (!price.is_empty()).into());
    }

    fn change(&mut self, kind: Kind, id: Id) -> &mut Over {
        self.generation += 1;
        self.stores[kind as usize].over.entry(id).or_default()
    }
}

/// Puts a value at a path inside another, making objects on the way.
fn place(whole: &mut Value, path: &str, value: Value) {
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    let index = head.parse::<usize>().ok();
    let slot = match (whole, index) {
        (Value::Array(items), Some(i)) => {
            if i >= items.len() {
                items.resize(i + 1, Value::Null);
            }
            &mut items[i]
        }
        (Value::Object(map), _) => map.entry(head).or_insert(Value::Null),
        (other, _) => {
            *other = json!({ head: Value::Null });
            &mut other[head]
        }
    };
    if rest.is_empty() {
        *slot = value;
    } else {
        place(slot, rest, value);
    }
}
